// The reply on the wire: nothing where there is nothing to say, else parts that Particle's cutting at 512 bytes
// cannot harm, within a budget.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { anEvent, clientOf } from "./support/client.mjs";
import { join, partsOf, shuffled } from "./support/framed.mjs";
import { startWorker } from "./support/worker.mjs";

const PART = 512;
const BUDGET = 5_119;
const BUDGET_MAX = 102_399;
const FRAMED_PARTS_MAX = 35;
const FRAME_HEADER = 6;

describe("the reply", () => {
  let worker, client;
  before(async () => {
    worker = await startWorker();
    client = clientOf(worker);
    const echo = { responseTemplate: "{{{PARTICLE_EVENT_VALUE}}}" };
    await client.define("/v1/sources/echo", echo);
    await client.define("/v1/sources/long", { ...echo, replyBudget: BUDGET_MAX });
    await client.define("/v1/sources/framed", { ...echo, replyFraming: "framed", replyBudget: BUDGET_MAX });
    await client.define("/v1/sources/tight", { ...echo, replyBudget: PART });
    await client.define("/v1/sources/roomy", { ...echo, replyBudget: PART + 1 });
  });
  after(() => worker.stop());

  /** What a device hears from a source that sends its data back. */
  const echo = (to, data) => client.publishRaw(anEvent({ data }), { to: `/hook/${to}` });

  const assertSilent = ({ status, headers, chunks }) => {
    assert.equal(status, 204);
    assert.deepEqual(chunks, []);
    assert.ok([undefined, "0"].includes(headers.get("content-length")));
    assert.equal(headers.has("transfer-encoding"), false);
  };

  const assertTooLarge = async (to, data) => {
    const event = anEvent({ data, coreid: "too-large" });
    for (const what of ["the event", "its repeat"]) {
      assertSilent(await client.publishRaw(event, { to: `/hook/${to}` }), what);
    }
    const kept = await client.newest("too-large");
    assert.deepEqual([kept.id, kept.reply_too_large], [event.event_id, true]);
  };

  test("nothing to say is 204 without a body", async () => {
    assertSilent(await client.publishRaw(anEvent()));
    assertSilent(await echo("unknown-source", "21.5"));
  });

  test("a template that renders empty is 204 without a body", async () => {
    assertSilent(await echo("echo", ""));
  });

  test("a string template is rendered as text", async () => {
    await client.define("/v1/sources/text", {
      responseTemplate: 'T={{{t}}} from {{PARTICLE_DEVICE_ID}} "quoted"',
    });
    const { response, text } = await client.accepted(anEvent({ data: { t: 21.1 }, coreid: "d1" }), {
      to: "/hook/text",
    });
    assert.deepEqual([response.status, text], [200, 'T=21.1 from d1 "quoted"']);
  });

  test("an object template is rendered in place, and no value can break it", async () => {
    await client.define("/v1/sources/object", {
      responseTemplate: {
        "{{PARTICLE_EVENT_NAME}}": "{{{note}}}",
        list: ["{{{n}}}", 7, null],
        deep: { id: "{{PARTICLE_EVENT_ID}}" },
      },
    });
    const event = anEvent({ data: { note: 'say "hi"\n\\', n: 2 } });
    const { text } = await client.accepted(event, { to: "/hook/object" });
    assert.deepEqual(JSON.parse(text), {
      temp: 'say "hi"\n\\',
      list: ["2", 7, null],
      deep: { id: event.event_id },
    });
  });

  for (const [length, sizes] of [
    [1, [1]],
    [511, [511]],
    [512, [512, 1]],
    [513, [512, 1]],
    [1023, [512, 511]],
    [1024, [512, 512, 1]],
    [1025, [512, 512, 1]],
  ]) {
    test(`a reply of ${length} bytes goes out in chunks of ${sizes.join(" and ")}`, async () => {
      const data = "x".repeat(length);
      const { status, headers, chunks, body } = await echo("echo", data);
      assert.equal(status, 200);
      assert.deepEqual(
        chunks.map((chunk) => chunk.length),
        sizes,
      );
      assert.equal(body.toString(), length % PART ? data : `${data}\n`);
      assert.equal(headers.get("transfer-encoding"), "chunked");
      assert.equal(headers.has("content-length"), false);
    });
  }

  test("lengths are counted in bytes, not in characters", async () => {
    const { chunks, body } = await echo("echo", "é".repeat(256));
    assert.deepEqual(
      chunks.map((chunk) => chunk.length),
      [512, 1],
    );
    assert.equal(body.toString(), `${"é".repeat(256)}\n`);
  });

  test("a repeat is cut like the first reply", async () => {
    const event = anEvent({ data: "x".repeat(1024) });
    const replies = [];
    for (let times = 0; times < 3; times++)
      replies.push(await client.publishRaw(event, { to: "/hook/echo" }));
    for (const { chunks } of replies) assert.deepEqual(chunks, replies[0].chunks);
  });

  test(`by default ${BUDGET} bytes are sent, and one more is not`, async () => {
    const { status, body } = await echo("echo", "x".repeat(BUDGET));
    assert.deepEqual([status, body.length], [200, BUDGET]);
    await assertTooLarge("echo", "x".repeat(BUDGET + 1));
  });

  test(`a source may have ${BUDGET_MAX} bytes, and not one more`, async () => {
    const { status, chunks, body } = await echo("long", "x".repeat(BUDGET_MAX));
    assert.deepEqual([status, body.length, chunks.length], [200, BUDGET_MAX, 200]);
    assert.ok(chunks.slice(0, -1).every((chunk) => chunk.length === PART));
    await assertTooLarge("long", "x".repeat(BUDGET_MAX + 1));
    const refused = await client.admin("PUT", "/v1/sources/longer", { replyBudget: BUDGET_MAX + 1 });
    assert.deepEqual([refused.status, refused.body.field], [400, "replyBudget"]);
  });

  test("the newline that a multiple of 512 needs counts inside the budget", async () => {
    await assertTooLarge("tight", "x".repeat(PART));
    const { status, body } = await echo("roomy", "x".repeat(PART));
    assert.deepEqual([status, body.length], [200, PART + 1]);
  });

  test("an event whose reply fits is not flagged", async () => {
    await client.accepted(anEvent({ data: "x", coreid: "fits" }), { to: "/hook/echo" });
    assert.equal("reply_too_large" in (await client.newest("fits")), false);
  });

  describe("framed", () => {
    test("a short one is one part that says so", async () => {
      const { status, body } = await echo("framed", "hello");
      assert.equal(status, 200);
      assert.match(body.toString(), /^~[A-Za-z0-9_-]{2}01\|hello$/);
    });

    for (const [what, text] of [
      ["ASCII", "abcdefghij".repeat(300)],
      ["two-byte characters", `x${"é".repeat(1500)}`],
      ["three-byte characters", "€".repeat(1000)],
      ["four-byte characters", `${"😀".repeat(700)}.`],
      ["a text that fills its first part", "x".repeat(PART - FRAME_HEADER)],
      ["a text that fills two parts but for a byte", "x".repeat(2 * (PART - FRAME_HEADER) - 1)],
    ]) {
      test(`${what} can be joined from parts in any order, none of which cuts a character`, async () => {
        const { status, body } = await echo("framed", text);
        assert.equal(status, 200);
        assert.notEqual(body.length % PART, 0);
        const parts = partsOf(body);
        for (const part of parts) new TextDecoder("utf-8", { fatal: true }).decode(part);
        assert.equal(new Set(parts.map((part) => part.subarray(1, 3).toString())).size, 1, "one tag");
        assert.deepEqual(
          parts.map((part) => part.subarray(3, 6).toString()),
          parts.map((_, index) => `${index.toString(36)}${parts.length.toString(36)}|`),
        );
        assert.equal(join(shuffled(parts)), text);
      });
    }

    test("a part is a chunk on the wire", async () => {
      const { chunks, body } = await echo("framed", "x".repeat(1200));
      assert.equal(chunks.length, 3);
      assert.deepEqual(chunks, partsOf(body));
    });

    test("the tag belongs to the event: the same for its repeat, others for others", async () => {
      const tags = new Set();
      for (let n = 0; n < 5; n++) {
        const event = anEvent({ data: "hello" });
        const [first, repeat] = [
          await client.publishRaw(event, { to: "/hook/framed" }),
          await client.publishRaw(event, { to: "/hook/framed" }),
        ];
        assert.deepEqual(first.body, repeat.body);
        tags.add(first.body.subarray(1, 3).toString());
      }
      assert.ok(tags.size > 1);
    });

    test(`${FRAMED_PARTS_MAX} parts are sent, and what needs one more is not`, async () => {
      const most = FRAMED_PARTS_MAX * (PART - FRAME_HEADER) - 1;
      const { body } = await echo("framed", "x".repeat(most));
      const parts = partsOf(body);
      assert.equal(parts.length, FRAMED_PARTS_MAX);
      assert.equal(join(shuffled(parts)), "x".repeat(most));
      await assertTooLarge("framed", "x".repeat(most + 1));
    });

    test("nothing to say is still 204", async () => {
      assertSilent(await echo("framed", ""));
    });
  });
});

describe("with REPLY_FRAMING=framed", () => {
  let worker, client;
  before(async () => {
    worker = await startWorker({ vars: { REPLY_FRAMING: "framed" } });
    client = clientOf(worker);
  });
  after(() => worker.stop());

  test("replies are framed, but for a source that says plain", async () => {
    await client.define("/v1/sources/echo", { responseTemplate: "{{{PARTICLE_EVENT_VALUE}}}" });
    await client.define("/v1/sources/plain", {
      responseTemplate: "{{{PARTICLE_EVENT_VALUE}}}",
      replyFraming: "plain",
    });
    const text = "0123456789".repeat(100);
    const framed = await client.publishRaw(anEvent({ data: text }), { to: "/hook/echo" });
    assert.equal(join(shuffled(partsOf(framed.body))), text);
    const plain = await client.publishRaw(anEvent({ data: text }), { to: "/hook/plain" });
    assert.equal(plain.body.toString(), text);
  });
});
