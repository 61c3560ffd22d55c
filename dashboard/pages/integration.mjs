// One integration: how it has done, its attempts, its replays, its definition; and what can be done with it.

import { adminOnly, get, send } from "../lib/api.mjs";
import { useKeys } from "../lib/keys.mjs";
import { useAction, useLoad } from "../lib/load.mjs";
import { html, useState } from "../lib/preact.mjs";
import { href, navigate, route } from "../lib/route.mjs";
import { Badge, Button, Confirm, Loaded, Page, Problem, Text, Time, toast } from "../ui/index.mjs";
import { Definition, New } from "./integration/definition.mjs";
import { Attempts, Test } from "./integration/deliveries.mjs";
import { Replays, ReplayDialog } from "./integration/replays.mjs";
import { Counts, Kind, REASONS, State, apiPath, eventsOf } from "./integration/said.mjs";

export default function IntegrationPage() {
  const [id] = route.value.parts;
  return id === "new" ? html`<${New} />` : html`<${Integration} key=${id} id=${id} />`;
}

const TABS = { "": "Deliveries", replays: "Replays", definition: "Definition" };

function Integration({ id }) {
  const load = useLoad((signal) => get(apiPath(id), { signal }), [], { every: 10_000 });
  const [dialog, setDialog] = useState();
  const { tab = "" } = route.value.query;
  const whole = load.data;
  const close = () => setDialog(undefined);
  const change = useAction(async (what, body) => {
    await send("POST", apiPath(id, `/${what}`), body);
    load.reload();
  });
  useKeys({ r: load.reload });
  const name = whole && (whole.name || eventsOf(whole) || id);
  const button = (label, open, kind) =>
    html`<${Button} kind=${kind} reason=${adminOnly()} busy=${change.busy} onClick=${open}>${label}<//>`;
  const actions = whole && [
    button("Test", () => setDialog("test")),
    button("Replay", () => setDialog({})),
    !whole.paused && button("Pause", () => change.run("pause")),
    button("Delete", () => setDialog("delete"), "danger"),
  ];
  return html`<${Page}
    title=${whole ? html`<${Text} of=${name} most=${120} />` : "Integration"}
    about=${whole && html`<${About} of=${whole} />`}
    actions=${actions}
  >
    <${Problem} error=${change.error} />
    <${Loaded} load=${load}>${() => html`
      <${Paused} of=${whole} change=${change} />
      <nav class="tabs" aria-label="Of this integration">
        ${Object.entries(TABS).map(
          ([key, label]) =>
            html`<a href=${href("integrations", [id], { tab: key })} aria-current=${tab === key ? "page" : undefined}>${label}</a>`,
        )}
      </nav>
      ${
        tab === "definition"
          ? html`<${Definition} of=${whole} load=${load} />`
          : tab === "replays"
            ? html`<${Replays} id=${id} onReplay=${() => setDialog({})} />`
            : html`<${Counts} counts=${whole.counts} /><${Attempts} id=${id} whole=${whole} onReplay=${setDialog} />`
      }
    `}<//>
    ${dialog === "test" && html`<${Test} of=${whole} onClose=${close} />`}
    ${typeof dialog === "object" && html`<${ReplayDialog} id=${id} which=${dialog} parked=${whole.counts.parked} onClose=${close} />`}
    ${
      dialog === "delete" &&
      html`<${Confirm}
        title="Delete this integration"
        label="Delete"
        typed=${/^[\w .-]{1,40}$/.test(name) ? name : id}
        onClose=${close}
        act=${async () => {
          await send("DELETE", apiPath(id));
          toast("The integration was deleted.");
          navigate("integrations");
        }}
      >
        <p>Nothing is delivered any more, and its attempts and its place in every log are forgotten. Events stay.</p>
      <//>`
    }
  <//>`;
}

const About = ({ of: whole }) =>
  html`<span class="about">
    <${State} of=${whole} /><${Kind} of=${whole} />
    ${whole.insecure && html`<${Badge} kind="warn" title="Deliveries go by http, for everybody on the way to read.">not encrypted<//>`}
    ${whole.respond && html`<${Badge} title="What the service answers is the reply to the device.">answers devices<//>`}
    <span>Events <code><${Text} of=${eventsOf(whole) || "all"} most=${80} /></code></span>
    <span>to <code>${whole.requestType ?? "POST"} <${Text} of=${whole.target_url ?? whole.url} most=${120} /></code></span>
  </span>`;

function Paused({ of: { paused, counts }, change }) {
  if (!paused) return null;
  const resume = (label, body) =>
    html`<${Button} kind="small" reason=${adminOnly()} busy=${change.busy} onClick=${() => change.run("resume", body)}>${label}<//>`;
  return html`<div class="notice warn">
    <p><strong>Paused</strong> <${Time} at=${paused.at} />: ${REASONS[paused.reason] ?? paused.reason}. What comes in waits in the log.${
      paused.reason !== "disabled" &&
      counts.parked > 0 &&
      " What was given up is parked, and can be replayed afterwards."
    }</p>
    <div class="actions">
      ${resume("Go on where it was")}${resume("Go on from now", { from: "now" })}
    </div>
  </div>`;
}
