// The soak: a fleet of virtual devices uses the Worker while workerd is killed at random moments, its service fails
// and its readers come back. At the end everything that was acknowledged is looked for. `npm run soak` is the long
// form, soak.test.mjs the short one.

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { numbers, until } from "../support/client.mjs";
import { startDelivering } from "../support/integrations.mjs";
import { jsonOf, reply, reset } from "../support/service.mjs";
import { startSimulator, tableOf } from "../support/simulator.mjs";
import { startApps } from "./apps.mjs";
import { chanceOf } from "./chance.mjs";
import { check } from "./check.mjs";
import { follow } from "./follow.mjs";

const DEVICES = 20;
/** Device ids of this fleet: 51, the number in six hexadecimal digits, the device's own in sixteen. */
const FLEET = 7;
const EVENTS = "fieldhook";
const FAILS = 0.3;
/** Of what fails: the connection is reset in the place of a status. */
const RESETS = 0.1;
const RETRANSMITS = 0.1;
const LATE = 0.1;
const BURSTS = 0.1;
const LOST_PARTS = 0.05;
/** Twenty-one attempts that fail at 0.3 come once in 10^11 events: nothing is parked. */
const RETRY_SCHEDULE = [...Array(10).fill("0.2"), ...Array(10).fill("1")].join(",");

/**
 * Runs a soak and returns `{ problems, counts }`, of which `problems` is to be empty.
 *
 * @param {object} options
 * @param {number} options.seed decides kills, failures, writes, and what the devices do
 * @param {number} options.kills how many at least
 * @param {number} options.seconds for how long at least there is load
 * @param {number} options.turn the mean milliseconds between two turns of a device
 * @param {number} options.ttl of commands, in seconds
 * @param {number} options.writes how many an app makes in a second
 * @param {number} options.within the most seconds until all is quiet behind the last kill
 * @param {(line: string) => void} options.say hears how it goes
 */
export async function soak({ seed, kills, seconds, turn, ttl, writes, within, say }) {
  const chance = { kills: chanceOf(seed), service: chanceOf(seed + 1), apps: chanceOf(seed + 2) };
  const devices = numbers(0, DEVICES - 1).map(
    (number) => `51${FLEET.toString(16).padStart(6, "0")}${number.toString(16).padStart(16, "0")}`,
  );
  const scratch = mkdtempSync(join(tmpdir(), "fieldhook-soak-"));
  const record = join(scratch, "acknowledged.json");
  const { worker, client, service, integrations, stop } = await startDelivering({
    vars: {
      RETRY_SCHEDULE,
      DELIVERY_TIMEOUT: "20",
      STREAM_OPENS: "1000000",
      DEVICE_RATE: "0",
      KEY_RATE: "0",
    },
  });
  let fleet, apps;
  const streams = [];
  try {
    const attempts = [];
    service.answer((request, response) => {
      const ok = !chance.service.hits(FAILS);
      attempts.push({ ...jsonOf(request), ok });
      service.requests.length = 0; // Half an hour of requests is not to be kept.
      (ok ? reply(200) : chance.service.hits(RESETS) ? reset : reply(500))(request, response);
    });
    const integration = await integrations.create({
      event: EVENTS,
      url: service.url,
      json: { device: "{{{PARTICLE_DEVICE_ID}}}", id: "{{{PARTICLE_EVENT_ID}}}" },
      noDefaults: true,
    });
    streams.push(
      follow(worker, "/v1/events"),
      follow(worker, `/v1/devices/events/${EVENTS}`),
      ...devices.map((device) => follow(worker, `/v1/devices/${device}/events`, { only: device })),
    );
    await Promise.all(streams.map(({ opened }) => opened));
    const began = Date.now();
    fleet = startSimulator([
      ...["fleet", "--url", `${worker.url}/hook`, "-n", String(DEVICES), "--fleet", String(FLEET)],
      ...["--event", `${EVENTS}/temperature`, "--every", `${turn}ms`, "--seed", String(seed)],
      ...["--retransmits", String(RETRANSMITS), "--late", String(LATE), "--bursts", String(BURSTS)],
      ...["--lose", String(LOST_PARTS), "--no-throttle", "--record", record],
    ]);
    // A stream that has shown nothing yet has no place to go on from: what it missed it could not know.
    const begun = () => streams.every(({ items }) => items().length > 0);
    await until(begun, { within: 60_000, what: "the first event of every stream" });
    apps = startApps({ client, devices, chance: chance.apps, ttl, writes });

    let killed = 0;
    for (const end = began + seconds * 1_000; killed < kills || Date.now() < end;) {
      // Most kills meet a Worker that is at work; the others one that has just started, or is still starting.
      if (chance.kills.hits(0.7)) await atWork(streams[0], apps);
      await sleep(chance.kills.wait(Math.max(0, end - Date.now()) / Math.max(1, kills - killed)));
      await worker.kill();
      await worker.restart();
      killed += 1;
      const [events, tried] = [streams[0].items().length, attempts.length];
      say(`${elapsed(began)}: killed ${killed} times, ${events} events streamed, ${tried} deliveries tried`);
    }

    await apps.stop();
    say(`${elapsed(began)}: no more kills and writes`);
    const calm = Date.now() + within * 1_000;
    const states = async () => Promise.all(devices.map((device) => apps.stateOf(device)));
    const quiet = async () => (await states()).every(isQuiet);
    await until(quiet, { within: within * 1_000, every: 500, what: "the end" }).catch(() => {});
    fleet.child.kill("SIGINT");
    const { stdout, stderr, code } = await fleet.ended;
    if (code !== 0) throw new Error(`the fleet ended with ${code}: ${stdout}${stderr}`);
    const logs = {};
    for (const device of devices)
      logs[device] = (await client.log(device)).map(({ seq, id, published_at }) => ({
        seq,
        id,
        published_at,
      }));
    const total = Object.values(logs).reduce((sum, log) => sum + log.length, 0);
    const distinct = () => new Set(attempts.filter(({ ok }) => ok).map(({ id }) => id)).size;
    const arrived = () => {
      const [all, some, ...own] = streams.map(({ items }) => items().length);
      const each = own.reduce((sum, length) => sum + length, 0);
      return [all, some, each, distinct()].every((count) => count >= total);
    };
    // What has not come by then is told by the check, event by event.
    await until(arrived, { within: Math.max(10_000, calm - Date.now()), every: 200 }).catch(() => {});
    await sleep(500); // What comes too often comes now.

    const last = Object.fromEntries((await states()).map((state) => [state.device, state]));
    const of = (part) => Object.fromEntries(devices.map((device) => [device, last[device][part]]));
    const { problems, counts } = check({
      acknowledged: JSON.parse(readFileSync(record, "utf8")),
      logs,
      streams: Object.fromEntries(streams.map((stream) => [stream.path, stream.seen()])),
      attempts,
      twins: of("twin"),
      commands: of("commands"),
      written: apps.written,
      ordered: apps.ordered,
    });
    const { status } = await integrations.get(integration);
    if (status !== "active") problems.push(`the integration is ${status}`);
    for (const { path, faults } of streams) problems.push(...faults.map((fault) => `${path}: ${fault}`));
    const rows = tableOf(stdout);
    return {
      problems,
      counts: {
        seconds: Math.round((Date.now() - began) / 1_000),
        devices: DEVICES,
        kills: killed,
        requests: rows["requests sent"],
        retransmits: rows.retransmits,
        duplicates: rows.duplicates,
        failed: rows.errors,
        reordered: reordered(logs),
        resumed: streams.reduce((sum, stream) => sum + stream.resumed(), 0),
        writes: apps.made(),
        ...counts,
      },
    };
  } finally {
    fleet?.child.kill("SIGKILL");
    await apps?.stop();
    await Promise.all(streams.map((stream) => stream.close()));
    await stop();
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** Waits until something new has come and something more was written, however slow the machine is. */
async function atWork(stream, apps) {
  const [events, made] = [stream.items().length, apps.made()];
  const working = () => stream.items().length > events && apps.made() > made;
  await until(working, { within: 120_000, every: 10 }).catch(() => {});
}

/** A twin that has converged, and no command that waits. */
const isQuiet = ({ twin, commands }) =>
  JSON.stringify(twin.delta) === "{}" &&
  Object.keys(twin.reported).length === Object.keys(twin.desired).length &&
  commands.every(({ state }) => state !== "queued" && state !== "sent");

/** How many events are in a log behind one that was published later. */
function reordered(logs) {
  let count = 0;
  for (const log of Object.values(logs)) {
    let newest = "";
    for (const { published_at } of log) {
      if (published_at < newest) count += 1;
      else newest = published_at;
    }
  }
  return count;
}

const elapsed = (began) => `${String(Math.round((Date.now() - began) / 1_000)).padStart(5)} s`;
