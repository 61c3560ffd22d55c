//! A twin beside documents that know nothing of versions. Each part is a step, by its first byte: `p`atch or `u`
//! (PUT) of the desired section, `r`eport, `w`ait so many milliseconds; what follows is its text.

use super::json::{merge_patch, read, same};
use super::{SEPARATOR, text};
use fieldhook_core::clock::Time;
use fieldhook_core::twin::{Carried, Ignored, RESERVED, SECTION_MAX, Twin};
use serde_json::value::RawValue;
use serde_json::{Value, json};

const STEPS: usize = 24;
const TEN_MINUTES: i64 = 600_000;

pub fn check(data: &[u8]) {
    let mut world = World::default();
    for step in data.split(|byte| *byte == SEPARATOR).take(STEPS) {
        let Some((kind, rest)) = step.split_first() else { continue };
        let body = text(rest);
        world.now = world.now.plus_millis(1_000);
        match kind {
            b'p' => world.patch(&body),
            b'u' => world.put(&body),
            b'r' => world.report(&body),
            _ => world.now = world.now.plus_millis(body.parse::<u32>().unwrap_or(0).into()),
        }
        world.holds();
    }
    world.is_stored();
    world.converges();
}

struct World {
    now: Time,
    twin: Twin,
    desired: Value,
    /// What the device has said, as long as nothing but its reports says what is there.
    reported: Option<Value>,
    /// Whether a report named a version: what it covers is no longer due by its value alone.
    claimed: bool,
}

impl Default for World {
    fn default() -> Self {
        let now = Time::from_millis(1_700_000_000_000);
        World { now, twin: Twin::default(), desired: json!({}), reported: Some(json!({})), claimed: false }
    }
}

impl World {
    fn patch(&mut self, body: &str) {
        let before = self.twin.desired_version();
        if self.twin.patch_desired(body, Some(before), self.now).is_err() {
            return assert_eq!(self.twin.desired_version(), before);
        }
        assert!(self.twin.desired_version() > before);
        assert!(self.twin.patch_desired(body, Some(before), self.now).is_err(), "a version that is no more");
        let Some(patch) = read(body) else { return self.forget() };
        let before = self.desired.clone();
        merge_patch(&mut self.desired, &patch);
        self.reported = None;
        let shown = self.hears();
        // What only the device has is nobody's to delete.
        let named = |key: &String| before.get(key).is_some();
        let deleted =
            patch.as_object().into_iter().flatten().filter(|(key, value)| value.is_null() && named(key));
        deleted.for_each(|(key, _)| assert!(shown.get(key).is_none(), "{key} is still there"));
    }

    fn put(&mut self, body: &str) {
        if self.twin.put_desired(body, None, self.now).is_err() {
            return;
        }
        let Some(document) = read(body) else { return self.forget() };
        self.desired = json!({});
        merge_patch(&mut self.desired, &document);
        self.reported = None;
    }

    fn report(&mut self, body: &str) {
        let known = self.twin.reported();
        let reported = self.twin.apply_report(body, self.now, self.now);
        if reported.ignored.contains(&Ignored::Report) {
            return assert_eq!(self.twin.reported(), known);
        }
        let members = read(body);
        self.claimed |= members.as_ref().is_none_or(|members| members.get("_v").is_some());
        let whole = !reported.stale
            && !reported.ignored.iter().any(|why| matches!(why, Ignored::TooDeep | Ignored::TooLarge));
        self.reported = match (self.reported.take(), members) {
            (Some(mut all), Some(mut patch)) if whole => {
                let members = patch.as_object_mut().expect("an object");
                RESERVED.iter().for_each(|name| drop(members.remove(*name)));
                merge_patch(&mut all, &patch);
                Some(all)
            }
            _ => None,
        };
    }

    /// Something that serde_json reads otherwise: begin anew.
    fn forget(&mut self) {
        *self = World { now: self.now, ..World::default() };
    }

    /// What the device would have if it heard all that is due to it.
    fn hears(&self) -> Value {
        let mut state = section(&self.twin.reported());
        merge_patch(&mut state, &section(&self.twin.delta()));
        state
    }

    fn holds(&self) {
        let (desired, reported) = (self.twin.desired(), self.twin.reported());
        assert!(desired.len() <= SECTION_MAX, "{}", desired.len());
        // What is to be deleted counts apart.
        assert!(reported.len() <= 2 * SECTION_MAX, "{}", reported.len());
        assert!(same(&section(&desired), &self.desired), "{desired} {}", self.desired);
        if let Some(expected) = &self.reported {
            assert!(same(&section(&reported), expected), "{reported} {expected}");
        }
        let delta = section(&self.twin.delta());
        asks_for(&delta, &self.desired);
        if !self.claimed {
            agrees(&self.hears(), &self.desired);
        }
    }

    /// What is stored is the same twin.
    fn is_stored(&self) {
        let stored = self.twin.to_stored().expect("a twin is written");
        let again = Twin::from_stored(&stored).expect("what was written is read");
        assert_eq!(again.show(|_| true, None), self.twin.show(|_| true, None));
        assert!(serde_json::from_str::<&RawValue>(&again.show(|_| false, None)).is_ok());
    }

    /// A device that hears what is due and says all it has agrees with what is desired.
    fn converges(mut self) {
        let state = self.hears();
        let keys = self.twin.due().into_iter().map(|item| item.path).collect();
        let v = self.twin.desired_version();
        let v = self.twin.may_say_version(self.now).then_some(v);
        self.twin.mark_sent(&Carried { keys, v, left_out: Vec::new() }, self.now);
        for _ in 0..2 {
            self.now = self.now.plus_millis(TEN_MINUTES);
            let mut report = state.clone();
            let members = report.as_object_mut().expect("an object");
            members.insert("_v".to_owned(), self.twin.desired_version().into());
            let reported = self.twin.apply_report(&report.to_string(), self.now, self.now);
            if !reported.ignored.is_empty() {
                return;
            }
        }
        assert_eq!(self.twin.delta(), "{}");
        // A device may change what it has been told of and has confirmed: that is its own word then.
        if !self.claimed {
            agrees(&section(&self.twin.reported()), &self.desired);
        }
    }
}

fn section(text: &str) -> Value {
    serde_json::from_str(text).expect("a section is JSON")
}

/// Whether `state` has all that is desired; it may have more.
fn agrees(state: &Value, desired: &Value) {
    match (state, desired) {
        (Value::Object(state), Value::Object(desired)) => {
            for (key, desired) in desired {
                agrees(state.get(key).expect("what is desired is there"), desired);
            }
        }
        _ => assert!(same(state, desired), "{state} {desired}"),
    }
}

/// What is due is either desired or to be deleted.
fn asks_for(delta: &Value, desired: &Value) {
    for (key, due) in delta.as_object().into_iter().flatten() {
        match (due, desired.get(key)) {
            (Value::Null, None) => {}
            (Value::Object(due), None) => {
                due.iter().for_each(|(key, _)| asks_for(&json!({ key: due[key] }), &json!({})));
            }
            (Value::Object(_), Some(desired @ Value::Object(_))) => asks_for(due, desired),
            (due, Some(desired)) => assert!(same(due, desired), "{due} {desired}"),
            (due, None) => panic!("{key}: {due} is not desired"),
        }
    }
}
