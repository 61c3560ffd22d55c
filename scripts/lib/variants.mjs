// What can be built, each into its own folder. `inject` can be told to panic: it is for tests only.

export const VARIANTS = {
  release: { folder: "build", features: [] },
  inject: { folder: "build-inject", features: ["inject"] },
};
