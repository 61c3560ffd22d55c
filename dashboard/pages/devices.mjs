// Devices.

import { Empty, Page } from "../ui/index.mjs";
import { html } from "../lib/preact.mjs";

export default function Devices() {
  return html`<${Page} title="Devices"><${Empty} title="Nothing here yet" /><//>`;
}
