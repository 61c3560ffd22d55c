// Dice that fall the same way for the same seed: a run that found something can be had again, as far as the machine's
// own timing allows.

/** Throws dice of one seed. Not for secrets. */
export function chanceOf(seed) {
  let state = seed >>> 0;
  /** From 0 up to, but never, 1 (Mulberry32: 32 bits of state, enough for dice). */
  const unit = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (bound) => Math.floor(unit() * bound);
  return {
    unit,
    below,
    hits: (share) => unit() < share,
    pick: (items) => items[below(items.length)],
    /** A time until something that may happen at any moment, on average after `mean`; at most five times that. */
    wait: (mean) => Math.min(5, -Math.log(1 - unit())) * mean,
  };
}

/** The seed that a user has given, or a new one. */
export const seedFrom = (given) =>
  given === undefined ? Math.floor(Math.random() * 2 ** 32) : Number(given);
