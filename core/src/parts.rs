//! A log in a ring of tables, its parts: each takes a share of the retention, and goes as a whole.
//!
//! Why: a deleted row is billed like a written one, a dropped table is not (docs/COST.md). What has aged out stays in its
//! part until everything else in it has, and is not shown meanwhile. Nothing goes before its time: where the next part
//! still holds something, the present one is written on.

use crate::clock::Time;
use crate::retention::rows_to_drop;

/// Three hold the retention, the fourth is what is aging out.
pub const PARTS: usize = 4;

/// The oldest row of a part: its sequence number or position, and when it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct First {
    pub number: u64,
    pub at: Time,
}

/// What is known of a log's parts. All of it but a turn that has not been written into yet follows from the tables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parts {
    first: [Option<First>; PARTS],
    current: usize,
}

/// What a log that is too large does without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Surplus {
    Nothing,
    /// All of this part.
    Part(usize),
    /// The rows up to this one.
    Rows(u64),
}

impl Parts {
    pub fn new(first: [Option<First>; PARTS]) -> Self {
        let newest = first.iter().enumerate().max_by_key(|(_, first)| first.map(|first| first.number));
        let current = newest.filter(|(_, first)| first.is_some()).map_or(0, |(part, _)| part);
        Parts { first, current }
    }

    /// The same after rows were removed from the tables.
    pub fn reread(&mut self, first: [Option<First>; PARTS]) {
        self.first = first;
    }

    /// The part that is written into.
    pub fn current(&self) -> usize {
        self.current
    }

    /// A row was written into the current part.
    pub fn wrote(&mut self, number: u64, at: Time) {
        if let Some(first) = self.first.get_mut(self.current) {
            first.get_or_insert(First { number, at });
        }
    }

    /// A part has been emptied.
    pub fn emptied(&mut self, part: usize) {
        if let Some(first) = self.first.get_mut(part) {
            *first = None;
        }
    }

    /// Goes on to the next part where this one has had its share of the retention, milliseconds.
    ///
    /// ```
    /// use fieldhook_core::clock::Time;
    /// use fieldhook_core::parts::Parts;
    /// let mut parts = Parts::default();
    /// parts.wrote(1, Time::from_millis(0));
    /// parts.turn(Time::from_millis(999), 3_000);
    /// assert_eq!(parts.current(), 0);
    /// parts.turn(Time::from_millis(1_000), 3_000);
    /// assert_eq!(parts.current(), 1);
    /// ```
    pub fn turn(&mut self, now: Time, retention: i64) {
        let share = retention / (PARTS as i64 - 1);
        if self.first_of(self.current).is_some_and(|first| first.at.plus_millis(share) <= now) {
            self.go_on();
        }
    }

    /// The same where it holds its share of the bytes that a log may have. `last` is the newest row's number.
    pub fn turn_by_size(&mut self, size: u64, max: u64, last: u64) {
        let (Some(current), Some((_, oldest))) = (self.first_of(self.current), self.oldest()) else { return };
        let (held, all) = (count(current.number, last), count(oldest.number, last));
        let share = u128::from(size) * u128::from(held) / u128::from(all.max(1));
        if share >= u128::from(max) / PARTS as u128 {
            self.go_on();
        }
    }

    fn go_on(&mut self) {
        let next = (self.current + 1) % PARTS;
        if self.first_of(next).is_none() {
            self.current = next;
        }
    }

    /// The oldest part, if all that is in it came before `limit`: the part behind it has begun before that, or there is
    /// none and nothing has come since. `newest` is when the newest row came. (A clock that was set back may have left
    /// younger rows in it: look before it goes.)
    pub fn outlived(&self, limit: Time, newest: Option<Time>) -> Option<usize> {
        let (part, oldest) = self.oldest()?;
        let behind = self.held().filter(|(_, first)| first.number > oldest.number);
        let ended = behind.min_by_key(|(_, first)| first.number).map(|(_, first)| first.at).or(newest);
        ended.is_some_and(|ended| ended < limit).then_some(part)
    }

    /// What goes of a log of `size` bytes that may have `max`. A part goes whole where it is no more than a third of the
    /// log; where parts have come to be that unequal, rows go.
    ///
    /// ```
    /// use fieldhook_core::clock::Time;
    /// use fieldhook_core::parts::{First, Parts, Surplus};
    /// let first = |number| Some(First { number, at: Time::from_millis(0) });
    /// let parts = Parts::new([first(1), first(26), first(51), first(76)]);
    /// assert_eq!(parts.surplus(99, 100, 100), Surplus::Nothing);
    /// assert_eq!(parts.surplus(100, 100, 100), Surplus::Part(0));
    /// let parts = Parts::new([first(1), first(91), None, None]);
    /// assert_eq!(parts.surplus(100, 100, 100), Surplus::Rows(10));
    /// ```
    pub fn surplus(&self, size: u64, max: u64, last: u64) -> Surplus {
        let Some((part, oldest)) = self.oldest().filter(|_| size >= max) else { return Surplus::Nothing };
        let all = count(oldest.number, last);
        let behind = self.held().map(|(_, first)| first.number).filter(|number| *number > oldest.number);
        let held = behind.min().map(|next| next.saturating_sub(oldest.number));
        match held {
            Some(held) if part != self.current && held.saturating_mul(3) <= all => Surplus::Part(part),
            _ => match rows_to_drop(size, max, all) {
                Some(rows) => Surplus::Rows(oldest.number + rows - 1),
                None => Surplus::Nothing,
            },
        }
    }

    fn first_of(&self, part: usize) -> Option<First> {
        self.first.get(part).copied().flatten()
    }

    fn held(&self) -> impl Iterator<Item = (usize, First)> {
        self.first.iter().enumerate().filter_map(|(part, first)| first.map(|first| (part, first)))
    }

    fn oldest(&self) -> Option<(usize, First)> {
        self.held().min_by_key(|(_, first)| first.number)
    }
}

/// Numbers have no gaps: counting is subtracting.
fn count(first: u64, last: u64) -> u64 {
    (last + 1).saturating_sub(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    const RETENTION: i64 = 3_000;

    fn at(millis: i64) -> Time {
        Time::from_millis(millis)
    }

    fn first(number: u64, millis: i64) -> Option<First> {
        Some(First { number, at: at(millis) })
    }

    #[test]
    fn the_part_with_the_newest_rows_is_written_on() {
        assert_eq!(Parts::new([None; PARTS]).current(), 0);
        assert_eq!(Parts::new([first(9, 0), None, first(3, 0), first(6, 0)]).current(), 0);
        assert_eq!(Parts::new([None, None, first(3, 0), None]).current(), 2);
    }

    #[test]
    fn a_part_that_still_holds_something_is_not_written_into() {
        let mut parts = Parts::new([first(1, 0), first(2, 1_000), first(3, 2_000), first(4, 3_000)]);
        parts.turn(at(9_000), RETENTION);
        assert_eq!(parts.current(), 3);
        parts.emptied(0);
        parts.turn(at(9_000), RETENTION);
        assert_eq!(parts.current(), 0);
    }

    #[test]
    fn the_last_part_goes_once_the_device_has_been_silent_for_long_enough() {
        let parts = Parts::new([None, first(5, 1_000), None, None]);
        assert_eq!(parts.outlived(at(2_000), Some(at(2_000))), None);
        assert_eq!(parts.outlived(at(2_001), Some(at(2_000))), Some(1));
        assert_eq!(Parts::default().outlived(at(2_001), None), None);
    }

    #[test]
    fn a_log_that_is_one_part_loses_rows_and_goes_on_in_the_next() {
        let mut parts = Parts::new([first(1, 0), None, None, None]);
        assert_eq!(parts.surplus(100, 100, 1_000), Surplus::Rows(100));
        parts.turn_by_size(24, 100, 1_000);
        assert_eq!(parts.current(), 0);
        parts.turn_by_size(25, 100, 1_000);
        assert_eq!(parts.current(), 1);
    }

    /// A log played as the objects play it, its clock set back and forth by a day now and then.
    struct Played {
        parts: Parts,
        tables: [BTreeMap<u64, Time>; PARTS],
        newest: Option<Time>,
        last: u64,
    }

    impl Played {
        fn event(&mut self, now: Time, retention: i64) {
            self.parts.turn(now, retention);
            self.last += 1;
            self.tables[self.parts.current()].insert(self.last, now);
            self.parts.wrote(self.last, now);
            self.newest = Some(now);
        }

        fn expire(&mut self, now: Time, retention: i64) {
            let limit = now.plus_millis(-retention);
            while let Some(part) = self.parts.outlived(limit, self.newest) {
                if self.tables[part].values().any(|at| *at >= limit) {
                    break;
                }
                self.tables[part].clear();
                self.parts.emptied(part);
            }
        }
    }

    proptest! {
        #[test]
        fn nothing_goes_before_its_time_and_numbers_stay_in_order(
            steps in proptest::collection::vec((0_i64..40_000_000, 0..12_u8), 1..300),
        ) {
            let retention = 30 * 86_400_000_i64;
            let (mut clock, mut kept) = (at(100 * 86_400_000), Vec::new());
            let (parts, tables) = (Parts::default(), Default::default());
            let mut log = Played { parts, tables, newest: None, last: 0 };
            for (later, what) in steps {
                clock = clock.plus_millis(later);
                match what {
                    0 => clock = clock.plus_millis(86_400_000),
                    1 => clock = clock.plus_millis(-86_400_000),
                    2..=4 => {
                        log.expire(clock, retention);
                        kept.retain(|(_, at): &(u64, Time)| *at >= clock.plus_millis(-retention));
                    }
                    5 => log.parts = Parts::new(log.tables.clone().map(|table| {
                        table.first_key_value().map(|(number, at)| First { number: *number, at: *at })
                    })),
                    _ => {
                        log.event(clock, retention);
                        kept.push((log.last, clock));
                    }
                }
                let rows: BTreeMap<u64, Time> = log.tables.iter().flatten().map(|(n, at)| (*n, *at)).collect();
                for (number, at) in &kept {
                    prop_assert_eq!(rows.get(number), Some(at));
                }
                // What is kept is the newest, without gaps: a part never lies amid another's rows.
                let numbers: Vec<u64> = rows.keys().copied().collect();
                prop_assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1));
            }
        }

        #[test]
        fn a_device_that_speaks_steadily_keeps_little_more_than_it_must(minutes in 60_i64..900) {
            let (retention, step) = (30 * 86_400_000_i64, minutes * 60_000);
            let (parts, tables) = (Parts::default(), Default::default());
            let mut log = Played { parts, tables, newest: None, last: 0 };
            let mut clock = at(0);
            while clock.millis() < 3 * retention {
                clock = clock.plus_millis(step);
                log.event(clock, retention);
                log.expire(clock, retention);
                let oldest = log.tables.iter().filter_map(|table| table.values().next()).min().unwrap();
                prop_assert!(oldest.distance(clock) <= retention / 3 * 4 + 2 * step);
            }
        }
    }
}
