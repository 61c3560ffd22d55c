// A device's page with simulated devices behind it, over a network that loses replies.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startBrowser } from "../support/browser.mjs";
import { clientOf, numbers, until } from "../support/client.mjs";
import { startSimulator, tableOf } from "../support/simulator.mjs";
import { startWorker } from "../support/worker.mjs";

const DEVICES = numbers(0, 3).map((number) => `51000007${number.toString(16).padStart(16, "0")}`);
/** A reply to a command may be lost more than once, and it is not told again within 10 s. */
const LONG = { timeout: 60_000 };

let browser, worker, fleet;
before(async () => {
  browser = await startBrowser();
  worker = await startWorker({ site: true });
  const size = ["-n", String(DEVICES.length), "--fleet", "7", "--seed", "1"];
  const network = ["--every", "300ms", "--duplicates", "0.1", "--lose", "0.2"];
  fleet = startSimulator(["fleet", "--url", `${worker.url}/hook`, ...size, ...network]);
});
after(async () => {
  fleet?.child.kill("SIGKILL");
  await browser?.stop();
  await worker?.stop();
});

test("a command that is sent in the page is executed once, and the page says acked by itself", async () => {
  const [device] = DEVICES;
  const client = clientOf(worker);
  await until(async () => (await client.devices()).length === DEVICES.length, { what: "the fleet" });
  const page = await browser.open(worker, `#/devices/${device}`);
  await page.locator('.light[data-state="live"]').waitFor();
  await page.getByLabel("Name", { exact: true }).fill("blink");
  await page.getByLabel("Arguments").fill('{"times":3}');
  await page.getByRole("button", { name: "Send" }).click();
  const order = page.getByRole("row").filter({ hasText: "blink" });
  await order.getByText("acked").waitFor(LONG);
  const { body } = await client.read("GET", `/v1/devices/${device}/commands`);
  assert.deepEqual(
    body.commands.map(({ name, state }) => [name, state]),
    [["blink", "acked"]],
  );
  assert.deepEqual(page.faults, []);
  await page.context().close();
  fleet.child.kill("SIGINT");
  const { code, stdout, stderr } = await fleet.ended;
  assert.equal(code, 0, stdout + stderr);
  assert.equal(tableOf(stdout)["commands executed"], 1, stdout);
});
