// The overview in a real browser: what is counted, what needs somebody, and what failed last.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { assertHarmless, HOSTILE, startBrowser } from "../support/browser.mjs";
import { anEvent, clientOf, numbers, until } from "../support/client.mjs";
import { READ, startWorker } from "../support/worker.mjs";

let browser, worker, client;
before(async () => {
  browser = await startBrowser();
  // What is delivered is refused for good, so that it is given up at once.
  worker = await startWorker({ site: true, outbound: () => new Response("no", { status: 404 }) });
  client = clientOf(worker);
});
after(async () => {
  await browser.stop();
  await worker.stop();
});

const figure = (page, name, text) =>
  page.locator(`[data-figure="${name}"]`).getByText(text, { exact: true }).waitFor();

test("shows a quiet deployment as one that needs nobody", async () => {
  const page = await browser.open(worker, "#/overview", { token: READ });
  await figure(page, "events", "0");
  await figure(page, "online", "0");
  await page.locator('[data-attention="none"]').waitFor();
  await page.getByText("No delivery has failed").waitFor();
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("shows what was counted today, and leads to what went wrong", async () => {
  const name = HOSTILE.slice(0, 60);
  const url = "https://service.example/in";
  await client.admin("POST", "/v1/integrations", { event: "fails", name, url, requestType: "POST" });
  const page = await browser.open(worker, "#/overview");
  await client.accepted(numbers(1, 500).map((n) => anEvent({ coreid: `counted-${n % 3}` })));
  await client.accepted(anEvent({ coreid: "counted-0", event: "fails" }));
  await client.publish({ data: "no name" });
  const { body: list } = await client.read("GET", "/v1/integrations");
  const parked = async () =>
    (await client.read("GET", `/v1/integrations/${list[0].id}`)).body.counts.parked === 1;
  await until(parked, { within: 15_000, what: "a delivery that is given up" });
  await page.keyboard.press("r");
  await figure(page, "events", "501");
  await figure(page, "online", "3");
  const attention = page.getByRole("listitem");
  await attention.getByText("gave up 1 delivery").waitFor();
  await attention.getByText("1 event is in quarantine").waitFor();
  await page
    .getByRole("list", { name: "Newest failures" })
    .getByText("error status 404 from service.example")
    .waitFor();
  await assertHarmless(page);
  await page.getByRole("link", { name: "Replay" }).click();
  await page.waitForURL(`**/#/integrations/${list[0].id}`);
  await page.context().close();
});

test("does not say that all is well where it could not look", async () => {
  const page = await browser.open(worker, "#/setup");
  const problem = { code: "unavailable", title: "A part did not answer", status: 503, detail: "try again" };
  const answer = { status: 503, contentType: "application/problem+json", body: JSON.stringify(problem) };
  await page.route(/\/v1\/(quarantine|integrations)/, (route) => route.fulfill(answer));
  await page.goto(`${worker.url}/#/overview`);
  await figure(page, "online", "3");
  const attention = page.locator(".card", { hasText: "What needs attention first" });
  await attention.getByText("unavailable").waitFor();
  assert.equal(await page.locator('[data-attention="none"]').count(), 0);
  await page.unroute(/\/v1\/(quarantine|integrations)/);
  await attention.getByRole("button", { name: "Try again" }).click();
  await attention.getByText("gave up 1 delivery").waitFor();
  await page.context().close();
});
