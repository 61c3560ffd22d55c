// Test counts, read from what each runner prints at its end.

/** `cargo test` prints one such line per test binary; wasm-bindgen-test-runner prints the same. */
export function cargoCounts(output) {
  const results = [...output.matchAll(/^test result: \w+\. (\d+) passed; (\d+) failed/gm)];
  return sum(results.map(([, passed, failed]) => ({ passed: Number(passed), failed: Number(failed) })));
}

/** `node --test` ends with a block of `ℹ pass 3` lines. A cancelled test has not passed. */
export function nodeCounts(output) {
  const last = (name) =>
    Number([...output.matchAll(new RegExp(`^ℹ ${name} (\\d+)$`, "gm"))].at(-1)?.[1] ?? 0);
  return { passed: last("pass"), failed: last("fail") + last("cancelled") };
}

/** A runner that ended badly without naming a failed test has failed all the same. */
export function withCrash(counts, crashed) {
  return crashed && counts.failed === 0 ? { ...counts, failed: 1 } : counts;
}

export function sum(counts) {
  return counts.reduce((a, b) => ({ passed: a.passed + b.passed, failed: a.failed + b.failed }), {
    passed: 0,
    failed: 0,
  });
}
