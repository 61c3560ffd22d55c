//! Dice that fall the same way for the same seed, on every machine. Not for secrets.

/// SplitMix64 (Steele, Lea and Flood, 2014): 64 bits of state, enough for dice.
#[derive(Debug, Clone)]
pub struct Chance {
    state: u64,
}

impl Chance {
    /// Dice of their own for each `stream`, so that one device's fate does not depend on another's pace.
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut mixed = Chance { state: stream };
        Chance { state: seed ^ mixed.bits() }
    }

    pub fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 up to, but never, 1.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit an f64 exactly")]
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// True for this share of throws.
    pub fn hits(&mut self, share: f64) -> bool {
        self.unit() < share
    }

    /// From 0 up to, but never, `bound`; 0 where there is nothing to choose from.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.bits().checked_rem(bound).unwrap_or(0)
    }

    /// Between -1 and 1.
    pub fn swing(&mut self) -> f64 {
        self.unit() * 2.0 - 1.0
    }

    /// Fisher and Yates.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = usize::try_from(self.below(last as u64 + 1)).unwrap_or(last);
            items.swap(last, other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_falls_the_same_way_and_another_stream_does_not() {
        let throw = |seed, stream| {
            let mut chance = Chance::new(seed, stream);
            [chance.bits(), chance.bits()]
        };
        assert_eq!(throw(7, 1), throw(7, 1));
        assert_ne!(throw(7, 1), throw(7, 2));
        assert_ne!(throw(7, 1), throw(8, 1));
    }

    #[test]
    fn a_share_is_a_share() {
        let mut chance = Chance::new(1, 1);
        let hits = (0..10_000).filter(|_| chance.hits(0.1)).count();
        assert!((900..1_100).contains(&hits), "{hits}");
        assert_eq!((chance.hits(0.0), chance.hits(1.0)), (false, true));
        assert_eq!(chance.below(0), 0);
    }

    #[test]
    fn shuffling_keeps_everything() {
        let mut items: Vec<u32> = (0..100).collect();
        Chance::new(3, 0).shuffle(&mut items);
        assert_ne!(items, (0..100).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }
}
