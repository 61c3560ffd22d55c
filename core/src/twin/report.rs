//! What a device says of itself: a merge patch with `_v` and `_ack` in it.
//!
//! A report never fails. It is an event that has been accepted; what of it makes no sense is left out and
//! named in [`Reported::ignored`].

use super::document::{self, Doc, Members, Patch};
use super::node::{self, Node, Nodes, What};
use super::{Applied, DEPTH_MAX, IN_FLIGHT, Path, Twin, VERSION_MAX, room};
use crate::canonical::{self, Invalid};
use crate::clock::Time;
use crate::json;
use serde_json::value::RawValue;
use std::collections::{BTreeMap, BTreeSet};

/// How many bytes of keys that a device has deleted are remembered with their times.
const FORGOTTEN_MAX: usize = 2048;

/// What became of a report.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reported {
    /// The commands that the device says it has done, whenever it said so.
    pub acks: Vec<u64>,
    /// Keys were left alone because a newer report has written them.
    pub stale: bool,
    pub ignored: Vec<Ignored>,
}

impl Reported {
    /// What was left out, for the event's row: mostly one code, else with spaces between.
    pub fn error(&self) -> Option<String> {
        let codes: Vec<&str> = self.ignored.iter().map(|ignored| ignored.as_str()).collect();
        (!codes.is_empty()).then(|| codes.join(" "))
    }
}

/// A part of a report that was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ignored {
    /// All of it: it is not a JSON object.
    Report,
    /// `_v` is not a version.
    Version,
    /// `_ack` is not a list of ids, or holds something else beside them.
    Ack,
    /// The values: nested deeper than a section may be, or not readable.
    TooDeep,
    /// Some values: the reported section has no room for all that the device has.
    TooLarge,
}

impl Ignored {
    /// The code in the event's row.
    pub fn as_str(self) -> &'static str {
        match self {
            Ignored::Report => "not-an-object",
            Ignored::Version => "bad-version",
            Ignored::Ack => "bad-ack",
            Ignored::TooDeep => "too-deep",
            Ignored::TooLarge => "too-large",
        }
    }
}

impl Twin {
    /// Takes in a report. `published_at` counts at most as `now`.
    ///
    /// ```
    /// use fieldhook_core::{clock::Time, twin::{Ignored, Twin}};
    /// let at = Time::from_millis;
    /// let mut twin = Twin::default();
    /// let reported = twin.apply_report(r#"{"t":21.50,"_v":"x","_ack":[1,2]}"#, at(9), at(10));
    /// assert_eq!(twin.reported(), r#"{"t":21.50}"#);
    /// assert_eq!((reported.acks, reported.ignored), (vec![1, 2], vec![Ignored::Version]));
    /// // Older than what is known of this key.
    /// assert!(twin.apply_report(r#"{"t":3}"#, at(8), at(10)).stale);
    /// assert_eq!(twin.reported(), r#"{"t":21.50}"#);
    /// ```
    pub fn apply_report(&mut self, data: &str, published_at: Time, now: Time) -> Reported {
        let at = published_at.min(now);
        self.forget_future(now);
        let mut outcome = Reported::default();
        let Ok(mut members) = canonical::members(data) else {
            outcome.ignored.push(Ignored::Report);
            return outcome;
        };
        let claim = members.remove("_v").and_then(|raw| {
            // A version that was given out here is one, however large it has become.
            let v = raw.get().parse::<u64>().ok().filter(|v| *v <= VERSION_MAX.max(self.version));
            if v.is_none() {
                outcome.ignored.push(Ignored::Version);
            }
            v
        });
        if let Some(raw) = members.remove("_ack") {
            let (ids, whole) = acks(raw);
            outcome.acks = ids;
            if !whole {
                outcome.ignored.push(Ignored::Ack);
            }
        }
        let said = match self.merge_report(members, at, &mut outcome) {
            Ok(said) => Some(said),
            Err(ignored) => {
                outcome.ignored.push(ignored);
                None
            }
        };
        self.settle(said, claim, at);
        outcome
    }

    /// Merges the values of a report, and returns those that were not stale.
    fn merge_report(
        &mut self,
        members: BTreeMap<String, &RawValue>,
        at: Time,
        outcome: &mut Reported,
    ) -> Result<BTreeMap<String, Patch>, Ignored> {
        let read = |(key, raw)| Patch::read(raw, DEPTH_MAX - 1).map(|patch| (key, patch));
        let read: Result<BTreeMap<_, _>, Invalid> = members.into_iter().map(read).collect();
        let mut patch = read.map_err(|_| Ignored::TooDeep)?;
        let all = patch.len();
        patch.retain(|key, _| at >= *self.heard.get(key).unwrap_or(&self.heard_floor));
        outcome.stale = patch.len() < all;
        if patch.is_empty() {
            return Ok(patch);
        }
        for (key, patch) in &patch {
            document::merge(&mut self.reported, key, patch);
            if let Some(node) = self.desired.get_mut(key) {
                reveal(node, Said::Value(patch));
            }
        }
        if room::make(&mut self.reported, &mut self.desired) {
            outcome.ignored.push(Ignored::TooLarge);
        }
        self.reported_version += 1;
        self.heard.extend(patch.keys().map(|key| (key.clone(), at)));
        self.forget_times();
        Ok(patch)
    }

    /// Bounds what is remembered of keys that are gone; an older report than the forgotten ones no longer
    /// makes new keys.
    fn forget_times(&mut self) {
        let absent = |(key, _): &(&String, &Time)| {
            !self.reported.contains_key(*key) && !self.desired.contains_key(*key)
        };
        let mut absent: Vec<(Time, String)> =
            self.heard.iter().filter(absent).map(|(key, at)| (*at, key.clone())).collect();
        absent.sort();
        let mut size: usize = absent.iter().map(|(_, key)| key.len()).sum();
        for (at, key) in absent {
            if size <= FORGOTTEN_MAX {
                break;
            }
            size -= key.len();
            self.heard.remove(&key);
            self.heard_floor = self.heard_floor.max(at);
        }
    }

    /// Draws from a report what it proves about desired keys. `said` is `None` if its values were ignored.
    fn settle(&mut self, said: Option<BTreeMap<String, Patch>>, claim: Option<u64>, at: Time) {
        if let Some(v) = claim.filter(|v| *v > self.version) {
            // The device has applied what is not known here: this twin has been deleted since. It drops
            // every `v` below its own, so the versions continue behind it.
            self.version = v;
            if !self.desired.is_empty() {
                node::restamp(&mut self.desired, v + 1);
                self.made();
            }
        }
        let newest = claim.filter(|_| self.applied.is_none_or(|applied| at >= applied.at));
        let lost = newest.is_some_and(|v| self.applied.is_some_and(|applied| v < applied.v));
        if let Some(v) = newest {
            self.applied = Some(Applied { v, at });
        }
        let mut settle = Settle {
            at,
            v: self.claimed(),
            claimed_at: self.applied.map_or(at, |applied| applied.at),
            newest: newest.is_some(),
            lost,
            // A device that claims no version cannot claim a wrong one: if it holds something else after
            // all, that shows as soon as it reports it. So its word counts at once.
            lenient: if claim.is_some() { 0 } else { IN_FLIGHT },
            whole: said.is_some(),
            reported: &self.reported,
            heard: &self.heard,
            path: Path::new(),
            gone: Vec::new(),
        };
        let said = Patch::Object(said.unwrap_or_default());
        settle.nodes(&mut self.desired, Said::Value(&said));
        let (gone, claimed_at) = (std::mem::take(&mut settle.gone), settle.claimed_at);
        if gone.is_empty() {
            return;
        }
        if gone.iter().any(|path| document::find(&self.reported, path).is_some()) {
            gone.iter().for_each(|path| document::remove(&mut self.reported, path));
            self.reported_version += 1;
        }
        // Also where nothing was reported yet: a report from before must not make these keys.
        let tops: BTreeSet<&String> = gone.iter().filter_map(|path| path.first()).collect();
        for top in tops {
            let heard = self.heard.entry(top.clone()).or_insert(claimed_at);
            *heard = claimed_at.max(*heard);
        }
        self.forget_times();
    }
}

/// What the device says of a key is known, or nothing is there: until it turns out that there is no room for it.
fn reveal(node: &mut Node, said: Said<'_>) {
    if said.anything() {
        node.hidden = false;
        for (key, node) in &mut node.children {
            reveal(node, said.about(key));
        }
    }
}

/// The ids of an `_ack`, and whether there was nothing else in it.
fn acks(raw: &RawValue) -> (Vec<u64>, bool) {
    let Ok(items) = json::read::<Vec<&RawValue>>(raw.get()) else { return (Vec::new(), false) };
    let ids: Vec<u64> = items.iter().filter_map(|item| item.get().parse().ok()).collect();
    let whole = ids.len() == items.len();
    (ids, whole)
}

/// What a report says about one key.
#[derive(Clone, Copy)]
enum Said<'a> {
    Nothing,
    Value(&'a Patch),
    /// Something around the key was deleted or replaced.
    Absent,
}

impl<'a> Said<'a> {
    fn about(self, key: &str) -> Said<'a> {
        match self {
            Said::Nothing => Said::Nothing,
            Said::Value(Patch::Object(members)) => members.get(key).map_or(Said::Nothing, Said::Value),
            Said::Value(_) | Said::Absent => Said::Absent,
        }
    }

    fn anything(self) -> bool {
        !matches!(self, Said::Nothing)
    }
}

/// One pass over the desired keys after a report.
struct Settle<'a> {
    at: Time,
    /// The newest `_v`, and when it was published.
    v: u64,
    claimed_at: Time,
    /// This report is the one that says so.
    newest: bool,
    /// The device has lost what it had applied.
    lost: bool,
    /// By how much the report may be older than a doubt that it settles.
    lenient: i64,
    /// The report's values were read.
    whole: bool,
    reported: &'a Members,
    heard: &'a BTreeMap<String, Time>,
    path: Path,
    /// What the device must have deleted, since it has applied a version in which it was.
    gone: Vec<Path>,
}

impl Settle<'_> {
    fn nodes(&mut self, nodes: &mut Nodes, said: Said<'_>) {
        nodes.retain(|key, node| {
            self.path.push(key.clone());
            let stays = self.node(node, said.about(key));
            self.path.pop();
            stays
        });
    }

    /// Whether the key is still needed.
    fn node(&mut self, node: &mut Node, said: Said<'_>) -> bool {
        let covered = node.covered(self.v);
        if self.lost && !covered && !said.anything() {
            node.doubt = node.doubt.max(Some(self.at));
        }
        let reported = document::find(self.reported, &self.path);
        let present = reported.is_some() || node.hidden;
        let confirmed = match (&node.what, reported) {
            (What::Leaf(desired), Some(Doc::Leaf(reported))) => desired.same(reported),
            (What::Object, reported) => matches!(reported, Some(Doc::Object(_))),
            (What::Gone, _) => !present,
            (What::Leaf(_), _) => false,
        };
        // A tombstone that is dropped too early is not there to show anything.
        let settled = |doubt| if node.is_gone() { self.at > doubt } else { self.is_after(doubt) };
        if said.anything() && node.doubt.is_some_and(settled) {
            node.doubt = None;
        }
        if said.anything() && confirmed && node.doubt.is_none() {
            node.skipped = false;
        }
        let sent = node.sent;
        if covered {
            // Repeated, the reply that carried this would still be heard: its `v` is not below the device's.
            node.doubt = None;
            node.sent = sent.filter(|sent| !said.anything() || self.at <= sent.plus_millis(IN_FLIGHT));
        } else if said.anything() && confirmed {
            node.sent = sent.filter(|sent| !self.is_after(sent.plus_millis(IN_FLIGHT)));
        }
        match node.what {
            What::Object => self.nodes(&mut node.children, said),
            What::Leaf(_) if covered || (confirmed && node.doubt.is_none()) => {
                if covered && self.proves_deletion(said) {
                    self.gone.extend(node.children.keys().map(|key| {
                        let mut path = self.path.clone();
                        path.push(key.clone());
                        path
                    }));
                }
                node.children.clear();
            }
            What::Leaf(_) => {}
            What::Gone => return !self.is_done(node, covered, said, present, sent),
        }
        true
    }

    /// Whether a tombstone has done its work: the device lacks the key.
    fn is_done(
        &mut self,
        node: &Node,
        covered: bool,
        said: Said<'_>,
        present: bool,
        sent: Option<Time>,
    ) -> bool {
        if covered {
            let deleted = self.proves_deletion(said);
            if deleted {
                self.gone.push(self.path.clone());
            }
            let repeated = sent.is_some_and(|sent| self.at <= sent.plus_millis(IN_FLIGHT));
            return (deleted || !present) && !repeated;
        }
        // A device that reports no `_v` but was heard after it was told, and does not have the key.
        let told = self.lenient > 0 && sent.is_some_and(|sent| self.at > sent.plus_millis(IN_FLIGHT));
        !present && node.doubt.is_none() && (said.anything() || told)
    }

    /// Whether the device has deleted a key that was deleted in a version it claims to have applied: nothing
    /// that it said in that report or later says otherwise.
    fn proves_deletion(&self, said: Said<'_>) -> bool {
        let heard = self.path.first().and_then(|top| self.heard.get(top));
        if self.newest {
            self.whole && !said.anything() && heard <= Some(&self.claimed_at)
        } else {
            heard < Some(&self.claimed_at)
        }
    }

    fn is_after(&self, doubt: Time) -> bool {
        self.at > doubt.plus_millis(-self.lenient)
    }
}
