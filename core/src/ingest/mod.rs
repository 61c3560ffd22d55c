//! From a proven request to events: which fields say what, and what is refused (DESIGN.md, "Ingest").
//!
//! Not here: proof (it comes in as a [`Credential`]), transforms, and the log.

pub mod batch;
pub mod body;
pub mod fields;
pub mod publish;

use crate::clock::Time;
use crate::event::{self, DedupKey, DeviceId, Event, EventName, SourceName};
use crate::problem::{Code, Problem, Result};
use crate::proof::{Credential, check_hops};
use crate::request::{Body, Headers, Method, Request};
use body::Content;
use fields::Fields;
use serde_json::value::RawValue;
use std::collections::BTreeSet;

/// What is the same for every event of one request.
pub struct Arrival<'a> {
    pub request: &'a Request,
    pub source: &'a SourceName,
    pub credential: &'a Credential,
    pub now: Time,
    /// Milliseconds; how far a hub-signed event's own time may lie from now.
    pub dedup_window: i64,
    /// Gives a text that was never given before, for ids that must not repeat.
    pub unique: &'a dyn Fn() -> String,
    /// Whether a text is a secret of this deployment: beside the data itself, no field may carry one into a
    /// row.
    pub is_secret: &'a dyn Fn(&str) -> bool,
}

/// What a request held.
#[derive(Debug)]
pub enum Ingest {
    One(Box<Event>),
    Batch(Vec<batch::Item>),
}

/// Reads the event or the batch.
///
/// # Errors
/// What is wrong with it, naming the field: `missing-field`, `bad-field`, `bad-json`,
/// `bad-body`, `unsupported-media-type`, `empty-batch`, `batch-too-large`, `stale-signature`.
pub fn read(arrival: &Arrival<'_>) -> Result<Ingest> {
    let request = arrival.request;
    let bytes = match (&request.body, request.method) {
        (Body::TooLarge, _) => return Err(Problem::new(Code::BodyTooLarge, "the body is over MAX_BODY")),
        (Body::Bytes(_), Method::Get) => &[][..],
        (Body::Bytes(bytes), _) => bytes.as_slice(),
    };
    let vouched = arrival.credential.vouches_for_everything();
    let content = match body::read(&request.headers, bytes, vouched)? {
        Content::Batch(items) => return batch::read(arrival, &items).map(Ingest::Batch),
        content => content,
    };
    check_size(bytes.len())?;
    let nothing = Headers::default();
    let (query, headers) = beside_body(arrival, &nothing)?;
    let (body, data) = match content {
        Content::Fields(fields) => (fields, None),
        Content::Data(text) => (Fields::default(), Some(text)),
        Content::Empty | Content::Batch(_) => (Fields::default(), None),
    };
    let places = Places { body: &body, query: &query, headers };
    let signed_id = arrival.credential.signed_id().map(str::to_owned);
    let event = event_of(arrival, &places, IdFrom::Everywhere, data, signed_id)?;
    Ok(Ingest::One(Box::new(event)))
}

/// What stands beside the body, as far as it is proven.
fn beside_body<'a>(arrival: &Arrival<'a>, nothing: &'a Headers) -> Result<(Fields<'a>, &'a Headers)> {
    match arrival.credential.vouches_for_everything() {
        true => Ok((Fields::from_form(arrival.request.query.as_bytes())?, &arrival.request.headers)),
        false => Ok((Fields::default(), nothing)),
    }
}

/// The largest event, bytes: with all its control characters escaped, a row of it stays below the 2 MB that the
/// platform takes (PLATFORM.md, "Durable Objects").
pub const EVENT_MAX: usize = 300_000;

fn check_size(bytes: usize) -> Result<()> {
    if bytes <= EVENT_MAX {
        return Ok(());
    }
    Err(Problem::new(Code::BodyTooLarge, format!("one event has at most {EVENT_MAX} bytes")))
}

/// Where a field is looked for, in this order; first found wins.
struct Places<'a> {
    body: &'a Fields<'a>,
    query: &'a Fields<'a>,
    headers: &'a Headers,
}

impl Places<'_> {
    /// A field that is a text, number or boolean; an empty one counts as absent.
    fn scalar(&self, field: &str, spellings: &[&str], header: Option<&str>) -> Result<Option<String>> {
        for fields in [self.body, self.query] {
            if let Some(text) = fields.scalar(field, spellings)? {
                return Ok(Some(text));
            }
        }
        Ok(header.and_then(|name| self.headers.get(name)).map(str::to_owned))
    }

    /// A field that no event is refused for.
    fn optional(
        &self,
        spellings: &[&str],
        header: Option<&str>,
        is_secret: &dyn Fn(&str) -> bool,
    ) -> Option<String> {
        let found = self.body.optional(spellings).or_else(|| self.query.optional(spellings));
        let found = found.or_else(|| self.headers.get(header?).map(str::to_owned));
        found.filter(|text| !is_secret(text))
    }

    fn data(&self) -> Result<Option<String>> {
        let spellings = &["data", "value"];
        let found = self.body.find(spellings).or_else(|| self.query.find(spellings));
        found.map(|value| value.text("data")).transpose()
    }

    /// Everything else, as a JSON object: less what would carry a token into the log.
    fn extra(&self, is_secret: &dyn Fn(&str) -> bool) -> Option<Box<RawValue>> {
        let mut extra: Vec<(&str, Box<RawValue>)> = Vec::new();
        let mut seen = BTreeSet::new();
        for (name, value) in self.body.unused().chain(self.query.unused()) {
            let holds_token = || value.text(name).is_ok_and(|text| is_secret(&text));
            if seen.insert(name) && !is_secret(name) && !holds_token() {
                extra.push((name, value.to_json()?));
            }
        }
        if extra.is_empty() {
            return None;
        }
        let members: Vec<String> = extra
            .iter()
            .map(|(name, value)| format!("{}:{value}", serde_json::to_string(name).unwrap_or_default()))
            .collect();
        RawValue::from_string(format!("{{{}}}", members.join(","))).ok()
    }
}

/// Where an event's id may stand: for an item of a batch only in the item, since the query and the headers
/// are the same for all of them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum IdFrom {
    Everywhere,
    Body,
}

fn event_of(
    arrival: &Arrival<'_>,
    places: &Places<'_>,
    id_from: IdFrom,
    body_data: Option<String>,
    signed_id: Option<String>,
) -> Result<Event> {
    let name = places.scalar("event", &["event", "name"], Some("x-particle-event-name"))?;
    let name = name.ok_or_else(|| {
        let hint = match places.body.looks_like_json() {
            true => "; the body looks like JSON but its Content-Type says form",
            false => "",
        };
        let why = format!("no event name in the body, the query or x-particle-event-name{hint}");
        Problem::field(Code::MissingField, "event", why)
    })?;
    let name = EventName::parse(&name)?;

    let coreid = &["coreid", "device_id", "deviceID"];
    let device = match places.scalar("coreid", coreid, Some("x-particle-device-id"))? {
        Some(text) => DeviceId::parse(&text)?,
        None if arrival.credential.vouches_for_everything() => DeviceId::of_source(arrival.source),
        // A signature does not cover the path. Were the device taken from it, a signed request that is sent
        // to another path would be another event.
        None => DeviceId::of_source(&SourceName::default()),
    };

    let data = places.data()?.or(body_data).unwrap_or_default();
    let id_names = &["event_id", "id"];
    let own_id = match id_from {
        IdFrom::Everywhere => places.scalar("event_id", id_names, Some("x-particle-event-id"))?,
        IdFrom::Body => places.body.scalar("event_id", id_names)?,
    };
    // A time that cannot be parsed is the time of arrival, whatever it is instead.
    let time_text =
        places.scalar("published_at", &["published_at"], Some("x-particle-published-at")).unwrap_or_default();
    let own_time = time_text.as_deref().and_then(Time::parse);
    check_freshness(arrival, own_id.is_some(), own_time)?;

    let given_id = signed_id.or(own_id);
    let derived = given_id.is_none();
    let repeatable = !derived || own_time.is_some();
    let id = match given_id {
        Some(id) => check_id(id)?,
        // Without a time of its own, an equal event later is another event: its id must be its own.
        None => match (&time_text, own_time) {
            (Some(text), Some(_)) => event::derive_id(name.as_str(), &data, text),
            _ => event::derive_id(name.as_str(), &data, &(arrival.unique)()),
        },
    };
    let product = &["productID", "product_id"];
    Ok(Event {
        key: DedupKey::of(&device, &id),
        id,
        derived,
        repeatable,
        media_type: event::media_type(&data),
        published_at: own_time.unwrap_or(arrival.now),
        source: arrival.source.clone(),
        product_id: places.optional(product, Some("x-particle-product-id"), arrival.is_secret),
        fw_version: places.optional(&["fw_version", "version"], None, arrival.is_secret),
        userid: places.optional(&["userid"], None, arrival.is_secret),
        extra: places.extra(arrival.is_secret),
        raw: None,
        transform_error: None,
        hops: check_hops(&arrival.request.headers)?,
        name,
        data,
        device,
    })
}

/// A hub signature has neither id nor time of its own: what it signs must be recognisable when it comes back
/// (DESIGN.md, "Proof of origin").
fn check_freshness(arrival: &Arrival<'_>, has_id: bool, published_at: Option<Time>) -> Result<()> {
    if !arrival.credential.is_hub_only() {
        return Ok(());
    }
    let stale = |field: &str, why: &str| Err(Problem::field(Code::StaleSignature, field, why));
    if !has_id {
        return stale("event_id", "an event proven by x-hub-signature-256 alone needs an id in its body");
    }
    match published_at {
        Some(time) if time.distance(arrival.now) > arrival.dedup_window => {
            stale("published_at", "published_at is further from now than DEDUP_WINDOW")
        }
        _ => Ok(()),
    }
}

fn check_id(id: String) -> Result<String> {
    if id.chars().count() <= event::ID_MAX && !id.chars().any(char::is_control) {
        return Ok(id);
    }
    let why = format!("an event id has at most {} characters and no control characters", event::ID_MAX);
    Err(Problem::field(Code::BadField, "event_id", why))
}

#[cfg(test)]
mod tests;
