//! The shard's log: runs of its devices' logs in the order they came, and what retention takes of them.

use super::{Loaded, Shard, schema};
use crate::isolate;
use crate::parts::{firsts, of_part};
use crate::rows::RunRow;
use crate::sqlite::{self, Value, integer};
use fieldhook_core::clock::Time;
use fieldhook_core::fleet::append::{Append, Sent, to_stored};
use fieldhook_core::parts::{PARTS, Surplus};
use fieldhook_core::problem::{Code, Problem, Result};
use fieldhook_core::series::first_not;

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
        loaded.parts.turn(loaded.at, isolate::settings(&self.env)?.retention);
        let body = to_stored(sent).map_err(|_| Problem::new(Code::Internal, "the run cannot be written"))?;
        loaded.behind.wrote(sent.len() as u64, body.len());
        let (position, at, device, born) = (loaded.head, loaded.at, append.device.as_str(), append.born);
        let row = RunRow { position, at, device, born, body: &body };
        self.schema.prepare(&self.sql)?;
        schema::write_run(&self.sql, &row, loaded.parts.current())?;
        loaded.parts.wrote(loaded.head, loaded.at);
        Ok(())
    }

    /// Empties the parts in which everything was written before `limit`.
    pub(super) fn prune_by_age(&self, loaded: &mut Loaded, limit: Time) -> Result<()> {
        while let Some(part) = loaded.parts.outlived(limit, Some(loaded.at)) {
            self.empty(loaded, part)?;
        }
        Ok(())
    }

    /// Empties the oldest parts of a log that has outgrown its bound, and sees that they stay about as large as each
    /// other.
    pub(super) fn prune_by_size(&self, loaded: &mut Loaded) -> Result<()> {
        let max = isolate::settings(&self.env)?.max_log;
        for _ in 0..PARTS {
            let size = self.sql.database_size() as u64;
            match loaded.parts.surplus(size, max, loaded.head) {
                Surplus::Part(part) => self.empty(loaded, part)?,
                Surplus::Rows(last) => return self.remove(loaded, last),
                Surplus::Nothing => {
                    loaded.parts.turn_by_size(size, max, loaded.head);
                    break;
                }
            }
        }
        Ok(())
    }

    /// Empties a part, the oldest; index and counts have what is in it by then.
    fn empty(&self, loaded: &mut Loaded, part: usize) -> Result<()> {
        let newest = sqlite::first(&self.sql, &of_part(schema::NEWEST_OF, part), Vec::new())?;
        if let Some(mut newest) = newest {
            self.passes(loaded, newest.unsigned())?;
            if self.write(schema::emptied(part), Vec::new()).is_err() {
                // A table that somebody still reads cannot be dropped.
                self.write(&of_part(schema::EMPTY_SLOWLY, part), Vec::new())?;
            }
        }
        loaded.parts.emptied(part);
        Ok(())
    }

    /// Removes rows up to a position.
    fn remove(&self, loaded: &mut Loaded, last: u64) -> Result<()> {
        // The newest row says how far the log is.
        let last = last.min(loaded.head.saturating_sub(1));
        self.passes(loaded, last)?;
        for part in 0..PARTS {
            self.write(&of_part(schema::PRUNE, part), vec![integer(last)])?;
        }
        let missing = || Problem::new(Code::Internal, "the log's parts cannot be read");
        let mut columns = sqlite::first(&self.sql, schema::FIRSTS, Vec::new())?.ok_or_else(missing)?;
        loaded.parts.reread(firsts(&mut columns));
        Ok(())
    }

    fn passes(&self, loaded: &mut Loaded, last: u64) -> Result<()> {
        self.write_index(loaded)?;
        loaded.marks.pruned_to = loaded.marks.pruned_to.max(last);
        self.write_marks(&loaded.marks)
    }

    /// The newest event that is not shown any more: it was removed, or has aged out and waits for the rest of its part.
    pub(super) fn passed(&self, loaded: &mut Loaded) -> Result<u64> {
        let limit = isolate::now().plus_millis(-isolate::settings(&self.env)?.retention);
        let is_old = |position: u64| -> Result<bool> {
            let row = sqlite::first(&self.sql, schema::HOLDING, vec![integer(position)])?;
            Ok(row.is_some_and(|mut row| {
                let _ends_at = row.unsigned();
                row.integer() < limit.millis()
            }))
        };
        let from = loaded.passed.max(loaded.marks.pruned_to);
        loaded.passed = match is_old(from + 1)? {
            false => from,
            // Times never go back in this log: where they pass the limit is looked up.
            true => first_not(from + 1, loaded.head + 1, is_old)?.saturating_sub(1),
        };
        Ok(loaded.passed)
    }

    /// Removes a deleted device's events.
    pub(super) fn remove_runs(&self, head: u64, device: &str, born: Time) -> Result<()> {
        let born = Value::Integer(born.millis());
        for part in 0..PARTS {
            let values = vec![device.into(), born.clone(), integer(head)];
            self.write(&of_part(schema::REMOVE_RUNS, part), values)?;
            self.write(&of_part(schema::EMPTY_RUNS, part), vec![device.into(), born.clone()])?;
        }
        Ok(())
    }
}
