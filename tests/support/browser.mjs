// A real Chromium at the dashboard of a Worker under test, as a person uses it; and what it must never do.

import assert from "node:assert/strict";
import { chromium } from "playwright-core";
import { findChromium } from "../../scripts/lib/chromium.mjs";
import { ADMIN } from "./worker.mjs";

const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** What hostile text would run, were it ever taken for more than text: it leaves a mark, or asks another host. */
export const HOSTILE = `"><img src="https://elsewhere.invalid/x" onerror="window.ran=1"><script>window.ran=1</script>\u202egnp.exe{{7*7}}`;

/** Starts Chromium with an empty profile; `stop` ends it. */
export async function startBrowser() {
  const browser = await chromium.launch({ executablePath: findChromium(), args: FLAGS });
  return {
    stop: () => browser.close(),
    /**
     * A page of its own, with its own cookies, signed in unless `token` is null.
     *
     * @returns Playwright's page, with `faults`: what no page may do, empty if all is well
     */
    async open(
      worker,
      hash = "",
      { token = ADMIN, width = 1280, height = 800, dark = false, axe = false } = {},
    ) {
      const context = await browser.newContext({
        viewport: { width, height },
        colorScheme: dark ? "dark" : "light",
        permissions: ["clipboard-read", "clipboard-write"],
        timezoneId: "UTC",
        // axe-core comes as a script from elsewhere.
        bypassCSP: axe,
      });
      const page = await context.newPage();
      page.setDefaultTimeout(20_000);
      page.faults = watch(page, worker.url);
      await page.goto(`${worker.url}/${hash}`);
      if (token !== null) await signIn(page, token);
      return page;
    },
  };
}

/** Pastes a token into the page that asks for one. */
export async function signIn(page, token = ADMIN) {
  await page.getByLabel("Read or admin token").fill(token);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("navigation", { name: "Pages", exact: true }).waitFor();
}

/** Collects faults: requests to elsewhere (none leaves), errors of scripts, what the policy refused, dialogs. */
function watch(page, origin) {
  const faults = [];
  page.on("pageerror", (error) => faults.push(`error: ${error.message}`));
  page.on("dialog", (dialog) => {
    faults.push(`dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  page.on("console", (message) => {
    if (/Content Security Policy|TrustedHTML|Refused to/i.test(message.text())) faults.push(message.text());
  });
  page.context().on("request", (request) => {
    const url = new URL(request.url());
    if (url.origin !== origin && url.protocol !== "data:") faults.push(`request: ${request.url()}`);
  });
  return faults;
}

/** Nothing of what it was shown has run, and it has called nobody. */
export async function assertHarmless(page) {
  assert.equal(await page.evaluate(() => window.ran), undefined, "a script has run");
  assert.deepEqual(page.faults, []);
  assert.equal(await page.locator("#app img, #app script, #app iframe").count(), 0);
}

/** No wider than the window: what is wide scrolls in a box of its own. */
export async function assertFits(page) {
  const beyond = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(beyond <= 0, `the page is ${beyond} px too wide`);
}

/** The text that the page has copied. */
export const copied = (page) => page.evaluate(() => navigator.clipboard.readText());

/** Bytes that the page's scripts hold, after all garbage is gone. */
export async function heapOf(page) {
  const devtools = await page.context().newCDPSession(page);
  await devtools.send("HeapProfiler.collectGarbage");
  const { usedSize } = await devtools.send("Runtime.getHeapUsage");
  await devtools.detach();
  return usedSize;
}
