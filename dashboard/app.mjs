// The page as a whole: signed in or not, the navigation, and the page that the route names.

import { get, readSession, session, signOut } from "./lib/api.mjs";
import { useKeys } from "./lib/keys.mjs";
import { html, render, useEffect, useErrorBoundary, useState } from "./lib/preact.mjs";
import { href, navigate, route } from "./lib/route.mjs";
import { connection } from "./lib/stream.mjs";
import { Help, Loading, Problem, toast, Toasts } from "./ui/index.mjs";
import { Icon } from "./ui/icons.mjs";
import { Light } from "./ui/light.mjs";
import { SignIn } from "./ui/sign-in.mjs";

/** Page by its first word in the route; the second is its page for one thing, where the route names one. */
const PAGES = {
  setup: ["Set-up", () => import("./pages/setup.mjs")],
  overview: ["Overview", () => import("./pages/overview.mjs")],
  events: ["Events", () => import("./pages/events.mjs")],
  devices: ["Devices", () => import("./pages/devices.mjs"), () => import("./pages/device.mjs")],
  integrations: [
    "Integrations",
    () => import("./pages/integrations.mjs"),
    () => import("./pages/integration.mjs"),
  ],
  quarantine: ["Quarantine", () => import("./pages/quarantine.mjs")],
};

function App() {
  const [error, setError] = useState();
  const open = () => readSession().then(() => setError(undefined), setError);
  useEffect(() => void open(), []);
  if (session.value === undefined) {
    return html`<main class="alone">
      ${error ? html`<${Problem} error=${error} retry=${open} />` : html`<${Loading} />`}
    </main>`;
  }
  return session.value === null ? html`<${SignIn} />` : html`<${Layout} />`;
}

function Layout() {
  const [helps, setHelps] = useState(false);
  useKeys({ "?": () => setHelps(true) });
  const { page, parts } = route.value;
  useEffect(() => {
    if (!page) chooseFirst();
  }, [page]);
  return html`<div class="layout">
    <a class="skip" href="#main" onClick=${toMain}>Skip to the page</a>
    <nav class="nav" aria-label="Pages">
      <a class="brand" href=${href("overview")}>fieldhook</a>
      <ul>
        ${Object.entries(PAGES).map(
          ([name, [label]]) =>
            html`<li>
              <a href=${href(name)} aria-current=${name === page ? "page" : undefined}
                ><${Icon} name=${name} /><span>${label}</span></a
              >
            </li>`,
        )}
      </ul>
      <div class="nav-foot">
        <${Light} state=${connection.value} />
        <p class="quiet">
          ${session.value.scope === "admin" ? "Admin" : "Read only"} ·${" "}
          <button type="button" class="link" onClick=${leave}>Sign out</button> ·${" "}
          <button type="button" class="link" onClick=${() => setHelps(true)}>Keys</button>
        </p>
      </div>
    </nav>
    <main id="main" tabindex="-1">
      <${Shown} key=${`${page}/${parts.length > 0}`} page=${page} one=${parts.length > 0} />
    </main>
    <${Toasts} />
    ${helps && html`<${Help} onClose=${() => setHelps(false)} />`}
  </div>`;
}

const leave = () =>
  signOut().catch(({ code, message }) =>
    toast(`You are still signed in, try again: ${message} (${code})`, "bad"),
  );

function toMain(event) {
  event.preventDefault();
  document.getElementById("main").focus();
}

/** Without a route: set-up where nothing was ever heard, else the overview. */
async function chooseFirst() {
  const heard = await get("/v1/events?order=desc&limit=1").catch(() => undefined);
  if (!route.value.page) navigate(heard && !heard.events.length ? "setup" : "overview");
}

/** The page itself, its code loaded when it is first opened. An error in it does not take the rest along. */
function Shown({ page, one }) {
  const [Found, setFound] = useState();
  const [failed, setFailed] = useState();
  const [thrown, again] = useErrorBoundary((error) => console.error(error));
  const entry = Object.hasOwn(PAGES, page) ? PAGES[page] : undefined;
  const read = entry && (one ? (entry[2] ?? entry[1]) : entry[1]);
  const load = () =>
    read?.().then(
      (module) => setFound(() => module.default),
      () =>
        setFailed({
          code: "unreachable",
          title: "This page could not be loaded",
          detail: "its code did not come",
        }),
    );
  useEffect(() => void load(), []);
  if (thrown) {
    const detail = `${thrown.message}. This is a fault of the page, not of what it shows.`;
    return html`<${Problem}
      error=${{ code: "page-failed", title: "This page has failed", detail }}
      retry=${again}
    />`;
  }
  if (page && !entry) {
    const error = { code: "no-such-page", title: "There is no such page", detail: "the address names none" };
    return html`<${Failed} error=${error} wayOut="Choose one of the pages in the navigation." />`;
  }
  if (failed) return html`<${Failed} error=${failed} retry=${() => location.reload()} />`;
  return Found ? html`<${Found} />` : html`<${Loading} />`;
}

const Failed = (told) => html`<div class="page"><${Problem} ...${told} /></div>`;

render(html`<${App} />`, document.getElementById("app"));
