//! From a request and what was heard of it to the record that is kept.

use super::lane::Concluded;
use super::outcome::Heard;
use super::record::{Attempt, Shown, attempt_id, error_text};
use crate::clock::Time;
use crate::integration::request::{Outgoing, Unsendable};
use crate::integration::{Integration, Logged};

/// An attempt that was made.
pub struct Made<'a> {
    pub integration: &'a Integration,
    /// The replay it belongs to, empty for none.
    pub job: &'a str,
    pub message_id: &'a str,
    pub event: &'a Logged<'a>,
    pub at: Time,
    /// Milliseconds.
    pub took: i64,
    /// Which attempt it was, from 1.
    pub tries: u32,
    pub concluded: Concluded,
    pub outgoing: Result<&'a Outgoing, &'a Unsendable>,
    pub heard: &'a Heard,
    pub headers: &'a [(String, String)],
    pub body: &'a str,
    pub truncated: bool,
}

impl Attempt {
    /// The record, without what is secret.
    pub fn of(made: &Made<'_>) -> Self {
        let masking = made.integration.masking(made.outgoing.ok());
        let job = Some(made.job).filter(|job| !job.is_empty());
        let request = match made.outgoing {
            Ok(it) => Shown::request(it.method, &it.url, &it.headers, it.body.as_deref(), &masking),
            Err(_) => Shown::default(),
        };
        let http_status = match made.heard {
            Heard::Answer { status, .. } => Some(*status),
            Heard::Failed(_) => None,
        };
        let error = match made.outgoing {
            Ok(_) => error_text(made.heard, made.integration.host()),
            Err(unsendable) => Some(masking.text(&unsendable.to_string())),
        };
        Attempt {
            id: attempt_id(made.message_id, made.tries, job),
            integration: made.integration.id.clone(),
            device: made.event.details.coreid.clone(),
            seq: made.event.seq,
            event: made.event.event.to_owned(),
            event_id: made.event.details.id.clone(),
            at: made.at,
            took: made.took,
            tries: made.tries,
            status: made.concluded.status,
            http_status,
            error,
            replayed: job.is_some(),
            next_at: made.concluded.next_at,
            request,
            response: http_status.map(|_| Shown::response(made.headers, made.body, made.truncated, &masking)),
        }
    }
}
