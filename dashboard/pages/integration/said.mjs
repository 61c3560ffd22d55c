// What the list and the page of one say alike: its events, its state, and how it has done.

import { html } from "../../lib/preact.mjs";
import { count } from "../../lib/time.mjs";
import { Badge, Bars, Card, Status } from "../../ui/index.mjs";

export const apiPath = (id, rest = "") => `/v1/integrations/${encodeURIComponent(id)}${rest}`;

export const eventsOf = ({ events, event, eventName }) =>
  [events ?? event ?? eventName ?? ""].flat().join(", ");

/** Why it rests, in words. */
export const REASONS = {
  disabled: "by hand",
  gone: "its service said that it is gone (410)",
  parked: "20 deliveries in a row were given up",
};

export const State = ({ of: { status, paused } }) =>
  status === "active"
    ? html`<${Status} kind="ok">Active<//>`
    : html`<span title=${REASONS[paused?.reason]}><${Status} kind=${paused?.reason === "disabled" ? "off" : "bad"}>Paused<//></span>`;

export const Kind = ({ of: whole }) => whole?.target_url !== undefined && html`<${Badge}>subscription<//>`;

const DAY = 86_400_000;
const short = new Intl.DateTimeFormat("en", { day: "numeric", month: "short", timeZone: "UTC" });

/** Thirty days of it, also those on which nothing was delivered. */
export function Days({ counts, height }) {
  const known = new Map((counts?.days ?? []).map((day) => [day.date, day]));
  const bars = Array.from({ length: 30 }, (_, index) => {
    const at = new Date(Date.now() - (29 - index) * DAY);
    const {
      success: ok = 0,
      failure: bad = 0,
      skipped: off = 0,
    } = known.get(at.toISOString().slice(0, 10)) ?? {};
    const label = `${short.format(at)}: ${count(ok)} success, ${count(bad)} error, ${count(off)} skipped`;
    return { label, parts: { ok, bad, off } };
  });
  const sum = (kind) => count(bars.reduce((total, { parts }) => total + parts[kind], 0));
  return html`<${Bars}
    bars=${bars}
    height=${height}
    ends=${height ? undefined : ["30 days ago", "today (UTC)"]}
    label=${`Last 30 days: ${sum("ok")} success, ${sum("bad")} error, ${sum("off")} skipped`}
  />`;
}

export function Counts({ counts }) {
  const { today, parked } = counts;
  return html`<${Card} title="Last 30 days" aside=${html`<${Legend} />`}>
    <dl class="tally">
      <${Figure} label="Success today" value=${today.success} />
      <${Figure} label="Errors today" value=${today.failure} kind="bad" />
      <${Figure} label="Skipped today" value=${today.skipped} />
      <${Figure} label="Parked" value=${parked} kind="warn" />
      ${today.expired > 0 && html`<${Figure} label="Expired undelivered today" value=${today.expired} kind="bad" />`}
    </dl>
    ${counts.days.length ? html`<${Days} counts=${counts} />` : html`<p class="quiet">Nothing was counted in the last 30 days.</p>`}
  <//>`;
}

const Figure = ({ label, value, kind = "" }) =>
  html`<div>
    <dt class="quiet">${label}</dt>
    <dd class=${value ? kind : ""}>${count(value)}</dd>
  </div>`;

const Legend = () =>
  html`<ul class="legend quiet">
    ${[
      ["ok", "Success"],
      ["bad", "Error"],
      ["off", "Skipped"],
    ].map(
      ([kind, label]) =>
        html`<li><svg width="10" height="10" aria-hidden="true"><rect class=${`bar ${kind}`} width="10" height="10" rx="2" /></svg> ${label}</li>`,
    )}
  </ul>`;
