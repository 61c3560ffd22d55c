// Builds a Response in one crossing. `headers` is `name\nvalue\n…`. With `part` above zero the body goes out
// in chunks of that many bytes and without a Content-Length (DESIGN.md, "The reply").

export function respond(status, headers, body, part) {
  const init = { status, headers: pairs(headers) };
  if (body === undefined) return new Response(null, init);
  return new Response(part > 0 ? inParts(body, part) : body, init);
}

/** A stream: `live` is `{ body }` or `{ webSocket }`. */
export function respond_live(status, headers, { body = null, webSocket }) {
  return new Response(body, { status, headers: pairs(headers), webSocket });
}

function pairs(headers) {
  const fields = headers === "" ? [] : headers.split("\n");
  const pairs = [];
  for (let i = 0; i + 1 < fields.length; i += 2) pairs.push([fields[i], fields[i + 1]]);
  return pairs;
}

function inParts(body, part) {
  let at = 0;
  const source = {
    pull(controller) {
      controller.enqueue(body.subarray(at, at + part));
      at += part;
      if (at >= body.length) controller.close();
    },
  };
  // Nothing is queued ahead: of two parts in the queue the runtime makes one chunk.
  return new ReadableStream(source, { highWaterMark: 0 });
}
