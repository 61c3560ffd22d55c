//! The snapshot of all configuration that every isolate caches, and when it is asked for anew
//! (DESIGN.md, "One idea": at most 10 s old).

use crate::clock::Time;
use crate::delivery::ahead::Ahead;
use crate::event::SourceName;
use crate::integration::{Listed, Stored};
use crate::json;
use crate::log::Entry;
use crate::problem::{Code, Problem, Result};
use crate::source::{self, Source};
use crate::transform::{self, Transform};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// From this age on the snapshot is refreshed beside the requests it serves, milliseconds.
pub const REFRESH_AFTER: i64 = 5_000;
/// From this age on a request waits for a fresh one, milliseconds.
pub const STALE_AFTER: i64 = 10_000;
/// While the Registry does not answer, a stale snapshot serves and this long passes between attempts.
pub const RETRY_AFTER: i64 = 1_000;

/// A named definition as it is stored.
#[derive(Debug, Serialize, Deserialize)]
pub struct Named<D> {
    pub name: String,
    pub definition: D,
}

/// What the Registry object answers.
#[derive(Debug, Serialize, Deserialize)]
pub struct Document {
    pub version: u64,
    /// The most shards that there ever were.
    #[serde(default = "one")]
    pub shards: u32,
    pub sources: Vec<Named<source::Definition>>,
    /// In order of creation.
    pub transforms: Vec<Named<transform::Definition>>,
    /// Each with its id, in order of creation: one that cannot be read must not take the rest along.
    #[serde(default)]
    pub integrations: Vec<(String, Box<RawValue>)>,
    /// The hosts under which integrations were defined: this deployment's own.
    #[serde(default)]
    pub hosts: Vec<String>,
}

fn one() -> u32 {
    1
}

/// All configuration, parsed.
#[derive(Debug, Default)]
pub struct Snapshot {
    pub version: u64,
    /// The most shards that there ever were: a reader asks them all, so that fewer shards lose no history.
    pub shards: u32,
    sources: BTreeMap<String, Source>,
    pub transforms: Vec<Transform>,
    /// In order of creation. Their secrets are sealed: see [`Listed`].
    pub integrations: Vec<Listed>,
    /// Integrations that are stored and cannot be read, and why: nothing is delivered for them, and nothing of them is
    /// given up.
    pub damaged: Vec<(String, String)>,
    /// The hosts that are this deployment itself: never a target.
    pub hosts: Vec<String>,
    /// The last change of an integration that says from when on it is for what.
    last_change: Option<Time>,
    /// What a source that nobody defined is.
    plain: Source,
}

impl Snapshot {
    /// # Errors
    /// `unavailable` if any of it cannot be read: half a configuration could be an open door.
    pub fn parse(text: &str) -> Result<Self> {
        let cannot = |what: &str| Problem::new(Code::Unavailable, format!("the configuration {what}"));
        let document: Document = json::read(text).map_err(|_| cannot("cannot be read"))?;
        let mut snapshot =
            Snapshot { version: document.version, shards: document.shards, ..Snapshot::default() };
        for Named { name, definition } in &document.sources {
            let source = Source::compile(definition).map_err(|_| cannot("has a source that is damaged"))?;
            snapshot.sources.insert(name.clone(), source);
        }
        for Named { name, definition } in &document.transforms {
            let transform = Transform::compile(name, definition)
                .map_err(|_| cannot("has a transform that is damaged"))?;
            snapshot.transforms.push(transform);
        }
        for (id, json) in document.integrations {
            match read_integration(&json) {
                Ok(listed) => snapshot.integrations.push(listed),
                Err(why) => snapshot.damaged.push((id, why)),
            }
        }
        snapshot.last_change = snapshot.integrations.iter().filter_map(Listed::last_change).max();
        snapshot.hosts = document.hosts;
        Ok(snapshot)
    }

    /// The source's settings; an unknown name is a plain label.
    pub fn source(&self, name: &SourceName) -> &Source {
        self.sources.get(name.as_str()).unwrap_or(&self.plain)
    }

    pub fn integration(&self, id: &str) -> Option<&Listed> {
        self.integrations.iter().find(|listed| listed.stored.id == id)
    }

    /// What a device's object must be told with events that it accepts now: most often nothing, which one comparison
    /// finds.
    pub fn ahead_of(&self, now: Time, entries: &[Entry]) -> Vec<Ahead> {
        if self.last_change.is_none_or(|last| last < now) {
            return Vec::new();
        }
        let is_for = |listed: &&Listed| entries.iter().any(|entry| listed.filter.takes_entry(entry));
        self.integrations.iter().filter(is_for).filter_map(|listed| listed.ahead_of(now)).collect()
    }

    /// Whether it is defined at all, be it damaged: what is kept for one that is not can go.
    pub fn has_integration(&self, id: &str) -> bool {
        self.integration(id).is_some() || self.damaged.iter().any(|(damaged, _)| damaged == id)
    }
}

fn read_integration(json: &RawValue) -> std::result::Result<Listed, String> {
    let stored: Stored = json::read(json.get()).map_err(|error| error.to_string())?;
    Listed::of(stored).map_err(|problem| problem.detail)
}

/// What an isolate does about its snapshot before it serves a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// Serve from it.
    Fresh,
    /// Serve from it and refresh beside the request.
    Ageing,
    /// Wait for a fresh one; if there is none to be had, an old one serves.
    Stale,
}

/// Decides by the time of the last success and of the last failure, in milliseconds.
///
/// ```
/// use fieldhook_core::registry::{freshness, Freshness};
/// assert_eq!(freshness(Some(0), Some(0), 4_999), Freshness::Fresh);
/// assert_eq!(freshness(Some(0), Some(0), 5_000), Freshness::Ageing);
/// assert_eq!(freshness(Some(0), None, 10_000), Freshness::Stale);
/// assert_eq!(freshness(Some(0), Some(9_500), 10_000), Freshness::Fresh); // the Registry just failed
/// assert_eq!(freshness(Some(0), Some(9_000), 10_000), Freshness::Stale);
/// assert_eq!(freshness(None, None, 0), Freshness::Stale);
/// ```
pub fn freshness(fetched: Option<i64>, failed: Option<i64>, now: i64) -> Freshness {
    let Some(fetched) = fetched else { return Freshness::Stale };
    let age = now.saturating_sub(fetched);
    let failed_lately = failed.is_some_and(|at| (0..RETRY_AFTER).contains(&now.saturating_sub(at)));
    // A clock that went back makes an age negative: ask again rather than trust it.
    match age {
        _ if failed_lately => Freshness::Fresh,
        0..REFRESH_AFTER => Freshness::Fresh,
        REFRESH_AFTER..STALE_AFTER => Freshness::Ageing,
        _ => Freshness::Stale,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_integration_is_named_and_takes_nothing_along() {
        let one = |id: &str| {
            let definition = r#"{"event":"t","url":"https://example.com/"}"#;
            format!(
                r#"["{id}",{{"id":"{id}","created_at":1,"updated_at":1,"face":"integration","definition":{definition},"from":1}}]"#
            )
        };
        let text = format!(
            r#"{{"version":3,"sources":[],"transforms":[],"integrations":[{},["b",null],["c",{{}}],{}],"hosts":["x.dev"]}}"#,
            one("a"),
            one("d")
        );
        let snapshot = Snapshot::parse(&text).unwrap();
        let ids: Vec<&str> = snapshot.integrations.iter().map(|listed| listed.stored.id.as_str()).collect();
        let damaged: Vec<&str> = snapshot.damaged.iter().map(|(id, _)| id.as_str()).collect();
        assert_eq!((ids, damaged), (vec!["a", "d"], vec!["b", "c"]));
        assert_eq!(snapshot.hosts, ["x.dev"]);
    }

    #[test]
    fn what_was_stored_before_there_were_integrations_is_read() {
        let snapshot = Snapshot::parse(r#"{"version":0,"sources":[],"transforms":[]}"#).unwrap();
        assert!(snapshot.integrations.is_empty());
    }
}
