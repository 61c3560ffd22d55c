// What was measured, as a table: on the terminal, and between the markers in BENCHMARKS.md.

import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { inRoot } from "../scripts/lib/paths.mjs";
import { describeMachine } from "./machine.mjs";

const FILE = inRoot("BENCHMARKS.md");
const MARKERS = ["<!-- measured -->", "<!-- /measured -->"];

/** What a ratio or counter is to reach (`least` or `most`), and what it says. */
const GOALS = {
  full_vs_js: {
    least: 0.95,
    says: "a new event on disk, 16 connections: events per second, over plain JavaScript",
  },
  cpu_vs_js: { most: 1.15, says: "the same with storage in memory: CPU per event, over plain JavaScript" },
  refused_vs_js: {
    least: 0.9,
    says: "refused without an object call: requests per second, over plain JavaScript",
  },
  duplicate_vs_new: { least: 3, says: "a repeat that no KV knows, over a new event" },
  batch_vs_single: { least: 6, says: "batches of ten: events per second, over one event per request" },
  batch_vs_express: { least: 1, says: "batches of ten, over Express with one event per request" },
  full_vs_express: { says: "one event per request, over Express" },
  p99_vs_js: { most: 1.2, says: "p99 latency at one connection, over plain JavaScript" },
  p50_vs_js: { says: "median latency at one connection, over plain JavaScript" },
  sse_vs_js: {
    least: 0.95,
    says: "deliveries per second to streams, over a JavaScript hub: the lower of the two",
  },
  sse_100_vs_js: { least: 0.95, says: "to 100 streams" },
  sse_1000_vs_js: { least: 0.95, says: "to 1,000 streams" },
  hono_vs_js: { says: "Hono with RPC, over plain JavaScript" },
  hello_rust_vs_js: { says: "hello world of crate `worker`, over JavaScript's" },
  cold_start_extra_ms: {
    most: 15,
    says: "start to first reply, milliseconds more than JavaScript's hello world",
  },
  cold_start_extra_rust_ms: { says: "the same of the Rust hello world" },
  cold_event_extra_ms: {
    says: "start to first event with its object made, milliseconds more than JavaScript",
  },
  wasm_gz_bytes: { most: 150 * 1024, says: "the Worker's wasm, gzipped, bytes" },
  live_object_kb: { most: 300, says: "memory of a live object, KB" },
  linear_memory_growth_bytes: { most: 0, says: "growth of wasm's memory over 100,000 requests, bytes" },
};

/** Prints the table; a goal that is missed is marked. */
export function print(result) {
  console.log(tables(result));
}

/** Writes the table into BENCHMARKS.md. */
export function write(result) {
  const text = readFileSync(FILE, "utf8");
  const [from, to] = [text.indexOf(MARKERS[0]) + MARKERS[0].length, text.indexOf(MARKERS[1])];
  if (to < from) throw new Error(`${FILE} has no place between ${MARKERS.join(" and ")}`);
  writeFileSync(FILE, `${text.slice(0, from)}\n\n${tables(result)}\n${text.slice(to)}`);
}

function tables({ ratios, counters, windows = {}, latencies = {}, note }) {
  const parts = [`${describeMachine()}; ${versions()}; ${new Date().toISOString().slice(0, 10)}. ${note}`];
  const rows = Object.entries(ratios).map(([name, { median, min, max }]) => [
    `\`${name}\``,
    figure(median),
    `${figure(min)} to ${figure(max)}`,
    goal(name, median),
    GOALS[name]?.says ?? "",
  ]);
  if (rows.length) parts.push(table(["ratio", "median", "rounds", "goal", "of"], rows));
  const counted = Object.entries(counters).map(([name, value]) => [
    `\`${name}\``,
    figure(value),
    goal(name, value),
    GOALS[name]?.says ?? "",
  ]);
  if (counted.length) parts.push(table(["counter", "value", "goal", "of"], counted));
  const measured = Object.entries(windows).map(([name, { rate, p50, p99, cpu }]) => [
    name,
    figure(rate),
    figure(p50),
    figure(p99),
    figure(cpu),
  ]);
  if (measured.length)
    parts.push(table(["window", "per second", "p50 ms", "p99 ms", "CPU µs each"], measured));
  const grown = Object.entries(latencies).map(([name, { p50, p99, cpu }]) => [
    name.replaceAll("_", " "),
    figure(p50),
    figure(p99),
    figure(cpu),
  ]);
  if (grown.length) parts.push(table(["grown", "p50 ms", "p99 ms", "CPU µs each"], grown));
  return parts.join("\n\n");
}

function goal(name, value) {
  const { least, most } = GOALS[name] ?? {};
  if (least === undefined && most === undefined) return "";
  const isReached = least === undefined ? value <= most : value >= least;
  const text = least === undefined ? `at most ${figure(most)}` : `at least ${figure(least)}`;
  return isReached ? text : `**${text}**`;
}

function figure(value) {
  if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString("en");
  return String(Number(value.toPrecision(3)));
}

function table(heads, rows) {
  const line = (cells) => `| ${cells.join(" | ")} |`;
  return [line(heads), line(heads.map(() => "---")), ...rows.map(line)].join("\n");
}

function versions() {
  const version = (name, from = "package.json") =>
    createRequire(inRoot(from))(`${name}/package.json`).version;
  const peer = (name) =>
    JSON.parse(readFileSync(inRoot("bench", "package.json"), "utf8")).devDependencies[name];
  const peers = ["hono", "express", "better-sqlite3"].map((name) => `${name} ${peer(name)}`);
  return [`workerd ${version("workerd")}`, `Node ${process.versions.node}`, ...peers].join(", ");
}
