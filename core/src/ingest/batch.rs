//! Many events in one request: a JSON array or JSON Lines (DESIGN.md, "Batch").

use super::{Arrival, IdFrom, Places, beside_body, check_size, event_of};
use crate::event::{DeviceId, Event};
use crate::fleet::stats::Counts;
use crate::ingest::body::bad_json;
use crate::ingest::fields::Fields;
use crate::problem::{Code, Problem, Result};
use crate::request::Headers;
use serde::Serialize;

/// The most events in one batch.
pub const EVENTS_MAX: usize = 500;
/// The most devices in one batch: each is one object call.
pub const DEVICES_MAX: usize = 100;

/// One item of a batch: an event, or why it is none, with its exact text.
#[derive(Debug)]
pub struct Item {
    pub text: String,
    pub outcome: Result<Box<Event>>,
}

/// A refused item as the answer names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refused {
    pub index: usize,
    pub code: &'static str,
    pub field: Option<String>,
}

/// The answer to a batch.
#[derive(Debug, Default, Serialize)]
pub struct Summary {
    pub accepted: usize,
    pub duplicates: usize,
    pub refused: Vec<Refused>,
    /// Some of it was refused because its device is over its rate: in so many seconds it will not be.
    #[serde(skip)]
    pub wait: Option<u32>,
}

impl Summary {
    /// Whether the batch as a whole was refused: nothing in it is in a log, now or from before.
    pub fn is_refused(&self) -> bool {
        self.accepted + self.duplicates == 0
    }

    /// An item whose device is over its rate.
    pub fn limited(&mut self, index: usize, wait: u32) {
        self.refused.push(Refused { index, code: Code::RateLimited.as_str(), field: None });
        self.wait = self.wait.max(Some(wait));
    }

    /// What the edge counts of it. A batch that was refused as a whole is counted once by its answer.
    pub fn counts(&self) -> Counts {
        let duplicates = self.duplicates as u64;
        if self.is_refused() && self.wait.is_some() {
            return Counts::default();
        }
        let is_limited = |item: &&Refused| item.code == Code::RateLimited.as_str();
        let limited = self.refused.iter().filter(is_limited).count();
        let refused = (self.refused.len() - limited).saturating_sub(usize::from(self.is_refused()));
        Counts { duplicates, refused: refused as u64, limited: limited as u64, ..Counts::default() }
    }
}

/// Reads each item by itself: one that is refused does not take the others with it. What stands in the query
/// or a header is said of every item, but for an id.
pub(super) fn read(arrival: &Arrival<'_>, items: &[&str]) -> Result<Vec<Item>> {
    if items.is_empty() {
        return Err(Problem::new(Code::EmptyBatch, "the batch is an empty list"));
    }
    if items.len() > EVENTS_MAX {
        let why = format!("a batch has at most {EVENTS_MAX} events; this one has {}", items.len());
        return Err(Problem::new(Code::BatchTooLarge, why));
    }
    let read: Vec<Item> = items
        .iter()
        .enumerate()
        .map(|(index, text)| Item {
            text: (*text).to_owned(),
            outcome: read_item(arrival, index, text).map(Box::new),
        })
        .collect();
    let mut devices: Vec<&DeviceId> =
        read.iter().filter_map(|item| item.outcome.as_ref().ok()).map(|event| &event.device).collect();
    devices.sort();
    devices.dedup();
    if devices.len() > DEVICES_MAX {
        let why = format!("a batch has at most {DEVICES_MAX} devices; this one has {}", devices.len());
        return Err(Problem::new(Code::BatchTooLarge, why));
    }
    Ok(read)
}

fn read_item(arrival: &Arrival<'_>, index: usize, text: &str) -> Result<Event> {
    if !text.trim_start().starts_with('{') {
        return Err(Problem::new(Code::BadJson, "an item of a batch is a JSON object"));
    }
    check_size(text.len())?;
    let body = Fields::from_json(text).map_err(|error| bad_json(&error))?;
    let nothing = Headers::default();
    let (query, headers) = beside_body(arrival, &nothing)?;
    let places = Places { body: &body, query: &query, headers };
    let signed_id = arrival.credential.signed_id().map(|id| format!("{id}/{index}"));
    event_of(arrival, &places, IdFrom::Body, None, signed_id)
}
