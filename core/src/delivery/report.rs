//! What a device tells its shard of its deliveries, and what it is answered.

use super::lane::Unreported;
use crate::clock::Time;
use crate::integration::stored::Reason;
use serde::{Deserialize, Serialize};

/// One outcome. Told again after a crash, it is known by its attempt's id, or by device and `to`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Report {
    Attempt(Box<Unreported>),
    /// Events that will not be attempted any more.
    Passed(Passed),
}

/// Events of one device that an integration will not get.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passed {
    pub integration: String,
    pub device: String,
    pub at: Time,
    /// The last of them.
    pub to: u64,
    pub count: u64,
    pub why: Why,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Why {
    /// Retention took them first.
    Expired,
    /// The integration was resumed from a later time.
    Skipped,
}

/// What the shard makes of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The integration is to pause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause: Option<Reason>,
}
