// How data is shown: tables, JSON, and small charts.

import { html, useEffect, useMemo, useRef, useState } from "../lib/preact.mjs";
import { isRaw, show } from "../lib/json.mjs";
import { Text } from "./basics.mjs";

/**
 * A table; on a narrow screen each row is a card.
 *
 * @param {{ label: string, cell: (row) => unknown, class?: string }[]} columns the first names its row
 * @param {number} [selected] the index that the keys have come to
 * @param {(row) => void} [onOpen] on a click on a row, beside the links that are in it
 */
export function Table({ label, columns, rows, id, selected = -1, onOpen }) {
  const body = useRef();
  useEffect(() => {
    if (selected >= 0) body.current?.children[selected]?.scrollIntoView({ block: "nearest" });
  }, [selected]);
  const open = (event, row) => {
    if (onOpen && !event.target.closest("a, button, input") && !String(getSelection())) onOpen(row);
  };
  return html`<div class="table-box" tabindex="0" role="region" aria-label=${label}>
    <table>
      <thead>
        <tr>
          ${columns.map((column) => html`<th scope="col" class=${column.class}>${column.label}</th>`)}
        </tr>
      </thead>
      <tbody ref=${body}>
        ${rows.map(
          (row, index) =>
            html`<tr
              key=${id(row)}
              class=${`${index === selected ? "selected" : ""} ${onOpen ? "opens" : ""}`}
              aria-current=${index === selected ? "true" : undefined}
              onClick=${(event) => open(event, row)}
            >
              ${columns.map(
                (column) =>
                  html`<td class=${column.class} data-label=${column.label}>${column.cell(row)}</td>`,
              )}
            </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}

const CHILDREN = 100;
/** Branches open by themselves, level by level, while all that is shown is no more. */
const OPEN_NODES = 500;

/** How many levels of `value` are open at first: at most so many, and never the branches of a level in part. */
function levels(value, most) {
  let level = [value];
  for (let depth = 0, shown = 0; depth < most; depth += 1) {
    const next = [];
    for (const one of level) {
      if (one !== null && typeof one === "object" && !isRaw(one)) {
        for (const inner of Object.values(one).slice(0, CHILDREN)) next.push(inner);
      }
      if (shown + next.length > OPEN_NODES) return depth;
    }
    shown += next.length;
    level = next;
  }
  return most;
}

/** A JSON value as a tree that opens by and by, with the digits it came with. `open`: so many levels, if they are small. */
export function JsonTree({ value, name, depth = 0, open: atMost = 2 }) {
  const open = useMemo(() => (depth ? atMost : levels(value, atMost)), []);
  const [isOpen, setOpen] = useState(depth < open);
  const [most, setMost] = useState(CHILDREN);
  const label = name !== undefined && html`<span class="json-name"><${Text} of=${name} most=${80} /></span>`;
  if (value === null || typeof value !== "object" || isRaw(value)) {
    return html`<div class="json-leaf">${label}<${JsonLeaf} value=${value} /></div>`;
  }
  const isArray = Array.isArray(value);
  const entries = isArray ? value.map((inner, index) => [index, inner]) : Object.entries(value);
  const about = isArray ? `[${entries.length}]` : `{${entries.length}}`;
  if (!entries.length) {
    return html`<div class="json-leaf">${label}<span class="quiet">${isArray ? "[]" : "{}"}</span></div>`;
  }
  return html`<details class="json-branch" open=${isOpen} onToggle=${(event) => setOpen(event.target.open)}>
    <summary>${label}<span class="quiet">${about}</span></summary>
    ${
      isOpen &&
      html`<div class="json-inner">
        ${entries.slice(0, most).map(
          ([key, inner]) =>
            html`<${JsonTree}
                key=${key}
                name=${String(key)}
                value=${inner}
                depth=${depth + 1}
                open=${open}
              />`,
        )}
        ${
          entries.length > most &&
          html`<button type="button" class="link" onClick=${() => setMost(most + CHILDREN)}>
            ${entries.length - most} more
          </button>`
        }
      </div>`
    }
  </details>`;
}

function JsonLeaf({ value }) {
  const kind = value === null ? "null" : typeof value === "object" ? "number" : typeof value;
  return html`<span class=${`json-${kind}`}
    >${kind === "string" ? html`<${Text} of=${value} lines />` : show(value)}</span
  >`;
}

/** A line without axes. `values` oldest first; null is a gap. `label` says it in words. */
export function Sparkline({ values, label, width = 96, height = 22 }) {
  const known = values.filter((value) => value !== null);
  if (!known.length) return html`<span class="quiet">–</span>`;
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const x = (index) => (values.length < 2 ? width / 2 : 1 + (index / (values.length - 1)) * (width - 2));
  const y = (value) => (high === low ? height / 2 : 2 + (1 - (value - low) / (high - low)) * (height - 4));
  let pen = "M";
  const path = values.map((value, index) => {
    if (value === null) return (pen = "M") && "";
    const point = `${pen}${x(index).toFixed(1)} ${y(value).toFixed(1)}`;
    pen = "L";
    return point;
  });
  return html`<svg
    class="sparkline"
    viewBox=${`0 0 ${width} ${height}`}
    width=${width}
    height=${height}
    role="img"
    aria-label=${label}
  >
    <path d=${path.join("")} />
  </svg>`;
}

/**
 * Bars, each of parts on top of each other.
 *
 * @param {{ label: string, parts: Record<string, number> }[]} bars parts by their kind: ok, bad, off, accent
 */
export function Bars({ bars, label, height = 120, ends }) {
  const totals = bars.map(({ parts }) => Object.values(parts).reduce((sum, part) => sum + part, 0));
  const most = Math.max(1, ...totals);
  const slot = 100 / Math.max(1, bars.length);
  return html`<figure class="bars">
    <svg viewBox="0 0 100 100" preserveAspectRatio="none" height=${height} role="img" aria-label=${label}>
      ${bars.map(({ label: title, parts }, index) => {
        let top = 100;
        return html`<g
          ><title>${title}</title>
          <rect class="bar-slot" x=${index * slot} y="0" width=${slot} height="100" />
          ${Object.entries(parts).map(([kind, part]) => {
            const size = part ? Math.max(1, (part / most) * 96) : 0;
            top -= size;
            return html`<rect
              class=${`bar ${kind}`}
              x=${index * slot + slot * 0.12}
              y=${top}
              width=${slot * 0.76}
              height=${size}
            />`;
          })}</g
        >`;
      })}
    </svg>
    <span class="bars-most quiet" aria-hidden="true">${most.toLocaleString("en")}</span>
    ${ends && html`<figcaption class="quiet"><span>${ends[0]}</span><span>${ends[1]}</span></figcaption>`}
  </figure>`;
}
