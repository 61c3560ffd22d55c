//! An event of the log as templates and payloads see it.

use super::render::Defaults;
use crate::clock::Time;
use crate::log::{Details, Row, View};
use crate::source::DUE_VARIABLE;
use crate::template::{Context, Fields, Parts, Variables};

/// An event, borrowed from a row of its device's log.
#[derive(Debug, Clone, Copy)]
pub struct Logged<'a> {
    pub seq: u64,
    pub received_at: Time,
    pub event: &'a str,
    pub data: &'a str,
    pub details: &'a Details,
}

impl<'a> Logged<'a> {
    /// `details` are the row's own, read.
    pub fn of(row: &'a Row, details: &'a Details) -> Self {
        Logged { seq: row.seq, received_at: row.received_at, event: &row.event, data: &row.data, details }
    }
}

impl Logged<'_> {
    /// Calls with Particle's variables over the event's own JSON fields.
    pub(super) fn with_context<T>(&self, call: impl FnOnce(&Context<'_>) -> T) -> T {
        self.with_fields(&Fields::parse(self.data).unwrap_or_default(), call)
    }

    /// Calls with Particle's variables over other fields: those of an answer.
    pub(super) fn with_fields<T>(&self, fields: &Fields, call: impl FnOnce(&Context<'_>) -> T) -> T {
        let published_at = self.details.published_at.to_string();
        let variables = Variables::new(Parts {
            device_id: &self.details.coreid,
            event_name: self.event,
            event_value: self.data,
            published_at: &published_at,
            event_id: &self.details.id,
            product_id: self.details.product_id.as_deref(),
            product_user_id: self.details.userid.as_deref(),
            product_version: self.details.fw_version.as_deref(),
        })
        // Ours to say, never the device's.
        .with(DUE_VARIABLE, "");
        call(&Context::new(&variables, fields))
    }

    /// The fields that Particle sends where nothing says `noDefaults`.
    pub(super) fn defaults(&self) -> Defaults {
        [
            ("event", self.event.to_owned()),
            ("data", self.data.to_owned()),
            ("published_at", self.details.published_at.to_string()),
            ("coreid", self.details.coreid.clone()),
        ]
    }

    /// As every reader sees it.
    pub fn view(&self) -> View {
        self.details.clone().view(self.seq, self.received_at, self.event, self.data)
    }
}
