// The header in firmware/ and the Worker keep their contract with one another, over a cloud that loses, repeats and
// shuffles what goes between them: desired values reach the device, commands are run once, replies arrive whole.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { anEvent, clientOf } from "./support/client.mjs";
import { partsFor, startDevice, withSeed } from "./support/firmware.mjs";
import { startWorker } from "./support/worker.mjs";

const REPORT = "fieldhook/report";
const README = new URL("../firmware/README.md", import.meta.url);
/** Longer than the device waits for missing parts, or takes the same text for a repetition. */
const LONG_MS = 31_000;
/** The cloud does not tell a command again within 10 s: so often it is asked, a second apart. */
const TURNS_MAX = 60;

/** What is due in a JSON template, as firmware/README.md has it. */
const DUE_OR_NULL = "{{{FIELDHOOK_DUE}}}{{^FIELDHOOK_DUE}}null{{/FIELDHOOK_DUE}}";

/** The waiting is done side by side. */
const AT_ONCE = { concurrency: true };

for (const framing of ["plain", "framed"]) {
  describe(`a device and the Worker, ${framing}`, AT_ONCE, () => {
    let worker, client;
    before(async () => {
      worker = await startWorker({ vars: { REPLY_FRAMING: framing } });
      client = clientOf(worker);
      // What is due, in a reply of several parts.
      const note = "zwölf Grad, 12 °C; ".repeat(60);
      const responseTemplate = `{"note":"${note}","due":${DUE_OR_NULL}}`;
      await client.define("/v1/sources/wordy", { responseTemplate, replyFraming: framing });
      const echo = { responseTemplate: "{{{PARTICLE_EVENT_VALUE}}}", replyBudget: 17_000 };
      await client.define("/v1/sources/echo", { ...echo, replyFraming: framing });
    });
    after(() => worker.stop());

    const twinOf = async ({ coreid }) => (await client.read("GET", `/v1/devices/${coreid}/twin`)).body;
    const commandsOf = async ({ coreid }) =>
      (await client.read("GET", `/v1/devices/${coreid}/commands?limit=1000`)).body.commands;

    async function want({ coreid }, patch) {
      const answer = await client.admin("PATCH", `/v1/devices/${coreid}/twin`, patch);
      assert.equal(answer.status, 200, answer.text);
    }

    async function order({ coreid }, name, args) {
      const answer = await client.admin("POST", `/v1/devices/${coreid}/commands`, { name, args });
      assert.equal(answer.status, 201, answer.text);
      return answer.body.id;
    }

    /** What the device publishes, as Particle sends it, and the parts of the reply. */
    async function publish(event, to) {
      const answer = await client.publishRaw(event, { to });
      assert.ok([200, 204].includes(answer.status), `${answer.status} ${answer.body}`);
      return partsFor(event.event, answer.body);
    }

    async function reportOf(device) {
      const data = JSON.stringify(await device.report());
      return anEvent({ event: REPORT, coreid: device.coreid, data, published_at: new Date().toISOString() });
    }

    /** A turn in which nothing gets lost. */
    async function exchange(device, to) {
      const event = await reportOf(device);
      const parts = await publish(event, to);
      await device.sent();
      for (const part of parts) await device.hear(part);
      return event;
    }

    /** Turns without loss until twin and device agree and no command is left. */
    async function settle(device, { to } = {}) {
      for (let turn = 0; turn < TURNS_MAX; turn++) {
        await device.pass(LONG_MS);
        await exchange(device, to);
        const { delta } = await twinOf(device);
        const waiting = (await commandsOf(device)).filter(({ state }) => ["queued", "sent"].includes(state));
        if (!waiting.length && !Object.keys(delta).length) return;
        if (turn > 10) await sleep(1000);
      }
      assert.fail(`not settled: ${JSON.stringify([await twinOf(device), await commandsOf(device)])}`);
    }

    async function assertAgreed(device, { own = {} } = {}) {
      const { desired, reported, delta } = await twinOf(device);
      assert.deepEqual(delta, {});
      assert.deepEqual(flat(reported), { ...flat(desired), ...own });
      const { state, due } = await device.state();
      const leaves = Object.entries(state).filter(([, value]) => JSON.stringify(value) !== "{}");
      assert.deepEqual(Object.fromEntries(leaves), { ...flat(desired), ...own });
      assert.equal(due, false, "nothing is left to report");
      const ids = (await commandsOf(device)).map(({ id, state: is }) => (assert.equal(is, "acked"), id));
      assert.deepEqual(device.ran, ids, "each command was run once, in order");
    }

    test("agree whatever gets lost, comes twice or comes late", (t) =>
      withSeed(async (random) => {
        const device = await startDevice(t, `lossy-${framing}`);
        await device.set("/temperature", 21.5);
        await want(device, { interval: 60 });
        let late = [];
        for (let round = 0; round < 40; round++) {
          await device.pass(1000);
          if (random.chance(0.4)) await want(device, aPatch(random));
          if (random.chance(0.15)) await order(device, "blink", { times: round });
          if (random.chance(0.05)) {
            // What was on its way to it is lost with the rest of its memory.
            late = [];
            await device.reset();
          }
          const event = await reportOf(device);
          if (random.chance(0.2)) continue; // the report is lost
          const replies = [await publish(event)];
          // Particle has not heard the answer, and sends again.
          if (random.chance(0.2)) replies.push(await publish(event));
          if (random.chance(0.8)) await device.sent();
          for (const reply of [...replies, ...late.splice(0)]) {
            if (random.chance(0.3)) continue;
            if (random.chance(0.2)) late.push(reply);
            else for (const part of random.shuffled([...reply, ...reply])) await device.hear(part);
          }
        }
        for (const part of late.flat()) await device.hear(part);
        await settle(device);
        await assertAgreed(device, { own: { "/temperature": 21.5 } });
        await device.stop();
      }));

    test("agree over replies of many parts, of which some are lost", (t) =>
      withSeed(async (random) => {
        const device = await startDevice(t, `wordy-${framing}`);
        const to = "/hook/wordy";
        const text = () => "übermäßig ".repeat(1 + random.below(12));
        const keys = Array.from({ length: 40 }, (_, n) => `key-${n}`);
        await want(
          device,
          Object.fromEntries(keys.map((key) => [key, { text: text(), at: random.below(99) }])),
        );
        for (let n = 0; n < 21; n++) await order(device, "step", { n });
        const counts = new Set();
        for (let turn = 0; turn < 6; turn++) {
          // Parts of plain replies are not told apart: the next one must not meet what is left of this one.
          await device.pass(LONG_MS);
          const event = await reportOf(device);
          const parts = await publish(event, to);
          counts.add(parts.length);
          const lost = turn % 2 === 0 ? random.pick(parts) : undefined;
          const heard = [];
          for (const part of random.shuffled(
            [...parts, ...parts.slice(0, 2)].filter((part) => part !== lost),
          ))
            heard.push((await device.hear(part)).heard);
          if (lost) assert.ok(!heard.includes("applied"), `without one part: ${heard}`);
        }
        assert.ok(Math.max(...counts) > 5, `replies had ${[...counts]} parts`);
        await settle(device, { to });
        await assertAgreed(device);
        await device.stop();
      }));

    test("a reply without its first part changes nothing, and the next publish makes it good", async (t) => {
      const device = await startDevice(t, `beheaded-${framing}`);
      const to = "/hook/wordy";
      await want(device, { mode: "eco", led: { on: true } });
      const [first, ...others] = await publish(await reportOf(device), to);
      assert.match(first.topic, /\/0$/);
      assert.ok(others.length >= 2, `${others.length} others`);
      for (const part of others.reverse()) assert.equal((await device.hear(part)).heard, "waiting");
      const { state, v } = await device.state();
      assert.deepEqual([state, v], [{}, 0]);
      assert.deepEqual((await twinOf(device)).delta, { mode: "eco", led: { on: true } });
      // Parts of plain replies are not told apart: what is left of the first has to be given up before.
      if (framing === "plain") await device.pass(LONG_MS);
      await want(device, { mode: "off" });
      await exchange(device, to);
      assert.deepEqual((await device.state()).state, { "/mode": "off", "/led/on": true });
      await exchange(device, to);
      await assertAgreed(device);
      await device.stop();
    });

    test("a version below the device's own changes nothing, and its commands still count", async (t) => {
      const device = await startDevice(t, `old-${framing}`);
      await want(device, { mode: "eco" });
      await order(device, "late");
      const old = await publish(await reportOf(device));
      await want(device, { mode: "off" });
      await exchange(device);
      assert.equal((await device.state()).v, 2);
      assert.equal((await device.hear(old[0])).heard, "old");
      assert.deepEqual((await device.state()).state, { "/mode": "off" });
      await exchange(device);
      await assertAgreed(device);
      await device.stop();
    });

    test("a command that the device did not do is told again, and run once", async (t) => {
      const device = await startDevice(t, `refusing-${framing}`);
      await device.refuse("open");
      const id = await order(device, "open");
      await exchange(device);
      assert.deepEqual(device.ran, []);
      await device.allow("open");
      await settle(device);
      assert.deepEqual(device.ran, [id]);
      await device.stop();
    });

    test("a template's reply is JSON whether or not something is due", async (t) => {
      assert.ok(readFileSync(README, "utf8").includes(`"due":${DUE_OR_NULL}}`));
      const device = await startDevice(t, `due-or-null-${framing}`);
      const join = async () => {
        await device.pass(LONG_MS);
        const parts = await publish(await reportOf(device), "/hook/wordy");
        let last;
        for (const part of parts) last = await device.hear(part);
        return last;
      };
      const { heard, text } = await join();
      assert.deepEqual([heard, JSON.parse(text).due], ["other", null]);
      await want(device, { mode: "eco" });
      assert.equal((await join()).heard, "applied");
      assert.deepEqual((await device.state()).state, { "/mode": "eco" });
      await device.stop();
    });

    test("a template's reply of several KB joins byte for byte, in any order and parts repeated", (t) =>
      withSeed(async (random, seed) => {
        const device = await startDevice(t, `joining-${framing}`);
        for (const length of [511, 512, 1_012, 1_024, 3_000, 5_119, 8_191, 16_384]) {
          const data = aText(random, length, framing);
          const event = anEvent({
            event: "text",
            data,
            coreid: device.coreid,
            event_id: `${seed}-${length}`,
          });
          const parts = await publish(event, "/hook/echo");
          assert.ok(parts.length > length / 512, "as many parts as it needs");
          await device.pass(LONG_MS);
          const all = random.shuffled(parts);
          let last;
          for (const part of all) {
            if (last) assert.equal(last.heard, "waiting", "it is whole with its last part, and no sooner");
            last = await device.hear(part);
            if (part !== all.at(-1) && random.chance(0.3))
              assert.equal((await device.hear(part)).heard, "repeated");
          }
          assert.equal(last.heard, "other");
          assert.equal(last.text.trimEnd(), data);
        }
        await device.stop();
      }));
  });
}

/** Keys that come and go, on two levels, with values of every kind. */
function aPatch(random) {
  const value = () =>
    random.pick([null, null, random.below(99), 1.5, true, false, 'a "ü"', "~|", [1, null, "é"], ""]);
  return random.pick([
    () => ({ interval: 60 + random.below(9) }),
    () => ({ mode: value() }),
    () => ({ "a/b~c": value() }),
    () => ({ led: { on: value(), level: value() } }),
    () => ({ led: null }),
    () => ({ mode: value(), led: { on: value() } }),
  ])();
}

/**
 * So many bytes of characters of one to four bytes; framed, also of what looks like a frame's head. A plain part that
 * begins like one, its index and all, cannot be told from it.
 */
function aText(random, length, framing) {
  const pieces = ["a", "~", "|", "é", "€", "😀", '"', "\\", framing === "framed" ? "~ab12|" : "0"];
  let text = "";
  let size = 0;
  while (size < length) {
    const piece = random.pick(pieces);
    const room = length - size;
    text += Buffer.byteLength(piece) <= room ? piece : "x";
    size += Buffer.byteLength(piece) <= room ? Buffer.byteLength(piece) : 1;
  }
  return text;
}

/** The leaves of a section by their JSON Pointers; an object without any is none. */
function flat(section, at = "") {
  const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
  return Object.fromEntries(
    Object.entries(section).flatMap(([key, value]) => {
      const pointer = `${at}/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`;
      return isObject(value) ? Object.entries(flat(value, pointer)) : [[pointer, value]];
    }),
  );
}
