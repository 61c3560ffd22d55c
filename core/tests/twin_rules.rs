//! The twin's rules one by one (DESIGN.md, "Device twin and commands").

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use fieldhook_core::clock::Time;
use fieldhook_core::commands::Queue;
use fieldhook_core::due;
use fieldhook_core::problem::Code;
use fieldhook_core::reply::Framing;
use fieldhook_core::twin::{Ignored, SECTION_MAX, Twin, VERSION_MAX};
use proptest::prelude::*;
use serde_json::{Value, json};

fn at(seconds: i64) -> Time {
    Time::from_millis(1_700_000_000_000 + seconds * 1_000)
}

fn twin(desired: &str) -> Twin {
    let mut twin = Twin::default();
    twin.patch_desired(desired, None, at(0)).unwrap();
    twin
}

fn report(twin: &mut Twin, report: &str, seconds: i64) {
    assert_eq!(twin.apply_report(report, at(seconds), at(seconds)).ignored, []);
}

/// The next reply, which counts as sent.
fn reply(twin: &mut Twin, seconds: i64) -> String {
    let mut queue = Queue::default();
    let Some(due) = due::compose(twin, &queue, Framing::Plain, 511, at(seconds)) else {
        return String::new();
    };
    due.mark_sent(twin, &mut queue, at(seconds));
    due.text
}

fn shown(twin: &Twin) -> Value {
    serde_json::from_str(&twin.show(|_| true, None)).unwrap()
}

#[test]
fn the_view_is_the_contract() {
    let mut twin = twin(r#"{"interval":60,"led":{"on":true}}"#);
    report(&mut twin, r#"{"interval":30,"rssi":-70.50,"_v":0}"#, 1);
    assert_eq!(
        twin.show(|_| true, None),
        concat!(
            r#"{"desired":{"interval":60,"led":{"on":true}},"reported":{"interval":30,"rssi":-70.50},"#,
            r#""versions":{"desired":1,"reported":1},"timestamps":{"#,
            r#""desired":{"interval":"2023-11-14T22:13:20.000Z","led":"2023-11-14T22:13:20.000Z"},"#,
            r#""reported":{"interval":"2023-11-14T22:13:21.000Z","rssi":"2023-11-14T22:13:21.000Z"}},"#,
            r#""delta":{"interval":60,"led":{"on":true}}}"#
        )
    );
}

#[test]
fn a_desired_value_is_due_until_the_device_confirms_it() {
    let mut twin = twin(r#"{"interval":60}"#);
    assert_eq!(reply(&mut twin, 1), r#"{"v":1,"d":{"interval":60}}"#);
    assert_eq!(reply(&mut twin, 2), r#"{"v":1,"d":{"interval":60}}"#, "the first was lost");
    report(&mut twin, r#"{"interval":60,"_v":1}"#, 3);
    assert_eq!(reply(&mut twin, 3), "");
    // What the device changes then is its own affair, until an application insists.
    report(&mut twin, r#"{"interval":45,"_v":1}"#, 4);
    assert_eq!(reply(&mut twin, 4), "");
    twin.patch_desired(r#"{"interval":60}"#, None, at(5)).unwrap();
    assert_eq!(reply(&mut twin, 5), r#"{"v":2,"d":{"interval":60}}"#);
}

#[test]
fn a_device_that_reports_no_version_is_believed_by_value() {
    let mut twin = twin(r#"{"a":1}"#);
    assert_eq!(reply(&mut twin, 1), r#"{"v":1,"d":{"a":1}}"#);
    twin.patch_desired(r#"{"a":2}"#, None, at(2)).unwrap();
    assert_eq!(reply(&mut twin, 3), r#"{"v":2,"d":{"a":2}}"#);
    report(&mut twin, r#"{"a":2.0}"#, 4);
    assert_eq!(reply(&mut twin, 4), "");
    twin.patch_desired(r#"{"a":null}"#, None, at(5)).unwrap();
    assert_eq!(reply(&mut twin, 100), r#"{"v":3,"d":{"a":null}}"#);
    report(&mut twin, r#"{"a":null}"#, 101);
    assert_eq!(reply(&mut twin, 101), "");
}

#[test]
fn a_deleted_key_is_due_until_the_device_lacks_it() {
    for confirmation in [r#"{"a":null,"_v":2}"#, r#"{"_v":2}"#] {
        let mut twin = twin(r#"{"a":1,"b":2}"#);
        reply(&mut twin, 1);
        report(&mut twin, r#"{"a":1,"b":2,"own":3,"_v":1}"#, 2);
        twin.patch_desired(r#"{"a":null}"#, None, at(3)).unwrap();
        assert_eq!(shown(&twin)["delta"], json!({ "a": null }));
        assert_eq!(reply(&mut twin, 4), r#"{"v":2,"d":{"a":null}}"#);
        report(&mut twin, r#"{"a":1,"_v":1}"#, 5);
        assert_eq!(reply(&mut twin, 5), r#"{"v":2,"d":{"a":null}}"#, "it still has it");
        report(&mut twin, confirmation, 6);
        assert_eq!(reply(&mut twin, 6), "");
        assert_eq!(twin.reported(), r#"{"b":2,"own":3}"#);
        // A report from before does not bring it back.
        assert!(twin.apply_report(r#"{"a":1,"_v":1}"#, at(5), at(7)).stale);
        assert_eq!((twin.delta().as_str(), twin.reported().as_str()), ("{}", r#"{"b":2,"own":3}"#));
    }
}

#[test]
fn what_the_device_never_had_leaves_no_tombstone() {
    let mut twin = twin(r#"{"a":1,"b":{"c":1}}"#);
    twin.put_desired("{}", Some(1), at(1)).unwrap();
    assert_eq!(shown(&twin)["delta"], json!({}));
    twin.patch_desired(r#"{"never":null}"#, None, at(2)).unwrap();
    assert_eq!((reply(&mut twin, 3).as_str(), twin.desired_version()), ("", 3));
}

#[test]
fn a_deleted_object_that_comes_back_does_not_bring_its_keys_back() {
    let mut twin = twin(r#"{"a":{"b":1,"c":2}}"#);
    reply(&mut twin, 1);
    report(&mut twin, r#"{"a":{"b":1,"c":2,"own":3},"_v":1}"#, 2);
    for between in [r#"{"a":null}"#, r#"{"a":5}"#] {
        let mut twin = twin.clone();
        twin.patch_desired(between, None, at(3)).unwrap();
        twin.patch_desired(r#"{"a":{"c":4}}"#, None, at(3)).unwrap();
        assert_eq!(reply(&mut twin, 4), r#"{"v":3,"d":{"a":{"b":null,"c":4}}}"#);
    }
}

#[test]
fn a_device_that_was_reset_gets_everything_again() {
    let mut twin = twin(r#"{"a":1,"b":{"c":2}}"#);
    reply(&mut twin, 1);
    report(&mut twin, r#"{"a":1,"b":{"c":2},"own":1,"_v":1}"#, 100);
    report(&mut twin, r#"{"a":1,"_v":0}"#, 200);
    assert_eq!(reply(&mut twin, 200), r#"{"v":1,"d":{"b":{"c":2}}}"#);
    // An old report that arrives late does not make it whole again.
    report(&mut twin, r#"{"_v":1}"#, 150);
    assert_eq!(reply(&mut twin, 201), r#"{"v":1,"d":{"b":{"c":2}}}"#);
    report(&mut twin, r#"{"_v":1}"#, 300);
    assert_eq!(reply(&mut twin, 301), "");
    assert_eq!(twin.reported(), r#"{"a":1,"b":{"c":2},"own":1}"#);
}

#[test]
fn a_device_that_knows_more_than_the_twin_is_told_again() {
    let mut twin = twin(r#"{"a":1}"#);
    report(&mut twin, r#"{"_v":17}"#, 1);
    assert_eq!(twin.desired_version(), 18);
    assert_eq!(reply(&mut twin, 1), r#"{"v":18,"d":{"a":1}}"#);
    let lie = format!(r#"{{"_v":{}}}"#, VERSION_MAX + 1);
    assert_eq!(twin.apply_report(&lie, at(2), at(2)).ignored, [Ignored::Version]);
    assert_eq!(twin.desired_version(), 18);
}

#[test]
fn a_value_that_may_have_been_overwritten_on_its_way_is_sent_although_it_equals() {
    let mut twin = twin(r#"{"a":1}"#);
    reply(&mut twin, 0);
    report(&mut twin, r#"{"a":1,"b":0,"_v":1}"#, 1);
    twin.patch_desired(r#"{"a":2}"#, None, at(100)).unwrap();
    assert_eq!(reply(&mut twin, 101), r#"{"v":2,"d":{"a":2}}"#);
    // Back again, before anything was heard: the device may hold 2 by now.
    twin.patch_desired(r#"{"a":1,"b":1}"#, None, at(102)).unwrap();
    assert_eq!(reply(&mut twin, 103), r#"{"v":3,"d":{"a":1,"b":1}}"#);
    report(&mut twin, r#"{"_v":3}"#, 104);
    assert_eq!(reply(&mut twin, 105), "");
}

#[test]
fn an_object_without_leaves_is_due_where_the_device_has_none() {
    let mut twin = twin(r#"{"a":{}}"#);
    assert_eq!(reply(&mut twin, 1), r#"{"v":1,"d":{"a":{}}}"#);
    report(&mut twin, r#"{"a":{"own":1},"_v":0}"#, 2);
    assert_eq!(reply(&mut twin, 2), "");
}

#[test]
fn arrays_compare_whole_and_null_in_them_is_a_value() {
    let mut twin = twin(r#"{"a":[1,null,{"x":null}]}"#);
    assert_eq!(twin.desired(), r#"{"a":[1,null,{"x":null}]}"#);
    report(&mut twin, r#"{"a":[1,null]}"#, 1);
    assert_eq!(twin.delta(), r#"{"a":[1,null,{"x":null}]}"#);
    report(&mut twin, r#"{"a":[1.0,null,{"x":null}]}"#, 2);
    assert_eq!(twin.delta(), "{}");
}

#[test]
fn put_writes_what_differs_and_deletes_what_is_missing() {
    let mut twin = twin(r#"{"a":1,"b":{"c":2,"d":3}}"#);
    reply(&mut twin, 1);
    report(&mut twin, r#"{"a":9,"b":{"c":2,"d":3},"_v":1}"#, 2);
    twin.put_desired(r#"{"a":1,"b":{"c":2},"e":null}"#, Some(1), at(3)).unwrap();
    assert_eq!(twin.desired(), r#"{"a":1,"b":{"c":2}}"#);
    assert_eq!(reply(&mut twin, 4), r#"{"v":2,"d":{"b":{"d":null}}}"#, "a was not written again");
}

#[test]
fn a_write_that_is_refused_changes_nothing() {
    let mut twin = twin(r#"{"a":1}"#);
    let before = twin.to_stored().unwrap();
    let deep = |depth: usize| r#"{"a":"#.repeat(depth) + "1" + &"}".repeat(depth);
    let large = format!(r#"{{"x":"{}"}}"#, "x".repeat(9 * 1024));
    for (body, if_match, code, status) in [
        (r#"{"b":1}"#, Some(0), Code::VersionConflict, 409),
        (r#"{"b":1}"#, Some(2), Code::VersionConflict, 409),
        ("{", None, Code::BadJson, 400),
        (r#"{"b":"\ud800"}"#, None, Code::BadJson, 400),
        ("[1]", None, Code::BadPatch, 400),
        ("null", None, Code::BadPatch, 400),
        (r#"{"_v":1}"#, None, Code::BadPatch, 400),
        (&large, None, Code::TwinTooLarge, 413),
        (&deep(12), None, Code::TwinTooDeep, 400),
        (&deep(9), None, Code::TwinTooDeep, 400),
    ] {
        for refused in [twin.patch_desired(body, if_match, at(1)), twin.put_desired(body, if_match, at(1))] {
            let problem = refused.unwrap_err();
            assert_eq!((problem.code, problem.status()), (code, status), "{body}");
        }
    }
    assert_eq!(twin.to_stored().unwrap(), before);
    twin.patch_desired(&deep(8), None, at(1)).unwrap();
}

#[test]
fn eight_kilobytes_fit_and_one_byte_more_does_not() {
    let of = |length: usize| format!(r#"{{"x":"{}"}}"#, "x".repeat(length - r#"{"x":""}"#.len()));
    let mut twin = Twin::default();
    assert_eq!(twin.patch_desired(&of(SECTION_MAX + 1), None, at(0)).unwrap_err().code, Code::TwinTooLarge);
    twin.patch_desired(&of(SECTION_MAX), None, at(0)).unwrap();
    assert_eq!(twin.desired().len(), SECTION_MAX);
}

#[test]
fn deletions_that_no_device_confirms_are_bounded() {
    let mut twin = Twin::default();
    let refused = (0..1_000).find_map(|n| {
        let all = |value: &str| {
            let members: Vec<String> = (0..25).map(|m| format!(r#""key{n}-{m}":{value}"#)).collect();
            format!("{{{}}}", members.join(","))
        };
        twin.patch_desired(&all("1"), None, at(n)).unwrap();
        reply(&mut twin, n);
        twin.patch_desired(&all("null"), None, at(n)).err()
    });
    assert_eq!(refused.unwrap().code, Code::TwinTooLarge);
    assert!(twin.to_stored().unwrap().len() < 256 * 1024);
}

#[test]
fn a_section_that_is_full_can_be_cleared_at_once() {
    let full: Vec<String> = (0..800).map(|n| format!(r#""{n:03}":1"#)).collect();
    let mut twin = twin(&format!("{{{}}}", full.join(",")));
    report(&mut twin, &format!("{{{},\"_v\":1}}", full.join(",")), 1);
    twin.put_desired("{}", None, at(2)).unwrap();
    assert_eq!(twin.delta().matches("null").count(), 800);
}

#[test]
fn a_write_of_many_deletions_takes_more_versions_than_one() {
    let twin_of = |keys: usize, budget: usize| {
        let desired: Value = (0..keys).map(|n| (format!("key{n:03}"), json!(1))).collect();
        let mut twin = twin(&desired.to_string());
        twin.expect_budget(budget);
        report(&mut twin, &desired.to_string(), 1);
        twin.put_desired("{}", Some(1), at(2)).unwrap();
        twin
    };
    // `"key000":null,` is 14 bytes.
    assert_eq!(twin_of(9, 511).desired_version(), 2);
    assert_eq!(twin_of(10, 511).desired_version(), 3);
    assert_eq!(twin_of(10, 64).desired_version(), 11);
    // A device that knows more than the twin is told all of it again, in as many steps.
    let mut twin = twin_of(10, 511);
    report(&mut twin, r#"{"_v":17}"#, 3);
    assert_eq!(twin.desired_version(), 19);
    // So does an object that takes the place of what was deleted with all that was in it.
    let inside: Value = (0..20).map(|n| (format!("key{n:03}"), json!(1))).collect();
    let mut twin = self::twin(&json!({ "a": inside }).to_string());
    report(&mut twin, &json!({ "a": inside }).to_string(), 1);
    for (body, version) in [(r#"{"a":null}"#, 2), (r#"{"a":{"new":1}}"#, 6)] {
        twin.patch_desired(body, None, at(2)).unwrap();
        assert_eq!(twin.desired_version(), version);
    }
    assert_eq!(twin.delta().matches("null").count(), 20);
}

#[test]
fn the_largest_version_that_a_device_can_claim_is_not_the_last() {
    let mut twin = Twin::default();
    report(&mut twin, &format!(r#"{{"_v":{VERSION_MAX}}}"#), 1);
    twin.patch_desired(r#"{"mode":"eco"}"#, None, at(2)).unwrap();
    report(&mut twin, &format!(r#"{{"mode":"eco","_v":{}}}"#, VERSION_MAX + 1), 3);
    twin.patch_desired(r#"{"mode":null}"#, None, at(4)).unwrap();
    report(&mut twin, &format!(r#"{{"_v":{}}}"#, VERSION_MAX + 2), 5);
    assert_eq!((twin.delta(), twin.reported()), ("{}".to_owned(), "{}".to_owned()));
    // What a device counts in 32 bits, as firmware/ does, has room behind it.
    assert!(VERSION_MAX <= u64::from(u32::MAX) / 2 + 1);
}

#[test]
fn a_report_is_never_refused() {
    let large = format!(r#"{{"x":"{}","_v":1,"_ack":[3]}}"#, "x".repeat(9_000));
    let deep = r#"{"a":"#.repeat(9) + "1" + &"}".repeat(9);
    for (report, acks, ignored) in [
        ("", vec![], vec![Ignored::Report]),
        ("[1]", vec![], vec![Ignored::Report]),
        ("21.5", vec![], vec![Ignored::Report]),
        (r#"{"_v":-1}"#, vec![], vec![Ignored::Version]),
        (r#"{"_v":1.5,"_ack":[1,"2",3]}"#, vec![1, 3], vec![Ignored::Version, Ignored::Ack]),
        (r#"{"_ack":7}"#, vec![], vec![Ignored::Ack]),
        (&large, vec![3], vec![Ignored::TooLarge]),
        (&deep, vec![], vec![Ignored::TooDeep]),
        (r#"{"_v":1,"_ack":[]}"#, vec![], vec![]),
    ] {
        let mut twin = twin(r#"{"a":1}"#);
        let reported = twin.apply_report(report, at(1), at(1));
        assert_eq!((reported.acks, reported.ignored), (acks, ignored), "{report}");
        assert_eq!(twin.reported(), "{}");
    }
}

#[test]
fn a_report_is_never_newer_than_its_arrival() {
    let mut twin = Twin::default();
    twin.apply_report(r#"{"a":1}"#, at(1_000_000), at(1));
    report(&mut twin, r#"{"a":2}"#, 2);
    assert_eq!(twin.reported(), r#"{"a":2}"#);
}

#[test]
fn the_times_of_keys_that_come_and_go_are_bounded() {
    let mut twin = Twin::default();
    for n in 0..2_000 {
        report(&mut twin, &json!({ format!("key{n}"): 1 }).to_string(), 2 * n);
        report(&mut twin, &json!({ format!("key{n}"): null }).to_string(), 2 * n + 1);
    }
    assert!(twin.to_stored().unwrap().len() < 16 * 1024);
    assert!(twin.apply_report(r#"{"key0":1,"key1999":1}"#, at(0), at(9_999)).stale);
    assert_eq!(twin.reported(), "{}");
}

#[test]
fn a_stored_twin_of_another_format_is_not_guessed_at() {
    let stored = twin(r#"{"a":1.50}"#).to_stored().unwrap();
    assert_eq!(Twin::from_stored(&stored).unwrap().desired(), r#"{"a":1.50}"#);
    let other = stored.replace(r#""format":1"#, r#""format":2"#);
    assert_eq!(Twin::from_stored(&other).unwrap_err().code, Code::Internal);
    assert!(Twin::from_stored("{}").is_err());
}

fn json_like() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("1.50".to_owned()),
        Just("[null,{}]".to_owned()),
        Just("\"é\"".to_owned())
    ];
    let object = leaf.prop_recursive(4, 24, 4, |inner| {
        prop::collection::vec(("[ab]|_v|_ack|", inner), 0..4).prop_map(|members| {
            let members = members.into_iter().map(|(key, value)| format!("\"{key}\":{value}"));
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        })
    });
    prop_oneof![4 => object, 1 => ".{0,30}"]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_panics_and_what_is_stored_is_read_again(
        steps in prop::collection::vec((json_like(), 0u8..4, 0i64..100), 0..12)
    ) {
        let mut twin = Twin::default();
        for (text, kind, seconds) in steps {
            let _ = match kind {
                0 => twin.patch_desired(&text, None, at(seconds)),
                1 => twin.put_desired(&text, None, at(seconds)),
                2 => {
                    twin.apply_report(&text, at(seconds), at(50));
                    Ok(())
                }
                _ => {
                    reply(&mut twin, seconds);
                    Ok(())
                }
            };
            let stored = twin.to_stored().unwrap();
            let again = Twin::from_stored(&stored).unwrap();
            prop_assert_eq!(again.to_stored().unwrap(), stored);
            prop_assert_eq!(shown(&again), shown(&twin));
        }
    }
}
