// Devices: those that were heard, page by page in order of id. What comes meanwhile changes rows where they stand.

import { get, page as pageOf, withQuery } from "../lib/api.mjs";
import { moved, useKeys } from "../lib/keys.mjs";
import { useLoad } from "../lib/load.mjs";
import { html, useEffect, useRef, useState } from "../lib/preact.mjs";
import { href, navigate, route, setQuery } from "../lib/route.mjs";
import { useStream } from "../lib/stream.mjs";
import { count, duration, plural } from "../lib/time.mjs";
import { Button, Empty, Line, Loaded, Page, Problem, Sparkline, Status, Table, Time } from "../ui/index.mjs";
import { Activity, ONLINE_MS, Rows, wanted } from "./devices/rows.mjs";

const LIMIT = 50;
/** Typing is waited for, and what came is drawn, so often, ms. */
const TYPING_MS = 200;
const DRAW_MS = 250;
const SPARK_MS = 10_000;

export default function Devices() {
  const { q = "", online = "", after = "" } = route.value.query;
  const input = useRef();
  const activity = useRef(new Activity()).current;
  const rows = useRef(new Rows()).current;
  const before = useRef(new Map()).current;
  const [selected, setSelected] = useState(-1);
  const draw = useDrawing();

  const recent = useLoad(async (signal) => {
    const { events, next } = await get("/v1/events?order=desc&limit=1000", { signal });
    activity.begin(events, next === null);
    return { after: events[0]?.cursor };
  });
  const list = useLoad(
    async (signal) => {
      await new Promise((resolve) =>
        setTimeout(resolve, input.current === document.activeElement ? TYPING_MS : 0),
      );
      signal.throwIfAborted();
      const filter = wanted(q, online);
      const found = await pageOf(withQuery("/v1/devices", { ...filter, limit: LIMIT, after }), { signal });
      rows.show(found, filter, after);
      setSelected(-1);
      return found;
    },
    [q, online, after],
  );
  useStream(
    recent.data && {
      after: recent.data.after,
      onEvents(events) {
        for (const { event } of events) {
          if (!event.cursor) continue;
          activity.note(event);
          rows.note(event);
        }
        draw();
      },
    },
    [Boolean(recent.data)],
  );

  const show = () => {
    rows.showFresh();
    setSelected(-1);
    draw();
  };
  const open = (row) => row && navigate("devices", [row.id]);
  const move = (by) => setSelected(moved(selected, by, rows.items.length));
  // What could not be read when the page was opened is read now; without it nothing is live.
  const refresh = () => (list.reload(), recent.data || recent.reload());
  useKeys({
    j: () => move(1),
    k: () => move(-1),
    Enter: () => open(rows.items[selected]),
    r: refresh,
    "/": () => input.current?.focus(),
  });

  const next = list.data?.next && new URL(list.data.next, location.href).searchParams.get("after");
  if (next) before.set(next, after);
  const to = (place) => href("devices", [], { q, online, after: place });
  return html`<${Page} title="Devices" class="devices-page">
    <search>
      <input
        ref=${input}
        type="search"
        aria-label="Search the devices"
        placeholder="Search: a part of an id or event, event: product:"
        value=${q}
        spellcheck="false"
        autocomplete="off"
        onInput=${({ target }) => setQuery({ q: target.value || undefined, after: undefined })}
      />
      <select
        class="narrow"
        aria-label="Which devices"
        value=${online}
        onChange=${({ target }) => setQuery({ online: target.value || undefined, after: undefined })}
      >
        <option value="">All</option>
        <option value="true">Online</option>
        <option value="false">Offline</option>
      </select>
    </search>
    ${
      rows.fresh.size > 0 &&
      html`<p class="notice" role="status">
        <span>${rows.isOver ? "More than " : ""}${plural(rows.fresh.size, "new device")} belong${rows.fresh.size === 1 ? "s" : ""} on this page.</span>
        ${rows.isOver ? html`<${Button} kind="small" onClick=${list.reload}>Load the page again<//>` : html`<${Button} kind="small" onClick=${show}>Show<//>`}
      </p>`
    }
    ${!list.error && html`<${Problem} error=${recent.error} retry=${refresh} />`}
    <${Loaded} load=${{ ...list, data: list.data ?? (rows.items.length ? rows.items : undefined), reload: refresh }}
      >${() =>
        rows.items.length
          ? html`<${Table}
              label="Devices, in order of id"
              columns=${columns(activity)}
              rows=${rows.items}
              id=${(row) => row.id}
              selected=${selected}
              onOpen=${open}
            />`
          : html`<${None} q=${q} online=${online} after=${after} />`}<//
    >
    ${
      (next || after) &&
      html`<nav class="actions" aria-label="Pages of the list">
        ${after && html`<a class="button" href=${to("")}>First page</a>`}
        ${before.get(after) && html`<a class="button" href=${to(before.get(after))}>Previous</a>`}
        ${next && html`<a class="button" href=${to(next)}>Next page</a>`}
      </nav>`
    }
  <//>`;
}

const columns = (activity) => [
  {
    label: "Device",
    cell: ({ id }) => html`<a class="mono" href=${href("devices", [id])}><${Line} of=${id} /></a>`,
  },
  { label: "State", class: "nowrap", cell: (row) => html`<${Online} of=${row} />` },
  { label: "Last heard", class: "nowrap", cell: (row) => html`<${Time} at=${row.last_heard} />` },
  { label: "Last event", cell: ({ last_event: name }) => name && html`<${Line} of=${name} />` },
  { label: "Product", cell: ({ product_id: id }) => id && html`<${Line} of=${id} />` },
  { label: "Firmware", cell: ({ firmware_version: at }) => at && html`<${Line} of=${at} />` },
  { label: "Events", class: "number", cell: (row) => count(row.events) },
  {
    label: `Last ${duration(activity.span)}`,
    cell({ id }) {
      const { values, total } = activity.of(id);
      if (!total) return null;
      const label = `${plural(total, "event")} in the last ${duration(activity.span)}`;
      return html`<span title=${label}><${Sparkline} values=${values} label=${label} width=${80} /></span>`;
    },
  },
];

/** Whether a device is online by the API's rule, as of now. */
export function Online({ of: { last_heard: at } }) {
  if (!at) return html`<${Status}>Never heard<//>`;
  const isOnline = Date.now() - Date.parse(at) < ONLINE_MS;
  return html`<${Status} kind=${isOnline ? "ok" : "off"}>${isOnline ? "Online" : "Offline"}<//>`;
}

function None({ q, online, after }) {
  const all = html`<a href=${href("devices")}>Show all devices</a>`;
  if (after) return html`<${Empty} title="Nothing behind this page">${all}<//>`;
  if (!q && !online) {
    return html`<${Empty} title="No devices yet">
      A device is here from its first event on. <a href=${href("setup")}>Set-up</a> says how to send one.
    <//>`;
  }
  return html`<${Empty} title="No device matches">
    <p>
      A word is looked for in ids and in the names of last events; <code>event:</code> is how such a name begins,
      and${" "}<code>product:</code> a product's id. ${all}.
    </p>
  <//>`;
}

/** Draws again, at most every so often, and now and then for what only time changes. */
function useDrawing() {
  const [, set] = useState(0);
  const timer = useRef();
  const again = () => set((times) => times + 1);
  useEffect(() => {
    const slow = setInterval(() => document.hidden || again(), SPARK_MS);
    return () => (clearInterval(slow), clearTimeout(timer.current));
  }, []);
  return () => {
    timer.current ??= setTimeout(() => {
      timer.current = undefined;
      again();
    }, DRAW_MS);
  };
}
