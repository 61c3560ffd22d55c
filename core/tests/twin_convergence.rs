//! A device and its twin agree in the end, whatever the network does in between.
//!
//! The device here does what `firmware/` asks of one: it merges `d`, drops a `v` below its own, reports `_v`,
//! and after it has lost its state it reports before it publishes anything else and takes no reply to what
//! it published before. The network loses, repeats and shuffles reports without limit, and replies for as
//! long as they can be on their way. A device that never reports `_v` is promised less: it agrees if no reply
//! is still on its way to it when it publishes again.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use fieldhook_core::clock::Time;
use fieldhook_core::commands::Queue;
use fieldhook_core::due;
use fieldhook_core::reply::Framing;
use fieldhook_core::twin::{IN_FLIGHT, Twin};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// RFC 7396, section 2, word for word.
fn merge_patch(target: &mut Value, patch: &Value) {
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

fn all_paths(value: &Value) -> Vec<(Vec<String>, Option<Value>)> {
    let mut found = Vec::new();
    paths(value, &mut Vec::new(), &mut found);
    found
}

/// What a device says of itself.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Habit {
    /// All of its state, and `_v`.
    Whole,
    /// Some of its state, and `_v`.
    Parts,
    /// All of its state and what it has deleted, but never a `_v`.
    WithoutVersion,
}

struct Device {
    habit: Habit,
    state: Value,
    v: u64,
    /// Counts the times it has lost its state.
    life: u32,
    deleted: BTreeSet<Vec<String>>,
}

impl Device {
    fn new(habit: Habit) -> Self {
        Device { habit, state: born(), v: 0, life: 0, deleted: BTreeSet::new() }
    }

    fn lose_state(&mut self) {
        *self = Device { life: self.life + 1, ..Device::new(self.habit) };
    }

    fn hear(&mut self, reply: &Value) {
        let v = reply.get("v").and_then(Value::as_u64);
        if v.is_some_and(|v| v < self.v) {
            return;
        }
        if let Some(d) = reply.get("d") {
            merge_patch(&mut self.state, d);
            self.deleted.extend(
                all_paths(d).into_iter().filter(|(_, v)| *v == Some(Value::Null)).map(|(path, _)| path),
            );
        }
        self.v = v.unwrap_or(self.v);
    }

    fn report(&self, mask: u8) -> String {
        let mut report = self.state.clone();
        let members = report.as_object_mut().unwrap();
        if self.habit == Habit::Parts {
            let mut bit = 0;
            members.retain(|_, _| {
                bit += 1;
                mask >> (bit % 8) & 1 == 1
            });
        }
        if self.habit == Habit::WithoutVersion {
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
        } else {
            members.insert("_v".into(), self.v.into());
        }
        report.to_string()
    }
}

/// What only the device has.
fn born() -> Value {
    json!({ "own": { "uptime": 1 }, "o": { "own": [1, null] } })
}

#[derive(Debug, Clone)]
enum Step {
    Patch(Value),
    Put(Value),
    /// The device publishes; the event arrives now, if at all, and may arrive again later.
    Publish {
        report: bool,
        mask: u8,
        arrives: bool,
    },
    /// One of the events so far arrives, for the first time or again.
    Arrive(prop::sample::Index),
    /// One of the replies so far reaches the device, for the first time or again.
    Hear(prop::sample::Index),
    /// The newest reply reaches the device.
    HearNewest,
    LoseState,
    Wait(i64),
}

fn small() -> impl Strategy<Value = Value> {
    prop_oneof![(0..3).prop_map(Value::from), Just(json!("x")), Just(json!([1, null]))]
}

fn patch() -> impl Strategy<Value = Value> {
    let a = prop_oneof![
        2 => small(),
        2 => Just(Value::Null),
        1 => Just(json!({})),
        3 => ("[bc]", prop_oneof![small(), Just(Value::Null), Just(json!({ "deep": 1 }))])
            .prop_map(|(key, value)| Value::Object(Map::from_iter([(key, value)]))),
    ];
    let o = ("[xy]", prop_oneof![small(), Just(Value::Null)])
        .prop_map(|(key, value)| Value::Object(Map::from_iter([(key, value)])));
    let long = ("k[1-5]", prop_oneof![3 => "[ab]".prop_map(|c| json!(c.repeat(40))), 1 => Just(Value::Null)]);
    prop_oneof![
        3 => a.prop_map(|a| json!({ "a": a })),
        2 => o.prop_map(|o| json!({ "o": o })),
        2 => prop::collection::vec(long, 1..5).prop_map(|members| members.into_iter().collect()),
    ]
}

fn document() -> impl Strategy<Value = Value> {
    prop::collection::vec(patch(), 0..4).prop_map(|patches| {
        // Without "o" the device's own key in it would be deleted with it, as it should.
        let mut document = json!({ "o": {} });
        for patch in patches {
            merge_patch(&mut document, &patch);
        }
        document
    })
}

fn step() -> impl Strategy<Value = Step> {
    use prop::sample::Index;
    prop_oneof![
        4 => patch().prop_map(Step::Patch),
        1 => document().prop_map(Step::Put),
        8 => (prop::bool::weighted(0.8), any::<u8>(), prop::bool::weighted(0.7))
            .prop_map(|(report, mask, arrives)| Step::Publish { report, mask, arrives }),
        3 => any::<Index>().prop_map(Step::Arrive),
        4 => any::<Index>().prop_map(Step::Hear),
        4 => Just(Step::HearNewest),
        1 => Just(Step::LoseState),
        2 => (0i64..90_000).prop_map(Step::Wait),
    ]
}

struct Event {
    report: Option<String>,
    published_at: Time,
    life: u32,
}

struct Reply {
    body: Value,
    at: Time,
    life: u32,
}

struct World {
    now: Time,
    budget: usize,
    twin: Twin,
    device: Device,
    events: Vec<Event>,
    replies: Vec<Reply>,
    /// Every path that was ever desired.
    ever: BTreeSet<Vec<String>>,
}

impl World {
    fn new(habit: Habit, budget: usize) -> Self {
        World {
            now: Time::from_millis(1_700_000_000_000),
            budget,
            twin: Twin::default(),
            device: Device::new(habit),
            events: Vec::new(),
            replies: Vec::new(),
            ever: BTreeSet::new(),
        }
    }

    fn desired(&self) -> Value {
        serde_json::from_str(&self.twin.desired()).unwrap()
    }

    fn wrote(&mut self) {
        self.ever.extend(all_paths(&self.desired()).into_iter().map(|(path, _)| path));
    }

    fn heard_version(&self) -> u64 {
        let stored: Value = serde_json::from_str(&self.twin.to_stored().unwrap()).unwrap();
        stored["applied"]["v"].as_u64().unwrap_or_default()
    }

    fn publish(&mut self, report: bool, mask: u8) {
        // A device that has lost its state reports before it publishes anything else.
        let report = (report || self.device.v == 0).then(|| self.device.report(mask));
        self.events.push(Event { report, published_at: self.now, life: self.device.life });
    }

    fn arrive(&mut self, index: usize) {
        let Some(event) = self.events.get(index) else { return };
        if let Some(report) = &event.report {
            let reported = self.twin.apply_report(report, event.published_at, self.now);
            assert_eq!(reported.ignored, []);
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

    fn step(&mut self, step: &Step) {
        self.now = self.now.plus_millis(700);
        let versions = (self.twin.desired_version(), self.twin.reported_version());
        match step {
            Step::Patch(patch) => {
                self.twin.patch_desired(&patch.to_string(), None, self.now).unwrap();
                self.wrote();
            }
            Step::Put(document) => {
                self.twin.put_desired(&document.to_string(), Some(versions.0), self.now).unwrap();
                assert_eq!(self.desired(), *document);
                self.wrote();
            }
            Step::Publish { report, mask, arrives } => {
                self.publish(*report, *mask);
                if *arrives {
                    self.arrive(self.events.len() - 1);
                }
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
    fn be_heard(&mut self) {
        for index in 0..self.events.len() {
            self.arrive(index);
        }
        let mut quiet = 0;
        for round in 0..80u8 {
            self.now = self.now.plus_millis(20_000);
            self.publish(true, if round % 4 == 0 { 0xff } else { round });
            self.arrive(self.events.len() - 1);
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

    fn agrees(&self) {
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
        assert_eq!(state["own"], born()["own"]);
        assert_eq!(state["o"]["own"], born()["o"]["own"]);
        assert_eq!(self.twin.delta(), "{}", "{}", context());
    }
}

fn run(habit: Habit, budget: usize, steps: &[Step]) {
    let mut world = World::new(habit, budget);
    for step in steps {
        world.step(step);
    }
    world.be_heard();
    world.agrees();
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_device_that_reports_all_of_itself(steps in prop::collection::vec(step(), 0..60)) {
        run(Habit::Whole, 511, &steps);
    }

    #[test]
    fn a_device_that_reports_parts(steps in prop::collection::vec(step(), 0..60)) {
        run(Habit::Parts, 511, &steps);
    }

    #[test]
    fn a_device_that_reports_no_version(steps in prop::collection::vec(step(), 0..60)) {
        run(Habit::WithoutVersion, 511, &steps);
    }

    #[test]
    fn a_twin_larger_than_one_reply(steps in prop::collection::vec(step(), 0..60), budget in 90usize..200) {
        run(Habit::Whole, budget, &steps);
    }

    #[test]
    fn a_twin_larger_than_one_reply_and_than_one_report(
        steps in prop::collection::vec(step(), 0..60), budget in 90usize..200
    ) {
        run(Habit::Parts, budget, &steps);
    }
}
