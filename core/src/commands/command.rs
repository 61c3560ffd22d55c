//! One command: what it is, and in which state it is at a given time.

use super::{SEND_GAP, SENDS_MAX, alone};
use crate::canonical::{Json, quoted};
use crate::clock::Time;
use crate::home::Room;
use serde::{Deserialize, Serialize};

/// A command of a device.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Command {
    pub id: u64,
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub args: Option<Json>,
    pub created_at: Time,
    pub expires_at: Time,
    /// How often a reply carried it.
    pub sends: u32,
    /// When a reply last carried it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<Time>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    acked_at: Option<Time>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cancelled_at: Option<Time>,
}

/// Where a command is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// No reply has carried it yet.
    Queued,
    /// A reply has carried it; the device has not said that it is done.
    Sent,
    /// The device has said that it is done.
    Acked,
    /// Its time ran out first.
    Expired,
    /// It was sent as often as can be, and the device did not say that it is done.
    Failed,
    /// An application took it back, or replaced the queue it was in.
    Cancelled,
}

impl State {
    /// Whether the device may still be told.
    pub fn is_waiting(self) -> bool {
        matches!(self, State::Queued | State::Sent)
    }
}

impl Command {
    pub(super) fn new(id: u64, name: String, args: Option<Json>, now: Time, ttl: u64) -> Self {
        let ttl = i64::try_from(ttl).unwrap_or(i64::MAX).saturating_mul(1_000);
        Command {
            id,
            name,
            args,
            created_at: now,
            expires_at: now.plus_millis(ttl),
            sends: 0,
            sent_at: None,
            acked_at: None,
            cancelled_at: None,
        }
    }

    /// The state at a time, and since when where the command is finished. Nothing has to happen for a
    /// command to expire or fail: it is computed whenever somebody looks.
    ///
    /// An acknowledgement counts however late it comes, since it says what happened on the device.
    pub fn state(&self, now: Time) -> (State, Option<Time>) {
        if let Some(at) = self.acked_at {
            return (State::Acked, Some(at));
        }
        let failed_at =
            self.sent_at.filter(|_| self.sends >= SENDS_MAX).map(|sent| sent.plus_millis(SEND_GAP));
        let ends = [
            (self.cancelled_at, State::Cancelled),
            (failed_at, State::Failed),
            (Some(self.expires_at), State::Expired),
        ];
        let ended = ends.into_iter().filter_map(|(at, state)| at.map(|at| (at, state)));
        match ended.filter(|(at, _)| *at <= now).min_by_key(|(at, _)| *at) {
            Some((at, state)) => (state, Some(at)),
            None if self.sends > 0 => (State::Sent, None),
            None => (State::Queued, None),
        }
    }

    pub fn is_waiting(&self, now: Time) -> bool {
        self.state(now).0.is_waiting()
    }

    /// Whether a reply may carry it now: it waits, has sends left, and the last is [`SEND_GAP`] ago, or the clock has
    /// been set back since.
    pub fn may_be_sent(&self, now: Time) -> bool {
        let rested = |sent: Time| now >= sent.plus_millis(SEND_GAP) || sent.is_ahead_of(now);
        self.is_waiting(now) && self.sends < SENDS_MAX && self.sent_at.is_none_or(rested)
    }

    pub(super) fn sent(&mut self, now: Time) {
        self.sends = self.sends.saturating_add(1);
        self.sent_at = Some(now);
    }

    /// Notes that the device has done it. One that was never sent cannot have been done.
    pub(super) fn ack(&mut self, now: Time) {
        if self.sends > 0 && self.acked_at.is_none() {
            self.acked_at = Some(now);
        }
    }

    pub(super) fn cancel(&mut self, now: Time) {
        if self.is_waiting(now) {
            self.cancelled_at = Some(now);
        }
    }

    /// As a reply carries it.
    ///
    /// ```
    /// # use fieldhook_core::{clock::Time, commands::{Queue, Request}, reply::Framing};
    /// let mut queue = Queue::default();
    /// let request = Request::read(r#"{"name":"blink","args":{"times":3}}"#).unwrap();
    /// let id = queue.create(request, Framing::Plain, 511, Time::from_millis(0)).unwrap();
    /// assert_eq!(queue.get(id).unwrap().reply_text(), r#"{"id":1,"n":"blink","a":{"times":3}}"#);
    /// ```
    pub fn reply_text(&self) -> String {
        let args = self.args.as_ref().map(|args| format!(",\"a\":{}", args.text())).unwrap_or_default();
        format!("{{\"id\":{},\"n\":{}{args}}}", self.id, quoted(&self.name))
    }

    /// As `GET` shows it, JSON. Where it waits and the replies to the device have no room for it, that is said: it
    /// would wait until it expires, and what is behind it too.
    pub fn show(&self, room: Option<Room>, now: Time) -> String {
        serde_json::to_string(&self.shown(room, now)).unwrap_or_default()
    }

    pub(super) fn shown(&self, room: Option<Room>, now: Time) -> Shown<'_> {
        let (state, finished_at) = self.state(now);
        let fits = || room.is_some_and(|room| room.carries(&alone(&self.reply_text())));
        Shown {
            id: self.id,
            name: &self.name,
            args: self.args.as_ref(),
            state,
            ttl: self.expires_at.distance(self.created_at) / 1_000,
            created_at: self.created_at.to_string(),
            expires_at: self.expires_at.to_string(),
            sends: self.sends,
            sent_at: self.sent_at.map(|at| at.to_string()),
            finished_at: finished_at.map(|at| at.to_string()),
            undeliverable: state.is_waiting() && !fits(),
        }
    }
}

#[derive(Serialize)]
pub(super) struct Shown<'a> {
    id: u64,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    args: Option<&'a Json>,
    state: State,
    ttl: i64,
    created_at: String,
    expires_at: String,
    sends: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    sent_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    finished_at: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    undeliverable: bool,
}
