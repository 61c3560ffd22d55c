// How often a device and a credential may come, and what who comes more often is told.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { anEvent, assertProblem, clientOf, numbers, until } from "./support/client.mjs";
import { PARTICLE_AGENT, newDevice, standardHeaders } from "./support/send.mjs";
import { ADMIN, COUNTED, READ, TOKEN, startWorker } from "./support/worker.mjs";

/** So slow that no test lasts long enough for one more. */
const NEVER = "0.001";
const BURST = 5;

/** An answer as `assertProblem` reads it. */
async function read(response) {
  const text = await response.text();
  const type = response.headers.get("content-type") ?? "";
  return {
    status: response.status,
    headers: response.headers,
    text,
    body: type.includes("json") && JSON.parse(text),
  };
}

function assertLimited(answer) {
  assertProblem(answer, 429, { code: "rate-limited" });
  assert.match(answer.headers.get("retry-after"), /^[1-9][0-9]*$/);
}

describe("a device over its rate", () => {
  let worker, client;
  before(async () => {
    const vars = { DEVICE_RATE: NEVER, DEVICE_BURST: String(BURST) };
    worker = await startWorker({ entry: COUNTED, vars });
    client = clientOf(worker);
  });
  after(() => worker.stop());

  const calls = async () => (await (await worker.fetch("/__counts")).json()).calls;
  const publish = async (event, options) => read(await client.publish(event, options));

  /** A device that has used up what it may send, and what it sent. */
  async function overRate() {
    const coreid = newDevice();
    const sent = numbers(1, BURST).map(() => anEvent({ coreid }));
    for (const event of sent) await client.accepted(event);
    return { coreid, sent };
  }

  test("is told 429 and when to come again; its log has nothing of it, and other devices go on", async () => {
    const { coreid } = await overRate();
    assertLimited(await publish(anEvent({ coreid })));
    assert.equal((await client.log(coreid)).length, BURST);
    await client.accepted(anEvent({ coreid: newDevice() }));
  });

  test("costs no object call while it waits", async () => {
    const { coreid } = await overRate();
    assertLimited(await publish(anEvent({ coreid })));
    await worker.fetch("/__counts", { method: "DELETE" });
    const answers = await Promise.all(numbers(1, 100).map(() => publish(anEvent({ coreid }))));
    answers.forEach(assertLimited);
    assert.equal((await calls())["DEVICE.accept"], undefined);
    await client.accepted(anEvent({ coreid: newDevice() }));
    assert.equal((await calls())["DEVICE.accept"], 1);
  });

  test("hears of what it sent before, as ever", async () => {
    const { sent } = await overRate();
    for (const event of sent) {
      // KV is filled behind the answer.
      await until(async () => (await client.publish(event)).headers.get("fieldhook-duplicate") === "true");
    }
  });

  test("may send a batch that is larger than its burst, and pays for it afterwards", async () => {
    const coreid = newDevice();
    await client.accepted(numbers(1, 500).map(() => anEvent({ coreid })));
    assertLimited(await publish(anEvent({ coreid })));
    assert.equal((await client.log(coreid)).length, 500);
  });

  test("takes no other device's events in a batch with it", async () => {
    const { coreid, sent } = await overRate();
    const other = newDevice();
    const batch = [anEvent({ coreid }), anEvent({ coreid: other }), {}, sent[0], anEvent({ coreid })];
    const answer = await publish(batch);
    assert.equal(answer.status, 200);
    const { accepted, duplicates, refused } = answer.body;
    assert.deepEqual([accepted, duplicates], [1, 1]);
    assert.deepEqual(
      refused.map(({ index, code }) => [index, code]),
      [
        [0, "rate-limited"],
        [2, "missing-field"],
        [4, "rate-limited"],
      ],
    );
    assert.equal((await client.log(other)).length, 1);
  });

  test("is told 429 for a batch of which nothing was taken, and nothing of it goes into quarantine", async () => {
    const { coreid } = await overRate();
    const before = (await client.admin("GET", "/v1/quarantine?limit=1000")).body.quarantine.length;
    const answer = await publish([anEvent({ coreid }), {}, anEvent({ coreid })]);
    assertLimited(answer);
    assert.deepEqual([answer.body.accepted, answer.body.refused.map(({ index }) => index)], [0, [0, 1, 2]]);
    const { quarantine } = (await client.admin("GET", "/v1/quarantine?limit=1000")).body;
    assert.equal(quarantine.length, before);
  });

  test("publishes through /v1 as one device", async () => {
    const send = () => client.admin("POST", "/v1/devices/events", { name: "t", data: "1" });
    for (const _ of numbers(1, BURST)) assert.equal((await send()).status, 200);
    const answer = await send();
    assertLimited(answer);
    assert.equal(answer.body.error, "rate-limited", "in the shape that Particle's clients read");
  });
});

describe("Particle, which does not come again", () => {
  let worker, client;
  before(async () => {
    worker = await startWorker({ vars: { DEVICE_RATE: NEVER, DEVICE_BURST: "1" } });
    client = clientOf(worker);
  });
  after(() => worker.stop());

  const headers = { "user-agent": PARTICLE_AGENT };
  const quarantine = async () => (await client.admin("GET", "/v1/quarantine?limit=1000")).body.quarantine;
  const limited = (entries) => entries.filter(({ code }) => code === "rate-limited");

  test("is told 202, and the event is in quarantine; after fifty of a device it is told 429", async () => {
    const coreid = newDevice();
    await client.accepted(anEvent({ coreid }), headers);
    const flood = numbers(1, 200).map(() => client.publish(anEvent({ coreid }), headers));
    const statuses = (await Promise.all(flood)).map(({ status }) => status);
    const kept = statuses.filter((status) => status === 202).length;
    // Fifty, and one more for every 1.2 s that a busy machine takes.
    assert.ok(kept >= 50 && kept < 200, String(kept));
    assert.equal(statuses.filter((status) => status === 429).length, 200 - kept);
    assert.equal(limited(await quarantine()).length, kept);
    assert.equal((await client.log(coreid)).length, 1);
    const today = async () => (await client.read("GET", "/v1/stats")).body.days[0]?.limited;
    await until(async () => (await today()) === 200 - kept, { within: 15_000, what: "the count" });
  });

  test("leaves room in quarantine for what others send", async () => {
    await client.publish({ coreid: newDevice(), data: "no name" }, headers);
    for (const coreid of numbers(1, 7).map(newDevice)) {
      await client.accepted(anEvent({ coreid }), headers);
      await Promise.all(numbers(1, 50).map(() => client.publish(anEvent({ coreid }), headers)));
    }
    const entries = await quarantine();
    assert.equal(limited(entries).length, 250);
    assert.equal(entries.length, 251);
    assert.equal(entries.at(-1).code, "missing-field", "the oldest, and still there");
  });
});

test("what Particle sent over a rate can be replayed once the rate allows it", async () => {
  const worker = await startWorker({ vars: { DEVICE_RATE: "1", DEVICE_BURST: "1" } });
  try {
    const client = clientOf(worker);
    const [coreid, agent] = [newDevice(), { "user-agent": PARTICLE_AGENT }];
    // Until one was too many: a busy machine may leave a second between two.
    const statuses = [];
    await until(async () => {
      const event = anEvent({ coreid });
      statuses.push((await client.publish(event, agent)).status);
      return statuses.at(-1) === 202;
    });
    const [entry] = (await client.admin("GET", "/v1/quarantine")).body.quarantine;
    const replay = () => client.admin("POST", `/v1/quarantine/${entry.id}/replay`);
    const answer = await until(async () => {
      const tried = await replay();
      if (tried.status === 429) assertLimited(tried);
      return tried.status === 200 && tried;
    });
    assert.equal(answer.body.coreid, coreid);
    assert.equal((await client.log(coreid)).length, statuses.length);
  } finally {
    await worker.stop();
  }
});

test("with MALFORMED=reject Particle too is told 429", async () => {
  const vars = { DEVICE_RATE: NEVER, DEVICE_BURST: "1", MALFORMED: "reject" };
  const worker = await startWorker({ vars });
  try {
    const client = clientOf(worker);
    const [coreid, headers] = [newDevice(), { "user-agent": PARTICLE_AGENT }];
    await client.accepted(anEvent({ coreid }), headers);
    assertLimited(await read(await client.publish(anEvent({ coreid }), headers)));
    assert.deepEqual((await client.admin("GET", "/v1/quarantine")).body.quarantine, []);
  } finally {
    await worker.stop();
  }
});

describe("a credential over its rate", () => {
  let worker, client;
  /** One request passes, the next one in most of a minute. */
  before(async () => {
    worker = await startWorker({ vars: { KEY_RATE: "0.02", INGEST_TOKENS: `${TOKEN},another-0123456789` } });
    client = clientOf(worker);
  });
  after(() => worker.stop());

  test("is told 429 on every way, and each credential has a rate of its own", async () => {
    await client.accepted(anEvent());
    assertLimited(await read(await client.publish(anEvent())));
    await client.accepted(anEvent(), { token: "another-0123456789" });

    const body = JSON.stringify(anEvent());
    const signed = () => worker.fetch("/hook", { method: "POST", body, headers: standardHeaders(body) });
    assert.equal((await signed()).status, 204);
    assertLimited(await read(await signed()));

    assert.equal((await client.read("GET", "/v1/devices")).status, 200);
    assertLimited(await client.read("GET", "/v1/devices"));
    assertLimited(await read(await worker.fetch(`/v1/events?access_token=${READ}`)));
    assert.equal((await client.admin("GET", "/v1/devices")).status, 200);
    assertLimited(await client.admin("GET", "/v1/quarantine"));
  });

  test("says so to nobody who has none", async () => {
    for (const _ of numbers(1, 30)) {
      assert.equal((await client.publish(anEvent(), { token: "guessed" })).status, 401);
      assert.equal(await client.stranger("GET", "/v1/devices"), 401);
    }
  });
});

test("a rate of 0 is no limit", async () => {
  const worker = await startWorker({
    vars: { DEVICE_RATE: "0", DEVICE_BURST: "1", KEY_RATE: "0", ADMIN_TOKENS: ADMIN },
  });
  try {
    const client = clientOf(worker);
    const coreid = newDevice();
    for (const _ of numbers(1, 3)) await client.accepted(numbers(1, 500).map(() => anEvent({ coreid })));
    await client.accepted(anEvent({ coreid }));
    assert.equal((await client.log(coreid)).length, 1_501);
  } finally {
    await worker.stop();
  }
});

test("with the settings as they are, a device's largest batch and a hundred events beside it pass", async () => {
  const worker = await startWorker();
  try {
    const client = clientOf(worker);
    const coreid = newDevice();
    await client.accepted(numbers(1, 500).map(() => anEvent({ coreid })));
    await Promise.all(numbers(1, 99).map(() => client.accepted(anEvent({ coreid }))));
    assert.equal((await client.log(coreid)).length, 599);
  } finally {
    await worker.stop();
  }
});
