// Integrations: where events are delivered, and how each has done today.

import { adminOnly, get } from "../lib/api.mjs";
import { moved, useKeys } from "../lib/keys.mjs";
import { useLoad } from "../lib/load.mjs";
import { html, useRef, useState } from "../lib/preact.mjs";
import { href, navigate, route, setQuery } from "../lib/route.mjs";
import { count } from "../lib/time.mjs";
import { Button, Empty, Line, Loaded, Page, Table } from "../ui/index.mjs";
import { Days, Kind, State, eventsOf } from "./integration/said.mjs";

const EVERY = 20_000;
/** Counts are read one by one, so only of the rows that are shown. */
const ROWS = 25;

export default function Integrations() {
  const list = useLoad((signal) => get("/v1/integrations", { signal }), [], { every: EVERY });
  const [selected, select] = useState(-1);
  const [most, setMost] = useState(ROWS);
  const search = useRef();
  const { q = "" } = route.value.query;
  const found = (list.data ?? []).filter(({ name = "", event, url, id }) =>
    `${name}\n${event}\n${url}\n${id}`.toLowerCase().includes(q.toLowerCase()),
  );
  const rows = found.slice(0, most);
  const wholes = useWholes(rows);
  const open = ({ id }) => navigate("integrations", [id]);
  useKeys({
    "/": () => search.current?.focus(),
    j: () => select(moved(selected, 1, rows.length)),
    k: () => select(moved(selected, -1, rows.length)),
    Enter: () => rows[selected] && open(rows[selected]),
    r: () => (list.reload(), wholes.reload()),
  });
  const create = html`<${Button} kind="primary" reason=${adminOnly()} onClick=${() => navigate("integrations", ["new"])}
    >New integration<//
  >`;
  return html`<${Page} title="Integrations" about="Where events are delivered. Success, errors and skipped are today's (UTC)." actions=${create}>
    <${Loaded} load=${list}>${() => {
      if (!list.data.length) {
        return html`<${Empty} title="No integrations yet">
          <p>Events are kept and shown, and delivered nowhere. Paste a Particle webhook here, and each event whose name begins with its prefix goes to your service.</p>
          <p>${create}</p>
        <//>`;
      }
      return html`
        <search>
          <input
            ref=${search}
            type="search"
            placeholder="Search by name, event or URL"
            aria-label="Search integrations"
            value=${q}
            onInput=${({ target }) => (setQuery({ q: target.value || undefined }), select(-1))}
          />
          <span class="quiet">${count(found.length)} of ${count(list.data.length)}</span>
        </search>
        ${
          found.length
            ? html`<div class="listing"><${Table} label="Integrations" columns=${columns(wholes.data)} rows=${rows} id=${({ id }) => id} selected=${selected} onOpen=${open} /></div>`
            : html`<${Empty} title="None of them matches">Search for less.<//>`
        }
        ${found.length > most && html`<p><${Button} onClick=${() => setMost(most + ROWS)}>Show more<//></p>`}
      `;
    }}<//>
  <//>`;
}

/** What the list does not say: counts, and which of them are subscriptions. */
function useWholes(rows) {
  const ids = rows.map(({ id }) => id);
  const read = (signal) => (id) =>
    get(`/v1/integrations/${encodeURIComponent(id)}`, { signal }).catch(() => undefined); // Deleted meanwhile.
  return useLoad(
    async (signal) =>
      Object.fromEntries((await Promise.all(ids.map(read(signal)))).map((whole, at) => [ids[at], whole])),
    [ids.join()],
    { every: EVERY },
  );
}

const columns = (wholes) => [
  {
    label: "Integration",
    class: "head",
    cell: (row) => html`<div class="named">
      <span class="states"
        ><a href=${href("integrations", [row.id])}><${Line} of=${row.name || eventsOf(wholes?.[row.id] ?? row) || row.id} /></a><${Kind} of=${wholes?.[row.id]} /></span
      >
      <${Line} of=${`${row.requestType} ${row.url}`} class="mono quiet" />
    </div>`,
  },
  {
    label: "Events",
    cell: (row) => html`<${Line} of=${eventsOf(wholes?.[row.id] ?? row)} class="mono" />`,
  },
  {
    label: "State",
    cell: (row) => html`<${State} of=${row} />`,
  },
  ...["success", "failure", "skipped"].map((kind) => ({
    label: { success: "Success", failure: "Errors", skipped: "Skipped" }[kind],
    class: "number",
    cell: ({ id }) => html`<${Figure} value=${wholes?.[id]?.counts.today[kind]} bad=${kind === "failure"} />`,
  })),
  {
    label: "Parked",
    class: "number",
    cell: ({ id }) => html`<${Figure} value=${wholes?.[id]?.counts.parked} bad />`,
  },
  { label: "30 days", cell: ({ id }) => html`<${Days} counts=${wholes?.[id]?.counts} height=${26} />` },
];

const Figure = ({ value, bad }) =>
  html`<span class=${value ? bad && "wrong" : "quiet"}>${value === undefined ? "–" : count(value)}</span>`;
