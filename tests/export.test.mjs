// A whole log in one answer, as CSV or JSON Lines: all of it, at the pace of its reader, and never a part of it that
// looks like all.

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { request } from "node:http";
import { after, before, describe, test } from "node:test";
import { anEvent, assertProblem, clientOf, nextLink, numbers } from "./support/client.mjs";
import { csvCells } from "./support/csv.mjs";
import { COUNTED, READ, startWorker } from "./support/worker.mjs";

const EVENTS = 5_000;
const BATCH = 500;
/** Far more than sockets and their buffers hold between a Worker and a reader that does not read. */
const LARGE_PAGES = 60;

describe("export", () => {
  let worker, client;
  before(async () => {
    worker = await startWorker({ entry: COUNTED, vars: { MAX_BODY: "1000000", DEVICE_RATE: "0" } });
    client = clientOf(worker);
    for (let n = 0; n < EVENTS; n += BATCH) {
      await client.accepted(
        numbers(n + 1, n + BATCH).map((n) =>
          anEvent({
            coreid: "long",
            event: n % 2 ? "odd" : "even",
            data: n % 3 ? { n, text: 'é, "q"\n' } : -n,
          }),
        ),
      );
    }
    for (let n = 0; n < LARGE_PAGES; n++) {
      const event = () => anEvent({ coreid: "large", data: "x".repeat(270_000) });
      await client.accepted([event(), event(), event()]);
      await client.accepted(event());
    }
  });
  after(() => worker.stop());

  const bearer = { authorization: `Bearer ${READ}` };
  const path = (device, query) => `/v1/devices/${device}/history?${query}`;

  async function exported(device, query, headers) {
    const response = await worker.fetch(path(device, query), { headers: { ...bearer, ...headers } });
    assert.equal(response.status, 200);
    assert.equal(nextLink(response.headers), null, "a whole log has no next page");
    return { type: response.headers.get("content-type"), text: await response.text() };
  }

  const pagesAsked = async () =>
    (await (await worker.fetch("/__counts")).json()).calls["DEVICE.history"] ?? 0;
  const countAnew = () => worker.fetch("/__counts", { method: "DELETE" });

  /** How many pages were asked for, once no more are. */
  async function settled() {
    for (let before = -1, now = 0; ; before = now) {
      await sleep(500);
      now = await pagesAsked();
      if (now === before) return now;
    }
  }

  /** Opens an export whose body is not read until it is asked for. */
  const unread = (target) =>
    new Promise((resolve, reject) => {
      const sent = request(new URL(target, worker.url), { headers: bearer }, (response) =>
        resolve({ response: response.pause(), close: () => sent.destroy() }),
      );
      sent.on("error", reject).end();
    });

  for (const [what, query, headers] of [
    ["by format", "format=ndjson", {}],
    ["by Accept", "", { accept: "application/x-ndjson" }],
  ]) {
    test(`JSON Lines ${what} are the whole log, event for event`, async () => {
      const { type, text } = await exported("long", query, headers);
      assert.match(type, /^application\/x-ndjson/);
      assert.ok(text.endsWith("\n"));
      const events = text
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line));
      assert.deepEqual(events, await client.log("long"));
      assert.equal(events.length, EVENTS);
    });
  }

  test("CSV is the whole log under one head, and no cell is a formula", async () => {
    const { type, text } = await exported("long", "format=csv");
    assert.match(type, /^text\/csv/);
    const [head, ...rows] = csvCells(text);
    const log = await client.log("long");
    const shown = (data) => (typeof data === "number" ? `'${data}` : JSON.stringify(data));
    assert.deepEqual(
      rows.map((row) => [row[head.indexOf("seq")], row[head.indexOf("id")], row[head.indexOf("data")]]),
      log.map(({ seq, id, data }) => [String(seq), id, shown(data)]),
    );
  });

  test("filters, order and a cursor hold for the whole of it", async () => {
    const seqs = async (query) =>
      (await exported("long", `format=ndjson&${query}`)).text
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line).seq);
    const all = numbers(1, EVENTS);
    assert.deepEqual(
      await seqs("event=odd"),
      all.filter((n) => n % 2),
    );
    assert.deepEqual(await seqs("order=desc"), all.toReversed());
    assert.deepEqual(await seqs("after=1234"), all.slice(1234));
  });

  test("a limit asks for a page, and so does JSON", async () => {
    const page = await worker.fetch(path("long", "format=csv&limit=10"), { headers: bearer });
    assert.equal(csvCells(await page.text()).length, 11);
    assert.notEqual(nextLink(page.headers), null);
    const { body } = await client.read("GET", path("long", ""));
    assert.deepEqual([body.events.length, typeof body.next], [100, "string"]);
  });

  test("what cannot be exported is told before anything is sent", async () => {
    assertProblem(await client.read("GET", path("nobody", "format=csv")), 404, { code: "unknown-device" });
    assertProblem(await client.read("GET", path("long", "format=csv&order=up")), 400, { naming: "order" });
  });

  test("a log without events is a head alone, or nothing", async () => {
    assert.equal(csvCells((await exported("long", "format=csv&event=none")).text).length, 1);
    assert.equal((await exported("long", "format=ndjson&event=none")).text, "");
  });

  test("HEAD asks for no page behind the first", async () => {
    await countAnew();
    const answer = await worker.fetch(path("large", "format=csv"), { method: "HEAD", headers: bearer });
    assert.deepEqual([answer.status, await answer.text()], [200, ""]);
    assert.ok((await settled()) <= 2);
  });

  test("a reader that stops reading stops the paging, and one that goes on gets all of it", async () => {
    await countAnew();
    const { response } = await unread(path("large", "format=ndjson"));
    const asked = await settled();
    assert.ok(asked >= 1 && asked < LARGE_PAGES / 2, `${asked} pages were asked for and nobody read them`);
    let bytes = 0;
    let events = 0;
    for await (const part of response) {
      bytes += part.length;
      for (const byte of part) if (byte === 10) events += 1;
    }
    assert.equal(events, LARGE_PAGES * 4);
    assert.ok(bytes > LARGE_PAGES * 4 * 270_000);
    assert.ok((await pagesAsked()) >= LARGE_PAGES);
  });

  test("a reader that goes away ends the paging", async () => {
    await countAnew();
    const { close } = await unread(path("large", "format=ndjson"));
    close();
    assert.ok((await settled()) < LARGE_PAGES / 2);
  });

  test("an export that cannot go on is cut off, not ended", async () => {
    const { response } = await unread(path("large", "format=ndjson"));
    await settled();
    assert.equal((await client.admin("DELETE", "/v1/devices/large")).status, 200);
    const read = async () => {
      for await (const part of response) assert.ok(part.length);
    };
    await assert.rejects(read, { code: "ECONNRESET" });
  });
});
