// Definitions: a new one, one that is changed, and the secret that signs.

import { adminOnly, get, isAdmin, send, session, signedOut } from "../../lib/api.mjs";
import { show } from "../../lib/json.mjs";
import { useAction } from "../../lib/load.mjs";
import { html, useEffect, useState } from "../../lib/preact.mjs";
import { navigate } from "../../lib/route.mjs";
import { toast, Button, Card, Copy, Dialog, Field, Page, Problem, Time } from "../../ui/index.mjs";
import { Editor } from "./editor.mjs";
import { apiPath } from "./said.mjs";

const EXAMPLES = {
  "Webhook example": {
    name: "Temperatures to my service",
    event: "temp",
    url: "https://service.example/temperature",
    requestType: "POST",
    noDefaults: true,
    headers: { "X-Api-Key": "YOUR-KEY" },
    json: {
      device: "{{{PARTICLE_DEVICE_ID}}}",
      celsius: "{{{PARTICLE_EVENT_VALUE}}}",
      at: "{{{PARTICLE_PUBLISHED_AT}}}",
    },
  },
  "Subscription example": { events: ["temp"], target_url: "https://service.example/hook" },
};
const written = (value) => JSON.stringify(value, null, 2);

/** What was typed and not yet saved, by id: another tab, another page or a session that ends does not lose it. */
const drafts = new Map();
// Whoever signs out leaves nothing behind: a definition has secrets in it.
session.subscribe((now) => now === null && !signedOut.value && drafts.clear());

/** `{ base, text }`: what was there when it was begun, and what is typed. */
function useDraft(id, base) {
  const [draft, setDraft] = useState(drafts.get(id) ?? { base, text: base });
  const change = (next) => {
    if (next.text === next.base) drafts.delete(id);
    else drafts.set(id, next);
    setDraft(next);
  };
  return [draft, change];
}

export function New() {
  const [{ base, text }, change] = useDraft("new", written(EXAMPLES["Webhook example"]));
  const [made, setMade] = useState();
  const save = useAction(() => {
    const isSubscription = /"target_url"\s*:/.test(text) && !/"url"\s*:/.test(text);
    return send("POST", isSubscription ? "/v1/subscriptions" : "/v1/integrations", undefined, { body: text });
  });
  const open = ({ id }) => navigate("integrations", [id]);
  const take = (now) => (change({ base: now, text: now }), save.clear());
  const create = async () => {
    const answer = await save.run();
    if (!answer) return;
    drafts.delete("new");
    toast("The integration was made.");
    if (answer.secret) setMade(answer);
    else open(answer);
  };
  return html`<${Page} title="New integration" about="Paste a Particle webhook definition as it is; only its URL has to be yours.">
    <div class="with-side">
      <${Card}
        title="Definition"
        aside=${Object.entries(EXAMPLES).map(
          ([name, example]) =>
            html`<${Button} kind="small" onClick=${() => take(written(example))}>${name}<//>`,
        )}
      >
        <${Editor} label="Definition" value=${text} problem=${save.error} onInput=${(value) => (change({ base, text: value }), save.clear())} />
        <div class="actions end">
          <${Button} kind="primary" reason=${adminOnly()} busy=${save.busy} onClick=${create}>Create<//>
        </div>
      <//>
      <${About} />
    </div>
    ${made && html`<${Dialog} title="The signing secret" onClose=${() => open(made)}><${Secret} secret=${made.secret} onClose=${() => open(made)} /><//>`}
  <//>`;
}

const About = () =>
  html`<${Card} title="Where to find one">
    <ol class="steps">
      <li>In the <a href="https://console.particle.io" target="_blank" rel="noopener noreferrer">Particle console</a>, open <b>Cloud Services</b>, <b>Integrations</b> and your webhook.</li>
      <li><b>Edit</b>, then <b>Custom template</b>: copy the whole text.</li>
      <li>Paste it here, with the address of your service in <code>url</code>.</li>
    </ol>
    <p class="quiet">Each property is described in <a href="https://docs.particle.io/reference/cloud-apis/webhooks/" target="_blank" rel="noopener noreferrer">Particle's webhook reference</a>. ${""}
    A service that subscribes itself takes the other form, with <code>target_url</code>: it is always signed.</p>
    <p class="quiet">Only https to public addresses is called. What is secret is sealed when you save, and shown as <code>********</code> from then on.</p>
  <//>`;

/** Without what only answers say. */
function textOf({ id, created_at, updated_at, paused, product, insecure, counts, ...whole }) {
  if (whole.target_url === undefined) delete whole.status;
  return show(whole, { indent: 2 });
}

export function Definition({ of: whole, load }) {
  const theirs = textOf(whole);
  const [{ base, text }, change] = useDraft(whole.id, theirs);
  const [rotates, setRotates] = useState(false);
  const save = useAction(async () => {
    await send("PUT", apiPath(whole.id), undefined, { body: text });
    toast("Saved. It applies within ten seconds.");
    const now = await get(apiPath(whole.id));
    load.set(now);
    load.reload(); // Gives up what was asked before.
    take(textOf(now));
  });
  const take = (now) => (change({ base: now, text: now }), save.clear());
  // What somebody else changed is taken over, unless that would lose what was typed here.
  useEffect(() => {
    if (text === base) take(theirs);
  }, [theirs]);
  const isChanged = text !== theirs;
  const isOvertaken = theirs !== base && text !== base;
  return html`<${Card}
    title="Definition"
    aside=${html`<${Copy} text=${text} label="Copy definition" />
      <${Button} kind="small" reason=${adminOnly() ?? (whole.secret ? undefined : 'It has no secret: put "secret": "whsec_…" into the definition first.')} onClick=${() => setRotates(true)}>Rotate secret<//>`}
  >
    ${isOvertaken && html`<p class="notice warn">It was changed elsewhere since you began. Saving replaces that. <${Button} kind="small" onClick=${() => take(theirs)}>Discard mine, show theirs<//></p>`}
    <${Editor} label="Definition" value=${text} readOnly=${!isAdmin() || save.busy} problem=${save.error} onInput=${(value) => (change({ base, text: value }), save.clear())} />
    <div class="actions end">
      <span class="quiet">Changed <${Time} at=${whole.updated_at} />. What shows as <code>********</code> stays as it is.</span>
      ${isChanged && html`<${Button} onClick=${() => take(theirs)}>Undo<//>`}
      <${Button} kind="primary" reason=${adminOnly()} busy=${save.busy} disabled=${!isChanged} onClick=${save.run}>Save<//>
    </div>
    ${rotates && html`<${Rotate} id=${whole.id} onClose=${() => setRotates(false)} />`}
  <//>`;
}

/** A secret that was just made, within its dialog. */
const Secret = ({ secret, until, onClose }) =>
  html`
    <p>Give it to your service now: it is <strong>shown this once</strong>.</p>
    <pre tabindex="0" aria-label="The secret">${secret}</pre>
    ${until && html`<p class="quiet">The one before it signs too, until <${Time} at=${until} />.</p>`}
    <div class="actions end"><${Copy} text=${secret} label="Copy secret" kind="primary" /><${Button} onClick=${onClose}>I have it<//></div>
  `;

const OVERLAPS = { 86400: "a day", 3600: "an hour", 604800: "a week", 0: "no time: it ends now" };

function Rotate({ id, onClose }) {
  const [overlap, setOverlap] = useState("86400");
  const [made, setMade] = useState();
  const rotate = useAction(async () =>
    setMade(await send("POST", apiPath(id, "/rotate"), { overlap: Number(overlap) })),
  );
  return html`<${Dialog} title=${made ? "The signing secret" : "Rotate the secret"} onClose=${onClose}>
    ${
      made
        ? html`<${Secret} secret=${made.secret} until=${made.previous_until} onClose=${onClose} />`
        : html`
      <p>A new secret is made, and shown once. Both sign meanwhile, so that nothing is refused while you change your service.</p>
      <${Field} label="The old one signs too for">${(
        input,
      ) => html`<select ...${input} value=${overlap} onChange=${({ target }) => setOverlap(target.value)}>
        ${Object.entries(OVERLAPS).map(([value, label]) => html`<option value=${value} selected=${value === overlap}>${label}</option>`)}
      </select>`}<//>
      <${Problem} error=${rotate.error} />
      <div class="actions end">
        <${Button} onClick=${onClose}>Cancel<//>
        <${Button} kind="primary" busy=${rotate.busy} onClick=${rotate.run}>Rotate<//>
      </div>
    `
    }
  <//>`;
}
