// One device in a real browser: what is wanted of it, what it was told to do, its chart and its log.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { assertFits, assertHarmless, HOSTILE, startBrowser } from "../support/browser.mjs";
import { anEvent, clientOf, numbers, until } from "../support/client.mjs";
import { READ, startWorker } from "../support/worker.mjs";

const HOSTILE_NAME = HOSTILE.slice(0, 64);

let browser, worker, client;
before(async () => {
  browser = await startBrowser();
  worker = await startWorker({ site: true, vars: { DEVICE_RATE: "0", KEY_RATE: "0" } });
  client = clientOf(worker);
});
after(async () => {
  await browser.stop();
  await worker.stop();
});

const publish = (coreid, data, fields) =>
  client.accepted(
    anEvent({ coreid, data: typeof data === "string" ? data : JSON.stringify(data), ...fields }),
  );
const report = (coreid, state) => publish(coreid, state, { event: "fieldhook/report" });
const twinOf = async (id) => (await client.read("GET", `/v1/devices/${id}/twin`)).body;
const patch = async (id, section) => {
  const answer = await client.admin("PATCH", `/v1/devices/${id}/twin`, section);
  assert.equal(answer.status, 200, answer.text);
};
const live = (page) => page.locator('.light[data-state="live"]').waitFor();
const row = (page, text) => page.getByRole("row").filter({ hasText: text });
const open = async (id, options) => {
  const page = await browser.open(worker, `#/devices/${encodeURIComponent(id)}`, options);
  await page.getByRole("heading", { name: "Log", exact: true }).waitFor();
  return page;
};

describe("the twin", () => {
  test("shows both sections side by side, and what differs", async () => {
    await report("sides", { interval: 60, own: true, led: { on: false } });
    await patch("sides", { interval: 60, led: { on: true }, gone: 1 });
    const page = await open("sides");
    await row(page, "interval").getByText("as desired").waitFor();
    await row(page, "led.on").getByText("due").waitFor();
    await row(page, "own").getByText("reported only").waitFor();
    await page.getByText(/^\d+ of 511 bytes$/).waitFor();
    await live(page);
    await report("sides", { led: { on: true }, gone: 2, _v: (await twinOf("sides")).versions.desired });
    await row(page, "led.on").getByText("as desired").waitFor();
    await row(page, "gone").getByText("differs").waitFor();
    assert.deepEqual(page.faults, []);
    await page.context().close();
  });

  test("is edited as text, with its errors as it is typed", async () => {
    await patch("typed", { interval: 60, keep: 21.5 });
    const page = await open("typed");
    await page.getByRole("button", { name: "Edit desired" }).click();
    const field = page.getByLabel("Desired", { exact: true });
    await field.fill('{"interval":');
    await page.getByText(/JSON/).first().waitFor();
    assert.ok(await page.getByRole("button", { name: "Save" }).isDisabled());
    await field.fill("[1]");
    await page.getByText("The section is a JSON object: { … }").waitFor();
    await field.fill('{"interval": 5, "mode": "eco"}');
    await page.getByText('Sends {"keep":null,"interval":5,"mode":"eco"}').waitFor();
    // Leaving the page loses nothing of it.
    await page.getByRole("link", { name: "Devices" }).click();
    await page.goBack();
    assert.equal(await field.inputValue(), '{"interval": 5, "mode": "eco"}');
    await page.getByRole("button", { name: "Save" }).click();
    await row(page, "mode").getByText('"eco"').first().waitFor();
    assert.deepEqual((await twinOf("typed")).desired, { interval: 5, mode: "eco" });
    await page.context().close();
  });

  test("that somebody else has changed meanwhile is not written over, and nothing typed is lost", async () => {
    await patch("conflict", { interval: 60, mode: "eco", label: "a" });
    const page = await open("conflict");
    const field = page.getByLabel("Desired", { exact: true });
    await page.getByRole("button", { name: "Edit desired" }).click();
    const mine = '{"interval": 10, "mode": "mine", "label": "a"}';
    await field.fill(mine);
    await patch("conflict", { mode: "theirs", label: "b" });
    await page.getByRole("button", { name: "Save" }).click();
    const conflict = page.getByRole("alert").filter({ hasText: "version-conflict" });
    await conflict.getByText('"mode": "theirs"').waitFor();
    await conflict.getByText('"mode": "mine"').waitFor();
    await conflict.getByText("Both of you changed /mode").waitFor();
    assert.equal(await field.inputValue(), mine);
    assert.equal((await twinOf("conflict")).desired.mode, "theirs");
    await page.getByRole("button", { name: "Apply mine to theirs" }).click();
    assert.deepEqual(JSON.parse(await field.inputValue()), { interval: 10, mode: "mine", label: "b" });
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByRole("button", { name: "Edit desired" }).waitFor();
    assert.deepEqual((await twinOf("conflict")).desired, { interval: 10, mode: "mine", label: "b" });

    await page.getByRole("button", { name: "Edit desired" }).click();
    await field.fill('{"interval": 11}');
    await patch("conflict", { mode: "again" });
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByRole("button", { name: "Discard mine" }).click();
    await row(page, "mode").getByText('"again"').first().waitFor();
    assert.equal((await twinOf("conflict")).desired.interval, 10);
    await page.context().close();
  });
});

describe("commands", () => {
  test("are sent, told, and acknowledged; one that waits is cancelled", async () => {
    await publish("orders", "1");
    const page = await open("orders");
    const send = async (name, args) => {
      await page.getByLabel("Name", { exact: true }).fill(name);
      await page.getByLabel("Arguments").fill(args);
      await page.getByRole("button", { name: "Send" }).click();
      await row(page, name).getByText("queued").waitFor();
    };
    await page.getByLabel("Arguments").fill("{");
    await page.getByLabel("Name", { exact: true }).fill("x");
    assert.ok(await page.getByRole("button", { name: "Send" }).isDisabled());
    await send("blink", '{"times":3}');
    await live(page);
    const { text } = await publish("orders", "2");
    assert.deepEqual(JSON.parse(text).c, [{ id: 1, n: "blink", a: { times: 3 } }]);
    await row(page, "blink").getByText("sent", { exact: true }).waitFor();
    await report("orders", { _ack: [1] });
    await row(page, "blink").getByText("acked").waitFor();
    await send("reboot", "");
    await page.getByRole("button", { name: "Cancel command 2" }).click();
    await row(page, "reboot").getByText("cancelled").waitFor();
    assert.deepEqual(page.faults, []);
    await page.context().close();
  });
});

describe("the chart", () => {
  test("suggests the numbers of the log, draws one, says it in words, and lives", async () => {
    for (const celsius of [1, 2, 6]) await publish("charted", { celsius, deep: { volts: [4.5] }, name: "x" });
    const page = await open("charted");
    await page.locator(".plot canvas").waitFor();
    await page.getByText("3 values, lowest 1, highest 6, mean 3; last").waitFor();
    await page.getByRole("img", { name: "celsius in the last hour: 3 values" }).waitFor();
    const field = page.getByRole("combobox", { name: "Field" });
    assert.deepEqual(await field.locator("option").allInnerTexts(), ["celsius", "deep.volts.0", "Another…"]);
    await live(page);
    await publish("charted", { celsius: 7 });
    await page.getByText("4 values, lowest 1, highest 7, mean 4; last").waitFor();
    await field.selectOption("deep.volts.0");
    await page.getByText("deep.volts.0 in the last hour: 3 values, lowest 4.5").waitFor();
    await page.getByRole("button", { name: "7 d" }).click();
    await page.getByText("in the last 7 days: 3 values").waitFor();
    await page.getByRole("button", { name: "Custom" }).click();
    await page.getByLabel("From").fill("2020-01-01T00:00");
    await page.getByLabel("To", { exact: true }).fill("2020-01-02T00:00");
    await page.getByText("No number there").waitFor();
    // Turned around they are no range: it says so, and keeps what was typed until it is one.
    await page.getByLabel("From").fill("2020-01-03T00:00");
    await page.getByText("This is not after From.").waitFor();
    assert.equal(await page.getByLabel("From").inputValue(), "2020-01-03T00:00");
    await page.getByLabel("To", { exact: true }).fill("2020-01-04T00:00");
    await page.getByText("This is not after From.").waitFor({ state: "detached" });
    await page.waitForURL(/from=2020-01-03T00.*to=2020-01-04T00/);
    assert.deepEqual(page.faults, []);
    await page.context().close();
  });

  test("comes at a second try where its code did not come at the first", async () => {
    await publish("late-code", { celsius: 4 });
    const page = await browser.open(worker, "#/quarantine");
    await page.route(/chart\.mjs$/, (route) => route.abort(), { times: 1 });
    await page.evaluate(() => (location.hash = "#/devices/late-code"));
    const alert = page.getByRole("alert").filter({ hasText: "The chart could not be loaded" });
    await alert.getByText("unreachable", { exact: true }).waitFor();
    await page.getByRole("heading", { name: "Log" }).waitFor();
    await alert.getByRole("button", { name: "Try again" }).click();
    await page.locator(".plot canvas").waitFor();
    await alert.waitFor({ state: "detached" });
    await page.context().close();
  });

  test("lives, as the facts do, where events come without a pause and answers are slow", async () => {
    await publish("busy", { celsius: 1 });
    const page = await browser.open(worker);
    const slow = async (route) => {
      await new Promise((resolve) => setTimeout(resolve, 2_000));
      await route.continue().catch(() => {});
    };
    await page.route(/\/v1\/devices\/busy(\/series.*)?$/, slow);
    await page.goto(`${worker.url}/#/devices/busy`);
    await page.getByText(/: 1 value, lowest 1/).waitFor();
    await live(page);
    let isOver = false;
    const publishing = (async () => {
      while (!isOver) {
        await publish("busy", { celsius: 2 });
        await new Promise((resolve) => setTimeout(resolve, 250));
      }
    })();
    try {
      await page.getByText(/: \d+ values, lowest 1, highest 2/).waitFor();
      await page
        .locator(".device-facts div")
        .filter({ hasText: /^Events\s*([2-9]|\d\d+)$/ })
        .waitFor();
    } finally {
      isOver = true;
      await publishing;
    }
    await page.context().close();
  });

  test("and its code are left out where there is no number", async () => {
    await publish("wordy", { name: "x" });
    const page = await browser.open(worker);
    const loaded = [];
    page.on("request", (request) => loaded.push(request.url()));
    await page.goto(`${worker.url}/#/devices/wordy`);
    await page.getByRole("button", { name: /"name":"x"/ }).waitFor();
    assert.deepEqual(
      loaded.filter((url) => /uplot|chart/i.test(url)),
      [],
    );
    await page.context().close();
  });
});

describe("the log", () => {
  test("is newest first, goes on live, and is filtered; older events are loaded", async () => {
    await client.accepted(
      numbers(1, 60).map((n) =>
        anEvent({ coreid: "logged", event: n === 3 ? "door" : "temp", data: `n-${n}` }),
      ),
    );
    const page = await open("logged");
    const rows = page.locator(".log-row");
    await rows.nth(49).waitFor();
    assert.match(await rows.first().innerText(), /n-60/);
    await page.getByRole("button", { name: "Older events" }).click();
    await rows.nth(59).waitFor();
    assert.match(await rows.nth(59).innerText(), /n-1\b/);
    await live(page);
    await publish("logged", '{"celsius":21.50}', { event: "live" });
    await rows.first().getByText("21.50").waitFor();
    await rows.first().click();
    await page.locator(".log-body .json-number").getByText("21.50").waitFor();
    await page.getByRole("button", { name: "Raw" }).click();
    await page.locator(".log-body pre").getByText('"celsius": 21.50').waitFor();
    await page.getByRole("searchbox").fill("do");
    await until(async () => (await rows.count()) === 1, { what: "the filter" });
    assert.match(await rows.first().innerText(), /n-3\b/);
    await page.context().close();
  });
});

describe("a row of the log", () => {
  test("that is read keeps its place, and what comes meanwhile is shown when asked for", async () => {
    await client.accepted(numbers(1, 9).map((n) => anEvent({ coreid: "read", data: `n-${n}` })));
    const page = await open("read");
    await live(page);
    const rows = page.locator(".log-row");
    const newest = () => rows.first().innerText();
    await rows.nth(2).click();
    await page.locator(".log-body").waitFor();
    const { y } = await rows.nth(2).boundingBox();
    for (const n of [10, 11]) await publish("read", `n-${n}`);
    const held = page.getByRole("button", { name: "2 new · Show" });
    await held.waitFor();
    assert.match(await newest(), /n-9\b/);
    assert.equal((await rows.nth(2).boundingBox()).y, y);
    await held.click();
    await held.waitFor({ state: "detached" });
    assert.match(await newest(), /n-11\b/);
    // With nothing read any more, it goes on by itself.
    await publish("read", "n-12");
    await page.getByRole("button", { name: "1 new · Show" }).waitFor();
    await page.keyboard.press("Escape");
    await rows.first().getByText("n-12").waitFor();
    assert.equal(await page.locator(".log-body").count(), 0);
    await publish("read", "n-13");
    await rows.first().getByText("n-13").waitFor();
    await page.context().close();
  });
});

describe("a large event", () => {
  test("opens as far as can be read, and by hand from there", async () => {
    await publish("large", { rows: Array(100).fill(Array(100).fill([1, 2, 3, 4, 5, 6, 7])) });
    const page = await open("large");
    const fields = page.getByRole("combobox", { name: "Field" });
    await fields.waitFor();
    assert.equal(await fields.locator("option").count(), 201);
    await page.locator(".log-row").click();
    const branch = page.locator(".log-body summary").filter({ hasText: "rows" });
    await branch.waitFor();
    assert.ok((await page.locator(".log-body *").count()) < 3_000);
    await page
      .locator(".log-body summary")
      .filter({ hasText: /^99\[100\]$/ })
      .click();
    await page
      .locator(".log-body summary")
      .filter({ hasText: /^99\[7\]$/ })
      .click();
    await page.locator(".log-body .json-leaf").getByText("7", { exact: true }).waitFor();
    assert.deepEqual(page.faults, []);
    await page.context().close();
  });
});

describe("a device", () => {
  test("with nothing in its twin, its commands or its filtered log says what each is for", async () => {
    await publish("bare", { name: "x" });
    const page = await browser.open(worker, "#/devices/bare?event=other");
    await page.getByText("Nothing desired, nothing reported").waitFor();
    await page.getByText("Begin with Edit desired.").waitFor();
    await page.getByText("No commands yet").waitFor();
    await page.getByText("Empty the field to see all of them.").waitFor();
    await page.getByLabel("Events whose name starts with").fill("");
    await page.getByRole("button", { name: /"name":"x"/ }).waitFor();
    await page.context().close();
  });

  test("is deleted only once its id was typed", async () => {
    await publish("doomed", "1");
    const page = await open("doomed");
    await page.getByRole("button", { name: "Delete", exact: true }).click();
    const really = page.getByRole("dialog").getByRole("button", { name: "Delete the device" });
    assert.ok(await really.isDisabled());
    await page.getByLabel("Type doomed to confirm").fill("doome");
    assert.ok(await really.isDisabled());
    await page.getByLabel("Type doomed to confirm").fill("doomed");
    await really.click();
    await page.getByRole("heading", { level: 1, name: "Devices" }).waitFor();
    assert.equal((await client.read("GET", "/v1/devices/doomed")).status, 404);
    await page.context().close();
  });

  test("can be looked at and not changed with a read token, and the page says why", async () => {
    await publish("looked", "1");
    await client.admin("POST", "/v1/devices/looked/commands", { name: "waits" });
    const page = await open("looked", { token: READ });
    for (const name of ["Delete", "Edit desired", "Send", "Cancel command 1"]) {
      const button = page.getByRole("button", { name, exact: true });
      assert.ok(await button.isDisabled(), name);
      assert.match(await button.getAttribute("title"), /admin token/, name);
    }
    await page.context().close();
  });

  test("that is not known says so, also under a hostile id", async () => {
    const page = await browser.open(worker, `#/devices/${encodeURIComponent(HOSTILE)}`);
    await page.getByText("unknown-device").waitFor();
    await page.getByRole("heading", { level: 1, name: "<img src=" }).waitFor();
    await assertHarmless(page);
    await page.context().close();
  });

  test("shows hostile text as text, in its log, twin, commands and fields", async () => {
    await publish(
      "hostile",
      { [HOSTILE]: 7, text: HOSTILE },
      { event: HOSTILE_NAME, product_id: HOSTILE, fw_version: HOSTILE },
    );
    await report("hostile", { [HOSTILE]: HOSTILE });
    await patch("hostile", { [HOSTILE]: `${HOSTILE}!`, ["__proto__"]: 1 });
    await client.admin("POST", "/v1/devices/hostile/commands", {
      name: HOSTILE_NAME,
      args: { [HOSTILE]: HOSTILE },
    });
    for (const width of [1280, 360]) {
      const page = await open("hostile", { width, dark: width === 360 });
      await page.locator(".plot canvas").waitFor();
      for (const entry of await page.locator(".log-row").all()) await entry.click();
      await page.getByRole("button", { name: "Edit desired" }).click();
      await page.getByLabel("Desired", { exact: true }).fill(JSON.stringify({ [HOSTILE]: HOSTILE }));
      await page.getByText("Sends").waitFor();
      await page.getByRole("button", { name: "Delete", exact: true }).click();
      await page.getByRole("dialog").waitFor();
      await assertHarmless(page);
      await assertFits(page);
      await page.context().close();
    }
  });
});
