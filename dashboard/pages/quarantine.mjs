// Quarantine.

import { Empty, Page } from "../ui/index.mjs";
import { html } from "../lib/preact.mjs";

export default function Quarantine() {
  return html`<${Page} title="Quarantine"><${Empty} title="Nothing here yet" /><//>`;
}
