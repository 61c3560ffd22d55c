// What lies on disk: the rows of the objects' SQLite files, whatever their tables are.

import assert from "node:assert/strict";
import { copyFileSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

/** All rows, of all objects of one class, that hold a text in some column. */
export function rowsWith(storage, className, text) {
  return databases(storage, className)
    .flatMap(rowsOf)
    .filter((row) => row.includes(text));
}

/** The tables of the one object of its class, for a test to write in while no Worker runs. */
export function openDatabase(storage, className) {
  const [path, ...others] = databases(storage, className);
  assert.deepEqual(others, [], `there is one ${className}`);
  return new DatabaseSync(path);
}

function databases(storage, className) {
  const folder = join(storage, "do", `fieldhook-${className}`);
  return readdirSync(folder)
    .filter((name) => name.endsWith(".sqlite") && !name.startsWith("metadata."))
    .map((name) => join(folder, name));
}

/** Each row as text. Reads a copy, so that the Worker, which has the file open, is not in its way. */
function rowsOf(path) {
  const scratch = mkdtempSync(join(tmpdir(), "fieldhook-rows-"));
  const copy = join(scratch, "copy.sqlite");
  try {
    copyFileSync(path, copy);
    if (existsSync(`${path}-wal`)) copyFileSync(`${path}-wal`, `${copy}-wal`);
    const database = new DatabaseSync(copy);
    const tables = database.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").all();
    const rows = tables.flatMap(({ name }) => rowsOfTable(database, name));
    database.close();
    return rows;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function rowsOfTable(database, name) {
  const select = database.prepare(`SELECT * FROM "${name}"`);
  select.setReadBigInts(true);
  return select.all().map((row) => Object.values(row).join(" "));
}
