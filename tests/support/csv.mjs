// CSV as RFC 4180 has it: rows of cells, quoted where they hold commas, quotes or line ends.

/** All rows, the head among them. */
export function csvCells(text) {
  const rows = [[]];
  const cell = /("(?:[^"]|"")*"|[^",\r\n]*)(,|\r\n|$)/gy;
  while (cell.lastIndex < text.length) {
    const [, content, end] = cell.exec(text) ?? fail(text);
    rows.at(-1).push(content.startsWith('"') ? content.slice(1, -1).replaceAll('""', '"') : content);
    if (end === "\r\n" && cell.lastIndex < text.length) rows.push([]);
  }
  return rows;
}

function fail(text) {
  throw new Error(`not CSV: ${text}`);
}
