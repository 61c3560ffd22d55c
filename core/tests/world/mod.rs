//! A device, its twin, and a network between them that loses, repeats and shuffles.
//!
//! The device does what `firmware/` asks of one: it merges `d`, drops a `v` below its own, reports `_v`, and
//! after it has lost its state it reports before it publishes anything else and takes no reply to what it
//! published before. Replies are on their way no longer than they can be. A device that never reports `_v` is
//! promised less: it agrees if no reply is still on its way to it when it publishes again.

#![allow(dead_code, reason = "each test needs a part of it")]

use fieldhook_core::clock::Time;
use fieldhook_core::commands::Queue;
use fieldhook_core::due;
use fieldhook_core::problem::Code;
use fieldhook_core::reply::Framing;
use fieldhook_core::twin::{IN_FLIGHT, Ignored, SECTION_MAX, Twin};
use proptest::sample::Index;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// RFC 7396, section 2, word for word.
pub fn merge_patch(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    let target = target.as_object_mut().unwrap();
    for (key, value) in patch {
        if value.is_null() {
            target.remove(key);
        } else {
            merge_patch(target.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}

fn get<'a>(value: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, key| value.as_object()?.get(key))
}

/// Every path in an object, with what is there unless that is an object with members.
fn paths(value: &Value, path: &mut Vec<String>, found: &mut Vec<(Vec<String>, Option<Value>)>) {
    for (key, value) in value.as_object().into_iter().flatten() {
        path.push(key.clone());
        let inner = value.as_object().is_some_and(|members| !members.is_empty());
        found.push((path.clone(), (!inner).then(|| value.clone())));
        paths(value, path, found);
        path.pop();
    }
}

pub fn all_paths(value: &Value) -> Vec<(Vec<String>, Option<Value>)> {
    let mut found = Vec::new();
    paths(value, &mut Vec::new(), &mut found);
    found
}

/// What a device says of itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Habit {
    /// All of its state, and `_v`.
    Whole,
    /// All of its state, null for what it has deleted, and `_v`.
    WholeAndNulls,
    /// Some of its state, and `_v`.
    Parts,
    /// What replies have brought since a report of it last went out, and `_v`.
    Echo,
    /// All of its state and what it has deleted, but never a `_v`.
    WithoutVersion,
}

pub struct Device {
    habit: Habit,
    state: Value,
    v: u64,
    /// Counts the times it has lost its state.
    life: u32,
    deleted: BTreeSet<Vec<String>>,
    /// What replies have brought since.
    brought: Value,
    /// How many bytes of its own it has.
    own: usize,
}

impl Device {
    fn new(habit: Habit, own: usize) -> Self {
        let (deleted, brought) = (BTreeSet::new(), json!({}));
        Device { habit, state: born(own), v: 0, life: 0, deleted, brought, own }
    }

    fn lose_state(&mut self) {
        *self = Device { life: self.life + 1, ..Device::new(self.habit, self.own) };
    }

    fn hear(&mut self, reply: &Value) {
        let v = reply.get("v").and_then(Value::as_u64);
        if v.is_some_and(|v| v < self.v) {
            return;
        }
        if let Some(d) = reply.get("d") {
            merge_patch(&mut self.state, d);
            layer(&mut self.brought, d);
            self.deleted.extend(
                all_paths(d).into_iter().filter(|(_, v)| *v == Some(Value::Null)).map(|(path, _)| path),
            );
        }
        self.v = v.unwrap_or(self.v);
    }

    fn report(&self, mask: u8) -> String {
        let mut report = match self.habit {
            Habit::Echo => self.brought.clone(),
            _ => self.state.clone(),
        };
        let members = report.as_object_mut().unwrap();
        if self.habit == Habit::Parts {
            let mut bit = 0;
            members.retain(|_, _| {
                bit += 1;
                mask >> (bit % 8) & 1 == 1
            });
        }
        if matches!(self.habit, Habit::WithoutVersion | Habit::WholeAndNulls) {
            for path in self.deleted.iter().filter(|path| get(&self.state, path).is_none()) {
                match path.split_last().unwrap() {
                    (last, []) => {
                        members.insert(last.clone(), Value::Null);
                    }
                    (last, around) => {
                        let object = around.iter().try_fold(&mut *members, |members, key| {
                            members.get_mut(key).and_then(Value::as_object_mut)
                        });
                        if let Some(object) = object {
                            object.insert(last.clone(), Value::Null);
                        }
                    }
                }
            }
        }
        if self.habit != Habit::WithoutVersion {
            members.insert("_v".into(), self.v.into());
        }
        report.to_string()
    }
}

/// What only the device has.
pub fn born(own: usize) -> Value {
    let logs: Value = (0..own / 100).map(|n| (format!("log{n:03}"), json!("z".repeat(89)))).collect();
    let mut born = json!({ "own": { "uptime": 1 }, "o": { "own": [1, null] } });
    merge_patch(&mut born, &logs);
    born
}

/// Lays one patch over another, so that both can be reported at once.
fn layer(under: &mut Value, over: &Value) {
    for (key, over) in over.as_object().into_iter().flatten() {
        match &mut under[key] {
            Value::Object(members) if over.is_object() => {
                let mut inner = Value::Object(std::mem::take(members));
                layer(&mut inner, over);
                under[key] = inner;
            }
            there => *there = over.clone(),
        }
    }
}

#[derive(Debug, Clone)]
pub enum Step {
    Patch(Value),
    Put(Value),
    /// The device publishes; the event arrives now, if at all, and may arrive again later.
    Publish {
        report: bool,
        mask: u8,
        arrives: bool,
    },
    /// One of the events so far arrives, for the first time or again.
    Arrive(Index),
    /// One of the replies so far reaches the device, for the first time or again.
    Hear(Index),
    /// The newest reply reaches the device.
    HearNewest,
    LoseState,
    Wait(i64),
}

pub struct Event {
    report: Option<String>,
    published_at: Time,
    life: u32,
}

pub struct Reply {
    body: Value,
    at: Time,
    life: u32,
}

pub struct World {
    now: Time,
    budget: usize,
    twin: Twin,
    device: Device,
    events: Vec<Event>,
    replies: Vec<Reply>,
    /// A full section may leave no room for the rest of a report.
    pub full: bool,
    /// Every path that was ever desired.
    ever: BTreeSet<Vec<String>>,
}

impl World {
    pub fn new(habit: Habit, budget: usize, own: usize) -> Self {
        let mut twin = Twin::default();
        twin.expect_budget(budget);
        World {
            now: Time::from_millis(1_700_000_000_000),
            budget,
            twin,
            device: Device::new(habit, own),
            events: Vec::new(),
            replies: Vec::new(),
            full: false,
            ever: BTreeSet::new(),
        }
    }

    pub fn desired(&self) -> Value {
        serde_json::from_str(&self.twin.desired()).unwrap()
    }

    fn wrote(&mut self) {
        self.ever.extend(all_paths(&self.desired()).into_iter().map(|(path, _)| path));
    }

    fn heard_version(&self) -> u64 {
        let stored: Value = serde_json::from_str(&self.twin.to_stored().unwrap()).unwrap();
        stored["applied"]["v"].as_u64().unwrap_or_default()
    }

    fn publish(&mut self, report: bool, mask: u8, arrives: bool) {
        // A device that has lost its state reports before it publishes anything else.
        let report = (report || self.device.v == 0).then(|| self.device.report(mask));
        let reported = report.is_some();
        self.events.push(Event { report, published_at: self.now, life: self.device.life });
        if arrives {
            if reported {
                self.device.brought = json!({});
            }
            self.arrive(self.events.len() - 1);
        }
    }

    fn arrive(&mut self, index: usize) {
        let Some(event) = self.events.get(index) else { return };
        let version = self.twin.desired_version();
        if let Some(report) = &event.report {
            let reported = self.twin.apply_report(report, event.published_at, self.now);
            let lost = self.full && reported.ignored == [Ignored::TooLarge];
            assert!(lost || reported.ignored.is_empty(), "{reported:?}");
            // Bounded whatever happens: what stays, and as much that goes.
            assert!(self.twin.reported().len() <= 2 * SECTION_MAX);
        }
        let mut queue = Queue::default();
        if let Some(due) = due::compose(&self.twin, &queue, Framing::Plain, self.budget, self.now) {
            assert!(due.text.len() <= self.budget);
            let body: Value = serde_json::from_str(&due.text).unwrap();
            assert!(body.get("d").is_some(), "{body}");
            let (v, more) = (body.get("v").and_then(Value::as_u64), body.get("more").is_some());
            assert_eq!(v, due.delta.v);
            match v {
                Some(v) if !more => assert_eq!(v, self.twin.desired_version(), "{body}"),
                Some(v) => assert!(v <= self.twin.desired_version(), "{body}"),
                None => assert!(more, "{body}"),
            }
            let d = &body["d"];
            assert!(d.get("own").is_none() && d["o"].get("own").is_none(), "{body}");
            due.mark_sent(&mut self.twin, &mut queue, self.now);
            self.replies.push(Reply { body, at: self.now, life: event.life });
        }
        // What a device says and is told is no write.
        assert_eq!(self.twin.desired_version(), version);
        self.twin = Twin::from_stored(&self.twin.to_stored().unwrap()).unwrap();
    }

    fn hear(&mut self, index: usize) {
        let Some(reply) = self.replies.get(index) else { return };
        let published_at = self.events.last().map(|event| event.published_at);
        let overtaken = self.device.habit == Habit::WithoutVersion && Some(reply.at) < published_at;
        let late = self.now.distance(reply.at) > IN_FLIGHT;
        if reply.life == self.device.life && !late && !overtaken {
            self.device.hear(&reply.body);
        }
    }

    pub fn step(&mut self, step: &Step) {
        self.now = self.now.plus_millis(700);
        let versions = (self.twin.desired_version(), self.twin.reported_version());
        match step {
            Step::Patch(patch) => {
                self.twin.patch_desired(&patch.to_string(), None, self.now).unwrap();
                self.wrote();
            }
            Step::Put(document) => {
                match self.twin.put_desired(&document.to_string(), Some(versions.0), self.now) {
                    Ok(()) => assert_eq!(self.desired(), *document),
                    // Too many deletions wait to be confirmed.
                    Err(problem) => assert_eq!(problem.code, Code::TwinTooLarge),
                }
                self.wrote();
            }
            Step::Publish { report, mask, arrives } => {
                self.publish(*report, *mask, *arrives);
            }
            Step::Arrive(index) if !self.events.is_empty() => self.arrive(index.index(self.events.len())),
            Step::Hear(index) if !self.replies.is_empty() => self.hear(index.index(self.replies.len())),
            Step::HearNewest if !self.replies.is_empty() => self.hear(self.replies.len() - 1),
            // It shows in a `_v` that goes down, so only from the first `_v` on that was heard.
            Step::LoseState if self.heard_version() > 0 => self.device.lose_state(),
            Step::LoseState => {}
            Step::Wait(millis) => self.now = self.now.plus_millis(*millis),
            Step::Arrive(_) | Step::Hear(_) | Step::HearNewest => {}
        }
        assert!(self.twin.desired_version() >= versions.0 && self.twin.reported_version() >= versions.1);
    }

    /// The network works again; the device is heard, every 20 s, often enough.
    pub fn be_heard(&mut self, rounds: u32) {
        for index in 0..self.events.len() {
            self.arrive(index);
        }
        let mut quiet = 0;
        for round in 0..rounds {
            self.now = self.now.plus_millis(20_000);
            self.publish(true, if round % 4 == 0 { 0xff } else { round as u8 }, true);
            if self.replies.last().is_some_and(|reply| reply.at == self.now) {
                self.hear(self.replies.len() - 1);
            }
            // Nothing is due for so long that everything has been reported once more.
            quiet = if self.twin.delta() == "{}" { quiet + 1 } else { 0 };
            if quiet == 6 {
                break;
            }
        }
    }

    pub fn agrees(&self) {
        let (desired, state) = (self.desired(), &self.device.state);
        let reported: Value = serde_json::from_str(&self.twin.reported()).unwrap();
        let context = || {
            let stored = self.twin.to_stored().unwrap();
            format!("desired {desired}\ndevice {state} v {}\ntwin {stored}", self.device.v)
        };
        let now = all_paths(&desired);
        for (path, value) in &now {
            match value {
                Some(value) if *value == json!({}) => {
                    assert!(get(state, path).is_some_and(Value::is_object), "{path:?}\n{}", context());
                }
                Some(value) => {
                    assert_eq!(get(state, path), Some(value), "{path:?}\n{}", context());
                    assert_eq!(get(&reported, path), Some(value), "{path:?}\n{}", context());
                }
                None => {}
            }
        }
        for path in self.ever.iter().filter(|path| !now.iter().any(|(there, _)| there == *path)) {
            assert_eq!(get(state, path), None, "{path:?}\n{}", context());
            assert_eq!(get(&reported, path), None, "{path:?}\n{}", context());
        }
        let own = born(self.device.own);
        assert!(
            all_paths(&own).iter().all(|(path, value)| value.is_none() || get(state, path) == value.as_ref())
        );
        assert_eq!(self.twin.delta(), "{}", "{}", context());
    }
}
