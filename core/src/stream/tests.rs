//! Properties of a stream: whatever happens to its connections, each event once, in its device's order, and from
//! any cursor exactly the rest.
//!
//! The model is a fleet of shards with logs of numbered events, connections that bring messages in order and may
//! break, and devices that move. One thing it does not let happen: that a device moves while what its old shard
//! pushed is still under way on a connection whose end nobody has noticed.

use super::cursor::Cursor;
use super::merge::{Item, Order, Reader};
use super::wire::{Kind, Line, Writer};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Events on a page of the model, few, so that there are many pages.
const PAGE: usize = 3;

#[derive(Debug, Clone)]
struct Event {
    at: i64,
    device: usize,
    seq: u64,
}

#[derive(Debug, Default)]
struct Shard {
    /// By position, from 1.
    log: Vec<Event>,
    pruned_to: u64,
    live: bool,
    connected: bool,
    /// Messages under way to the reader.
    wire: VecDeque<String>,
}

#[derive(Debug)]
struct Fleet {
    shards: Vec<Shard>,
    home: Vec<usize>,
    last: Vec<u64>,
    /// The time of the newest event of a device: another shard's next one is later.
    last_at: Vec<i64>,
    clock: i64,
}

fn name(event: &Event) -> String {
    format!("{}-{}", event.device, event.seq)
}

fn line<'a>(pos: u64, event: &Event, name: &'a str) -> Line<'a> {
    Line { pos: Some(pos), at: event.at, name, json: "{}" }
}

impl Fleet {
    fn new(shards: usize, devices: usize) -> Self {
        Fleet {
            shards: (0..shards).map(|_| Shard::default()).collect(),
            home: (0..devices).map(|device| device % shards).collect(),
            last: vec![0; devices],
            last_at: vec![0; devices],
            clock: 1,
        }
    }

    fn append(&mut self, device: usize, count: usize) {
        let shard = &mut self.shards[self.home[device]];
        let newest = shard.log.last().map_or(0, |event| event.at);
        let at = self.clock.max(newest).max(self.last_at[device] + 1);
        self.last_at[device] = at;
        let mut writer = Writer::default();
        for _ in 0..count {
            self.last[device] += 1;
            let event = Event { at, device, seq: self.last[device] };
            shard.log.push(event.clone());
            writer.push(&line(shard.log.len() as u64, &event, &name(&event)));
        }
        writer.push(&Line { pos: None, at, name: "hook-sent", json: "{}" });
        if shard.connected && shard.live {
            shard.wire.push_back(writer.finish(Kind::Push, shard.log.len() as u64));
        }
    }

    /// Answers `next`, as a shard does.
    fn page(&mut self, shard: usize, after: Option<u64>, order: Order) {
        let shard = &mut self.shards[shard];
        let head = shard.log.len() as u64;
        let mut writer = Writer::default();
        let (from, to, end, gap) = match order {
            Order::Ascending => {
                let after = after.unwrap_or(head);
                let from = after.max(shard.pruned_to);
                (from, head.min(from + PAGE as u64), head, from > after)
            }
            Order::Descending => {
                let from = after.unwrap_or(head).min(head);
                (from, from.saturating_sub(PAGE as u64).max(shard.pruned_to), shard.pruned_to, false)
            }
        };
        let mut positions: Vec<u64> = (from.min(to) + 1..=from.max(to)).collect();
        if order == Order::Descending {
            positions.reverse();
        }
        for pos in positions {
            let event = &shard.log[pos as usize - 1];
            writer.push(&line(pos, event, &name(event)));
        }
        shard.live = to == end;
        shard.wire.push_back(writer.finish(Kind::Page { from, head: shard.live, gap }, to));
    }
}

/// A reader with its connections, and everything it gave out.
struct Stream {
    reader: Reader,
    order: Order,
    seen: Vec<(String, Cursor)>,
    gaps: usize,
}

impl Stream {
    fn open(fleet: &mut Fleet, shards: usize, after: Option<Cursor>, order: Order) -> Self {
        for shard in &mut fleet.shards {
            (shard.live, shard.connected) = (false, false);
            shard.wire.clear();
        }
        let reader = Reader::new(shards, after, order);
        Stream { reader, order, seen: Vec::new(), gaps: 0 }
    }

    fn connect(&mut self, fleet: &mut Fleet, shard: usize) {
        if shard >= self.reader.shards() || fleet.shards[shard].connected {
            return;
        }
        fleet.shards[shard].connected = true;
        let begins = self.reader.begins(shard);
        self.reader.connected(shard);
        if begins.is_none() {
            fleet.page(shard, None, self.order);
        }
    }

    fn lose(&mut self, fleet: &mut Fleet, shard: usize) {
        if fleet.shards[shard].connected {
            fleet.shards[shard] = Shard {
                live: false,
                connected: false,
                wire: VecDeque::new(),
                ..std::mem::take(&mut fleet.shards[shard])
            };
            self.reader.lost(shard);
        }
    }

    fn deliver(&mut self, fleet: &mut Fleet, shard: usize) -> bool {
        let Some(message) = fleet.shards[shard].wire.pop_front() else { return false };
        self.reader.receive(shard, &message).unwrap();
        while let Some(item) = self.reader.pop() {
            match item {
                Item::Event { name, kept: true, .. } => self.seen.push((name, self.reader.cursor().clone())),
                Item::Event { .. } => {}
                Item::Gap => self.gaps += 1,
            }
        }
        true
    }

    fn ask(&mut self, fleet: &mut Fleet) -> bool {
        let asked = self.reader.ask(true);
        for (shard, after) in &asked {
            fleet.page(*shard, Some(*after), self.order);
        }
        !asked.is_empty()
    }

    /// Until nothing more happens by itself.
    fn settle(&mut self, fleet: &mut Fleet) {
        (0..self.reader.shards()).for_each(|shard| self.connect(fleet, shard));
        loop {
            let mut moved = self.ask(fleet);
            for shard in 0..self.reader.shards() {
                moved |= self.deliver(fleet, shard);
            }
            if !moved {
                break;
            }
        }
        assert!(self.reader.is_done());
    }
}

/// Every event from `after` on, as (device, seq) in the order of each device.
fn by_device<'a>(names: impl Iterator<Item = &'a String>) -> BTreeMap<usize, Vec<u64>> {
    let mut devices = BTreeMap::<usize, Vec<u64>>::new();
    for name in names {
        let (device, seq) = name.split_once('-').unwrap();
        devices.entry(device.parse().unwrap()).or_default().push(seq.parse().unwrap());
    }
    devices
}

fn names(stream: &Stream) -> Vec<String> {
    stream.seen.iter().map(|(name, _)| name.clone()).collect()
}

#[derive(Debug, Clone)]
enum Step {
    Append { device: usize, count: usize },
    Move { device: usize, to: usize },
    Tick,
    Connect(usize),
    Lose(usize),
    Deliver(usize),
    Ask,
}

const SHARDS: usize = 4;
const DEVICES: usize = 5;

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..DEVICES, 1usize..4).prop_map(|(device, count)| Step::Append { device, count }),
        1 => (0..DEVICES, 0..SHARDS).prop_map(|(device, to)| Step::Move { device, to }),
        2 => Just(Step::Tick),
        2 => (0..SHARDS).prop_map(Step::Connect),
        1 => (0..SHARDS).prop_map(Step::Lose),
        5 => (0..SHARDS).prop_map(Step::Deliver),
        2 => Just(Step::Ask),
    ]
}

fn take(stream: &mut Stream, fleet: &mut Fleet, step: &Step) {
    match *step {
        Step::Append { device, count } => fleet.append(device, count),
        Step::Move { device, to } => {
            // What was pushed is either heard or known to be lost: see the head of this file.
            if fleet.shards[fleet.home[device]].wire.is_empty() {
                fleet.home[device] = to;
            }
        }
        Step::Tick => fleet.clock += 1,
        Step::Connect(shard) => stream.connect(fleet, shard),
        Step::Lose(shard) => stream.lose(fleet, shard),
        Step::Deliver(shard) => drop(stream.deliver(fleet, shard)),
        Step::Ask => drop(stream.ask(fleet)),
    }
}

proptest! {
    #[test]
    fn each_event_once_and_every_device_in_order(
        before in prop::collection::vec(step(), 0..40), during in prop::collection::vec(step(), 0..150),
    ) {
        let mut fleet = Fleet::new(SHARDS, DEVICES);
        for step in before.iter().filter(|step| matches!(step, Step::Append { .. } | Step::Move { .. } | Step::Tick)) {
            let mut nobody = Stream::open(&mut fleet, SHARDS, None, Order::Ascending);
            take(&mut nobody, &mut fleet, step);
        }
        let mut stream = Stream::open(&mut fleet, SHARDS, Some(Cursor::default()), Order::Ascending);
        during.iter().for_each(|step| take(&mut stream, &mut fleet, step));
        stream.settle(&mut fleet);
        for (device, seqs) in by_device(names(&stream).iter()) {
            prop_assert_eq!(&seqs, &(1..=fleet.last[device]).collect::<Vec<_>>(), "device {}", device);
        }
        prop_assert_eq!(stream.seen.len() as u64, fleet.last.iter().sum::<u64>());
        // From any cursor that was given out, the rest and nothing else.
        for (place, (_, cursor)) in stream.seen.iter().enumerate() {
            let cursor = Cursor::decode(&cursor.encode()).unwrap();
            let mut again = Stream::open(&mut fleet, SHARDS, Some(cursor), Order::Ascending);
            again.settle(&mut fleet);
            prop_assert_eq!(
                by_device(names(&again).iter()),
                by_device(stream.seen[place + 1..].iter().map(|(name, _)| name)),
            );
        }
    }

    #[test]
    fn from_now_on_means_everything_after_the_connections_were_made(
        before in prop::collection::vec((0..DEVICES, 1usize..4), 0..20), steps in prop::collection::vec(step(), 0..80),
    ) {
        let mut fleet = Fleet::new(SHARDS, DEVICES);
        before.iter().for_each(|(device, count)| fleet.append(*device, *count));
        let first: Vec<u64> = fleet.last.iter().map(|last| last + 1).collect();
        let mut stream = Stream::open(&mut fleet, SHARDS, None, Order::Ascending);
        // The Worker answers its client only when every shard has taken the connection.
        (0..SHARDS).for_each(|shard| stream.connect(&mut fleet, shard));
        for step in steps.iter().filter(|step| !matches!(step, Step::Lose(_))) {
            take(&mut stream, &mut fleet, step);
        }
        stream.settle(&mut fleet);
        let seen = by_device(names(&stream).iter());
        for (device, (first, last)) in first.iter().zip(&fleet.last).enumerate() {
            let expected: Vec<u64> = (*first..=*last).collect();
            prop_assert_eq!(seen.get(&device).cloned().unwrap_or_default(), expected);
        }
    }

    #[test]
    fn a_fleet_that_grows_shards_or_gives_them_up_is_read_on_from_an_old_cursor(
        small in 1..SHARDS, first in prop::collection::vec((0..DEVICES, 1usize..4), 1..20),
        then in prop::collection::vec((0..DEVICES, 1usize..4), 1..20), grows: bool,
    ) {
        let mut fleet = Fleet::new(SHARDS, DEVICES);
        let (shards_then, shards_now) = if grows { (small, SHARDS) } else { (SHARDS, small) };
        let move_to = |fleet: &mut Fleet, shards: usize| {
            fleet.home = (0..DEVICES).map(|device| device % shards).collect();
            fleet.clock += 1;
        };
        move_to(&mut fleet, shards_then);
        first.iter().for_each(|(device, count)| fleet.append(*device, *count));
        let mut stream = Stream::open(&mut fleet, shards_then, Some(Cursor::default()), Order::Ascending);
        stream.settle(&mut fleet);
        let cursor = Cursor::decode(&stream.reader.cursor().encode()).unwrap();
        move_to(&mut fleet, shards_now);
        let before = fleet.last.clone();
        then.iter().for_each(|(device, count)| fleet.append(*device, *count));
        let mut again = Stream::open(&mut fleet, shards_now, Some(cursor), Order::Ascending);
        again.settle(&mut fleet);
        let seen = by_device(names(&again).iter());
        for (device, (before, last)) in before.iter().zip(&fleet.last).enumerate() {
            let expected: Vec<u64> = (before + 1..=*last).collect();
            prop_assert_eq!(seen.get(&device).cloned().unwrap_or_default(), expected);
        }
    }

    #[test]
    fn a_stream_that_is_open_while_the_fleet_grows_reads_the_new_shards_too(
        small in 1..SHARDS, from_now: bool, steps in prop::collection::vec(step(), 0..40),
        then in prop::collection::vec(step(), 0..60),
    ) {
        let mut fleet = Fleet::new(SHARDS, DEVICES);
        fleet.home = (0..DEVICES).map(|device| device % small).collect();
        let after = (!from_now).then(Cursor::default);
        let mut stream = Stream::open(&mut fleet, small, after, Order::Ascending);
        (0..small).for_each(|shard| stream.connect(&mut fleet, shard));
        let is_old = |step: &Step| match step {
            Step::Move { to: shard, .. } | Step::Connect(shard) | Step::Lose(shard) | Step::Deliver(shard) => *shard < small,
            _ => true,
        };
        let of_old = |step: &&Step| is_old(step) && !(from_now && matches!(step, Step::Lose(_)));
        steps.iter().filter(of_old).for_each(|step| take(&mut stream, &mut fleet, step));
        stream.settle(&mut fleet);
        // Devices move before the reader hears of it.
        fleet.clock += 1;
        fleet.home = (0..DEVICES).map(|device| device % SHARDS).collect();
        (0..DEVICES).for_each(|device| fleet.append(device, 1));
        stream.lose(&mut fleet, 0);
        stream.reader.grow(SHARDS);
        then.iter().for_each(|step| take(&mut stream, &mut fleet, step));
        stream.settle(&mut fleet);
        prop_assert_eq!(stream.reader.shards(), SHARDS);
        for (device, seqs) in by_device(names(&stream).iter()) {
            prop_assert_eq!(&seqs, &(1..=fleet.last[device]).collect::<Vec<_>>(), "device {}", device);
        }
        prop_assert_eq!(stream.seen.len() as u64, fleet.last.iter().sum::<u64>());
    }

    #[test]
    fn a_reader_that_was_told_nothing_yet_begins_everywhere_alike(small in 1..SHARDS) {
        let mut reader = Reader::new(small, None, Order::Ascending);
        reader.connected(0);
        reader.grow(SHARDS);
        prop_assert!((0..SHARDS).all(|shard| reader.begins(shard).is_none()));
        reader.grow(1);
        reader.grow(usize::MAX);
        prop_assert_eq!(reader.shards(), crate::settings::FLEET_SHARDS_MAX as usize);
    }

    #[test]
    fn backwards_is_forwards_turned_around(steps in prop::collection::vec(step(), 0..60)) {
        let mut fleet = Fleet::new(SHARDS, DEVICES);
        let mut stream = Stream::open(&mut fleet, SHARDS, Some(Cursor::default()), Order::Ascending);
        for step in steps.iter().filter(|step| matches!(step, Step::Append { .. } | Step::Move { .. } | Step::Tick)) {
            take(&mut stream, &mut fleet, step);
        }
        stream.settle(&mut fleet);
        let mut back = Stream::open(&mut fleet, SHARDS, None, Order::Descending);
        back.settle(&mut fleet);
        let mut turned = names(&back);
        turned.reverse();
        prop_assert_eq!(&turned, &names(&stream));
        // The cursor of an event leads, forwards, to what is newer; so a page of the past can be gone on from live.
        for (place, (_, cursor)) in back.seen.iter().enumerate() {
            let mut again = Stream::open(&mut fleet, SHARDS, Some(cursor.clone()), Order::Ascending);
            again.settle(&mut fleet);
            prop_assert_eq!(
                by_device(names(&again).iter()),
                by_device(back.seen[..place].iter().rev().map(|(name, _)| name)),
            );
        }
    }

    #[test]
    fn what_was_removed_is_said_and_the_rest_is_read(
        counts in prop::collection::vec((0..DEVICES, 1usize..4), 4..20), pruned in 1u64..6,
    ) {
        let mut fleet = Fleet::new(1, DEVICES);
        counts.iter().for_each(|(device, count)| fleet.append(*device, *count));
        let pruned = pruned.min(fleet.shards[0].log.len() as u64);
        fleet.shards[0].pruned_to = pruned;
        let mut stream = Stream::open(&mut fleet, 1, Some(Cursor::default()), Order::Ascending);
        stream.settle(&mut fleet);
        prop_assert_eq!(stream.gaps, 1);
        prop_assert_eq!(stream.seen.len() as u64, fleet.shards[0].log.len() as u64 - pruned);
    }

    #[test]
    fn what_is_removed_while_it_is_read_is_said_and_nothing_else_is_missed(
        steps in prop::collection::vec((step(), prop::option::weighted(0.2, (0..SHARDS, 0u64..6))), 1..120),
    ) {
        let mut fleet = Fleet::new(SHARDS, DEVICES);
        let mut stream = Stream::open(&mut fleet, SHARDS, Some(Cursor::default()), Order::Ascending);
        let mut removed = BTreeSet::new();
        for (step, prune) in &steps {
            take(&mut stream, &mut fleet, step);
            if let Some((shard, more)) = prune {
                let shard = &mut fleet.shards[*shard];
                shard.pruned_to = (shard.pruned_to + more).min(shard.log.len() as u64);
                for event in shard.log.iter().take(shard.pruned_to as usize) {
                    removed.insert(name(event));
                }
            }
        }
        stream.settle(&mut fleet);
        let seen = names(&stream);
        for (device, seqs) in by_device(seen.iter()) {
            prop_assert!(seqs.is_sorted_by(|a, b| a < b), "device {} {:?}", device, seqs);
        }
        let missed = (0..SHARDS).flat_map(|shard| fleet.shards[shard].log.iter().map(name).collect::<Vec<_>>());
        let missed: Vec<String> = missed.filter(|name| !seen.contains(name)).collect();
        prop_assert!(missed.iter().all(|name| removed.contains(name)), "{:?}", missed);
        prop_assert!(missed.is_empty() || stream.gaps > 0, "{:?}", missed);
    }
}

#[test]
fn what_waits_for_a_shard_that_is_behind_is_bounded_and_not_lost() {
    use super::merge::HELD_MAX;
    let mut reader = Reader::new(2, Some(Cursor::default()), Order::Ascending);
    reader.connected(0);
    reader.connected(1);
    assert_eq!(reader.ask(true), [(0, 0), (1, 0)]);
    reader.receive(1, "page\t0\t0\t1\t0\n").unwrap();
    let json = format!("{{\"data\":\"{}\"}}", "x".repeat(40_000));
    for pos in 1..=4 {
        let mut writer = Writer::default();
        writer.push(&Line { pos: Some(pos), at: 10, name: "temp", json: &json });
        reader.receive(1, &writer.finish(Kind::Push, pos)).unwrap();
        assert_eq!(reader.pop(), None);
    }
    const { assert!(4 * 40_000 > HELD_MAX) };
    // Shard 0 is still being asked; shard 1 is sent back, and asked for the same again.
    assert_eq!(reader.ask(true), [(1, 0)]);
    reader.receive(1, "push\t5\n5\t11\ttemp\t{}\n").unwrap();
    reader.receive(0, "page\t0\t0\t1\t0\n").unwrap();
    reader.receive(1, "page\t0\t1\t1\t0\n1\t10\ttemp\t{}\n").unwrap();
    assert!(matches!(reader.pop(), Some(Item::Event { .. })));
    assert_eq!(reader.cursor().position(1), 1);
}

/// Logs that end together are the hardest: the pages of shards that have come to their heads wait for the others'.
#[test]
fn large_logs_of_many_shards_are_read_page_by_page_each_once() {
    const PAGES: u64 = 3;
    let json = format!("{{\"data\":\"{}\"}}", "x".repeat(60_000));
    for shards in [2, 4, 8, 64] {
        let mut reader = Reader::new(shards, Some(Cursor::default()), Order::Ascending);
        (0..shards).for_each(|shard| reader.connected(shard));
        let mut under_way: VecDeque<_> = reader.ask(true).into();
        let (mut asked, mut seen) = (0, 0);
        while let Some((shard, after)) = under_way.pop_front() {
            asked += 1;
            assert!(asked <= shards as u64 * PAGES, "{shards} shards are asked for the same again and again");
            let mut writer = Writer::default();
            let at = i64::try_from(after).unwrap();
            writer.push(&Line { pos: Some(after + 1), at, name: "temp", json: &json });
            let kind = Kind::Page { from: after, head: after + 1 == PAGES, gap: false };
            reader.receive(shard, &writer.finish(kind, after + 1)).unwrap();
            seen += std::iter::from_fn(|| reader.pop()).count();
            under_way.extend(reader.ask(true));
        }
        assert!(reader.is_done());
        assert_eq!(seen, shards * PAGES as usize);
    }
}
