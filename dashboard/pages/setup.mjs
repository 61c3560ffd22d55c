// Set-up.

import { Empty, Page } from "../ui/index.mjs";
import { html } from "../lib/preact.mjs";

export default function Here() {
  return html`<${Page} title="Set-up"><${Empty} title="Nothing here yet" /><//>`;
}
