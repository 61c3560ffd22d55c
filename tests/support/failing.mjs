// The shipped entry, but a Device object cannot commit what holds the text in `FAILS`: as with a full disk.
// Bundled into the Worker, so it imports nothing of the tests.

import * as shipped from "../../src/entry.mjs";

const FAILS = "this-cannot-be-committed";

export class Device extends shipped.Device {
  accept(message) {
    if (message.includes(FAILS)) throw new Error("the disk is full");
    return super.accept(message);
  }
}

export { Fleet, Registry, default } from "../../src/entry.mjs";
