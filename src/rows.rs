//! The two rows that an event becomes: in its device's log, and in that of its shard. Each is written in one crossing
//! (`rows.mjs`), where a statement in general ([`crate::sqlite`]) takes one for each value.

use crate::sqlite::failed;
use fieldhook_core::clock::Time;
use fieldhook_core::problem::Result;
use wasm_bindgen::prelude::*;
use worker::SqlStorage;
use worker::js_sys::JsString;

/// A statement of an event's way, as the engine's own text: made anew for each event it would also be looked up anew.
pub struct Statement(JsString);

impl Statement {
    pub fn new(text: &str) -> Self {
        Statement(text.into())
    }
}

#[wasm_bindgen(module = "/src/rows.mjs")]
extern "C" {
    #[wasm_bindgen(catch, js_name = write_event)]
    fn exec_event(
        sql: &JsValue,
        statement: &JsString,
        seq: f64,
        key: &str,
        at: f64,
        event: &str,
        data: &str,
        details: &str,
        reply: &str,
    ) -> std::result::Result<f64, JsValue>;

    #[wasm_bindgen(catch, js_name = write_run)]
    fn exec_run(
        sql: &JsValue,
        statement: &JsString,
        position: f64,
        at: f64,
        device: &str,
        born: f64,
        body: &str,
    ) -> std::result::Result<f64, JsValue>;
}

/// An event's row in its device's log.
pub struct EventRow<'a> {
    pub seq: u64,
    pub key: &'a str,
    pub at: Time,
    pub event: &'a str,
    pub data: &'a str,
    pub details: &'a str,
    pub reply: &'a str,
}

impl EventRow<'_> {
    /// Writes it; answers how many rows that came to, index entries included.
    pub fn write(&self, sql: &SqlStorage, statement: &Statement) -> Result<usize> {
        let EventRow { seq, key, at, event, data, details, reply } = *self;
        let (seq, at) = (seq as f64, at.millis() as f64);
        let written = exec_event(sql.as_ref(), &statement.0, seq, key, at, event, data, details, reply);
        written.map(|rows| rows as usize).map_err(|error| failed(&error.into()))
    }
}

/// The row of a run in its shard's log, which ends at `position`.
pub struct RunRow<'a> {
    pub position: u64,
    pub at: Time,
    pub device: &'a str,
    pub born: Time,
    pub body: &'a str,
}

impl RunRow<'_> {
    pub fn write(&self, sql: &SqlStorage, statement: &Statement) -> Result<()> {
        let RunRow { position, at, device, born, body } = *self;
        let (at, born) = (at.millis() as f64, born.millis() as f64);
        let written = exec_run(sql.as_ref(), &statement.0, position as f64, at, device, born, body);
        written.map(drop).map_err(|error| failed(&error.into()))
    }
}
