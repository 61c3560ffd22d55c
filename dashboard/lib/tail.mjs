// The events that a live tail holds: the newest 10,000, whatever comes. No DOM in here.

import { show } from "./json.mjs";
import { FLAGS } from "./text.mjs";

/** So many events, and so many characters of them, are held; what is older is in the log. */
export const MOST = 10_000;
const MOST_CHARACTERS = 24_000_000;

/** What a row and a search need of an event; the rest is read from `line` again when it is looked at. */
export function entry({ event, line }) {
  const { event: name, coreid, seq, received_at, published_at, cursor, data } = event;
  const flags = FLAGS.filter((flag) => event[flag]);
  return { name, coreid, seq, at: received_at ?? published_at, cursor, data: show(data), line, flags };
}

/** Parses a search into a test of an entry: words, and `device:`, `event:`, `data:` before a word or "several". */
function matcher(search) {
  const terms = [...search.matchAll(/(?:(device|event|data):)?(?:"([^"]*)"?|(\S+))/gi)]
    .map(([, field, quoted, word]) => [field?.toLowerCase(), (quoted ?? word).toLowerCase()])
    .filter(([, word]) => word);
  if (!terms.length) return undefined;
  const has = (text, word) =>
    String(text ?? "")
      .toLowerCase()
      .includes(word);
  const by = {
    device: ({ coreid }, word) => has(coreid, word),
    event: ({ name }, word) => has(name, word),
    data: ({ data }, word) => has(data, word),
  };
  const anywhere = (one, word) => Object.values(by).some((test) => test(one, word));
  return (one) => terms.every(([field, word]) => (by[field] ?? anywhere)(one, word));
}

/** Oldest first. `shown` is what passes the search; each has a `key` that goes up with its place. */
export class Tail {
  items = [];
  shown = [];
  /** What came while paused, to be shown later; `heldCount` counts also what fell out of it. */
  held = [];
  heldCount = 0;
  paused = false;
  /** Events have fallen out at the old end. */
  isCut = false;
  #next = 0;
  #characters = 0;
  #matches;

  search(text) {
    this.#matches = matcher(text);
    this.shown = this.#passed(this.items);
  }

  /** Takes entries, oldest first; answers how many rows came on top. */
  push(entries) {
    if (this.paused) {
      this.heldCount += entries.length;
      this.held.push(...entries);
      this.#bound(this.held);
      return 0;
    }
    for (const one of entries) {
      one.key = this.#next++;
      this.#characters += one.line.length;
      this.items.push(one);
    }
    const passed = this.#passed(entries);
    for (const one of passed) this.shown.push(one);
    this.#evict();
    return passed.length;
  }

  /** Takes what is older than all of these, as far as there is room; answers whether all found room. */
  pushOlder(entries) {
    const room = entries.slice(Math.max(0, entries.length - (MOST - this.items.length)));
    const first = (this.items[0]?.key ?? this.#next) - room.length;
    room.forEach((one, index) => {
      one.key = first + index;
      this.#characters += one.line.length;
    });
    this.items = [...room, ...this.items];
    this.shown = [...this.#passed(room), ...this.shown];
    return room.length === entries.length;
  }

  pause(paused) {
    this.paused = paused;
    if (paused) return 0;
    const { held } = this;
    this.held = [];
    this.heldCount = 0;
    return this.push(held);
  }

  /** Empties what is shown. What is held was not seen yet, and stays. */
  clear() {
    this.items = [];
    this.shown = [];
    this.#characters = 0;
    this.isCut = false;
  }

  /** As new, with these; still paused where it was. */
  begin(entries) {
    const { paused } = this;
    this.clear();
    this.held = [];
    this.pause(false);
    this.push(entries);
    this.pause(paused);
  }

  /** The place of an entry among those that are shown, -1 where it is not. */
  place(key) {
    let [low, high] = [0, this.shown.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.shown[middle].key < key) low = middle + 1;
      else high = middle;
    }
    return this.shown[low]?.key === key ? low : -1;
  }

  #passed(entries) {
    return this.#matches ? entries.filter(this.#matches) : entries.slice();
  }

  #bound(held) {
    let size = held.reduce((sum, { line }) => sum + line.length, 0);
    let gone = 0;
    while (held.length - gone > MOST || (size > MOST_CHARACTERS && held.length - gone > 1)) {
      size -= held[gone++].line.length;
    }
    held.splice(0, gone);
  }

  #evict() {
    let gone = 0;
    while (
      this.items.length - gone > MOST ||
      (this.#characters > MOST_CHARACTERS && this.items.length - gone > 1)
    ) {
      this.#characters -= this.items[gone++].line.length;
    }
    if (!gone) return;
    this.isCut = true;
    this.items.splice(0, gone);
    const first = this.items[0].key;
    const stay = this.shown.findIndex(({ key }) => key >= first);
    this.shown.splice(0, stay < 0 ? this.shown.length : stay);
  }
}
