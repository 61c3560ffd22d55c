// A reader of a stream that comes back: whenever its connection breaks it goes on behind the last event it has seen,
// as EventSource does.

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { kept, openSse } from "../support/sse.mjs";

const PAUSE_MS = 50;

/** Follows a stream until it is closed. `only`: the device that it is of. */
export function follow(worker, path, { only } = {}) {
  const items = [];
  const faults = [];
  let [current, last, taken, gaps, opens, closed] = [undefined, undefined, 0, 0, 0, false];

  /** Moves what has come on the open connection to what is kept. */
  const take = () => {
    for (; current && taken < current.items.length; taken += 1) {
      const item = current.items[taken];
      if (item.name === "gap") gaps += 1;
      if (!kept(item)) continue;
      const { coreid: device, seq, id } = item.data;
      items.push({ device, seq, id });
      last = item.id;
    }
  };

  let opened;
  const first = new Promise((resolve) => (opened = resolve));
  const reading = (async () => {
    while (!closed) {
      try {
        current = await openSse(worker, path, { lastEventId: last });
      } catch {
        await sleep(PAUSE_MS); // Nobody is there.
        continue;
      }
      taken = 0;
      if (current.status !== 200) {
        assert.equal(current.status, 503, `${current.status} ${current.problem?.code}`);
        await sleep(PAUSE_MS);
        continue;
      }
      opens += 1;
      opened();
      if (closed) await current.close();
      await current.ended;
      take();
      await sleep(PAUSE_MS);
    }
  })().catch((error) => faults.push(error.message));

  return {
    path,
    /** Resolves once it is open for the first time. */
    opened: Promise.race([first, reading]),
    /** Whatever ended it for good. */
    faults,
    items() {
      take();
      return items;
    },
    /** As the checker wants it. */
    seen() {
      take();
      return { only, items, gaps };
    },
    /** How often it has gone on. */
    resumed: () => opens - 1,
    async close() {
      closed = true;
      await current?.close?.();
      await reading;
    },
  };
}
