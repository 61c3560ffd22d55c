// A live stream of events (JSON Lines), which goes on behind its cursor after every break: none lost, none twice.

import { answer, ApiProblem, get, withQuery } from "./api.mjs";
import { parse } from "./json.mjs";
import { signal, useEffect } from "./preact.mjs";

/** The Worker says something at least every nine seconds. */
const SILENT_MS = 20_000;
const RETRY_MS = { first: 500, most: 15_000 };
/** What was missed comes at once after coming back: so long after the last of it, that is over. */
const CAUGHT_UP_MS = 1_500;
/** Without HTTP/2 a browser has six connections to a host, for all tabs: one that nobody sees gives its own back. */
const HIDDEN_MS = 5_000;

/**
 * What the light shows: `{ state, missed?, error? }`; null where the page has no stream.
 * States: `connecting`, `live`, `reconnecting`, `resumed` (with `missed`, how many came late; then `live` again).
 */
export const connection = signal(null);

/**
 * Opens a stream and keeps it open until `close()`.
 *
 * @param {object} options
 * @param {string} [options.path] any of the stream paths, e.g. `/v1/devices/{id}/events`
 * @param {string} [options.after] a cursor; without one it begins now
 * @param {(events: { event: object, line: string }[]) => void} options.onEvents what came in one piece, oldest
 *   first; hook-sent and its like have no `cursor`
 * @param {(state: { state: string, missed?: number, error?: ApiProblem }) => void} [options.onState]
 * @param {(gap: { oldest: string }) => void} [options.onGap] retention has removed what lies before
 */
function openStream({ path = "/v1/events", after, onEvents, onState = () => {}, onGap = () => {} }) {
  const whole = new AbortController();
  let cursor = after;
  let wait = RETRY_MS.first;
  let wasLive = false;
  // Given up because nobody looks: what came meanwhile is fetched without a word about it.
  let rested = false;
  const sight = watchSight(whole.signal);
  let said;
  const tell = (state) => {
    said = state.state;
    if (!whole.signal.aborted) onState(state);
  };

  async function run() {
    tell({ state: "connecting" });
    while (!whole.signal.aborted) {
      await sight.back();
      if (whole.signal.aborted) return;
      let error;
      try {
        await once();
      } catch (thrown) {
        if (whole.signal.aborted) return;
        error = thrown instanceof ApiProblem ? thrown : undefined;
        // A cursor that is not understood, no right to read: coming back changes nothing.
        if (error && error.status >= 400 && error.status < 500 && error.status !== 429) {
          return tell({ state: "ended", error });
        }
      }
      if (whole.signal.aborted) return;
      if (sight.isLost()) {
        rested ||= said === "live" || said === "resumed";
        if (rested) tell({ state: "connecting" });
        continue;
      }
      rested = false;
      const pause = Math.max(wait * (0.75 + Math.random() / 2), 1_000 * (error?.retryAfter ?? 0));
      tell({ state: "reconnecting", error });
      await sleep(pause, whole.signal);
      wait = Math.min(2 * wait, RETRY_MS.most);
    }
  }

  /** One connection, to its end. */
  async function once() {
    const mine = new AbortController();
    const end = () => mine.abort();
    whole.signal.addEventListener("abort", end);
    sight.onLost = end;
    let alive = setTimeout(end, SILENT_MS);
    const resuming = wasLive && !rested ? { missed: 0 } : undefined;
    try {
      // Where nothing was ever heard there is no cursor: what there is now is what came meanwhile.
      if (wasLive && !cursor) await fromTheBeginning(mine.signal, resuming);
      const response = await answer(withQuery(path, { after: cursor }), {
        headers: { accept: "application/x-ndjson" },
        signal: mine.signal,
      });
      wait = RETRY_MS.first;
      wasLive = true;
      rested = false;
      if (resuming) {
        // By the server's clock, where it says it, in whole seconds.
        const date = Date.parse(response.headers.get("date"));
        resuming.at = date ? date + 999 : Date.now();
        finish(resuming);
      } else tell({ state: "live" });
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "";
      for (;;) {
        const { value, done } = await reader.read();
        clearTimeout(alive);
        if (done) return;
        alive = setTimeout(end, SILENT_MS);
        const lines = (rest + value).split("\n");
        rest = lines.pop();
        take(lines, resuming);
      }
    } finally {
      clearTimeout(alive);
      clearTimeout(resuming?.timer);
      whole.signal.removeEventListener("abort", end);
      mine.abort();
    }
  }

  async function fromTheBeginning(abort, resuming) {
    const { events } = await get(withQuery(path, { order: "asc", limit: 1000 }), { signal: abort });
    if (!events.length) return;
    cursor = events.at(-1).cursor;
    if (resuming) resuming.missed += events.length;
    onEvents(events.map((event) => ({ event, line: JSON.stringify(event) })));
  }

  function take(lines, resuming) {
    const events = [];
    for (const line of lines) {
      if (!line.trim()) continue;
      const event = parse(line);
      if (event.notice === "gap") onGap(event);
      cursor = event.cursor ?? event.oldest ?? cursor;
      if (!event.notice) events.push({ event, line: line.trimStart() });
    }
    if (!events.length || whole.signal.aborted) return;
    if (resuming?.timer) {
      resuming.missed += events.filter(({ event }) => Date.parse(event.received_at) <= resuming.at).length;
      finish(resuming);
    }
    onEvents(events);
  }

  /** Said again with each part of what was missed, until no more of it comes. */
  function finish(resuming) {
    clearTimeout(resuming.timer);
    tell({ state: "resumed", missed: resuming.missed });
    resuming.timer = setTimeout(() => {
      resuming.timer = undefined;
      tell({ state: "live" });
    }, CAUGHT_UP_MS);
  }

  run();
  return { close: () => whole.abort() };
}

/**
 * Whether the page is seen, or was a little while ago. `onLost` is called once it is not, and `back()` waits until it
 * is again, or until `abort`.
 */
function watchSight(abort) {
  let timer;
  let isLost = false;
  let wake = () => {};
  const sight = {
    onLost() {},
    isLost: () => isLost,
    back: () => (isLost ? new Promise((resolve) => (wake = resolve)) : undefined),
  };
  const look = () => {
    clearTimeout(timer);
    if (document.hidden && !abort.aborted) return (timer = setTimeout(lose, HIDDEN_MS));
    isLost = false;
    wake();
  };
  const lose = () => {
    isLost = true;
    sight.onLost();
  };
  document.addEventListener("visibilitychange", look, { signal: abort });
  abort.addEventListener("abort", look);
  look();
  return sight;
}

function sleep(ms, abort) {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    function done() {
      clearTimeout(timer);
      removeEventListener("online", done);
      abort.removeEventListener("abort", done);
      resolve();
    }
    addEventListener("online", done);
    abort.addEventListener("abort", done);
  });
}

/**
 * A stream for as long as the component is there; the connection light shows its state. `options` as of
 * `openStream`, or null for none yet; `deps` open another one.
 */
export function useStream(options, deps) {
  useEffect(() => {
    if (!options) return;
    const stream = openStream({
      ...options,
      onState(state) {
        connection.value = state;
        options.onState?.(state);
      },
    });
    return () => {
      stream.close();
      connection.value = null;
    };
  }, deps);
}
