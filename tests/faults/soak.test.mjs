// The short form of the soak: see soak.mjs. `npm run soak` is the long one. FAULTS_SEED has a run again.

import assert from "node:assert/strict";
import { test } from "node:test";
import { seedFrom } from "./chance.mjs";
import { soak } from "./soak.mjs";

test("workerd is killed three times under a fleet, and nothing that was acknowledged is lost", async (t) => {
  const seed = seedFrom(process.env.FAULTS_SEED);
  t.diagnostic(`FAULTS_SEED=${seed}`);
  const { problems, counts } = await soak({
    ...{ seed, kills: 3, seconds: 5, turn: 1_500, ttl: 10, writes: 10, within: 60 },
    say: (line) => t.diagnostic(line),
  });
  t.diagnostic(JSON.stringify(counts));
  assert.deepEqual(problems, [], `FAULTS_SEED=${seed}`);
  for (const made of [
    "acknowledged",
    "retransmits",
    "reordered",
    "resumed",
    "refused",
    "commands",
    "converged",
  ])
    assert.ok(counts[made] > 0, `${made}: ${JSON.stringify(counts)}`);
  assert.ok(counts.kills >= 3 && counts.resumed >= counts.streams, JSON.stringify(counts));
});
