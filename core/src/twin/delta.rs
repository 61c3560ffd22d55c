//! What is due to a device of its desired section, computed anew each time.
//!
//! Due is a leaf whose desired version exceeds the newest `_v` and whose reported value differs (or is in
//! doubt, see [`crate::twin`]); a deleted key until the device lacks it; an object without leaves where the
//! device has none. What only the device has is never due.

use super::document::{Doc, find};
use super::node::{Node, Nodes, What, find_mut};
use super::{IN_FLIGHT, Twin, Unversioned};
use crate::canonical::quoted;
use crate::clock::Time;
use std::collections::BTreeMap;

/// Where a key is: the keys around it, then its own.
pub type Path = Vec<String>;

/// One thing that is due, never to be cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    pub path: Path,
    /// JSON; `null` for a key that is to be deleted.
    pub value: String,
    pub version: u64,
    /// When a reply last carried it.
    pub sent: Option<Time>,
    /// A key that is to be deleted.
    pub deletion: bool,
    /// The device has said that it is so, but something older may still be on its way to it. Of a deletion: it lacks
    /// the key, and has spoken of it, or of something beside it, since it was told.
    pub said: bool,
}

/// What a reply carries, for [`Twin::mark_sent`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Carried {
    /// The keys in it.
    pub keys: Vec<Path>,
    /// The `v` in it.
    pub v: Option<u64>,
    /// Keys that fit no such reply, even alone.
    pub left_out: Vec<Path>,
}

impl Item {
    /// The path as a JSON Pointer (RFC 6901).
    pub fn pointer(&self) -> String {
        let escaped = |key: &String| format!("/{}", key.replace('~', "~0").replace('/', "~1"));
        self.path.iter().map(escaped).collect()
    }
}

impl Twin {
    /// Everything that is due, what was sent longest ago first: so nothing that fits is left out for ever.
    pub fn due(&self) -> Vec<Item> {
        let mut walk = Walk { twin: self, v: self.claimed(), path: Path::new(), items: Vec::new() };
        walk.nodes(&self.desired);
        let mut items = walk.items;
        items.sort_by(|a, b| (a.sent, a.version, &a.path).cmp(&(b.sent, b.version, &b.path)));
        items
    }

    /// Everything that is due, as one merge patch.
    pub fn delta(&self) -> String {
        let mut tree = Tree::default();
        for item in self.due() {
            tree.insert(&item.path, &item.value);
        }
        tree.text()
    }

    /// Whether a reply may say `v` now: no reply without one is on its way that carries something older.
    pub fn may_say_version(&self, now: Time) -> bool {
        self.unversioned
            .is_none_or(|sent| now >= sent.older_until && (sent.version == self.version || now >= sent.until))
    }

    /// Notes what a reply carries.
    pub fn mark_sent(&mut self, carried: &Carried, now: Time) {
        for path in &carried.keys {
            // What is told of a key tells the device of the keys around it.
            let told = |node: &mut Node| node.sent = Some(now);
            if let Some(node) = find_mut(&mut self.desired, path, told) {
                told(node);
            }
        }
        if carried.v.is_some() {
            for path in &carried.left_out {
                if let Some(node) = find_mut(&mut self.desired, path, |_| {}) {
                    node.skipped = true;
                }
            }
        } else if !carried.keys.is_empty() {
            let until = now.plus_millis(IN_FLIGHT);
            let older_until = match self.unversioned {
                Some(before) if before.version == self.version => before.older_until,
                Some(before) => before.until.max(before.older_until),
                None => Time::from_millis(0),
            };
            self.unversioned = Some(Unversioned { version: self.version, until, older_until });
        }
    }
}

struct Walk<'a> {
    twin: &'a Twin,
    v: u64,
    path: Path,
    items: Vec<Item>,
}

impl Walk<'_> {
    fn nodes(&mut self, nodes: &Nodes) {
        for (key, node) in nodes {
            self.path.push(key.clone());
            self.node(node);
            self.path.pop();
        }
    }

    fn node(&mut self, node: &Node) {
        let reported = find(&self.twin.reported, &self.path);
        let news = !node.covered(self.v);
        let doubted = node.doubt.is_some();
        match &node.what {
            What::Leaf(desired) => {
                let differs = !matches!(reported, Some(Doc::Leaf(value)) if value.same(desired));
                if news && (differs || doubted) {
                    self.push(node, desired.text(), !differs);
                }
            }
            What::Gone => {
                let present = reported.is_some() || node.hidden;
                if news || present {
                    let heard = self.path.first().and_then(|top| self.twin.heard.get(top)).copied();
                    let since = node.sent.is_some_and(|sent| heard > Some(sent));
                    self.push(node, "null", !present && since);
                }
            }
            What::Object => {
                let before = self.items.len();
                self.nodes(&node.children);
                let empty = self.items.len() == before && node.children.values().all(Node::is_gone);
                let differs = !matches!(reported, Some(Doc::Object(_)));
                if empty && news && (differs || doubted) {
                    self.push(node, "{}", !differs);
                }
            }
        }
    }

    fn push(&mut self, node: &Node, value: &str, said: bool) {
        self.items.push(Item {
            path: self.path.clone(),
            value: value.to_owned(),
            version: node.version,
            sent: node.sent,
            deletion: node.is_gone(),
            said,
        });
    }
}

/// A merge patch under construction, whose size is known before something is put in.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tree {
    /// The value of a leaf; empty in an object.
    value: String,
    members: BTreeMap<String, Tree>,
}

impl Tree {
    /// By how many bytes the text grows. No path may lead through another's end.
    pub(crate) fn cost(&self, path: &[String], value: &str) -> usize {
        let Some((first, rest)) = path.split_first() else { return 0 };
        match self.members.get(first) {
            Some(tree) => tree.cost(rest, value),
            None => {
                let comma = usize::from(!self.members.is_empty());
                let around: usize = rest.iter().map(|key| "{:}".len() + quoted(key).len()).sum();
                comma + quoted(first).len() + ":".len() + around + value.len()
            }
        }
    }

    pub(crate) fn insert(&mut self, path: &[String], value: &str) {
        match path.split_first() {
            Some((first, rest)) => self.members.entry(first.clone()).or_default().insert(rest, value),
            None => value.clone_into(&mut self.value),
        }
    }

    pub(crate) fn text(&self) -> String {
        if !self.value.is_empty() {
            return self.value.clone();
        }
        let members = self.members.iter().map(|(key, tree)| format!("{}:{}", quoted(key), tree.text()));
        format!("{{{}}}", members.collect::<Vec<_>>().join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_cost_is_what_the_text_grows_by(
            paths in prop::collection::btree_set(prop::collection::vec("[ab\"é]", 3), 1..12)
        ) {
            let mut tree = Tree::default();
            for path in paths {
                let expected = tree.text().len() + tree.cost(&path, "[1]");
                tree.insert(&path, "[1]");
                prop_assert_eq!(tree.text().len(), expected);
            }
        }
    }
}
