// Commands: what was ordered and what became of it; send and cancel.

import { adminOnly, send } from "../../lib/api.mjs";
import { show } from "../../lib/json.mjs";
import { useAction } from "../../lib/load.mjs";
import { html, useState } from "../../lib/preact.mjs";
import { plural } from "../../lib/time.mjs";
import {
  Badge,
  Button,
  Card,
  Empty,
  Field,
  Loaded,
  Problem,
  Status,
  Table,
  Text,
  Time,
  toast,
} from "../../ui/index.mjs";
import { typed } from "./patch.mjs";

const FIRST = 8;
const TTLS = [
  ["10 minutes", 600],
  ["1 hour", 3600],
  ["1 day", 86_400],
  ["7 days", 604_800],
  ["30 days", 2_592_000],
];
const KINDS = { queued: "busy", sent: "busy", acked: "ok", expired: "warn", failed: "bad", cancelled: "off" };
const waits = ({ state }) => state === "queued" || state === "sent";

export function Commands({ path, commands }) {
  const [isAll, setAll] = useState(false);
  const cancel = useAction(async (id = "") => {
    await send("DELETE", `${path}/commands${id && `/${id}`}`);
    commands.reload();
  });
  const newest = commands.data?.commands.toReversed() ?? [];
  const waiting = newest.filter(waits).length;
  const reason = adminOnly();
  const aside =
    waiting > 1 &&
    html`<${Button} kind="small" reason=${reason} busy=${cancel.busy} onClick=${() => cancel.run()}>Cancel all ${waiting}<//>`;
  return html`<${Card} title="Commands" aside=${aside} class="commands">
    <${Send} path=${path} done=${commands.reload} />
    <${Problem} error=${cancel.error} />
    <${Loaded} load=${commands}
      >${() =>
        newest.length
          ? html`<${Table}
                label="Commands, newest first"
                id=${({ id }) => id}
                rows=${isAll ? newest : newest.slice(0, FIRST)}
                columns=${columns(reason, cancel)}
              />
              ${
                newest.length > FIRST &&
                html`<p class="more">
                <button type="button" class="link" onClick=${() => setAll(!isAll)}>${isAll ? "Show fewer" : `Show all ${newest.length}`}</button>
              </p>`
              }`
          : html`<${Empty} title="No commands yet">A command is told in replies until the device acknowledges it.<//>`}<//
    >
  <//>`;
}

const columns = (reason, cancel) => [
  {
    label: "Command",
    cell: ({ id, name, args }) =>
      html`<div>
        <span class="quiet">#${id}</span> <strong><${Text} of=${name} /></strong>
        ${args !== undefined && html` <span class="mono"><${Text} of=${show(args, { quoted: true })} most=${100} /></span>`}
      </div>`,
  },
  {
    label: "State",
    cell: ({ state, undeliverable }) =>
      html`<div>
        <${Status} kind=${KINDS[state]}>${state}<//>
        ${undeliverable && html` <${Badge} kind="bad" title="Replies to this device have no room for it, nor for what is behind it">fits no reply<//>`}
      </div>`,
  },
  {
    label: "When",
    class: "quiet",
    cell: (one) =>
      html`<div>
        ${
          one.finished_at
            ? html`<${Time} at=${one.finished_at} />`
            : html`${waits(one) ? "expires " : ""}<${Time} at=${one.expires_at} />`
        }
        ${one.sends > 0 && html`, sent ${plural(one.sends, "time")}`}
      </div>`,
  },
  {
    label: "",
    cell: (one) =>
      waits(one) &&
      html`<${Button}
        kind="small"
        aria-label=${`Cancel command ${one.id}`}
        reason=${reason}
        busy=${cancel.busy}
        onClick=${() => cancel.run(one.id)}
        >Cancel<//
      >`,
  },
];

function Send({ path, done }) {
  const [name, setName] = useState("");
  const [args, setArgs] = useState("");
  const [ttl, setTtl] = useState(3600);
  const { error, value } = typed(args);
  const order = useAction(async () => {
    await send("POST", `${path}/commands`, { name: name.trim(), args: value, ttl });
    setName("");
    setArgs("");
    toast("Queued: the device is told in its next reply.");
    done();
  });
  const submit = (event) => {
    event.preventDefault();
    if (name.trim() && !error) order.run();
  };
  return html`<form class="send" onSubmit=${submit}>
    <${Field} label="Name" placeholder="blink" maxlength="64" autocomplete="off" value=${name} onInput=${({ target }) => setName(target.value)} />
    <${Field} label="Arguments" placeholder=${'{"times":3}'} autocomplete="off" class="mono" value=${args} error=${error} onInput=${({ target }) => setArgs(target.value)} />
    <${Field} label="Expires after"
      >${(input) =>
        html`<select ...${input} value=${ttl} onChange=${({ target }) => setTtl(Number(target.value))}>
          ${TTLS.map(([label, seconds]) => html`<option value=${seconds}>${label}</option>`)}
        </select>`}<//
    >
    <${Button} kind="primary" type="submit" reason=${adminOnly()} busy=${order.busy} disabled=${!name.trim() || error}>Send<//>
    <${Problem} error=${order.error} />
  </form>`;
}
