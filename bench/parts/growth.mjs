// How the reply's latency changes as things grow: devices, a log, integrations, streams, events. One connection, so
// that nothing waits in a queue; where work is left to be done behind the answer, a pause in which it is done.

import { say } from "../../scripts/lib/console.mjs";
import { startService } from "./growth/service.mjs";
import { fillLog } from "./growth/log.mjs";
import { define } from "./growth/integrations.mjs";
import { median, shuffled, spread } from "../statistics.mjs";

const one = { subject: "fieldhook", on: "memory", kind: "new", connections: 1 };

/** Each dimension: the loads that are compared, the first of them the base. */
function dimensions({ isQuick, service }) {
  const devices = isQuick ? [1, 100, 1_000] : [1, 100, 10_000];
  const rows = isQuick ? [10, 10_000] : [10, 10_000, 1_000_000];
  // They may sleep: an object that is awake holds files open, and of 10,000 that would be more than a system allows. So
  // of the most devices each event wakes its own.
  const perDevice = (count) => ({
    ...one,
    tag: "devices",
    devices: count,
    prefix: `d${count}-`,
    staysAwake: false,
  });
  const perRow = (count) => ({
    ...one,
    tag: `log ${count}`,
    devices: 1,
    fill: (subject) => fillLog(subject, count),
  });
  const perIntegration = (event) => (count) => ({
    ...one,
    tag: `${count} integrations ${event}`,
    devices: 1,
    pause: 20 + 4 * count,
    fill: (subject) => define(subject, count, event, service.url),
  });
  const perStream = (clients) => ({
    ...one,
    tag: `${clients} growing`,
    devices: 1,
    clients,
    pause: 20 + clients / 4,
  });
  const perByte = (size) => ({ ...one, tag: "size", devices: 1, size, prefix: `s${size}-` });
  const each = (values, make) => Object.fromEntries(values.map((value) => [value, make(value)]));
  return {
    devices: each(devices, perDevice),
    log_rows: each(rows, perRow),
    integrations: each([0, 10, 100], perIntegration("environment")),
    integrations_of_other_events: each([0, 10, 100], perIntegration("other")),
    streams: each([0, 100, 1_000], perStream),
    event_bytes: each([100, 1_024, 16_384], perByte),
  };
}

/** @returns ratios of the median latency to that of the base, and each value's latencies */
export async function measureGrowth(windows, { rounds, isQuick }) {
  const seconds = isQuick ? 0.5 : 2;
  const service = await startService();
  const [ratios, latencies] = [{}, {}];
  try {
    for (const [dimension, values] of Object.entries(dimensions({ isQuick, service }))) {
      // Objects keep numbers as keys in order: the first is the base.
      const names = Object.keys(values);
      for (const name of names)
        await windows.take({ ...values[name], count: isQuick ? 100 : 1_000, pause: 0 });
      const taken = [];
      for (let round = 0; round < rounds; round++) {
        const results = {};
        for (const name of shuffled(names)) results[name] = await windows.take({ ...values[name], seconds });
        taken.push(results);
      }
      for (const name of names) {
        const of = (figure) => median(taken.map((results) => results[name][figure]));
        latencies[`${dimension} ${name}`] = { p50: of("p50"), p99: of("p99"), cpu: of("cpu") };
        if (name === names[0]) continue;
        ratios[`growth_${dimension}_${name}`] = spread(taken.map((all) => all[name].p50 / all[names[0]].p50));
      }
      const shown = names.map((name) => `${name}: ${latencies[`${dimension} ${name}`].p50.toFixed(2)} ms`);
      say(`  ${dimension.replaceAll("_", " ")}: ${shown.join(", ")}`);
    }
  } finally {
    service.stop();
  }
  return { ratios, latencies };
}
