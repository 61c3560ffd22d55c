// Every page, light and dark, wide and narrow: no serious fault that axe-core knows, and no page wider than its window.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { assertFits, assertHarmless, HOSTILE, startBrowser } from "../support/browser.mjs";
import { anEvent, clientOf, until } from "../support/client.mjs";
import { startWorker } from "../support/worker.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const SERIOUS = ["serious", "critical"];

let browser, worker, integration;
before(async () => {
  browser = await startBrowser();
  worker = await startWorker({ site: true });
  const client = clientOf(worker);
  const made = await client.admin("POST", "/v1/integrations", {
    event: "temp",
    name: HOSTILE.slice(0, 60),
    url: "https://service.example/in",
    requestType: "POST",
  });
  integration = made.body.id;
  await client.accepted(
    anEvent({ coreid: "seen", data: '{"celsius":21.50,"deep":{"list":[1,null,true,"x"]}}' }),
  );
  await client.accepted(anEvent({ coreid: "seen", event: HOSTILE.slice(0, 64).trim(), data: HOSTILE }));
  await client.publish({ data: HOSTILE });
  await client.admin("PATCH", "/v1/devices/seen/twin", { interval: 5, [HOSTILE]: HOSTILE });
  await client.admin("POST", "/v1/devices/seen/commands", { name: "blink", args: { times: 3 } });
  await until(async () => (await client.devices()).includes("seen"));
});
after(async () => {
  await browser.stop();
  await worker.stop();
});

const PAGES = {
  "#/setup": "Set-up",
  "#/overview": "Overview",
  "#/events": "Events",
  "#/devices": "Devices",
  "#/devices/seen": "a device",
  "#/integrations": "Integrations",
  "#/integrations/{id}": "an integration",
  "#/quarantine": "Quarantine",
};

for (const [hash, name] of Object.entries(PAGES))
  test(name, async () => {
    const page = await browser.open(worker, hash.replace("{id}", integration), { axe: true });
    await page.getByRole("heading", { level: 1 }).waitFor();
    await page.locator(".loading").first().waitFor({ state: "detached" });
    if (name === "Events") await page.keyboard.press("j");
    await page.evaluate(AXE);
    for (const colorScheme of ["light", "dark"]) {
      for (const width of [1280, 360]) {
        await page.emulateMedia({ colorScheme });
        await page.setViewportSize({ width, height: 800 });
        const { violations } = await page.evaluate(() => window.axe.run());
        const serious = violations
          .filter(({ impact }) => SERIOUS.includes(impact))
          .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 200)).join("\n")}`);
        assert.deepEqual(serious, [], `${colorScheme}, ${width} px wide`);
        await assertFits(page);
        const cut = await page
          .locator(".nav li span")
          .evaluateAll((names) => names.filter((name) => name.scrollWidth > name.clientWidth).length);
        assert.equal(cut, 0, "a page's name is cut in the navigation");
      }
    }
    await assertHarmless(page);
    await page.context().close();
  });
