//! The lanes of a device: their rows, and what they find in the log.

use super::{Inner, Key};
use crate::device::{history, schema};
use crate::isolate;
use crate::sqlite::{self, Value, integer};
use fieldhook_core::clock::Time;
use fieldhook_core::delivery::lane::Lane;
use fieldhook_core::delivery::report::{Passed, Why};
use fieldhook_core::integration::stored::Listed;
use fieldhook_core::json;
use fieldhook_core::log::Row;
use fieldhook_core::problem::{Code, Problem, Result};
use std::collections::BTreeMap;

impl Inner {
    /// The lanes, read from the table once.
    pub(super) fn lanes(&self) -> Result<std::cell::Ref<'_, BTreeMap<Key, Lane>>> {
        if self.delivery.lanes.borrow().is_none() {
            let mut lanes = BTreeMap::new();
            if self.schema.exists(&self.sql)? {
                for columns in sqlite::rows(&self.sql, schema::LANES, Vec::new())? {
                    let mut columns = columns?;
                    let key = (columns.text(), columns.text());
                    let lane = json::read(&columns.text())
                        .map_err(|_| Problem::new(Code::Internal, "a lane cannot be read"))?;
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

    pub(super) fn write_lane(&self, (integration, job): &Key, lane: &Lane) -> Result<()> {
        let json = serde_json::to_string(lane)
            .map_err(|_| Problem::new(Code::Internal, "the lane cannot be written"))?;
        let values = vec![integration.as_str().into(), job.as_str().into(), json.into()];
        sqlite::run(&self.sql, schema::WRITE_LANE, values).map(drop)
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
            self.write_lane(&key, &lane)?;
            self.remember(&key, lane)?;
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
        Ok(Lane::behind(self.last_before(listed.stored.from, pruned_to)?, listed.stored.from))
    }

    /// What an integration will not get of a part of the log.
    pub(super) fn passed(
        &self,
        listed: &Listed,
        device: &str,
        after: u64,
        to: u64,
        why: Why,
    ) -> Result<Passed> {
        let mut count = 0;
        if to > after {
            let values = vec![integer(after), listed.filter.prefixes_json().into()];
            for columns in sqlite::rows(&self.sql, schema::NEXT_FOR, values)? {
                let row = history::row(columns?);
                if row.seq > to {
                    break;
                }
                count += u64::from(listed.takes(&row));
            }
        }
        let (integration, device) = (listed.stored.id.clone(), device.to_owned());
        let at = isolate::now();
        Ok(Passed { integration, device, at, to, count, why })
    }

    /// Counts what retention is about to take before it was delivered: everything from one place to another. Part of the
    /// turn that prunes, in which what is known of the device is out of its place.
    pub(in crate::device) fn expire_lanes(&self, device: &str, from: u64, pruned_to: u64) -> Result<()> {
        let Some(snapshot) = isolate::known_snapshot() else { return Ok(()) };
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
                let passed = self.passed(listed, device, lane.done, pruned_to, Why::Expired)?;
                if passed.count > 0 {
                    lane.pass(passed);
                    self.write_lane(&key, &lane)?;
                    self.remember(&key, lane)?;
                }
            }
        }
        Ok(())
    }

    /// The newest event that was accepted no later than this; looked for from the new end.
    pub(super) fn last_before(&self, at: Time, pruned_to: u64) -> Result<u64> {
        let row = sqlite::first(&self.sql, schema::LAST_UNTIL, vec![Value::Integer(at.millis())])?;
        Ok(row.map_or(pruned_to, |mut columns| columns.unsigned().max(pruned_to)))
    }

    /// The next event behind a place that the integration is for.
    pub(super) fn next_for(&self, listed: &Listed, after: u64) -> Result<Option<Row>> {
        let values = vec![integer(after), listed.filter.prefixes_json().into()];
        for columns in sqlite::rows(&self.sql, schema::NEXT_FOR, values)? {
            let row = history::row(columns?);
            if listed.takes(&row) {
                return Ok(Some(row));
            }
        }
        Ok(None)
    }

    pub(super) fn row(&self, seq: u64) -> Result<Option<Row>> {
        Ok(sqlite::first(&self.sql, schema::ROW, vec![integer(seq)])?.map(history::row))
    }
}
