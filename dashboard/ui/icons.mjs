// The icons of the navigation: one path each, on 16 by 16.

import { html } from "../lib/preact.mjs";

const PATHS = {
  setup: "M3 8h6M6 5l3 3-3 3M12 3v10",
  overview: "M2 13h12M4 13V8M8 13V3M12 13V6",
  events: "M2 4h12M2 8h12M2 12h7",
  devices: "M4 4h8v8H4zM6 2v2M10 2v2M6 12v2M10 12v2M2 6h2M2 10h2M12 6h2M12 10h2",
  integrations: "M6 10 3.5 12.5M10 6l2.5-2.5M5 8l3 3 2-2-3-3zM11 8 8 5",
  quarantine: "M8 2 14 13H2zM8 6v3M8 11v.5",
};

export const Icon = ({ name }) =>
  html`<svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
    <path d=${PATHS[name]} />
  </svg>`;
