// A chart of one number of the log: its mean, and how far it went beyond. Loaded, with uPlot, where there is one to show.

import uPlot from "uplot";
import { get, withQuery } from "../../lib/api.mjs";
import { useLoad } from "../../lib/load.mjs";
import { html, useEffect, useMemo, useRef, useState } from "../../lib/preact.mjs";
import { route, setQuery } from "../../lib/route.mjs";
import { cut, visible } from "../../lib/text.mjs";
import { absolute } from "../../lib/time.mjs";
import { Button, Card, Empty, Field, Loaded } from "../../ui/index.mjs";
import { beginOf, ITSELF, plain, pointsOf, summaryOf } from "./series.mjs";

const HOUR = 3_600_000;
const RANGES = {
  "1h": ["1 h", HOUR, "the last hour"],
  "24h": ["24 h", 24 * HOUR, "the last 24 hours"],
  "7d": ["7 d", 168 * HOUR, "the last 7 days"],
  "30d": ["30 d", 720 * HOUR, "the last 30 days"],
};
const BUCKETS = 240;
const HEIGHT = 240;
/** After an event the chart is read again, at most so often. */
const CALM_MS = 1_500;
const dark = matchMedia("(prefers-color-scheme: dark)");

/** `fields` are those seen in the log; `beat` changes with every event; `since` is when the device was first heard. */
export default function Chart({ path, fields, beat, since }) {
  const { query } = route.value;
  const field = query.field ?? fields[0] ?? ITSELF;
  const isCustom = Boolean(query.from && query.to);
  const range = Object.hasOwn(RANGES, query.range ?? "")
    ? query.range
    : Date.now() - Date.parse(since) < HOUR
      ? "1h"
      : "24h";
  const [isPicking, setPicking] = useState(isCustom);
  const load = useLoad(
    async (signal) => {
      const to = isCustom ? query.to : new Date().toISOString();
      const from = isCustom ? query.from : beginOf(to, RANGES[range][1], since);
      const asked = { field: field === ITSELF ? undefined : field, from, to, buckets: BUCKETS };
      return plain(await get(withQuery(`${path}/series`, asked), { signal }));
    },
    [path, field, range, query.from, query.to],
  );
  const calm = useRef();
  useEffect(() => {
    if (!beat || isCustom) return;
    calm.current ??= setTimeout(() => {
      calm.current = undefined;
      load.beat();
    }, CALM_MS);
  }, [beat]);
  useEffect(() => () => clearTimeout(calm.current), []);
  const choose = (name) => {
    setPicking(false);
    setQuery({ range: name, from: undefined, to: undefined });
  };
  const between = (from, to) => {
    setPicking(true);
    setQuery({ from: new Date(from).toISOString(), to: new Date(to).toISOString() });
  };
  const aside = html`<${Which} field=${field} fields=${fields} />
    ${Object.entries(RANGES).map(
      ([name, [label]]) =>
        html`<${Button} kind="small" aria-pressed=${!isPicking && name === range ? "true" : "false"} onClick=${() => choose(name)}>${label}<//>`,
    )}
    <${Button} kind="small" aria-pressed=${isPicking ? "true" : "false"} onClick=${() => setPicking(true)}>Custom<//>`;
  return html`<${Card} title="Chart" aside=${aside} class="chart">
    <div class="chart-head">
      ${isPicking && html`<${Between} from=${query.from ?? load.data?.from} to=${query.to ?? load.data?.to} chosen=${`${query.from} ${query.to}`} set=${between} />`}
    </div>
    <${Loaded} load=${load}
      >${(series) =>
        series.buckets.length
          ? html`<${Drawing} series=${series} name=${label(field)} when=${isCustom ? "the chosen time" : RANGES[range][2]} zoom=${between} />`
          : html`<${Empty} title="No number there">
              ${field === ITSELF ? "No event's data was a number" : html`No event had a number at <code>${label(field)}</code>`} in ${isCustom ? "the chosen time" : RANGES[range][2]}. Choose a longer range, or another field.
            <//>`}<//
    >
  <//>`;
}

/** A path as it can be shown where only text can. */
const label = (field) => (field === ITSELF ? "data itself" : visible(cut(field, 80)));

/** Those that are known, and any other path. */
function Which({ field, fields }) {
  const [isOther, setOther] = useState(false);
  const known = [...new Set([...fields, field])];
  const set = (value) => setQuery({ field: value || undefined });
  if (isOther) {
    const done = ({ target }) => (set(target.value), setOther(false));
    return html`<input aria-label="Path of a field" placeholder="a.0.b" autofocus onChange=${done} onBlur=${done} />`;
  }
  const choose = ({ target }) => (target.selectedIndex < known.length ? set(target.value) : setOther(true));
  return html`<select aria-label="Field" value=${field} onChange=${choose}>
    ${known.map((one) => html`<option value=${one}>${label(one)}</option>`)}
    <option>Another…</option>
  </select>`;
}

/** Two times, local as the browser shows them. What was typed stays until another range is `chosen`. */
function Between({ from, to, chosen, set }) {
  const [typed, setTyped] = useState({});
  useEffect(() => setTyped({}), [chosen]);
  const local = (at) => {
    const date = new Date(at ?? Date.now());
    return new Date(date - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
  };
  const wrong = (start = from ?? 0, end = to ?? Date.now()) =>
    !start || !end
      ? "A time is missing."
      : new Date(start) < new Date(end)
        ? undefined
        : "This is not after From.";
  const change = (part) => (event) => {
    const next = { ...typed, [part]: event.target.value };
    setTyped(next);
    if (!wrong(next.from, next.to)) set(next.from ?? from ?? 0, next.to ?? to ?? Date.now());
  };
  const error = (typed.from ?? typed.to) !== undefined && wrong(typed.from, typed.to);
  return html`
    <${Field} label="From" type="datetime-local" value=${typed.from ?? local(from)} onChange=${change("from")} />
    <${Field} label="To" type="datetime-local" value=${typed.to ?? local(to)} error=${error} onChange=${change("to")} />
  `;
}

function Drawing({ series, name, when, zoom }) {
  const box = useRef();
  const plot = useRef();
  const [at, setAt] = useState(null);
  const [scheme, setScheme] = useState(dark.matches);
  const zooms = useRef();
  zooms.current = zoom;
  const points = useMemo(() => pointsOf(series), [series]);
  const extent = useRef();
  extent.current = [Date.parse(series.from) / 1000, Date.parse(series.to) / 1000];
  useEffect(() => {
    const change = () => setScheme(dark.matches);
    dark.addEventListener("change", change);
    return () => dark.removeEventListener("change", change);
  }, []);
  useEffect(() => {
    withStyle();
    const options = optionsFor(box.current, {
      range: () => extent.current,
      point: (index) => setAt(index ?? null),
      zoom: (from, to) => zooms.current(from, to),
    });
    plot.current = new uPlot(options, points, box.current);
    const observer = new ResizeObserver(() =>
      plot.current?.setSize({ width: box.current.clientWidth, height: HEIGHT }),
    );
    observer.observe(box.current);
    return () => {
      observer.disconnect();
      plot.current.destroy();
      plot.current = undefined;
    };
  }, [scheme]);
  useEffect(() => plot.current.setData(points), [points]);
  const summary = summaryOf(series, name, when, absolute);
  const [xs, low, high, mean] = points;
  return html`<div class="plot" ref=${box} role="img" aria-label=${summary}></div>
    <p class="quiet">
      ${
        at !== null && mean[at] !== null && mean[at] !== undefined
          ? html`${absolute(1000 * xs[at])}: mean <strong>${short(mean[at])}</strong>, ${short(low[at])} to ${short(high[at])}`
          : summary
      }
    </p>`;
}

const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
/** A tick: the day where it begins or where that is all that differs, else the time. */
function timeOf(tick, step) {
  const date = new Date(1000 * tick);
  return step >= 86_400 || date.getHours() + date.getMinutes() === 0 ? day.format(date) : clock.format(date);
}
const short = (value) => String(Number(value.toPrecision(6)));

/** Colours are those of the page, as they are when it is drawn. */
function optionsFor(box, { range, point, zoom }) {
  const style = getComputedStyle(document.documentElement);
  const token = (name) => style.getPropertyValue(name).trim();
  const [accent, line, quiet] = ["--accent", "--line", "--quiet"].map(token);
  const axis = {
    stroke: quiet,
    font: "12px system-ui, sans-serif",
    grid: { stroke: line, width: 1 },
    ticks: { show: false },
  };
  return {
    width: box.clientWidth,
    height: HEIGHT,
    legend: { show: false },
    cursor: { y: false, drag: { x: true, y: false, setScale: false } },
    scales: { x: { time: true, range } },
    axes: [
      { ...axis, values: (_, ticks, __, ___, step) => ticks.map((tick) => timeOf(tick, step)) },
      { ...axis, size: 56, values: (_, ticks) => ticks.map(short) },
    ],
    series: [
      {},
      { points: { show: false } },
      { points: { show: false } },
      { stroke: accent, width: 1.75, points: { size: 5, fill: accent } },
    ],
    bands: [{ series: [2, 1], fill: `color-mix(in srgb, ${accent} 22%, transparent)` }],
    hooks: {
      setCursor: [({ cursor }) => point(cursor.idx)],
      setSelect: [
        (plot) => {
          const { left, width } = plot.select;
          if (width < 4) return;
          zoom(1000 * plot.posToVal(left, "x"), 1000 * plot.posToVal(left + width, "x"));
          plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        },
      ],
    },
  };
}

function withStyle() {
  if (document.querySelector("link[data-of=uplot]")) return;
  const link = Object.assign(document.createElement("link"), {
    rel: "stylesheet",
    href: "vendor/uplot/uplot.css",
  });
  link.dataset.of = "uplot";
  document.head.append(link);
}
