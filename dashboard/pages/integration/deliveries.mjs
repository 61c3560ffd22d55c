// What became of deliveries: each attempt with its request and its answer, and one that is made now as a test.

import { adminOnly, send } from "../../lib/api.mjs";
import { parse } from "../../lib/json.mjs";
import { moved, useKeys } from "../../lib/keys.mjs";
import { useAction } from "../../lib/load.mjs";
import { html, useRef, useState } from "../../lib/preact.mjs";
import { href, route, setQuery } from "../../lib/route.mjs";
import { useRows } from "../../lib/rows.mjs";
import { duration } from "../../lib/time.mjs";
import {
  Badge,
  Button,
  Card,
  Dialog,
  Empty,
  Field,
  Line,
  Loaded,
  Problem,
  Status,
  Table,
  Text,
  Time,
} from "../../ui/index.mjs";
import { apiPath } from "./said.mjs";

const SHOWN = {
  success: ["ok", "Success"],
  failure: ["warn", "Failed"],
  parked: ["bad", "Parked"],
  skipped: ["off", "Skipped"],
};

export function Attempts({ id, whole, onReplay }) {
  const { status, device, find } = route.value.query;
  const { rows, isEnd, older, head } = useRows(
    apiPath(id, "/attempts"),
    "attempts",
    { status, device, id: find, limit: 50 },
    { every: 5_000 },
  );
  const [chosen, choose] = useState();
  const [opened, open] = useState();
  const search = useRef();
  const selected = rows.findIndex((row) => row.id === chosen);
  const go = (by) => choose(rows[moved(selected, by, rows.length)]?.id);
  useKeys({
    j: () => go(1),
    k: () => go(-1),
    Enter: () => open(rows[selected]),
    "/": () => search.current?.querySelector("input").focus(),
  });
  const filter = (name, label) =>
    html`<input type="search" placeholder=${label} aria-label=${label} value=${route.value.query[name] ?? ""} onChange=${({ target }) => setQuery({ [name]: target.value.trim() || undefined })} />`;
  const replayParked = html`<${Button} kind="small" reason=${adminOnly()} onClick=${() => onReplay({})}>Replay what is parked<//>`;
  return html`<${Card} title="Attempts" class="attempts" aside=${whole.counts.parked > 0 && replayParked}>
    <search ref=${search}>
      <select aria-label="Status" value=${status ?? ""} onChange=${({ target }) => setQuery({ status: target.value || undefined })}>
        <option value="">All</option>
        ${Object.entries(SHOWN).map(([value, [, label]]) => html`<option value=${value} selected=${value === status}>${label}</option>`)}
      </select>
      ${filter("device", "Device")}${filter("find", "Event's or attempt's id")}
    </search>
    <${Loaded} load=${head}>${() =>
      rows.length
        ? html`<${Table} label="Attempts" columns=${COLUMNS} rows=${rows} id=${(row) => row.id} selected=${selected} onOpen=${open} />`
        : status || device || find
          ? html`<${Empty} title="No attempt is like this">Choose another status, or search for less.<//>`
          : html`<${Empty} title="Nothing was delivered yet">The next event whose name begins with its prefix comes here. <b>Test</b> sends one now.<//>`}<//>
    <${Problem} error=${older.error} retry=${older.run} />
    ${!isEnd && html`<p class="rows-foot"><${Button} busy=${older.busy} onClick=${older.run}>Load older<//></p>`}
    ${opened && html`<${Attempt} of=${opened} onReplay=${onReplay} onClose=${() => open(undefined)} />`}
  <//>`;
}

const State = ({ of: { status, http_status: code } }) => {
  const [kind, label] = SHOWN[status] ?? ["off", status];
  return html`<${Status} kind=${kind}>${label}${code && ` ${code}`}<//>`;
};

const COLUMNS = [
  {
    label: "Result",
    class: "head",
    cell: (row) =>
      html`<div class="named"><${State} of=${row} />${row.error && html`<${Line} of=${row.error} class="quiet" />`}</div>`,
  },
  { label: "When", class: "nowrap", cell: ({ at }) => html`<${Time} at=${at} />` },
  { label: "Event", cell: ({ event }) => html`<${Line} of=${event} />` },
  {
    label: "Device",
    cell: ({ device }) =>
      html`<a href=${href("devices", [device])}><${Line} of=${device} class="mono" /></a>`,
  },
  {
    label: "Attempt",
    class: "nowrap",
    cell: ({ attempt, replayed, next_at: next }) =>
      html`<span>${attempt}${replayed && html` <${Badge}>replay<//>`}${Date.parse(next) > Date.now() && html`<span class="quiet">, next <${Time} at=${next} /></span>`}</span>`,
  },
  { label: "Took", class: "number nowrap", cell: ({ took_ms: took }) => duration(took) },
];

function Attempt({ of: attempt, onReplay, onClose }) {
  const { id, event, event_id: eventId, device, seq, at } = attempt;
  return html`<${Dialog} title="Attempt" onClose=${onClose} wide>
    <p class="about">
      <${State} of=${attempt} /><span><${Time} at=${at} /></span>
      <span><${Text} of=${event} most=${80} /> of <a href=${href("devices", [device])}><code><${Text} of=${device} /></code></a>, number ${seq}</span>
      ${attempt.error && html`<${Text} of=${attempt.error} />`}
    </p>
    <${Exchange} ...${attempt} />
    <p class="quiet">Event <code><${Text} of=${eventId} most=${120} /></code>, attempt <code><${Text} of=${id} /></code></p>
    <div class="actions end">
      <${Button} reason=${adminOnly()} onClick=${() => (onClose(), onReplay({ id }))}>Replay this event<//>
    </div>
  <//>`;
}

export function Test({ of: { id, event, events }, onClose }) {
  const [name, setName] = useState([events ?? event].flat()[0]?.replace("*", "test") ?? "");
  const [data, setData] = useState('{"celsius": 21.50}');
  const [told, setTold] = useState();
  const test = useAction(() =>
    send("POST", apiPath(id, "/test"), { event: name || undefined, data: valueOf(data) }),
  );
  const submit = async (event) => {
    event.preventDefault();
    setTold(undefined);
    setTold(await test.run());
  };
  return html`<${Dialog} title="Send a test event" onClose=${onClose} wide>
    <form onSubmit=${submit}>
      <div class="columns">
        <${Field} label="Event" value=${name} onInput=${({ target }) => setName(target.value)} />
        <${Field} label="Data" value=${data} onInput=${({ target }) => setData(target.value)} hint="JSON, or any text." />
      </div>
      <${Problem} error=${test.error} />
      <div class="actions end"><${Button} kind="primary" type="submit" busy=${test.busy}>Send<//></div>
    </form>
    ${
      told &&
      html`<div role="status">
          <${Status} kind=${told.ok ? "ok" : "bad"}>${told.ok ? "Delivered" : "Failed"}${told.status && `, ${told.status}`}${told.took_ms !== undefined && `, ${duration(told.took_ms)}`}<//>
          ${told.error && html`<p class="quiet"><${Text} of=${told.error} /></p>`}
        </div>
        <${Exchange} ...${told} />`
    }
  <//>`;
}

function valueOf(text) {
  try {
    return parse(text);
  } catch {
    return text;
  }
}

const Exchange = ({ request, response, error }) =>
  html`<div class="columns">
    <${Message} title="Request" of=${request} first=${request && `${request.method} ${request.url}`} none="It could not be made." />
    <${Message} title="Response" of=${response} none=${error ?? "No answer came."} />
  </div>`;

function Message({ title, of: message, first, none }) {
  const head = Object.entries(message?.headers ?? {}).map(([name, value]) => `${name}: ${value}`);
  return html`<section class="message">
    <h3>${title}</h3>
    ${
      message
        ? html`<pre tabindex="0" aria-label=${`${title}: its head`}><${Text} of=${[first, ...head].filter(Boolean).join("\n") || "no headers"} most=${4000} lines /></pre>
            ${
              message.body
                ? html`<pre tabindex="0" aria-label=${`${title}: its body`}><${Text} of=${message.body} most=${2000} lines /></pre>`
                : html`<p class="quiet">No body</p>`
            }
            ${message.truncated && html`<p class="quiet">Longer than is kept: cut here.</p>`}`
        : html`<p class="quiet"><${Text} of=${none} /></p>`
    }
  </section>`;
}
