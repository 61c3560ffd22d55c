// Remembers the memory of the first wasm instance. Imported before the one that makes it.

export let memory;

const { Instance } = WebAssembly;
WebAssembly.Instance = function (module, imports) {
  const instance = new Instance(module, imports);
  memory ??= instance.exports.memory;
  return instance;
};
