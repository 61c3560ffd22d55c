//! From one device's log to its shards, whatever is lost on the way: each event stands in exactly one shard's
//! log, once, and the merged logs have the device's own order.

#![allow(clippy::panic, clippy::unreachable)]

use fieldhook_core::clock::Time;
use fieldhook_core::fleet::append::{Known, Verdict, judge};
use fieldhook_core::fleet::outbox::{Membership, Step, next};
use fieldhook_core::fleet::{shard_name, shard_of};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// What can happen to a device and to the calls it makes.
#[derive(Debug, Clone)]
enum Happening {
    /// So many events are committed.
    Events(u64),
    /// The device takes a step; the call may not arrive, or its answer not come back.
    Step { fate: Fate, most: usize },
    /// The object's memory is lost: what is known of the shard is gone, and the next step guesses.
    Wake { guess_back: u64 },
    /// The deployment has another number of shards.
    Shards(u32),
    /// Retention takes the oldest part of what is confirmed.
    Prune(u64),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    Arrives,
    IsLost,
    AnswerIsLost,
}

fn happening() -> impl Strategy<Value = Happening> {
    let fate = prop_oneof![3 => Just(Fate::Arrives), 1 => Just(Fate::IsLost), 1 => Just(Fate::AnswerIsLost)];
    prop_oneof![
        3 => (1..5_u64).prop_map(Happening::Events),
        6 => (fate, 1..4_usize).prop_map(|(fate, most)| Happening::Step { fate, most }),
        1 => (0..6_u64).prop_map(|guess_back| Happening::Wake { guess_back }),
        1 => (1..5_u32).prop_map(Happening::Shards),
        1 => (0..10_u64).prop_map(Happening::Prune),
    ]
}

const DEVICE: &str = "0123456789abcdef01234567";
const BORN: i64 = 1;

/// One shard: what it knows of the device, and its log as (time, number of the event).
#[derive(Default)]
struct Shard {
    known: Option<Known>,
    log: Vec<(i64, u64)>,
    clock: i64,
}

struct World {
    last: u64,
    pruned_to: u64,
    member: Membership,
    confirmed: Option<(u64, i64)>,
    guess: Option<u64>,
    shards: u32,
    all: BTreeMap<String, Shard>,
    /// Each shard's machine has a clock of its own.
    now: i64,
}

impl World {
    fn new() -> Self {
        World {
            last: 0,
            pruned_to: 0,
            member: Membership::first(shard_of(DEVICE, 1)),
            confirmed: None,
            guess: None,
            shards: 1,
            all: BTreeMap::new(),
            now: 0,
        }
    }

    fn step(&mut self, fate: Fate, most: usize) -> bool {
        let home = shard_of(DEVICE, self.shards);
        let confirmed = self.confirmed.map(|(last, _)| last);
        match next(&self.member, &home, confirmed, self.guess.take(), self.last) {
            Step::Done => return true,
            Step::Append { after } => self.append(after, fate, most),
            Step::Move { shard } => {
                let at = self.confirmed.map_or(0, |(_, at)| at);
                self.member = self.member.moved(shard, self.last, Time::from_millis(at));
                self.confirmed = None;
            }
            Step::Leave { shard } => {
                if fate != Fate::IsLost {
                    self.all.entry(shard).or_default().known = None;
                }
                if fate == Fate::Arrives {
                    self.member.left = None;
                }
            }
        }
        false
    }

    fn append(&mut self, after: u64, fate: Fate, most: usize) {
        self.now += 1;
        let base = self.member.base.max(self.pruned_to);
        // Rows that retention took cannot be read again.
        let sent: Vec<u64> = (after.max(self.pruned_to) + 1..=self.last).take(most).collect();
        if fate == Fate::IsLost {
            return;
        }
        let skew = if self.member.shard == shard_name(0) { 50 } else { 0 };
        let (now, not_before) = (self.now + skew, self.member.not_before.millis());
        let shard = self.all.entry(self.member.shard.clone()).or_default();
        let answer = match judge(shard.known, Time::from_millis(BORN), base, &sent) {
            Verdict::Gone => unreachable!("there was one life only"),
            Verdict::Missing { last } => last,
            Verdict::Take { range, last } => {
                if !range.is_empty() {
                    shard.clock = now.max(shard.clock).max(not_before);
                }
                let at = shard.clock;
                shard.log.extend(sent.get(range).unwrap_or_default().iter().map(|seq| (at, *seq)));
                shard.known = Some(Known { born: Time::from_millis(BORN), last });
                last
            }
        };
        if fate == Fate::Arrives {
            self.confirmed = Some((answer.min(self.last), shard.clock));
        }
    }

    fn apply(&mut self, happening: Happening) {
        match happening {
            Happening::Events(count) => self.last += count,
            Happening::Step { fate, most } => drop(self.step(fate, most)),
            Happening::Wake { guess_back } => {
                self.confirmed = None;
                self.guess = Some(self.last.saturating_sub(guess_back));
            }
            Happening::Shards(shards) => self.shards = shards,
            Happening::Prune(count) => {
                let confirmed = self.confirmed.map_or(0, |(last, _)| last);
                self.pruned_to = (self.pruned_to + count).min(confirmed).max(self.pruned_to);
            }
        }
    }

    /// The logs as a reader merges them: by time, then by shard, each shard in its own order.
    fn merged(&self) -> Vec<u64> {
        let mut rows: Vec<(i64, usize, u64)> = Vec::new();
        for (index, shard) in self.all.values().enumerate() {
            rows.extend(shard.log.iter().map(|(at, seq)| (*at, index, *seq)));
        }
        rows.sort_by_key(|(at, index, _)| (*at, *index));
        rows.into_iter().map(|(_, _, seq)| seq).collect()
    }
}

proptest! {
    #[test]
    fn every_event_is_in_one_shard_once_and_in_order(
        happenings in prop::collection::vec(happening(), 0..120)
    ) {
        let mut world = World::new();
        for happening in happenings {
            world.apply(happening);
            let so_far: Vec<u64> = {
                let mut all: Vec<u64> =
                    world.all.values().flat_map(|shard| shard.log.iter().map(|(_, seq)| *seq)).collect();
                all.sort_unstable();
                all
            };
            let expected: Vec<u64> = (1..=so_far.len() as u64).collect();
            prop_assert_eq!(so_far, expected, "no gap and no repeat at any time");
        }
        let steps = 20 + 2 * world.last;
        let done = (0..steps).any(|_| world.step(Fate::Arrives, 3));
        prop_assert!(done, "a device whose calls arrive comes to an end");
        prop_assert_eq!(world.merged(), (1..=world.last).collect::<Vec<u64>>());
    }
}
