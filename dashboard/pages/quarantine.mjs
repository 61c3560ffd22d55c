// Quarantine: what was proven and refused, why, and how to take it in after all.

import { isAdmin, send } from "../lib/api.mjs";
import { moved, useKeys } from "../lib/keys.mjs";
import { useAction } from "../lib/load.mjs";
import { html, useState } from "../lib/preact.mjs";
import { href } from "../lib/route.mjs";
import { useRows } from "../lib/rows.mjs";
import { absolute, count, plural, utc } from "../lib/time.mjs";
import {
  Badge,
  Button,
  Confirm,
  Copy,
  Dialog,
  Empty,
  Field,
  Line,
  Loaded,
  Page,
  Problem,
  Table,
  Text,
  Time,
  toast,
} from "../ui/index.mjs";

const ABOUT = "What was proven to be yours, and refused. The newest 1,000 are kept for 30 days.";

export default function Quarantine() {
  if (isAdmin()) return html`<${Kept} />`;
  return html`<${Page} title="Quarantine" about=${ABOUT}>
    <${Empty} title="Quarantine needs an admin token">Here stand bodies as they came, with whatever is in them. You are signed in to read only: sign out, and sign in with a token of <code>ADMIN_TOKENS</code>.<//>
  <//>`;
}

function Kept() {
  const { rows, isEnd, older, head } = useRows(
    "/v1/quarantine",
    "quarantine",
    { limit: 50 },
    { every: 20_000 },
  );
  const [chosen, choose] = useState();
  const [opened, open] = useState();
  const [picked, pick] = useState(new Set());
  const [removes, setRemoves] = useState(false);
  const selected = rows.findIndex(({ id }) => id === chosen);
  const go = (by) => choose(rows[moved(selected, by, rows.length)]?.id);
  const done = () => (open(undefined), head.reload());
  useKeys({ j: () => go(1), k: () => go(-1), Enter: () => open(rows[selected]), r: head.reload });
  const marked = rows.filter(({ id }) => picked.has(id));
  const toggle = (ids, on) => {
    const next = new Set(picked);
    for (const id of ids) on ? next.add(id) : next.delete(id);
    pick(next);
  };
  const replay = useAction(async () => {
    const failed = await each(marked, ({ id }) => send("POST", pathOf(id, "/replay")));
    toast(
      `${plural(marked.length - failed.length, "entry", "entries")} taken in`,
      failed.length ? "warn" : "ok",
    );
    pick(new Set(failed.map(({ one }) => one.id)));
    head.reload();
    if (failed.length) {
      const [{ error }] = failed;
      const title = `${plural(failed.length, "entry is", "entries are")} still refused`;
      throw { ...error, title, code: error.code, detail: `The first of them: ${error.detail}` };
    }
  });
  const column = {
    label: "Choose",
    cell: ({ id, received_at: at }) =>
      html`<input type="checkbox" aria-label=${`Choose the entry of ${at}`} checked=${picked.has(id)} onChange=${({ target }) => toggle([id], target.checked)} />`,
  };
  return html`<${Page} title="Quarantine" about=${ABOUT}>
    <${Loaded} load=${head}>${() =>
      rows.length
        ? html`
            <div class="actions">
              <label><input type="checkbox" checked=${marked.length === rows.length} onChange=${({
                target,
              }) =>
                toggle(
                  rows.map(({ id }) => id),
                  target.checked,
                )} /> ${marked.length ? `${count(marked.length)} chosen` : `All ${count(rows.length)} shown`}</label>
              <${Button} kind="small" disabled=${!marked.length} busy=${replay.busy} onClick=${replay.run}>Replay chosen<//>
              <${Button} kind="small danger" disabled=${!marked.length} onClick=${() => setRemoves(true)}>Remove chosen<//>
            </div>
            <${Problem} error=${replay.error} wayOut="Mend what causes it, or open one and mend its body." />
            <${Table} label="Quarantine" columns=${[column, ...COLUMNS(open)]} rows=${rows} id=${({ id }) => id} selected=${selected} onOpen=${open} />
          `
        : html`<${Empty} title="Nothing is in quarantine">
            What has a valid token or signature and still is no event lands here: broken JSON, a missing event name, a device's flood. It can be mended and replayed.
            <p>What has no valid proof is not kept; <a href=${href("overview")}>the overview</a> counts it as refused.</p>
          <//>`}<//>
    <${Problem} error=${older.error} retry=${older.run} />
    ${!isEnd && html`<p class="rows-foot"><${Button} busy=${older.busy} onClick=${older.run}>Load older<//></p>`}
    ${opened && html`<${Entry} of=${opened} onDone=${done} onClose=${() => open(undefined)} />`}
    ${
      removes &&
      html`<${Confirm}
        title=${`Remove ${plural(marked.length, "entry", "entries")}`}
        label="Remove"
        onClose=${() => setRemoves(false)}
        act=${async () => {
          const failed = await each(marked, ({ id }) => send("DELETE", pathOf(id)));
          head.reload();
          if (failed.length) throw failed[0].error;
          pick(new Set());
        }}
      ><p>What is removed cannot be replayed any more.</p><//>`
    }
  <//>`;
}

/** One after another; those that failed, with their errors. What is gone already counts as done. */
async function each(list, act) {
  const failed = [];
  for (const one of list) {
    await act(one).catch((error) => error.code !== "unknown-entry" && failed.push({ one, error }));
  }
  return failed;
}

const COLUMNS = (open) => [
  {
    label: "Why",
    class: "head",
    cell: (entry) => html`<div class="named">
      <span><${Badge} kind="bad">${entry.code}<//></span>
      <button type="button" class="link" onClick=${() => open(entry)}><${Line} of=${entry.detail} /></button>
    </div>`,
  },
  { label: "When", class: "nowrap", cell: ({ received_at: at }) => html`<${Time} at=${at} />` },
  { label: "Source", cell: ({ source }) => html`<${Line} of=${source} class="mono" />` },
  { label: "Body", cell: (entry) => html`<${Line} of=${bodyOf(entry)} class="mono quiet" />` },
];

/** What helps against the usual reasons, beside mending the body. */
const FIXES = {
  "bad-json":
    "As a rule the sender's template puts data with quotes between quotes. Correct the template for what comes next, and the body here for this one.",
  "missing-field": "Name the field in the sender's template, or put it into the body here.",
  "rate-limited": "The device sent more than DEVICE_RATE lets through. Replay when it is calmer.",
};

function Entry({ of: entry, onDone, onClose }) {
  const before = entry.body_encoding ? "" : entry.body;
  const [body, setBody] = useState(before);
  const isMended = body !== before;
  const replay = useAction(async () => {
    const answer = await send("POST", pathOf(entry.id, "/replay"), isMended ? { body } : undefined);
    const { text, kind } = saidOf(answer);
    toast(text, kind);
    onDone();
  });
  const remove = useAction(async () => {
    await send("DELETE", pathOf(entry.id));
    onDone();
  });
  const target = `/hook${entry.source === "default" ? "" : `/${entry.source}`}${entry.query ? `?${entry.query}` : ""}`;
  return html`<${Dialog} title="In quarantine" onClose=${onClose} wide>
    <p><${Badge} kind="bad">${entry.code}<//>${" "}<${Text} of=${entry.detail} />${entry.field && html` (<code><${Text} of=${entry.field} /></code>)`}</p>
    ${FIXES[entry.code] && html`<p class="quiet">${FIXES[entry.code]}</p>`}
    <dl class="facts">
      <dt>Received</dt><dd><time datetime=${utc(entry.received_at)}>${absolute(entry.received_at)}</time></dd>
      <dt>Source</dt><dd><code><${Text} of=${entry.source} /></code></dd>
      <dt>Request</dt><dd><code>${entry.method} <${Text} of=${target} /></code></dd>
      <dt>Content type</dt><dd>${entry.content_type ? html`<code><${Text} of=${entry.content_type} /></code>` : html`<span class="quiet">none</span>`}</dd>
    </dl>
    <h3>Body as it came</h3>
    ${
      entry.body
        ? html`<pre tabindex="0" aria-label="Body as it came"><${Text} of=${entry.body} most=${4000} lines /></pre>`
        : html`<p class="quiet">Empty</p>`
    }
    ${
      entry.body_encoding
        ? html`<p class="quiet">It is not text, so it is shown as ${entry.body_encoding}.</p>`
        : html`<div><${Copy} text=${entry.body} label="Copy body" /></div>`
    }
    <${Field} label="Body to replay" multiline value=${body} hint=${isMended ? "Mended: this goes in its place." : entry.body_encoding ? "Empty: as it came. Or write here what it should have been." : "As it came. Change it here, if the fault is in it."} onInput=${({ target }) => setBody(target.value)} />
    <${Problem} error=${replay.error ?? remove.error} wayOut=${replay.error && "It stays in quarantine. Mend the body, or what refuses it, and replay again."} />
    <div class="actions end">
      <${Button} kind="danger" busy=${remove.busy} onClick=${remove.run}>Remove<//>
      <${Button} kind="primary" busy=${replay.busy} onClick=${replay.run}>${isMended ? "Replay mended" : "Replay"}<//>
    </div>
  <//>`;
}

function saidOf({ coreid, seq, accepted, duplicates, refused }) {
  if (coreid)
    return {
      text: seq
        ? `Taken in: number ${seq} in the log of ${coreid}.`
        : `${coreid} had it already: nothing was added.`,
    };
  const text = `A batch: ${count(accepted)} taken in, ${count(duplicates)} known, ${count(refused?.length)} refused.`;
  return { text, kind: refused?.length ? "warn" : "ok" };
}

const pathOf = (id, rest = "") => `/v1/quarantine/${encodeURIComponent(id)}${rest}`;

/** What was sent, as text: the body, else the query. */
const bodyOf = ({ body, query, body_encoding: encoding }) =>
  encoding ? `(not text) ${body}` : body || query || "(empty)";
