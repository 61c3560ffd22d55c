//! What was authenticated and refused: kept as it came, listed, and read again after a fix
//! (DESIGN.md, "Answers").

use crate::clock::Time;
use crate::ingest::fields;
use crate::problem::{Code, Problem, Result};
use crate::proof::{Credential, HOP_HEADER, Signed};
use crate::request::{Body, Headers, Request};
use crate::settings::Malformed;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// The newest entries that a shard keeps.
pub const ENTRIES_MAX: usize = 1_000;
/// How many of these may be there for their device's rate: a flood leaves room for what others send.
pub const LIMITED_MAX: usize = 250;
/// How many of one device's events over its rate are kept at once and in a minute, in one isolate.
pub const LIMITED_PER_MINUTE: f64 = 50.0;
/// How long an entry is kept, milliseconds: 30 days.
pub const RETENTION: i64 = 30 * 86_400_000;
/// The header fields that reading an event looks at. No other is kept: one of them could be a secret.
const KEPT_HEADERS: [&str; 8] = [
    "content-type",
    "content-encoding",
    "x-particle-event-id",
    "x-particle-event-name",
    "x-particle-device-id",
    "x-particle-published-at",
    "x-particle-product-id",
    HOP_HEADER,
];

/// A refused request, or one refused item of a batch.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Entry {
    pub at: Time,
    pub source: String,
    pub code: String,
    pub detail: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    pub method: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub query: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// The raw body as text, or where it is not UTF-8, as base64.
    pub body: String,
    #[serde(default, skip_serializing_if = "is_false")]
    pub base64: bool,
    /// What was proven, so that a replay trusts no more than the request did.
    #[serde(default, skip_serializing_if = "is_false")]
    pub vouched: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_id: Option<String>,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

impl Entry {
    /// Whether nothing is wrong with it but that its device was over its rate.
    pub fn is_limited(&self) -> bool {
        self.code == Code::RateLimited.as_str()
    }

    /// Keeps a refused request. `None` where there is no body to keep: it was over the limit.
    pub fn of_request(
        request: &Request,
        source: &str,
        credential: &Credential,
        problem: &Problem,
        at: Time,
        is_secret: &dyn Fn(&str) -> bool,
    ) -> Option<Self> {
        let Body::Bytes(bytes) = &request.body else { return None };
        let (body, base64) = match std::str::from_utf8(bytes) {
            Ok(text) => (text.to_owned(), false),
            Err(_) => (BASE64.encode(bytes), true),
        };
        let kept = |name: &&str| request.headers.get(name).map(|v| ((*name).to_owned(), v.to_owned()));
        Some(Entry {
            at,
            source: source.to_owned(),
            code: problem.code.as_str().to_owned(),
            detail: problem.detail.clone(),
            field: problem.field.clone(),
            method: request.method.as_str().to_owned(),
            query: without_secrets(request, is_secret),
            headers: KEPT_HEADERS.iter().filter_map(kept).collect(),
            body,
            base64,
            vouched: credential.vouches_for_everything(),
            signed_id: credential.signed_id().map(str::to_owned),
        })
    }

    /// Keeps one refused item of a batch, as the event it would have been by itself.
    ///
    /// `request` is the whole batch, kept as [`Entry::of_request`] keeps it: what stands beside the body was
    /// said of every item, but for an id.
    pub fn of_item(
        request: Entry,
        text: &str,
        index: usize,
        credential: &Credential,
        problem: &Problem,
    ) -> Self {
        let says_id = |name: &str| matches!(name, "event_id" | "id" | "x-particle-event-id");
        let query = form_urlencoded::parse(request.query.as_bytes()).filter(|(name, _)| !says_id(name));
        let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        let goes_on = |name: &str| name == HOP_HEADER || name.starts_with("x-particle-");
        headers.extend(request.headers.into_iter().filter(|(name, _)| goes_on(name) && !says_id(name)));
        Entry {
            at: request.at,
            code: problem.code.as_str().to_owned(),
            detail: problem.detail.clone(),
            field: problem.field.clone(),
            method: "POST".to_owned(),
            query: form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish(),
            headers,
            source: request.source,
            body: text.to_owned(),
            base64: false,
            vouched: credential.vouches_for_everything(),
            signed_id: credential.signed_id().map(|id| format!("{id}/{index}")),
        }
    }

    /// The request again, with `body` in place of the one that was refused if the caller mended it.
    ///
    /// # Errors
    /// `internal` for an entry that cannot be read back.
    pub fn to_request(&self, body: Option<String>) -> Result<(Request, Credential)> {
        let mended = body.is_some();
        let bytes = match (body, self.base64) {
            (Some(body), _) => body.into_bytes(),
            (None, false) => self.body.clone().into_bytes(),
            (None, true) => BASE64
                .decode(&self.body)
                .map_err(|_| Problem::new(Code::Internal, "the entry cannot be read back"))?,
        };
        // A mended body is what it looks like, and it is read: a GET has none, and what was declared about the
        // refused one need not hold for it.
        let describes_body = |name: &str| name.starts_with("content-");
        let kept = self.headers.iter().filter(|(name, _)| !mended || !describes_body(name));
        let headers = Headers::from_pairs(kept.map(|(name, value)| (name.as_str(), value.as_str())));
        let method = if mended { "POST" } else { &self.method };
        let url = format!("https://replay/hook?{}", self.query);
        let signed = match (&self.signed_id, self.vouched) {
            (Some(id), _) => Some(Signed::Standard { id: id.clone() }),
            (None, true) => None,
            (None, false) => Some(Signed::Hub),
        };
        let credential = Credential { token: self.vouched, signed };
        Ok((Request::new(method, &url, headers, Body::Bytes(bytes)), credential))
    }
}

/// The query without the fields that would carry a secret into the store.
fn without_secrets(request: &Request, is_secret: &dyn Fn(&str) -> bool) -> String {
    let mut kept = form_urlencoded::Serializer::new(String::new());
    for (name, value) in request.query_fields() {
        if !fields::is_secret(&name) && !is_secret(&name) && !is_secret(&value) {
            kept.append_pair(&name, &value);
        }
    }
    kept.finish()
}

/// Where a listing stands: newest first, over all shards. Opaque to callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub at: Time,
    pub shard: u32,
    pub number: u64,
}

impl Position {
    /// As a cursor and as an entry's id.
    ///
    /// ```
    /// use fieldhook_core::quarantine::Position;
    /// let position = Position::parse("1700000000000-0-7").unwrap();
    /// assert_eq!(position.to_id(), "1700000000000-0-7");
    /// assert!(Position::parse("7").is_none());
    /// ```
    pub fn to_id(self) -> String {
        format!("{}-{}-{}", self.at.millis(), self.shard, self.number)
    }

    /// The same place as a shard sees it: of entries with one time, those of a higher shard come first.
    pub fn seen_from(self, shard: u32) -> Self {
        let number = match shard.cmp(&self.shard) {
            Ordering::Less => (1 << 53) - 1,
            Ordering::Equal => self.number,
            Ordering::Greater => 0,
        };
        Position { shard, number, ..self }
    }

    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let at = parts.next()?.parse::<i64>().ok().filter(|at| *at >= 0)?;
        let shard = parts.next()?.parse().ok()?;
        let number = parts.next()?.parse().ok().filter(|number| *number < 1 << 53)?;
        parts.next().is_none().then_some(Position { at: Time::from_millis(at), shard, number })
    }
}

/// How an event that went into quarantine is answered.
///
/// Particle slows down a whole host name whose errors outnumber its successes, so by default it is told that
/// all is well; everyone else learns what is wrong. A `User-Agent` is a hint and decides nothing else.
pub fn is_answered_accepted(malformed: Malformed, user_agent: Option<&str>) -> bool {
    match malformed {
        Malformed::Accept => true,
        Malformed::Reject => false,
        Malformed::Auto => user_agent.is_some_and(|agent| agent.starts_with("ParticleBot/")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_keeps_what_reading_needs_and_no_secret() {
        let headers = Headers::from_pairs([
            ("authorization", "Bearer hush"),
            ("webhook-signature", "v1,hush"),
            ("content-type", "application/json"),
            ("x-particle-event-name", "t"),
        ]);
        let url = "https://x.dev/hook?a=1&access_token=x&key=hush";
        let request = Request::new("POST", url, headers, Body::Bytes(b"{broken".to_vec()));
        let credential = Credential { token: true, signed: None };
        let problem = Problem::new(Code::BadJson, "not valid JSON");
        let entry =
            Entry::of_request(&request, "default", &credential, &problem, Time::from_millis(5), &|text| {
                text == "hush"
            })
            .unwrap();
        let text = serde_json::to_string(&entry).unwrap();
        assert!(!text.contains("hush"), "{text}");
        let (again, proven) = entry.to_request(None).unwrap();
        assert_eq!((again.body, again.query.as_str()), (request.body, "a=1"));
        assert_eq!(again.headers.get("x-particle-event-name"), Some("t"));
        assert_eq!(proven, credential);
    }

    #[test]
    fn a_mended_body_is_read_for_what_it_is() {
        let headers =
            Headers::from_pairs([("content-type", "multipart/form-data"), ("content-encoding", "gzip")]);
        let request = Request::new("GET", "https://x.dev/hook", headers, Body::Bytes(Vec::new()));
        let credential = Credential { token: true, signed: None };
        let problem = Problem::new(Code::MissingField, "x");
        let entry = Entry::of_request(&request, "s", &credential, &problem, Time::from_millis(5), &|_| false);
        let (mended, _) = entry.unwrap().to_request(Some("{}".into())).unwrap();
        assert_eq!((mended.method.as_str(), mended.body), ("POST", Body::Bytes(b"{}".to_vec())));
        assert_eq!(mended.headers.get("content-type"), None);
        assert_eq!(mended.headers.get("content-encoding"), None);
    }

    #[test]
    fn a_replay_trusts_no_more_than_the_request_did() {
        let credential = Credential { token: false, signed: Some(Signed::Standard { id: "m".into() }) };
        let problem = Problem::new(Code::MissingField, "x");
        let url = "https://x.dev/hook?event=t&id=1";
        let headers = Headers::from_pairs([("x-particle-event-id", "1"), ("x-particle-device-id", "d")]);
        let request = Request::new("POST", url, headers, Body::Bytes(b"[{}]".to_vec()));
        let whole = Entry::of_request(&request, "s", &credential, &problem, Time::from_millis(5), &|_| false);
        let entry = Entry::of_item(whole.unwrap(), "{}", 3, &credential, &problem);
        assert_eq!(entry.query, "event=t");
        assert!(entry.headers.iter().any(|(name, value)| name == "x-particle-device-id" && value == "d"));
        assert!(entry.headers.iter().all(|(name, _)| name != "x-particle-event-id"));
        let (_, proven) = entry.to_request(None).unwrap();
        assert_eq!((proven.vouches_for_everything(), proven.signed_id()), (false, Some("m/3")));
    }

    #[test]
    fn particle_is_told_that_all_is_well() {
        let particle = Some("ParticleBot/1.1 (https://docs.particle.io/webhooks)");
        assert!(is_answered_accepted(Malformed::Auto, particle));
        assert!(!is_answered_accepted(Malformed::Auto, Some("curl/8")));
        assert!(!is_answered_accepted(Malformed::Reject, particle));
        assert!(is_answered_accepted(Malformed::Accept, None));
    }
}
