// Counts the calls between JavaScript and wasm. Import it before the Worker: it stands in for `WebAssembly.Instance`, with
// which the glue that is bundled into build/index.js makes its one instance.

/** Calls into wasm, and calls out of it, by the name of what is called. */
export const crossings = { into: {}, out: {} };

export function forgetCrossings() {
  [crossings.into, crossings.out] = [{}, {}];
}

const counted = (functions, calls) =>
  Object.fromEntries(
    Object.entries(functions).map(([name, member]) => {
      if (typeof member !== "function") return [name, member];
      const count = (...args) => {
        const table = crossings[calls];
        table[name] = (table[name] ?? 0) + 1;
        return member(...args);
      };
      return [name, count];
    }),
  );

const { Instance } = WebAssembly;
WebAssembly.Instance = function (module, imports) {
  const modules = Object.entries(imports).map(([name, functions]) => [name, counted(functions, "out")]);
  return { exports: counted(new Instance(module, Object.fromEntries(modules)).exports, "into") };
};
