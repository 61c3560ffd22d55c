// The checker of the soak can fail: each kind of fault, put into a sound record, is found, and nothing else is.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { numbers } from "../support/client.mjs";
import { check } from "./check.mjs";

const DEVICES = ["d1", "d2"];
const perDevice = (make) => Object.fromEntries(DEVICES.map((device) => [device, make(device)]));

/** What a run without a fault has seen: five events of each of two devices. */
function sound() {
  const logs = perDevice((device) => numbers(1, 5).map((seq) => ({ seq, id: `${device}-${seq}` })));
  // Devices take turns, as they do in a merged log.
  const items = numbers(1, 5).flatMap((seq) =>
    DEVICES.map((device) => ({ device, seq, id: `${device}-${seq}` })),
  );
  return {
    // The last one of each log was cut off: nobody was told, and it may be there.
    acknowledged: perDevice((device) => logs[device].slice(0, 4).map(({ id }) => id)),
    logs,
    streams: {
      all: { items: [...items], gaps: 0 },
      d1: { only: "d1", items: items.filter(({ device }) => device === "d1"), gaps: 0 },
    },
    attempts: items.flatMap(({ device, id }) => [
      { device, id, ok: false },
      { device, id, ok: true },
    ]),
    twins: perDevice(() => ({ desired: { a: 1, b: 2 }, reported: { b: 2, a: 1 }, delta: {}, version: 3 })),
    written: perDevice(() => ({ version: 3, desired: { a: 1, b: 2 } })),
    commands: perDevice(() => [
      { id: 1, state: "acked" },
      { id: 2, state: "expired" },
    ]),
    ordered: perDevice(() => [1, 2]),
  };
}

const after = (fault) => {
  const seen = sound();
  fault(seen);
  return check(seen);
};

test("a run without a fault is sound, and all of it is counted", () => {
  const { problems, counts } = check(sound());
  assert.deepEqual(problems, []);
  assert.deepEqual(counts, {
    ...{ acknowledged: 8, logged: 10, lost: 0, doubled: 0 },
    ...{ streams: 2, streamed: 15, missing: 0, repeated: 0, shuffled: 0 },
    ...{ attempts: 20, refused: 10, delivered: 10, redelivered: 0, undelivered: 0 },
    ...{ twins: 2, converged: 2, commands: 4, acked: 2, expired: 2 },
  });
});

test("what at-least-once allows is no fault: an event delivered again after a crash", () => {
  const { problems, counts } = after(({ attempts }) => attempts.splice(4, 0, attempts[1]));
  assert.deepEqual([problems, counts.redelivered], [[], 1]);
});

describe("is found:", () => {
  const faults = {
    "an acknowledged event dropped from a log": {
      fault: ({ logs }) => logs.d1.splice(1, 1),
      counts: { lost: 1 },
    },
    "a log that ends before what was acknowledged": {
      fault: ({ logs }) => logs.d2.splice(3),
      counts: { lost: 1 },
    },
    "a whole log lost": { fault: ({ logs }) => delete logs.d2, counts: { lost: 4 } },
    "an event doubled in a log": {
      fault: ({ logs }) => logs.d1.push({ seq: 6, id: "d1-2" }),
      counts: { doubled: 1, lost: 0 },
    },
    "a log out of order": {
      fault: ({ logs }) => logs.d1.splice(1, 2, logs.d1[2], logs.d1[1]),
      counts: { lost: 0, doubled: 0 },
    },
    "a number that a log skips": {
      fault: ({ logs }) => (logs.d1[4].seq = 6),
      counts: { lost: 0 },
    },
    "an event dropped from a stream": {
      fault: ({ streams }) => streams.all.items.splice(4, 1),
      counts: { missing: 1, repeated: 0, shuffled: 0 },
    },
    "a stream that stops too early": {
      fault: ({ streams }) => streams.d1.items.pop(),
      counts: { missing: 1 },
    },
    "an event doubled in a stream": {
      fault: ({ streams }) => streams.all.items.push(streams.all.items[0]),
      counts: { repeated: 1, missing: 0 },
    },
    "a stream out of order": {
      fault: ({ streams: { d1 } }) => d1.items.splice(1, 2, d1.items[2], d1.items[1]),
      counts: { shuffled: 1, missing: 0, repeated: 0 },
    },
    "another's event in a device's stream": {
      fault: ({ streams }) => streams.d1.items.push({ device: "d2", seq: 1, id: "d2-1" }),
    },
    "a stream that shows what the log does not hold": {
      fault: ({ streams }) => (streams.all.items[0] = { device: "d1", seq: 1, id: "another" }),
    },
    "a gap notice": { fault: ({ streams }) => (streams.all.gaps = 1) },
    "an event that is not delivered": {
      fault: (seen) => (seen.attempts = seen.attempts.filter(({ id }) => id !== "d1-5")),
      counts: { undelivered: 1 },
    },
    "an event that was only tried": {
      fault: (seen) => (seen.attempts = seen.attempts.filter(({ id, ok }) => id !== "d1-5" || !ok)),
      counts: { undelivered: 1 },
    },
    "an event passed over": {
      fault: (seen) => (seen.attempts = seen.attempts.filter(({ id }) => id !== "d1-2")),
      counts: { undelivered: 4 },
    },
    "deliveries out of order": {
      fault: ({ attempts }) => attempts.splice(0, 0, { device: "d1", id: "d1-2", ok: true }),
    },
    "a delivery of what is in no log": {
      fault: ({ attempts }) => attempts.push({ device: "d1", id: "unknown", ok: true }),
    },
    "a twin that has not converged": {
      fault: ({ twins }) => (twins.d1.reported = { a: 1 }),
      counts: { converged: 1 },
    },
    "something still due": { fault: ({ twins }) => (twins.d1.delta = { c: 1 }), counts: { converged: 1 } },
    "a twin older than what was acknowledged": { fault: ({ twins }) => (twins.d1.version = 2) },
    "a twin other than what was acknowledged": {
      fault: ({ written }) => (written.d1.desired = { a: 2 }),
    },
    "a twin that is gone": { fault: ({ twins }) => delete twins.d1 },
    "a command still waiting": { fault: ({ commands }) => (commands.d1[0].state = "sent") },
    "a command that failed": { fault: ({ commands }) => (commands.d1[0].state = "failed") },
    "a command that is gone": { fault: ({ commands }) => commands.d1.pop() },
    "a command doubled": { fault: ({ commands }) => commands.d1.push(commands.d1[0]) },
  };
  for (const [name, { fault, counts = {} }] of Object.entries(faults)) {
    test(name, () => {
      const found = after(fault);
      assert.notDeepEqual(found.problems, []);
      const { lost, doubled, missing, repeated, shuffled, undelivered, converged } = found.counts;
      assert.partialDeepStrictEqual(
        { lost, doubled, missing, repeated, shuffled, undelivered, converged },
        counts,
      );
    });
  }
});
