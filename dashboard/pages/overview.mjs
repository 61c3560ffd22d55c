// Overview: what happens now, what happened today, and what needs somebody.

import { get, isAdmin } from "../lib/api.mjs";
import { useKeys } from "../lib/keys.mjs";
import { useLoad } from "../lib/load.mjs";
import { html } from "../lib/preact.mjs";
import { href } from "../lib/route.mjs";
import { shortId } from "../lib/text.mjs";
import { clockTime, count, plural } from "../lib/time.mjs";
import {
  Badge,
  Bars,
  Button,
  Card,
  Empty,
  Line,
  Loaded,
  Page,
  Problem,
  Sparkline,
  Status,
  Time,
} from "../ui/index.mjs";
import { attention } from "./overview/attention.mjs";

const EVERY = 5_000;
const SELDOM = 30_000;
/** Of so many failing integrations the newest failures are looked for. */
const ASKED = 20;
/** So many integrations are asked for at a time. */
const AT_ONCE = 20;
const SHOWN = 6;

export default function Overview() {
  const stats = useLoad((signal) => get("/v1/stats", { signal }), [], { every: EVERY });
  const failures = useLoad(readFailures, [], { every: SELDOM });
  const quarantine = useLoad(
    (signal) => (isAdmin() ? get("/v1/quarantine?limit=100", { signal }) : null),
    [],
    {
      every: SELDOM,
    },
  );
  const reload = () => [stats, failures, quarantine].forEach((load) => load.reload());
  useKeys({ r: reload });
  return html`<${Page}
    title="Overview"
    about="Days are counted in UTC."
    actions=${html`<${Button} onClick=${reload}>Refresh<//>`}
  >
    <${Loaded} load=${stats}>${(data) => html`<${Figures} stats=${data} />`}<//>
    <div class="columns">
      <${Card} title="What needs attention first">
        <${Attention} stats=${stats} failures=${failures} quarantine=${quarantine} />
      <//>
      <${Card} title="Newest failures">
        <${Loaded} load=${failures}>${({ attempts }) => html`<${Failures} attempts=${attempts} />`}<//>
      <//>
    </div>
  <//>`;
}

/** What the integrations have failed at lately, and how each of them does. */
async function readFailures(signal) {
  const list = await get("/v1/integrations", { signal });
  const integrations = [];
  for (let at = 0; at < list.length; at += AT_ONCE) {
    integrations.push(
      ...(await Promise.all(list.slice(at, at + AT_ONCE).map((one) => readWhole(one, signal)))),
    );
  }
  const failing = integrations.filter(({ counts }) => counts?.parked || counts?.today.failure).slice(-ASKED);
  const pages = await Promise.all(
    failing.flatMap(({ id, name, event }) =>
      ["failure", "parked"].map(async (status) => {
        const { attempts } = await get(`/v1/integrations/${id}/attempts?status=${status}&limit=${SHOWN}`, {
          signal,
        });
        return attempts.map((attempt) => ({ ...attempt, to: name ?? event }));
      }),
    ),
  );
  const attempts = pages.flat().sort((one, other) => Date.parse(other.at) - Date.parse(one.at));
  return { integrations, attempts: attempts.slice(0, SHOWN) };
}

/** Of one that was deleted meanwhile, what the list said. */
async function readWhole(listed, signal) {
  try {
    return await get(`/v1/integrations/${encodeURIComponent(listed.id)}`, { signal });
  } catch (error) {
    if (error.status === 404) return { ...listed, counts: undefined };
    throw error;
  }
}

const NOTHING = { events: 0, duplicates: 0, refused: 0, limited: 0, errors: 0 };
const COUNTED = [
  ["events", "Accepted", "in a device's log", "accent"],
  ["duplicates", "Repeated", "recognised, and counted once", "off"],
  ["refused", "Refused", "not proven, or no event", "warn"],
  ["limited", "Over a rate", "told to wait", "warn"],
  ["errors", "Failed", "answered 500 or above", "bad"],
];

function Figures({ stats: { days, minutes, devices } }) {
  const date = new Date().toISOString().slice(0, 10);
  const today = days.find(({ day }) => day === date) ?? NOTHING;
  const { events } = minutes;
  const at = (index) => clockTime(Date.parse(minutes.from) + index * 60_000).slice(0, 5);
  const last = events.at(-2) ?? 0;
  return html`<div class="figures">
      <${Card} class="per-minute">
        <div class="figure">
          <p class="figure-number" data-figure="per-minute">${count(last)}</p>
          <p>events a minute<br /><span class="quiet">in the last whole one</span></p>
        </div>
        <${Bars}
          label=${`Events of each minute of the last hour: ${count(events.reduce((sum, one) => sum + one, 0))} in all`}
          height=${96}
          ends=${[at(0), "now"]}
          bars=${events.map((one, index) => ({
            label: `${at(index)}: ${plural(one, "event")}`,
            parts: { [index === events.length - 1 ? "off" : "accent"]: one },
          }))}
        />
      <//>
      <${Card} class="online">
        <p class="figure-number" data-figure="online">${count(devices.online)}</p>
        <p>${devices.online === 1 ? "device" : "devices"} online</p>
        <p class="quiet">of <a href=${href("devices")}>${count(devices.known)} known</a>; online is heard within 15 minutes</p>
      <//>
    </div>
    <dl class="today" aria-label="Today">
      ${COUNTED.filter(([name]) => today[name] || name !== "limited").map(([name, label, about]) => {
        const past = days
          .slice(0, 30)
          .reverse()
          .map((day) => day[name]);
        return html`<div class=${`card ${today[name] && name === "errors" ? "is-bad" : ""}`}>
          <dt>${label} <span class="quiet">today</span></dt>
          <dd>
            <span class="figure-number" data-figure=${name}>${count(today[name])}</span>
            ${past.length > 1 && html`<${Sparkline} values=${past} width=${72} label=${`The last ${past.length} days that have counts`} />`}
          </dd>
          <dd class="quiet">${about}</dd>
        </div>`;
      })}
    </dl>`;
}

function Attention(loads) {
  const all = Object.values(loads);
  const error = all.find((load) => load.error)?.error;
  const known = all.every(({ data }) => data !== undefined);
  const found = attention({
    stats: loads.stats.data,
    integrations: loads.failures.data?.integrations,
    quarantine: loads.quarantine.data?.quarantine,
  });
  const unread =
    error &&
    html`<${Problem} error=${error} retry=${() => all.forEach((load) => load.error && load.reload())} />`;
  if (!found.length) {
    return (
      unread || (known && html`<p data-attention="none"><${Status} kind="ok">Nothing needs you now.<//></p>`)
    );
  }
  return html`${unread}<ul class="attention">
    ${found.map(
      ({ kind, name, text, to, way }) =>
        html`<li>
          <${Status} kind=${kind}><span>${name && html`<b><${Line} of=${name} most=${60} /></b> `}${text}</span><//>
          <a href=${to}>${way}</a>
        </li>`,
    )}
  </ul>`;
}

function Failures({ attempts }) {
  if (!attempts.length) {
    return html`<${Empty} title="No delivery has failed"
      >What goes wrong on the way to your services is listed here. <a href=${href("integrations")}>Integrations</a><//
    >`;
  }
  return html`<ul class="failures" aria-label="Newest failures">
    ${attempts.map(
      ({ id, at, to, integration, event, device, error, http_status, status }) =>
        html`<li key=${id}>
          <p>
            <a href=${href("integrations", [integration])}><${Line} of=${to} most=${60} /></a>
            <span class="quiet nowrap"><${Time} at=${at} /></span>
          </p>
          <p>
            <${Line} of=${error ?? `status ${http_status}`} />
            ${status === "parked" && html`<${Badge} kind="bad">given up<//>`}
          </p>
          <p class="quiet"><${Line} of=${event} /><${Line} class="mono" of=${shortId(device)} /></p>
        </li>`,
    )}
  </ul>`;
}
