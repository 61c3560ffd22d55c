//! The device's log: what is asked of a Device object for an event, what it answers, and what a row holds.
//!
//! Everything here crosses an object call (`crossing.rs` says how) or lies in a row. Not here: SQL, which is in
//! `src/device/`.

mod crossing;
mod recent;
mod state;

pub use recent::{Known, RECENT_MAX, Recent};
pub use state::{DeviceState, ONLINE_WITHIN};

use crate::clock::Time;
use crate::delivery::ahead::Ahead;
use crate::event::{DedupKey, Event};
use crate::home::{Home, Way};
use crate::json;
use crate::problem::{Code, Problem};
use crate::reply::Framing;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// One object call: the events of one device, in order.
#[derive(Debug)]
pub struct Accept {
    pub device: String,
    pub at: Time,
    pub entries: Vec<Entry>,
    /// What integrations for these events have ahead of the clock: of a clock that is right, nothing.
    pub ahead: Vec<Ahead>,
}

/// One event as its row will hold it.
#[derive(Debug)]
pub struct Entry {
    pub key: String,
    pub event: String,
    pub data: String,
    pub details: Details,
    pub plan: Plan,
    /// The device reports its state with this event.
    pub report: bool,
    /// What is to be known of the source it came through.
    pub way: Way,
}

/// How the reply to an event comes about.
#[derive(Debug)]
pub enum Plan {
    /// It is decided: as [`crate::reply::Reply::to_stored`] writes it.
    Said(String),
    /// What is due to the device, or nothing.
    Due { framing: Framing, budget: usize },
    /// A response template, JSON text, that has a place for what is due.
    Template { template: Box<RawValue>, framing: Framing, budget: usize },
}

/// Stands in a row for a reply that is composed anew for each repeat.
pub const LIVE: &str = "!";
/// Stands in a row for the reply to an event that did not come by the device's own way in: should the same one come by
/// it too, it is heard and told then.
pub const UNHEARD: &str = "?";

/// The object's answer, an outcome for each entry in order.
#[derive(Debug, PartialEq, Eq)]
pub struct Accepted {
    pub outcomes: Vec<Outcome>,
}

/// What became of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Committed under this sequence number.
    New { seq: u64, reply: String, live: bool },
    /// Known already, under this sequence number.
    Duplicate { seq: u64, reply: String, live: bool },
    /// Not kept: the device is over its rate for so many seconds.
    Limited { wait: u32 },
}

impl Outcome {
    /// Seconds that the device has to wait, where it was refused for its rate.
    pub fn wait(&self) -> Option<u32> {
        match self {
            Outcome::Limited { wait } => Some(*wait),
            Outcome::New { .. } | Outcome::Duplicate { .. } => None,
        }
    }

    /// The reply as [`crate::reply::Reply::to_stored`] writes it, and whether twin or commands are in it: such a one is
    /// never put in KV, since a repeat is told what is due by then.
    pub fn reply(&self) -> (&str, bool) {
        match self {
            Outcome::New { reply, live, .. } | Outcome::Duplicate { reply, live, .. } => (reply, *live),
            Outcome::Limited { .. } => ("", false),
        }
    }
}

/// The columns of a row that no query looks at, kept as one JSON text.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Details {
    pub id: String,
    pub coreid: String,
    pub published_at: Time,
    pub source: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fw_version: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub userid: Option<String>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub derived: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transform_error: Option<String>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub reply_too_large: bool,
    /// What of a report was left out: [`crate::twin::Reported::error`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report_error: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extra: Option<Box<RawValue>>,
    /// How many deliveries it had come through (`fieldhook-hop`).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub hops: u32,
    /// The fleet's log could not hold the event; the device's own log has it whole.
    #[serde(default, skip_serializing_if = "is_false")]
    pub truncated: bool,
}

impl Details {
    /// Of an event that says nothing but what every event says.
    ///
    /// ```
    /// use fieldhook_core::clock::Time;
    /// use fieldhook_core::log::Details;
    /// let details = Details::plain("1", "e00fce68", Time::from_millis(0), "default");
    /// assert_eq!((details.coreid.as_str(), details.hops), ("e00fce68", 0));
    /// ```
    pub fn plain(id: &str, coreid: &str, published_at: Time, source: &str) -> Self {
        Details {
            id: id.to_owned(),
            coreid: coreid.to_owned(),
            published_at,
            source: source.to_owned(),
            product_id: None,
            fw_version: None,
            userid: None,
            derived: false,
            raw: None,
            transform_error: None,
            reply_too_large: false,
            report_error: None,
            media_type: None,
            extra: None,
            hops: 0,
            truncated: false,
        }
    }

    /// As a row holds them, with what came of the event.
    ///
    /// # Errors
    /// None that can be met: everything in it is text.
    ///
    /// ```
    /// use fieldhook_core::clock::Time;
    /// use fieldhook_core::log::Details;
    /// let details = Details::plain("1", "e00fce68", Time::from_millis(0), "default");
    /// assert!(!details.to_row(false, None).unwrap().get().contains("report_error"));
    /// assert!(details.to_row(true, Some("bad-ack")).unwrap().get().ends_with(r#""report_error":"bad-ack"}"#));
    /// ```
    pub fn to_row(&self, too_large: bool, report_error: Option<&str>) -> serde_json::Result<Box<RawValue>> {
        if !too_large && report_error.is_none() {
            return serde_json::value::to_raw_value(self);
        }
        let mut details = self.clone();
        details.reply_too_large |= too_large;
        details.report_error = report_error.map(str::to_owned).or(details.report_error);
        serde_json::value::to_raw_value(&details)
    }

    /// Without what a device can make as long as it likes.
    pub fn truncated(self) -> Self {
        let shortened = |text: String| text.chars().take(256).collect::<String>();
        Details {
            id: shortened(self.id),
            raw: None,
            extra: None,
            product_id: self.product_id.map(shortened),
            fw_version: self.fw_version.map(shortened),
            userid: self.userid.map(shortened),
            transform_error: self.transform_error.map(shortened),
            media_type: self.media_type.map(shortened),
            truncated: true,
            ..self
        }
    }
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

fn is_false(flag: &bool) -> bool {
    !flag
}

impl Entry {
    /// Whether it takes part in the dialogue of a device.
    pub fn is_admitted(&self, device: &DeviceState) -> bool {
        Home::admits(device.home.as_ref(), &self.details.source, self.way)
    }

    /// The row of an event. No plan says that the rendered reply was too large.
    pub fn new(event: Event, plan: Option<Plan>, report: bool, way: Way) -> Self {
        Entry {
            key: event.key.as_str().to_owned(),
            event: event.name.as_str().to_owned(),
            data: event.data,
            report,
            way,
            details: Details {
                id: event.id,
                coreid: event.device.as_str().to_owned(),
                published_at: event.published_at,
                source: event.source.as_str().to_owned(),
                product_id: event.product_id,
                fw_version: event.fw_version,
                userid: event.userid,
                derived: event.derived,
                raw: event.raw,
                transform_error: event.transform_error,
                reply_too_large: plan.is_none(),
                report_error: None,
                media_type: event.media_type,
                extra: event.extra,
                hops: event.hops,
                truncated: false,
            },
            plan: plan.unwrap_or(Plan::Said(String::new())),
        }
    }
}

/// A row as it is read.
#[derive(Debug)]
pub struct Row {
    pub seq: u64,
    pub received_at: Time,
    pub event: String,
    pub data: String,
    /// [`Details`] as JSON.
    pub details: String,
}

/// An event as every reader sees it (DESIGN.md, "Shapes").
#[derive(Debug, Serialize)]
pub struct View {
    pub seq: u64,
    pub id: String,
    pub event: String,
    pub data: Box<RawValue>,
    pub coreid: String,
    pub published_at: String,
    pub received_at: String,
    pub source: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fw_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub userid: Option<String>,
    #[serde(skip_serializing_if = "is_false")]
    pub derived: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transform_error: Option<String>,
    #[serde(skip_serializing_if = "is_false")]
    pub reply_too_large: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report_error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extra: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "is_false")]
    pub truncated: bool,
}

impl Row {
    /// The row as it is shown: data and raw as JSON where they are.
    ///
    /// # Errors
    /// `internal` for a row that this version cannot read.
    pub fn view(self) -> Result<View, Problem> {
        let details: Details = json::read(&self.details)
            .map_err(|_| Problem::new(Code::Internal, format!("the row {} cannot be read", self.seq)))?;
        Ok(details.view(self.seq, self.received_at, &self.event, &self.data))
    }
}

impl Details {
    /// The event they belong to, as every reader sees it.
    pub fn view(self, seq: u64, received_at: Time, event: &str, data: &str) -> View {
        let details = self;
        View {
            seq,
            id: details.id,
            event: event.to_owned(),
            data: json::shown(data),
            coreid: details.coreid,
            published_at: details.published_at.to_string(),
            received_at: received_at.to_string(),
            source: details.source,
            product_id: details.product_id,
            fw_version: details.fw_version,
            userid: details.userid,
            derived: details.derived,
            raw: details.raw.as_deref().map(json::shown),
            transform_error: details.transform_error,
            reply_too_large: details.reply_too_large,
            report_error: details.report_error,
            media_type: details.media_type,
            extra: details.extra,
            truncated: details.truncated,
        }
    }
}

/// The key of an event as it stands in KV.
///
/// The prefix makes room for a change of the value's form.
pub fn kv_key(key: &DedupKey) -> String {
    format!("r1:{key}")
}
