//! The shard's index of devices and its counts by day: kept in memory, written now and then, and caught up from
//! the log after a wake.

use super::{Loaded, Shard, schema, to_json};
use crate::isolate;
use crate::sqlite::{self, Value, integer};
use fieldhook_core::clock::Time;
use fieldhook_core::fleet::append::Sent;
use fieldhook_core::fleet::index::{Behind, Entry, Filter, Page};
use fieldhook_core::fleet::stats::{Counts, Days, Devices, Stats, day_of};
use fieldhook_core::json;
use fieldhook_core::log::ONLINE_WITHIN;
use fieldhook_core::problem::{Code, Problem, Result};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// A text that is bound to a statement may be 2 MB (PLATFORM.md), and an entry is below 1 KB.
const ENTRIES_PER_STATEMENT: usize = 1_000;

impl Shard {
    /// What is known of a device, written or not.
    pub(super) fn entry(&self, loaded: &Loaded, device: &str) -> Result<Option<Entry>> {
        if let Some(entry) = loaded.pending.get(device) {
            return Ok(Some(entry.clone()));
        }
        self.written(device)
    }

    /// The same as it was written last.
    pub(super) fn written(&self, device: &str) -> Result<Option<Entry>> {
        let row = sqlite::first(&self.sql, schema::ENTRY, vec![device.into()])?;
        row.map(|mut columns| read(&columns.text())).transpose()
    }

    /// Reads what the log has and the index has not.
    pub(super) fn catch_up(&self, loaded: &mut Loaded) -> Result<()> {
        let behind = vec![integer(loaded.marks.indexed_to)];
        for columns in sqlite::rows(&self.sql, schema::BEHIND, behind)? {
            let mut columns = columns?;
            let _position = columns.unsigned();
            let (device, born, body) = (columns.text(), Time::from_millis(columns.integer()), columns.text());
            let run: Vec<Sent> = json::read(&body).map_err(|_| damaged())?;
            loaded.behind.reread(run.len() as u64, body.len());
            let entry = self.entry(loaded, &device)?.filter(|entry| entry.born == born);
            for sent in &run {
                loaded.days.entry(day_of(sent.received_at)).or_default().events += 1;
                loaded.minutes.count(sent.received_at);
            }
            // Without an entry the device has left or was deleted.
            if let Some(mut entry) = entry {
                let last = run.last().map_or(entry.last_seq, |sent| sent.seq);
                entry.hear(&run, last);
                loaded.pending.insert(device, entry);
            }
        }
        Ok(())
    }

    /// Brings index and counts up to the log.
    pub(super) fn write_index(&self, loaded: &mut Loaded) -> Result<()> {
        if loaded.marks.indexed_to == loaded.head {
            return Ok(());
        }
        let entries: Vec<&Entry> = loaded.pending.values().collect();
        self.write_entries(&entries)?;
        for (day, counts) in &loaded.days {
            self.add_to_day(*day, counts)?;
        }
        loaded.pending.clear();
        loaded.days.clear();
        loaded.marks.minutes.add(&loaded.minutes);
        loaded.minutes.clear();
        loaded.behind = Behind::default();
        loaded.marks.indexed_to = loaded.head;
        self.write_marks(&loaded.marks)
    }

    pub(super) fn write_entries(&self, entries: &[&Entry]) -> Result<()> {
        for some in entries.chunks(ENTRIES_PER_STATEMENT) {
            self.write(schema::WRITE_ENTRIES, vec![to_json(&some)?.into()])?;
        }
        Ok(())
    }

    pub(super) fn add_to_day(&self, day: i64, counts: &Counts) -> Result<()> {
        let Counts { events, duplicates, refused, limited, errors } = *counts;
        let counts = [events, duplicates, refused, limited, errors].map(integer);
        let values = std::iter::once(Value::Integer(day)).chain(counts).collect();
        self.write(schema::ADD_TO_DAY, values).map(drop)
    }

    pub(super) fn expire_days(&self, before: i64) -> Result<()> {
        self.write(schema::EXPIRE_DAYS, vec![Value::Integer(before)]).map(drop)
    }

    /// Devices that were last heard before `limit` and have not been looked after since.
    pub(super) fn silent(&self, limit: Time, most: u64) -> Result<Vec<String>> {
        let values = vec![Value::Integer(limit.millis()), integer(most)];
        sqlite::rows(&self.sql, schema::SILENT, values)?
            .map(|columns| columns.map(|mut columns| columns.text()))
            .collect()
    }

    pub(super) fn is_anything_kept(&self) -> Result<bool> {
        let row = sqlite::first(&self.sql, schema::IS_ANYTHING, Vec::new())?;
        Ok(row.is_some_and(|mut columns| columns.unsigned() > 0))
    }

    pub(super) fn list_devices(&self, after: &str, limit: u32, filter: &str) -> Result<String> {
        let filter: Filter =
            json::read(filter).map_err(|_| Problem::new(Code::Internal, "the filter cannot be read"))?;
        let Some(loaded) = self.known()? else { return Ok("[]".to_owned()) };
        let page = self.page(&loaded, after, limit, &filter);
        self.keep(loaded);
        to_json(&page?)
    }

    /// In order of id, which no event changes: a cursor stays good while devices speak.
    fn page(&self, loaded: &Loaded, after: &str, limit: u32, filter: &Filter) -> Result<Page> {
        let now = isolate::now();
        let mut page = Page::new();
        for columns in sqlite::rows(&self.sql, schema::ENTRIES, vec![after.into()])? {
            let stored = read(&columns?.text())?;
            let entry = loaded.pending.get(&stored.id).unwrap_or(&stored);
            if !filter.matches(entry, now) {
                continue;
            }
            let Ok(shown) = RawValue::from_string(entry.show(now)) else { continue };
            page.push((entry.id.clone(), shown));
            if page.len() >= limit as usize {
                break;
            }
        }
        Ok(page)
    }

    pub(super) fn stats(&self) -> Result<String> {
        let Some(loaded) = self.known()? else { return Ok("{}".to_owned()) };
        let retention = isolate::settings(&self.env)?.retention;
        let stats = self.told(&loaded, isolate::now(), retention);
        self.keep(loaded);
        to_json(&stats?)
    }

    fn told(&self, loaded: &Loaded, now: Time, retention: i64) -> Result<Stats> {
        let mut minutes = loaded.marks.minutes.clone();
        minutes.add(&loaded.minutes);
        let days = self.days(loaded, day_of(now.plus_millis(-retention)))?;
        Ok(Stats { days, minutes, devices: self.count_devices(loaded, now)? })
    }

    fn count_devices(&self, loaded: &Loaded, now: Time) -> Result<Devices> {
        let ids: Vec<&String> = loaded.pending.keys().collect();
        let (from, to) = (now.plus_millis(-ONLINE_WITHIN), now.plus_millis(ONLINE_WITHIN));
        let values = vec![Value::Integer(from.millis()), Value::Integer(to.millis()), to_json(&ids)?.into()];
        let written = sqlite::first(&self.sql, schema::COUNT_DEVICES, values)?;
        let (known, online) = written.map_or((0, 0), |mut columns| (columns.unsigned(), columns.unsigned()));
        let pending = loaded.pending.values().filter(|entry| entry.is_online(now)).count();
        Ok(Devices { known: known + ids.len() as u64, online: online + pending as u64 })
    }

    fn days(&self, loaded: &Loaded, from: i64) -> Result<Days> {
        let mut days: Days = BTreeMap::new();
        for columns in sqlite::rows(&self.sql, schema::DAYS, vec![Value::Integer(from)])? {
            let mut columns = columns?;
            let day = columns.integer();
            let mut next = || columns.unsigned();
            let (events, duplicates, refused, limited, errors) = (next(), next(), next(), next(), next());
            days.insert(day, Counts { events, duplicates, refused, limited, errors });
        }
        for (day, counts) in loaded.days.iter().filter(|(day, _)| **day >= from) {
            days.entry(*day).or_default().add(counts);
        }
        Ok(days)
    }
}

fn read(entry: &str) -> Result<Entry> {
    json::read(entry).map_err(|_| damaged())
}

fn damaged() -> Problem {
    Problem::new(Code::Internal, "the shard's index cannot be read")
}
