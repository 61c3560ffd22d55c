// One device: what it is, what its numbers did, what is wanted of it, what it was told to do, and its log.

import { adminOnly, get, send } from "../lib/api.mjs";
import { useKeys } from "../lib/keys.mjs";
import { useLoad } from "../lib/load.mjs";
import { html, useEffect, useErrorBoundary, useMemo, useRef, useState } from "../lib/preact.mjs";
import { href, navigate, route } from "../lib/route.mjs";
import { useStream } from "../lib/stream.mjs";
import { count } from "../lib/time.mjs";
import { Button, Card, Confirm, Line, Loading, Page, Problem, Text, Time, toast } from "../ui/index.mjs";
import { Online } from "./devices.mjs";
import { Commands } from "./device/commands.mjs";
import { Log, useLog } from "./device/log.mjs";
import { fieldsOf } from "./device/series.mjs";
import { Twin } from "./device/twin.mjs";

/** After an event, what it may have changed is read again, at most so often. */
const CALM_MS = 700;

export default function Shown() {
  const [id] = route.value.parts;
  return html`<${Device} key=${id} id=${id} />`;
}

function Device({ id }) {
  const path = `/v1/devices/${encodeURIComponent(id)}`;
  const { event: filter = "" } = route.value.query;
  const [asksDelete, setAsksDelete] = useState(false);
  const [beat, setBeat] = useState(0);
  // What stands for a source has no twin and no commands.
  const isOwn = !id.startsWith("source:");

  const start = useLoad(async (signal) => {
    const { events } = await get(`${path}/events?order=desc&limit=1`, { signal });
    return { after: events[0]?.cursor };
  });
  const device = useLoad((signal) => get(path, { signal }));
  const twin = useLoad((signal) => (isOwn ? get(`${path}/twin`, { signal }) : null), [], {
    every: isOwn && 20_000,
  });
  const commands = useLoad((signal) => (isOwn ? get(`${path}/commands?limit=1000`, { signal }) : null), [], {
    every: isOwn && 20_000,
  });
  const log = useLog(path, filter);
  const reload = () => [device, twin, commands].forEach((one) => one.reload());
  const calm = useRef();
  useEffect(() => () => clearTimeout(calm.current), []);
  useStream(
    start.data && {
      path: `${path}/events`,
      after: start.data.after,
      onEvents(events) {
        const kept = events.map(({ event }) => event).filter(({ cursor }) => cursor);
        if (!kept.length) return;
        adding.current(kept);
        setBeat((times) => times + 1);
        calm.current ??= setTimeout(() => {
          calm.current = undefined;
          [device, twin, commands].forEach((one) => one.beat());
        }, CALM_MS);
      },
    },
    [Boolean(start.data)],
  );
  const adding = useRef();
  adding.current = log.add;
  // What could not be read when the page was opened is read now; without it nothing is live.
  const refresh = () => (reload(), log.reload(), start.data || start.reload());
  useKeys({ r: refresh });

  const title = html`<span class="mono"><${Text} of=${id} most=${80} /></span>`;
  if (!device.data) {
    return html`<${Page} title=${title} name=${id}
      >${device.error ? html`<${Unknown} error=${device.error} retry=${refresh} />` : html`<${Loading} />`}<//
    >`;
  }
  const actions = html`<${Button} kind="danger small" reason=${adminOnly()} onClick=${() => setAsksDelete(true)}>Delete<//>`;
  return html`<${Page} title=${title} name=${id} class="device-page" actions=${actions}>
    <${Problem} error=${device.error ?? start.error} retry=${refresh} />
    <${Facts} device=${device.data} reply=${twin.data?.reply} />
    <${Chart} path=${path} events=${log.events} beat=${beat} since=${device.data.first_heard} />
    ${
      isOwn &&
      html`<${Twin} id=${id} path=${path} twin=${twin} />
        <${Commands} path=${path} commands=${commands} />`
    }
    <${Log} log=${log} filter=${filter} />
    ${asksDelete && html`<${Delete} id=${id} path=${path} onClose=${() => setAsksDelete(false)} />`}
  <//>`;
}

const Unknown = ({ error, retry }) =>
  html`<${Problem}
      error=${error}
      retry=${retry}
      wayOut=${error.code === "unknown-device" ? "A device is here from its first event on, or once something was written to its twin." : undefined}
    />
    <p><a href=${href("devices")}>All devices</a></p>`;

function Facts({ device, reply }) {
  const facts = [
    ["State", html`<${Online} of=${device} />`],
    ["Last heard", html`<${Time} at=${device.last_heard} />`],
    ["First heard", html`<${Time} at=${device.first_heard} />`],
    ["Events", html`${count(device.events)}`],
    ["Product", device.product_id && html`<${Line} of=${device.product_id} />`],
    ["Firmware", device.firmware_version && html`<${Line} of=${device.firmware_version} />`],
    ["Home source", device.home && html`<${Line} of=${device.home} />`],
    ["Next reply", reply && html`<${Reply} of=${reply} />`],
  ];
  return html`<dl class="card device-facts">
    ${facts.filter(([, value]) => value).map(([label, value]) => html`<div><dt>${label}</dt><dd>${value}</dd></div>`)}
  </dl>`;
}

/** How full the reply would be that is composed now. */
const Reply = ({ of: { bytes, budget, more } }) =>
  html`${count(bytes)} of ${count(budget)} bytes${more && ", more waits"}
    <span class="gauge"><i style=${{ width: `${Math.min(100, (100 * bytes) / budget)}%` }}></i></span>`;

/** The chart's code, and uPlot with it, comes where there is a number to chart. */
function Chart({ events, ...rest }) {
  const [Drawn, setDrawn] = useState();
  const [failed, setFailed] = useState(false);
  const fields = useMemo(() => fieldsOf(events), [events]);
  const wants = fields.length > 0 || Boolean(route.value.query.field);
  useEffect(() => {
    if (wants)
      import("./device/chart.mjs").then(
        (module) => setDrawn(() => module.default),
        () => setFailed(true),
      );
  }, [wants, failed]);
  const [thrown, again] = useErrorBoundary((error) => console.error(error));
  if (failed || thrown) {
    const error = thrown
      ? { code: "page-failed", title: "The chart could not be drawn", detail: thrown.message }
      : { code: "unreachable", title: "The chart could not be loaded", detail: "its code did not come" };
    return html`<${Problem}
      error=${error}
      retry=${thrown ? again : () => setFailed(false)}
      wayOut="The rest of the page does without it. Should it stay, load the whole page again."
    />`;
  }
  if (!wants) return null;
  return Drawn
    ? html`<${Drawn} ...${rest} fields=${fields} />`
    : html`<${Card} title="Chart" class="chart"><${Loading} /><//>`;
}

function Delete({ id, path, onClose }) {
  const act = async () => {
    await send("DELETE", path);
    toast(`Deleted ${id}`);
    navigate("devices");
  };
  return html`<${Confirm} title="Delete this device" label="Delete the device" typed=${id} act=${act} onClose=${onClose}>
    <p>
      Its whole log, its twin and its commands go, and cannot be brought back. When it publishes again, it is a new
      device here.
    </p>
  <//>`;
}
