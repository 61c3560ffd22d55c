// The rounds: every window once in each, in an order that chance decides anew.

import { say } from "../scripts/lib/console.mjs";
import { LOWEST } from "./parts/rates.mjs";
import { median, shuffled, spread } from "./statistics.mjs";

/**
 * @param {object} parts  of rates.mjs, by name
 * @param {object} plan  `rounds`, `seconds` of a window, `lead` before it is counted, `warmUp`
 * @returns ratios with their spread, and each window's median rate, latencies and CPU
 */
export async function measureRounds(windows, parts, plan) {
  const all = Object.values(parts).flatMap((part) => Object.entries(part.windows));
  for (const [name, options] of all) {
    say(`  warming up: ${name}`);
    await windows.warmUp({ ...options, seconds: plan.warmUp });
  }
  const rounds = [];
  for (let round = 1; round <= plan.rounds; round++) {
    const began = Date.now();
    rounds.push(await oneRound(windows, parts, plan));
    const seconds = ((Date.now() - began) / 1000).toFixed(0);
    say(`  round ${round} of ${plan.rounds} in ${seconds} s: ${progress(parts, rounds.at(-1))}`);
  }
  return { ratios: withLowest(ratiosOf(parts, rounds)), windows: mediansOf(all, rounds) };
}

async function oneRound(windows, parts, { seconds, lead }) {
  const round = {};
  for (const part of shuffled(Object.values(parts))) {
    for (const [name, options] of shuffled(Object.entries(part.windows))) {
      // CPU is told for the whole of a window, so that one has no lead.
      round[name] = await windows.take({ ...options, seconds, lead: options.on === "memory" ? 0 : lead });
    }
  }
  return round;
}

function ratiosOf(parts, rounds) {
  const ratios = {};
  for (const part of Object.values(parts)) {
    for (const [name, of] of Object.entries(part.ratios)) {
      ratios[name] = spread(rounds.map((round) => ratio(round, of)));
    }
  }
  return ratios;
}

function withLowest(ratios) {
  for (const [name, of] of Object.entries(LOWEST)) {
    const measured = of.map((one) => ratios[one]).filter(Boolean);
    if (measured.length) ratios[name] = measured.reduce((a, b) => (b.median < a.median ? b : a));
  }
  return ratios;
}

function ratio(round, [above, below, of]) {
  return round[above][of] / round[below][of];
}

function mediansOf(all, rounds) {
  const figures = ["rate", "p50", "p99", "cpu"];
  const medians = ([name]) => [
    name,
    Object.fromEntries(figures.map((figure) => [figure, median(rounds.map((round) => round[name][figure]))])),
  ];
  return Object.fromEntries(all.map(medians));
}

function progress(parts, round) {
  const shown = Object.values(parts).flatMap((part) => Object.entries(part.ratios));
  return shown.map(([name, of]) => `${name} ${ratio(round, of).toFixed(2)}`).join(", ");
}
