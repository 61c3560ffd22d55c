//! The device twin: what applications desire of a device and what the device reports of itself
//! (DESIGN.md, "Device twin and commands").
//!
//! `desired` is a tree that remembers versions and tombstones (`node`), `reported` a plain document
//! (`document`). `report` takes in what a device says, `room` bounds it, `delta` says what is due to it.
//!
//! Not here: commands ([`crate::commands`]), and what of all this goes into one reply ([`crate::due`]).
//!
//! # Why a complete reply can be believed
//!
//! The device adopts `v` when a reply carries it, and from then on claims to hold every desired leaf up to
//! `v`. That is true only if what the reply left out is really on the device. Replies and reports are lost,
//! repeated and shuffled, so the value last reported is no proof of that while another value of the same key
//! may be on its way or may have arrived since: such a leaf is in `doubt` and due whatever was reported,
//! until the device speaks again. And a reply without `v` cannot be told from an old one by the device, so
//! for [`IN_FLIGHT`] after one no reply carries `v` if something has been written in between.
//!
//! A value that has arrived is reported, so a delta larger than one reply shrinks with each report until the
//! rest is complete. A deletion shows in no report but by `_v`: what a device lacks it does not report, so that two
//! replies which carry nothing but deletions can be told apart, and either be known to have arrived, only by a
//! `v` of their own. Hence a write that deletes much takes more versions than one, a few deletions each; and
//! where the deletions do not fit one reply, `d` is complete up to a lower `v`, as it would have been between two
//! smaller writes, and `more` says that this is not all. The versions are made when the application writes: no
//! reply and no report makes one, or the ETag would change though nobody wrote.
//!
//! What cannot be seen from here, a device must keep to: after it lost its state it reports before it
//! publishes anything else, and takes no reply to what it published before. The loss itself shows in a `_v`
//! that goes down.

mod clock;
mod delta;
mod document;
mod node;
mod report;
mod room;

pub(crate) use delta::Tree;
pub use delta::{Carried, Item, Path};
pub use report::{Ignored, Reported};

use crate::canonical::{Invalid, quoted};
use crate::clock::Time;
use crate::due::Fullness;
use crate::json;
use crate::problem::{Code, Problem, Result};
use crate::settings::REPLY_BUDGET;
use document::{Members, Patch};
use node::{Nodes, Write};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// The largest section, bytes of JSON without space between tokens; in `reported` what is to be deleted counts apart.
pub const SECTION_MAX: usize = 8 * 1024;
/// The most tombstones, bytes: those of a whole section fit, whose `"":1,` grows to `"":null,`.
const TOMBSTONES_MAX: usize = 2 * SECTION_MAX;
/// How deep a section may nest, the section itself counted.
pub const DEPTH_MAX: usize = 8;
/// How long a reply may be on its way, milliseconds. Particle waits 20 s for a webhook's answer and keeps no
/// event for a device that is offline (Particle docs, "Limits"); three times that is on the safe side.
pub const IN_FLIGHT: i64 = 60_000;
/// The largest `_v` beyond the desired version that is believed, so that no device can push the versions out of
/// what devices count with: 32 bits in `firmware/`.
pub const VERSION_MAX: u64 = 1 << 31;
/// The keys of a report that are not part of what is reported.
pub const RESERVED: [&str; 2] = ["_v", "_ack"];
/// The most bytes of deletions that have one version, so that they fit a reply beside something else.
const TOGETHER: usize = 128;
/// What a reply needs around them: `{"v":4294967295,"d":{},"more":1}`, and a frame.
const AROUND: usize = 38;
/// The form of a stored twin.
const FORMAT: u32 = 1;

/// A device's twin.
///
/// ```
/// use fieldhook_core::{clock::Time, reply::Framing, twin::Twin};
/// let at = Time::from_millis;
/// let mut twin = Twin::default();
/// twin.patch_desired(r#"{"interval":60,"led":{"on":true}}"#, None, at(1_000)).unwrap();
/// twin.apply_report(r#"{"interval":60.0,"rssi":-70,"_v":0}"#, at(2_000), at(2_000));
/// assert_eq!(twin.delta(), r#"{"led":{"on":true}}"#);
/// twin.apply_report(r#"{"led":{"on":true},"_v":1}"#, at(3_000), at(3_000));
/// assert_eq!(twin.delta(), "{}");
/// ```
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Twin {
    format: u32,
    version: u64,
    desired: Nodes,
    /// When an application last wrote below each top-level key of `desired`.
    written: BTreeMap<String, Time>,
    reported_version: u64,
    reported: Members,
    /// When the report was published that last changed each top-level key of `reported`; also of keys that
    /// are gone, so that an older report does not bring them back.
    heard: BTreeMap<String, Time>,
    /// What stands for a key that `heard` has forgotten.
    heard_floor: Time,
    /// What the newest report with a `_v` says.
    applied: Option<Applied>,
    unversioned: Option<Unversioned>,
    /// The budget of composed replies.
    #[serde(default = "default_budget")]
    budget: usize,
}

fn default_budget() -> usize {
    REPLY_BUDGET
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Applied {
    v: u64,
    at: Time,
}

/// Replies with desired values but no `v`, as far as they may still be on their way.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Unversioned {
    /// The desired version of the newest one, and when it is no longer on its way.
    version: u64,
    until: Time,
    /// When the last one of an older version is no longer on its way.
    older_until: Time,
}

impl Default for Twin {
    fn default() -> Self {
        let never = Time::from_millis(0);
        Twin {
            format: FORMAT,
            version: 0,
            desired: Nodes::new(),
            written: BTreeMap::new(),
            reported_version: 0,
            reported: Members::new(),
            heard: BTreeMap::new(),
            heard_floor: never,
            applied: None,
            unversioned: None,
            budget: default_budget(),
        }
    }
}

impl Twin {
    /// The version of the desired section, which is the twin's ETag.
    pub fn desired_version(&self) -> u64 {
        self.version
    }

    pub fn reported_version(&self) -> u64 {
        self.reported_version
    }

    /// Says how large replies will be. What is written from then on reaches the device also where its deletions
    /// fit no reply of that size together.
    pub fn expect_budget(&mut self, budget: usize) {
        self.budget = budget;
    }

    /// The newest version that the device says it has applied.
    pub(crate) fn claimed(&self) -> u64 {
        self.applied.map_or(0, |applied| applied.v)
    }

    /// Makes the version after this one the newest, or where it deletes much one of those behind it.
    fn made(&mut self) {
        let together = TOGETHER.min(self.budget.saturating_sub(AROUND));
        self.version = node::spread(&mut self.desired, self.version + 1, together);
    }

    /// What outlives the deletion of the device here, since the device itself may go on: the versions, so that
    /// it does not take a new one for one that it has, and until when an old reply may still reach it.
    pub fn after_deletion(&self) -> Twin {
        Twin {
            version: self.version,
            reported_version: self.reported_version,
            unversioned: self.unversioned,
            ..Twin::default()
        }
    }

    /// Merges a patch (RFC 7396) into the desired section. Every write that is accepted makes a new version,
    /// whether or not it changes a value, and several where it deletes much. `if_match` is the version that the writer has seen.
    ///
    /// ```
    /// use fieldhook_core::{clock::Time, problem::Code, twin::Twin};
    /// let mut twin = Twin::default();
    /// twin.patch_desired(r#"{"a":1,"b":[null]}"#, None, Time::from_millis(0)).unwrap();
    /// twin.patch_desired(r#"{"a":null}"#, Some(1), Time::from_millis(0)).unwrap();
    /// assert_eq!((twin.desired(), twin.desired_version()), (r#"{"b":[null]}"#.to_owned(), 2));
    /// let stale = twin.patch_desired(r#"{"b":2}"#, Some(1), Time::from_millis(0)).unwrap_err();
    /// assert_eq!(stale.code, Code::VersionConflict);
    /// ```
    ///
    /// # Errors
    /// `version-conflict`, `bad-json`, `bad-patch`, `twin-too-deep`, `twin-too-large`; then nothing has
    /// changed.
    pub fn patch_desired(&mut self, patch: &str, if_match: Option<u64>, now: Time) -> Result<()> {
        self.write(patch, if_match, now, |write, nodes, patch, reported| {
            for (key, patch) in patch {
                write.patch(nodes, key, patch, reported.get(key), None);
            }
        })
    }

    /// Replaces the desired section. Keys that the document lacks are deleted on the device too; what stays
    /// the same keeps its version, so that a document which was read, changed and put back writes only what
    /// was changed.
    ///
    /// # Errors
    /// As [`Twin::patch_desired`].
    pub fn put_desired(&mut self, document: &str, if_match: Option<u64>, now: Time) -> Result<()> {
        self.write(document, if_match, now, |write, nodes, document, reported| {
            let reported = document::Doc::Object(reported.clone());
            write.put_members(nodes, document, Some(&reported), None);
        })
    }

    fn write(
        &mut self,
        body: &str,
        if_match: Option<u64>,
        now: Time,
        apply: impl FnOnce(Write, &mut Nodes, &BTreeMap<String, Patch>, &Members),
    ) -> Result<()> {
        if if_match.is_some_and(|version| version != self.version) {
            let why = format!("the desired section has version {}", self.version);
            return Err(Problem::new(Code::VersionConflict, why));
        }
        let patch = read(body)?;
        let mut nodes = self.desired.clone();
        apply(Write { version: self.version + 1 }, &mut nodes, &patch, &self.reported);
        let mut text = String::new();
        node::write(&nodes, &mut text);
        if text.len() > SECTION_MAX {
            let why = format!("the desired section would have {} bytes; {SECTION_MAX} fit", text.len());
            return Err(Problem::new(Code::TwinTooLarge, why));
        }
        if node::tombstone_size(&nodes) > TOMBSTONES_MAX {
            let why = "more deleted keys than are kept wait for the device to delete them too";
            return Err(Problem::new(Code::TwinTooLarge, why));
        }
        self.desired = nodes;
        self.made();
        let live = |key: &String| self.desired.get(key).is_some_and(|node| !node.is_gone());
        // A document that is put also touches the keys it leaves out, and those are no longer live.
        self.written.extend(patch.into_keys().map(|key| (key, now)));
        self.written.retain(|key, _| live(key));
        Ok(())
    }

    /// The desired section, JSON.
    pub fn desired(&self) -> String {
        let mut text = String::new();
        node::write(&self.desired, &mut text);
        text
    }

    /// The reported section, JSON.
    pub fn reported(&self) -> String {
        document::text(&self.reported)
    }

    /// As `GET /v1/devices/{id}/twin` shows it. `deliverable` says of what is due whether a reply can carry
    /// it; the others are listed as JSON Pointers (RFC 6901). `reply` says how full the next one is, if there is one.
    pub fn show(&self, deliverable: impl Fn(&Item) -> bool, reply: Option<Fullness>) -> String {
        #[derive(Serialize)]
        struct Shown {
            desired: Option<Box<RawValue>>,
            reported: Option<Box<RawValue>>,
            versions: Versions,
            timestamps: Timestamps,
            delta: Option<Box<RawValue>>,
            #[serde(skip_serializing_if = "Vec::is_empty")]
            undeliverable: Vec<String>,
            #[serde(skip_serializing_if = "Option::is_none")]
            reply: Option<Fullness>,
        }
        #[derive(Serialize)]
        struct Versions {
            desired: u64,
            reported: u64,
        }
        #[derive(Serialize)]
        struct Timestamps {
            desired: BTreeMap<String, String>,
            reported: BTreeMap<String, String>,
        }
        let times = |times: &BTreeMap<String, Time>, there: &dyn Fn(&String) -> bool| {
            times
                .iter()
                .filter(|(key, _)| there(key))
                .map(|(key, at)| (key.clone(), at.to_string()))
                .collect()
        };
        let raw = |text| RawValue::from_string(text).ok();
        let undeliverable =
            self.due().iter().filter(|item| !deliverable(item)).map(|item| item.pointer()).collect();
        let shown = Shown {
            desired: raw(self.desired()),
            reported: raw(self.reported()),
            versions: Versions { desired: self.version, reported: self.reported_version },
            timestamps: Timestamps {
                desired: times(&self.written, &|_| true),
                reported: times(&self.heard, &|key| self.reported.contains_key(key)),
            },
            delta: raw(self.delta()),
            undeliverable,
            reply,
        };
        serde_json::to_string(&shown).unwrap_or_default()
    }

    /// The twin as one JSON text to store.
    pub fn to_stored(&self) -> Result<String> {
        serde_json::to_string(self).map_err(|_| Problem::new(Code::Internal, "the twin cannot be stored"))
    }

    /// Reads what [`Twin::to_stored`] wrote.
    ///
    /// # Errors
    /// `internal` for a text that this version cannot read.
    pub fn from_stored(text: &str) -> Result<Self> {
        let unreadable = || Problem::new(Code::Internal, "the twin cannot be read");
        let twin: Twin = json::read(text).map_err(|_| unreadable())?;
        if twin.format == FORMAT { Ok(twin) } else { Err(unreadable()) }
    }
}

/// Reads the body of a write to the desired section.
fn read(body: &str) -> Result<BTreeMap<String, Patch>> {
    let raw: &RawValue =
        json::read(body).map_err(|error| Problem::new(Code::BadJson, format!("not valid JSON: {error}")))?;
    if !raw.get().starts_with('{') {
        return Err(Problem::new(Code::BadPatch, "the desired section is a JSON object"));
    }
    let members = document::members(raw.get(), DEPTH_MAX).map_err(|invalid| match invalid {
        Invalid::TooDeep => {
            Problem::new(Code::TwinTooDeep, format!("objects and arrays nest at most {DEPTH_MAX} deep"))
        }
        Invalid::Syntax => Problem::new(Code::BadJson, "not valid JSON: a string holds half a character"),
    })?;
    match RESERVED.iter().find(|key| members.contains_key(**key)) {
        Some(key) => {
            let why = format!("{} has a meaning of its own in reports", quoted(key));
            Err(Problem::field(Code::BadPatch, *key, why))
        }
        None => Ok(members),
    }
}
