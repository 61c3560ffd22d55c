//! What was counted, day by day (DESIGN.md, "Reading": `/v1/stats`). Events are counted from the shards' logs
//! and are exact; the rest is counted at the edge, per isolate, and approximate.

use super::minutes::Minutes;
use crate::clock::Time;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How long an isolate counts before it tells a shard, milliseconds.
pub const FLUSH_EVERY: i64 = 10_000;

const DAY: i64 = 86_400_000;

/// A day, as days since 1970 in UTC.
pub fn day_of(at: Time) -> i64 {
    at.millis() / DAY
}

/// The counts of one day, or of ten seconds of an isolate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Events that are in a log.
    pub events: u64,
    /// Repeats that were recognised, at the edge or by the device's object.
    pub duplicates: u64,
    /// Requests that were not proven, and what was no event.
    pub refused: u64,
    /// What was over a rate and is not kept: requests to `/hook`, and items of batches of which others were taken.
    #[serde(default)]
    pub limited: u64,
    /// Answers of 500 and above.
    pub errors: u64,
}

impl Counts {
    pub fn is_nothing(&self) -> bool {
        *self == Counts::default()
    }

    pub fn add(&mut self, other: &Counts) {
        self.events = self.events.saturating_add(other.events);
        self.duplicates = self.duplicates.saturating_add(other.duplicates);
        self.refused = self.refused.saturating_add(other.refused);
        self.limited = self.limited.saturating_add(other.limited);
        self.errors = self.errors.saturating_add(other.errors);
    }
}

/// Counts by day, of one shard or of all.
pub type Days = BTreeMap<i64, Counts>;

/// A day as it is written, `2026-11-22`.
///
/// ```
/// assert_eq!(fieldhook_core::fleet::stats::date_of(20_000), "2024-10-04");
/// ```
pub fn date_of(day: i64) -> String {
    Time::from_millis(day.saturating_mul(DAY)).to_string().chars().take(10).collect()
}

/// How many devices there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Devices {
    /// Heard, or written to.
    pub known: u64,
    /// Heard within the last 15 minutes.
    pub online: u64,
}

/// What one shard tells, or all of them. A shard that was never written to tells `{}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Stats {
    pub days: Days,
    pub minutes: Minutes,
    pub devices: Devices,
}

impl Stats {
    pub fn add(&mut self, other: &Stats) {
        for (day, counts) in &other.days {
            self.days.entry(*day).or_default().add(counts);
        }
        self.minutes.add(&other.minutes);
        self.devices.known = self.devices.known.saturating_add(other.devices.known);
        self.devices.online = self.devices.online.saturating_add(other.devices.online);
    }

    /// As `GET /v1/stats` shows it: days newest first, minutes oldest first, the last of them under way.
    ///
    /// ```
    /// use fieldhook_core::clock::Time;
    /// use fieldhook_core::fleet::stats::{Counts, Stats};
    /// let mut stats = Stats::default();
    /// stats.days.insert(20_000, Counts { events: 3, ..Counts::default() });
    /// stats.minutes.count(Time::from_millis(60_000));
    /// assert_eq!(
    ///     stats.show(Time::from_millis(125_000)),
    ///     concat!(
    ///         r#"{"days":[{"day":"2024-10-04","events":3,"duplicates":0,"refused":0,"limited":0,"errors":0}],"#,
    ///         r#""minutes":{"from":"1970-01-01T00:00:00.000Z","events":[0,1,0]},"devices":{"known":0,"online":0}}"#,
    ///     )
    /// );
    /// ```
    pub fn show(&self, now: Time) -> String {
        let days: Vec<String> = self.days.iter().rev().map(|(day, counts)| show_day(*day, counts)).collect();
        let (from, events) = self.minutes.told(now);
        let events: Vec<String> = events.iter().map(u64::to_string).collect();
        let Devices { known, online } = self.devices;
        format!(
            r#"{{"days":[{}],"minutes":{{"from":"{from}","events":[{}]}},"devices":{{"known":{known},"online":{online}}}}}"#,
            days.join(","),
            events.join(","),
        )
    }
}

fn show_day(day: i64, counts: &Counts) -> String {
    let Counts { events, duplicates, refused, limited, errors } = counts;
    format!(
        r#"{{"day":"{}","events":{events},"duplicates":{duplicates},"refused":{refused},"limited":{limited},"errors":{errors}}}"#,
        date_of(day),
    )
}
