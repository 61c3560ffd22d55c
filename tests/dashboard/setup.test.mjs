// From an empty deployment to the first event, in a real browser.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { assertFits, assertHarmless, copied, HOSTILE, signIn, startBrowser } from "../support/browser.mjs";
import { anEvent, clientOf } from "../support/client.mjs";
import { ADMIN, READ, startWorker, TOKEN } from "../support/worker.mjs";

let browser, worker, client;
before(async () => {
  browser = await startBrowser();
  worker = await startWorker({ site: true });
  client = clientOf(worker);
});
after(async () => {
  await browser.stop();
  await worker.stop();
});

const heading = (page, name) => page.getByRole("heading", { level: 1, name }).waitFor();

test("a token is asked for once, and kept nowhere that a script can read", async () => {
  const page = await browser.open(worker, "", { token: null });
  await page.getByLabel("Read or admin token").fill("wrong-token-0123456789");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("alert").getByText("bad-token").waitFor();
  await signIn(page, READ);
  await heading(page, "Set-up");
  const kept = await page.evaluate(() =>
    JSON.stringify([
      { ...localStorage },
      { ...sessionStorage },
      document.cookie,
      location.href,
      document.body.outerHTML,
    ]),
  );
  assert.doesNotMatch(kept, /test-read-token/);
  await page.reload();
  await heading(page, "Set-up");
  await page.context().setOffline(true);
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByText(/^You are still signed in.*\(unreachable\)$/).waitFor();
  await page.context().setOffline(false);
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByLabel("Read or admin token").waitFor();
  await page.reload();
  await page.getByLabel("Read or admin token").waitFor();
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("a page with nothing to show yet says what to do next", async () => {
  const page = await browser.open(worker, "#/setup");
  for (const [name, title, role, next] of [
    ["Devices", "No devices yet", "link", "Set-up"],
    ["Events", "Waiting for events", "link", "Set-up"],
    ["Integrations", "No integrations yet", "button", "New integration"],
    ["Overview", "No delivery has failed", "link", "Integrations"],
  ]) {
    await page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name }).click();
    await heading(page, name);
    const empty = page.locator(".empty").filter({ hasText: title });
    await empty.getByRole(role, { name: next }).waitFor();
  }
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("with nothing heard yet set-up opens; its definition has this address, and its curl turns the light green", async () => {
  const page = await browser.open(worker);
  await heading(page, "Set-up");
  await page.locator('[data-light="waiting"]').waitFor();
  await page.getByLabel("Events whose name starts with").fill("temp");
  await page.getByRole("button", { name: "Copy definition" }).click();
  const definition = JSON.parse(await copied(page));
  const template = JSON.parse(
    readFileSync(new URL("../../particle/integration.json", import.meta.url), "utf8"),
  );
  assert.deepEqual(definition, { ...template, event: "temp", url: `${worker.url}/hook` });
  await page.getByRole("button", { name: "Copy curl" }).click();
  const [, ...command] = (await copied(page)).split("\n");
  await promisify(execFile)("bash", ["-c", command.join("\n")], { env: { ...process.env, TOKEN } });
  await page.locator('[data-light="green"]').getByText("An event has arrived").waitFor();
  await page.locator('[data-light="green"]').getByText("hello").waitFor();
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("once something was heard the overview opens, and set-up is green from the start", async () => {
  await client.accepted(anEvent({ event: HOSTILE.slice(0, 64).trim(), coreid: "first" }));
  const page = await browser.open(worker, "", { width: 360 });
  await heading(page, "Overview");
  await page.getByRole("link", { name: "Set-up" }).click();
  await page.locator('[data-light="green"]').getByText("Events arrive").waitFor();
  await assertHarmless(page);
  await assertFits(page);
  await page.context().close();
});

test("where nothing answers it says so, and goes on when asked to", async () => {
  const page = await browser.open(worker, "#/setup");
  const definition = page.getByLabel("The definition", { exact: true });
  await definition.waitFor();
  await page.getByRole("link", { name: "Overview" }).click();
  await heading(page, "Overview");
  await page.context().setOffline(true);
  await page.getByRole("link", { name: "Set-up" }).click();
  const alert = page.locator(".template").getByRole("alert");
  await alert.getByText("unreachable", { exact: true }).waitFor();
  await alert.getByText("fieldhook does not answer").waitFor();
  await page.context().setOffline(false);
  await alert.getByRole("button", { name: "Try again" }).click();
  await definition.waitFor();
  await page.context().close();
});

test("keys are listed, and do nothing while one types", async () => {
  const page = await browser.open(worker, "#/setup", { token: ADMIN });
  await page.getByLabel("Events whose name starts with").pressSequentially("j?k");
  assert.equal(await page.getByRole("dialog").count(), 0);
  await page.keyboard.press("Escape");
  await page.keyboard.press("?");
  await page.getByRole("dialog", { name: "Keys" }).getByText("Search", { exact: true }).waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  await page.context().close();
});
