// Integration.

import { Empty, Page } from "../ui/index.mjs";
import { html } from "../lib/preact.mjs";

export default function Integration() {
  return html`<${Page} title="Integration"><${Empty} title="Nothing here yet" /><//>`;
}
