// Set-up: from nothing to the first event. What to paste, where, and a light that says whether it works.

import { answer, get } from "../lib/api.mjs";
import { useKeys } from "../lib/keys.mjs";
import { useLoad } from "../lib/load.mjs";
import { html, useState } from "../lib/preact.mjs";
import { href } from "../lib/route.mjs";
import { useStream } from "../lib/stream.mjs";
import { shellQuote } from "../lib/text.mjs";
import { plural } from "../lib/time.mjs";
import { Card, Copy, Field, Line, Loaded, Page, Time } from "../ui/index.mjs";

const EXAMPLE = { event: "hello", data: "21.5", coreid: "0123456789abcdef01234567" };
const isLocal = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(location.hostname);

export default function Setup() {
  const [newest, setNewest] = useState();
  const start = useLoad(async (signal) => {
    const { events } = await get("/v1/events?order=desc&limit=1", { signal });
    setNewest(events[0]);
    return { after: events[0]?.cursor };
  });
  useKeys({ r: start.reload });
  useStream(
    start.data && {
      after: start.data.after,
      onEvents(events) {
        const kept = events.findLast(({ event }) => event.cursor);
        if (kept) setNewest({ ...kept.event, isNew: true });
      },
    },
    [Boolean(start.data)],
  );
  return html`<${Page}
    title="Set-up"
    about="From here to your first event: one definition, pasted into Particle."
  >
    <${Loaded} load=${start}>${() => html`<${Heard} event=${newest} />`}<//>
    <div class="columns set-up">
      <${Template} />
      <div class="stack">
        <${Steps} />
        <${Curl} />
      </div>
    </div>
  <//>`;
}

/** The light. */
function Heard({ event }) {
  const refused = useLoad((signal) => get("/v1/stats", { signal }), [Boolean(event)], {
    every: event ? 0 : 10_000,
  });
  const today = refused.data?.days[0];
  if (event) {
    return html`<div class="heard ok" data-light="green">
      <i aria-hidden="true"></i>
      <div>
        <p role="status"><strong>${event.isNew ? "An event has arrived. It works." : "Events arrive."}</strong></p>
        <p class="heard-about">
          <${Line} of=${event.event} class="mono" /> from${" "}
          <a href=${href("devices", [event.coreid])}><${Line} of=${event.coreid} class="mono" /></a>,${" "}
          <${Time} at=${event.received_at} />
        </p>
      </div>
      <a class="button" href=${href("events")}>See the events</a>
    </div>`;
  }
  return html`<div class="heard" data-light="waiting">
    <i aria-hidden="true"></i>
    <div>
      <p role="status"><strong>Waiting for the first event</strong></p>
      ${
        today?.refused
          ? html`<p>
              ${plural(today.refused, "request")} came today and ${today.refused === 1 ? "was" : "were"} refused:
              look at the token that is sent, and into <a href=${href("quarantine")}>quarantine</a>.
            </p>`
          : html`<p class="quiet">This turns green by itself.</p>`
      }
    </div>
  </div>`;
}

/** What to paste into Particle, with this address in it. */
function Template() {
  const [prefix, setPrefix] = useState("");
  const template = useLoad(async (signal) => (await answer("particle/integration.json", { signal })).json());
  return html`<${Card} title="1. The definition" class="template">
    <${Loaded} load=${template}
      >${(definition) => {
        const text = filledIn(definition, prefix);
        return html`
          <${Field}
            label="Events whose name starts with"
            placeholder=${definition.event}
            value=${prefix}
            onInput=${({ target }) => setPrefix(target.value)}
            hint="What your devices publish, for example temp; the webhook is for these."
          />
          <div class="code-head">
            <h3>Particle webhook</h3>
            <${Copy} text=${text} label="Copy definition" kind="primary small" />
          </div>
          <pre tabindex="0" aria-label="The definition">${text}</pre>
          <p class="quiet">
            Replace <code>YOUR-INGEST-TOKEN</code> in Particle, after pasting: it is one of${" "}
            <code>INGEST_TOKENS</code>, which this page does not know.
          </p>
        `;
      }}<//
    >
  <//>`;
}

function filledIn(definition, prefix) {
  const own = { ...definition, url: `${location.origin}/hook` };
  if (prefix.trim()) own.event = prefix.trim();
  return JSON.stringify(own, null, 2);
}

const Steps = () =>
  html`<${Card} title="2. Where to paste it">
    ${
      isLocal &&
      html`<p class="notice warn">
        Particle cannot reach <code>${location.host}</code>. Deploy first with${" "}
        <code>npx wrangler deploy</code>, and open this page there; until then, try it with curl.
      </p>`
    }
    <ol class="steps">
      <li>
        Open the${" "}
        <a href="https://console.particle.io" target="_blank" rel="noopener noreferrer">Particle console</a>:
        your product, or the sandbox.
      </li>
      <li><b>Cloud Services</b>, <b>Integrations</b>, <b>Add new integration</b>.</li>
      <li><b>Custom Webhook</b>, <b>Custom template</b>.</li>
      <li>Paste the whole definition in place of what is there, put your token in, and save.</li>
      <li>
        Publish: <code>Particle.publish("…", "21.5", PRIVATE)</code> on a device, or${" "}
        <code>particle publish … 21.5</code>.
      </li>
    </ol>
  <//>`;

/** The same without Particle. */
function Curl() {
  const command = `curl -i ${shellQuote(`${location.origin}/hook`)} \\
  -H "Authorization: Bearer $TOKEN" \\
  -H 'Content-Type: application/json' \\
  -d ${shellQuote(JSON.stringify(EXAMPLE))}`;
  const token = isLocal
    ? "export TOKEN=$(grep ^INGEST_TOKENS= .dev.vars | cut -d= -f2- | cut -d, -f1)"
    : "export TOKEN='one of your INGEST_TOKENS'";
  return html`<${Card}
    title="Or try it with curl"
    aside=${html`<${Copy} text=${`${token}\n${command}`} label="Copy curl" />`}
  >
    <pre tabindex="0" aria-label="The curl command">${`${token}\n${command}`}</pre>
    <p class="quiet">
      204 says that the event is in its device's log, and that there is nothing to tell the device.
    </p>
  <//>`;
}
