// What is sent to break a parser: deep, huge, half a character, nothing at all. It is taken or refused with a code that
// does not change, the next request is answered, and the isolate is the one it was.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { anEvent, assertProblem, clientOf } from "./support/client.mjs";
import { ADMIN, TOKEN, startWorker } from "./support/worker.mjs";

const LEVELS = 100_000;
const deep = (open, close, inside = "", levels = LEVELS) =>
  open.repeat(levels) + inside + close.repeat(levels);
const DEEP_ARRAY = deep("[", "]");
/** As many as fit into one event. */
const DEEP_OBJECT = deep('{"":', "}", "1", 49_000);
const MANY = 10_000;
const many = (make, between = ",", count = MANY) =>
  Array.from({ length: count }, (_, n) => make(n)).join(between);
const MANY_KEYS = `{${many((n) => `"k${n}":${n}`)}}`;
const DIGITS = "7".repeat(MANY);
const HALF = '"\\ud800"';
const NUL = '"a\\u0000b"';
const FORM = { "content-type": "application/x-www-form-urlencoded" };

describe("hostile input", () => {
  let worker, client;
  before(async () => {
    worker = await startWorker({ vars: { MAX_BODY: "2000000", DEDUP_KV: "off" } });
    client = clientOf(worker);
  });
  after(() => worker.stop());
  afterEach(async () => {
    await client.accepted(anEvent({ coreid: "next" }));
    const broken = /panic|unreachable|RuntimeError|RangeError|out of memory|stack/i;
    assert.deepEqual(
      worker.logs.filter((line) => broken.test(line)),
      [],
    );
  });

  let devices = 0;
  const newDevice = () => `hostile-${(devices += 1)}`;

  async function send(method, path, body, headers = {}) {
    const response = await worker.fetch(path, {
      method,
      body,
      headers: {
        authorization: `Bearer ${path.startsWith("/hook") ? TOKEN : ADMIN}`,
        "content-type": "application/json",
        ...headers,
      },
    });
    const text = await response.text();
    const isJson = (response.headers.get("content-type") ?? "").includes("json");
    return { status: response.status, headers: response.headers, text, body: isJson && JSON.parse(text) };
  }

  /** An event as text, since its data can be what JSON.stringify does not write. */
  const event = (coreid, data, more = "") => `{"event":"t","coreid":"${coreid}","data":${data}${more}}`;

  describe("an event", () => {
    const same = (sent) => (shown) => assert.deepEqual(shown, sent);
    for (const [what, data, holds] of [
      ["100,000 arrays deep", DEEP_ARRAY, same(DEEP_ARRAY)],
      ["49,000 objects deep", DEEP_OBJECT, same(DEEP_OBJECT)],
      ["that is a number of 10,000 digits", DIGITS, same(Infinity)],
      ["that is 1e400", "1e400", same(Infinity)],
      ["with 10,000 keys", MANY_KEYS, (shown) => assert.equal(Object.keys(shown).length, MANY)],
      ["with NUL in it", NUL, same("a\0b")],
      ["with half a character in it", `{"a":${HALF}}`, same({ a: "\ud800" })],
    ]) {
      test(`with data ${what} is kept as it came, and its log is read in each form`, async () => {
        const coreid = newDevice();
        const answer = await send("POST", "/hook", event(coreid, data));
        assert.equal(answer.status, 204, answer.text);
        holds((await client.newest(coreid)).data);
        for (const path of ["history?format=csv", "history?format=ndjson", "series?field=a.0.b"]) {
          const read = await client.read("GET", `/v1/devices/${coreid}/${path}`);
          assert.equal(read.status, 200, `${path}: ${read.text.slice(0, 500)}`);
        }
      });
    }

    for (const [what, body, code, headers] of [
      ["100,000 arrays deep, and no event", DEEP_ARRAY, "batch-refused"],
      ["that never closes", "[".repeat(LEVELS), "bad-json"],
      ["with data that is half a character", event("d", HALF), "bad-field"],
      ["with a name that is half a character", `{"event":${HALF}}`, "bad-field"],
      ["with a field named half a character", `{"event":"t",${HALF}:1}`, "bad-json"],
      ["with NUL in its name", `{"event":${NUL}}`, "bad-field"],
      ["with NUL in its device", `{"event":"t","coreid":${NUL}}`, "bad-field"],
      ["with NUL in its id", `{"event":"t","event_id":${NUL}}`, "bad-field"],
      ["with a device of 10,000 digits", `{"event":"t","coreid":${DIGITS}}`, "bad-field"],
      ["named by an array 100,000 deep", `{"event":${DEEP_ARRAY}}`, "bad-field"],
      ["of 10,000 fields", `{"event":"t",${MANY_KEYS.slice(1)}`, "bad-json"],
      ["of 10,000 form fields", `event=t&${many((n) => `k${n}=1`, "&")}`, "bad-body", FORM],
      ["with NUL in a form's name", "event=a%00b", "bad-field", FORM],
      ["of NUL alone", "\0".repeat(MANY), "bad-json"],
    ]) {
      test(`${what} is refused`, async () => {
        assertProblem(await send("POST", "/hook", body, headers), 400, { code });
      });
    }

    for (const [what, more, shown] of [
      ["100,000 deep", `"x":${DEEP_ARRAY}`, { x: DEEP_ARRAY }],
      ["with NUL", `"x\\u0000":${NUL}`, { "x\0": "a\0b" }],
      ["that is half a character", `"x":${HALF}`, { x: "\ud800" }],
    ]) {
      test(`with another field ${what} is kept with it`, async () => {
        const coreid = newDevice();
        const answer = await send("POST", "/hook", event(coreid, "1", `,${more}`));
        assert.equal(answer.status, 204, answer.text);
        assert.deepEqual((await client.newest(coreid)).extra, shown);
      });
    }

    test("whose time is a number of 10,000 digits, and version an array, is kept without them", async () => {
      const coreid = newDevice();
      const more = `,"published_at":${DIGITS},"fw_version":[[1]]`;
      assert.equal((await send("POST", "/hook", event(coreid, "1", more))).status, 204);
      assert.ok(!("fw_version" in (await client.newest(coreid))));
    });

    test("beside a query of 2,500 fields is refused", async () => {
      const answer = await send("POST", `/hook?${many((n) => `k${n}`, "&", 2_500)}`, '{"event":"t"}');
      assertProblem(answer, 400, { code: "bad-body" });
    });

    test("beside a header of 16 KB is taken, and beside 200 headers", async () => {
      const coreid = newDevice();
      const large = { "x-large": "x".repeat(16_000), "x-particle-product-id": "x".repeat(8_000) };
      assert.equal((await send("POST", "/hook", event(coreid, "1"), large)).status, 204);
      const hundreds = Object.fromEntries(Array.from({ length: 200 }, (_, n) => [`x-${n}`, "y".repeat(50)]));
      assert.equal((await send("POST", "/hook", event(coreid, "2"), hundreds)).status, 204);
    });

    test("beside a token, a signature or a hop count of 16 KB is refused", async () => {
      for (const [headers, code] of [
        [{ authorization: `Bearer ${"x".repeat(16_000)}` }, "bad-token"],
        [{ authorization: `Basic ${btoa(`x:${"A".repeat(12_000)}`)}` }, "bad-token"],
        [{ authorization: "", "x-hub-signature-256": "0".repeat(16_000) }, "bad-signature"],
        [
          {
            authorization: "",
            "webhook-id": "x".repeat(5_000),
            "webhook-timestamp": DIGITS.slice(0, 5_000),
            "webhook-signature": "v1,AAAA ".repeat(1_000),
          },
          "bad-signature",
        ],
      ]) {
        assertProblem(await send("POST", "/hook", event("d", "1"), headers), 401, { code });
      }
      const hops = await send("POST", "/hook", event("d", "1"), { "fieldhook-hop": DIGITS });
      assertProblem(hops, 508, { code: "hop-limit" });
    });
  });

  describe("a batch", () => {
    test("refuses only the items that cannot be read", async () => {
      const good = () => event(newDevice(), "1");
      const items = [good(), DEEP_ARRAY, event("d", DEEP_ARRAY), event("d", HALF), DIGITS, good()];
      const { status, body } = await send("POST", "/hook", `[${items.join(",")}]`);
      assert.equal(status, 200);
      const refused = [
        { index: 1, code: "bad-json", field: null },
        { index: 3, code: "bad-field", field: "data" },
        { index: 4, code: "bad-json", field: null },
      ];
      assert.deepEqual(body, { accepted: 3, duplicates: 0, refused });
    });

    test("of 10,000 items, or of 100,000 empty ones, is refused", async () => {
      const tooMany = { code: "batch-too-large" };
      const lines = { "content-type": "application/x-ndjson" };
      assertProblem(await send("POST", "/hook", `[${many(() => "{}")}]`), 413, tooMany);
      assertProblem(await send("POST", "/hook", "{}\n".repeat(LEVELS), lines), 413, tooMany);
      assertProblem(await send("POST", "/hook", "\n".repeat(LEVELS), lines), 400, { code: "empty-batch" });
    });
  });

  describe("a twin", () => {
    for (const [what, body, status, code] of [
      ["100,000 objects deep", deep('{"a":', "}", "1"), 400, "twin-too-deep"],
      ["with an array 100,000 deep", `{"a":${DEEP_ARRAY}}`, 400, "twin-too-deep"],
      ["that never closes", '{"a":'.repeat(LEVELS), 400, "bad-json"],
      ["of 10,000 keys", MANY_KEYS, 413, "twin-too-large"],
      ["with a number of 10,000 digits", `{"a":${DIGITS}}`, 413, "twin-too-large"],
      ["with half a character", `{"a":${HALF}}`, 400, "bad-json"],
      ["with a key of half a character", `{${HALF}:1}`, 400, "bad-json"],
    ]) {
      test(`${what} is refused`, async () => {
        for (const method of ["PATCH", "PUT"])
          assertProblem(await send(method, `/v1/devices/${newDevice()}/twin`, body), status, { code });
      });
    }

    test("keeps 1e400 and NUL as they are, and tells them to the device", async () => {
      const coreid = newDevice();
      const written = await send(
        "PATCH",
        `/v1/devices/${coreid}/twin`,
        `{"n":1e400,"s":${NUL},"k\\u0000":1}`,
      );
      assert.equal(written.status, 200, written.text);
      const { text } = await send("POST", "/hook", event(coreid, "1"));
      assert.equal(text, '{"v":1,"d":{"k\\u0000":1,"n":1e400,"s":"a\\u0000b"}}');
    });

    for (const [what, data] of [
      ["100,000 objects deep", deep('{"":', "}", "1", 49_000)],
      ["with an array 100,000 deep", `{"a":${DEEP_ARRAY}}`],
      ["of 10,000 keys", MANY_KEYS],
      ["of a number of 10,000 digits", `{"a":${DIGITS}}`],
      ["with half a character", `{"a":${HALF}}`],
      ["with versions and commands that are none", `{"_v":${DIGITS},"_ack":${DEEP_ARRAY}}`],
    ]) {
      test(`takes in a report ${what} as far as it can`, async () => {
        const coreid = newDevice();
        await send("PATCH", `/v1/devices/${coreid}/twin`, '{"wanted":1}');
        const report = `{"event":"fieldhook/report","coreid":"${coreid}","data":${data}}`;
        const answer = await send("POST", "/hook", report);
        assert.equal(answer.status, 200, answer.text);
        const { body } = await send("GET", `/v1/devices/${coreid}/twin`);
        assert.ok(JSON.stringify(body.reported).length <= 16_384);
        assert.deepEqual(body.delta, { wanted: 1 });
      });
    }
  });

  describe("a command", () => {
    for (const [what, args, status, code] of [
      ["100,000 deep", DEEP_ARRAY, 400, "bad-field"],
      ["of half a character", HALF, 400, "bad-field"],
      ["of 10,000 keys", MANY_KEYS, 413, "command-too-large"],
    ]) {
      test(`with arguments ${what} is refused`, async () => {
        const body = `{"name":"do","args":${args}}`;
        const answer = await send("POST", `/v1/devices/${newDevice()}/commands`, body);
        assertProblem(answer, status, { code });
      });
    }
  });

  describe("a definition", () => {
    const TEMPLATES = [
      ["PUT", "/v1/sources/hostile", (value) => `{"responseTemplate":${value}}`],
      ["PUT", "/v1/transforms/hostile", (value) => `{"event":"t","json":${value}}`],
      ["POST", "/v1/integrations", (value) => `{"event":"t","url":"https://x.dev/","json":${value}}`],
      ["POST", "/v1/integrations", (value) => `{"event":"t","url":"https://x.dev/","query":{"a":${value}}}`],
      ["POST", "/v1/integrations", (value) => `{"event":"t","url":${value}}`],
    ];
    const ANY = [
      ["PUT", "/v1/sources/hostile", (value) => `{"responseTemplate":"","other":${value}}`],
      ["PUT", "/v1/transforms/hostile", (value) => `{"event":"t","json":"","other":${value}}`],
      ["POST", "/v1/integrations", (value) => `{"event":"t","url":"https://x.dev/","other":${value}}`],
      [
        "POST",
        "/v1/subscriptions",
        (value) => `{"event":"t","target_url":"https://x.dev/","other":${value}}`,
      ],
    ];
    for (const [what, value, places = TEMPLATES] of [
      ["100,000 arrays deep", DEEP_ARRAY, [...TEMPLATES, ...ANY]],
      ["100,000 objects deep", deep('{"a":', "}", "1"), [...TEMPLATES, ...ANY]],
      ["that never closes", "[".repeat(LEVELS), [...TEMPLATES, ...ANY]],
      ["with half a character", HALF],
      ["9,000 sections deep", JSON.stringify(deep("{{#a}}", "", "", 9_000))],
      ["with a name of 10,000 parts", JSON.stringify(`{{${"a.".repeat(MANY)}}}`)],
    ]) {
      test(`${what} is refused`, async () => {
        for (const [method, path, definition] of places) {
          const answer = await send(method, path, definition(value));
          assertProblem(answer, answer.status === 413 ? 413 : 400);
          const codes = ["bad-definition", "bad-template", "bad-json", "bad-url", "body-too-large"];
          assert.ok(codes.includes(answer.body.code), `${definition("…")} ${answer.text.slice(0, 500)}`);
        }
      });
    }
  });

  describe("a template", () => {
    const LIST = `[${many(() => 1, ",", 30_000)}]`;
    /** What is not bounded takes a minute, and more where the machine is busy. */
    const timeout = 30_000;
    for (const [what, template, data] of [
      ["sections nested over a long list", "{{#a}}{{#a}}{{#a}}x{{/a}}{{/a}}{{/a}}", `{"a":${LIST}}`],
      ["silent sections over a long list", "{{#a}}{{#a}}{{/a}}{{/a}}", `{"a":${LIST}}`],
      [
        "a section that asks a long number",
        "{{#a}}{{#n}}{{/n}}{{/a}}",
        `{"a":${LIST},"n":${"7".repeat(200_000)}}`,
      ],
      ["a list shown often", "{{{a}}}".repeat(5_000), `{"a":${LIST}}`],
      ["an index past all numbers", `{{a.${DIGITS.slice(0, 200)}}}`, `{"a":${LIST}}`],
      ["a name of many parts", `{{${"a.".repeat(120)}a}}`, deep('{"a":', "}", "1", 30)],
      ["deep data", "{{#a}}{{{.}}}{{/a}}", `{"a":${DEEP_ARRAY}}`],
      ["1e400 and NUL", "{{{n}}}{{{s}}}", `{"n":1e400,"s":${NUL}}`],
      ["half a character", "{{{s}}}", `{"s":${HALF}}`],
    ]) {
      test(`with ${what} loses no event`, { timeout }, async () => {
        for (const responseTemplate of [template, { x: template }]) {
          await client.define("/v1/sources/hostile", { responseTemplate });
          const coreid = newDevice();
          const answer = await send("POST", "/hook/hostile", event(coreid, data));
          assert.ok([200, 204].includes(answer.status), answer.text);
          assert.ok(answer.text.length < 1_000, `${answer.text.length} characters`);
          assert.equal((await client.log(coreid)).length, 1);
        }
      });
    }
  });

  test("all that was kept and all that was refused is read again, by any parser of JSON", async () => {
    for (const [path, list] of [
      ["/v1/events?order=desc", "events"],
      ["/v1/quarantine?x=1", "quarantine"],
    ]) {
      let count = 0;
      for (let next = ""; next !== null;) {
        const page = await send(
          "GET",
          `${path}&limit=50${next && `&after=${encodeURIComponent(next)}`}`,
          undefined,
          {
            accept: "application/json",
          },
        );
        assert.equal(page.status, 200, page.text.slice(0, 500));
        count += page.body[list].length;
        next = page.body.next;
      }
      assert.ok(count > 10, `${count} in ${path}`);
    }
  });

  test("what was refused for its depth is refused again when it is replayed", async () => {
    const { body } = await send("GET", "/v1/quarantine?limit=1");
    const [{ id }] = body.quarantine;
    for (const replacement of [DEEP_ARRAY, `{"event":${DEEP_ARRAY}}`]) {
      const answer = await send("POST", `/v1/quarantine/${id}/replay`, replacement);
      assertProblem(answer, answer.status);
      assert.ok([400, 413, 422].includes(answer.status), answer.text.slice(0, 500));
    }
  });
});
