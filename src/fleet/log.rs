//! The shard's log: runs of its devices' logs in the order they came, and what retention takes of them.

use super::{Loaded, Shard, schema};
use crate::isolate;
use crate::sqlite::{self, Value, integer};
use fieldhook_core::clock::Time;
use fieldhook_core::fleet::append::{Append, Sent, to_stored};
use fieldhook_core::problem::{Code, Problem, Result};
use fieldhook_core::retention::rows_to_drop;

impl Shard {
    /// Writes a run as one row.
    pub(super) fn write_run(
        &self,
        loaded: &mut Loaded,
        append: &Append,
        sent: &[Sent],
        now: Time,
    ) -> Result<()> {
        loaded.head += sent.len() as u64;
        loaded.at = now.max(loaded.at).max(append.not_before);
        let body = to_stored(sent).map_err(|_| Problem::new(Code::Internal, "the run cannot be written"))?;
        let values = vec![
            integer(loaded.head),
            Value::Integer(loaded.at.millis()),
            append.device.as_str().into(),
            Value::Integer(append.born.millis()),
            body.into(),
        ];
        self.write(schema::INSERT, values).map(drop)
    }

    /// Removes rows written before `limit`.
    pub(super) fn prune_by_age(&self, loaded: &mut Loaded, limit: Time) -> Result<()> {
        let limit = vec![Value::Integer(limit.millis())];
        let last = sqlite::first(&self.sql, schema::LAST_BEFORE, limit)?.map_or(0, |mut row| row.unsigned());
        self.prune(loaded, last)
    }

    /// Removes the oldest rows of a log that has outgrown its bound.
    pub(super) fn prune_by_size(&self, loaded: &mut Loaded) -> Result<()> {
        let (size, max) = (self.sql.database_size() as u64, isolate::settings(&self.env)?.max_log);
        if size < max {
            return Ok(());
        }
        let Some(mut oldest) = sqlite::first(&self.sql, schema::OLDEST, Vec::new())? else { return Ok(()) };
        let oldest = oldest.unsigned();
        // Positions count events: of many, a share of them is about that share of the bytes.
        match rows_to_drop(size, max, loaded.head.saturating_sub(oldest) + 1) {
            Some(events) => self.prune(loaded, (oldest + events - 1).min(loaded.head.saturating_sub(1))),
            None => Ok(()),
        }
    }

    /// Removes everything up to a position; index and counts have it by then.
    fn prune(&self, loaded: &mut Loaded, last: u64) -> Result<()> {
        if last <= loaded.marks.pruned_to {
            return Ok(());
        }
        self.write_index(loaded)?;
        self.write(schema::PRUNE, vec![integer(last)])?;
        loaded.marks.pruned_to = last;
        self.write_marks(&loaded.marks)
    }

    /// Removes a deleted device's events.
    pub(super) fn remove_runs(&self, device: &str, born: Time) -> Result<()> {
        for statement in [schema::REMOVE_RUNS, schema::EMPTY_RUNS] {
            self.write(statement, vec![device.into(), Value::Integer(born.millis())])?;
        }
        Ok(())
    }
}
