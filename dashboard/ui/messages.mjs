// What is said when there is nothing to show, when something went wrong, and when something was done.

import { Button, Text } from "./basics.mjs";
import { html, signal, useEffect, useRef, useState } from "../lib/preact.mjs";
import { KEYS, useKeys } from "../lib/keys.mjs";

/** Nothing here yet: why, and what to do next. */
export const Empty = ({ title, children }) =>
  html`<div class="empty">
    <p class="empty-title">${title}</p>
    <div class="quiet">${children}</div>
  </div>`;

/** What can be done about a code; a code that is not here is told by its detail. */
const WAYS_OUT = {
  unreachable: "Check that the Worker runs, then try again.",
  forbidden: "Sign out, and sign in with an admin token.",
  "version-conflict": "Somebody else changed it meanwhile. Load it again, and make your change to that.",
  "rate-limited": "Wait a little, then try again.",
  "too-many-streams": "Close other tabs of this page, or wait some minutes.",
  "not-configured": "Set what it names with `wrangler secret put`, or in .dev.vars.",
  "session-ended": "Sign in again.",
  "body-too-large": "Send less of it. MAX_BODY bounds a request, and one event has a bound of its own.",
  "limit-reached": "Delete what is needed no more, then try again.",
  "queue-full": "Cancel commands that are needed no more, or wait until the device has acknowledged some.",
  "command-too-large": "Give it shorter arguments: REPLY_BUDGET bounds what a reply has room for.",
  "twin-too-large":
    "Take out what is needed no more. Deleted keys count until the device has deleted them too.",
  "twin-too-deep": "Put the inner values nearer to the top.",
  "bad-cursor": "Open the page anew: it then begins with what is newest.",
  "unknown-integration": "It was deleted, or the link is wrong. Go back to the integrations.",
  "nothing-to-replay": "Look the id up in the attempts, or choose another device or span of time.",
  unavailable: "This passes by itself as a rule. Try again.",
  internal: "Try again. If it stays, the Worker's log says more.",
};

/** An error: its code, what it says, and the way out. `retry` is called by the button. */
export function Problem({ error, retry, wayOut }) {
  useKeys(error && retry ? { r: () => retry() } : {});
  if (!error) return null;
  const way = wayOut ?? WAYS_OUT[error.code];
  return html`<div class="problem" role="alert">
    <p>
      <strong>${error.title || "It did not work"}</strong>${" "}
      <code>${error.code ?? "error"}</code>
    </p>
    <p>
      <${Text}
        of=${error.detail || error.message}
      />${error.field && html` (<code><${Text} of=${error.field} /></code>)`}
    </p>
    ${way && html`<p class="quiet">${way}</p>`}
    ${retry && html`<${Button} kind="small" onClick=${() => retry()}>Try again<//>`}
  </div>`;
}

/** While the first answer is awaited; said only to those who do not see it. */
export const Loading = () =>
  html`<div class="loading" role="status"><span class="unseen-label">Loading</span></div>`;

/** What a `useLoad` has: loading, an error with a retry, then `children(data)`. Old data stays beside an error. */
export function Loaded({ load, children }) {
  return html`${load.error && html`<${Problem} error=${load.error} retry=${load.reload} />`}
  ${load.data === undefined ? load.loading && html`<${Loading} />` : children(load.data)}`;
}

const toasts = signal([]);
let toastNumber = 0;

/** Says something for some seconds. `kind`: ok, warn, bad. */
export function toast(text, kind = "ok") {
  const id = (toastNumber += 1);
  toasts.value = [...toasts.value.slice(-3), { id, text, kind }];
  setTimeout(() => (toasts.value = toasts.value.filter((one) => one.id !== id)), 5_000);
}

export const Toasts = () =>
  html`<div class="toasts" role="status" aria-live="polite">
    ${toasts.value.map(({ id, text, kind }) => html`<p key=${id} class=${`toast ${kind}`}><${Text} of=${text} /></p>`)}
  </div>`;

/** A modal dialog while it is rendered. Escape and the button close it. */
export function Dialog({ title, onClose, children, wide }) {
  const dialog = useRef();
  useEffect(() => {
    const shown = dialog.current;
    // Its event comes later, when another dialog may stand in this one's place: nobody hears it then.
    const closed = () => onClosed.current();
    shown.addEventListener("close", closed);
    shown.showModal();
    return () => {
      shown.removeEventListener("close", closed);
      shown.close();
    };
  }, []);
  const onClosed = useRef();
  onClosed.current = onClose;
  return html`<dialog
    ref=${dialog}
    class=${wide ? "wide" : ""}
    aria-label=${title}
    onClick=${(event) => event.target === dialog.current && onClose()}
  >
    <div class="dialog-body">
      <header>
        <h2>${title}</h2>
        <${Button} kind="plain" aria-label="Close" onClick=${onClose}>✕<//>
      </header>
      ${children}
    </div>
  </dialog>`;
}

/**
 * Asks before something that cannot be taken back. With `typed`, that text has to be typed first.
 * `act` may throw: the error is shown, and the dialog stays.
 */
export function Confirm({ title, label, typed, act, onClose, children }) {
  const [text, setText] = useState("");
  const [state, setState] = useState({});
  const submit = async (event) => {
    event.preventDefault();
    if (typed !== undefined && text !== typed) return;
    setState({ busy: true });
    try {
      await act();
      onClose();
    } catch (error) {
      setState({ error });
    }
  };
  return html`<${Dialog} title=${title} onClose=${onClose}>
    <form onSubmit=${submit}>
      ${children}
      ${
        typed !== undefined &&
        html`<label class="field"
          ><span
            >Type <code><${Text} of=${typed} /></code> to confirm</span
          >
          <input
            value=${text}
            autocomplete="off"
            spellcheck="false"
            onInput=${(event) => setText(event.target.value)}
          />
        </label>`
      }
      <${Problem} error=${state.error} />
      <div class="actions end">
        <${Button} onClick=${onClose}>Cancel<//>
        <${Button}
          kind="danger"
          type="submit"
          busy=${state.busy}
          disabled=${typed !== undefined && text !== typed}
          >${label}<//
        >
      </div>
    </form>
  <//>`;
}

export const Help = ({ onClose }) =>
  html`<${Dialog} title="Keys" onClose=${onClose}>
    <dl class="keys">
      ${KEYS.map(
        ([keys, about]) =>
          html`<div>
            <dt>${keys.split("  ").map((key) => html`<kbd>${key}</kbd>`)}</dt>
            <dd>${about}</dd>
          </div>`,
      )}
    </dl>
    <p class="quiet">None of them works while you type in a field.</p>
  <//>`;
