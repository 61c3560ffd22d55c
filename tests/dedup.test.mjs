// An event counts once: a repeat is recognised, in KV or in the device's object, and hears the same reply.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { anEvent, clientOf, numbers } from "./support/client.mjs";
import { WHSEC, startWorker } from "./support/worker.mjs";

const REPEATS = 200;

describe("an event counts once", { concurrency: true }, () => {
  for (const DEDUP_KV of ["on", "off"]) {
    describe(`with DEDUP_KV=${DEDUP_KV}`, { concurrency: 1 }, () => {
      let worker, client;
      before(async () => {
        worker = await startWorker({ vars: { DEDUP_KV } });
        client = clientOf(worker);
        await client.define("/v1/sources/echo", { responseTemplate: "heard {{{PARTICLE_EVENT_VALUE}}}" });
      });
      after(() => worker.stop());

      const repeats = async (event, options) => (await client.accepted(event, options)).duplicate;

      test("a new event is not marked as a duplicate", async () => {
        assert.equal(await repeats(anEvent()), false);
      });

      test("a repeat is marked and hears the reply that the first one heard", async () => {
        const event = anEvent({ data: "one", coreid: "same-reply" });
        const first = await client.accepted(event, { to: "/hook/echo" });
        assert.deepEqual([first.response.status, first.text, first.duplicate], [200, "heard one", false]);
        for (const data of ["one", "another"]) {
          const repeat = await client.accepted({ ...event, data }, { to: "/hook/echo" });
          assert.deepEqual([repeat.response.status, repeat.text, repeat.duplicate], [200, "heard one", true]);
        }
        const [kept, ...others] = await client.log("same-reply");
        assert.deepEqual([kept.data, others], ["one", []]);
      });

      test("a repeat of an event that nothing was said to hears nothing", async () => {
        const event = anEvent();
        await client.accepted(event);
        const { response, text, duplicate } = await client.accepted(event);
        assert.deepEqual([response.status, text, duplicate], [204, "", true]);
      });

      test(`${REPEATS} repeats at once count once`, async () => {
        const event = anEvent({ coreid: "crowd" });
        const answers = await Promise.all(Array.from({ length: REPEATS }, () => repeats(event)));
        assert.equal(answers.filter((duplicate) => !duplicate).length, 1);
        const log = await client.log("crowd");
        assert.deepEqual(
          log.map(({ seq }) => seq),
          [1],
        );
        await client.accepted(anEvent({ coreid: "crowd" }));
        assert.equal((await client.newest("crowd")).seq, 2, "repeats use up no numbers");
      });

      test("one id on two devices is two events", async () => {
        const event = anEvent();
        for (const coreid of ["twin-a", "twin-b"]) assert.equal(await repeats({ ...event, coreid }), false);
        for (const coreid of ["twin-a", "twin-b"]) assert.equal((await client.log(coreid)).length, 1);
      });

      test("device and id are not run together", async () => {
        assert.equal(await repeats(anEvent({ coreid: "edge", event_id: "1-7" })), false);
        assert.equal(await repeats(anEvent({ coreid: "edge1", event_id: "-7" })), false);
      });

      test("an event that comes by two sources is one event", async () => {
        const event = anEvent({ coreid: "two-ways" });
        assert.equal(await repeats(event, { to: "/hook/left" }), false);
        for (const to of ["/hook/right", "/hook"]) assert.equal(await repeats(event, { to }), true);
        assert.deepEqual(
          (await client.log("two-ways")).map(({ source }) => source),
          ["left"],
        );
      });

      test("an id is the same in every spelling and place", async () => {
        const { event_id, ...event } = anEvent({ coreid: "spelt" });
        assert.equal(await repeats({ ...event, event_id }), false);
        assert.equal(await repeats({ ...event, id: event_id }), true);
        assert.equal(await repeats(event, { to: `/hook?event_id=${event_id}` }), true);
        assert.equal(await repeats(event, { "x-particle-event-id": event_id }), true);
      });

      test("without an id, name, data and time of publishing make one", async () => {
        const event = {
          event: "temp",
          data: "21.5",
          coreid: "derived",
          published_at: "2026-01-31T12:00:00.000Z",
        };
        assert.equal(await repeats(event), false);
        assert.equal(await repeats(event), true);
        const others = [
          { event: "temp2" },
          { data: "21.50" },
          { published_at: "2026-01-31T12:00:00.001Z" },
          { coreid: "derived2" },
        ];
        for (const other of others)
          assert.equal(await repeats({ ...event, ...other }), false, JSON.stringify(other));
        const log = await client.log("derived");
        assert.deepEqual(
          log.map(({ seq, derived }) => [seq, derived]),
          numbers(1, 4).map((seq) => [seq, true]),
        );
        assert.equal(new Set(log.map(({ id }) => id)).size, 4);
      });

      test("without an id and a time, equal events are all kept", async () => {
        const event = { event: "temp", data: "21.5", coreid: "timeless" };
        for (let times = 0; times < 3; times++) assert.equal(await repeats(event), false);
        assert.deepEqual(
          (await client.log("timeless")).map(({ seq }) => seq),
          [1, 2, 3],
        );
      });

      test("a signed webhook-id is the id, an unsigned one is none", async () => {
        const body = JSON.stringify(anEvent({ coreid: "signed" }));
        const id = `msg_${DEDUP_KV}`;
        assert.equal(await repeats(body, { ...signature(id, body), token: "" }), false);
        const other = JSON.stringify(anEvent({ coreid: "signed" }));
        assert.equal(await repeats(other, { ...signature(id, other), token: "" }), true);
        assert.deepEqual(
          (await client.log("signed")).map((event) => event.id),
          [id],
        );
        assert.equal(await repeats(other, { "webhook-id": id }), false);
      });

      test("a batch counts what it repeats, of earlier requests and of itself", async () => {
        const [known, twice, once] = [1, 2, 3].map(() => anEvent({ coreid: "batched" }));
        await client.accepted(known);
        const answer = await client.publish([known, twice, twice, once]);
        assert.deepEqual(await answer.json(), { accepted: 2, duplicates: 2, refused: [] });
        assert.equal(await repeats(once), true);
        assert.deepEqual(
          (await client.log("batched")).map(({ id }) => id),
          [known, twice, once].map((e) => e.event_id),
        );
      });

      test("another template or framing later changes nothing about a repeat's reply", async () => {
        await client.define("/v1/sources/changing", { responseTemplate: "old {{{PARTICLE_EVENT_VALUE}}}" });
        const event = anEvent({ data: "x" });
        await client.accepted(event, { to: "/hook/changing" });
        await client.define("/v1/sources/changing", { responseTemplate: "new", replyFraming: "framed" });
        assert.equal((await client.accepted(event, { to: "/hook/changing" })).text, "old x");
        await client.admin("DELETE", "/v1/sources/changing");
        assert.equal((await client.accepted(event, { to: "/hook/changing" })).text, "old x");
      });

      test("a transform made later does not make a repeat a new event", async () => {
        const event = { event: "late", data: "1", coreid: "late", published_at: "2026-01-31T12:00:00Z" };
        assert.equal(await repeats(event), false);
        await client.define("/v1/transforms/late", { event: "late", body: "changed", rename: "renamed" });
        assert.equal(await repeats(event), true);
      });

      test("an event of a device that was deleted meanwhile is new, however soon it comes again", async () => {
        const event = anEvent({ data: "soon", coreid: "deleted" });
        await client.accepted(event, { to: "/hook/echo" });
        assert.equal((await client.admin("DELETE", "/v1/devices/deleted")).status, 200);
        if (DEDUP_KV === "off") assert.equal(await repeats(event, { to: "/hook/echo" }), false);
      });

      test("a batch of repeats, one of them long ago, says so of each", async () => {
        const all = numbers(1, 7).map(() => anEvent({ coreid: "long-ago" }));
        await client.accepted(all);
        for (const some of [all.slice(-2), [all[0], ...all.slice(-2)], all]) {
          const answer = await client.publish(some);
          assert.deepEqual(await answer.json(), { accepted: 0, duplicates: some.length, refused: [] });
        }
        assert.equal((await client.log("long-ago")).length, 7);
      });

      test("a repeat is known after the Worker has started again", async () => {
        const event = anEvent({ data: "before", coreid: "restarted" });
        await client.accepted(event, { to: "/hook/echo" });
        await worker.restart();
        const { text, duplicate } = await client.accepted(event, { to: "/hook/echo" });
        assert.deepEqual([text, duplicate], ["heard before", true]);
        assert.equal((await client.log("restarted")).length, 1);
        await client.accepted(anEvent({ coreid: "restarted" }));
        assert.equal((await client.newest("restarted")).seq, 2);
      });
    });
  }
});

/** The headers of Standard Webhooks. */
function signature(id, body) {
  const timestamp = Math.floor(Date.now() / 1000);
  const key = Buffer.from(WHSEC.slice("whsec_".length), "base64");
  const mac = createHmac("sha256", key).update(`${id}.${timestamp}.${body}`).digest("base64");
  return { "webhook-id": id, "webhook-timestamp": String(timestamp), "webhook-signature": `v1,${mac}` };
}
