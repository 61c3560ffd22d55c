// What the list of devices holds: a page that does not shift, and how lively each device was. No DOM in here.

/** The API's rule for `online`. */
export const ONLINE_MS = 15 * 60_000;

/** `68ab event:temp product:12345` as the API's filters. */
export function wanted(search, online) {
  const filter = { search: "", event: "", product: "", online };
  for (const [, field = "search", quoted, word] of search.matchAll(
    /(?:(event|product):)?(?:"([^"]*)"?|(\S+))/g,
  )) {
    filter[field] = quoted ?? word;
  }
  return filter;
}

/** One page of devices, in order of id. Live events change its rows, and never which rows there are. */
export class Rows {
  items = [];
  /** Devices that were heard since, and belong between these rows, by id. */
  fresh = new Map();
  #filter = {};
  #after = "";
  #isLast = true;

  show({ items, next }, filter, after) {
    if (JSON.stringify([filter, after]) !== JSON.stringify([this.#filter, this.#after])) this.fresh.clear();
    this.items = items;
    this.#filter = filter;
    this.#after = after;
    this.#isLast = next === null;
    for (const { id } of items) this.fresh.delete(id);
  }

  /** Puts the new ones where they belong. */
  showFresh() {
    this.items = [...this.items, ...this.fresh.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
    this.fresh.clear();
  }

  /** Takes an event of any device. */
  note({ coreid, event, received_at, product_id, fw_version, seq }) {
    let row = this.items.find(({ id }) => id === coreid) ?? this.fresh.get(coreid);
    if (!row) {
      if (!this.#belongs(coreid, event, product_id)) return;
      row = { id: coreid, events: 0 };
      this.fresh.set(coreid, row);
    }
    if (row.last_heard > received_at) return;
    Object.assign(row, { last_heard: received_at, last_event: event, events: Math.max(row.events, seq) });
    if (product_id) row.product_id = product_id;
    if (fw_version) row.firmware_version = fw_version;
  }

  #belongs(id, name, product) {
    const { search = "", event, product: only, online } = this.#filter;
    if (!(id > this.#after) || !(this.#isLast || id < this.items.at(-1)?.id) || online === "false")
      return false;
    const isFound = [id, name].some((text) => text.toLowerCase().includes(search.toLowerCase()));
    return isFound && name.startsWith(event ?? "") && (!only || product === only);
  }
}

const SPANS = [60, 15, 5].map((minutes) => minutes * 60_000);
const BUCKETS = 30;

/** When events of each device came, as far back as the fleet's newest thousand reach: an hour at most. */
export class Activity {
  span = SPANS[0];
  #since = Date.now();
  #times = new Map();

  /** Begins with the newest events; `isAll` where there are no others. */
  begin(events, isAll) {
    this.#times.clear();
    for (const event of events.toReversed()) this.note(event);
    this.#since = isAll || !events.length ? 0 : Date.parse(events.at(-1).received_at);
    const reach = Date.now() - this.#since;
    this.span = SPANS.find((span) => span <= reach) ?? SPANS.at(-1);
  }

  note({ coreid, received_at }) {
    const times = this.#times.get(coreid) ?? [];
    times.push(Date.parse(received_at));
    const start = Date.now() - this.span;
    while (times[0] < start) times.shift();
    this.#times.set(coreid, times);
  }

  /** How many there were in each part of the span, oldest first; null where it is not known. */
  of(id, now = Date.now()) {
    const width = this.span / BUCKETS;
    const start = now - this.span;
    const values = Array.from({ length: BUCKETS }, (_, index) =>
      start + (index + 1) * width <= this.#since ? null : 0,
    );
    let total = 0;
    for (const at of this.#times.get(id) ?? []) {
      const index = Math.floor((at - start) / width);
      if (index < 0) continue;
      values[Math.min(index, BUCKETS - 1)] += 1;
      total += 1;
    }
    return { values, total };
  }
}
