// Loaded into a program before its own code: it reaches 127.0.0.1 and nothing else, whatever it is set to.

const { Socket } = require("node:net");

const connect = Socket.prototype.connect;

Socket.prototype.connect = function (...args) {
  // Either (options, …), (port, host, …) or both as one list, as node:net passes them on to itself.
  const [first, second] = args.flat();
  const host = typeof first === "object" && first !== null ? first.host : second;
  if (host !== "127.0.0.1") throw new Error(`no connection leaves this machine: ${host}`);
  return connect.apply(this, args);
};
