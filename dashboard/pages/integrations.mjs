// Integrations.

import { Empty, Page } from "../ui/index.mjs";
import { html } from "../lib/preact.mjs";

export default function Integrations() {
  return html`<${Page} title="Integrations"><${Empty} title="Nothing here yet" /><//>`;
}
