// A request's body: read no further than it may be long, and within what an isolate can hold of bodies that are not
// whole yet. A sender proves nothing until its body is there, so a thousand that never finish must not fill the memory.

/** Bodies that say they are this short are not counted, bytes: nobody who sends one event has to wait for others. */
const SMALL = 16_384;
/** What all unfinished bodies may take up together, bytes; an isolate has 128 MB. */
const UNFINISHED_MAX = 33_554_432;
/** Or so many bodies as large as they may be, where that is more. */
const LARGEST_AT_ONCE = 4;
/** Bodies that say they are no longer than this are one kind, all others the other, bytes: one event of the 16 KB that
 * Particle allows, every character of it escaped, is shorter. */
const MODEST = 65_536;

/** Those that hold something, the one that has been still for longest first: whoever goes on sending stays. Each kind
 * is sure of half of the room, so that a flood of one leaves the other alone. Plain memory, which one request may take
 * from another. */
const modest = { bodies: new Set(), held: 0 };
const large = { bodies: new Set(), held: 0 };

/** The body's bytes; undefined where there are more than `limit`, null where it had to give way to others. */
export async function readBody(request, limit) {
  const declared = request.headers.get("content-length");
  if (declared !== null && Number(declared) > limit) return undefined;
  if (declared !== null && Number(declared) <= SMALL) return new Uint8Array(await request.arrayBuffer());
  if (request.body === null) return new Uint8Array();
  const kind = declared !== null && Number(declared) <= MODEST ? modest : large;
  const body = { bytes: new Uint8Array(0), size: 0, kind };
  try {
    for await (const part of request.body) {
      if (body.bytes === null) return null;
      if (body.size + part.byteLength > limit) return undefined;
      append(body, part, limit);
    }
    return body.bytes?.subarray(0, body.size) ?? null;
  } finally {
    release(body);
  }
}

/** Copies: a part may be a few bytes in a buffer of many. */
function append(body, part, limit) {
  const size = body.size + part.byteLength;
  if (size > body.bytes.byteLength) {
    const room = Math.min(limit, Math.max(size, 2 * body.bytes.byteLength, SMALL));
    const whole = new Uint8Array(room);
    whole.set(body.bytes.subarray(0, body.size));
    body.kind.held += room - body.bytes.byteLength;
    body.bytes = whole;
  }
  body.bytes.set(part, body.size);
  body.size = size;
  body.kind.bodies.delete(body);
  body.kind.bodies.add(body);
  makeRoom(Math.max(UNFINISHED_MAX, LARGEST_AT_ONCE * limit), body);
}

/** Sees that all together hold no more than `most`; the one that has just gone on stays. */
function makeRoom(most, body) {
  while (modest.held + large.held > most) {
    const kind = large.held > most / 2 ? large : modest;
    const [stillest] = kind.bodies;
    if (stillest === undefined || stillest === body) return;
    release(stillest);
  }
}

/** Also for a sender that is gone: what reads its body may never go on, and it gives way when it is the stillest. */
function release(body) {
  body.kind.held -= body.bytes?.byteLength ?? 0;
  body.bytes = null;
  body.kind.bodies.delete(body);
}
