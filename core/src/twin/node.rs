//! The desired section: a tree whose every key knows when it was written and what the device may hold of it.
//!
//! A key that is deleted leaves a tombstone if the device may have it. A tombstone, and a leaf that took the
//! place of an object, remember the keys that were below: where an object comes back at that place, those
//! keys are still to be deleted.

use super::IN_FLIGHT;
use super::document::{Doc, Patch};
use crate::canonical::{Json, quoted};
use crate::clock::Time;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

pub(super) type Nodes = BTreeMap<String, Node>;

/// A key of the desired section.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Node {
    /// The desired version that wrote it.
    #[serde(rename = "n")]
    pub version: u64,
    #[serde(rename = "w")]
    pub what: What,
    /// When a reply last carried it or something below it, unless the device has confirmed it since.
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    pub sent: Option<Time>,
    /// The device may hold something else than it last reported, since a reply carried an older value of
    /// this key or the device lost its state. Only what it says after this time counts.
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    pub doubt: Option<Time>,
    /// A reply with `v` could not carry it, so that `_v` says nothing about this key; only its value does.
    #[serde(rename = "k", default, skip_serializing_if = "std::ops::Not::not")]
    pub skipped: bool,
    /// The device has something here for which `reported` has no room (`room`).
    #[serde(rename = "h", default, skip_serializing_if = "std::ops::Not::not")]
    pub hidden: bool,
    /// The keys of an object; of anything else, tombstones of what was below it.
    #[serde(rename = "c", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub children: Nodes,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum What {
    #[serde(rename = "o")]
    Object,
    #[serde(rename = "l")]
    Leaf(Json),
    /// A tombstone.
    #[serde(rename = "g")]
    Gone,
}

impl Node {
    fn new(version: u64, what: What, doubt: Option<Time>, children: Nodes) -> Self {
        Node { version, what, sent: None, doubt, skipped: false, hidden: false, children }
    }

    pub(super) fn is_gone(&self) -> bool {
        matches!(self.what, What::Gone)
    }

    /// Whether a device that has applied `v` in full has applied this.
    pub(super) fn covered(&self, v: u64) -> bool {
        self.version <= v && !self.skipped
    }

    /// Until when a reply that carried this key may arrive and undo what the device says.
    fn own_doubt(&self) -> Option<Time> {
        self.sent.map(|sent| sent.plus_millis(IN_FLIGHT)).max(self.doubt)
    }

    fn whole_doubt(&self) -> Option<Time> {
        self.children.values().map(Node::whole_doubt).max().flatten().max(self.own_doubt())
    }

    /// What is left of a key when it is deleted or replaced: a tombstone, if the device may have it.
    fn into_tombstone(self, version: u64, reported: Option<&Doc>) -> Option<Node> {
        if self.is_gone() {
            return Some(self);
        }
        let doubt = self.whole_doubt();
        let children = tombstones(self.children, version, reported);
        let hidden = self.hidden;
        let needed = doubt.is_some() || reported.is_some() || hidden || !children.is_empty();
        needed.then(|| Node { hidden, ..Node::new(version, What::Gone, doubt, children) })
    }
}

fn tombstones(nodes: Nodes, version: u64, reported: Option<&Doc>) -> Nodes {
    let bury = |(key, node): (String, Node)| {
        let reported = reported.and_then(|doc| doc.member(&key));
        node.into_tombstone(version, reported).map(|node| (key, node))
    };
    nodes.into_iter().filter_map(bury).collect()
}

/// One write to the desired section.
#[derive(Debug, Clone, Copy)]
pub(super) struct Write {
    /// The version that it makes.
    pub version: u64,
}

impl Write {
    /// Writes what a merge patch says about one key. A leaf that is named is written even if its value stays
    /// the same: so an application can insist on a value that the device has changed.
    pub(super) fn patch(
        self,
        nodes: &mut Nodes,
        key: &str,
        patch: &Patch,
        reported: Option<&Doc>,
        around: Option<Time>,
    ) {
        match patch {
            Patch::Delete => self.delete(nodes, key, reported),
            Patch::Leaf(json) => self.leaf(nodes, key, json, reported, around),
            Patch::Object(patches) => {
                let node = self.object(nodes, key, around);
                if patches.is_empty() {
                    node.version = self.version;
                }
                let around = node.doubt.max(around);
                for (key, patch) in patches {
                    let reported = reported.and_then(|doc| doc.member(key));
                    self.patch(&mut node.children, key, patch, reported, around);
                }
            }
        }
    }

    /// Writes a whole value for one key: keys that it lacks go, and what stays the same is not written.
    pub(super) fn put(
        self,
        nodes: &mut Nodes,
        key: &str,
        value: &Patch,
        reported: Option<&Doc>,
        around: Option<Time>,
    ) {
        match value {
            Patch::Delete => self.delete(nodes, key, reported),
            Patch::Leaf(json) => {
                if let Some(Node { what: What::Leaf(old), .. }) = nodes.get_mut(key)
                    && old.same(json)
                {
                    *old = json.clone();
                    return;
                }
                self.leaf(nodes, key, json, reported, around);
            }
            Patch::Object(members) => {
                let node = self.object(nodes, key, around);
                let around = node.doubt.max(around);
                self.put_members(&mut node.children, members, reported, around);
            }
        }
    }

    /// [`Write::put`] for every key of an object.
    pub(super) fn put_members(
        self,
        nodes: &mut Nodes,
        members: &BTreeMap<String, Patch>,
        reported: Option<&Doc>,
        around: Option<Time>,
    ) {
        let missing: Vec<String> = nodes.keys().filter(|key| !members.contains_key(*key)).cloned().collect();
        for key in missing {
            let reported = reported.and_then(|doc| doc.member(&key));
            self.delete(nodes, &key, reported);
        }
        for (key, value) in members {
            let reported = reported.and_then(|doc| doc.member(key));
            self.put(nodes, key, value, reported, around);
        }
    }

    fn delete(self, nodes: &mut Nodes, key: &str, reported: Option<&Doc>) {
        if let Some(node) = nodes.remove(key)
            && let Some(tombstone) = node.into_tombstone(self.version, reported)
        {
            nodes.insert(key.to_owned(), tombstone);
        }
    }

    fn leaf(self, nodes: &mut Nodes, key: &str, json: &Json, reported: Option<&Doc>, around: Option<Time>) {
        let leaf = What::Leaf(json.clone());
        let node = match nodes.remove(key) {
            Some(old) if matches!(&old.what, What::Leaf(value) if value.same(json)) => {
                Node { version: self.version, what: leaf, skipped: false, ..old }
            }
            Some(old) => {
                let (hidden, doubt) = (old.hidden, old.whole_doubt().max(around));
                let children = tombstones(old.children, self.version, reported);
                Node { hidden, ..Node::new(self.version, leaf, doubt, children) }
            }
            None => Node::new(self.version, leaf, around, Nodes::new()),
        };
        nodes.insert(key.to_owned(), node);
    }

    /// The object at a key, made if it is none. What was below a leaf or tombstone is to be deleted in it.
    fn object<'a>(self, nodes: &'a mut Nodes, key: &str, around: Option<Time>) -> &'a mut Node {
        let node = nodes
            .entry(key.to_owned())
            .or_insert_with(|| Node::new(self.version, What::Object, around, Nodes::new()));
        if !matches!(node.what, What::Object) {
            let (hidden, children) = (node.hidden, std::mem::take(&mut node.children));
            let doubt = node.own_doubt().max(around);
            *node = Node { hidden, ..Node::new(self.version, What::Object, doubt, children) };
            restamp(&mut node.children, self.version);
        }
        node
    }
}

/// Writes the section as JSON, without its tombstones.
pub(super) fn write(nodes: &Nodes, out: &mut String) {
    out.push('{');
    let start = out.len();
    for (key, node) in nodes.iter().filter(|(_, node)| !node.is_gone()) {
        out.push_str(if out.len() == start { "" } else { "," });
        out.push_str(&quoted(key));
        out.push(':');
        match &node.what {
            What::Leaf(json) => out.push_str(json.text()),
            What::Object => write(&node.children, out),
            What::Gone => {}
        }
    }
    out.push('}');
}

/// The size of all tombstones, bytes: what they would take as `"key":null`.
pub(super) fn tombstone_size(nodes: &Nodes) -> usize {
    let size = |(key, node): (&String, &Node)| {
        let own = if node.is_gone() { quoted(key).len() + ":null,".len() } else { 0 };
        own + tombstone_size(&node.children)
    };
    nodes.iter().map(size).sum()
}

/// Gives every key another version: what a device claimed to have applied was never written here.
pub(super) fn restamp(nodes: &mut Nodes, version: u64) {
    for node in nodes.values_mut() {
        node.version = version;
        restamp(&mut node.children, version);
    }
}

/// Deals the deletions of one version out to versions of their own, `room` bytes to each, from that one on; returns
/// the last.
pub(super) fn spread(nodes: &mut Nodes, version: u64, room: usize) -> u64 {
    let mut spread = Spread { of: version, last: version, room, used: 0 };
    spread.nodes(nodes, 0);
    spread.last
}

struct Spread {
    of: u64,
    last: u64,
    room: usize,
    used: usize,
}

impl Spread {
    /// `around` are the bytes of the keys around.
    fn nodes(&mut self, nodes: &mut Nodes, around: usize) {
        for (key, node) in nodes {
            let around = around + quoted(key).len() + ":,".len();
            match node.what {
                What::Object => self.nodes(&mut node.children, around + "{}".len()),
                What::Gone if node.version == self.of => {
                    let size = around + "null".len();
                    if self.used > 0 && self.used + size > self.room {
                        (self.last, self.used) = (self.last + 1, 0);
                    }
                    self.used += size;
                    node.version = self.last;
                }
                // What is below is not due before an object takes the place.
                What::Gone | What::Leaf(_) => {}
            }
        }
    }
}

/// The key at a path; the keys around it are shown to `around` on the way.
pub(super) fn find_mut<'a>(
    nodes: &'a mut Nodes,
    path: &[String],
    mut around: impl FnMut(&mut Node),
) -> Option<&'a mut Node> {
    let (last, path) = path.split_last()?;
    let mut nodes = nodes;
    for key in path {
        let node = nodes.get_mut(key)?;
        around(node);
        nodes = &mut node.children;
    }
    nodes.get_mut(last)
}
