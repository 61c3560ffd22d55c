// The connection light: whether what is shown is live.

import { reachable } from "../lib/api.mjs";
import { html } from "../lib/preact.mjs";
import { plural } from "../lib/time.mjs";
import { Status } from "./basics.mjs";

/** `state` as `connection` has it. */
export function Light({ state }) {
  const [kind, text] = said(state);
  return html`<div class="light" role="status" data-state=${state?.state ?? "none"}>
    <${Status} kind=${kind}>${text}<//>
  </div>`;
}

function said(state) {
  switch (state?.state) {
    case "live":
      return ["ok", "Live"];
    case "resumed":
      return ["ok", state.missed ? `Resumed: ${plural(state.missed, "event")} caught up` : "Resumed"];
    case "reconnecting":
      return ["warn", "Reconnecting…"];
    case "ended":
      return ["bad", "Not live"];
    case "connecting":
      return ["busy", "Connecting…"];
    default:
      return reachable.value ? ["off", "Connected"] : ["bad", "No answer"];
  }
}
