// What is measured in rounds: windows, and which of them are held against each other. Windows of one part follow one
// another in each round, so that a ratio is of two that were measured together.

const CONNECTIONS = 16;

const full = { connections: CONNECTIONS };
const one = { connections: 1 };

const streams = (clients) => ({
  command: "fanOut",
  kind: "new",
  connections: 8,
  devices: 50,
  clients,
  tag: `${clients} streams`,
});

/** `windows`: by name, the subject and its load. `ratios`: by name, which window over which, and of what. */
export const PARTS = {
  full: {
    windows: {
      "fieldhook new": { subject: "fieldhook", kind: "new", ...full },
      "js new": { subject: "js", kind: "new", ...full },
      "fieldhook repeat": { subject: "fieldhook", kind: "repeat", ...full },
    },
    ratios: {
      full_vs_js: ["fieldhook new", "js new", "rate"],
      duplicate_vs_new: ["fieldhook repeat", "fieldhook new", "rate"],
    },
  },
  batch: {
    windows: {
      "fieldhook batch": { subject: "fieldhook", kind: "batch", ...full },
      "fieldhook single": { subject: "fieldhook", kind: "new", ...full },
      "express new": { subject: "express", kind: "new", ...full },
    },
    ratios: {
      batch_vs_single: ["fieldhook batch", "fieldhook single", "rate"],
      batch_vs_express: ["fieldhook batch", "express new", "rate"],
      full_vs_express: ["fieldhook single", "express new", "rate"],
    },
  },
  refused: {
    windows: {
      "fieldhook refused": { subject: "fieldhook", kind: "refused", ...full },
      "js refused": { subject: "js", kind: "refused", ...full },
    },
    ratios: { refused_vs_js: ["fieldhook refused", "js refused", "rate"] },
  },
  latency: {
    windows: {
      "fieldhook one": { subject: "fieldhook", kind: "new", ...one },
      "js one": { subject: "js", kind: "new", ...one },
    },
    ratios: { p99_vs_js: ["fieldhook one", "js one", "p99"], p50_vs_js: ["fieldhook one", "js one", "p50"] },
  },
  cpu: {
    windows: {
      "fieldhook cpu": { subject: "fieldhook", on: "memory", kind: "new", ...full },
      "js cpu": { subject: "js", on: "memory", kind: "new", ...full },
    },
    ratios: { cpu_vs_js: ["fieldhook cpu", "js cpu", "cpu"] },
  },
  sse: {
    windows: {
      "fieldhook 100 streams": { subject: "fieldhook", ...streams(100) },
      "js 100 streams": { subject: "js", ...streams(100) },
      "fieldhook 1000 streams": { subject: "fieldhook", ...streams(1000) },
      "js 1000 streams": { subject: "js", ...streams(1000) },
    },
    ratios: {
      sse_100_vs_js: ["fieldhook 100 streams", "js 100 streams", "rate"],
      sse_1000_vs_js: ["fieldhook 1000 streams", "js 1000 streams", "rate"],
    },
  },
  floors: {
    windows: {
      "hono new": { subject: "hono", kind: "new", ...full },
      "js beside": { subject: "js", kind: "new", ...full },
      "hello-js": { subject: "hello-js", kind: "/", ...full },
      "hello-rust": { subject: "hello-rust", kind: "/", ...full },
    },
    ratios: {
      hono_vs_js: ["hono new", "js beside", "rate"],
      hello_rust_vs_js: ["hello-rust", "hello-js", "rate"],
    },
  },
};

/** What several ratios come to: the lowest of them. */
export const LOWEST = { sse_vs_js: ["sse_100_vs_js", "sse_1000_vs_js"] };
