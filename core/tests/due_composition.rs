//! One reply of what is due: whole items, never more than the budget, and nothing left out for ever.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use fieldhook_core::clock::Time;
use fieldhook_core::commands::{Queue, Request};
use fieldhook_core::due::{self, Due};
use fieldhook_core::home::Room;
use fieldhook_core::reply::{Framing, Reply, TooLarge};
use fieldhook_core::template::{Context, Document, Fields, Parts, Variables};
use fieldhook_core::twin::Twin;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn at(millis: i64) -> Time {
    Time::from_millis(1_700_000_000_000 + millis)
}

fn twin(desired: &Value) -> Twin {
    let mut twin = Twin::default();
    twin.patch_desired(&desired.to_string(), None, at(0)).unwrap();
    twin
}

fn queue(args: &[Value]) -> Queue {
    let mut queue = Queue::default();
    for args in args {
        let request = Request::read(&json!({ "name": "n", "args": args }).to_string()).unwrap();
        queue.create(request, Framing::Plain, 511, at(0)).unwrap();
    }
    queue
}

fn plain(twin: &Twin, queue: &Queue, now: Time) -> Option<Due> {
    due::compose(twin, queue, Framing::Plain, 511, now)
}

/// What [`fieldhook_core::dialogue::Dialogue`] takes for granted where it does not ask what is due.
#[test]
fn of_what_was_never_wanted_nothing_is_due_whatever_the_device_reports() {
    let (mut twin, queue) = (Twin::default(), Queue::default());
    for report in [r#"{"a":1,"_v":0}"#, r#"{"a":2,"_ack":[1]}"#, r#"{"b":{"c":null}}"#] {
        twin.apply_report(report, at(0), at(0));
        assert_eq!(twin.desired_version(), 0);
        assert_eq!(plain(&twin, &queue, at(1)), None);
    }
}

fn parsed(due: &Due) -> Value {
    serde_json::from_str(&due.text).unwrap()
}

#[test]
fn what_fits_exactly_is_whole_and_one_byte_more_is_not() {
    let frame = r#"{"v":1,"d":{"a":"","b":1}}"#.len();
    let exact = twin(&json!({ "a": "x".repeat(511 - frame), "b": 1 }));
    let whole = plain(&exact, &Queue::default(), at(0)).unwrap();
    assert_eq!((whole.text.len(), whole.delta.v), (511, Some(1)));

    let over = twin(&json!({ "a": "x".repeat(512 - frame), "b": 1 }));
    let part = plain(&over, &Queue::default(), at(0)).unwrap();
    assert_eq!(part.delta.v, None);
    assert_eq!(parsed(&part)["more"], 1);
    assert_eq!(parsed(&part)["d"].as_object().unwrap().len(), 1);
}

#[test]
fn framing_counts_inside_the_budget() {
    let desired = twin(&json!({ "a": "x".repeat(400), "b": "y".repeat(79) }));
    let text = plain(&desired, &Queue::default(), at(0)).unwrap().text;
    assert!((506..=511).contains(&text.len()), "{}", text.len());
    let framed = due::compose(&desired, &Queue::default(), Framing::Framed, 511, at(0)).unwrap();
    assert!(framed.text.len() <= 505);
    assert!(Reply::within(framed.text, Framing::Framed, 511).is_ok());
}

#[test]
fn what_is_listed_as_undeliverable_is_not_told_framed_or_plain() {
    let desired = twin(&json!({ "a": "x".repeat(100) }));
    // It has room with its version, but not as a part with `more`.
    let whole = plain(&desired, &Queue::default(), at(0)).unwrap().text.len();
    for (framing, budget) in [(Framing::Plain, whole), (Framing::Framed, whole + 6)] {
        let room = Some(Room::new(framing, budget));
        assert!(!due::deliverable(&desired, &desired.due()[0], room), "{framing:?}");
        assert_eq!(due::compose(&desired, &Queue::default(), framing, budget, at(0)), None, "{framing:?}");
    }
}

#[test]
fn a_leaf_that_fits_no_reply_is_skipped_and_listed() {
    let mut twin = twin(&json!({ "blob": { "a/b": "x".repeat(600) }, "t": 1 }));
    let mut queue = Queue::default();
    let due = plain(&twin, &queue, at(0)).unwrap();
    assert_eq!(due.text, r#"{"v":1,"d":{"t":1}}"#);
    due.mark_sent(&mut twin, &mut queue, at(0));
    twin.apply_report(r#"{"t":1,"_v":1}"#, at(1), at(1));
    assert!(plain(&twin, &queue, at(2)).is_none());
    let shown: Value = serde_json::from_str(
        &twin.show(|item| due::deliverable(&twin, item, Some(Room::new(Framing::Plain, 511))), None),
    )
    .unwrap();
    assert_eq!(shown["undeliverable"], json!(["/blob/a~1b"]));
    // A larger reply can carry it, although the device has said that it has applied its version.
    let large = due::compose(&twin, &queue, Framing::Plain, 5_119, at(2)).unwrap();
    large.mark_sent(&mut twin, &mut queue, at(2));
    twin.apply_report(r#"{"_v":1}"#, at(3), at(3));
    assert!(due::compose(&twin, &queue, Framing::Plain, 5_119, at(3)).is_some(), "that reply was lost");
    let blob = json!({ "blob": { "a/b": "x".repeat(600) }, "_v": 1 });
    twin.apply_report(&blob.to_string(), at(4), at(4));
    assert_eq!(twin.delta(), "{}");
}

#[test]
fn a_twin_larger_than_one_reply_arrives_over_several() {
    let desired: Value = (0..20).map(|n| (format!("key{n:02}"), json!("x".repeat(50)))).collect();
    let (mut twin, mut queue) = (twin(&desired), Queue::default());
    let (mut device, mut v, mut replies) = (serde_json::Map::new(), 0, 0);
    while let Some(due) = plain(&twin, &queue, at(replies)) {
        due.mark_sent(&mut twin, &mut queue, at(replies));
        let body = parsed(&due);
        assert_eq!(body.get("v").is_none(), body.get("more").is_some());
        device.extend(body["d"].as_object().unwrap().clone());
        v = body.get("v").and_then(Value::as_u64).unwrap_or(v);
        replies += 1;
        let mut report = device.clone();
        report.insert("_v".into(), v.into());
        twin.apply_report(&Value::from(report).to_string(), at(replies), at(replies));
    }
    assert_eq!((Value::from(device), v), (desired, 1));
    assert!((3..=4).contains(&replies), "{replies}");
}

#[test]
fn deletions_that_do_not_fit_one_reply_are_confirmed_all_the_same() {
    let keys: Vec<String> = (0..40).map(|n| format!("a_rather_long_name_{n:02}")).collect();
    let desired: Value = keys.iter().map(|key| (key.clone(), json!(1))).collect();
    let (mut twin, mut queue) = (twin(&desired), Queue::default());
    for round in 0..4 {
        plain(&twin, &queue, at(round)).unwrap().mark_sent(&mut twin, &mut queue, at(round));
    }
    twin.put_desired("{}", None, at(1_000)).unwrap();
    let version = twin.desired_version();
    // The device never reports anything but its version.
    let (mut v, mut now) = (0, at(120_000));
    let mut told = BTreeSet::new();
    while let Some(due) = plain(&twin, &queue, now) {
        due.mark_sent(&mut twin, &mut queue, now);
        let body = parsed(&due);
        told.extend(body["d"].as_object().unwrap().keys().cloned());
        v = body["v"].as_u64().unwrap();
        now = now.plus_millis(1_000);
        twin.apply_report(&json!({ "_v": v }).to_string(), now, now);
        assert!(told.len() <= 40 && now < at(200_000));
        assert_eq!(body.get("more").is_some(), v < version, "d is complete up to v");
        assert_eq!(twin.desired_version(), version, "nobody wrote");
    }
    assert_eq!(told, keys.into_iter().collect());
    assert_eq!(v, version);
}

#[test]
fn a_reply_says_no_version_below_that_of_the_device() {
    let keys: Vec<String> = (0..40).map(|n| format!("a_rather_long_name_{n:02}")).collect();
    let all: Value = keys.iter().map(|key| (key.clone(), json!(1))).collect();
    let (mut twin, mut queue) = (twin(&all), Queue::default());
    twin.apply_report(&all.to_string(), at(1), at(1));
    twin.put_desired("{}", None, at(2)).unwrap();
    // The device has applied that, and made the keys again.
    let claim = json!({ "_v": twin.desired_version() });
    twin.apply_report(&all.to_string(), at(3), at(3));
    let mut device = all.as_object().unwrap().clone();
    let mut now = at(4);
    while !device.is_empty() {
        let mut report = device.clone();
        report.extend(claim.as_object().unwrap().clone());
        twin.apply_report(&Value::from(report).to_string(), now, now);
        let due = plain(&twin, &queue, now).unwrap();
        due.mark_sent(&mut twin, &mut queue, now);
        let body = parsed(&due);
        if body.get("v").is_none_or(|v| v.as_u64() >= claim["_v"].as_u64()) {
            device.retain(|key, _| body["d"].get(key).is_none());
        }
        now = now.plus_millis(70_000);
        assert!(now < at(2_000_000), "{body}");
    }
}

#[test]
fn what_the_device_has_reported_already_waits_for_the_version_and_costs_no_reply() {
    let long = |c: &str| c.repeat(300);
    let (mut twin, mut queue) = (twin(&json!({ "a": long("a"), "b": long("b"), "c": 1 })), Queue::default());
    let said = |twin: &mut Twin, queue: &mut Queue, now| {
        let due = plain(twin, queue, now)?;
        due.mark_sent(twin, queue, now);
        Some(due.text)
    };
    // Both do not fit, so that a reply without `v` is on its way when `a` is written again.
    let first = said(&mut twin, &mut queue, at(0)).unwrap();
    assert_eq!(first, format!(r#"{{"d":{{"a":"{}","c":1}},"more":1}}"#, long("a")));
    twin.apply_report(&json!({ "a": long("a"), "_v": 0 }).to_string(), at(1_000), at(1_000));
    twin.patch_desired(r#"{"a":1,"b":null,"c":null}"#, None, at(2_000)).unwrap();
    // What differs is told at once, as is a deletion that was never told; `v` is still to come.
    let second = said(&mut twin, &mut queue, at(3_000)).unwrap();
    assert_eq!(second, r#"{"d":{"a":1,"c":null},"more":1}"#);
    // Of the deletion nothing was heard: it may not have arrived.
    let mut quiet = twin.clone();
    quiet.apply_report(r#"{"a":1,"_v":0}"#, at(4_000), at(4_000));
    assert_eq!(plain(&quiet, &queue, at(5_000)).unwrap().text, r#"{"d":{"c":null},"more":1}"#);
    twin.apply_report(r#"{"a":1,"c":null,"_v":0}"#, at(4_000), at(4_000));
    assert_eq!(twin.delta(), r#"{"a":1,"c":null}"#, "the first reply may still arrive and undo it");
    for second in 5..60 {
        assert_eq!(said(&mut twin, &mut queue, at(second * 1_000)), None, "at {second} s");
    }
    // Nor does a command bring it along.
    queue.create(Request::read(r#"{"name":"n"}"#).unwrap(), Framing::Plain, 511, at(5_000)).unwrap();
    let third = said(&mut twin, &mut queue, at(5_000)).unwrap();
    assert_eq!(third, r#"{"c":[{"id":1,"n":"n"}]}"#);
    queue.ack(&[1], at(6_000));
    // A device that lost it after all says so, and is told at once.
    let mut lost = twin.clone();
    lost.apply_report(r#"{"a":"old","c":1}"#, at(6_000), at(6_000));
    let again = plain(&lost, &queue, at(7_000)).unwrap();
    assert_eq!(again.text, r#"{"d":{"a":1,"c":null},"more":1}"#);
    // The reply of 3 s is no longer on its way: with the version all of it goes out.
    let versioned = plain(&twin, &queue, at(64_000)).unwrap();
    assert_eq!(versioned.text, r#"{"v":2,"d":{"a":1,"c":null}}"#);
}

#[test]
fn neither_side_starves_the_other() {
    let mut twin = twin(&json!({ "large": "x".repeat(440), "small": 1 }));
    let mut queue = queue(&[json!("y".repeat(400)), json!(2)]);
    let (mut leaves, mut commands) = (0, 0);
    for round in 0..6 {
        // Nothing is ever reported or acknowledged.
        let now = at(round * 10_000);
        let due = plain(&twin, &queue, now).unwrap();
        due.mark_sent(&mut twin, &mut queue, now);
        let body = parsed(&due);
        assert_eq!(body["more"], 1);
        leaves += usize::from(body["d"].get("large").is_some());
        commands += usize::from(body["c"].get(0).is_some());
    }
    assert!(leaves >= 3 && commands >= 3, "{leaves} {commands}");
}

#[test]
fn a_template_gets_as_much_of_what_is_due_as_it_has_room_for() {
    let fields = Fields::default();
    let document =
        Document::parse_json(r#"{"say":"hello {{PARTICLE_EVENT_NAME}}","due":"{{{FIELDHOOK_DUE}}}"}"#);
    let document = document.unwrap();
    let (twin, queue) = (twin(&json!({ "a": "x".repeat(100), "b": "y".repeat(100) })), queue(&[json!(1)]));
    let compose = |budget| {
        due::compose_into(&twin, &queue, Framing::Plain, budget, at(0), |due| {
            let parts = Parts { event_name: "demo", ..Parts::default() };
            let variables = Variables::new(parts).with("FIELDHOOK_DUE", due);
            document.render(&Context::new(&variables, &fields), budget)
        })
    };
    let text = |reply: &Reply| match reply {
        Reply::Text { text, .. } => serde_json::from_str::<Value>(text).unwrap(),
        Reply::Empty => panic!("a reply"),
    };
    let (reply, due) = compose(5_119).unwrap();
    assert_eq!(text(&reply)["due"], due.unwrap().text);

    let (reply, due) = compose(150).unwrap();
    let due = due.unwrap();
    assert_eq!((due.commands.len(), due.delta.keys.len(), due.delta.v), (1, 0, None));
    assert_eq!(text(&reply)["due"], r#"{"c":[{"id":1,"n":"n","a":1}],"more":1}"#);

    let (reply, due) = compose(40).unwrap();
    assert_eq!((text(&reply)["due"].clone(), due), (json!(""), None));
    assert_eq!(compose(20), Err(TooLarge));
}

#[test]
fn a_template_that_does_not_show_what_is_due_has_not_told_the_device() {
    let twin = twin(&json!({ "a": 1 }));
    let hidden = |_: &str| Ok("hello".to_owned());
    let (reply, due) =
        due::compose_into(&twin, &Queue::default(), Framing::Plain, 511, at(0), hidden).unwrap();
    assert_eq!((reply, due), (Reply::within("hello".into(), Framing::Plain, 511).unwrap(), None));
}

fn desired() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![any::<i32>().prop_map(Value::from), ".{0,80}".prop_map(Value::from)];
    let value = prop_oneof![
        4 => leaf.clone(),
        1 => prop::collection::btree_map("[a-cé\"]{1,3}", leaf, 0..4)
            .prop_map(|members| members.into_iter().collect()),
    ];
    prop::collection::btree_map("[a-z\\\\]{1,8}", value, 0..20)
        .prop_map(|members| members.into_iter().collect())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_item_is_whole_fits_and_is_sent_at_last(
        desired in desired(),
        args in prop::collection::vec(".{0,90}", 0..10),
        budget in 64usize..512,
        framed: bool,
    ) {
        let framing = if framed { Framing::Framed } else { Framing::Plain };
        let mut twin = twin(&desired);
        let mut queue = queue(&args.into_iter().map(Value::from).collect::<Vec<_>>());
        let deliverable: BTreeSet<String> = twin
            .due()
            .iter()
            .filter(|item| due::deliverable(&twin, item, Some(Room::new(framing, budget))))
            .map(|item| item.pointer())
            .collect();
        let mut seen = BTreeSet::new();
        for round in 0..80 {
            let now = at(round * 10_000);
            let Some(due) = due::compose(&twin, &queue, framing, budget, now) else { break };
            if round > 9 && seen == deliverable {
                break;
            }
            let body = parsed(&due);
            prop_assert!(Reply::within(due.text.clone(), framing, budget).is_ok());
            prop_assert_eq!(body.as_object().unwrap().get("d").is_some(), !due.delta.keys.is_empty());
            for path in &due.delta.keys {
                let told = path.iter().try_fold(&body["d"], |value, key| value.get(key));
                let want = path.iter().try_fold(&desired, |value, key| value.get(key));
                prop_assert_eq!(told, want);
                seen.insert(path.iter().map(|key| format!("/{key}")).collect::<String>());
            }
            let complete = due.delta.keys.len() == deliverable.len() && !deliverable.is_empty();
            prop_assert!(due.delta.v.is_none() || complete);
            prop_assert!(body.get("more").is_some() || complete || deliverable.is_empty());
            due.mark_sent(&mut twin, &mut queue, now);
        }
        prop_assert_eq!(seen, deliverable);
    }
}
