// The log of one device, newest first: a page of the past, and what comes on top of it.

import { get, withQuery } from "../../lib/api.mjs";
import { show } from "../../lib/json.mjs";
import { moved, useKeys } from "../../lib/keys.mjs";
import { useAction, useLoad } from "../../lib/load.mjs";
import { html, useEffect, useLayoutEffect, useMemo, useRef, useState } from "../../lib/preact.mjs";
import { setQuery } from "../../lib/route.mjs";
import { FLAGS } from "../../lib/text.mjs";
import { count, utc } from "../../lib/time.mjs";
import { Badge, Button, Card, Copy, Empty, JsonTree, Line, Loaded, Problem, Text } from "../../ui/index.mjs";
import { curl } from "../events/detail.mjs";

const PAST = 50;
const OLDER = 200;
/** Rows that are shown; what is older is left to the filter and to the API. */
const MOST = 1_000;
const TYPING_MS = 200;
const time = new Intl.DateTimeFormat("en-GB", {
  day: "numeric",
  month: "short",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
});

/** Holds the log, `events` newest first; `add` takes what the stream brings. While `hold(true)`, that waits for `release`. */
export function useLog(path, filter) {
  const held = useRef({ events: [], fresh: [], waiting: [] }).current;
  const [, draw] = useState(0);
  const read = (query, signal) =>
    get(withQuery(`${path}/history`, { order: "desc", event: filter, ...query }), { signal });
  const load = useLoad(
    async (signal) => {
      // What the stream brings from here on may be missing in the answer.
      held.fresh = [];
      if (held.filter !== undefined) await new Promise((resolve) => setTimeout(resolve, TYPING_MS));
      signal.throwIfAborted();
      held.filter = filter;
      const { events, next } = await read({ limit: PAST }, signal);
      Object.assign(held, { events: [], waiting: [], next });
      keep([...held.fresh, ...events]);
      return true;
    },
    [path, filter],
  );
  const older = useAction(async () => {
    const { events, next } = await read({ after: held.next, limit: OLDER });
    held.next = next;
    keep(events);
  });
  function keep(events) {
    const bySeq = new Map([...held.events, ...events].map((event) => [event.seq, event]));
    held.events = [...bySeq.values()].sort((a, b) => b.seq - a.seq);
    if (held.events.length > MOST) {
      held.events.length = MOST;
      held.next = undefined;
    }
    draw((times) => times + 1);
  }
  const add = (events) => {
    const passed = events.filter(({ event }) => event.startsWith(filter));
    held.fresh.unshift(...passed);
    if (!passed.length) return;
    if (!held.holds) return keep(passed);
    // No more than are shown: where more of them come, these alone are the newest that there are.
    held.waiting = [...held.waiting, ...passed].slice(-MOST);
    draw((times) => times + 1);
  };
  const release = () => {
    const { waiting } = held;
    held.waiting = [];
    if (waiting.length) keep(waiting);
  };
  const hold = (holds) => {
    held.holds = holds;
    if (!holds) release();
  };
  const { events, next, waiting } = held;
  return { ...load, events, next, waiting: waiting.length, older, add, hold, release };
}

export function Log({ log, filter }) {
  const [selected, setSelected] = useState();
  const [open, setOpen] = useState(() => new Set());
  const input = useRef();
  const { events, older } = log;
  const toggle = (seq) =>
    setOpen((old) => {
      const next = new Set(old);
      if (!next.delete(seq)) next.add(seq);
      return next;
    });
  const move = (by) => {
    const place = events.findIndex(({ seq }) => seq === selected);
    setSelected(events[moved(place, by, events.length)]?.seq);
  };
  // A row that is looked at keeps its place: what comes meanwhile is counted, in a button that takes up no room.
  const isRead = events.some(({ seq }) => seq === selected || open.has(seq));
  useLayoutEffect(() => log.hold(isRead), [isRead]);
  const leave = () => (setSelected(undefined), setOpen(new Set()));
  useKeys({
    j: () => move(1),
    k: () => move(-1),
    Enter: () => selected && toggle(selected),
    "/": () => input.current?.focus(),
    ...(isRead && { Escape: leave }),
  });
  const field = html`<input
    ref=${input}
    type="search"
    aria-label="Events whose name starts with"
    placeholder="How a name begins"
    value=${filter}
    spellcheck="false"
    autocomplete="off"
    onInput=${({ target }) => setQuery({ event: target.value || undefined })}
  />`;
  return html`<${Card} title="Log" aside=${field} class="log">
    <div class="log-new">${log.waiting > 0 && html`<${Button} kind="small" onClick=${log.release}>${count(log.waiting)} new · Show<//>`}</div>
    <${Loaded} load=${log}
      >${() =>
        events.length
          ? html`<ol>
              ${events.map(
                (event) =>
                  html`<${Entry}
                    key=${event.seq}
                    event=${event}
                    isOpen=${open.has(event.seq)}
                    isSelected=${event.seq === selected}
                    toggle=${toggle}
                  />`,
              )}
            </ol>`
          : html`<${Empty} title=${filter ? "No event's name begins so" : "The log is empty"}>
              ${filter ? "Empty the field to see all of them." : "What the device publishes appears here at once."}
            <//>`}<//
    >
    <${Problem} error=${older.error} />
    <div class="more">
      ${log.next && html`<${Button} kind="small" busy=${older.busy} onClick=${() => older.run()}>Older events<//>`}
      ${events.length >= MOST && html`<p class="quiet">The page shows ${count(MOST)} events. The filter finds older ones.</p>`}
    </div>
  <//>`;
}

function Entry({ event, isOpen, isSelected, toggle }) {
  const row = useRef();
  useEffect(() => isSelected && row.current.scrollIntoView({ block: "nearest" }), [isSelected]);
  const flag = FLAGS.find((name) => event[name]);
  // Made once: a busy log has many rows, and each event draws them all again.
  return useMemo(
    () => html`<li ref=${row} class=${isSelected ? "selected" : ""}>
    <button type="button" class="log-row" aria-expanded=${isOpen ? "true" : "false"} onClick=${() => toggle(event.seq)}>
      <time class="quiet" datetime=${utc(event.received_at)} title=${`${utc(event.received_at)} UTC`}>${time.format(new Date(event.received_at))}</time>
      <span class="row-name"><${Line} of=${event.event} most=${80} />${flag && html`<${Badge} kind="warn">${flag.replaceAll("_", " ")}<//>`}</span>
      <${Line} class="mono" of=${show(event.data)} most=${200} />
      <span class="quiet number">${event.seq}</span>
    </button>
    ${isOpen && html`<${Body} event=${event} />`}
  </li>`,
    [event, isOpen, isSelected],
  );
}

function Body({ event }) {
  const [isRaw, setRaw] = useState(false);
  const { cursor, ...whole } = event;
  const json = () => show(whole, { indent: 2 });
  return html`<div class="log-body">
    <div class="actions">
      <${Button} kind="small" aria-pressed=${isRaw ? "true" : "false"} onClick=${() => setRaw(!isRaw)}>Raw<//>
      <${Copy} text=${json} label="Copy event" />
      <${Copy} text=${() => curl(event)} label="Copy as curl" />
    </div>
    ${isRaw ? html`<pre tabindex="0"><${Text} of=${json()} most=${4000} lines /></pre>` : html`<${JsonTree} value=${whole} open=${3} />`}
  </div>`;
}
