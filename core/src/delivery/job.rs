//! Work on many devices' lanes that a shard hands out a little at a time: replays, and waking what was paused
//! (DESIGN.md, "Delivery": "202 with a job run at a bounded rate").

use crate::clock::Time;
use serde::{Deserialize, Serialize};

/// How often a shard hands out work, milliseconds.
pub const TICK: i64 = 1_000;
/// Devices that are woken in one tick: each is one object call.
pub const WAKE_PER_TICK: u64 = 50;
/// How long a job that has ended can be asked for, milliseconds.
pub const KEPT_FOR: i64 = 7 * 86_400_000;
/// The most jobs that a shard works on at a time.
pub const JOBS_MAX: u64 = 100;

/// One job, as a shard's share of it lies in a row.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Job {
    pub id: String,
    pub integration: String,
    pub task: Task,
    pub started_at: Time,
    /// The configuration that made it, at least: a device that does not know it yet asks for it.
    pub version: u64,
    /// Only this device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// It has come to this device, and in its log to this event.
    #[serde(default)]
    pub after_device: String,
    #[serde(default)]
    pub after_seq: u64,
    /// Events handed out so far.
    #[serde(default)]
    pub queued: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Time>,
}

/// What is to be done on each device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// Go on where a pause left off.
    Wake,
    /// Deliver again what was accepted from one time to another, both included.
    Range { from: Time, to: Time },
    /// Deliver again what was given up.
    Parked,
    /// Deliver this event of `device` again.
    Event { seq: u64 },
}

/// What a device is asked for a job.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ask {
    pub integration: String,
    pub job: String,
    pub version: u64,
    pub events: Events,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Events {
    /// None: only look what there is to do.
    None,
    /// These, as far as the log still has them.
    These(Vec<u64>),
    /// At most `limit` of those the integration is for, behind an event, from one time to another.
    Between { from: Time, to: Time, after: u64, limit: u64 },
}

/// What the device took.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    pub events: u64,
    /// The last of them; there may be more behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more_behind: Option<u64>,
}
