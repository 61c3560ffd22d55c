// The small parts that every page is made of: text that is safe to show, times, states, buttons.

import { absolute, ago, count, utc } from "../lib/time.mjs";
import { cut, segments, visible } from "../lib/text.mjs";
import { html, signal, useEffect, useRef, useState } from "../lib/preact.mjs";
import { route } from "../lib/route.mjs";

/** So many characters more are shown by one click. */
const MORE = 10_000;

/** Text from outside: only text nodes, in a direction of its own, what cannot be seen made visible. */
export function Text({ of, most: atFirst = 300, lines = false, class: name = "" }) {
  const [more, setMore] = useState(0);
  const text = typeof of === "string" ? of : String(of ?? "");
  const most = atFirst + more;
  const shown = cut(text, most);
  const isLast = text.length <= most + MORE;
  return html`<bdi class=${`text ${name}`}
    >${segments(shown, { lines }).map((part) =>
      typeof part === "string" ? part : html`<span class="unseen" title=${part.title}>${part.mark}</span>`,
    )}${
      shown.length < text.length &&
      html`…${" "}<button
          type="button"
          class="link"
          onClick=${(event) => (event.stopPropagation(), setMore(more + MORE))}
        >
          ${isLast ? "show all" : `show ${count(MORE)} more of`} ${count(text.length)} characters
        </button>`
    }</bdi
  >`;
}

/** The same in one line, cut by the room there is: for tables and lists. */
export const Line = ({ of, most = 200, class: name = "" }) =>
  html`<bdi class=${`text line ${name}`}
    >${segments(cut(typeof of === "string" ? of : String(of ?? ""), most)).map((part) =>
      typeof part === "string" ? part : html`<span class="unseen" title=${part.title}>${part.mark}</span>`,
    )}</bdi
  >`;

/** Moves on every second, for relative times; stands still while the page is hidden. */
const second = signal(Date.now());
setInterval(() => {
  if (!document.hidden) second.value = Date.now();
}, 1_000);

/** `3 min. ago`, with the local and the UTC time on hover. */
export function Time({ at, none = "never" }) {
  if (!at) return html`<span class="quiet">${none}</span>`;
  return html`<time datetime=${utc(at)} title=${`${absolute(at)}\n${utc(at)} UTC`}
    >${ago(at, second.value)}</time
  >`;
}

/** A state in a word and a shape. `kind`: ok, warn, bad, off, busy. */
export const Status = ({ kind = "off", children }) =>
  html`<span class=${`status ${kind}`}><i aria-hidden="true"></i>${children}</span>`;

export const Badge = ({ kind = "", title, children }) =>
  html`<span class=${`badge ${kind}`} title=${title}>${children}</span>`;

/** A button. `reason`, where given, says why it cannot be pressed. */
export function Button({ kind = "", busy, reason, disabled, type = "button", children, ...rest }) {
  return html`<button
    ...${rest}
    type=${type}
    class=${`button ${kind}`}
    disabled=${disabled || busy || Boolean(reason)}
    title=${reason ?? rest.title}
    aria-busy=${busy ? "true" : undefined}
  >
    ${children}
  </button>`;
}

/** Copies `text` (or what `text()` gives) and says so. */
export function Copy({ text, label = "Copy", kind = "small" }) {
  const [said, setSaid] = useState("");
  useEffect(() => {
    const timer = said && setTimeout(() => setSaid(""), 1_800);
    return () => clearTimeout(timer);
  }, [said]);
  const copy = async () => {
    const value = typeof text === "function" ? await text() : text;
    setSaid((await toClipboard(value)) ? "Copied" : "Select and copy by hand");
  };
  return html`<${Button} kind=${kind} onClick=${copy}><span aria-live="polite">${said || label}</span><//>`;
}

async function toClipboard(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = Object.assign(document.createElement("textarea"), { value: text });
    (document.querySelector("dialog[open]") ?? document.body).append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

/** A field with its label, a hint, and what is wrong with it. `children` instead of an input of its own. */
let fields = 0;
export function Field({ label, hint, error, multiline, children, ...rest }) {
  const id = useRef(`field-${(fields += 1)}`).current;
  const described = error || hint ? `${id}-about` : undefined;
  const input = { id, "aria-describedby": described, "aria-invalid": error ? "true" : undefined, ...rest };
  return html`<div class="field">
    <label for=${id}>${label}</label>
    ${
      children?.(input) ??
      (multiline
        ? html`<textarea spellcheck="false" ...${input} />`
        : html`<input spellcheck="false" ...${input} />`)
    }
    ${(error || hint) && html`<p id=${described} class=${error ? "wrong" : "hint"}>${error || hint}</p>`}
  </div>`;
}

/**
 * A page: its heading (which takes the focus when the page opens), what can be done, and what it shows. `name` is for
 * the browser's tab, where the title is no text.
 */
export function Page({ title, name: told = title, about, actions, children, class: name = "" }) {
  const heading = useRef();
  const { page, parts } = route.value;
  useEffect(() => {
    heading.current?.focus({ preventScroll: true });
    document.title = `${typeof told === "string" ? visible(cut(told, 80)) : page} · fieldhook`;
  }, [page, parts.join("/")]);
  return html`<div class=${`page ${name}`}>
    <header class="page-head">
      <div>
        <h1 ref=${heading} tabindex="-1">${title}</h1>
        ${about && html`<p class="quiet">${about}</p>`}
      </div>
      ${actions && html`<div class="actions">${actions}</div>`}
    </header>
    ${children}
  </div>`;
}

export const Card = ({ title, aside, children, class: name = "" }) =>
  html`<section class=${`card ${name}`}>
    ${
      title &&
      html`<header>
        <h2>${title}</h2>
        ${aside && html`<div class="actions">${aside}</div>`}
      </header>`
    }${children}
  </section>`;
