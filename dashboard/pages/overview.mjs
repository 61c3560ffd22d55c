// Overview.

import { Empty, Page } from "../ui/index.mjs";
import { html } from "../lib/preact.mjs";

export default function Here() {
  return html`<${Page} title="Overview"><${Empty} title="Nothing here yet" /><//>`;
}
