//! How many streams one address may open, and have open (DESIGN.md, "Streams").

use crate::problem::{Code, Problem, Result};
use crate::settings::STREAM_WINDOW;
use serde::{Deserialize, Serialize};

/// What the hub counts by.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Limits {
    /// See [`super::request::counted_address`].
    pub address: String,
    pub opens: u32,
    pub max: u32,
}

/// What the hub has counted.
#[derive(Debug, Clone, Copy)]
pub struct Counted {
    /// Open now.
    pub open: u32,
    /// Opened in the window.
    pub opened: u32,
    /// When the window's first was opened, seconds.
    pub first: i64,
}

/// Seconds to wait where too many are open: nobody knows when one will end.
const WAIT: u32 = 10;

/// # Errors
/// `too-many-streams`, with when to try again.
pub fn admit(limits: &Limits, counted: Counted, now: i64) -> Result<()> {
    if counted.open >= limits.max {
        let detail = format!("{} are open (STREAM_MAX); end one", counted.open);
        return Err(Problem::passing(Code::TooManyStreams, WAIT, detail));
    }
    if counted.opened >= limits.opens {
        let detail = format!("{} were opened in {STREAM_WINDOW} s (STREAM_OPENS)", counted.opened);
        let wait = (counted.first + STREAM_WINDOW - now).clamp(1, STREAM_WINDOW);
        return Err(Problem::passing(Code::TooManyStreams, u32::try_from(wait).unwrap_or(WAIT), detail));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_ends_when_the_first_open_leaves_the_window() {
        let limits = Limits { address: "a".into(), opens: 3, max: 2 };
        let counted = |open, opened| Counted { open, opened, first: 1_000 };
        assert!(admit(&limits, counted(1, 2), 1_100).is_ok());
        let wait = |open, opened, now| admit(&limits, counted(open, opened), now).unwrap_err().retry_after();
        assert_eq!(wait(0, 3, 1_100), Some(200));
        assert_eq!(wait(0, 3, 1_300), Some(1));
        assert_eq!(wait(2, 2, 1_100), Some(10));
    }
}
