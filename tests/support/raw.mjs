// HTTP as it is on the wire: each chunk of a chunked response by itself, which `fetch` would hide.

import { connect } from "node:net";

const CRLF = "\r\n";

/**
 * Sends one request over a socket of its own and reads the whole response.
 *
 * @returns {Promise<{status: number, headers: Map<string, string>, chunks: Buffer[], body: Buffer}>}
 *   `chunks` are the chunks as the server framed them; a response with a Content-Length has one.
 */
export async function rawRequest(url, { method = "GET", headers = {}, body = "" } = {}) {
  const { hostname, port, pathname, search, host } = new URL(url);
  const payload = Buffer.from(body);
  const lines = [`${method} ${pathname}${search} HTTP/1.1`, `host: ${host}`, "connection: close"];
  if (payload.length || !["GET", "HEAD"].includes(method)) lines.push(`content-length: ${payload.length}`);
  for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${value}`);
  const received = await exchange(
    hostname,
    port,
    Buffer.concat([Buffer.from(lines.join(CRLF) + CRLF + CRLF), payload]),
  );
  return parseResponse(received);
}

function exchange(host, port, request) {
  return new Promise((resolve, reject) => {
    const received = [];
    const socket = connect({ host, port }, () => socket.write(request));
    socket.on("data", (data) => received.push(data));
    socket.on("end", () => resolve(Buffer.concat(received)));
    socket.on("error", reject);
  });
}

function parseResponse(received) {
  const end = received.indexOf(CRLF + CRLF);
  if (end < 0) throw new Error(`no HTTP response: ${JSON.stringify(received.toString("latin1"))}`);
  const [statusLine, ...fields] = received.subarray(0, end).toString("latin1").split(CRLF);
  const headers = new Map(fields.map((field) => splitField(field)));
  const rest = received.subarray(end + 4);
  const chunks =
    headers.get("transfer-encoding") === "chunked" ? [...readChunks(rest)] : rest.length ? [rest] : [];
  return { status: Number(statusLine.split(" ")[1]), headers, chunks, body: Buffer.concat(chunks) };
}

function splitField(field) {
  const colon = field.indexOf(":");
  return [field.slice(0, colon).toLowerCase(), field.slice(colon + 1).trim()];
}

function* readChunks(rest) {
  for (let at = 0; ;) {
    const lineEnd = rest.indexOf(CRLF, at);
    const size = lineEnd < 0 ? NaN : parseInt(rest.subarray(at, lineEnd).toString("latin1"), 16);
    if (Number.isNaN(size)) throw new Error("the chunked response was cut off");
    if (size === 0) return;
    at = lineEnd + CRLF.length;
    yield rest.subarray(at, at + size);
    at += size + CRLF.length;
  }
}
