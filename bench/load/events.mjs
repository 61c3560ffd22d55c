// The requests that the load sends, as bytes of HTTP/1.1, signed beforehand or as they go.

import { createHmac, randomUUID } from "node:crypto";

/** What a device with a few sensors sends: about 300 bytes. With `size` its data is a text of so many bytes instead. */
export function eventOf(number, { device, id = randomUUID(), size }) {
  const measured = {
    temperature: 21.5 + (number % 10) / 10,
    humidity: 40.25,
    battery: 87,
    note: "bench",
    uptime: number,
  };
  return {
    event: "environment",
    data: size ? String(number).padEnd(size, ".") : measured,
    coreid: device,
    event_id: id,
    published_at: new Date().toISOString(),
    product_id: "12345",
    fw_version: "7",
  };
}

/** A device's name: 24 characters, as Particle's are. */
export function deviceName(number) {
  return `bench${String(number).padStart(19, "0")}`;
}

export function sign(secret, body) {
  return `sha256=${createHmac("sha256", secret).update(body).digest("hex")}`;
}

/** A request for one connection, whole. */
export function request(path, { method = "POST", headers = {}, body = "" } = {}) {
  const fields = { host: "127.0.0.1", ...headers };
  if (body || method === "POST") fields["content-length"] = Buffer.byteLength(body);
  const head = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.from(`${method} ${path} HTTP/1.1\r\n${head.join("")}\r\n${body}`);
}

export function signed(secret, body) {
  const headers = { "content-type": "application/json", "x-hub-signature-256": sign(secret, body) };
  return request("/hook", { headers, body });
}

/**
 * Each kind of load: `make(number)` gives its next request, `events` how many events are in one, and `isRight` whether
 * an answer is what must come. `before` is sent once, for devices that are awake and events that are known.
 */
export function kindOf(kind, { secret, devices = 1000, size, prefix = "" }) {
  const device = (number) => prefix + deviceName(number % devices).slice(prefix.length);
  switch (kind) {
    case "new": {
      const make = (number) =>
        signed(secret, JSON.stringify(eventOf(number, { device: device(number), size })));
      return {
        events: 1,
        make,
        isRight: ({ status, head }) => status === 204 && !isDuplicate(head),
        before: Array.from({ length: devices }, (_, number) => make(number)),
      };
    }
    case "repeat": {
      const all = Array.from({ length: devices }, (_, number) => {
        const id = `again-${prefix}${number}`;
        return signed(secret, JSON.stringify(eventOf(number, { device: device(number), id, size })));
      });
      return {
        events: 1,
        make: (number) => all[number % devices],
        isRight: ({ status, head }) => status === 204 && isDuplicate(head),
        before: all,
      };
    }
    case "batch":
      return {
        events: BATCH,
        make: (number) => {
          const events = Array.from({ length: BATCH }, () =>
            eventOf(number, { device: device(number), size }),
          );
          return signed(secret, JSON.stringify(events));
        },
        isRight: ({ status, body }) => status === 200 && body.includes(`"accepted":${BATCH},`),
        before: kindOf("new", { secret, devices, prefix }).before,
      };
    case "refused": {
      const all = refusals(secret);
      return {
        events: 1,
        make: (number) => all[number % all.length].bytes,
        isRight: ({ status }, number) => status === all[number % all.length].status,
      };
    }
    default: // A path that is read.
      return {
        events: 1,
        make: () => request(kind, { method: "GET" }),
        isRight: ({ status }) => status === 200,
      };
  }
}

const BATCH = 10;

function isDuplicate(head) {
  return /fieldhook-duplicate: true/i.test(head);
}

/** What is refused without any object being asked. */
function refusals(secret) {
  const body = JSON.stringify(eventOf(1, { device: deviceName(1) }));
  const broken = body.slice(0, -9);
  const { event_id, ...anonymous } = eventOf(1, { device: deviceName(1) });
  const json = { "content-type": "application/json" };
  const wrong = { ...json, "x-hub-signature-256": sign("another secret", body) };
  return [
    { status: 401, bytes: request("/hook", { headers: wrong, body }) },
    { status: 401, bytes: request("/hook", { headers: json, body }) },
    { status: 401, bytes: request("/hook", { headers: wrong, body: broken }) },
    // Well signed and read to its end: without an id it could be a replay.
    { status: 401, bytes: signed(secret, JSON.stringify(anonymous)) },
    { status: 405, bytes: request("/hook", { method: "PATCH", headers: wrong, body }) },
  ];
}
