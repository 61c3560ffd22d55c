//! Time as the log knows it: milliseconds since 1970 in UTC, read and written as RFC 3339.
//!
//! Not here: the clock itself. It is always passed in.

use serde::{Deserialize, Serialize};
use std::fmt;
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

/// A point in time, in milliseconds since the Unix epoch.
///
/// ```
/// use fieldhook_core::clock::Time;
/// let time = Time::parse("2017-02-01T22:08:05.763+01:00").unwrap();
/// assert_eq!(time.to_string(), "2017-02-01T21:08:05.763Z");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Time(i64);

/// By how much two machines' clocks may differ, milliseconds.
pub const SKEW: i64 = 60_000;

/// 9999-12-31T23:59:59.999Z, the last instant RFC 3339 can write.
const LAST: i64 = 253_402_300_799_999;

impl Time {
    /// Clamped to the years 1970 to 9999, so that it can always be written.
    pub fn from_millis(millis: i64) -> Self {
        Time(millis.clamp(0, LAST))
    }

    pub fn millis(self) -> i64 {
        self.0
    }

    /// Reads RFC 3339, with any offset and any precision; finer than milliseconds is cut off.
    pub fn parse(text: &str) -> Option<Self> {
        let parsed = OffsetDateTime::parse(text.trim(), &Rfc3339).ok()?;
        let millis = parsed.unix_timestamp_nanos().div_euclid(1_000_000);
        let millis = i64::try_from(millis).ok()?;
        (0..=LAST).contains(&millis).then_some(Time(millis))
    }

    pub fn plus_millis(self, millis: i64) -> Self {
        Time::from_millis(self.0.saturating_add(millis))
    }

    /// Whether the clock has been set back since it showed this time, so that to wait for what follows on it could be
    /// to wait for days. The clocks of two machines differ by less.
    ///
    /// ```
    /// use fieldhook_core::clock::Time;
    /// let now = Time::from_millis(1_000_000);
    /// assert!(Time::from_millis(1_060_001).is_ahead_of(now));
    /// assert!(!Time::from_millis(1_060_000).is_ahead_of(now));
    /// ```
    pub fn is_ahead_of(self, now: Time) -> bool {
        self.0 - now.0 > SKEW
    }

    /// The latest time that a clock which is right can show now.
    pub fn with_skew(self) -> Time {
        self.plus_millis(SKEW)
    }

    /// The distance to another time, in milliseconds, never negative.
    pub fn distance(self, other: Time) -> i64 {
        (self.0 - other.0).abs()
    }
}

impl fmt::Display for Time {
    /// `YYYY-MM-DDTHH:MM:SS.mmmZ`, always 24 characters, so that text order is time order.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = i128::from(self.0) * 1_000_000;
        let Ok(at) = OffsetDateTime::from_unix_timestamp_nanos(nanos) else { return Err(fmt::Error) };
        let at = at.to_offset(UtcOffset::UTC);
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
            at.year(),
            u8::from(at.month()),
            at.day(),
            at.hour(),
            at.minute(),
            at.second(),
            at.millisecond()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_no_time_is_none() {
        for text in ["", "now", "2017-02-01", "2017-13-01T00:00:00Z", "1969-12-31T23:59:59Z"] {
            assert_eq!(Time::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn written_and_read_it_is_the_same(millis in 0..=LAST) {
            let time = Time::from_millis(millis);
            prop_assert_eq!(Time::parse(&time.to_string()), Some(time));
            prop_assert_eq!(time.to_string().len(), 24);
        }

        #[test]
        fn no_text_panics(text in ".*") { let _ = Time::parse(&text); }
    }
}
