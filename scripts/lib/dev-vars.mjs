// .dev.vars: the local secrets, in the file wrangler reads too. Missing ones are generated once and kept.

import { randomBytes } from "node:crypto";
import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { SECRETS } from "./settings.mjs";

const LINE = /^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*$/;

const GENERATORS = {
  HMAC_SECRETS: () => `whsec_${randomBytes(32).toString("base64")}`,
  ENCRYPTION_KEYS: () => randomBytes(32).toString("base64"),
};
const generateToken = () => randomBytes(24).toString("base64url");

/** Adds the secrets that neither the file nor the environment has; returns all the file holds. */
export function completeDevVars(path, environment) {
  const text = existsSync(path)
    ? readFileSync(path, "utf8")
    : "# Local secrets, read by `npm start` and wrangler.\n";
  const present = parse(text);
  const missing = SECRETS.filter((name) => !present[name] && environment[name] === undefined);
  const lines = missing.map((name) => `${name}=${(GENERATORS[name] ?? generateToken)()}\n`);
  const separator = text.endsWith("\n") || text === "" ? "" : "\n";
  if (lines.length) writeFileSync(path, text + separator + lines.join(""), { mode: 0o600 });
  if (existsSync(path)) chmodSync(path, 0o600);
  return { values: parse(text + separator + lines.join("")), generated: missing };
}

function parse(text) {
  const values = {};
  for (const line of text.split("\n")) {
    const [, name, value] = line.match(LINE) ?? [];
    if (name) values[name] = value.replace(/^(["'`])(.*)\1$/, "$2");
  }
  return values;
}
