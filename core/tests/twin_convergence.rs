//! A device and its twin agree in the end, whatever the network does in between.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod world;

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use world::{Habit, Step, World, merge_patch};

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

fn run(habit: Habit, budget: usize, steps: &[Step]) {
    let mut world = World::new(habit, budget, 0);
    for step in steps {
        world.step(step);
    }
    world.be_heard(80);
    world.agrees();
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_device_that_reports_all_of_itself(steps in prop::collection::vec(step(), 0..60)) {
        run(Habit::Whole, 511, &steps);
    }

    #[test]
    fn a_device_that_reports_what_it_has_and_what_it_has_deleted(
        steps in prop::collection::vec(step(), 0..60)
    ) {
        run(Habit::WholeAndNulls, 511, &steps);
    }

    #[test]
    fn a_device_that_reports_what_replies_bring(steps in prop::collection::vec(step(), 0..60)) {
        run(Habit::Echo, 511, &steps);
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
