// Particle's own clients hear events: getEventStream of particle-api-js, and the Particle CLI's `subscribe`.

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { after, before, describe, test } from "node:test";
import { anEvent, clientOf, until } from "./support/client.mjs";
import { particleApi, particleCli } from "./support/particle-clients.mjs";
import { ADMIN, READ, startWorker } from "./support/worker.mjs";

const DEVICE = "0123456789abcdef01234567";
const OTHER = "76543210fedcba9876543210";
const PRODUCT = "12345";
/** The client tries again 2 s after a stream has ended. */
const RECONNECTED = { within: 30_000, what: "the stream after a restart" };
/** The client gives a stream up after 13 to 15 s without a byte. */
const SILENCE_MS = 16_000;

let worker, client;
before(async () => {
  worker = await startWorker();
  client = clientOf(worker);
});
after(() => worker.stop());

const publish = (fields) => client.accepted(anEvent({ coreid: DEVICE, ...fields }));

describe("getEventStream", () => {
  let api;
  const open = [];
  before(() => (api = particleApi(worker.url, READ)));
  after(() => open.forEach((stream) => stream.abort()));

  /** A stream that is open, and what it has heard. */
  async function listen(options) {
    const stream = await api.getEventStream(options);
    open.push(stream);
    const heard = [];
    stream.on("event", (event) => heard.push(event));
    const data = () => heard.map((event) => event.data);
    return {
      stream,
      heard,
      data,
      hears: (count) => until(() => heard.length >= count, { what: "an event" }),
    };
  }

  test("hears an event in the shape of Particle's own", async () => {
    const { heard, hears } = await listen({ deviceId: "mine" });
    const published_at = "2026-01-31T12:00:00.500Z";
    await publish({ event: "shape", data: "21.50", published_at });
    await hears(1);
    const [{ name, data, coreid, published_at: at, ttl }] = heard;
    assert.deepEqual([name, data, coreid, at, Number(ttl)], ["shape", "21.50", DEVICE, published_at, 60]);
  });

  test("hears data as text, whatever it is", async () => {
    const { data, hears } = await listen({ deviceId: "mine", name: "text" });
    const sent = ['{"t": 1.50}', "", "two\nlines", "🌡 21 °C", 'not "json"', "data:image/png;base64,iVBORw0="];
    for (const text of sent) await publish({ event: "text", data: text });
    await hears(sent.length);
    assert.deepEqual(data(), sent);
  });

  test("hears every event of a burst, in order", async () => {
    const { data, hears } = await listen({ deviceId: DEVICE, name: "burst" });
    const sent = Array.from({ length: 200 }, (_, n) => String(n));
    await client.accepted(sent.map((text) => anEvent({ coreid: DEVICE, event: "burst", data: text })));
    await hears(sent.length);
    assert.deepEqual(data(), sent);
  });

  for (const [what, options, expected] of [
    ["of all devices", {}, ["a", "b", "c"]],
    ["of my devices", { deviceId: "mine" }, ["a", "b", "c"]],
    ["of one device", { deviceId: DEVICE }, ["a", "c"]],
    ["of a product", { product: PRODUCT }, ["b", "c"]],
    ["of a product's device", { product: PRODUCT, deviceId: DEVICE }, ["c"]],
  ]) {
    test(`hears the events ${what}`, async () => {
      const name = `picked/${what}`;
      const { data } = await listen({ ...options, name });
      const last = await listen({ name });
      await publish({ event: name, data: "a" });
      await publish({ event: name, data: "b", coreid: OTHER, product_id: PRODUCT });
      await publish({ event: name, data: "c", product_id: PRODUCT });
      await last.hears(3);
      await until(() => data().length >= expected.length, { what: "the events" });
      assert.deepEqual(data().toSorted(), expected);
    });
  }

  for (const name of ["a/b", "a b", "a?b#c", "50%", "ä+ö", "🌡"]) {
    test(`hears what begins with ${name}`, async () => {
      const { heard, hears } = await listen({ name: `${name}/x` });
      for (const event of [`${name}/y`, `${name}/xy`]) await publish({ event });
      await hears(1);
      assert.deepEqual(
        heard.map((event) => event.name),
        [`${name}/xy`],
      );
    });
  }

  test("hears what publishEvent published", async () => {
    const { heard, hears } = await listen({ deviceId: "mine", name: "published" });
    await api.publishEvent({ name: "published", data: "hello", auth: ADMIN });
    await hears(1);
    assert.deepEqual([heard[0].data, heard[0].coreid], ["hello", "api"]);
  });

  test("is told why it may not", async () => {
    await assert.rejects(api.getEventStream({ deviceId: "mine", auth: "wrong" }), (reason) => {
      assert.deepEqual([reason.statusCode, reason.body.error], [401, "bad-token"]);
      assert.ok(reason.errorDescription.endsWith(reason.body.error_description), reason.errorDescription);
      return true;
    });
  });

  test("stays open through sixteen seconds of silence", async () => {
    const { stream, data, hears } = await listen({ name: "silence" });
    const broken = [];
    for (const sign of ["disconnect", "reconnect", "reconnect-success", "reconnect-error", "end"])
      stream.on(sign, () => broken.push(sign));
    await sleep(SILENCE_MS);
    assert.deepEqual(broken, []);
    await publish({ event: "silence", data: "broken" });
    await hears(1);
    assert.deepEqual([data(), broken], [["broken"], []]);
  });

  test("goes on by itself after the endpoint was restarted", async () => {
    const { stream, heard } = await listen({ name: "restarted" });
    let back = false;
    stream.on("reconnect-success", () => (back = true));
    await worker.restart();
    await until(() => back, RECONNECTED);
    await publish({ event: "restarted", data: "after" });
    await until(() => heard.some(({ data }) => data === "after"), { what: "an event after the restart" });
  });
});

describe("particle subscribe", () => {
  let cli;
  before(() => (cli = particleCli(worker.url, READ)));

  /** Publishes one event after the other until the command has heard enough and ended. */
  async function heardBy(command, fields) {
    let result;
    command.ended.then((ended) => (result = ended));
    for (let n = 0; !result && n < 200; n++) {
      await publish({ ...fields, data: `n${n}` });
      await sleep(100);
    }
    if (!result) command.stop();
    const { code, output } = await command.ended;
    assert.equal(code, 0, output);
    const lines = output.split("\n").filter((line) => line.startsWith("{"));
    return { output, events: lines.map((line) => JSON.parse(line)) };
  }

  test("prints events, and ends after as many as it was told", async () => {
    const { output, events } = await heardBy(cli("subscribe", "cli/", "--max", "2"), { event: "cli/temp" });
    assert.match(output, /2 event\(s\) received/);
    assert.deepEqual(
      events.map(({ name, coreid }) => [name, coreid]),
      Array(2).fill(["cli/temp", DEVICE]),
    );
    const [first, second] = events.map(({ data }) => Number(data.slice(1)));
    assert.equal(second, first + 1, "none is lost between two");
  });

  test("hears one device", async () => {
    const { events } = await heardBy(cli("subscribe", "--device", OTHER, "--max", "1"), { coreid: OTHER });
    assert.equal(events[0].coreid, OTHER);
  });

  test("hears a product", async () => {
    const product = { event: "cli/product", product_id: PRODUCT };
    const { events } = await heardBy(cli("subscribe", "cli", "--product", PRODUCT, "--max", "1"), product);
    assert.equal(events[0].name, "cli/product");
  });

  test("tells what is wrong", async () => {
    const { code, output } = await particleCli(worker.url, "wrong")("subscribe", "temp").ended;
    assert.notEqual(code, 0);
    assert.match(output, /Error fetching event stream: .*the token that was sent opens nothing here/);
  });
});
