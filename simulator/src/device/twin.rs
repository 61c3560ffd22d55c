//! What a device holds, which version of the desired state that is, and what it has yet to report.

use serde_json::{Map, Value};

#[derive(Debug, Default)]
pub struct Twin {
    held: Map<String, Value>,
    /// The desired version applied in full.
    version: u64,
    /// The version of the newest report that was heard.
    told: Option<u64>,
    /// A merge patch: what has changed since the last report that was heard.
    unreported: Map<String, Value>,
}

/// What a delta did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    Nothing,
    Changed,
    /// Its version is older than what is held.
    Stale,
}

impl Twin {
    /// Applies a delta. Only one that carries a version is the whole way to that version.
    pub fn apply(&mut self, delta: Option<&Value>, version: Option<u64>) -> Applied {
        if version.is_some_and(|version| version < self.version) {
            return Applied::Stale;
        }
        let before = (self.held.clone(), self.version);
        if let Some(Value::Object(delta)) = delta {
            merge(&mut self.held, delta);
            // Every key that came is reported, also where nothing changed: the server had reason to ask.
            for (key, value) in delta {
                let mut report = self.held.get(key).cloned().unwrap_or(Value::Null);
                let before = self.unreported.get(key);
                for deleted in before.into_iter().chain([value]) {
                    if let (Value::Object(deleted), Value::Object(report)) = (deleted, &mut report) {
                        mention_deleted(report, deleted);
                    }
                }
                self.unreported.insert(key.clone(), report);
            }
        }
        if let Some(version) = version {
            self.version = version;
        }
        if before == (self.held.clone(), self.version) { Applied::Nothing } else { Applied::Changed }
    }

    /// A report was heard: what has not changed since need not be reported again.
    pub fn confirmed(&mut self, patch: &Map<String, Value>, version: u64) {
        self.unreported.retain(|key, value| patch.get(key) != Some(value));
        self.told = self.told.max(Some(version));
    }

    /// Whether any report was heard.
    pub fn is_told(&self) -> bool {
        self.told.is_some()
    }

    pub fn has_news(&self) -> bool {
        !self.unreported.is_empty() || self.told != Some(self.version)
    }

    pub fn unreported(&self) -> &Map<String, Value> {
        &self.unreported
    }

    pub fn version(&self) -> u64 {
        self.version
    }

    pub fn held(&self) -> &Map<String, Value> {
        &self.held
    }

    pub fn get(&self, key: &str) -> Option<&Value> {
        self.held.get(key)
    }
}

/// JSON Merge Patch (RFC 7396): objects merge, `null` deletes, everything else replaces.
fn merge(target: &mut Map<String, Value>, patch: &Map<String, Value>) {
    for (key, value) in patch {
        match value {
            Value::Null => {
                target.remove(key);
            }
            Value::Object(patch) => {
                let slot = target.entry(key.clone()).or_insert(Value::Null);
                if !slot.is_object() {
                    *slot = Value::Object(Map::new());
                }
                if let Value::Object(slot) = slot {
                    merge(slot, patch);
                }
            }
            other => {
                target.insert(key.clone(), other.clone());
            }
        }
    }
}

/// A report is a merge patch too: what a delta deleted inside an object has to be named in it as `null`.
fn mention_deleted(report: &mut Map<String, Value>, delta: &Map<String, Value>) {
    for (key, value) in delta {
        match (value, report.get_mut(key)) {
            (Value::Null, None) => {
                report.insert(key.clone(), Value::Null);
            }
            (Value::Object(delta), Some(Value::Object(report))) => mention_deleted(report, delta),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn twin(steps: &[(Value, Option<u64>)]) -> Twin {
        let mut twin = Twin::default();
        for (delta, version) in steps {
            twin.apply(Some(delta), *version);
        }
        twin
    }

    fn shown(map: &Map<String, Value>) -> Value {
        Value::Object(map.clone())
    }

    #[test]
    fn a_delta_is_a_merge_patch_and_what_it_did_is_reported() {
        let twin =
            twin(&[(json!({"a":{"b":1,"c":2},"x":1}), Some(1)), (json!({"a":{"b":null},"x":null}), Some(2))]);
        assert_eq!(shown(twin.held()), json!({"a":{"c":2}}));
        assert_eq!(shown(twin.unreported()), json!({"a":{"b":null,"c":2},"x":null}));
        assert_eq!(twin.version(), 2);
    }

    #[test]
    fn what_was_deleted_stays_mentioned_until_it_was_heard() {
        let held = (json!({"a":{"b":1,"c":2}}), None);
        let twin = twin(&[held, (json!({"a":{"b":null}}), Some(1)), (json!({"a":{"c":3}}), Some(2))]);
        assert_eq!(shown(twin.unreported()), json!({"a":{"b":null,"c":3}}));
    }

    #[test]
    fn a_partial_delta_changes_values_and_no_version() {
        let mut twin = twin(&[(json!({"a":1}), Some(3))]);
        assert_eq!(twin.apply(Some(&json!({"b":2})), None), Applied::Changed);
        assert_eq!((twin.version(), shown(twin.held())), (3, json!({"a":1,"b":2})));
    }

    #[test]
    fn an_old_version_changes_nothing() {
        let mut twin = twin(&[(json!({"a":1}), Some(3))]);
        assert_eq!(twin.apply(Some(&json!({"a":0})), Some(2)), Applied::Stale);
        assert_eq!(shown(twin.held()), json!({"a":1}));
        assert_eq!(twin.apply(Some(&json!({"a":1})), Some(3)), Applied::Nothing);
    }

    #[test]
    fn a_confirmed_report_leaves_what_changed_since() {
        let mut twin = twin(&[(json!({"a":1,"b":1}), Some(1))]);
        let reported = twin.unreported().clone();
        twin.apply(Some(&json!({"b":2})), Some(2));
        twin.confirmed(&reported, 1);
        assert_eq!(shown(twin.unreported()), json!({"b":2}));
        assert!(twin.has_news());
        twin.confirmed(&twin.unreported().clone(), 2);
        assert!(!twin.has_news());
    }
}
