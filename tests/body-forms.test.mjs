// Whatever form a body has that Particle can be configured to send, it becomes the same event.

import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { after, test } from "node:test";
import { accepted, eventOf, historyText, newDevice, refused } from "./support/send.mjs";
import { startWorker } from "./support/worker.mjs";

const worker = await startWorker();
after(() => worker.stop());

/** Headers that name the event, for bodies that are data and nothing else. */
const named = (device) => ({ "x-particle-event-name": "temp", "x-particle-device-id": device });

/** The event that a request made, for a request made of a device. */
async function eventFrom(request) {
  const device = newDevice();
  await accepted(worker, request(device));
  return eventOf(worker, device);
}

test("a JSON body is an event", async () => {
  const event = await eventFrom((coreid) => ({ json: { event: "temp", data: "warm", coreid } }));
  assert.deepEqual([event.event, event.data, event.seq], ["temp", "warm", 1]);
});

test("a urlencoded form is an event", async () => {
  const event = await eventFrom((coreid) => ({ form: { event: "temp/Küche", data: "a b+c&d=é\n", coreid } }));
  assert.deepEqual([event.event, event.data], ["temp/Küche", "a b+c&d=é\n"]);
});

test("the query of a GET is an event", async () => {
  const event = await eventFrom((coreid) => ({
    method: "GET",
    query: { event: "temp", data: "a b+c&d=é", coreid },
  }));
  assert.deepEqual([event.event, event.data], ["temp", "a b+c&d=é"]);
});

for (const method of ["POST", "PUT", "DELETE"]) {
  test(`${method} takes an event in its body`, async () => {
    const event = await eventFrom((coreid) => ({ method, json: { event: "temp", data: "warm", coreid } }));
    assert.equal(event.data, "warm");
  });

  test(`${method} takes an event in its query`, async () => {
    const event = await eventFrom((coreid) => ({ method, query: { event: "temp", data: "warm", coreid } }));
    assert.equal(event.data, "warm");
  });
}

test("a custom text body is the data, exactly", async () => {
  const text = 'line 1\r\n\tline 2 "quoted" {{{x}}} \\ 🌡\n';
  const event = await eventFrom((device) => ({
    body: text,
    headers: { ...named(device), "content-type": "text/plain; charset=utf-8" },
  }));
  assert.equal(event.data, text);
});

test("a text body stays text though it looks like a form", async () => {
  const event = await eventFrom((device) => ({
    body: "event=other&data=x",
    headers: { ...named(device), "content-type": "text/plain" },
  }));
  assert.deepEqual([event.event, event.data], ["temp", "event=other&data=x"]);
});

for (const type of ["application/xml", "text/csv", "application/vnd.example.v1"]) {
  test(`a body of the unknown type ${type} is text`, async () => {
    const text = "<t>21.5</t>";
    const event = await eventFrom((device) => ({
      body: text,
      headers: { ...named(device), "content-type": type },
    }));
    assert.equal(event.data, text);
  });
}

test("without a Content-Type a body that parses as JSON is JSON", async () => {
  const event = await eventFrom((coreid) => ({
    body: JSON.stringify({ event: "temp", data: "warm", coreid }),
  }));
  assert.deepEqual([event.event, event.data], ["temp", "warm"]);
});

for (const text of ["just text", "{broken", "21,5", "event=other&data=x"]) {
  test(`without a Content-Type the body ${text} is text`, async () => {
    const event = await eventFrom((device) => ({ body: text, headers: named(device) }));
    assert.deepEqual([event.event, event.data], ["temp", text]);
  });
}

test("no body and no data in the query is an event with empty data", async () => {
  const event = await eventFrom((coreid) => ({ query: { event: "temp", coreid } }));
  assert.equal(event.data, "");
});

for (const [scalar, value] of [
  ["21.5", 21.5],
  ["true", true],
  ['"hello"', "hello"],
]) {
  test(`a JSON body that is the bare value ${scalar} is the data`, async () => {
    const event = await eventFrom((device) => ({ json: scalar, headers: named(device) }));
    assert.equal(event.data, value);
  });
}

test("a bare JSON value is the same data with a Content-Type and without", async () => {
  for (const text of ["21.50", "false", '"hello"', '"21.5"']) {
    const declared = await eventFrom((device) => ({ json: text, headers: named(device) }));
    const undeclared = await eventFrom((device) => ({ body: text, headers: named(device) }));
    assert.deepEqual(undeclared.data, declared.data, text);
  }
});

test("a JSON type with a suffix is JSON", async () => {
  const event = await eventFrom((coreid) => ({
    body: JSON.stringify({ event: "temp", data: "warm", coreid }),
    headers: { "content-type": "application/cloudevents+json" },
  }));
  assert.equal(event.data, "warm");
});

test("a byte order mark before JSON is no part of it", async () => {
  for (const headers of [{ "content-type": "application/json" }, {}]) {
    const event = await eventFrom((coreid) => ({
      body: `\ufeff${JSON.stringify({ event: "temp", data: "warm", coreid })}`,
      headers,
    }));
    assert.equal(event.data, "warm");
  }
});

for (const type of [
  "application/json; charset=utf-8",
  'application/json;charset="UTF-8"',
  "Application/JSON",
]) {
  test(`${type} is JSON`, async () => {
    const event = await eventFrom((coreid) => ({
      body: JSON.stringify({ event: "temp", data: "é", coreid }),
      headers: { "content-type": type },
    }));
    assert.equal(event.data, "é");
  });
}

const DATA_AS_SENT = [
  ["an object", '{"t":21.10,"big":12345678901234567890,"e":1e-7,"z":1,"a":2}'],
  ["a number", "21.10"],
  ["a number beyond 64 bits", "12345678901234567890"],
  ["an array", "[1.0,[2.00]]"],
  ["a boolean", "true"],
];

for (const [kind, text] of DATA_AS_SENT) {
  test(`data that is ${kind} is read back digit for digit`, async () => {
    const device = newDevice();
    await accepted(worker, { json: `{"event":"temp","data":${text},"coreid":"${device}"}` });
    assert.ok((await historyText(worker, device)).includes(`"data":${text},`));
  });

  test(`data that is a string holding ${kind} is read back parsed, digit for digit`, async () => {
    const device = newDevice();
    await accepted(worker, { json: { event: "temp", data: text, coreid: device } });
    assert.ok((await historyText(worker, device)).includes(`"data":${text},`));
  });
}

test("data that is null is empty or null, and no error", async () => {
  const event = await eventFrom((coreid) => ({ json: { event: "temp", data: null, coreid } }));
  assert.ok(event.data === null || event.data === "", JSON.stringify(event.data));
});

test("data that is not quite JSON is read back as a string", async () => {
  for (const data of ["{'t':1}", "021", "21.", "NaN", '{"a":1} x']) {
    const event = await eventFrom((coreid) => ({ json: { event: "temp", data, coreid } }));
    assert.equal(event.data, data);
  }
});

for (const [data, mediaType] of [
  ["data:image/png;base64,iVBORw0KGgo=", "image/png"],
  ["data:application/octet-stream;base64,AAEC/w==", "application/octet-stream"],
  ["data:,plain", "text/plain"],
]) {
  test(`${data} stays text and its media type stands beside it`, async () => {
    const event = await eventFrom((coreid) => ({ form: { event: "image", data, coreid } }));
    assert.deepEqual([event.data, event.media_type], [data, mediaType]);
  });
}

test("data that is no data: URL has no media type", async () => {
  const event = await eventFrom((coreid) => ({ json: { event: "temp", data: "data is fine", coreid } }));
  assert.ok(!("media_type" in event));
});

test("what has no meaning here is kept with the event, as it was", async () => {
  const device = newDevice();
  const json = `{"event":"temp","data":"1","coreid":"${device}","ttl":60.0,"public":false,"deep":{"big":12345678901234567890}}`;
  await accepted(worker, { json, query: { site: "north" } });
  const { extra } = await eventOf(worker, device);
  assert.deepEqual(Object.keys(extra).sort(), ["deep", "public", "site", "ttl"]);
  assert.deepEqual([extra.public, extra.site], [false, "north"]);
  const text = await historyText(worker, device);
  assert.ok(text.includes('"ttl":60.0') && text.includes('"deep":{"big":12345678901234567890}'), text);
});

test("an event without further fields has no extra", async () => {
  const event = await eventFrom((coreid) => ({ json: { event: "temp", coreid } }));
  assert.ok(!("extra" in event));
});

for (const [what, headers, body] of [
  ["multipart", { "content-type": "multipart/form-data; boundary=x" }, "--x--"],
  ["UTF-16", { "content-type": "application/json; charset=utf-16" }, "{}"],
  ["an unknown charset", { "content-type": "text/plain; charset=x-unknown" }, "text"],
  ["gzip", { "content-type": "application/json", "content-encoding": "gzip" }, gzipSync('{"event":"temp"}')],
  ["an unknown coding", { "content-type": "application/json", "content-encoding": "x-unknown" }, "{}"],
]) {
  test(`${what} is 415`, async () => {
    const device = newDevice();
    await refused(worker, 415, { body, headers: { ...named(device), ...headers } });
    assert.ok((await historyText(worker, device)).includes('"events":[]'));
  });
}

test("the content coding identity is no coding", async () => {
  const event = await eventFrom((coreid) => ({
    json: { event: "temp", data: "warm", coreid },
    headers: { "content-encoding": "identity" },
  }));
  assert.equal(event.data, "warm");
});
