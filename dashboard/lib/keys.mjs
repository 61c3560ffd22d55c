// Keys. None of them does anything while something is typed, or with a modifier held.

import { useEffect, useRef } from "./preact.mjs";

/** What the help dialog lists. */
export const KEYS = [
  ["/", "Search"],
  ["j  ↓", "Next row"],
  ["k  ↑", "Previous row"],
  ["Enter", "Open the row"],
  ["Space", "Pause, and go on"],
  ["r", "Refresh, or try again"],
  ["?", "These keys"],
  ["Esc", "Close; leave the search"],
];

const SAME = { ArrowDown: "j", ArrowUp: "k", " ": "space" };
/** Newest last: what was put there last is asked first. */
const handlers = [];

const TYPING = "input:not([type=checkbox]), textarea, select, [contenteditable]";
const PRESSED = "button, a, summary, input[type=checkbox], [role=button], [role=tab]";

addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  const { target } = event;
  const typing = target.matches?.(TYPING);
  if (typing && event.key === "Escape") return target.blur();
  // A dialog closes itself, and what lies under it hears nothing.
  if (typing || document.querySelector("dialog[open]")) return;
  // A button that has the focus is pressed by these itself.
  if ((event.key === " " || event.key === "Enter") && target.matches?.(PRESSED)) return;
  const key = SAME[event.key] ?? event.key;
  for (const { current } of handlers.toReversed()) {
    if (!Object.hasOwn(current, key)) continue;
    event.preventDefault();
    current[key](event);
    return;
  }
});

/** `useKeys({ j: next, k: previous, space: pause, r: reload, "/": search, Enter: open, Escape: close })` */
export function useKeys(map) {
  const mine = useRef(map);
  mine.current = map;
  useEffect(() => {
    handlers.push(mine);
    return () => handlers.splice(handlers.indexOf(mine), 1);
  }, []);
}

/** `j` and `k` over a list of so many rows: the next index, -1 for none. */
export const moved = (index, by, count) => (count ? Math.max(0, Math.min(count - 1, index + by)) : -1);
