//! A device and its twin agree in the end, also where the section is as large as it may be, takes many replies,
//! and all its keys are replaced by others at once.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod world;

use fieldhook_core::clock::Time;
use fieldhook_core::twin::{Ignored, SECTION_MAX, Twin};
use proptest::prelude::*;
use serde_json::{Value, json};
use world::{Habit, Step, World};

/// A section of at most `keys` keys that begin with `family`, half of them inside an object.
fn section(family: &str, keys: usize, length: usize) -> Value {
    let (mut size, mut section) = (r#"{"in":{},"o":{}}"#.len(), json!({ "o": {}, "in": {} }));
    for n in 0..keys {
        size += r#""a000":"",""#.len() + length;
        if size > SECTION_MAX {
            break;
        }
        let inside = if n % 2 == 0 { &mut section } else { &mut section["in"] };
        inside[format!("{family}{n:03}")] = json!("x".repeat(length));
    }
    section
}

fn reported(twin: &mut Twin, report: &str, seconds: i64) -> (Value, Vec<Ignored>) {
    let at = Time::from_millis(1_700_000_000_000 + seconds * 1_000);
    let ignored = twin.apply_report(report, at, at).ignored;
    (serde_json::from_str(&twin.reported()).unwrap(), ignored)
}

#[test]
fn a_report_is_taken_key_by_key_what_is_desired_first() {
    let text = |length: usize| json!("x".repeat(length));
    let mut twin = Twin::default();
    twin.patch_desired(&json!({ "a": text(4_000), "b": 1, "c": {} }).to_string(), None, Time::from_millis(0))
        .unwrap();
    // A value that is not the desired one, and the device's own: the smallest first.
    let report = json!({ "b": text(9_000), "c": { "own": text(3_000) }, "large": text(5_100), "small": 1 });
    let (there, ignored) = reported(&mut twin, &report.to_string(), 1);
    assert_eq!(there, json!({ "c": { "own": text(3_000) }, "large": text(5_100), "small": 1 }));
    assert_eq!(ignored, [Ignored::TooLarge]);
    // What is desired takes its room from what is not; and one number can be spelled at any length.
    let report = format!(r#"{{"a":"{}","b":1.{}}}"#, "x".repeat(4_000), "0".repeat(9_000));
    let (there, ignored) = reported(&mut twin, &report, 2);
    assert_eq!(there, json!({ "a": text(4_000), "b": 1, "c": { "own": text(3_000) }, "small": 1 }));
    assert_eq!(ignored, [Ignored::TooLarge]);
    assert_eq!(twin.delta(), "{}");
}

#[test]
fn what_is_to_be_deleted_is_remembered_even_where_its_value_finds_no_room() {
    let all =
        |family: &str, value: &Value| (0..80).map(|n| (format!("{family}{n}"), value.clone())).collect();
    let long = json!("x".repeat(90));
    let (mut twin, mut device) = (Twin::default(), json!({ "_v": 0 }));
    for (seconds, family) in (1..).zip(["a", "b", "c", "d"]) {
        let desired: Value = all(family, &long);
        twin.put_desired(&desired.to_string(), None, Time::from_millis(0)).unwrap();
        world::merge_patch(&mut device, &desired);
        let (there, ignored) = reported(&mut twin, &device.to_string(), seconds);
        assert_eq!(ignored, []);
        assert!(there.to_string().len() <= 2 * SECTION_MAX);
        assert!((0..80).all(|n| there[format!("{family}{n}")] == long));
    }
    let due: Value = serde_json::from_str(&twin.delta()).unwrap();
    let nulls: Value = ["a", "b", "c"].iter().fold(json!({}), |mut nulls, family| {
        let gone: Value = all(family, &Value::Null);
        nulls.as_object_mut().unwrap().extend(gone.as_object().unwrap().clone());
        nulls
    });
    assert_eq!(due, nulls);
    let (_, ignored) = reported(&mut twin, &nulls.to_string(), 9);
    assert_eq!((ignored, twin.delta()), (vec![], "{}".to_owned()));
}

fn step() -> impl Strategy<Value = Step> {
    use prop::sample::Index;
    let put = ("[abc]", 50usize..400, 5usize..60);
    prop_oneof![
        3 => put.prop_map(|(family, keys, length)| Step::Put(section(&family, keys, length))),
        8 => (prop::bool::weighted(0.8), any::<u8>(), prop::bool::weighted(0.7))
            .prop_map(|(report, mask, arrives)| Step::Publish { report, mask, arrives }),
        2 => any::<Index>().prop_map(Step::Arrive),
        3 => any::<Index>().prop_map(Step::Hear),
        6 => Just(Step::HearNewest),
        1 => Just(Step::LoseState),
        1 => (0i64..90_000).prop_map(Step::Wait),
    ]
}

fn run(habit: Habit, own: usize, steps: &[Step]) {
    let mut world = World::new(habit, 511, own);
    world.full = true;
    for step in steps {
        world.step(step);
    }
    // Now surely a full one, and every key of it replaced by another.
    for family in ["a", "b"] {
        world.step(&Step::Put(section(family, 400, 12)));
        world.be_heard(300);
        world.agrees();
    }
}

proptest! {
    // A case is some hundred replies.
    #![proptest_config(ProptestConfig {
        cases: ProptestConfig::default().cases / 128,
        failure_persistence: None,
        max_shrink_iters: 64,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_device_that_reports_all_of_itself(steps in prop::collection::vec(step(), 0..30)) {
        run(Habit::Whole, 0, &steps);
    }

    #[test]
    fn a_device_that_reports_what_it_has_and_what_it_has_deleted(
        steps in prop::collection::vec(step(), 0..30)
    ) {
        run(Habit::WholeAndNulls, 0, &steps);
    }

    #[test]
    fn a_device_that_reports_parts(steps in prop::collection::vec(step(), 0..30)) {
        run(Habit::Parts, 0, &steps);
    }

    #[test]
    fn a_device_that_reports_what_replies_bring(steps in prop::collection::vec(step(), 0..30)) {
        run(Habit::Echo, 0, &steps);
    }

    #[test]
    fn a_device_that_reports_no_version(steps in prop::collection::vec(step(), 0..30)) {
        run(Habit::WithoutVersion, 0, &steps);
    }

    #[test]
    fn a_device_with_much_of_its_own(steps in prop::collection::vec(step(), 0..30)) {
        run(Habit::Whole, 6_000, &steps);
    }
}
