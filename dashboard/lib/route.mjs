// The route is in the hash, filters too, so that a link can be shared: #/devices/e00fce68?q=temp

import { signal } from "./preact.mjs";

/** `{ page: "devices", parts: ["e00fce68"], query: { q: "temp" } }` */
export const route = signal(read());

function read() {
  const [path, search = ""] = location.hash.replace(/^#\/?/, "").split(/\?(.*)/s);
  const [page = "", ...parts] = path.split("/").filter(Boolean).map(decoded);
  return { page, parts, query: Object.fromEntries(new URLSearchParams(search)) };
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** `href("devices", [id], { tab: "log" })`: a hash, every part encoded. */
export function href(page, parts = [], query = {}) {
  const kept = Object.entries(query).filter(
    ([, value]) => value !== undefined && value !== null && value !== "",
  );
  const search = new URLSearchParams(kept).toString();
  return `#/${[page, ...parts].map(encodeURIComponent).join("/")}${search && `?${search}`}`;
}

export function navigate(...to) {
  location.hash = href(...to);
}

/** Changes the query in place: no new entry in the browser's history. */
export function setQuery(patch) {
  const { page, parts, query } = route.value;
  history.replaceState(null, "", href(page, parts, { ...query, ...patch }));
  route.value = read();
}

addEventListener("hashchange", () => (route.value = read()));
