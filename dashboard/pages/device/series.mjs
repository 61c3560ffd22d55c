// What of a log can be charted, and a chart's numbers as points and in words. No DOM in here.

import { isRaw, toNumber } from "../../lib/json.mjs";
import { plural } from "../../lib/time.mjs";

/** Stands for data that is itself a number; no path is empty. */
export const ITSELF = "$";

const NEWEST = 200;
const DEEP = 6;
const WIDE = 20;
/** So many paths are offered, none longer than that; what else an event holds is not gone through. */
const PATHS = 200;
const LONG = 200;
const NODES = 2_000;

/** A text that is a number counts as one, as for the API. */
const isNumber = (value) =>
  typeof value === "number" ||
  isRaw(value) ||
  (typeof value === "string" && value.trim() !== "" && Number.isFinite(Number(value)));

/** Paths of the numbers in these events, the most frequent first. */
export function fieldsOf(events) {
  const seen = new Map();
  for (const event of events.slice(0, NEWEST)) {
    for (const path of pathsOf(event)) {
      if (seen.has(path) || seen.size < PATHS) seen.set(path, (seen.get(path) ?? 0) + 1);
    }
  }
  return [...seen].sort(([, a], [, b]) => b - a).map(([path]) => path);
}

/** Paths by event: a busy log is asked for them with every event. */
const known = new WeakMap();

function pathsOf(event) {
  const found = known.get(event) ?? [];
  if (known.has(event)) return found;
  let nodes = 0;
  const walk = (value, path, depth) => {
    nodes += 1;
    if (isNumber(value)) found.push(path);
    else if (value && typeof value === "object" && depth < DEEP) {
      for (const key of Object.keys(value).slice(0, WIDE)) {
        if (nodes >= NODES || found.length >= PATHS) return;
        const to = path === ITSELF ? key : `${path}.${key}`;
        if (key !== "_v" && key !== "_ack" && to.length <= LONG) walk(value[key], to, depth + 1);
      }
    }
  };
  walk(event.data, ITSELF, 0);
  known.set(event, found);
  return found;
}

/** Where a chart of the last `span` ms begins: with the device, where it is younger; a minute is the least. */
export function beginOf(to, span, since) {
  const [end, first] = [Date.parse(to), Date.parse(since)];
  const young = Number.isNaN(first) ? 0 : Math.min(first - 1_000, end - 60_000);
  return new Date(Math.max(end - span, young)).toISOString();
}

/** The answer of the API, its numbers as numbers: digits do not matter in a chart. */
export const plain = (series) => ({
  ...series,
  buckets: series.buckets.map(({ min, max, mean, ...rest }) => ({
    ...rest,
    min: toNumber(min),
    max: toNumber(max),
    mean: toNumber(mean),
  })),
});

/** `[times in seconds, min, max, mean]` for uPlot; null where much longer than usual nothing came. */
export function pointsOf({ buckets, width }) {
  const points = [[], [], [], []];
  const times = buckets.map(({ at }) => Date.parse(at) + width / 2);
  const steps = times.slice(1).map((time, index) => time - times[index]);
  const usual = steps.toSorted((a, b) => a - b)[steps.length >> 1] ?? width;
  const gap = Math.max(5 * usual, 2 * width);
  buckets.forEach(({ min, max, mean }, index) => {
    if (steps[index - 1] > gap) push((times[index - 1] + times[index]) / 2, null, null, null);
    push(times[index], min, max, mean);
  });
  function push(time, ...values) {
    [time / 1000, ...values].forEach((value, place) => points[place].push(value));
  }
  return points;
}

/** The chart in words. */
export function summaryOf({ buckets }, name, when, timeOf) {
  const total = buckets.reduce((sum, bucket) => sum + bucket.count, 0);
  const mean = buckets.reduce((sum, bucket) => sum + bucket.mean * bucket.count, 0) / total;
  const ends = [Math.min(...buckets.map(({ min }) => min)), Math.max(...buckets.map(({ max }) => max))];
  const [low, high, middle, last] = [...ends, mean, buckets.at(-1).mean].map((value) =>
    Number(value.toPrecision(6)),
  );
  return `${name} in ${when}: ${plural(total, "value")}, lowest ${low}, highest ${high}, mean ${middle}; last ${last} at ${timeOf(buckets.at(-1).at)}.`;
}
