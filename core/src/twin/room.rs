//! What of `reported` there is room for.
//!
//! A report is an event that has been accepted, so it is never refused for its size: it is taken key by key.
//! A value that confirms a desired one always has room, or the twin would never agree with the device and
//! would tell it for ever. Then come other values of desired keys, then the device's own, the smallest first so
//! that the fewest are missing. A key of the device's own comes whole or not at all: half an object would say
//! that the rest is not there.
//!
//! Keys that are to be deleted stay in `reported` until the device has done so, and count apart: else a section
//! in which all keys are replaced would have to hold the old ones and the new ones.

use super::document::{self, Doc, Members};
use super::node::{self, Node, Nodes, What};
use super::{Path, SECTION_MAX};
use crate::canonical::quoted;

/// The most bytes of values that are to be deleted.
const GOING_MAX: usize = SECTION_MAX;

/// Takes out of `reported` what finds no room, and notes where a desired key was. Returns whether that was
/// anything but a value that is to be deleted.
pub(super) fn make(reported: &mut Members, desired: &mut Nodes) -> bool {
    if document::text(reported).len() <= SECTION_MAX {
        return false;
    }
    let mut sorted = Sorted::default();
    sorted.members(reported, Some(desired));
    let Sorted { wanted, mut going, mut others, .. } = sorted;
    going.sort();
    others.sort();
    let surplus = |mut room: usize, items: Vec<Item>| -> Vec<Item> {
        let finds_none = |item: &Item| match room.checked_sub(item.size) {
            Some(rest) => {
                room = rest;
                false
            }
            None => true,
        };
        items.into_iter().filter(finds_none).collect()
    };
    let others = surplus(SECTION_MAX.saturating_sub(wanted), others);
    for item in surplus(GOING_MAX, going).iter().chain(&others) {
        document::remove(reported, &item.path);
        if let Some(node) = node::find_mut(desired, &item.path, |_| {}) {
            hide(node);
        }
    }
    !others.is_empty()
}

/// Notes that the device has something at a key and at those that are to be deleted below it.
fn hide(node: &mut Node) {
    node.hidden = true;
    if !matches!(node.what, What::Object) {
        node.children.values_mut().for_each(hide);
    }
}

/// A value that may be taken out. The order is that in which they find room.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Item {
    /// The device's own.
    own: bool,
    size: usize,
    path: Path,
}

/// The section, sorted by what may be taken out of it. Sizes are a byte too large for each object, whose first
/// member has no comma.
#[derive(Default)]
struct Sorted {
    path: Path,
    /// The size of what must stay.
    wanted: usize,
    going: Vec<Item>,
    others: Vec<Item>,
}

impl Sorted {
    fn members(&mut self, members: &mut Members, desired: Option<&Nodes>) {
        self.wanted += "{}".len();
        for (key, doc) in members {
            self.path.push(key.clone());
            let around = quoted(key).len() + ":,".len();
            self.value(doc, desired.and_then(|nodes| nodes.get(key)), around);
            self.path.pop();
        }
    }

    fn value(&mut self, doc: &mut Doc, node: Option<&Node>, around: usize) {
        match (node.map(|node| (&node.what, node)), doc) {
            (Some((What::Object, node)), Doc::Object(members)) => {
                self.wanted += around;
                self.members(members, Some(&node.children));
            }
            (Some((What::Leaf(desired), _)), Doc::Leaf(value)) if desired.same(value) => {
                // One number can be spelled at any length.
                if desired.text().len() < value.text().len() {
                    value.clone_from(desired);
                }
                self.wanted += around + value.text().len();
            }
            (node, doc) => {
                let (own, size) = (node.is_none(), around + doc.size());
                let item = Item { own, size, path: self.path.clone() };
                match node {
                    Some((What::Gone, _)) => self.going.push(item),
                    _ => self.others.push(item),
                }
            }
        }
    }
}
