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

/** So many new ones are kept beside a page. */
const FRESH = 100;

/** One page of devices, in order of id. Live events change its rows, and never which rows there are. */
export class Rows {
  items = [];
  /** Devices that were heard since, and belong between these rows, by id. */
  fresh = new Map();
  /** There were more of them than are kept: the page is to be read again. */
  isOver = false;
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
    for (const id of this.fresh.keys()) if (!this.#isWithin(id)) this.fresh.delete(id);
    this.isOver = false;
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
      if (this.isOver || !this.#belongs(coreid, event, product_id)) return;
      if (this.fresh.size >= FRESH) return void (this.isOver = true);
      row = { id: coreid, events: 0 };
      this.fresh.set(coreid, row);
    }
    if (row.last_heard > received_at) return;
    Object.assign(row, { last_heard: received_at, last_event: event, events: Math.max(row.events, seq) });
    if (product_id) row.product_id = product_id;
    if (fw_version) row.firmware_version = fw_version;
  }

  #isWithin(id) {
    return id > this.#after && (this.#isLast || id < this.items.at(-1)?.id);
  }

  #belongs(id, name, product) {
    const { search = "", event, product: only, online } = this.#filter;
    if (!this.#isWithin(id) || online === "false") return false;
    const isFound = [id, name].some((text) => text.toLowerCase().includes(search.toLowerCase()));
    return isFound && name.startsWith(event ?? "") && (!only || product === only);
  }
}

const SPANS = [60, 15, 5].map((minutes) => minutes * 60_000);
const BUCKETS = 30;
/** Of so many devices, those that were heard last, it is known. */
const DEVICES = 5_000;

/** How often each device was heard, as far back as the fleet's newest thousand events reach: an hour at most. */
export class Activity {
  span = SPANS[0];
  #since = Date.now();
  /** By device, the one heard last at the end: how many events there were in each part of time that had some. */
  #counts = new Map();

  /** Begins with the newest events; `isAll` where there are no others. */
  begin(events, isAll) {
    this.#since = isAll || !events.length ? 0 : Date.parse(events.at(-1).received_at);
    const reach = Date.now() - this.#since;
    this.span = SPANS.find((span) => span <= reach) ?? SPANS.at(-1);
    this.#counts.clear();
    for (const event of events.toReversed()) this.note(event);
  }

  get #width() {
    return this.span / BUCKETS;
  }

  note({ coreid, received_at }) {
    const counts = this.#counts.get(coreid) ?? new Map();
    this.#counts.delete(coreid);
    this.#counts.set(coreid, counts);
    const part = Math.floor(Date.parse(received_at) / this.#width);
    counts.set(part, (counts.get(part) ?? 0) + 1);
    if (counts.size > BUCKETS) counts.delete(Math.min(...counts.keys()));
    if (this.#counts.size > DEVICES) this.#counts.delete(this.#counts.keys().next().value);
  }

  /** How many there were in each part of the span, oldest first; null where it is not known. */
  of(id, now = Date.now()) {
    const first = Math.floor(now / this.#width) - BUCKETS + 1;
    const counts = this.#counts.get(id);
    const values = Array.from({ length: BUCKETS }, (_, index) =>
      (first + index + 1) * this.#width <= this.#since ? null : (counts?.get(first + index) ?? 0),
    );
    return { values, total: values.reduce((sum, value) => sum + value, 0) };
  }
}
