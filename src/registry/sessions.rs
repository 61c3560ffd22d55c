//! The Registry's memory of sessions that were ended before their time. Of those that run, nothing is stored.

use super::Registry;
use crate::isolate::now;
use crate::sqlite::{self, integer};
use fieldhook_core::clock::SKEW;
use fieldhook_core::problem::{Code, Problem, Result};

/// The most that are remembered, each for twelve hours at most. None gives way to another: its cookie would open again.
const ENDED_MAX: u64 = 10_000;
/// Of these the ones of readers, who else could keep an admin from ending a session.
const ENDED_MAX_READ: u64 = 5_000;

impl Registry {
    pub(super) fn end(&self, id: &str, until: u64, is_admin: bool) -> Result<String> {
        self.schema.prepare(&self.sql)?;
        let passed = u64::try_from(now().millis().saturating_sub(SKEW)).unwrap_or(0);
        sqlite::run(&self.sql, "DELETE FROM ended_sessions WHERE until < ?", vec![integer(passed)])?;
        let most = if is_admin { ENDED_MAX } else { ENDED_MAX_READ };
        let count = sqlite::first(&self.sql, "SELECT count(*) FROM ended_sessions", Vec::new())?;
        if count.map_or(0, |mut columns| columns.unsigned()) >= most {
            let why = "too many sessions were ended today; this one ends by itself, or with its token";
            return Err(Problem::new(Code::LimitReached, why));
        }
        let insert = "INSERT OR IGNORE INTO ended_sessions (id, until) VALUES (?, ?)";
        sqlite::run(&self.sql, insert, vec![id.into(), integer(until)])?;
        Ok(String::new())
    }

    pub(super) fn has_ended(&self, id: &str) -> Result<String> {
        let found = match self.schema.exists(&self.sql)? {
            true => sqlite::first(&self.sql, "SELECT 1 FROM ended_sessions WHERE id = ?", vec![id.into()])?,
            false => None,
        };
        Ok(u8::from(found.is_some()).to_string())
    }
}
