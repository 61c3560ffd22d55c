// Delivering again: which events, how many that are, and how far it has come.

import { adminOnly, get, send } from "../../lib/api.mjs";
import { useAction, useLoad } from "../../lib/load.mjs";
import { html, useState } from "../../lib/preact.mjs";
import { navigate } from "../../lib/route.mjs";
import { absolute, count, plural } from "../../lib/time.mjs";
import {
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
  Time,
} from "../../ui/index.mjs";
import { apiPath } from "./said.mjs";

/** How many events a job was estimated to have: the API says it once, when the job begins. */
const estimates = new Map();

export function Replays({ id, onReplay }) {
  const load = useLoad((signal) => get(apiPath(id, "/replays"), { signal }), [], { every: 2_000 });
  const jobs = load.data?.replays;
  return html`<${Card} title="Replays" aside=${html`<${Button} kind="small" reason=${adminOnly()} onClick=${onReplay}>New replay<//>`}>
    <${Loaded} load=${load}>${() =>
      jobs.length
        ? html`<${Table} label="Replays" columns=${COLUMNS} rows=${jobs} id=${(job) => job.id} />`
        : html`<${Empty} title="Nothing was replayed in the last seven days">A replay delivers again what was given up, or what came in a span of time. You see how many events that is before it begins.<//>`}<//>
  <//>`;
}

const COLUMNS = [
  { label: "Begun", class: "nowrap", cell: (job) => html`<${Time} at=${job.started_at} />` },
  { label: "What", cell: (job) => html`<${Line} of=${whatOf(job)} />` },
  {
    label: "State",
    cell: ({ id, ended_at: ended, queued }) => {
      const all = Math.max(estimates.get(id) ?? 0, queued);
      if (ended) return html`<${Status} kind="ok">Handed on <${Time} at=${ended} /><//>`;
      return html`<span class="states"><${Status} kind="busy">Under way<//>${all > 0 && html`<progress max=${all} value=${queued} aria-label="Progress" />`}</span>`;
    },
  },
  {
    label: "Events",
    class: "number",
    cell: ({ id, queued }) => `${count(queued)}${estimates.has(id) ? ` of ${count(estimates.get(id))}` : ""}`,
  },
  {
    label: "Passed over",
    class: "number",
    cell: ({ passed_over: over }) =>
      html`<span title="Devices that could not be asked for a day.">${over ? plural(over, "device") : "none"}</span>`,
  },
];

function whatOf({ status, from, to, seq, device }) {
  if (seq) return `Event ${seq} of ${device}`;
  const what = status ? "What was parked" : `Arrived ${absolute(from)} to ${absolute(to)}`;
  return device ? `${what}, of ${device}` : what;
}

const KINDS = {
  parked: "What was given up (parked)",
  span: "What arrived in a span of time",
  id: "One event, by an id",
};
/** For an `<input type=datetime-local>`. */
const localTime = (ms) => new Date(ms - new Date(ms).getTimezoneOffset() * 60_000).toISOString().slice(0, 16);

/** `which`: `{ id }` to begin with that one, `{}` with what is parked. */
export function ReplayDialog({ id, which, parked, onClose }) {
  const [kind, setKind] = useState(which.id ? "id" : "parked");
  const [given, setGiven] = useState({
    id: which.id,
    since: localTime(Date.now() - 3_600_000),
    until: localTime(Date.now() + 60_000),
  });
  const [estimate, setEstimate] = useState();
  const device = given.device?.trim() || undefined;
  const wanted = () => {
    if (kind === "id") return { id: given.id?.trim() };
    if (kind === "parked") return { status: "parked", device };
    return { from: timeOf(given.since), to: timeOf(given.until), device };
  };
  const ask = useAction(async () =>
    setEstimate((await send("POST", apiPath(id, "/replay"), { ...wanted(), estimate: true })).estimate),
  );
  const start = useAction(async () => {
    const { job, estimate } = await send("POST", apiPath(id, "/replay"), wanted());
    estimates.set(job, estimate);
    onClose();
    navigate("integrations", [id], { tab: "replays" });
  });
  const set =
    (name) =>
    ({ target }) => (setGiven({ ...given, [name]: target.value }), setEstimate(undefined), ask.clear());
  const field = (name, label, more) =>
    html`<${Field} label=${label} value=${given[name] ?? ""} onInput=${set(name)} ...${more} />`;
  const submit = (event) => (event.preventDefault(), estimate ? start.run() : ask.run());
  return html`<${Dialog} title="Replay" onClose=${onClose}>
    <form onSubmit=${submit}>
      <fieldset class="choice">
        <legend class="unseen-label">What to deliver again</legend>
        ${Object.entries(KINDS).map(
          ([value, label]) =>
            html`<label><input type="radio" name="kind" value=${value} checked=${kind === value} onChange=${() => (setKind(value), setEstimate(undefined), ask.clear())} /> ${label}${value === "parked" && `: ${count(parked)}`}</label>`,
        )}
      </fieldset>
      ${kind === "id" && field("id", "Id", { hint: "Of an attempt, of an event, or a webhook-id." })}
      ${kind === "span" && html`<div class="columns pair">${field("since", "From", { type: "datetime-local" })}${field("until", "To", { type: "datetime-local" })}</div>`}
      ${kind !== "id" && field("device", "Only this device", { placeholder: "all devices" })}
      <${Problem} error=${start.error ?? ask.error} />
      <p role="status">${
        estimate === undefined
          ? html`<span class="quiet">Nothing is sent before you have seen how many events it is.</span>`
          : estimate
            ? html`<strong>${plural(estimate, "event")}</strong> would be delivered again, with the webhook-id they had.`
            : "No event is meant: there is nothing to replay."
      }</p>
      <div class="actions end">
        <${Button} onClick=${onClose}>Cancel<//>
        <${Button} kind="primary" type="submit" busy=${ask.busy || start.busy} disabled=${estimate === 0}>${estimate ? `Replay ${plural(estimate, "event")}` : "Estimate"}<//>
      </div>
    </form>
  <//>`;
}

const timeOf = (local) => (local ? new Date(local).toISOString() : undefined);
