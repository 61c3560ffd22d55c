// Everything that pages share.

export * from "./basics.mjs";
export * from "./messages.mjs";
export * from "./data.mjs";
