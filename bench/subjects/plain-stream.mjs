// A stream of the JavaScript Worker: a socket to the shard, each message written as server-sent events with a cursor.

const KEEP_ALIVE_MS = 8_000;
const BUFFER_MAX = 256 * 1024;
const encoder = new TextEncoder();

/** Answers `GET /v1/events`. */
export async function openStream(request, env) {
  if (request.headers.get("authorization") !== `Bearer ${env.READ_TOKENS}`) {
    return new Response(null, { status: 401 });
  }
  const opened = await env.FLEET.getByName("shard-0").fetch("http://shard/", {
    headers: { upgrade: "websocket" },
  });
  const socket = opened.webSocket;
  const chunks = [encoder.encode(":ok\n\n")];
  let [waiting, wroteAt, wake] = [0, Date.now(), undefined];
  const write = (text) => {
    const bytes = encoder.encode(text);
    if (waiting > BUFFER_MAX) return socket.close();
    chunks.push(bytes);
    waiting += bytes.length;
    wroteAt = Date.now();
    wake?.();
  };
  socket.addEventListener("message", ({ data }) => write(written(JSON.parse(data))));
  socket.accept();
  const keepAlive = setInterval(() => Date.now() - wroteAt >= KEEP_ALIVE_MS && write(":\n\n"), KEEP_ALIVE_MS);
  const end = () => {
    clearInterval(keepAlive);
    socket.close();
  };
  const source = {
    async pull(controller) {
      while (chunks.length === 0) await new Promise((resolve) => (wake = resolve));
      waiting = 0;
      for (const chunk of chunks.splice(0)) controller.enqueue(chunk);
    },
    cancel: end,
  };
  const headers = { "content-type": "text/event-stream", "cache-control": "no-cache, no-transform" };
  return new Response(new ReadableStream(source, { highWaterMark: 0 }), { headers });
}

function written({ events }) {
  let text = "";
  for (const { pos, event, json } of events) {
    text += `event: ${event}\ndata: ${json}\nid: ${cursor(pos)}\n\n`;
  }
  return text;
}

/** A position as an opaque text. */
function cursor(position) {
  return btoa(`1:${position}`).replaceAll("=", "");
}
