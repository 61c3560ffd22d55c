// The names the Worker is configured by: README.md explains them, src/ gives their defaults.

/** Never in wrangler.toml: `wrangler secret put` in production, .dev.vars locally. */
export const SECRETS = ["INGEST_TOKENS", "HMAC_SECRETS", "READ_TOKENS", "ADMIN_TOKENS", "ENCRYPTION_KEYS"];

const VARS = [
  "PROOF",
  "ALLOWED_NETWORKS",
  "DEDUP_WINDOW",
  "DEDUP_KV",
  "MAX_BODY",
  "MALFORMED",
  "REPLY_BUDGET",
  "REPLY_FRAMING",
  "RETENTION_DAYS",
  "MAX_LOG_MB",
  "FLEET_SHARDS",
  "DEVICE_RATE",
  "DEVICE_BURST",
  "KEY_RATE",
  "STREAM_OPENS",
  "STREAM_MAX",
  "RETRY_SCHEDULE",
  "REQUIRE_HTTPS",
  "ALLOW_PRIVATE_TARGETS",
  "DELIVERY_TIMEOUT",
  "CIRCUIT_PROBE",
  "REPLAY_RATE",
];

/** Those of them that are set in `environment`. */
export function settingsFrom(environment) {
  const set = [...SECRETS, ...VARS].filter((name) => environment[name] !== undefined);
  return Object.fromEntries(set.map((name) => [name, environment[name]]));
}
