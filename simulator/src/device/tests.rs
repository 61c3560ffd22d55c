//! What a device does, seen from outside.

use super::*;
use serde_json::json;

const CALM: Habits =
    Habits { bursts: 0.0, retransmits: 0.0, duplicates: 0.0, malformed: 0.0, reports: 0.0, late: 0.0 };

fn now() -> Time {
    Time::from_millis(1_700_000_000_000)
}

fn device(habits: Habits) -> Device {
    Device::new(id(0, 1), Chance::new(7, 1), "temperature".into(), habits)
}

/// A device whose first report has been heard.
fn settled() -> Device {
    let mut device = device(CALM);
    let first = device.turn(now()).remove(0);
    device.answered(&first);
    device
}

fn data(publish: &Publish) -> Value {
    serde_json::from_str(&publish.data).unwrap()
}

#[test]
fn it_reports_first_and_then_measures() {
    let mut device = device(CALM);
    let first = device.turn(now()).remove(0);
    assert_eq!((first.name.as_str(), data(&first)), (REPORT, json!({"_v":0})));
    assert_eq!(device.turn(now()).remove(0).name, REPORT, "until a report was heard");
    device.answered(&first);
    let next = device.turn(now()).remove(0);
    assert_eq!(next.name, "temperature");
    assert!(data(&next)["celsius"].is_number() && data(&next)["battery"].is_number(), "{}", next.data);
    assert_eq!(device.id.len(), 24);
}

#[test]
fn after_a_start_nothing_goes_out_beside_the_first_report() {
    let mut device = device(Habits { bursts: 1.0, ..CALM });
    let first = device.turn(now());
    assert_eq!((first.len(), first[0].name.as_str()), (1, REPORT));
    device.answered(&first[0]);
    assert!(device.turn(now()).len() >= 3);
}

#[test]
fn it_applies_what_is_desired_and_says_so_until_it_is_heard() {
    let mut device = settled();
    let heard = device.hear(r#"{"v":17,"d":{"interval":5,"led":{"on":true}}}"#);
    assert!(heard.applied && heard.understood && !heard.stale);
    assert_eq!(device.interval(), Some(5_000));
    let report = device.turn(now()).remove(0);
    assert_eq!(data(&report), json!({"_v":17,"interval":5,"led":{"on":true}}));
    assert_eq!(data(&device.turn(now()).remove(0)), data(&report), "the first was lost");
    device.answered(&report);
    assert_eq!(device.turn(now()).remove(0).name, "temperature");
}

#[test]
fn an_older_version_is_dropped_but_its_commands_are_not() {
    let mut device = settled();
    device.hear(r#"{"v":17,"d":{"a":1}}"#);
    let heard = device.hear(r#"{"v":16,"d":{"a":0},"c":[{"id":1,"n":"blink"}]}"#);
    assert!(heard.stale && !heard.applied);
    assert_eq!(
        (heard.executed, Value::Object(device.holds().clone())),
        (vec!["blink".to_owned()], json!({"a":1}))
    );
}

#[test]
fn a_partial_delta_asks_for_more() {
    let mut device = settled();
    let heard = device.hear(r#"{"d":{"a":1},"more":1}"#);
    assert!(heard.more && heard.applied);
    assert_eq!(data(&device.turn(now()).remove(0)), json!({"_v":0,"a":1}));
}

#[test]
fn a_command_is_carried_out_once_and_acknowledged_as_often_as_it_comes() {
    let mut device = settled();
    let reply = r#"{"c":[{"id":5,"n":"reboot","a":{"in":3}},{"id":6,"n":"blink"}]}"#;
    assert_eq!(device.hear(reply).executed, ["reboot", "blink"]);
    let again = device.hear(reply);
    assert_eq!((again.executed.len(), again.known), (0, 2));
    let report = device.turn(now()).remove(0);
    assert_eq!(data(&report), json!({"_v":0,"_ack":[5,6]}));
    device.answered(&report);
    assert_eq!(device.hear(r#"{"c":[{"id":6,"n":"blink"}]}"#).known, 1);
    assert_eq!(
        data(&device.turn(now()).remove(0)),
        json!({"_v":0,"_ack":[6]}),
        "its acknowledgement was lost"
    );
}

#[test]
fn acknowledgements_are_given_in_reports_of_bounded_size() {
    let mut device = settled();
    let commands: Vec<Value> = (0..40).map(|id| json!({"id":id,"n":"x"})).collect();
    device.hear(&json!({ "c": commands }).to_string());
    let first = device.turn(now()).remove(0);
    assert_eq!(data(&first)["_ack"].as_array().unwrap().len(), ACKS_MAX);
    assert!(first.data.len() <= 622);
    device.answered(&first);
    assert_eq!(data(&device.turn(now()).remove(0))["_ack"].as_array().unwrap().len(), 8);
}

#[test]
fn what_is_no_reply_of_fieldhook_does_nothing() {
    let mut device = settled();
    for text in ["", "ok", "[1]", r#"{"heard":1}"#, "{\"v\":", r#"{"c":[1,{"id":"x"}],"d":[1]}"#] {
        let heard = device.hear(text);
        assert!(!heard.applied && heard.executed.is_empty(), "{text}");
    }
    assert_eq!(device.turn(now()).remove(0).name, "temperature");
}

#[test]
fn a_retransmit_is_the_same_event() {
    let mut device = device(Habits { retransmits: 1.0, ..CALM });
    let first = device.turn(now()).remove(0);
    let [again, other] = device.turn(now().plus_millis(1_000)).try_into().unwrap();
    assert_eq!((&again.id, &again.data, again.again), (&first.id, &first.data, true));
    // With a time of its own, an old report would overrule a newer one.
    assert_eq!((again.published_at, other.published_at), (now(), now().plus_millis(1_000)));
    assert_ne!(other.id, first.id);
}

#[test]
fn what_is_held_back_goes_out_once_behind_the_next_turns() {
    let mut device = settled();
    device.habits.late = 0.5;
    let turns: Vec<Vec<Publish>> =
        (0..200).map(|second| device.turn(now().plus_millis(second * 1_000))).collect();
    let sent: Vec<i64> = turns.iter().flatten().map(|publish| publish.published_at.millis()).collect();
    let mut in_order = sent.clone();
    in_order.sort_unstable();
    assert_ne!(sent, in_order);
    in_order.dedup();
    assert_eq!(sent.len(), in_order.len(), "none goes out twice");
    assert!(sent.len() + device.late.len() == 200, "none is forgotten");
}

#[test]
fn habits_and_seed_decide_everything() {
    let habits =
        Habits { bursts: 0.1, retransmits: 0.1, duplicates: 0.1, malformed: 0.1, reports: 0.1, late: 0.1 };
    let life = |seed| {
        let mut device = Device::new(id(0, 3), Chance::new(seed, 3), "t".into(), habits);
        device.news = false;
        device.twin.confirmed(&Map::new(), 0);
        (0..500).flat_map(|_| device.turn(now())).collect::<Vec<_>>()
    };
    let publishes = life(1);
    assert_eq!(publishes, life(1));
    assert_ne!(publishes, life(2));
    let count = |what: fn(&Publish) -> bool| publishes.iter().filter(|publish| what(publish)).count();
    for number in [count(|p| p.again), count(|p| p.twice), count(|p| p.malformed.is_some())] {
        assert!((20..200).contains(&number), "{number}");
    }
    assert!(publishes.len() > 600, "bursts");
    assert_eq!(count(|p| p.malformed.is_some() && (p.twice || p.again)), 0);
}
