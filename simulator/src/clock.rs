//! Time that can run faster: waits shrink, and what they are measured with agrees.
//!
//! Only pacing and throttling go by this clock. The time that a server has to answer is always real.

use fieldhook_core::clock::Time;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Milliseconds since the start, as the simulated cloud counts them.
pub type Millis = u64;

/// No wait is longer: thirty years, in seconds.
const LONGEST: f64 = 1e9;

#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: Instant,
    scale: f64,
}

impl Clock {
    /// `scale` simulated seconds pass in one real second.
    pub fn new(scale: f64) -> Self {
        Clock { start: Instant::now(), scale: if scale.is_finite() && scale > 0.0 { scale } else { 1.0 } }
    }

    pub fn now(&self) -> Millis {
        let scaled = self.start.elapsed().as_secs_f64() * self.scale * 1000.0;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
        let millis = scaled as Millis;
        millis
    }

    /// How long this many simulated milliseconds really take.
    pub fn real(&self, millis: Millis) -> Duration {
        // Bounded, since a clock that hardly moves would make this longer than a Duration can be.
        let seconds = Duration::from_millis(millis).as_secs_f64() / self.scale;
        Duration::from_secs_f64(seconds.min(LONGEST))
    }

    pub async fn sleep(&self, millis: Millis) {
        tokio::time::sleep(self.real(millis)).await;
    }
}

/// The wall clock, for `published_at`.
pub fn wall() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_shrink_and_never_overflow() {
        assert_eq!(Clock::new(100.0).real(30_000), Duration::from_millis(300));
        assert_eq!(Clock::new(1e-300).real(u64::MAX), Duration::from_secs(1_000_000_000));
    }
}
