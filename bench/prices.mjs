// What the platform charges, in one place: US dollars per million of each, Workers Paid plan, as listed by
// https://developers.cloudflare.com/workers/platform/pricing/ and .../durable-objects/platform/pricing/ (November 2026,
// the same as in our notes on the platform). Free allowances are not here: see docs/COST.md.

export const PRICES = {
  requests: { price: 0.3, what: "Worker requests" },
  cpuMs: { price: 0.02, what: "CPU milliseconds" },
  objectRequests: { price: 0.15, what: "object requests and alarms" },
  gbSeconds: { price: 12.5, what: "GB-seconds of objects" },
  rowsWritten: { price: 1, what: "rows written, alarms that are set included" },
  rowsRead: { price: 0.001, what: "rows read" },
  kvReads: { price: 0.5, what: "KV reads" },
  kvWrites: { price: 5, what: "KV writes" },
};

/** Dollars for a million events, of counts per event; in all and by item. */
export function dollars(perEvent) {
  const items = Object.entries(PRICES).map(([name, { price }]) => [name, (perEvent[name] ?? 0) * price]);
  return { items: Object.fromEntries(items), all: items.reduce((sum, [, item]) => sum + item, 0) };
}
