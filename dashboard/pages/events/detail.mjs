// One event as a whole, and ways to take it along.

import { isRaw, parse, show } from "../../lib/json.mjs";
import { html, useMemo } from "../../lib/preact.mjs";
import { href } from "../../lib/route.mjs";
import { masked } from "../../lib/secrets.mjs";
import { FLAGS, shellQuote, visibleJson } from "../../lib/text.mjs";
import { absolute, utc } from "../../lib/time.mjs";
import { Badge, Button, Copy, JsonTree, Line, Text } from "../../ui/index.mjs";

export function Detail({ of: item, onClose }) {
  const event = useMemo(() => parse(item.line), [item]);
  const { data, raw, extra } = event;
  const facts = [
    ["Received", event.received_at],
    ["Published", event.published_at],
    ["Sequence", event.seq],
    ["Source", event.source],
    ["Product", event.product_id],
    ["Firmware", event.fw_version],
    ["Media type", event.media_type],
    ["Id", event.id],
  ].filter(([, value]) => value !== undefined && value !== null && value !== "");
  return html`<aside class="card detail" aria-label="The chosen event">
    <header>
      <h2><${Text} of=${event.event} most=${100} /></h2>
      <${Button} kind="plain" aria-label="Close" onClick=${onClose}>✕<//>
    </header>
    ${
      item.cursor
        ? html`<p class="mono">
            <a href=${href("devices", [event.coreid])}><${Line} of=${event.coreid} /></a>
          </p>`
        : html`<p class="quiet">
            What became of a reply or a delivery, as Particle tells it. It is in no log.
          </p>`
    }
    <div class="actions">
      <${Copy} label="Copy data" text=${() => show(data, { indent: 2 })} />
      <${Copy} label="Copy event" text=${() => show(withoutCursor(event), { indent: 2 })} />
      ${item.cursor && html`<${Copy} label="Copy as curl" text=${() => curl(event)} />`}
    </div>
    ${FLAGS.map(
      (flag) =>
        event[flag] &&
        html`<p><${Badge} kind="warn">${flag.replaceAll("_", " ")}<//> <${Text} of=${event[flag] === true ? "The reply was over its budget, and not sent." : event[flag]} /></p>`,
    )}
    <h3>Data</h3>
    <${Value} of=${data} />
    ${
      raw !== undefined &&
      html`<h3>As it was sent</h3>
        <${Value} of=${raw} />`
    }
    ${
      extra !== undefined &&
      html`<h3>Other fields</h3>
        <${Value} of=${extra} />`
    }
    <dl class="facts">
      ${facts.map(
        ([label, value]) =>
          html`<dt>${label}</dt>
            <dd>
              ${
                /ed$/.test(label)
                  ? html`<time datetime=${utc(value)}
                      >${absolute(value)}<br /><span class="quiet mono">${utc(value)}</span></time
                    >`
                  : html`<${Text} of=${show(value)} most=${120} />`
              }
            </dd>`,
      )}
      ${
        event.derived &&
        html`<dt>Id is</dt>
          <dd>derived: the sender gave none</dd>`
      }
    </dl>
  </aside>`;
}

function Value({ of: value }) {
  if (value === "") return html`<p class="quiet">Empty</p>`;
  if (typeof value !== "object" || value === null || isRaw(value)) {
    return html`<pre tabindex="0"><${Text} of=${show(value)} most=${2_000} lines /></pre>`;
  }
  return html`<div class="tree" tabindex="0" role="group" aria-label="Data as a tree">
    <${JsonTree} value=${value} open=${3} />
  </div>`;
}

function withoutCursor({ cursor, ...event }) {
  return event;
}

/** Sends the same again, as an event of its own. No token is in it, and no value under the name of a secret. */
export function curl({ event, data, raw, coreid, product_id, fw_version, source }) {
  const at = source && source !== "default" ? `/hook/${encodeURIComponent(source)}` : "/hook";
  // `source:` stands for a sender that gave no device.
  const device = coreid.startsWith("source:") ? {} : { coreid };
  const body = { event, data: masked(raw ?? data), ...device, product_id, fw_version };
  return `curl ${shellQuote(location.origin + at)} -H "Authorization: Bearer $TOKEN" \\
  -H 'Content-Type: application/json' \\
  -d ${shellQuote(visibleJson(JSON.stringify(body)))}`;
}
