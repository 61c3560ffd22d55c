// A definition as text, with line numbers, and the line marked that a problem is in.

import { html, useEffect, useLayoutEffect, useRef } from "../../lib/preact.mjs";
import { Problem } from "../../ui/index.mjs";

/** `problem`: as the API told it of this very text. */
export function Editor({ label, value, onInput, problem, readOnly }) {
  const [area, behind] = [useRef(), useRef()];
  const lines = value.split("\n");
  const line = problem && lineOf(value, problem);
  const follow = () => {
    behind.current.style.transform = `translateY(${-area.current.scrollTop}px)`;
  };
  useLayoutEffect(follow);
  useEffect(() => {
    if (!problem) return;
    const start = lines.slice(0, (line ?? 1) - 1).join("\n").length + (line > 1 ? 1 : 0);
    area.current.focus({ preventScroll: true });
    area.current.setSelectionRange(start, start);
    area.current.scrollTop = (((line ?? 1) - 5) * area.current.scrollHeight) / lines.length;
    area.current.scrollIntoView({ block: "nearest" });
  }, [problem]);
  return html`<div class="editor">
    <div class="editor-box">
      <div class="editor-behind" ref=${behind} aria-hidden="true">
        ${lines.map((text, index) => html`<span class=${index + 1 === line ? "at-fault" : ""}>${index + 1}</span>`)}
      </div>
      <textarea
        ref=${area}
        aria-label=${label}
        aria-invalid=${problem ? "true" : undefined}
        aria-describedby=${problem ? "editor-problem" : undefined}
        spellcheck="false"
        wrap="off"
        rows=${Math.min(28, Math.max(12, lines.length + 1))}
        readOnly=${readOnly}
        value=${value}
        onScroll=${follow}
        onInput=${(event) => onInput(event.target.value)}
      />
    </div>
    ${
      problem &&
      html`<div id="editor-problem">
        <${Problem} error=${problem} wayOut=${wayOut(problem, line)} />
      </div>`
    }
  </div>`;
}

function wayOut({ code, field }, line) {
  if (line) return `It is in line ${line}, which is marked.`;
  return code === "bad-definition" && field ? `Add the property ${field}.` : undefined;
}

/** What the API calls by one name, and callers may have written otherwise. */
const SPELLINGS = {
  event: ["eventName"],
  events: ["event", "eventName"],
  deviceID: ["deviceid", "deviceId"],
  target_url: ["url"],
  auth: ["username", "password"],
};
const TOKENS = /"(?:[^"\\]|\\.)*"(?:\s*:)?|[{}[\]]/gs;

/** The line, from 1, that a problem's `field` or `detail` speaks of; undefined where it is in none. */
function lineOf(text, { field, detail = "" }) {
  const at = /line (\d+) column/.exec(detail);
  if (at) return Math.min(Number(at[1]), text.split("\n").length);
  if (!field) return undefined;
  const names = [field, ...(SPELLINGS[field] ?? [])];
  // Particle shows a single webhook inside {"webhook": …}.
  const level = /^\s*{\s*"(webhook|integration)"\s*:/.test(text) ? 2 : 1;
  const found = new Map();
  let depth = 0;
  for (const { 0: token, index } of text.matchAll(TOKENS)) {
    if (/^[{[]/.test(token)) depth += 1;
    else if (/^[}\]]/.test(token)) depth -= 1;
    else if (depth === level && token.endsWith(":")) found.set(nameOf(token), index);
  }
  const index = found.get(names.find((name) => found.has(name)));
  return index === undefined ? undefined : text.slice(0, index).split("\n").length;
}

function nameOf(token) {
  try {
    return JSON.parse(token.slice(0, -1));
  } catch {
    return undefined;
  }
}
