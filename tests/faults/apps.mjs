// What apps do meanwhile: they change what is desired of devices, and give them commands. What was acknowledged is
// written down; what was cut off is neither promised nor forgotten.

import { setTimeout as sleep } from "node:timers/promises";

const KEYS = ["mode", "led", "limit", "name", "zone"];
/** An object lists this many finished commands (core/src/commands/mod.rs, `FINISHED_MAX`), and no others are missed. */
const COMMANDS_MAX = 90;

/** Several people's: one write that hangs while the Worker starts does not hold up the others. */
const APPS = 4;

/** Makes `writes` in a second, until it is stopped. */
export function startApps({ client, devices, chance, ttl, writes }) {
  /** The newest acknowledged write of each twin, and its version. */
  const written = {};
  /** Ids of acknowledged commands, and how many were tried. */
  const ordered = {};
  const tried = {};
  let [made, stopped] = [0, false];

  const value = () =>
    chance.pick([
      chance.below(100),
      chance.hits(0.5),
      null,
      `text ${chance.below(10)}`,
      { on: chance.hits(0.5) },
    ]);

  async function patch(device) {
    const body = { [chance.pick(KEYS)]: value(), [chance.pick(KEYS)]: value() };
    const answer = await client.admin("PATCH", `/v1/devices/${device}/twin`, body);
    if (answer.status !== 200) return answer.status;
    const { versions, desired } = answer.body;
    if (!(written[device]?.version > versions.desired))
      written[device] = { version: versions.desired, desired };
    return 200;
  }

  async function command(device) {
    tried[device] = (tried[device] ?? 0) + 1;
    const body = { name: "blink", args: { times: chance.below(5) }, ttl };
    const answer = await client.admin("POST", `/v1/devices/${device}/commands`, body);
    if (answer.status === 201) (ordered[device] ??= []).push(answer.body.id);
    return answer.status;
  }

  async function app() {
    while (!stopped) {
      await sleep(chance.wait((1_000 * APPS) / writes));
      const device = chance.pick(devices);
      const write = chance.hits(0.5) && (tried[device] ?? 0) < COMMANDS_MAX ? command : patch;
      // Cut off or refused: it may have been made, but nobody was told.
      const status = await write(device).catch(() => undefined);
      if (status === 200 || status === 201) made += 1;
    }
  }
  const writing = Promise.all(Array.from({ length: APPS }, app));

  const read = async (device, what) => {
    const answer = await client.read("GET", `/v1/devices/${device}/${what}`);
    if (answer.status !== 200) throw new Error(`${what} of ${device}: ${answer.text}`);
    return answer.body;
  };

  return {
    written,
    ordered,
    /** How many writes were acknowledged. */
    made: () => made,
    /** A device's twin and commands as they are now. */
    async stateOf(device) {
      const { desired, reported, delta, versions } = await read(device, "twin");
      const commands = (await read(device, "commands?limit=1000")).commands;
      return { device, twin: { desired, reported, delta, version: versions.desired }, commands };
    },
    async stop() {
      stopped = true;
      await writing;
    },
  };
}
