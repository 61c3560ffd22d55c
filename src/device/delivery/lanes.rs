//! The lanes of a device: their rows, and what they find in the log.

use super::{Inner, Key};
use crate::device::{history, schema};
use crate::isolate;
use crate::sqlite::{self, Value, integer};
use fieldhook_core::clock::Time;
use fieldhook_core::delivery::ahead::{Ahead, Marks};
use fieldhook_core::delivery::lane::Lane;
use fieldhook_core::delivery::report::{Passed, Why};
use fieldhook_core::integration::stored::Listed;
use fieldhook_core::json;
use fieldhook_core::log::Row;
use fieldhook_core::problem::{Code, Problem, Result};
use std::collections::BTreeMap;

/// Before this number are all events; JavaScript can write none that is larger.
const ALL: u64 = (1 << 53) - 1;

impl Inner {
    /// The lanes, read from the table once.
    pub(super) fn lanes(&self) -> Result<std::cell::Ref<'_, BTreeMap<Key, Lane>>> {
        if self.delivery.lanes.borrow().is_none() {
            let mut lanes = BTreeMap::new();
            if self.schema.exists(&self.sql)? {
                for columns in sqlite::rows(&self.sql, schema::LANES, Vec::new())? {
                    let mut columns = columns?;
                    let key = (columns.text(), columns.text());
                    let mut lane: Lane = json::read(&columns.text())
                        .map_err(|_| Problem::new(Code::Internal, "a lane cannot be read"))?;
                    lane.is_kept = true;
                    lanes.insert(key, lane);
                }
            }
            self.delivery.lanes.replace(Some(lanes));
        }
        let missing = || Problem::new(Code::Internal, "the lanes are not there");
        std::cell::Ref::filter_map(self.delivery.lanes.borrow(), Option::as_ref).map_err(|_| missing())
    }

    /// A copy: what is borrowed could not be changed meanwhile.
    pub(super) fn lane(&self, key: &Key) -> Result<Option<Lane>> {
        let lanes = self.lanes()?;
        Ok(lanes.get(key).cloned())
    }

    pub(super) fn remember(&self, key: &Key, lane: Lane) -> Result<()> {
        drop(self.lanes()?);
        if let Some(lanes) = self.delivery.lanes.borrow_mut().as_mut() {
            lanes.insert(key.clone(), lane);
        }
        Ok(())
    }

    /// Writes it down, and remembers it.
    pub(super) fn keep_lane(&self, key: &Key, mut lane: Lane) -> Result<()> {
        let json = serde_json::to_string(&lane)
            .map_err(|_| Problem::new(Code::Internal, "the lane cannot be written"))?;
        let values = vec![key.0.as_str().into(), key.1.as_str().into(), json.into()];
        sqlite::run(&self.sql, schema::WRITE_LANE, values)?;
        lane.is_kept = true;
        self.remember(key, lane)
    }

    /// Writes down what shards have been told, of lanes that rest.
    pub(in crate::device) fn write_told(&self) -> Result<()> {
        let told: Vec<(Key, Lane)> = {
            let lanes = self.lanes()?;
            lanes
                .iter()
                .filter(|(_, lane)| lane.is_told)
                .map(|(key, lane)| (key.clone(), lane.clone()))
                .collect()
        };
        for (key, mut lane) in told {
            lane.is_told = false;
            self.keep_lane(&key, lane)?;
        }
        Ok(())
    }

    pub(super) fn drop_lane(&self, key: &Key) -> Result<()> {
        let values = vec![key.0.as_str().into(), key.1.as_str().into()];
        sqlite::run(&self.sql, schema::DROP_LANE, values)?;
        if let Some(lanes) = self.delivery.lanes.borrow_mut().as_mut() {
            lanes.remove(key);
        }
        Ok(())
    }

    /// The lane of an integration that this device has not met.
    pub(super) fn begin(&self, listed: &Listed, pruned_to: u64) -> Result<Lane> {
        self.begin_at(listed.stored.from, pruned_to, ALL)
    }

    /// The same, of what is before an event.
    fn begin_at(&self, from: Time, pruned_to: u64, before: u64) -> Result<Lane> {
        Ok(Lane::behind(self.last_before(from, pruned_to, before, Time::from_millis(i64::MAX))?, from))
    }

    /// Where an integration has been resumed from a later time: up to there its lane is passed over.
    pub(super) fn skipped_to(&self, lane: &Lane, from: Time, pruned_to: u64) -> Result<u64> {
        let before = lane.marks.behind(from).unwrap_or(ALL);
        self.last_before(from, pruned_to, before, isolate::now().with_skew())
    }

    /// Notes, in the turn that accepts events, what who accepted them knew of changes that are ahead of the clock. By
    /// the times alone these events would be passed over until it has come as far.
    pub(in crate::device) fn heed(&self, ahead: &[Ahead], pruned_to: u64, first_seq: u64) -> Result<()> {
        for ahead in ahead {
            let key = (ahead.integration.clone(), String::new());
            let known = self.lane(&key)?;
            let mut lane = match known {
                Some(lane) => lane,
                None => self.begin_at(ahead.from, pruned_to, first_seq)?,
            };
            if lane.heed(ahead, first_seq) {
                self.keep_lane(&key, lane)?;
            }
        }
        Ok(())
    }

    /// Writes down where an integration stands that is paused, if it never was.
    pub(super) fn keep_place(&self, key: &Key) -> Result<()> {
        match self.lane(key)?.filter(|lane| !lane.is_kept) {
            Some(lane) => self.keep_lane(key, lane),
            None => Ok(()),
        }
    }

    /// What an integration will not get of a part of the log.
    pub(super) fn passed(
        &self,
        listed: &Listed,
        device: &str,
        lane: &Lane,
        to: u64,
        why: Why,
    ) -> Result<Passed> {
        let mut count = 0;
        if to > lane.done {
            let values = vec![integer(lane.done), listed.filter.prefixes_json().into()];
            for columns in sqlite::rows(&self.sql, schema::NEXT_FOR, values)? {
                let row = history::row(columns?);
                if row.seq > to {
                    break;
                }
                count += u64::from(listed.takes(&row, &lane.marks));
            }
        }
        let (integration, device) = (listed.stored.id.clone(), device.to_owned());
        let at = isolate::now();
        Ok(Passed { integration, device, at, to, count, why })
    }

    /// Counts what retention is about to take before it was delivered: everything from one place to another. Part of the
    /// turn that prunes, in which what is known of the device is out of its place.
    pub(in crate::device) fn expire_lanes(&self, device: &str, from: u64, pruned_to: u64) -> Result<()> {
        let Some(snapshot) = isolate::known_snapshot(isolate::now()) else { return Ok(()) };
        for listed in
            snapshot.integrations.iter().filter(|listed| !listed.respond && listed.filter.is_for(device))
        {
            let key = (listed.stored.id.clone(), String::new());
            let known = self.lane(&key)?;
            let mut lane = match known {
                Some(lane) => lane,
                None => self.begin(listed, from)?,
            };
            if lane.done < pruned_to {
                let passed = self.passed(listed, device, &lane, pruned_to, Why::Expired)?;
                if passed.count > 0 {
                    lane.pass(passed);
                    self.keep_lane(&key, lane)?;
                }
            }
        }
        Ok(())
    }

    /// The newest event before one that was accepted no later than this, or later than `ahead`; looked for from the new
    /// end.
    fn last_before(&self, at: Time, pruned_to: u64, before: u64, ahead: Time) -> Result<u64> {
        let values = vec![integer(before), Value::Integer(at.millis()), Value::Integer(ahead.millis())];
        let row = sqlite::first(&self.sql, schema::LAST_UNTIL, values)?;
        Ok(row.map_or(pruned_to, |mut columns| columns.unsigned().max(pruned_to)))
    }

    /// The next event behind a place that the integration is for.
    pub(super) fn next_for(&self, listed: &Listed, after: u64, marks: &Marks) -> Result<Option<Row>> {
        let values = vec![integer(after), listed.filter.prefixes_json().into()];
        for columns in sqlite::rows(&self.sql, schema::NEXT_FOR, values)? {
            let row = history::row(columns?);
            if listed.takes(&row, marks) {
                return Ok(Some(row));
            }
        }
        Ok(None)
    }

    pub(super) fn row(&self, seq: u64) -> Result<Option<Row>> {
        Ok(sqlite::first(&self.sql, schema::ROW, vec![integer(seq)])?.map(history::row))
    }
}
