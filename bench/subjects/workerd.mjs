// A Worker on workerd alone: no Miniflare, no proxy, its objects' SQLite files in a folder.

import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, join } from "node:path";
import { workerOptions } from "../../scripts/lib/worker-config.mjs";
import { bundle } from "../../scripts/lib/worker.mjs";
import { withParent } from "../../scripts/lib/with-parent.mjs";
import { start } from "../machine.mjs";

const workerd = createRequire(import.meta.url)("workerd").default;

/**
 * Writes the configuration of a Worker into `folder` and answers how it is started.
 *
 * @param {object} worker  `entry`, the folder of its wasm (`build`), `vars`, `port`, and `storage`, a folder. Objects
 *   stay awake, also while the subject stands still, unless `staysAwake` is false: then they hibernate after ten seconds
 */
export async function prepareWorker({ entry, build, vars, port, storage, folder, role, ...objects }) {
  const { hasObjects = true, staysAwake = true } = objects;
  mkdirSync(folder, { recursive: true });
  mkdirSync(storage, { recursive: true });
  const modules = await bundle(entry, build);
  const [{ contents: main }] = modules;
  // A Worker in JavaScript is given no wasm to compile.
  const used = modules.map(({ path, contents }) => ({ name: basename(path), contents }));
  const named = used.filter(({ name }) => !name.endsWith(".wasm") || main.includes(name));
  for (const { name, contents } of named) writeFileSync(join(folder, name), contents);
  const names = named.map(({ name }) => name);
  const options = await workerOptions();
  const [text, config] = [join(folder, "config.capnp"), join(folder, "config.bin")];
  writeFileSync(text, capnp({ options, names, vars, port, storage, hasObjects, staysAwake }));
  // In the form that Miniflare hands over too: or each start would first compile this text, byte by byte of the wasm.
  writeFileSync(
    config,
    execFileSync(workerd, ["compile", "--config-only", text], { maxBuffer: 100_000_000 }),
  );
  return () => {
    const [program, ...args] = withParent(workerd, ["serve", "--binary", config]);
    return start(role, program, args, { stdio: ["ignore", "inherit", "pipe"] });
  };
}

const quoted = JSON.stringify;

function capnp({ options, names, vars, port, storage, hasObjects, staysAwake }) {
  const classes = Object.entries(hasObjects ? options.durableObjects : {}).map(
    ([binding, { className }]) => ({ binding, className }),
  );
  const modules = names.map((name) => {
    const kind = name.endsWith(".wasm") ? "wasm" : "esModule";
    return `(name = ${quoted(name === "worker.mjs" ? name : `./${name}`)}, ${kind} = embed ${quoted(name)})`;
  });
  const bindings = [
    ...Object.entries(vars).map(([name, value]) => `(name = ${quoted(name)}, text = ${quoted(value)})`),
    ...classes.map(
      ({ binding, className }) =>
        `(name = ${quoted(binding)}, durableObjectNamespace = ${quoted(className)})`,
    ),
  ];
  const namespaces = classes.map(
    ({ className }) =>
      `(className = ${quoted(className)}, uniqueKey = ${quoted(className)}, enableSql = true, preventEviction = ${staysAwake})`,
  );
  return `using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "worker", worker = .worker),
    (name = "storage", disk = (path = ${quoted(storage)}, writable = true)),
    (name = "internet", network = (allow = ["public", "private"])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "worker")],
);

const worker :Workerd.Worker = (
  modules = [${modules.join(", ")}],
  compatibilityDate = ${quoted(options.compatibilityDate)},
  compatibilityFlags = [${options.compatibilityFlags.map(quoted).join(", ")}],
  bindings = [${bindings.join(", ")}],
  durableObjectNamespaces = [${namespaces.join(", ")}],
  durableObjectStorage = (localDisk = "storage"),
);
`;
}
