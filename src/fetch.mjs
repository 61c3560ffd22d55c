// One request out of the Worker, bounded in time and size. What comes of it is told, never thrown.

/**
 * Sends, and reads at most `cap` bytes of what is answered. `headers` are names and values in turn.
 *
 * Answers `{status, headers, body, truncated}`, or `{error, reading}` where there was no answer (or, `reading`, no
 * end of it); with `took` in milliseconds. Redirects are answers: they are not followed.
 */
export async function send(method, url, headers, body, timeout, cap) {
  const began = Date.now();
  const took = () => Date.now() - began;
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(new DOMException("timeout", "TimeoutError")), timeout);
  let response;
  try {
    const fields = [];
    for (let at = 0; at + 1 < headers.length; at += 2) fields.push([headers[at], headers[at + 1]]);
    // As bytes: text would be given a Content-Type that the definition has not.
    const bytes = body === undefined ? undefined : new TextEncoder().encode(body);
    const init = { method, headers: fields, body: bytes, redirect: "manual", signal: abort.signal };
    response = await fetch(url, init);
    const { text, truncated } = await readText(response, cap);
    const head = [...response.headers];
    return JSON.stringify({ status: response.status, headers: head, body: text, truncated, took: took() });
  } catch (error) {
    // An answer that ended early or late is none: what was read of it is dropped, and an abort closes the connection.
    const reading = response !== undefined;
    return JSON.stringify({ error: `${error?.name}: ${error?.message}`, reading, took: took() });
  } finally {
    clearTimeout(timer);
  }
}

/** The text of a body as far as `cap` bytes; a character that is cut there becomes U+FFFD. */
async function readText(response, cap) {
  if (response.body === null) return { text: "", truncated: false };
  const decoder = new TextDecoder();
  const reader = response.body.getReader();
  let text = "";
  let room = cap;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return { text: text + decoder.decode(), truncated: false };
    text += decoder.decode(value.subarray(0, room), { stream: true });
    room -= value.byteLength;
    if (room < 0) {
      // Not waited for: a service that does not stop sending is no reason to wait.
      reader.cancel().catch(() => {});
      return { text: text + decoder.decode(), truncated: true };
    }
  }
}
