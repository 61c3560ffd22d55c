// The rows of the tail: only those that can be seen are in the document, however many there are.

import { html, useEffect, useLayoutEffect, useRef, useState } from "../../lib/preact.mjs";
import { shortId } from "../../lib/text.mjs";
import { clockTime, isTime, utc } from "../../lib/time.mjs";
import { Badge, Button, Line } from "../../ui/index.mjs";

const NARROW = matchMedia("(max-width: 720px)");
const HEIGHT = { wide: 33, narrow: 60 };
/** Rows beyond the edges, for scrolling. */
const BEYOND = 8;

/**
 * @param items oldest first; shown newest first
 * @param api a ref that gets `keepPlace(added)` and `reveal(row)`
 */
export function Rows({ items, selected, onSelect, foot, api }) {
  const box = useRef();
  const grown = useRef(0);
  const [narrow, setNarrow] = useState(NARROW.matches);
  const [view, setView] = useState({ top: 0, height: 800 });
  const height = narrow ? HEIGHT.narrow : HEIGHT.wide;

  useEffect(() => {
    const change = () => setNarrow(NARROW.matches);
    NARROW.addEventListener("change", change);
    const observer = new ResizeObserver(look);
    observer.observe(box.current);
    return () => {
      NARROW.removeEventListener("change", change);
      observer.disconnect();
    };
  }, []);
  const look = () => {
    const { scrollTop: top, clientHeight } = box.current ?? {};
    if (box.current)
      setView((old) =>
        old.top === top && old.height === clientHeight ? old : { top, height: clientHeight },
      );
  };
  api.current = {
    /** Rows came on top: what is looked at stays where it is, unless that is the top itself and no row is chosen. */
    keepPlace: (added) => (grown.current += added),
    reveal(row) {
      const { scrollTop, clientHeight } = box.current;
      const [above, below] = [row * height, (row + 1) * height - clientHeight + (narrow ? 0 : HEIGHT.wide)];
      if (row >= 0) box.current.scrollTop = Math.min(above, Math.max(below, scrollTop));
    },
  };
  useLayoutEffect(() => {
    const added = grown.current;
    grown.current = 0;
    if (added && (box.current.scrollTop > 0 || selected !== undefined))
      box.current.scrollTop += added * height;
    look();
  });
  useEffect(() => () => (api.current = undefined), []);

  const count = items.length;
  const first = Math.max(0, Math.floor(view.top / height) - BEYOND);
  const last = Math.min(count, Math.ceil((view.top + view.height) / height) + BEYOND);
  const rows = [];
  for (let row = first; row < last; row++) rows.push([row, items[count - 1 - row]]);
  const toTop = () => (box.current.scrollTop = 0);
  return html`<div class="rows">
    <div class="rows-box" ref=${box} onScroll=${look}>
      <div class="row head" aria-hidden="true">
        <span>Time</span><span>Event</span><span>Device</span><span>Data</span><span class="number">Seq</span>
      </div>
      <div
        role="listbox"
        tabindex="0"
        aria-label="Events, newest first"
        aria-activedescendant=${rows.some(([, { key }]) => key === selected) ? `event-${selected}` : undefined}
        class="rows-all"
        style=${{ height: `${count * height}px` }}
      >
        ${rows.map(
          ([row, item]) =>
            html`<${Row}
              key=${item.key}
              item=${item}
              row=${row}
              count=${count}
              top=${row * height}
              isSelected=${item.key === selected}
              isShort=${narrow || selected !== undefined}
              onSelect=${onSelect}
            />`,
        )}
      </div>
      <div class="rows-foot">${foot}</div>
    </div>
    ${view.top > 4 * height && html`<${Button} kind="small to-top" onClick=${toTop}>↑ Newest<//>`}
  </div>`;
}

const Row = ({ item, row, count, top, isSelected, isShort, onSelect }) =>
  html`<div
    role="option"
    id=${`event-${item.key}`}
    class=${`row ${isSelected ? "selected" : ""} ${item.cursor ? "" : /^hook-error/.test(item.name) ? "passing fault" : "passing"}`}
    aria-selected=${isSelected ? "true" : "false"}
    aria-posinset=${row + 1}
    aria-setsize=${count}
    style=${{ transform: `translateY(${top}px)` }}
    onClick=${() => onSelect(item)}
  >
    <time class="quiet" datetime=${utc(item.at)} title=${isTime(item.at) ? `${utc(item.at)} UTC` : ""}
      >${clockTime(item.at)}</time
    >
    <span class="row-name"
      ><${Line}
        of=${item.name}
        most=${80}
      />${item.flags.length > 0 && html`<${Badge} kind="warn">${item.flags[0].replaceAll("_", " ")}<//>`}</span
    >
    <${Line} class="mono" of=${shortId(item.coreid, isShort)} most=${80} />
    <${Line} class="mono row-data" of=${item.data} most=${160} />
    <span class="quiet number">${item.seq}</span>
  </div>`;
