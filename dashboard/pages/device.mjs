// Device.

import { Empty, Page } from "../ui/index.mjs";
import { html } from "../lib/preact.mjs";

export default function Device() {
  return html`<${Page} title="Device"><${Empty} title="Nothing here yet" /><//>`;
}
