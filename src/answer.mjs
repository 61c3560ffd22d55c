// Builds a Response in one crossing. `headers` is `name\nvalue\n…`. With `part` above zero the body goes out
// in chunks of that many bytes and without a Content-Length (DESIGN.md, "The reply").

export function respond(status, headers, body, part) {
  const init = { status, headers: fields(headers) };
  if (body === undefined) return new Response(null, init);
  return new Response(part > 0 ? inParts(body, part) : body, init);
}

/** A stream: `live` is `{ body }` or `{ webSocket }`. */
export function respond_live(status, headers, { body = null, webSocket }) {
  return new Response(body, { status, headers: fields(headers), webSocket });
}

/** An object where no name is repeated: the platform reads it in half the time that it takes for pairs. */
function fields(headers) {
  if (headers === "") return undefined;
  const lines = headers.split("\n");
  const fields = {};
  for (let i = 0; i + 1 < lines.length; i += 2) {
    if (lines[i] in fields) return pairs(lines);
    fields[lines[i]] = lines[i + 1];
  }
  return fields;
}

function pairs(lines) {
  return Array.from({ length: lines.length >> 1 }, (_, i) => [lines[2 * i], lines[2 * i + 1]]);
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
