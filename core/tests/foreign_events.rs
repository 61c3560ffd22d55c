//! An event that did not come by the device's own way in: it is logged, and neither heard nor told anything.

#![allow(clippy::unwrap_used)]

use fieldhook_core::clock::Time;
use fieldhook_core::commands::{Request, State};
use fieldhook_core::dialogue::{Dialogue, Turn};
use fieldhook_core::home::Way;
use fieldhook_core::log::{DeviceState, Entry, LIVE, Plan, UNHEARD};
use fieldhook_core::reply::Framing;
use serde_json::json;

const OPEN: Way = Way { guarded: false, room: None };
const GUARDED: Way = Way { guarded: true, room: None };

fn at(millis: i64) -> Time {
    Time::from_millis(1_700_000_000_000 + millis)
}

/// A device of which a value and a command are wanted.
fn dialogue() -> Dialogue {
    let mut dialogue = Dialogue::default();
    dialogue.twin.patch_desired(r#"{"a":1}"#, None, at(0)).unwrap();
    let request = Request::read(r#"{"name":"open"}"#).unwrap();
    dialogue.queue.create(request, Framing::Plain, 511, at(0)).unwrap();
    dialogue
}

fn due() -> Plan {
    Plan::Due { framing: Framing::Plain, budget: 511 }
}

fn templated() -> Plan {
    let template = serde_json::from_str(r#""[{{{FIELDHOOK_DUE}}}]""#).unwrap();
    Plan::Template { template, framing: Framing::Plain, budget: 511 }
}

fn entry(source: &str, way: Way, plan: Plan, data: &str) -> Entry {
    let details = json!({ "id": "1", "coreid": "d", "published_at": at(5).millis(), "source": source });
    Entry {
        key: "k".into(),
        event: "fieldhook/report".into(),
        data: data.into(),
        details: serde_json::from_value(details).unwrap(),
        plan,
        report: !data.is_empty(),
        way,
    }
}

const REPORT: &str = r#"{"a":1,"_v":1,"_ack":[1]}"#;

fn took_no_part(before: &Dialogue, turn: &Turn) {
    assert!(turn.dialogue.is_none());
    assert!(turn.said.live, "no repeat of it may be answered from the edge");
    assert_eq!(before.queue.get(1).unwrap().sends, 0);
}

#[test]
fn is_told_nothing_with_or_without_a_template_and_reports_nothing() {
    let dialogue = dialogue();
    for (plan, reply) in [(due(), ""), (templated(), "p[]")] {
        for data in ["", REPORT] {
            let foreign = entry("b", GUARDED, plan_again(&plan), data);
            let turn = dialogue.answer(&foreign, false, at(10));
            assert_eq!((turn.said.reply.as_str(), turn.kept()), (reply, UNHEARD));
            took_no_part(&dialogue, &turn);
        }
    }
    let said = dialogue.answer(&entry("b", GUARDED, Plan::Said("phello".into()), ""), false, at(10));
    assert_eq!((said.kept(), said.said.live), ("phello", false), "this is the source's own to say");
}

fn plan_again(plan: &Plan) -> Plan {
    match plan {
        Plan::Template { .. } => templated(),
        _ => due(),
    }
}

#[test]
fn that_repeats_one_with_twin_or_commands_in_its_reply_is_told_neither() {
    let dialogue = dialogue();
    let own = dialogue.answer(&entry("a", OPEN, due(), ""), true, at(10));
    assert_eq!(own.kept(), LIVE);
    for (plan, reply) in [(due(), ""), (templated(), "p[]")] {
        let turn = dialogue.repeat(&entry("b", GUARDED, plan, REPORT), false, LIVE.into(), at(20));
        assert_eq!(turn.said.reply, reply);
        took_no_part(&dialogue, &turn);
    }
}

#[test]
fn is_heard_and_told_where_the_same_comes_by_the_devices_own_way_too() {
    let dialogue = dialogue();
    let foreign = dialogue.answer(&entry("b", GUARDED, due(), r#"{"b":2}"#), false, at(10));
    let own = entry("a", GUARDED, due(), r#"{"b":2}"#);
    let turn = dialogue.repeat(&own, true, foreign.kept().into(), at(20));
    assert_eq!(turn.said.reply, r#"p{"v":1,"d":{"a":1},"c":[{"id":1,"n":"open"}]}"#);
    let after = turn.dialogue.unwrap();
    assert_eq!(after.twin.reported(), r#"{"b":2}"#);
    assert_eq!(after.queue.get(1).unwrap().state(at(20)).0, State::Sent);
    // Where nothing is due, no later repeat may be answered from the edge either.
    let nothing = Dialogue::default().repeat(&own, true, UNHEARD.into(), at(20));
    assert_eq!((nothing.said.reply.as_str(), nothing.said.live), ("", true));
}

#[test]
fn is_one_whose_source_or_home_has_tokens_of_its_own() {
    let heard = |state: &DeviceState, source: &str, way| {
        let entry = entry(source, way, due(), "");
        (entry.is_admitted(state), state.after("d", at(0), &entry).unwrap_or_else(|| state.clone()))
    };
    // An application may have written to it before; a state of an earlier version has no home either.
    let unheard: DeviceState = serde_json::from_str(
        r#"{"device":"d","first_heard":null,"product_id":null,"fw_version":null,"userid":null,"pruned_to":0,"pruned_last_heard":null}"#,
    )
    .unwrap();
    let (admitted, open) = heard(&unheard, "a", OPEN);
    assert!(admitted);
    assert_eq!(heard(&open, "b", OPEN), (true, open.clone()));
    assert_eq!(heard(&open, "b", GUARDED), (false, open.clone()));
    let (admitted, guarded) = heard(&open, "a", GUARDED);
    assert!(admitted);
    assert_eq!(heard(&guarded, "b", OPEN), (false, guarded.clone()));
    assert_eq!(heard(&guarded, "a", OPEN), (true, open));
}

/// What an event changes of what is known of its device: it is written then, and only then.
#[test]
fn a_state_is_another_where_an_event_says_something_new() {
    let entry = |product: Option<&str>, version: Option<&str>, owner: Option<&str>| {
        let mut entry = entry("a", OPEN, due(), "");
        entry.details.product_id = product.map(str::to_owned);
        entry.details.fw_version = version.map(str::to_owned);
        entry.details.userid = owner.map(str::to_owned);
        entry
    };
    let first = entry(Some("12"), Some("3"), None);
    let known = DeviceState::default().after("d", at(0), &first).unwrap();
    assert_eq!(known.first_heard, Some(at(0)));
    for (product, version, owner) in
        [(None, None, None), (Some("12"), None, None), (Some("12"), Some("3"), None)]
    {
        assert_eq!(known.after("d", at(9), &entry(product, version, owner)), None);
    }
    for (product, version, owner) in
        [(Some("13"), None, None), (None, Some("4"), None), (None, None, Some("u"))]
    {
        let after = known.after("d", at(9), &entry(product, version, owner)).unwrap();
        let newest = |new: Option<&str>, old: &Option<String>| new.map(str::to_owned).or(old.clone());
        assert_eq!(after.product_id, newest(product, &known.product_id));
        assert_eq!(after.fw_version, newest(version, &known.fw_version));
        assert_eq!(after.userid, newest(owner, &known.userid));
        assert_eq!(after.first_heard, Some(at(0)));
    }
    // One that was only written to is heard now.
    let unheard = DeviceState { first_heard: None, ..known.clone() };
    assert_eq!(unheard.after("d", at(9), &entry(None, None, None)).unwrap().first_heard, Some(at(9)));
}
