// Clients that never finish what they begin, over sockets of their own.

import { connect } from "node:net";

/**
 * Opens `count` connections, each of which has sent `begin` and goes on with a byte of `drip` every `every` ms.
 *
 * @returns {Promise<{open: () => number, received: () => string[], end: () => void}>} how many the server has not
 *   closed, what it sent on each, and a way to end them
 */
export async function slowClients(url, count, { begin, drip = "x", every = 500 }) {
  const { hostname, port } = new URL(url);
  const sockets = [];
  const received = Array.from({ length: count }, () => "");
  for (let at = 0; at < count; at += 100) {
    const some = Array.from({ length: Math.min(100, count - at) }, (_, n) =>
      opened(hostname, port, (text) => (received[at + n] += text)),
    );
    sockets.push(...(await Promise.all(some)));
  }
  for (const socket of sockets) socket.write(begin);
  const timer = setInterval(() => {
    for (const socket of sockets) if (socket.writable) socket.write(drip);
  }, every);
  return {
    open: () => sockets.filter((socket) => !socket.closed && !socket.readableEnded).length,
    received: () => received,
    end() {
      clearInterval(timer);
      for (const socket of sockets) socket.destroy();
    },
  };
}

function opened(host, port, onText) {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port }, () => resolve(socket));
    socket.on("data", (data) => onText(data.toString("latin1")));
    // One that the server resets is closed, which is all that matters here.
    socket.on("error", reject);
  });
}
