// Quarantine in a real browser: why something was refused, its raw body, and ways to take it in after all.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { assertFits, assertHarmless, copied, HOSTILE, startBrowser } from "../support/browser.mjs";
import { anEvent, clientOf, until } from "../support/client.mjs";
import { PARTICLE_AGENT } from "../support/send.mjs";
import { READ, startWorker } from "../support/worker.mjs";

const FIRST_ONLY = { DEVICE_RATE: "0.0001", DEVICE_BURST: "1" };
const persist = mkdtempSync(join(tmpdir(), "fieldhook-quarantine-"));
const particle = { "user-agent": PARTICLE_AGENT };

let browser, worker, client;
before(async () => {
  browser = await startBrowser();
  await start();
});
after(async () => {
  await browser?.stop();
  await worker?.stop();
  rmSync(persist, { recursive: true, force: true });
});

async function start(vars) {
  worker = await startWorker({ site: true, persist, vars });
  client = clientOf(worker);
}

const open = (options) => browser.open(worker, "#/quarantine", options);
const button = (page, name) => page.getByRole("button", { name, exact: true });
const row = (page, text) => page.locator("tbody tr", { hasText: text });
const refuse = async (body, options) => assert.equal((await client.publish(body, options)).status, 400);

test("empty, it says what would land here; with a read token, what is needed to see it", async () => {
  const page = await open();
  await page.getByText("Nothing is in quarantine").waitFor();
  const reader = await open({ token: READ });
  await reader.getByText("Quarantine needs an admin token").waitFor();
  assert.deepEqual([...page.faults, ...reader.faults], []);
  await page.context().close();
  await reader.context().close();
});

test("an entry says why, whence and when, and is taken in with its body mended", async () => {
  const body = `{"event": "greenhouse", "data": "{"t":21.50}", "coreid": "mended"}`;
  await refuse(body, { to: "/hook/barn?note=low" });
  const page = await open();
  await row(page, "bad-json").getByText("barn").waitFor();
  await page.keyboard.press("j");
  await page.keyboard.press("Enter");
  const dialog = page.getByRole("dialog");
  assert.equal(await dialog.getByLabel("Body as it came").innerText(), body);
  await dialog.getByText("POST /hook/barn?note=low").waitFor();
  await dialog.getByText("application/json").waitFor();
  await button(page, "Copy body").click();
  await until(async () => (await copied(page)) === body);
  await button(page, "Replay").click();
  await dialog.getByRole("alert").getByText("bad-json", { exact: true }).waitFor();
  assert.deepEqual(await client.devices(), [], "what is still refused stays");
  await page.getByLabel("Body to replay").fill(body.replace('"{', "{").replace('}"', "}"));
  await button(page, "Replay mended").click();
  await page.getByText("Taken in: number 1 in the log of mended.").waitFor();
  await page.getByText("Nothing is in quarantine").waitFor();
  assert.deepEqual((await client.newest("mended")).data, { t: 21.5 });
  await page.context().close();
});

test("several are replayed once what refused them was mended; those still refused stay", async () => {
  await worker.stop();
  await start(FIRST_ONLY);
  for (const data of ["first", "second", "third"]) {
    const event = anEvent({ coreid: "calm", data });
    assert.ok((await client.publish(event, particle)).ok);
  }
  await refuse("{");
  await worker.stop();
  await start({ DEVICE_RATE: "0" });
  const page = await open();
  await row(page, "rate-limited").nth(1).waitFor();
  assert.equal(await button(page, "Replay chosen").isDisabled(), true);
  await page.getByLabel("All 3 shown").check();
  // A box that was ticked types nothing: the keys go on.
  await page.keyboard.press("j");
  await page.locator("tbody tr[aria-current]").waitFor();
  await button(page, "Replay chosen").click();
  await page.getByRole("alert").getByText("1 entry is still refused").waitFor();
  await page.getByText("2 entries taken in").waitFor();
  await until(async () => (await row(page, "").count()) === 1);
  assert.deepEqual((await client.log("calm")).map(({ data }) => data).sort(), ["first", "second", "third"]);
  await button(page, "Remove chosen").click();
  await page.getByRole("dialog").getByRole("button", { name: "Remove" }).click();
  await page.getByText("Nothing is in quarantine").waitFor();
  await page.context().close();
});

test("a hostile body is shown as text, and one that is no text as base64", async () => {
  await refuse(`{"event": "x", "data": ${HOSTILE}`, { to: `/hook?x=${encodeURIComponent(HOSTILE)}` });
  await refuse(Buffer.from([0x7b, 0xff, 0x00]));
  for (const [width, dark] of [
    [1280, false],
    [360, true],
  ]) {
    const page = await open({ width, dark });
    await row(page, "not text").waitFor();
    await assertFits(page);
    await row(page, "not text").getByRole("button").click();
    // To be seen, and not only there: before that nothing hears the key.
    await page.getByLabel("Body as it came").waitFor();
    assert.equal(await page.getByLabel("Body as it came").innerText(), "e/8A");
    await page.keyboard.press("Escape");
    await row(page, "window.ran").getByRole("button").click();
    await page.getByLabel("Body as it came").getByText("window.ran=1").waitFor();
    await assertHarmless(page);
    await assertFits(page);
    await page.context().close();
  }
});
