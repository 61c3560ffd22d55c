//! What a Device object keeps about its device beside the log, and how it is shown.

use super::{Entry, View};
use crate::clock::Time;
use crate::fleet::outbox::Membership;
use crate::home::Home;
use crate::problem::{Code, Problem};
use serde::{Deserialize, Serialize};

/// What a device object keeps about itself beside the log, written only when it changes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceState {
    pub device: String,
    pub first_heard: Option<Time>,
    pub product_id: Option<String>,
    pub fw_version: Option<String>,
    pub userid: Option<String>,
    /// The newest event that retention has removed, so that numbers never start again.
    pub pruned_to: u64,
    pub pruned_last_heard: Option<Time>,
    /// When this life of the device began: one that was deleted and is heard again begins anew.
    #[serde(default)]
    pub born: Option<Time>,
    /// Where its log goes.
    #[serde(default)]
    pub member: Option<Membership>,
    /// Whose its twin and commands are.
    #[serde(default)]
    pub home: Option<Home>,
}

impl DeviceState {
    /// The state after an event, to be stored; `None` where it is what it was, as after most events.
    pub fn after(&self, device: &str, at: Time, entry: &Entry) -> Option<Self> {
        let details = &entry.details;
        let is_known = |new: &Option<String>, old: &Option<String>| new.is_none() || new == old;
        let is_same = self.device == device
            && self.first_heard.is_some()
            && is_known(&details.product_id, &self.product_id)
            && is_known(&details.fw_version, &self.fw_version)
            && is_known(&details.userid, &self.userid)
            && self.home.as_ref().is_some_and(|home| home.stays_after(&details.source, entry.way));
        if is_same {
            return None;
        }
        let newer = |new: &Option<String>, old: &Option<String>| new.clone().or_else(|| old.clone());
        Some(DeviceState {
            device: device.to_owned(),
            first_heard: self.first_heard.or(Some(at)),
            product_id: newer(&details.product_id, &self.product_id),
            fw_version: newer(&details.fw_version, &self.fw_version),
            userid: newer(&details.userid, &self.userid),
            home: Some(Home::after(self.home.as_ref(), &details.source, entry.way)),
            ..self.clone()
        })
    }

    /// As `GET /v1/devices/{id}` shows it: Particle's names, then our own.
    pub fn show(
        &self,
        now: Time,
        last_heard: Option<Time>,
        last_event: Option<View>,
        oldest_seq: Option<u64>,
        newest_seq: u64,
    ) -> Result<String, Problem> {
        #[derive(Serialize)]
        struct Shown<'a> {
            id: &'a str,
            name: &'a str,
            online: bool,
            connected: bool,
            first_heard: Option<String>,
            last_heard: Option<String>,
            product_id: Option<&'a str>,
            firmware_version: Option<&'a str>,
            userid: Option<&'a str>,
            home: Option<&'a str>,
            events: u64,
            oldest_seq: Option<u64>,
            newest_seq: u64,
            last_event: Option<View>,
        }
        let online = last_heard.is_some_and(|at| at.distance(now) <= ONLINE_WITHIN);
        let shown = Shown {
            id: &self.device,
            name: &self.device,
            online,
            connected: online,
            first_heard: self.first_heard.map(|at| at.to_string()),
            last_heard: last_heard.map(|at| at.to_string()),
            product_id: self.product_id.as_deref(),
            firmware_version: self.fw_version.as_deref(),
            userid: self.userid.as_deref(),
            home: self.home.as_ref().map(|home| home.source.as_str()),
            events: newest_seq,
            oldest_seq,
            newest_seq,
            last_event,
        };
        serde_json::to_string(&shown).map_err(|_| Problem::new(Code::Internal, "the device cannot be shown"))
    }
}

/// A device counts as online for this long after its last event, milliseconds. Webhooks do not tell when a
/// device leaves; recency is all there is.
pub const ONLINE_WITHIN: i64 = 15 * 60 * 1000;
