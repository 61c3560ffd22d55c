// The live tail in a real browser: it opens with the past, loses nothing and shows nothing twice.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { assertFits, assertHarmless, copied, heapOf, HOSTILE, startBrowser } from "../support/browser.mjs";
import { anEvent, clientOf, numbers, until } from "../support/client.mjs";
import { startWorker, TOKEN } from "../support/worker.mjs";

let browser;
before(async () => (browser = await startBrowser()));
after(() => browser.stop());

const rows = (page) => page.getByRole("option");
/** The data of the rows that are drawn, newest first. */
const data = (page) => page.locator("[role=option] .row-data").allInnerTexts();
const light = (page, state) => page.locator(`.light[data-state="${state}"]`).waitFor();

describe("the tail", () => {
  let worker, client;
  before(async () => {
    worker = await startWorker({ site: true, vars: { DEVICE_RATE: "0", KEY_RATE: "0" } });
    client = clientOf(worker);
  });
  after(() => worker.stop());

  /** Publishes with data of its own, so that each can be told from all others. */
  const publish = (data, fields) => client.accepted(anEvent({ coreid: "tail", data, ...fields }));

  test("opens with the recent past, and goes on live", async () => {
    for (const n of numbers(1, 3)) await publish(`past-${n}`);
    await until(async () => (await client.devices()).includes("tail"), { what: "the fleet's log" });
    const page = await browser.open(worker, "#/events?q=device:tail");
    await rows(page).nth(2).waitFor();
    assert.deepEqual(await data(page), ["past-3", "past-2", "past-1"]);
    await light(page, "live");
    await publish("now-1");
    await page.getByRole("option", { name: "now-1" }).waitFor();
    assert.deepEqual(await data(page), ["now-1", "past-3", "past-2", "past-1"]);
    assert.deepEqual(page.faults, []);
    await page.context().close();
  });

  test("says that its cursor was refused, and begins anew when asked to", async () => {
    await publish("refused-1");
    const page = await browser.open(worker, "#/quarantine");
    const broken = (route) => route.continue({ url: `${worker.url}/v1/events?after=broken` });
    await page.route(/\/v1\/events\?after=/, broken, { times: 1 });
    await page.getByRole("link", { name: "Events" }).click();
    await page.getByRole("alert").getByText("bad-cursor", { exact: true }).waitFor();
    await light(page, "ended");
    await page.getByRole("alert").getByRole("button", { name: "Try again" }).click();
    await light(page, "live");
    await page.getByRole("alert").waitFor({ state: "detached" });
    await publish("refused-2");
    await page.getByRole("option", { name: "refused-2" }).waitFor();
    await page.context().close();
  });

  test("while paused, what comes is counted and not lost", async () => {
    const page = await browser.open(worker, "#/events?q=paused-");
    await light(page, "live");
    await page.keyboard.press("Space");
    for (const n of numbers(1, 5)) await publish(`paused-${n}`);
    await page.getByRole("button", { name: "Go on · 5 new" }).waitFor();
    assert.equal(await rows(page).count(), 0);
    await page.keyboard.press("Space");
    await rows(page).nth(4).waitFor();
    assert.deepEqual(await data(page), ["paused-5", "paused-4", "paused-3", "paused-2", "paused-1"]);
    await page.getByRole("button", { name: "Clear" }).click();
    await publish("paused-6");
    await page.getByRole("option", { name: "paused-6" }).waitFor();
    assert.deepEqual(await data(page), ["paused-6"]);
    await page.context().close();
  });

  test("a page that nobody sees gives its connection back, and has missed nothing once it is seen", async () => {
    const page = await browser.open(worker, "#/events?q=unseen-");
    await light(page, "live");
    const see = (isSeen) =>
      page.evaluate((isSeen) => {
        Object.defineProperty(document, "hidden", { configurable: true, get: () => !isSeen });
        document.dispatchEvent(new Event("visibilitychange"));
      }, isSeen);
    const given = page.waitForEvent("requestfailed", (request) => /\/v1\/events\b/.test(request.url()));
    await see(false);
    await given;
    await light(page, "connecting");
    for (const n of numbers(1, 3)) await publish(`unseen-${n}`);
    await see(true);
    await rows(page).nth(2).waitFor();
    await light(page, "live");
    await publish("unseen-4");
    await page.getByRole("option", { name: "unseen-4" }).waitFor();
    assert.deepEqual(await data(page), ["unseen-4", "unseen-3", "unseen-2", "unseen-1"]);
    // It was no loss of the connection, and is not told as one.
    assert.equal(await page.getByText("Resumed").count(), 0);
    await page.context().close();
  });

  test("a search takes words, and device:, event: and data: before them", async () => {
    await publish("needle", { coreid: "haystack-1", event: "found/it" });
    await publish("straw", { coreid: "haystack-2", event: "found/not" });
    const page = await browser.open(worker, "#/events");
    const search = page.getByRole("searchbox");
    await light(page, "live");
    for (const [text, expected] of [
      ["haystack", ["straw", "needle"]],
      ["device:haystack-1", ["needle"]],
      ["event:found/not", ["straw"]],
      ["data:needle", ["needle"]],
      ["event:found device:haystack-2", ["straw"]],
      ["device:needle", []],
      ['data:"nee', ["needle"]],
    ]) {
      await page.keyboard.press("Escape");
      await page.keyboard.press("/");
      await search.fill(text);
      await until(async () => (await data(page)).join() === expected.join(), { what: text });
    }
    await page.reload();
    await until(async () => (await data(page)).join() === "needle", { what: "the search in the address" });
    await page.context().close();
  });

  test("keys go through the rows, and what is chosen can be copied and sent again", async () => {
    const digits = '{"exact":21.50,"large":12345678901234567890,"token":"secret-value","quote":"it\'s"}';
    await publish(digits, { coreid: "chosen", event_id: "chosen-1" });
    await publish("above", { coreid: "chosen" });
    const page = await browser.open(worker, "#/events?q=device:chosen");
    await rows(page).nth(1).waitFor();
    for (const key of ["j", "ArrowDown", "k", "j"]) await page.keyboard.press(key);
    const detail = page.getByRole("complementary", { name: "The chosen event" });
    await detail.getByText("21.50").waitFor();
    await detail.getByText("12345678901234567890").waitFor();
    await detail.getByRole("button", { name: "Copy data" }).click();
    assert.match(await copied(page), /"exact": 21\.50,\s+"large": 12345678901234567890/);
    await detail.getByRole("button", { name: "Copy as curl" }).click();
    const command = await copied(page);
    assert.doesNotMatch(command, /secret-value/);
    const { stdout } = await promisify(execFile)(
      "bash",
      ["-c", `${command} -s -o /dev/null -w '%{http_code}'`],
      {
        env: { ...process.env, TOKEN },
      },
    );
    assert.equal(stdout, "204");
    const { data: again } = await client.newest("chosen");
    assert.deepEqual([again.quote, again.token], ["it's", "********"]);
    // What is chosen stays where it is while others come, where there is anything to scroll.
    await page.setViewportSize({ width: 1280, height: 300 });
    const chosen = page.getByRole("option", { selected: true });
    const { y } = await chosen.boundingBox();
    await publish("newer", { coreid: "chosen" });
    await page.getByText("4 of").waitFor();
    assert.equal((await chosen.boundingBox()).y, y);
    // Escape closes what is on top: the help first.
    await page.keyboard.press("?");
    const help = page.getByRole("dialog", { name: "Keys" });
    await help.waitFor();
    await page.keyboard.press("Escape");
    await help.waitFor({ state: "detached" });
    assert.ok(await detail.isVisible());
    await page.keyboard.press("Escape");
    await detail.waitFor({ state: "detached" });
    await page.context().close();
  });

  test("text of devices is text, wherever it stands", async () => {
    const name = HOSTILE.slice(0, 64).trim();
    await publish(HOSTILE, { coreid: "hostile-1", event: name });
    await publish(JSON.stringify({ [HOSTILE]: [HOSTILE], __proto__: 1 }), {
      coreid: "hostile-1",
      event: name,
      extra: HOSTILE,
      product_id: HOSTILE,
      fw_version: HOSTILE,
    });
    for (const [width, dark] of [
      [1280, false],
      [360, true],
    ]) {
      const page = await browser.open(worker, "#/events?q=device:hostile", { width, dark });
      await rows(page).nth(1).waitFor();
      const detail = page.getByRole("complementary", { name: "The chosen event" });
      for (const part of ["<script>window.ran=1</script>", "onerror="]) {
        await page.keyboard.press("j");
        await detail.getByText(part).first().waitFor();
        await detail.getByText("U+202E").first().waitFor();
      }
      await assertHarmless(page);
      await assertFits(page);
      await page.context().close();
    }
  });

  test("ten thousand events stay light: few rows are drawn, and memory does not grow", async () => {
    const page = await browser.open(worker, "#/events?q=device:many");
    await light(page, "live");
    let sent = 0;
    const send = async (batches) => {
      for (let batch = 0; batch < batches; batch++) {
        const value = JSON.stringify({ text: "x".repeat(200) });
        await client.accepted(numbers(1, 500).map((n) => anEvent({ coreid: `many-${n % 50}`, data: value })));
        sent += 500;
      }
      const last = `last-${sent}`;
      await publish(last, { coreid: "many-last" });
      await page.getByRole("option", { name: last }).waitFor();
    };
    await send(21);
    const shows = page.getByText("10,000 of 10,000 events");
    await shows.waitFor();
    const full = await heapOf(page);
    const drawn = async () => {
      const count = await rows(page).count();
      assert.ok(count > 5 && count < 80, `${count} rows are in the document`);
    };
    const box = page.locator(".rows-box");
    for (const part of [0.1, 0.37, 0.5, 0.93, 1, 0.2]) {
      await box.evaluate(async (box, part) => {
        box.scrollTop = part * (box.scrollHeight - box.clientHeight - 80);
        for (const _ of [1, 2]) await new Promise(requestAnimationFrame);
      }, part);
      await drawn();
      const middle = await box.evaluate((box) => {
        const { left, top, width, height } = box.getBoundingClientRect();
        return document.elementFromPoint(left + width / 2, top + height / 2).closest("[role=option]")
          ?.textContent;
      });
      assert.match(middle ?? "", /many-/, `a row is in the middle at ${part}`);
    }
    await box.evaluate((box) => (box.scrollTop = 0));
    await send(10);
    await shows.waitFor();
    await drawn();
    const later = await heapOf(page);
    assert.ok(later < 1.2 * full, `${full} bytes with the first 10,000, ${later} after 5,000 more`);
    await page.context().close();
  });
});

test("a killed server is said, and after its restart no event is missing or there twice", async () => {
  const worker = await startWorker({ site: true });
  const client = clientOf(worker);
  try {
    const page = await browser.open(worker, "#/events");
    await light(page, "live");
    const sent = [];
    const publish = async () => {
      sent.unshift(`kept-${sent.length + 1}`);
      await client.accepted(anEvent({ coreid: "kept", data: sent[0] }));
    };
    for (let round = 0; round < 2; round++) {
      for (let times = 0; times < 3; times++) await publish();
      await page.getByRole("option", { name: sent[0] }).waitFor();
      await worker.kill();
      await light(page, "reconnecting");
      // What comes before the page is back is what it could miss.
      await page.context().setOffline(true);
      await worker.restart();
      for (let times = 0; times < 3; times++) await publish();
      await until(
        async () => (await client.read("GET", "/v1/devices?id=kept")).body[0].events === sent.length,
      );
      await page.context().setOffline(false);
      await page.getByText(/^Resumed after .*: 3 events caught up, none lost\.$/).waitFor();
      await page.getByRole("option", { name: sent[0] }).waitFor();
      await light(page, "live");
      assert.deepEqual(await data(page), sent);
      await page.getByRole("button", { name: "Close" }).click();
    }
    await page.context().close();
  } finally {
    await worker.stop();
  }
});
