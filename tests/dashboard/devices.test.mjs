// The list of devices in a real browser: it lives, and does not shift.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { assertFits, assertHarmless, HOSTILE, startBrowser } from "../support/browser.mjs";
import { anEvent, clientOf, numbers, until } from "../support/client.mjs";
import { startWorker } from "../support/worker.mjs";

/** An event's name has at most so many characters. */
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

const publish = (coreid, fields) => client.accepted(anEvent({ coreid, ...fields }));
const listed = (ids) =>
  until(async () => new Set(await client.devices()).isSupersetOf(new Set(ids)), {
    within: 15_000,
    what: "the list of devices",
  });
const row = (page, id) =>
  page.getByRole("row").filter({ has: page.getByRole("link", { name: id, exact: true }) });
/** Ids as they are shown, from the top. */
const ids = (page) => page.locator("tbody a").allInnerTexts();
const live = (page) => page.locator('.light[data-state="live"]').waitFor();

describe("the list of devices", () => {
  test("changes rows where they stand, and shows new devices when asked to", async () => {
    await publish("live-a", { event: "one", product_id: "77", fw_version: "1.2" });
    await publish("live-c", { event: "one" });
    await listed(["live-a", "live-c"]);
    const page = await browser.open(worker, "#/devices?q=live-");
    await row(page, "live-a").getByText("Online").waitFor();
    for (const text of ["77", "1.2", "one"])
      await row(page, "live-a").getByText(text, { exact: true }).waitFor();
    await live(page);
    await publish("live-c", { event: "two", fw_version: "2.0" });
    await row(page, "live-c").getByText("two", { exact: true }).waitFor();
    await row(page, "live-c").getByText("2.0").waitFor();
    await row(page, "live-c").getByRole("img", { name: "2 events in the last" }).waitFor();
    await publish("live-b", { event: "new" });
    await publish("elsewhere", { event: "new" });
    await page.getByText("1 new device belongs on this page.").waitFor();
    assert.deepEqual(await ids(page), ["live-a", "live-c"]);
    await page.getByRole("button", { name: "Show" }).click();
    await row(page, "live-b").getByText("new", { exact: true }).waitFor();
    assert.deepEqual(await ids(page), ["live-a", "live-b", "live-c"]);
    assert.deepEqual(page.faults, []);
    await page.context().close();
  });

  test("is read page by page, and back", async () => {
    const all = numbers(100, 159).map((n) => `page-${n}`);
    await client.accepted(all.map((coreid) => anEvent({ coreid })));
    await listed(all);
    const page = await browser.open(worker, "#/devices?q=page-");
    await row(page, "page-149").waitFor();
    assert.equal(await page.locator("tbody a").count(), 50);
    await page.getByRole("link", { name: "Next page" }).click();
    await row(page, "page-159").waitFor();
    assert.deepEqual(await ids(page), all.slice(50));
    await live(page);
    // One before this page is none of it; one behind its last is.
    await publish("page-100a");
    await publish("page-200");
    await page.getByText("1 new device belongs on this page.").waitFor();
    assert.deepEqual(await ids(page), all.slice(50));
    await page
      .getByRole("link", { name: "Previous" })
      .or(page.getByRole("link", { name: "First page" }))
      .first()
      .click();
    await row(page, "page-100").waitFor();
    await page.context().close();
  });

  test("is searched by id, event, product and whether they are online, and read by keys", async () => {
    await publish("find-1", { event: "door/front", product_id: "5" });
    await publish("find-2", { event: "temp", product_id: "6" });
    await listed(["find-1", "find-2"]);
    const page = await browser.open(worker, "#/devices");
    await row(page, "find-1").waitFor();
    await page.keyboard.press("/");
    for (const [text, expected] of [
      ["IND-", ["find-1", "find-2"]],
      ["event:door", ["find-1"]],
      ["nd- product:6", ["find-2"]],
    ]) {
      await page.getByRole("searchbox").fill(text);
      await until(async () => String(await ids(page)) === String(expected), { what: text });
    }
    await page.getByRole("combobox", { name: "Which devices" }).selectOption("Offline");
    await page.getByText("No device matches").waitFor();
    await page.getByRole("link", { name: "Show all devices" }).click();
    await row(page, "find-1").waitFor();
    await page.locator("h1").click();
    await page.keyboard.press("j");
    await page.keyboard.press("Enter");
    const [first] = await client.devices();
    await page.getByRole("heading", { level: 1, name: first, exact: true }).waitFor();
    await page.context().close();
  });

  test("shows hostile text as text, also on a narrow screen", async () => {
    await publish("hostile", { event: HOSTILE_NAME, product_id: HOSTILE, fw_version: HOSTILE });
    await listed(["hostile"]);
    for (const width of [1280, 360]) {
      const page = await browser.open(worker, "#/devices?q=hostile", { width, dark: width === 360 });
      await row(page, "hostile").getByText("<img src=").first().waitFor();
      await assertHarmless(page);
      await assertFits(page);
      await page.context().close();
    }
  });

  test("that could not be read, or a device that could not, lives once r was pressed", async () => {
    await publish("late", { event: "before" });
    await listed(["late"]);
    const page = await browser.open(worker);
    for (const [hash, title] of [
      ["#/devices?q=late", "Devices"],
      ["#/devices/late", "late"],
    ]) {
      await page.route("**/v1/**", (route) => route.abort());
      await page.evaluate((hash) => (location.hash = hash), hash);
      await page.getByText("unreachable").waitFor();
      await page.unroute("**/v1/**");
      await page.keyboard.press("r");
      await live(page);
      assert.equal(await page.title(), `${title} · fieldhook`);
      const event = `after-${title}`;
      await publish("late", { event });
      await page.getByText(event, { exact: true }).first().waitFor();
      assert.equal(await page.getByText("unreachable").count(), 0);
    }
    await page.context().close();
  });

  test("says what to do where there is none", async () => {
    const page = await browser.open(worker, "#/devices?q=nobody");
    await page.getByText("No device matches").waitFor();
    await page.context().close();
  });
});
