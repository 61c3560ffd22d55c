// Events: a live tail that opens with the recent past.

import { get, withQuery } from "../lib/api.mjs";
import { moved, useKeys } from "../lib/keys.mjs";
import { useAction, useLoad } from "../lib/load.mjs";
import { html, useEffect, useRef, useState } from "../lib/preact.mjs";
import { route, setQuery } from "../lib/route.mjs";
import { useStream } from "../lib/stream.mjs";
import { entry, MOST, Tail } from "../lib/tail.mjs";
import { count, duration, plural } from "../lib/time.mjs";
import { Button, Empty, Loading, Page, Problem } from "../ui/index.mjs";
import { Detail } from "./events/detail.mjs";
import { Rows } from "./events/rows.mjs";

const PAST = 200;
const OLDER = 500;
/** What came is drawn at most so often, ms. */
const DRAW_MS = 60;

/** A page of the past, newest first, as entries oldest first. */
async function past(query, abort) {
  const { events, next } = await get(withQuery("/v1/events", { order: "desc", ...query }), { signal: abort });
  return { entries: events.reverse().map((event) => entry({ event, line: JSON.stringify(event) })), next };
}

export default function Events() {
  const tail = useRef(new Tail()).current;
  const drawing = useRef();
  const input = useRef();
  const rows = useRef();
  const [, setDrawn] = useState(0);
  const [selected, setSelected] = useState();
  const [opened, setOpened] = useState(0);
  const [next, setNext] = useState(null);
  const [notices, setNotices] = useState({});
  const { q: search = "", notices: told } = route.value.query;
  const isTold = useRef();
  isTold.current = told;

  const draw = () => {
    drawing.current ??= setTimeout(() => {
      drawing.current = undefined;
      setDrawn((times) => times + 1);
    }, DRAW_MS);
  };
  useEffect(() => () => clearTimeout(drawing.current), []);
  useEffect(() => {
    tail.search(search);
    draw();
  }, [search]);

  const start = useLoad(
    async (abort) => {
      const { entries, next } = await past({ limit: PAST }, abort);
      tail.begin(entries);
      setSelected(undefined);
      setNext(next);
      setNotices({});
      return { after: entries.at(-1)?.cursor, from: opened };
    },
    [opened],
  );
  const isReady = start.data?.from === opened;
  const lostAt = useRef();
  useStream(
    isReady && {
      after: start.data.after,
      onEvents(events) {
        const wanted = events
          .map(entry)
          .filter((one) => one.cursor || isTold.current || /^hook-error/.test(one.name));
        const added = tail.push(wanted);
        rows.current?.keepPlace(added);
        draw();
      },
      onState({ state, missed, error }) {
        if (state === "reconnecting") lostAt.current ??= Date.now();
        if (state === "ended") setNotices((old) => ({ ...old, error }));
        if (state !== "resumed") return;
        const away = Date.now() - lostAt.current;
        setNotices((old) => ({ ...old, resumed: { missed, away: old.resumed?.away ?? away } }));
        if (lostAt.current) setNotices((old) => ({ ...old, resumed: { missed, away } }));
        lostAt.current = undefined;
      },
      onGap: () => setNotices((old) => ({ ...old, gap: true })),
    },
    [isReady && start.data],
  );

  const older = useAction(async () => {
    const page = await past({ after: next, limit: OLDER });
    const isAll = tail.pushOlder(page.entries);
    setNext(isAll ? page.next : null);
    draw();
  });

  const pause = () => {
    const added = tail.pause(!tail.paused);
    rows.current?.keepPlace(added);
    setDrawn((times) => times + 1);
  };
  const clear = () => {
    tail.clear();
    setSelected(undefined);
    setNext(null);
    setDrawn((times) => times + 1);
  };
  const place = selected ? tail.place(selected.key) : -1;
  const move = (by) => {
    // The newest is on top: down is back in time.
    const row = place < 0 ? (by > 0 ? 0 : -1) : moved(tail.shown.length - 1 - place, by, tail.shown.length);
    const found = tail.shown[tail.shown.length - 1 - row];
    if (found) setSelected(found);
    rows.current?.reveal(row);
  };
  useKeys({
    j: () => move(1),
    k: () => move(-1),
    space: pause,
    r: () => setOpened(opened + 1),
    "/": () => input.current?.focus(),
    ...(selected && { Escape: () => setSelected(undefined) }),
  });

  const held = tail.heldCount;
  return html`<${Page}
    class="events-page"
    title="Events"
    actions=${html`<${Button} aria-pressed=${tail.paused ? "true" : "false"} onClick=${pause}
        >${tail.paused ? `Go on${held ? ` · ${count(held)} new` : ""}` : "Pause"}<//
      ><${Button} onClick=${clear} disabled=${!tail.items.length}>Clear<//>`}
  >
    <search>
      <input
        ref=${input}
        type="search"
        aria-label="Search the events"
        placeholder="Search: text, device: event: data:"
        value=${search}
        spellcheck="false"
        autocomplete="off"
        onInput=${({ target }) => setQuery({ q: target.value || undefined })}
      />
      <p class="quiet">
        ${
          search
            ? `${count(tail.shown.length)} of ${plural(tail.items.length, "event")}`
            : plural(tail.items.length, "event")
        }
        ${tail.paused && html` · <strong>paused</strong>, ${count(held)} new`}
      </p>
      <${Button}
        kind="small"
        aria-pressed=${told ? "true" : "false"}
        title="hook-sent and hook-response, from now on; hook-error is always shown"
        onClick=${() => setQuery({ notices: told ? undefined : "1" })}
        >Hook notices<//
      >
    </search>
    <${Notices} of=${notices} close=${() => setNotices({})} again=${() => setOpened(opened + 1)} />
    ${start.error && html`<${Problem} error=${start.error} retry=${start.reload} />`}
    ${!isReady && !start.error && html`<${Loading} />`}
    ${
      isReady &&
      html`<div class=${`events ${selected ? "with-detail" : ""}`}>
        ${
          tail.shown.length
            ? html`<${Rows}
                api=${rows}
                items=${tail.shown}
                selected=${selected?.key}
                onSelect=${setSelected}
                foot=${html`<${Older} tail=${tail} next=${next} older=${older} />`}
              />`
            : html`<${Nothing}
                search=${search}
                tail=${tail}
                next=${next}
                older=${older}
                again=${() => setOpened(opened + 1)}
              />`
        }
        ${selected && html`<${Detail} key=${selected.key} of=${selected} onClose=${() => setSelected(undefined)} />`}
      </div>`
    }
  <//>`;
}

/** What went on with the connection, told beside the rows until it is closed. */
function Notices({ of: { resumed, gap, error }, close, again }) {
  if (error) return html`<${Problem} error=${error} retry=${again} />`;
  if (!resumed && !gap) return null;
  return html`<div class=${`notice ${gap ? "warn" : ""}`} role="status">
    ${gap && html`<span>Some events are gone: retention removed them before they could be read.</span>`}
    ${
      resumed &&
      html`<span
        >Resumed after ${duration(resumed.away)} without a connection:${" "}
        ${resumed.missed ? `${plural(resumed.missed, "event")} caught up` : "nothing came meanwhile"}${!gap && ", none lost"}.</span
      >`
    }
    <${Button} kind="small" onClick=${close}>Close<//>
  </div>`;
}

function Older({ tail, next, older }) {
  if (older.error) return html`<${Problem} error=${older.error} retry=${older.run} />`;
  if (tail.items.length >= MOST || tail.isCut)
    return html`<p class="quiet">
      The page holds ${count(MOST)} events. Older ones are in their devices' logs.
    </p>`;
  if (!next) return html`<p class="quiet">That is all there is.</p>`;
  return html`<${Button} kind="small" busy=${older.busy} onClick=${() => older.run()}>Older events<//>`;
}

function Nothing({ search, tail, next, older, again }) {
  if (tail.items.length && search) {
    return html`<${Empty} title="No event matches">
      <p>
        Of ${plural(tail.items.length, "event")} that this page holds, none does. New ones are searched as
        they come.
      </p>
      <${Older} tail=${tail} next=${next} older=${older} />
    <//>`;
  }
  if (tail.paused) return html`<${Empty} title="Paused">New events are counted. Press Space to see them.<//>`;
  return html`<${Empty} title="Waiting for events">
    <p>
      What devices send appears here at once.${" "}
      <button type="button" class="link" onClick=${again}>Show the recent past</button>, or see${" "}
      <a href="#/setup">Set-up</a> for how to send a first one.
    </p>
  <//>`;
}
