// Times as people read them.

const UNITS = [
  ["day", 86_400_000],
  ["hour", 3_600_000],
  ["minute", 60_000],
  ["second", 1_000],
];
const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "short" });
const local = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const clock = new Intl.DateTimeFormat("en-GB", {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  fractionalSecondDigits: 3,
});
const numbers = new Intl.NumberFormat("en");

/** `3 min. ago`; `now` below two seconds. */
export function ago(at, now = Date.now()) {
  const passed = new Date(at) - now;
  if (Number.isNaN(passed)) return "";
  const [unit, size] = UNITS.find(([, size]) => Math.abs(passed) >= size) ?? UNITS.at(-1);
  return Math.abs(passed) < 2_000 ? "now" : relative.format(Math.trunc(passed / size), unit);
}

/** The local date and time. */
export const absolute = (at) => (isTime(at) ? local.format(new Date(at)) : "");
/** `14:03:07.120`, local. */
export const clockTime = (at) => (isTime(at) ? clock.format(new Date(at)) : "");
/** `2026-11-22T14:03:07.120Z`. */
export const utc = (at) => (isTime(at) ? new Date(at).toISOString() : "");
export const isTime = (at) => at !== null && at !== undefined && !Number.isNaN(Number(new Date(at)));

/** `12,345`. */
export const count = (value) => numbers.format(value ?? 0);
/** `1 event`, `2 events`. */
export const plural = (value, one, many = `${one}s`) => `${count(value)} ${value === 1 ? one : many}`;
/** `310 ms`, `1.2 s`, `2 h`. */
export function duration(ms) {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  const [unit, size] = UNITS.find(([, size]) => ms >= size);
  return `${Number((ms / size).toFixed(1))} ${{ second: "s", minute: "min", hour: "h", day: "d" }[unit]}`;
}
