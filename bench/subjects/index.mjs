// What is measured: each subject in a process of its own, which stands still while another is measured.

import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { bin, inRoot } from "../../scripts/lib/paths.mjs";
import { withParent } from "../../scripts/lib/with-parent.mjs";
import { freePort } from "../../tests/support/worker.mjs";
import { start } from "../machine.mjs";
import { prepareWorker } from "./workerd.mjs";

export const SECRET = "bench-secret-0123456789";
export const TOKEN = "bench-read-token-0123456789";
export const ADMIN = "bench-admin-token-0123456789";

/** No limit that a load from one address would meet; KV's simulator is no part of workerd. */
const VARS = {
  HMAC_SECRETS: SECRET,
  READ_TOKENS: TOKEN,
  ADMIN_TOKENS: ADMIN,
  ENCRYPTION_KEYS: Buffer.alloc(32, 7).toString("base64"),
  DEDUP_KV: "off",
  DEVICE_RATE: "0",
  KEY_RATE: "0",
  STREAM_OPENS: "1000000",
  STREAM_MAX: "1000000",
  REQUIRE_HTTPS: "false",
  ALLOW_PRIVATE_TARGETS: "true",
};

const here = (file) => inRoot("bench", "subjects", file);
const HELLO_RUST = inRoot("bench", "subjects", "hello-rust", "build");
const SUBJECTS = {
  fieldhook: { entry: here("fieldhook.mjs") },
  js: { entry: here("plain.mjs") },
  hono: { entry: here("hono.mjs") },
  express: { program: here("express.mjs") },
  "hello-js": { entry: here("hello.mjs"), hasObjects: false },
  "hello-rust": { entry: join(HELLO_RUST, "index.js"), build: HELLO_RUST, hasObjects: false },
};

const PATIENCE_MS = 10_000;

/** Every subject that was asked for, and the folders of their storage. */
export class Subjects {
  #running = new Map();
  #folders = {};

  constructor() {
    const disk = inRoot("target", "bench");
    mkdirSync(disk, { recursive: true });
    this.#folders.disk = mkdtempSync(join(disk, "storage-"));
    this.#folders.memory = mkdtempSync("/dev/shm/fieldhook-bench-");
  }

  /**
   * A subject with storage on `disk` or in `memory`; another `tag`, another process. `fill` makes it ready once. With
   * `staysAwake: false` its objects hibernate.
   */
  async get(name, { on = "disk", tag = "", fill, staysAwake } = {}) {
    const key = [name, on, tag].join(" ");
    if (!this.#running.has(key)) {
      const subject = await startSubject(name, this.folder(on, `${name}-${tag}`), { staysAwake });
      this.#running.set(key, subject);
      await fill?.(subject);
    }
    return this.#running.get(key);
  }

  /** A folder for storage that goes with the bench. */
  folder(on, name) {
    return join(this.#folders[on], name.replaceAll(" ", "-"));
  }

  async stop() {
    await Promise.all([...this.#running.values()].map((subject) => subject.stop()));
    for (const folder of Object.values(this.#folders)) rmSync(folder, { recursive: true, force: true });
  }
}

/** Starts a subject with its files in `folder`; resolves once it takes connections. */
export async function startSubject(name, folder, options) {
  const subject = await prepareSubject(name, folder, options);
  await subject.start();
  await subject.isListening();
  return subject;
}

/** A subject that is ready to be started, and started again on what it has stored. */
export async function prepareSubject(name, folder, options) {
  const port = await freePort();
  const launch = await launcher(name, port, folder, options);
  let child;
  return {
    name,
    port,
    storage: join(folder, "storage"),
    get pid() {
      return child.pid;
    },
    start() {
      child = launch();
      child.stderr?.on("data", (text) => process.env.BENCH_LOGS && process.stderr.write(text));
    },
    async isListening() {
      const until = Date.now() + PATIENCE_MS;
      while (!(await answers(port))) {
        if (child.exitCode !== null || Date.now() > until) throw new Error(`${name} does not listen`);
        await sleep(1);
      }
    },
    /** Neither timers nor alarms run until `resume`. */
    pause: () => process.kill(child.pid, "SIGSTOP"),
    resume: () => process.kill(child.pid, "SIGCONT"),
    async stop() {
      if (child.exitCode !== null) return;
      const ended = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGKILL");
      await ended;
    },
  };
}

async function launcher(name, port, folder, { vars, staysAwake, role = "server" } = {}) {
  const { entry, program, build = inRoot("build"), hasObjects } = SUBJECTS[name];
  const storage = join(folder, "storage");
  if (entry) {
    vars = { ...VARS, ...vars };
    return prepareWorker({ entry, build, vars, port, storage, folder, role, hasObjects, staysAwake });
  }
  mkdirSync(storage, { recursive: true });
  const options = JSON.stringify({ port, secret: SECRET, file: join(storage, "log.sqlite") });
  const [command, ...args] = withParent(bin("node"), [program, options]);
  return () => {
    const env = { ...process.env, NODE_ENV: "production" };
    return start(role, command, args, { env, stdio: ["ignore", "inherit", "pipe"] });
  };
}

function answers(port) {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => resolve(true));
    socket.on("error", () => resolve(false)).on("close", () => socket.destroy());
    socket.unref();
    setTimeout(() => socket.destroy(), 1000).unref();
  });
}
