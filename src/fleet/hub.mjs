// A shard's sockets: hibernating WebSockets, each with what its reader wants and whether it is live. What they are
// told is decided in hub.rs.

const STREAM = "stream";

/** What lies beside a socket, read once per wake: `{ wanted, live }`. */
const places = new WeakMap();

function placeOf(socket) {
  let place = places.get(socket);
  if (!place) places.set(socket, (place = socket.deserializeAttachment()));
  return place;
}

function put(socket, place) {
  places.set(socket, place);
  socket.serializeAttachment(place);
}

export function refuse(status, problem) {
  return new Response(problem, { status });
}

export function accept(state, wanted, live, tag, greeting, shards) {
  const [client, server] = Object.values(new WebSocketPair());
  state.acceptWebSocket(server, tag ? [STREAM, tag] : [STREAM]);
  // Answered by the platform: nothing wakes.
  state.setWebSocketAutoResponse(new WebSocketRequestResponsePair("ping", "pong"));
  put(server, { wanted, live });
  if (greeting) server.send(greeting);
  const headers = { "fieldhook-shards": String(shards) };
  return new Response(null, { status: 101, webSocket: client, headers });
}

export function count(state, tag) {
  return state.getWebSockets(tag).length;
}

export function wanted_by(socket) {
  return placeOf(socket)?.wanted;
}

/** Written only when it changes: a reader becomes live, or is read anew. */
export function answer(socket, page, live) {
  const place = placeOf(socket);
  if (place.live !== live) put(socket, { ...place, live });
  socket.send(page);
}

export function close(socket) {
  socket.close(1011, "read again");
}

/** One message for all that want the same, made when the first of them is met. */
export function tell(state, messageFor) {
  const messages = new Map();
  for (const socket of state.getWebSockets(STREAM)) {
    const { live, wanted } = placeOf(socket) ?? {};
    if (!live) continue;
    let message = messages.get(wanted);
    if (message === undefined) messages.set(wanted, (message = messageFor(wanted) ?? ""));
    if (message !== "") send(socket, message);
  }
}

/** A socket that is closing takes nothing; its reader comes back to where it was. */
function send(socket, message) {
  try {
    socket.send(message);
  } catch {
    // Its close is under way, or it is closed already.
  }
}
