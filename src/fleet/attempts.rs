//! What became of the deliveries of a shard's devices: the newest attempts, the counts of each day, what was given up,
//! and the circuits of the hosts.
//!
//! An attempt is told once and perhaps again after a crash; its key in the table tells the two apart, and everything
//! that is counted is counted in the turn that first stores it.

use super::Shard;
use crate::isolate;
use crate::sqlite::{self, Columns, Value, integer};
use fieldhook_core::clock::Time;
use fieldhook_core::delivery::circuit::{Circuit, Gate};
use fieldhook_core::delivery::lane::Unreported;
use fieldhook_core::delivery::listing::Query;
use fieldhook_core::delivery::record::{Attempt, Status};
use fieldhook_core::delivery::report::{Answer, Passed, Report, Why};
use fieldhook_core::delivery::tally::{ALWAYS_KEPT, ATTEMPTS_MAX, Counts, Tally};
use fieldhook_core::json;
use fieldhook_core::notice::Notice;
use fieldhook_core::problem::{Code, Problem, Result};
use serde_json::value::RawValue;

/// A migration of the Fleet object. One billed row per attempt: the key is what an attempt is known by, and the order
/// in which attempts are listed.
pub const MIGRATION: &str = "
CREATE TABLE IF NOT EXISTS attempts (
    integration TEXT NOT NULL,
    at INTEGER NOT NULL,
    device TEXT NOT NULL,
    id TEXT NOT NULL,
    status TEXT NOT NULL,
    json TEXT NOT NULL,
    PRIMARY KEY (integration, at, device, id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS parked (
    integration TEXT NOT NULL,
    device TEXT NOT NULL,
    seq INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (integration, device, seq)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tallies (
    integration TEXT PRIMARY KEY,
    json TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS circuits (
    host TEXT PRIMARY KEY,
    json TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY,
    json TEXT NOT NULL
) WITHOUT ROWID;
";

const INSERT: &str = "INSERT OR IGNORE INTO attempts (integration, at, device, id, status, json) \
    VALUES (?, ?, ?, ?, ?, ?)";
/// What is older than a time, but not the last of each kind.
const TRIM: &str = "DELETE FROM attempts WHERE integration = ?1 AND at < ?2 \
    AND (at, id) NOT IN (SELECT at, id FROM attempts WHERE integration = ?1 AND status = 'success' \
        ORDER BY at DESC LIMIT ?3) \
    AND (at, id) NOT IN (SELECT at, id FROM attempts WHERE integration = ?1 AND status IN ('failure', 'parked') \
        ORDER BY at DESC LIMIT ?3)";
/// The time of the oldest of the newest.
const NEWEST: &str = "SELECT at FROM attempts WHERE integration = ? ORDER BY at DESC LIMIT 1 OFFSET ?";

impl Shard {
    /// Takes one outcome, see [`Report`], and tells those who listen.
    pub(super) fn report(&self, message: &str, notices: &str) -> Result<String> {
        let notices: Vec<Notice> = json::read(notices).map_err(|_| unreadable())?;
        let report: Report = json::read(message).map_err(|_| unreadable())?;
        self.schema.prepare(&self.sql)?;
        let answer = match report {
            Report::Attempt(unreported) => self.take_attempt(&unreported)?,
            Report::Passed(passed) => self.take_passed(&passed)?,
        };
        let mut loaded = self.open()?;
        self.arm(&mut loaded, isolate::now())?;
        let head = loaded.head;
        self.keep(loaded);
        // Last: what fails before it is rolled back, and a message could not be.
        self.publish_notices(head, &notices);
        super::to_json(&answer)
    }

    fn take_attempt(&self, unreported: &Unreported) -> Result<Answer> {
        let attempt = &unreported.attempt;
        let id = attempt.integration.as_str();
        let mut tally = self.tally(id)?;
        if self.insert(attempt)? {
            let is_full = tally.note(attempt.status, attempt.replayed, unreported.gone, attempt.at);
            self.write_tally(id, &tally)?;
            if is_full {
                let oldest = sqlite::first(&self.sql, NEWEST, vec![id.into(), integer(ATTEMPTS_MAX)])?;
                self.trim(id, oldest.map_or(0, |mut columns| columns.integer()))?;
            }
            match attempt.status {
                Status::Success if attempt.replayed => self.unpark(attempt)?,
                Status::Parked => self.park(attempt)?,
                _ => {}
            }
            if let Some(failed) = unreported.host_failed {
                self.hear_of(&unreported.host, failed, isolate::now())?;
            }
        }
        Ok(Answer { pause: tally.pause() })
    }

    fn insert(&self, attempt: &Attempt) -> Result<bool> {
        let values = vec![
            attempt.integration.as_str().into(),
            Value::Integer(attempt.at.millis()),
            attempt.device.as_str().into(),
            attempt.id.as_str().into(),
            attempt.status.as_str().into(),
            super::to_json(attempt)?.into(),
        ];
        Ok(self.write(INSERT, values)? > 0)
    }

    fn take_passed(&self, passed: &Passed) -> Result<Answer> {
        let values = vec![
            passed.integration.as_str().into(),
            Value::Integer(passed.at.millis()),
            passed.device.as_str().into(),
            format!("{:?} {}", passed.why, passed.to).into(),
            Status::Skipped.as_str().into(),
            "".into(),
        ];
        if self.write(INSERT, values)? > 0 {
            let counts = match passed.why {
                Why::Expired => Counts { expired: passed.count, ..Counts::default() },
                Why::Skipped => Counts { skipped: passed.count, ..Counts::default() },
            };
            let mut tally = self.tally(&passed.integration)?;
            tally.count(&counts, passed.at);
            self.write_tally(&passed.integration, &tally)?;
        }
        Ok(Answer::default())
    }

    fn tally(&self, integration: &str) -> Result<Tally> {
        let query = "SELECT json FROM tallies WHERE integration = ?";
        match sqlite::first(&self.sql, query, vec![integration.into()])? {
            Some(mut columns) => json::read(&columns.text()).map_err(|_| unreadable()),
            None => Ok(Tally::default()),
        }
    }

    fn write_tally(&self, integration: &str, tally: &Tally) -> Result<()> {
        let values = vec![integration.into(), super::to_json(tally)?.into()];
        self.write("INSERT OR REPLACE INTO tallies (integration, json) VALUES (?, ?)", values).map(drop)
    }

    fn park(&self, attempt: &Attempt) -> Result<()> {
        let values = vec![
            attempt.integration.as_str().into(),
            attempt.device.as_str().into(),
            integer(attempt.seq),
            Value::Integer(attempt.at.millis()),
        ];
        let insert = "INSERT OR REPLACE INTO parked (integration, device, seq, at) VALUES (?, ?, ?, ?)";
        self.write(insert, values).map(drop)
    }

    fn unpark(&self, attempt: &Attempt) -> Result<()> {
        let values =
            vec![attempt.integration.as_str().into(), attempt.device.as_str().into(), integer(attempt.seq)];
        let delete = "DELETE FROM parked WHERE integration = ? AND device = ? AND seq = ?";
        self.write(delete, values).map(drop)
    }

    /// Forgets why an integration was paused: it is resumed.
    pub(super) fn reset(&self, integration: &str) -> Result<()> {
        if self.schema.exists(&self.sql)? {
            let mut tally = self.tally(integration)?;
            if tally.pause().is_some() {
                tally.resumed();
                self.write_tally(integration, &tally)?;
            }
        }
        Ok(())
    }

    /// Forgets everything about an integration that was deleted.
    pub(super) fn forget_integration(&self, integration: &str) -> Result<()> {
        if self.schema.exists(&self.sql)? {
            for table in ["attempts", "parked", "tallies"] {
                let delete = format!("DELETE FROM {table} WHERE integration = ?");
                self.write(&delete, vec![integration.into()])?;
            }
        }
        Ok(())
    }

    /// Forgets what was delivered of a device that was deleted.
    pub(super) fn forget_attempts_of(&self, device: &str) -> Result<()> {
        for table in ["attempts", "parked"] {
            self.write(&format!("DELETE FROM {table} WHERE device = ?"), vec![device.into()])?;
        }
        Ok(())
    }

    /// Whether a retry may go to a host now: empty, or the milliseconds of the time to ask again.
    pub(super) fn ask_circuit(&self, host: &str) -> Result<String> {
        let (mut circuit, now) = (self.circuit(host)?, isolate::now());
        let before = circuit.clone();
        let gate = circuit.ask(now, isolate::settings(&self.env)?.circuit_probe);
        self.write_circuit(host, &before, &circuit)?;
        Ok(match gate {
            Gate::Go => String::new(),
            Gate::Wait { until } => until.millis().to_string(),
        })
    }

    fn hear_of(&self, host: &str, failed: bool, now: Time) -> Result<()> {
        let mut circuit = self.circuit(host)?;
        let before = circuit.clone();
        circuit.hear(failed, now, isolate::settings(&self.env)?.circuit_probe);
        self.write_circuit(host, &before, &circuit)
    }

    fn circuit(&self, host: &str) -> Result<Circuit> {
        if !self.schema.exists(&self.sql)? {
            return Ok(Circuit::default());
        }
        let row = sqlite::first(&self.sql, "SELECT json FROM circuits WHERE host = ?", vec![host.into()])?;
        Ok(row.and_then(|mut columns| json::read(&columns.text()).ok()).unwrap_or_default())
    }

    /// A circuit that is as good as new needs no row.
    fn write_circuit(&self, host: &str, before: &Circuit, circuit: &Circuit) -> Result<()> {
        if before == circuit {
            return Ok(());
        }
        let (statement, mut values) = match *circuit == Circuit::default() {
            true => ("DELETE FROM circuits WHERE host = ?", vec![]),
            false => (
                "INSERT OR REPLACE INTO circuits (host, json) VALUES (?, ?)",
                vec![super::to_json(circuit)?.into()],
            ),
        };
        values.insert(0, host.into());
        self.write(statement, values).map(drop)
    }

    /// Attempts behind a cursor, newest first, as JSON: see [`Query`].
    pub(super) fn attempts(&self, query: &str) -> Result<String> {
        let query: Query = json::read(query).map_err(|_| unreadable())?;
        if !self.schema.exists(&self.sql)? {
            return Ok("[]".to_owned());
        }
        let (statement, values) = select(&query);
        let read = |columns: Result<Columns>| {
            columns.and_then(|mut columns| RawValue::from_string(columns.text()).map_err(|_| unreadable()))
        };
        let found: Vec<Box<RawValue>> =
            sqlite::rows(&self.sql, &statement, values)?.map(read).collect::<Result<_>>()?;
        super::to_json(&found)
    }

    /// The counts of each day, and how much is parked: `[{day: counts}, parked]`.
    pub(super) fn outcomes(&self, integration: &str) -> Result<String> {
        if !self.schema.exists(&self.sql)? {
            return Ok("[{},0]".to_owned());
        }
        let count = "SELECT count(*) FROM parked WHERE integration = ?";
        let parked = sqlite::first(&self.sql, count, vec![integration.into()])?;
        let days = self.tally(integration)?.days(isolate::now());
        super::to_json(&(days, parked.map_or(0, |mut columns| columns.unsigned())))
    }

    fn trim(&self, integration: &str, before: i64) -> Result<()> {
        let values = vec![integration.into(), Value::Integer(before), integer(ALWAYS_KEPT)];
        self.write(TRIM, values).map(drop)
    }

    /// What the shard keeps no longer.
    pub(super) fn expire_attempts(&self, limit: Time) -> Result<()> {
        let known = sqlite::rows(&self.sql, "SELECT integration FROM tallies", Vec::new())?;
        let known: Vec<String> =
            known.map(|columns| columns.map(|mut columns| columns.text())).collect::<Result<_>>()?;
        for integration in known {
            self.trim(&integration, limit.millis())?;
        }
        self.write("DELETE FROM parked WHERE at < ?", vec![Value::Integer(limit.millis())]).map(drop)
    }
}

fn select<'q>(query: &'q Query) -> (String, Vec<Value<'q>>) {
    let mut text = "SELECT json FROM attempts WHERE integration = ? AND json <> ''".to_owned();
    let mut values: Vec<Value<'q>> = vec![query.integration.as_str().into()];
    let mut and = |clause: &str, more: Vec<Value<'q>>| {
        text.push_str(" AND ");
        text.push_str(clause);
        values.extend(more);
    };
    if let Some(status) = &query.status {
        and("status = ?", vec![status.as_str().into()]);
    }
    if let Some(device) = &query.device {
        and("device = ?", vec![device.as_str().into()]);
    }
    if let Some(from) = query.from {
        and("at >= ?", vec![Value::Integer(from.millis())]);
    }
    if let Some(to) = query.to {
        and("at <= ?", vec![Value::Integer(to.millis())]);
    }
    if let Some((at, id)) = &query.before {
        let at = Value::Integer(at.millis());
        and("at <= ? AND (at, id) < (?, ?)", vec![at.clone(), at, id.as_str().into()]);
    }
    if let Some(id) = &query.id {
        // The attempt's own, its request's, or its event's.
        let clause =
            "(id = ? OR substr(id, 1, length(?) + 1) = ? || '/' OR json_extract(json, '$.event_id') = ?)";
        and(clause, vec![Value::from(id.as_str()); 4]);
    }
    text.push_str(" ORDER BY at DESC, id DESC LIMIT ?");
    values.push(integer(query.limit));
    (text, values)
}

fn unreadable() -> Problem {
    Problem::new(Code::Internal, "what was delivered cannot be read")
}
