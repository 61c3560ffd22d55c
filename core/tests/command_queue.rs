//! The command queue: at least once, in order, never after expiry, bounded.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use fieldhook_core::clock::Time;
use fieldhook_core::commands::{FINISHED_MAX, Queue, Request, SEND_GAP, SENDS_MAX, State, WAITING_MAX};
use fieldhook_core::due;
use fieldhook_core::home::Room;
use fieldhook_core::problem::Code;
use fieldhook_core::reply::Framing;
use fieldhook_core::twin::Twin;
use proptest::prelude::*;
use serde_json::Value;
use std::collections::BTreeMap;

const BUDGET: usize = 511;
const NONE: [u64; 0] = [];

fn at(millis: i64) -> Time {
    Time::from_millis(1_700_000_000_000 + millis)
}

fn request(text: &str) -> Request {
    Request::read(text).unwrap()
}

fn create(queue: &mut Queue, text: &str, now: Time) -> u64 {
    queue.create(request(text), Framing::Plain, BUDGET, now).unwrap()
}

/// The ids in the next reply, which counts as sent.
fn send(queue: &mut Queue, now: Time) -> Vec<u64> {
    let mut twin = Twin::default();
    let Some(due) = due::compose(&twin, queue, Framing::Plain, BUDGET, now) else { return Vec::new() };
    due.mark_sent(&mut twin, queue, now);
    let body: Value = serde_json::from_str(&due.text).unwrap();
    let ids: Vec<u64> =
        body["c"].as_array().unwrap().iter().map(|command| command["id"].as_u64().unwrap()).collect();
    assert_eq!(ids, due.commands);
    ids
}

fn state(queue: &Queue, id: u64, now: Time) -> State {
    queue.get(id).unwrap().state(now).0
}

#[test]
fn twenty_one_commands_drain_by_acks() {
    let mut queue = Queue::default();
    let note = "x".repeat(60);
    for _ in 0..21 {
        create(&mut queue, &format!(r#"{{"name":"blink","args":{{"note":"{note}"}}}}"#), at(0));
    }
    let (mut done, mut replies) = (Vec::new(), 0);
    loop {
        let ids = send(&mut queue, at(replies));
        if ids.is_empty() {
            break;
        }
        queue.ack(&ids, at(replies));
        done.extend(ids);
        replies += 1;
    }
    assert_eq!(done, (1..=21).collect::<Vec<_>>());
    assert!((2..=10).contains(&replies), "{replies}");
    assert!(queue.iter().all(|command| command.state(at(9)).0 == State::Acked));
}

#[test]
fn the_fifty_first_is_refused_until_one_is_done() {
    let mut queue = Queue::default();
    for _ in 0..WAITING_MAX {
        create(&mut queue, r#"{"name":"a"}"#, at(0));
    }
    let before = queue.to_stored().unwrap();
    let full = queue.create(request(r#"{"name":"a"}"#), Framing::Plain, BUDGET, at(0)).unwrap_err();
    assert_eq!((full.code, full.status()), (Code::QueueFull, 409));
    assert_eq!(queue.to_stored().unwrap(), before);
    assert_eq!(queue.cancel(7, at(1)).unwrap().state(at(1)).0, State::Cancelled);
    assert_eq!(create(&mut queue, r#"{"name":"a"}"#, at(1)), 51);
    let requests = vec![request(r#"{"name":"a"}"#); WAITING_MAX + 1];
    assert_eq!(queue.replace(requests, Framing::Plain, BUDGET, at(1)).unwrap_err().code, Code::QueueFull);
}

#[test]
fn a_command_that_fits_no_reply_is_refused() {
    let mut queue = Queue::default();
    let of = |length: usize| request(&format!(r#"{{"name":"a","args":"{}"}}"#, "x".repeat(length)));
    let frame = r#"{"c":[{"id":1,"n":"a","a":""}],"more":1}"#.len();
    let too_large = queue.create(of(BUDGET + 1 - frame), Framing::Plain, BUDGET, at(0)).unwrap_err();
    assert_eq!((too_large.code, too_large.status()), (Code::CommandTooLarge, 413));
    let framed = queue.create(of(BUDGET - frame), Framing::Framed, BUDGET, at(0)).unwrap_err();
    assert_eq!(framed.code, Code::CommandTooLarge);
    assert_eq!(queue.create(of(BUDGET - frame), Framing::Plain, BUDGET, at(0)), Ok(1));
    assert_eq!(send(&mut queue, at(0)), [1]);
}

#[test]
fn a_command_that_is_never_acknowledged_fails_after_ten_sends() {
    let mut queue = Queue::default();
    let id = create(&mut queue, r#"{"name":"a"}"#, at(0));
    assert_eq!(state(&queue, id, at(0)), State::Queued);
    for n in 0..10 {
        assert_eq!(send(&mut queue, at(n * SEND_GAP)), [id]);
        assert_eq!(send(&mut queue, at(n * SEND_GAP + SEND_GAP - 1)), NONE);
    }
    let last = 9 * SEND_GAP;
    assert_eq!(state(&queue, id, at(last + SEND_GAP - 1)), State::Sent);
    assert_eq!(state(&queue, id, at(last + SEND_GAP)), State::Failed);
    assert_eq!(send(&mut queue, at(last + SEND_GAP)), NONE);
    // It was done after all.
    queue.ack(&[id], at(last + SEND_GAP));
    assert_eq!(state(&queue, id, at(last + SEND_GAP)), State::Acked);
}

#[test]
fn what_has_expired_is_not_sent_and_does_not_hold_up_the_rest() {
    let mut queue = Queue::default();
    create(&mut queue, r#"{"name":"a","ttl":5}"#, at(0));
    create(&mut queue, r#"{"name":"b"}"#, at(0));
    assert_eq!(state(&queue, 1, at(4_999)), State::Queued);
    assert_eq!(state(&queue, 1, at(5_000)), State::Expired);
    assert_eq!(send(&mut queue, at(5_000)), [2]);
    // The device cannot have done what it was never told.
    assert_eq!(queue.ack(&[1, 99], at(5_000)), 0);
    assert_eq!(state(&queue, 1, at(5_000)), State::Expired);
    assert_eq!(state(&queue, 2, at(3_600_000)), State::Expired);
}

#[test]
fn a_command_behind_one_that_was_just_sent_waits_with_it() {
    let mut queue = Queue::default();
    create(&mut queue, r#"{"name":"a"}"#, at(0));
    assert_eq!(send(&mut queue, at(0)), [1]);
    create(&mut queue, r#"{"name":"b"}"#, at(1));
    assert_eq!(send(&mut queue, at(2)), NONE);
    assert_eq!(send(&mut queue.clone(), at(SEND_GAP)), [1, 2]);
    queue.ack(&[1], at(3));
    assert_eq!(send(&mut queue, at(3)), [2]);
}

#[test]
fn a_replaced_queue_is_cancelled_and_its_ids_do_not_come_back() {
    let mut queue = Queue::default();
    create(&mut queue, r#"{"name":"a"}"#, at(0));
    send(&mut queue, at(0));
    let new = Request::read_all(r#"[{"name":"b"},{"name":"c"}]"#).unwrap();
    assert_eq!(queue.replace(new, Framing::Plain, BUDGET, at(1)).unwrap(), [2, 3]);
    assert_eq!(state(&queue, 1, at(1)), State::Cancelled);
    assert_eq!(send(&mut queue, at(1)), [2, 3]);
    assert_eq!(queue.cancel_all(at(2)), 2);
    assert!(queue.prune(at(2), 0));
    assert_eq!(queue.iter().count(), 0);
    let mut queue = Queue::from_stored(&queue.to_stored().unwrap()).unwrap();
    assert_eq!(create(&mut queue, r#"{"name":"d"}"#, at(3)), 4);
    assert_eq!(queue.cancel(1, at(3)).unwrap_err().code, Code::UnknownCommand);
}

#[test]
fn what_the_replies_to_a_device_have_no_room_for_is_shown_as_long_as_it_waits() {
    let mut queue = Queue::default();
    create(&mut queue, r#"{"name":"a","args":"0123456789"}"#, at(0));
    let alone = r#"{"c":[{"id":1,"n":"a","a":"0123456789"}],"more":1}"#.len();
    let plain = |budget| Room::new(Framing::Plain, budget);
    let rooms = [
        (Some(plain(alone)), false),
        (Some(plain(alone - 1)), true),
        (Some(Room::new(Framing::Framed, alone)), true),
        (Some(Room::new(Framing::Framed, alone + 6)), false),
        (Some(Room { around: 10, ..plain(alone + 9) }), true),
        (Some(Room { around: 10, ..plain(alone + 10) }), false),
        (None, true),
    ];
    let mark = r#""undeliverable":true"#;
    for (room, marked) in rooms {
        assert_eq!(queue.get(1).unwrap().show(room, at(1)).contains(mark), marked, "{room:?}");
        assert_eq!(queue.list(0, 9, room, at(1)).contains(mark), marked, "{room:?}");
    }
    queue.cancel(1, at(2)).unwrap();
    assert!(!queue.get(1).unwrap().show(None, at(2)).contains(mark), "nothing is left to deliver");
}

#[test]
fn the_list_has_pages() {
    let mut queue = Queue::default();
    let room = Some(Room::new(Framing::Plain, BUDGET));
    create(&mut queue, r#"{"name":"a","args":{"t":1.50},"ttl":60}"#, at(0));
    create(&mut queue, r#"{"name":"b"}"#, at(0));
    send(&mut queue, at(0));
    queue.ack(&[1], at(1_000));
    assert_eq!(
        queue.list(0, 1, room, at(1_000)),
        concat!(
            r#"{"commands":[{"id":1,"name":"a","args":{"t":1.50},"state":"acked","ttl":60,"#,
            r#""created_at":"2023-11-14T22:13:20.000Z","expires_at":"2023-11-14T22:14:20.000Z","sends":1,"#,
            r#""sent_at":"2023-11-14T22:13:20.000Z","finished_at":"2023-11-14T22:13:21.000Z"}],"next":"1"}"#
        )
    );
    assert!(queue.list(1, 100, room, at(1_000)).ends_with(r#""next":null}"#));
}

#[derive(Debug, Clone)]
enum Step {
    Create { ttl: u64, size: usize },
    Replace(usize),
    Cancel(prop::sample::Index),
    Send { heard: bool },
    Ack { lost: bool },
    Wait(i64),
    Prune,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (prop_oneof![1u64..60, Just(3_600)], 0usize..450)
            .prop_map(|(ttl, size)| Step::Create { ttl, size }),
        1 => (0usize..52).prop_map(Step::Replace),
        1 => any::<prop::sample::Index>().prop_map(Step::Cancel),
        8 => any::<bool>().prop_map(|heard| Step::Send { heard }),
        3 => any::<bool>().prop_map(|lost| Step::Ack { lost }),
        4 => (0i64..30_000).prop_map(Step::Wait),
        1 => Just(Step::Prune),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens(steps in prop::collection::vec(step(), 0..120)) {
        let (mut queue, mut now) = (Queue::default(), at(0));
        let mut sends: BTreeMap<u64, Vec<Time>> = BTreeMap::new();
        // The device does each id once, in the order in which it hears them.
        let mut done: Vec<u64> = Vec::new();
        for step in steps {
            now = now.plus_millis(100);
            match step {
                Step::Create { ttl, size } => {
                    let text = format!(r#"{{"name":"a","args":"{}","ttl":{ttl}}}"#, "x".repeat(size));
                    let room = queue.waiting(now) < WAITING_MAX;
                    let created = queue.create(request(&text), Framing::Plain, BUDGET, now);
                    prop_assert_eq!(created.is_ok(), room);
                }
                Step::Replace(count) => {
                    let replaced =
                        queue.replace(vec![request(r#"{"name":"b"}"#); count], Framing::Plain, BUDGET, now);
                    prop_assert_eq!(replaced.is_ok(), count <= WAITING_MAX);
                }
                Step::Cancel(index) => {
                    let ids: Vec<u64> = queue.iter().map(|command| command.id).collect();
                    if !ids.is_empty() {
                        queue.cancel(ids[index.index(ids.len())], now).unwrap();
                    }
                }
                Step::Send { heard } => {
                    for id in send(&mut queue, now) {
                        prop_assert!(now < queue.get(id).unwrap().expires_at);
                        prop_assert_eq!(state(&queue, id, now), State::Sent);
                        let times = sends.entry(id).or_default();
                        prop_assert!(times.last().is_none_or(|last| last.distance(now) >= SEND_GAP));
                        times.push(now);
                        prop_assert!(times.len() <= SENDS_MAX as usize);
                        if heard && !done.contains(&id) {
                            done.push(id);
                        }
                    }
                }
                Step::Ack { lost } => {
                    if !lost {
                        queue.ack(&done, now);
                    }
                }
                Step::Wait(millis) => now = now.plus_millis(millis),
                Step::Prune => {
                    queue.prune(now, 60_000);
                    queue = Queue::from_stored(&queue.to_stored().unwrap()).unwrap();
                }
            }
            let finished = queue.iter().filter(|command| !command.is_waiting(now)).count();
            prop_assert!(queue.waiting(now) <= WAITING_MAX);
            prop_assert!(finished <= FINISHED_MAX + WAITING_MAX);
            prop_assert!(queue.iter().zip(queue.iter().skip(1)).all(|(a, b)| a.id < b.id));
        }
        prop_assert!(done.is_sorted(), "{:?}", done);
        // At least once: whatever still has time and sends left reaches a device that is heard again.
        while queue.waiting(now) > 0 {
            let ids = send(&mut queue, now);
            for id in &ids {
                if !done.contains(id) {
                    done.push(*id);
                }
            }
            queue.ack(&done, now);
            now = now.plus_millis(if ids.is_empty() { SEND_GAP } else { 1 });
        }
        for command in queue.iter() {
            let sent = sends.get(&command.id).map_or(0, Vec::len);
            match command.state(now).0 {
                State::Acked => prop_assert!(done.contains(&command.id)),
                State::Failed => prop_assert_eq!(sent, SENDS_MAX as usize),
                State::Expired | State::Cancelled => {}
                State::Queued | State::Sent => prop_assert!(false, "{} still waits", command.id),
            }
        }
        prop_assert!(done.is_sorted(), "{:?}", done);
    }
}
