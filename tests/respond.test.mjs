// `respond: true`: the device hears what a service says to its event, in the reply to that event.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { anEvent, until } from "./support/client.mjs";
import { WITHIN, formsOf, idsOf, publish, startDelivering, unique } from "./support/integrations.mjs";
import {
  drip,
  hang,
  held,
  huge,
  jsonOf,
  redirectTo,
  reply,
  replyJson,
  reset,
  resetInBody,
} from "./support/service.mjs";
import { openSse } from "./support/sse.mjs";

const WEATHER = {
  main: { temp: 12.5, humidity: 80 },
  weather: [{ description: 'light "rain"' }],
  name: "Zürich & co",
};

for (const DEDUP_KV of ["on", "off"]) {
  describe(`with DEDUP_KV=${DEDUP_KV}`, () => {
    let worker, client, service, integrations, stop, stream;
    before(async () => {
      ({ worker, client, service, integrations, stop } = await startDelivering({ vars: { DEDUP_KV } }));
      stream = await openSse(worker);
    });
    after(async () => {
      await stream.close();
      await stop();
    });

    /** An integration that responds, with a door of its own that gives this answer. */
    async function responding(answer, definition = {}) {
      const event = unique("respond");
      const door = service.door(`/${event}`).answer(answer);
      const id = await integrations.create({ event, url: door.url, respond: true, ...definition });
      return { id, door, event };
    }

    /** What was published about an event under a topic: `hook-sent`, `hook-response` or `hook-error`. */
    const published = (topic, event) =>
      stream.find(({ name }) => name.includes(topic) && name.includes(event), { within: WITHIN });

    /** Publishes one event, which hears nothing; answers what is said of it instead, and checks that it is in the log. */
    async function unanswered(event, fields) {
      const sent = anEvent({ event, coreid: `device-${event}`, ...fields });
      assert.equal((await client.accepted(sent)).response.status, 204);
      assert.equal((await client.newest(sent.coreid)).id, sent.event_id);
      return (await published("hook-error", event)).data.data;
    }

    describe("the reply", () => {
      for (const [what, answer, definition, text] of [
        [
          "JSON without a template: as it came",
          reply(200, '{"t": 21.50}', { "content-type": "application/json" }),
          {},
          '{"t": 21.50}',
        ],
        ["text: as it came", reply(200, "21.5 °C\n", { "content-type": "text/plain" }), {}, "21.5 °C\n"],
        [
          "a template that is a string, over JSON",
          replyJson(WEATHER),
          { responseTemplate: "{{{main.temp}}} {{{weather.0.description}}} in {{name}}" },
          '12.5 light "rain" in Zürich &amp; co',
        ],
        [
          "a template over an answer that is not JSON: as it came",
          reply(200, "<html>21.5</html>"),
          { responseTemplate: "{{{main.temp}}}" },
          "<html>21.5</html>",
        ],
        [
          "a template that asks for what is not there",
          replyJson(WEATHER),
          { responseTemplate: "[{{{rain.mm}}}]" },
          "[]",
        ],
        ["any 2xx", reply(202, "queued"), {}, "queued"],
      ]) {
        test(what, async () => {
          const { door, event } = await responding(answer, definition);
          const heard = await client.accepted(anEvent({ event }));
          assert.deepEqual([heard.response.status, heard.text, heard.duplicate], [200, text, false]);
          assert.equal(door.requests.length, 1);
        });
      }

      test("a template that is an object: JSON that no quote breaks", async () => {
        const responseTemplate = { t: "{{{main.temp}}}", says: "{{{weather.0.description}}}" };
        const { event } = await responding(replyJson(WEATHER), { responseTemplate });
        const { text } = await client.accepted(anEvent({ event }));
        assert.deepEqual(JSON.parse(text), { t: "12.5", says: 'light "rain"' });
      });

      test("never ends on a whole part: a newline is added", async () => {
        const { event } = await responding(reply(200, "x".repeat(512)));
        assert.equal((await client.accepted(anEvent({ event }))).text, `${"x".repeat(512)}\n`);
      });

      test("an empty answer is nothing to say", async () => {
        for (const answer of [reply(204), reply(200, "")]) {
          const { event } = await responding(answer);
          assert.equal((await client.accepted(anEvent({ event }))).response.status, 204);
        }
      });

      test("the service gets what every delivery has", async () => {
        const { door, event } = await responding(reply(200, "heard"));
        await client.accepted(anEvent({ event, data: "21.5", coreid: "respond-1" }));
        const [request] = door.requests;
        const { data, coreid } = formsOf([request])[0];
        assert.deepEqual([data, coreid, request.headers["fieldhook-hop"]], ["21.5", "respond-1", "1"]);
        assert.match(request.headers["webhook-id"], /^msg_/);
      });

      test("is published as on Particle, and is nothing that a stream resumes", async () => {
        const { event } = await responding(reply(200, "heard"));
        await client.accepted(anEvent({ event, coreid: "respond-2" }));
        const sent = await published("hook-sent", event);
        assert.deepEqual([sent.name, sent.id], [`hook-sent/${event}`, undefined]);
        const response = await published("hook-response", event);
        assert.equal(response.id, undefined);
        assert.ok(response.name.startsWith(`hook-response/${event}`), response.name);
        assert.equal(response.data.data, "heard");
      });

      test("under a topic of its own", async () => {
        const { event } = await responding(reply(200, "heard"), {
          responseTopic: "{{{PARTICLE_DEVICE_ID}}}/said/{{{PARTICLE_EVENT_NAME}}}",
        });
        await client.accepted(anEvent({ event, coreid: "respond-3" }));
        const response = await published("/said/", event);
        assert.ok(response.name.startsWith(`respond-3/said/${event}`), response.name);
      });

      test("is the first's, by creation; the others that respond are not asked, and those that deliver are", async () => {
        const { door, event } = await responding(reply(200, "first"));
        const [second, delivers] = ["second", "delivers"].map((name) => service.door(`/${event}${name}`));
        await integrations.create({ event, url: second.url, respond: true });
        await integrations.create({ event, url: delivers.url });
        assert.equal((await client.accepted(anEvent({ event }))).text, "first");
        await delivers.have(1);
        assert.deepEqual([door.requests.length, second.requests.length], [1, 0]);
      });

      test("a batch hears nothing, and nobody is asked", async () => {
        const { door, event } = await responding(reply(200, "heard"));
        await client.accepted([1, 2].map(() => anEvent({ event })));
        assert.equal((await client.accepted(anEvent({ event }))).text, "heard");
        assert.equal(door.requests.length, 1);
      });
    });

    describe("a failure is 204, an entry in the log, and Particle's words on the stream", () => {
      for (const [what, answer, error] of [
        ["404", reply(404, "no such place"), /^error status 404 from 127\.0\.0\.1/],
        ["500", reply(500), /^error status 500 from 127\.0\.0\.1/],
        [
          "a redirect, which is not followed",
          redirectTo("/elsewhere"),
          /^error status 302 from 127\.0\.0\.1/,
        ],
        ["a reset", reset, /^ECONNRESET/],
        ["a reset in the body", resetInBody, /^ECONNRESET/],
        ["no answer", hang, /^ETIMEDOUT/],
        ["an answer without an end", drip, /^ESOCKETTIMEDOUT/],
      ]) {
        test(what, async () => {
          const { door, event } = await responding(answer);
          assert.match(await unanswered(event), error);
          // A delivery of the next event shows that none was tried again.
          await publish(client, { event, coreid: `device-${event}` });
          assert.equal(door.requests.length, 2);
          assert.equal(new Set(idsOf(door.requests)).size, 2);
        });
      }

      test("a topic of its own", async () => {
        const errorResponseTopic = "{{{PARTICLE_DEVICE_ID}}}/failed/{{{PARTICLE_EVENT_NAME}}}";
        const { event } = await responding(reply(404), { errorResponseTopic });
        await publish(client, { event, coreid: "respond-4" });
        const error = await published("/failed/", event);
        assert.ok(error.name.startsWith(`respond-4/failed/${event}`), error.name);
        assert.match(error.data.data, /^error status 404/);
      });

      for (const [what, answer, definition] of [
        ["more than the budget", reply(200, "x".repeat(6_000)), {}],
        ["more than its own budget", reply(200, "x".repeat(101)), { replyBudget: 100 }],
        ["50 MB", huge(), {}],
      ]) {
        test(`${what}: nothing is said rather than a part, and the event is flagged`, async () => {
          const { event } = await responding(answer, definition);
          await unanswered(event);
          await until(async () => (await client.newest(`device-${event}`)).reply_too_large, {
            within: WITHIN,
            what: "the flag",
          });
        });
      }
    });

    describe("a repeat", () => {
      test("hears the stored answer, and the service is asked once", async () => {
        const { door, event } = await responding((request, response) =>
          replyJson({ n: door.requests.length })(request, response),
        );
        const one = anEvent({ event, coreid: "repeat-1" });
        const first = await client.accepted(one);
        assert.deepEqual([first.text, first.duplicate], ['{"n":1}', false]);
        for (let times = 0; times < 3; times++) {
          const { response, text, duplicate } = await client.accepted(one);
          assert.deepEqual([response.status, text, duplicate], [200, '{"n":1}', true]);
        }
        assert.equal(door.requests.length, 1);
      });

      test("of an event that nothing was said to hears nothing, and the service is not asked again", async () => {
        const { door, event } = await responding(reply(404));
        const one = anEvent({ event, coreid: "repeat-2" });
        for (const duplicate of [false, true, true]) {
          const heard = await client.accepted(one);
          assert.deepEqual([heard.response.status, heard.duplicate], [204, duplicate]);
        }
        assert.equal(door.requests.length, 1);
      });

      test("while the call is under way hears nothing; the first hears the answer, and later ones too", async () => {
        const gate = held(reply(200, "at last"));
        const { door, event } = await responding(gate.answer);
        const one = anEvent({ event, coreid: "repeat-3" });
        const first = client.accepted(one);
        await door.have(1);
        const second = await client.accepted(one);
        assert.deepEqual([second.response.status, second.duplicate], [204, true]);
        gate.release();
        const { response, text } = await first;
        // On a slow machine the call may have run into its limit meanwhile.
        if (response.status === 200) {
          assert.equal(text, "at last");
          assert.equal((await client.accepted(one)).text, "at last");
        }
        assert.equal(door.requests.length, 1);
      });
    });
  });
}

test("killed between the call and the store: the repeat calls again, with the same webhook-id", async () => {
  const { worker, client, service, integrations, stop } = await startDelivering({
    vars: { DELIVERY_TIMEOUT: "20" },
  });
  const event = unique("respond");
  const gate = held(reply(200, "lost"));
  service.script(gate.answer).answer(reply(200, "heard"));
  await integrations.create({ event, url: service.url, respond: true });
  const one = anEvent({ event, coreid: "killed" });
  const first = client.publish(one).then(
    (response) => response.status,
    () => "cut off",
  );
  await service.have(1);
  await worker.kill();
  gate.release();
  assert.notEqual(await first, 200);
  await worker.restart();
  const { text, duplicate } = await client.accepted(one);
  assert.deepEqual([text, duplicate], ["heard", true]);
  const requests = await service.have(2);
  assert.equal(new Set(idsOf(requests)).size, 1);
  assert.equal((await client.accepted(one)).text, "heard");
  assert.equal(service.requests.length, 2);
  assert.equal((await client.log("killed")).length, 1);
  await stop();
});

test("a transform's data and the definition's own json are what the service gets", async () => {
  const { client, service, integrations, stop } = await startDelivering();
  const event = unique("respond");
  await client.define("/v1/transforms/respond", { event, json: { celsius: "{{{t}}}" } });
  await integrations.create({
    event,
    url: service.url,
    respond: true,
    json: { c: "{{{celsius}}}" },
    noDefaults: true,
    responseTemplate: "{{{ok}}}",
  });
  service.answer(replyJson({ ok: "yes" }));
  assert.equal((await client.accepted(anEvent({ event, data: '{"t":21.5}' }))).text, "yes");
  assert.deepEqual(jsonOf(service.requests[0]), { c: "21.5" });
  await stop();
});
