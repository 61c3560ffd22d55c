// Integrations in a real browser: pasted, tested, paused, replayed, signed anew and deleted.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { assertFits, assertHarmless, copied, HOSTILE, signIn, startBrowser } from "../support/browser.mjs";
import { until } from "../support/client.mjs";
import { publish, startDelivering, unique } from "../support/integrations.mjs";
import { reply } from "../support/service.mjs";
import { READ, WHSEC } from "../support/worker.mjs";

let browser, at;
before(async () => {
  browser = await startBrowser();
  // A busy machine is to be late without failing a delivery.
  at = await startDelivering({ site: true, vars: { DELIVERY_TIMEOUT: "20" } });
});
after(async () => {
  await browser?.stop();
  await at?.stop();
});

const open = (hash, options) => browser.open(at.worker, hash, options);
const button = (page, name) => page.getByRole("button", { name, exact: true });
const heading = (page, name) => page.getByRole("heading", { level: 1, name }).waitFor();
/** The number under a label on the page of one. */
const figure = (page, label) => page.locator(".tally div", { hasText: label }).locator("dd");
const create = (fields) =>
  at.integrations.create({
    requestType: "POST",
    noDefaults: true,
    json: { v: "{{{PARTICLE_EVENT_VALUE}}}" },
    ...fields,
  });

describe("a definition", () => {
  test("is pasted; an error is shown at the property it is in, until it is right", async () => {
    const event = unique();
    const page = await open("#/integrations");
    await button(page, "New integration").first().click();
    await heading(page, "New integration");
    const text = page.getByLabel("Definition", { exact: true });
    assert.equal(JSON.parse(await text.inputValue()).event, "temp");
    const definition = {
      name: "Pasted",
      event,
      url: at.service.url,
      requestType: "PATCH",
      json: { a: "{{{b}}}" },
    };
    const marked = () => page.locator(".at-fault").allInnerTexts();
    const refused = async (given, code, lines) => {
      await text.fill(typeof given === "string" ? given : JSON.stringify(given, null, 2));
      await button(page, "Create").click();
      await page.getByRole("alert").getByText(code, { exact: true }).waitFor();
      assert.deepEqual(await marked(), lines);
    };
    await refused(`{\n  "event": "t",\n  "url": \n}`, "bad-json", ["4"]);
    await refused(definition, "bad-definition", ["5"]);
    await refused({ ...definition, requestType: "PUT", json: { a: "{{{b" } }, "bad-template", ["6"]);
    await refused({ webhook: { ...definition, requestType: "PUT", url: "ftp://x" } }, "bad-url", ["5"]);
    await refused({ url: at.service.url, headers: { event: "x" } }, "bad-definition", []);
    await page.getByRole("alert").getByText("Add the property event.").waitFor();
    await text.fill(JSON.stringify({ ...definition, requestType: "PUT" }, null, 2));
    assert.deepEqual(await marked(), []);
    await button(page, "Create").click();
    await heading(page, "Pasted");
    const made = await at.integrations.get(page.url().split("/").at(-1));
    assert.deepEqual([made.event, made.requestType], [event, "PUT"]);
    assert.deepEqual(page.faults, []);
    await page.context().close();
  });

  test("is changed, its secrets staying behind their masks; what is wrong is not saved", async () => {
    const door = at.service.door("/masked");
    const id = await create({ event: unique(), url: door.url, headers: { "X-Api-Key": "hidden-key" } });
    const page = await open(`#/integrations/${id}?tab=definition`);
    const text = page.getByLabel("Definition", { exact: true });
    await text.waitFor();
    const shown = await text.inputValue();
    assert.match(shown, /"X-Api-Key": "\*{8}"/);
    assert.equal(await button(page, "Save").isDisabled(), true);
    await text.fill(shown.replace('"noDefaults": true', '"noDefaults": "yes"'));
    await button(page, "Save").click();
    await page.getByRole("alert").getByText("noDefaults", { exact: true }).waitFor();
    await text.fill(shown.replace('"POST"', '"PUT"'));
    await button(page, "Save").click();
    await page.getByText("Saved.").waitFor();
    assert.equal((await at.integrations.get(id)).requestType, "PUT");
    const { body } = await at.client.admin("POST", `/v1/integrations/${id}/test`, {});
    assert.equal(body.ok, true);
    assert.equal(door.requests.at(-1).headers["x-api-key"], "hidden-key");
    // Somebody else's change is not lost unseen.
    await text.fill(shown);
    const theirs = { ...(await at.integrations.get(id)), name: "Theirs" };
    await at.client.admin("PUT", `/v1/integrations/${id}`, theirs);
    await page.getByText("It was changed elsewhere").waitFor();
    await button(page, "Discard mine, show theirs").click();
    assert.equal(JSON.parse(await text.inputValue()).name, "Theirs");
    await page.context().close();
  });

  test("that is typed outlives its page and its session, and not a sign-out", async () => {
    const id = await create({ event: unique(), url: at.service.url });
    const page = await open(`#/integrations/${id}?tab=definition`);
    const text = page.getByLabel("Definition", { exact: true });
    const shown = await text.inputValue();
    const typed = shown.replace('"POST"', '"PUT"');
    const isThere = async (wanted) => {
      await text.waitFor();
      assert.equal(await text.inputValue(), wanted);
      assert.equal(await button(page, "Save").isEnabled(), wanted !== shown);
    };
    await text.fill(typed);
    await page.getByRole("link", { name: "Replays", exact: true }).click();
    await page.getByRole("link", { name: "Definition", exact: true }).click();
    await isThere(typed);
    const ended = await page.evaluate(() =>
      fetch("/v1/session", { method: "DELETE", headers: { "x-fieldhook-request": "1" } }).then(
        ({ ok }) => ok,
      ),
    );
    assert.ok(ended);
    await page.getByRole("heading", { level: 1 }).click();
    await page.keyboard.press("r");
    await page.getByText("Your session has ended.").waitFor();
    await signIn(page);
    await isThere(typed);
    await page.getByRole("button", { name: "Sign out" }).click();
    await signIn(page);
    await isThere(shown);
    assert.deepEqual(page.faults, []);
    await page.context().close();
  });

  test("of a subscription tells its secret once, and is shown as one", async () => {
    const page = await open("#/integrations/new");
    await button(page, "Subscription example").click();
    const definition = { events: [unique(), unique()], target_url: `${at.service.url}/subscribed` };
    await page.getByLabel("Definition", { exact: true }).fill(JSON.stringify(definition));
    await button(page, "Create").click();
    const secret = await page.getByLabel("The secret", { exact: true }).innerText();
    assert.match(secret, /^whsec_/);
    await button(page, "Copy secret").click();
    await until(async () => (await copied(page)) === secret);
    await button(page, "I have it").click();
    await page.getByText("subscription", { exact: true }).waitFor();
    assert.equal((await page.content()).includes(secret), false);
    await page.context().close();
  });
});

describe("deliveries", () => {
  test("are parked, and replayed once it was seen how many that is", async () => {
    const event = unique();
    const door = at.service.door("/parks").answer(422, `{"why":"no"}`);
    const id = await create({ event, url: door.url, name: "Parks" });
    for (const n of [1, 2, 3]) await publish(at.client, { event, coreid: "parks", data: `v${n}` });
    await at.integrations.haveAttempts(id, 3, ({ status }) => status === "parked");
    const page = await open(`#/integrations/${id}`);
    await figure(page, "Parked").getByText("3").waitFor();
    assert.equal(await figure(page, "Errors today").innerText(), "3");
    await page.locator("tbody tr").nth(2).waitFor();
    await page.keyboard.press("j");
    await page.keyboard.press("Enter");
    const dialog = page.getByRole("dialog");
    assert.match(await dialog.getByLabel("Request: its head").innerText(), /^POST http/);
    assert.match(await dialog.getByLabel("Request: its body").innerText(), /^{"v":"v\d"}$/);
    assert.equal(await dialog.getByLabel("Response: its body").innerText(), `{"why":"no"}`);
    await page.keyboard.press("Escape");
    door.answer(200);
    await button(page, "Replay what is parked").click();
    await button(page, "Estimate").click();
    await dialog.getByText("3 events would be delivered again").waitFor();
    assert.equal(door.requests.length, 3, "nothing was sent for the estimate");
    await button(page, "Replay 3 events").click();
    const row = page.locator("tbody tr");
    await row.getByText("Handed on").waitFor();
    assert.match(await row.innerText(), /What was parked[\s\S]*3 of 3/);
    await door.have(6);
    await page.getByRole("link", { name: "Deliveries" }).click();
    await page.getByText("replay", { exact: true }).nth(2).waitFor();
    await figure(page, "Parked").getByText("0", { exact: true }).waitFor();
    assert.deepEqual(page.faults, []);
    await page.context().close();
  });

  test("are replayed by a span of time and by an id", async () => {
    const event = unique();
    const door = at.service.door("/again");
    const id = await create({ event, url: door.url });
    await publish(at.client, { event, coreid: "again", data: "one" });
    await publish(at.client, { event, coreid: "again", data: "two" });
    const [attempt] = await at.integrations.haveAttempts(id, 2);
    const page = await open(`#/integrations/${id}?tab=replays`);
    await button(page, "New replay").click();
    await page.getByLabel("What arrived in a span of time").check();
    await page.getByLabel("Only this device").fill("nobody");
    await button(page, "Estimate").click();
    await page.getByText("No event is meant").waitFor();
    await page.getByLabel("Only this device").fill("again");
    await button(page, "Estimate").click();
    await button(page, "Replay 2 events").click();
    await door.have(4);
    await button(page, "New replay").click();
    await page.getByLabel("One event, by an id").check();
    await page.getByLabel("Id", { exact: true }).fill("no-such-id");
    await button(page, "Estimate").click();
    await page.getByRole("alert").getByText("nothing-to-replay").waitFor();
    await page.getByLabel("Id", { exact: true }).fill(attempt.event_id);
    await button(page, "Estimate").click();
    await button(page, "Replay 1 event").click();
    await door.have(5);
    await page.context().close();
  });

  test("stop while it is paused, and go on where it was or from now", async () => {
    const event = unique();
    const door = at.service.door("/rests");
    const id = await create({ event, url: door.url });
    const page = await open(`#/integrations/${id}`);
    const say = (data) => publish(at.client, { event, coreid: "rests", data });
    const paused = page.getByText("by hand");
    await say("a");
    await door.have(1);
    await button(page, "Pause").click();
    await paused.waitFor();
    await say("b");
    await button(page, "Go on where it was").click();
    await door.have(2);
    await paused.waitFor({ state: "detached" });
    await button(page, "Pause").click();
    await paused.waitFor();
    await say("c");
    await button(page, "Go on from now").click();
    await paused.waitFor({ state: "detached" });
    await say("d");
    await door.have(3);
    const bodies = door.requests.map(({ body }) => JSON.parse(body).v);
    assert.deepEqual(bodies, ["a", "b", "d"]);
    await page.context().close();
  });

  test("are tried with a test, whose answer is shown", async () => {
    const door = at.service.door("/tried").answer(404, "nobody here");
    const id = await create({ event: unique(), url: door.url });
    const page = await open(`#/integrations/${id}?tab=replays`);
    await page.getByText("Nothing was replayed in the last seven days").waitFor();
    await page.getByRole("link", { name: "Deliveries", exact: true }).click();
    await page.getByText("Nothing was delivered yet").waitFor();
    await page.getByLabel("Status").selectOption("parked");
    await page.getByText("No attempt is like this").waitFor();
    await page.getByLabel("Status").selectOption("");
    await button(page, "Test").click();
    await page.getByLabel("Data").fill('{"celsius": 21.50}');
    await button(page, "Send").click();
    await page.getByText("Failed, 404").waitFor();
    assert.equal(await page.getByLabel("Response: its body").innerText(), "nobody here");
    assert.match(await page.getByLabel("Request: its body").innerText(), /21\.50/);
    await page.context().close();
  });
});

describe("one", () => {
  test("signs with a new secret, shown once", async () => {
    const id = await create({ event: unique(), url: at.service.url, secret: WHSEC });
    const page = await open(`#/integrations/${id}?tab=definition`);
    await button(page, "Rotate secret").click();
    await page.getByLabel("The old one signs too for").selectOption({ label: "an hour" });
    await button(page, "Rotate").click();
    const secret = await page.getByLabel("The secret", { exact: true }).innerText();
    assert.match(secret, /^whsec_/);
    assert.notEqual(secret, WHSEC);
    await button(page, "I have it").click();
    assert.equal((await page.content()).includes(secret), false);
    await page.context().close();
  });

  test("is deleted once its name was typed", async () => {
    const id = await create({ event: unique(), url: at.service.url, name: "Goes away" });
    const page = await open(`#/integrations/${id}`);
    await button(page, "Delete").click();
    const dialog = page.getByRole("dialog");
    const confirm = dialog.getByRole("button", { name: "Delete" });
    await dialog.getByRole("textbox").fill("Goes");
    assert.equal(await confirm.isDisabled(), true);
    await dialog.getByRole("textbox").fill("Goes away");
    await confirm.click();
    await heading(page, "Integrations");
    assert.equal((await at.client.admin("GET", `/v1/integrations/${id}`)).status, 404);
    await page.context().close();
  });

  test("is found among others, and can only be read with a read token", async () => {
    const id = await create({ event: unique(), url: at.service.url, name: "Needle" });
    const page = await open("#/integrations", { token: READ });
    await page.getByRole("table").waitFor();
    await page.keyboard.press("/");
    await page.keyboard.type("needle");
    await until(async () => (await page.locator("tbody tr").count()) === 1);
    await page.keyboard.press("Escape");
    await page.keyboard.press("j");
    await page.keyboard.press("Enter");
    await heading(page, "Needle");
    assert.ok(page.url().includes(id));
    for (const name of ["Test", "Replay", "Pause", "Delete"]) {
      assert.equal(await button(page, name).isDisabled(), true, name);
      assert.match(await button(page, name).getAttribute("title"), /admin token/);
    }
    await page.context().close();
  });
});

test("what a caller or a service puts in is shown as text, wide and narrow", async () => {
  const event = `${unique()}${HOSTILE}`.slice(0, 60).trim();
  const door = at.service.door("/hostile");
  door.answer(reply(400, HOSTILE, { "x-odd": "<img src=x onerror=window.ran=1>" }));
  const id = await create({ event, url: `${door.url}?q=<script>window.ran=1</script>`, name: HOSTILE });
  await publish(at.client, { event, coreid: "hostile", data: HOSTILE });
  await at.integrations.haveAttempts(id, 1);
  for (const [width, dark] of [
    [1280, false],
    [360, true],
  ]) {
    const page = await open("#/integrations", { width, dark });
    await page.getByText("window.ran=1").first().waitFor();
    await assertHarmless(page);
    await assertFits(page);
    await page.evaluate((id) => (location.hash = `#/integrations/${id}`), id);
    await page.getByText("Parked 400").click();
    const seen = await page.getByLabel("Response: its body").innerText();
    assert.equal(seen, HOSTILE.replace("\u202e", "U+202E"));
    await assertHarmless(page);
    await assertFits(page);
    await page.keyboard.press("Escape");
    for (const tab of ["Replays", "Definition"]) {
      await page.getByRole("link", { name: tab, exact: true }).click();
      await page.getByRole("heading", { level: 2, name: tab }).waitFor();
      await assertHarmless(page);
      await assertFits(page);
    }
    await page.context().close();
  }
});
