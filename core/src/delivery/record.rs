//! One attempt as it is reported to the shard, kept there and shown (`GET /v1/integrations/{id}/attempts`).

use super::mask::Masking;
use super::outcome::Heard;
use crate::clock::Time;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What is kept of a body, bytes.
pub const BODY_MAX: usize = 16 * 1024;
/// What is kept of one header's value, bytes, and how many headers: a service can send as many as it likes.
const HEADER_MAX: usize = 1024;
const HEADERS_MAX: usize = 64;

/// What became of an event by this attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Success,
    /// It will be tried again.
    Failure,
    /// Given up; it can be replayed.
    Parked,
    /// Passed over without a request.
    Skipped,
}

impl Status {
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Success => "success",
            Status::Failure => "failure",
            Status::Parked => "parked",
            Status::Skipped => "skipped",
        }
    }

    /// Reads what [`Status::as_str`] wrote, as `?status=` has it.
    pub fn parse(text: &str) -> Option<Self> {
        [Status::Success, Status::Failure, Status::Parked, Status::Skipped]
            .into_iter()
            .find(|status| status.as_str() == text)
    }
}

/// One attempt. As serde writes it, it crosses object calls and lies in a row; [`Attempt::to_json`] is for readers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// See [`attempt_id`]: a report that comes twice is one attempt.
    pub id: String,
    pub integration: String,
    pub device: String,
    pub seq: u64,
    pub event: String,
    pub event_id: String,
    /// When the request was made.
    pub at: Time,
    /// Until the answer was read or given up, milliseconds.
    pub took: i64,
    /// Which attempt this was, from 1.
    pub tries: u32,
    pub status: Status,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
    /// See [`error_text`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub replayed: bool,
    /// When the next attempt is due, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_at: Option<Time>,
    #[serde(default)]
    pub request: Shown,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response: Option<Shown>,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

/// The id of an attempt: the same whenever it is reported, another for each attempt, and for each replay.
///
/// ```
/// use fieldhook_core::delivery::record::attempt_id;
/// assert_eq!(attempt_id("msg_a", 2, None), "msg_a/2");
/// assert_eq!(attempt_id("msg_a", 2, Some("job-7")), "msg_a/2/job-7");
/// ```
pub fn attempt_id(message_id: &str, tries: u32, job: Option<&str>) -> String {
    let job = job.map(|job| format!("/{job}")).unwrap_or_default();
    format!("{message_id}/{tries}{job}")
}

/// What went wrong, as Particle says it (PARTICLE.md, "The response"); `None` for a success.
///
/// ```
/// use fieldhook_core::delivery::outcome::{Failure, Heard};
/// use fieldhook_core::delivery::record::error_text;
/// let answer = |status| Heard::Answer { status, retry_after: None };
/// assert_eq!(error_text(&answer(404), "x.dev").unwrap(), "error status 404 from x.dev");
/// assert_eq!(error_text(&Heard::Failed(Failure::Timeout), "x.dev").unwrap(), "ETIMEDOUT");
/// assert_eq!(error_text(&answer(204), "x.dev"), None);
/// ```
pub fn error_text(heard: &Heard, host: &str) -> Option<String> {
    match heard {
        Heard::Answer { status: 200..=299, .. } => None,
        Heard::Answer { status, .. } => Some(format!("error status {status} from {host}")),
        Heard::Failed(failure) => Some(failure.name().to_owned()),
    }
}

/// A request or an answer, without secrets, its body cut at [`BODY_MAX`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// A request's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// A request's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// There was more of the body than is shown.
    #[serde(default, skip_serializing_if = "is_false")]
    pub truncated: bool,
}

impl Shown {
    /// ```
    /// use fieldhook_core::delivery::{mask::Masking, record::Shown};
    /// let headers = [("authorization".to_owned(), "Bearer x".to_owned())];
    /// let masking = Masking::new::<&str>(&[]);
    /// let shown = Shown::request("POST", "https://x.dev/?api_key=1", &headers, Some("t=1"), &masking);
    /// assert_eq!(shown.url.unwrap(), "https://x.dev/?api_key=********");
    /// assert_eq!(shown.headers["authorization"], "********");
    /// ```
    pub fn request(
        method: &str,
        url: &str,
        headers: &[(String, String)],
        body: Option<&str>,
        masking: &Masking,
    ) -> Self {
        let shown = Shown {
            method: Some(method.to_owned()),
            url: Some(masking.url(url)),
            headers: shown_headers(headers, masking),
            ..Shown::default()
        };
        match body {
            Some(body) => shown.with_body(masking.body(body, content_type(headers))),
            None => shown,
        }
    }

    /// `truncated`: the service had more to say than was read.
    pub fn response(headers: &[(String, String)], body: &str, truncated: bool, masking: &Masking) -> Self {
        let kind = content_type(headers);
        let masked = if truncated { masking.cut_body(body, kind) } else { masking.body(body, kind) };
        let shown = Shown { headers: shown_headers(headers, masking), truncated, ..Shown::default() };
        if body.is_empty() { shown } else { shown.with_body(masked) }
    }

    fn with_body(self, body: String) -> Self {
        let cut = cut(&body, BODY_MAX);
        Shown { truncated: self.truncated || cut.len() < body.len(), body: Some(cut.to_owned()), ..self }
    }
}

fn content_type(headers: &[(String, String)]) -> &str {
    let found = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    found.map_or("", |(_, value)| value)
}

fn shown_headers(headers: &[(String, String)], masking: &Masking) -> BTreeMap<String, String> {
    let mut shown = BTreeMap::new();
    for (name, value) in headers.iter().take(HEADERS_MAX) {
        let value = masking.header(name, value);
        let name = cut(name, HEADER_MAX).to_ascii_lowercase();
        let line: &mut String = shown.entry(name).or_default();
        if !line.is_empty() {
            line.push_str(", ");
        }
        line.push_str(cut(&value, HEADER_MAX));
    }
    shown
}

/// At most so many bytes, and whole characters.
fn cut(text: &str, most: usize) -> &str {
    (0..=most.min(text.len())).rev().find_map(|end| text.get(..end)).unwrap_or_default()
}

impl Attempt {
    /// As `GET …/attempts` shows it: times as RFC 3339, `took_ms`, and `attempt` counted from 1.
    pub fn to_json(&self) -> String {
        #[derive(Serialize)]
        struct Listed<'a> {
            id: &'a str,
            integration: &'a str,
            device: &'a str,
            seq: u64,
            event: &'a str,
            event_id: &'a str,
            at: String,
            took_ms: i64,
            attempt: u32,
            status: Status,
            #[serde(skip_serializing_if = "Option::is_none")]
            http_status: Option<u16>,
            #[serde(skip_serializing_if = "Option::is_none")]
            error: Option<&'a str>,
            replayed: bool,
            next_at: Option<String>,
            request: &'a Shown,
            response: Option<&'a Shown>,
        }
        let listed = Listed {
            id: &self.id,
            integration: &self.integration,
            device: &self.device,
            seq: self.seq,
            event: &self.event,
            event_id: &self.event_id,
            at: self.at.to_string(),
            took_ms: self.took,
            attempt: self.tries,
            status: self.status,
            http_status: self.http_status,
            error: self.error.as_deref(),
            replayed: self.replayed,
            next_at: self.next_at.map(|at| at.to_string()),
            request: &self.request,
            response: self.response.as_ref(),
        };
        serde_json::to_string(&listed).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_body_is_cut_behind_a_whole_character_and_after_masking() {
        let masking = Masking::new(&["hush-hush"]);
        let long = "é".repeat(BODY_MAX) + "hush-hush";
        let shown = Shown::response(&[], &long, false, &masking);
        assert_eq!((shown.body.unwrap().len(), shown.truncated), (BODY_MAX, true));
        let edge = "x".repeat(BODY_MAX - 4) + "hush-hush";
        assert!(!Shown::response(&[], &edge, false, &masking).body.unwrap().contains("hush"));
        let shown = Shown::response(&[], "said hush-h", true, &masking);
        assert_eq!((shown.body.as_deref(), shown.truncated), (Some("said ********"), true));
        assert_eq!(Shown::response(&[], "", false, &masking).body, None);
    }

    #[test]
    fn headers_are_bounded_and_repeated_ones_are_one_line() {
        let masking = Masking::new(&["hush-hush"]);
        let many: Vec<_> = (0..200).map(|n| (format!("x-{n}"), "v".repeat(5_000))).collect();
        let shown = Shown::response(&many, "", false, &masking);
        assert_eq!(shown.headers.len(), HEADERS_MAX);
        assert!(shown.headers.values().all(|value| value.len() == HEADER_MAX));
        let pairs = headers(&[("Via", "a"), ("via", "hush-hush"), ("Set-Cookie", "sid=1")]);
        let shown = Shown::response(&pairs, "", false, &masking);
        assert_eq!(shown.headers["via"], "a, ********");
        assert_eq!(shown.headers["set-cookie"], "********");
    }

    #[test]
    fn it_is_shown_with_times_that_can_be_read() {
        let attempt = Attempt {
            id: attempt_id("msg_a", 1, None),
            integration: "i".into(),
            device: "d".into(),
            seq: 3,
            event: "temp".into(),
            event_id: "e".into(),
            at: Time::from_millis(0),
            took: 12,
            tries: 1,
            status: Status::Failure,
            http_status: Some(500),
            error: Some("error status 500 from x.dev".into()),
            replayed: false,
            next_at: Some(Time::from_millis(5_000)),
            request: Shown::request("GET", "https://x.dev/", &[], None, &Masking::new::<&str>(&[])),
            response: None,
        };
        let kept = serde_json::to_string(&attempt).unwrap();
        assert_eq!(serde_json::from_str::<Attempt>(&kept).unwrap(), attempt);
        assert_eq!(
            attempt.to_json(),
            concat!(
                r#"{"id":"msg_a/1","integration":"i","device":"d","seq":3,"event":"temp","event_id":"e","#,
                r#""at":"1970-01-01T00:00:00.000Z","took_ms":12,"attempt":1,"status":"failure","http_status":500,"#,
                r#""error":"error status 500 from x.dev","replayed":false,"next_at":"1970-01-01T00:00:05.000Z","#,
                r#""request":{"method":"GET","url":"https://x.dev/"},"response":null}"#
            )
        );
    }
}
