// Reading back: a device's log in three formats, page by page and filtered; devices, listed and deleted.

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { after, before, describe, test } from "node:test";
import { anEvent, assertProblem, clientOf, nextLink, numbers, until } from "./support/client.mjs";
import { csvCells } from "./support/csv.mjs";
import { READ, startWorker } from "./support/worker.mjs";

const DEFAULT_LIMIT = 100;
const LIMIT_MAX = 1_000;

describe("history", () => {
  let worker, client;
  before(async () => {
    worker = await startWorker();
    client = clientOf(worker);
    await client.accepted(
      numbers(1, 120).map((n) => anEvent({ coreid: "many", event: n % 2 ? "odd" : "even", data: n })),
    );
  });
  after(() => worker.stop());

  const history = (device, query = "") => client.read("GET", `/v1/devices/${device}/history${query}`);
  const seqs = (page) => page.body.events.map(({ seq }) => seq);

  /** A page in another format than JSON: its text, and the path of the next. */
  async function formatted(path, accept) {
    const headers = { authorization: `Bearer ${READ}`, ...(accept && { accept }) };
    const response = await worker.fetch(path, { headers });
    assert.equal(response.status, 200);
    return {
      type: response.headers.get("content-type"),
      text: await response.text(),
      next: nextLink(response.headers),
    };
  }

  test("an event is shown whole", async () => {
    const published_at = "2026-01-31T12:00:00.500Z";
    const before = Date.now();
    await client.accepted({
      ...{ event: "temp", data: { t: 21.5 }, coreid: "whole", event_id: "id-1", published_at },
      ...{ productID: "12", fw_version: "3", userid: "u1", ttl: 60, public: "true" },
    });
    const { received_at, ...shown } = (await history("whole")).body.events[0];
    assert.deepEqual(shown, {
      ...{
        seq: 1,
        id: "id-1",
        event: "temp",
        data: { t: 21.5 },
        coreid: "whole",
        published_at,
        source: "default",
      },
      ...{ product_id: "12", fw_version: "3", userid: "u1", extra: { ttl: 60, public: "true" } },
    });
    assert.ok(Date.parse(received_at) >= before && Date.parse(received_at) <= Date.now());
  });

  test("data is parsed where it is JSON, digits kept, and text where it is not", async () => {
    const data = ["21.50", '{"big":12345678901234567890123,"t": 1.0}', "not json", "{broken", "", "null"];
    await client.accepted(data.map((text) => anEvent({ coreid: "data", data: text })));
    const { text } = await history("data");
    for (const shown of [
      "21.50",
      '{"big":12345678901234567890123,"t": 1.0}',
      '"not json"',
      '"{broken"',
      '""',
      "null",
    ]) {
      assert.ok(text.includes(`"data":${shown},`), `${shown} in ${text}`);
    }
  });

  test(`a page is ascending and has ${DEFAULT_LIMIT} events, if nothing else is asked`, async () => {
    const page = await history("many");
    assert.match(page.headers.get("content-type"), /^application\/json/);
    assert.deepEqual(seqs(page), numbers(1, DEFAULT_LIMIT));
    assert.equal(typeof page.body.next, "string");
  });

  for (const [order, expected] of [
    ["asc", numbers(1, 120)],
    ["desc", numbers(1, 120).reverse()],
  ]) {
    test(`the cursor leads through all pages ${order} without gap or repeat`, async () => {
      const seen = [];
      for (let after = ""; after !== null;) {
        const page = await history("many", `?order=${order}&limit=7${after && `&after=${after}`}`);
        assert.ok(seqs(page).length <= 7);
        seen.push(...seqs(page));
        after = page.body.next;
      }
      assert.deepEqual(seen, expected);
    });
  }

  test("a cursor also leads through what is filtered", async () => {
    const seen = [];
    for (let after = ""; after !== null;) {
      const page = await history("many", `?event=odd&order=desc&limit=9${after && `&after=${after}`}`);
      seen.push(...page.body.events.map(({ data }) => data));
      after = page.body.next;
    }
    assert.deepEqual(
      seen,
      numbers(1, 120)
        .filter((n) => n % 2)
        .reverse(),
    );
  });

  test("a page that ends with the log has no next", async () => {
    for (const query of ["?limit=120", "?limit=1000", "?after=100"]) {
      const page = await history("many", query);
      assert.deepEqual([page.body.next, nextLink(page.headers)], [null, null], query);
    }
  });

  test("an event that comes while pages are read is found behind the cursor", async () => {
    await client.accepted([1, 2].map(() => anEvent({ coreid: "growing" })));
    const { next } = (await history("growing", "?limit=1")).body;
    await client.accepted(anEvent({ coreid: "growing" }));
    assert.deepEqual(seqs(await history("growing", `?after=${next}`)), [2, 3]);
  });

  test("from and to bound the time", async () => {
    const times = [];
    for (let n = 0; n < 3; n++) {
      await client.accepted(anEvent({ coreid: "timed" }));
      await sleep(15);
      times.push(new Date().toISOString());
      await sleep(15);
    }
    assert.deepEqual(seqs(await history("timed", `?from=${times[0]}`)), [2, 3]);
    assert.deepEqual(seqs(await history("timed", `?to=${times[1]}`)), [1, 2]);
    assert.deepEqual(seqs(await history("timed", `?from=${times[0]}&to=${times[1]}`)), [2]);
    assert.deepEqual(seqs(await history("timed", `?from=${times[2]}`)), []);
  });

  test("event picks by name", async () => {
    await client.accepted(["temp", "humidity", "temp"].map((event) => anEvent({ coreid: "named", event })));
    assert.deepEqual(seqs(await history("named", "?event=temp")), [1, 3]);
    assert.deepEqual(seqs(await history("named", "?event=pressure")), []);
  });

  for (const [what, path, accept] of [
    ["by format", "/v1/devices/many/history?format=ndjson&limit=50", undefined],
    ["by Accept", "/v1/devices/many/history?limit=50", "application/x-ndjson"],
  ]) {
    test(`JSON Lines ${what} have one event a line, and the next page in Link`, async () => {
      const seen = [];
      for (let next = path; next;) {
        const page = await formatted(next, accept);
        assert.match(page.type, /^application\/x-ndjson/);
        assert.ok(page.text.endsWith("\n"));
        seen.push(
          ...page.text
            .trimEnd()
            .split("\n")
            .map((line) => JSON.parse(line)),
        );
        next = page.next;
      }
      assert.deepEqual(
        seen.map(({ seq }) => seq),
        numbers(1, 120),
      );
      assert.deepEqual(seen[0], (await history("many", "?limit=1")).body.events[0]);
    });
  }

  for (const [what, path, accept] of [
    ["by format", "/v1/devices/many/history?format=csv&limit=50", undefined],
    ["by Accept", "/v1/devices/many/history?limit=50", "text/csv"],
  ]) {
    test(`CSV ${what} has a head and one event a row, and the next page in Link`, async () => {
      const seen = [];
      for (let next = path; next;) {
        const page = await formatted(next, accept);
        assert.match(page.type, /^text\/csv/);
        const [head, ...rows] = csvCells(page.text);
        for (const name of [
          "seq",
          "id",
          "event",
          "data",
          "coreid",
          "published_at",
          "received_at",
          "source",
        ]) {
          assert.ok(head.includes(name), name);
        }
        for (const row of rows) assert.equal(row.length, head.length);
        seen.push(...rows.map((row) => Number(row[head.indexOf("seq")])));
        next = page.next;
      }
      assert.deepEqual(seen, numbers(1, 120));
    });
  }

  test("a CSV cell may hold commas, quotes and lines", async () => {
    const data = 'a "b", c\nand\r\nd';
    await client.accepted(anEvent({ coreid: "quoted", data }));
    const [head, row] = csvCells((await formatted("/v1/devices/quoted/history?format=csv")).text);
    assert.equal(row[head.indexOf("data")], data);
  });

  for (const start of ["=", "+", "-", "@"]) {
    test(`a CSV cell that starts with ${start} is no formula any more`, async () => {
      const formula = `${start}HYPERLINK("http://x")`;
      const coreid = `formula-${start.charCodeAt(0)}`;
      await client.accepted(anEvent({ coreid, event: formula, data: formula, event_id: formula }));
      const [head, row] = csvCells((await formatted(`/v1/devices/${coreid}/history?format=csv`)).text);
      for (const name of ["id", "event", "data"]) {
        const cell = row[head.indexOf(name)];
        assert.ok(!cell.startsWith(start) && cell.endsWith(formula), `${name}: ${cell}`);
      }
    });
  }

  test("Link keeps the filters of its page", async () => {
    const seen = [];
    for (let path = "/v1/devices/many/history?event=even&limit=25&order=desc"; path;) {
      const page = await client.read("GET", path);
      seen.push(...page.body.events.map(({ data }) => data));
      assert.equal(nextLink(page.headers) === null, page.body.next === null);
      path = nextLink(page.headers);
    }
    assert.deepEqual(
      seen,
      numbers(1, 120)
        .filter((n) => n % 2 === 0)
        .reverse(),
    );
  });

  for (const [name, value] of [
    ["limit", "0"],
    ["limit", "-1"],
    ["limit", "ten"],
    ["limit", String(LIMIT_MAX + 1)],
    ["order", "up"],
    ["from", "yesterday"],
    ["to", "2026-13-01T00:00:00Z"],
    ["after", "behind"],
    ["format", "xml"],
  ]) {
    test(`${name}=${value} is refused by name`, async () => {
      assertProblem(await history("many", `?${name}=${value}`), 400, { naming: name });
    });
  }

  test("an unknown device is 404, and asking creates nothing", async () => {
    for (let times = 0; times < 2; times++) {
      for (const path of ["", "/history", "/history?format=csv"]) {
        assertProblem(await client.read("GET", `/v1/devices/nobody${path}`), 404, { code: "unknown-device" });
      }
    }
    assertProblem(await client.admin("DELETE", "/v1/devices/nobody"), 404, { code: "unknown-device" });
    assert.ok(!(await client.devices()).includes("nobody"));
  });

  test("an id that no device can have is unknown too", async () => {
    for (const id of ["a%20b", "x".repeat(65), "%2E%2E%2Fetc", "source:"]) {
      assertProblem(await client.read("GET", `/v1/devices/${id}/history`), 404, { code: "unknown-device" });
    }
  });

  test("reading needs a token of the read scope", async () => {
    for (const path of ["/v1/devices", "/v1/devices/many", "/v1/devices/many/history"]) {
      assert.equal(await client.stranger("GET", path), 401);
      assert.equal((await client.read("GET", path)).status, 200);
      assert.equal((await client.admin("GET", path)).status, 200);
    }
  });
});

describe("devices", () => {
  let worker, client;
  before(async () => {
    worker = await startWorker();
    client = clientOf(worker);
  });
  after(() => worker.stop());

  const listed = (id) =>
    until(async () => (await client.devices()).includes(id), { what: `${id} in the list` });

  test("a device shows what it last said", async () => {
    await client.accepted(anEvent({ coreid: "shown", productID: "12", fw_version: "3", data: 1 }));
    await client.accepted(anEvent({ coreid: "shown", data: 2 }));
    const { status, body } = await client.read("GET", "/v1/devices/shown");
    assert.deepEqual([status, body.id, body.product_id, body.online], [200, "shown", "12", true]);
    assert.deepEqual([body.last_event.seq, body.last_event.data], [2, 2]);
    assert.equal(body.last_heard, body.last_event.received_at);
  });

  test("every device that was heard is in the list once", async () => {
    const ids = numbers(1, 7).map((n) => `listed-${n}`);
    for (const id of [...ids, ...ids]) await client.accepted(anEvent({ coreid: id }));
    for (const id of ids) await listed(id);
    const all = (await client.read("GET", "/v1/devices")).body;
    assert.ok(Array.isArray(all), "a bare array, as on Particle");
    assert.deepEqual(
      all.map(({ id }) => id).filter((id) => ids.includes(id)),
      ids,
    );
  });

  test("Link leads through the pages of the list", async () => {
    const all = await client.devices();
    assert.ok(all.length > 4);
    const seen = [];
    for (let path = "/v1/devices?limit=2"; path;) {
      const page = await client.read("GET", path);
      assert.ok(page.body.length <= 2);
      seen.push(...page.body.map(({ id }) => id));
      path = nextLink(page.headers);
    }
    assert.deepEqual(seen, all);
  });

  test("a deleted device is gone, and begins anew with its next event", async () => {
    for (let n = 0; n < 3; n++) await client.accepted(anEvent({ coreid: "deleted" }));
    await listed("deleted");
    assertProblem(await client.read("DELETE", "/v1/devices/deleted"), 403);
    assert.equal((await client.admin("DELETE", "/v1/devices/deleted")).status, 200);
    for (const path of ["", "/history"]) {
      assertProblem(await client.read("GET", `/v1/devices/deleted${path}`), 404, { code: "unknown-device" });
    }
    assert.ok(!(await client.devices()).includes("deleted"));
    assertProblem(await client.admin("DELETE", "/v1/devices/deleted"), 404, { code: "unknown-device" });

    await client.accepted(anEvent({ coreid: "deleted", data: "anew" }));
    assert.deepEqual(
      (await client.log("deleted")).map(({ seq, data }) => [seq, data]),
      [[1, "anew"]],
    );
    await listed("deleted");
  });

  test("a device deleted right after its first event stays deleted", async () => {
    for (const n of numbers(1, 10)) {
      await client.accepted(anEvent({ coreid: `hasty-${n}` }));
      assert.equal((await client.admin("DELETE", `/v1/devices/hasty-${n}`)).status, 200);
    }
    await sleep(300);
    assert.deepEqual(
      (await client.devices()).filter((id) => id.startsWith("hasty")),
      [],
    );
  });

  test("another device is untouched by the deletion", async () => {
    assert.equal((await client.log("shown")).length, 2);
  });

  test("a deletion outlasts a restart", async () => {
    await client.accepted(anEvent({ coreid: "wiped" }));
    await client.admin("DELETE", "/v1/devices/wiped");
    await worker.restart();
    assertProblem(await client.read("GET", "/v1/devices/wiped"), 404, { code: "unknown-device" });
    await client.accepted(anEvent({ coreid: "wiped" }));
    assert.equal((await client.newest("wiped")).seq, 1);
  });
});
