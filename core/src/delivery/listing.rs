//! `GET …/attempts`: which attempts are asked for, newest first, and where a page ends.

use super::record::{Attempt, Status};
use crate::clock::Time;
use crate::history::{bad, time};
use crate::problem::Result;
use crate::request::Request;
use serde::{Deserialize, Serialize};

/// What one shard is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Query {
    pub integration: String,
    pub status: Option<Status>,
    pub device: Option<String>,
    pub from: Option<Time>,
    pub to: Option<Time>,
    /// Behind this attempt, in the order of the list: its time and id.
    pub before: Option<(Time, String)>,
    /// The attempt's id, its `webhook-id`, or the event's id.
    pub id: Option<String>,
    pub limit: u64,
}

impl Query {
    /// Everything of an integration.
    pub fn of(integration: &str, limit: u64) -> Self {
        let integration = integration.to_owned();
        Query { integration, status: None, device: None, from: None, to: None, before: None, id: None, limit }
    }

    /// # Errors
    /// `bad-query`, `bad-cursor`.
    pub fn read(request: &Request, integration: &str, limit: u64) -> Result<Self> {
        let status = request.query_value("status").map(|text| {
            Status::parse(&text).ok_or_else(|| bad("status", "is success, failure, parked or skipped"))
        });
        let before = request.query_value("after").map(|cursor| {
            let (at, id) = cursor.split_once('.').unwrap_or_default();
            match (at.parse::<i64>(), id) {
                (Ok(at), id) if !id.is_empty() => Ok((Time::from_millis(at), id.to_owned())),
                _ => Err(crate::stream::cursor::bad_cursor("it is not one of this list")),
            }
        });
        Ok(Query {
            status: status.transpose()?,
            device: request.query_value("device").map(|device| device.into_owned()),
            from: time(request, "from")?,
            to: time(request, "to")?,
            before: before.transpose()?,
            id: request.query_value("id").map(|id| id.into_owned()),
            ..Query::of(integration, limit)
        })
    }

    /// The cursor of what lies behind an attempt.
    pub fn cursor_behind(attempt: &Attempt) -> String {
        format!("{}.{}", attempt.at.millis(), attempt.id)
    }
}
