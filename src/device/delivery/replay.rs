//! Delivering again: what a shard's job hands out goes into a lane of its own.

use super::Inner;
use crate::device::{history, schema};
use crate::isolate;
use crate::sqlite::{self, Value, integer};
use fieldhook_core::clock::Time;
use fieldhook_core::delivery::job::{Ask, Events, Taken};
use fieldhook_core::delivery::lane::{Lane, QUEUE_MAX};
use fieldhook_core::integration::stored::Listed;
use fieldhook_core::json;
use fieldhook_core::problem::{Code, Problem, Result};
use std::rc::Rc;

impl Inner {
    /// Takes in what a job hands out, and sets off. Answers a [`Taken`].
    pub(in crate::device) async fn replay(self: Rc<Self>, ask: &str) -> Result<String> {
        let ask: Ask = json::read(ask)
            .map_err(|_| Problem::new(Code::Internal, "what is to be delivered again cannot be read"))?;
        let mut taken = Taken::default();
        let snapshot = isolate::snapshot_of(&self.env, ask.version).await?;
        let listed = snapshot.integration(&ask.integration).filter(|listed| !listed.respond);
        if let (Some(listed), Some(())) = (listed, self.about(|_| ())?) {
            taken = self.take_in(listed, &ask)?;
            let this = self.clone();
            self.state.wait_until(async move { this.deliver(0).await });
        }
        serde_json::to_string(&taken)
            .map_err(|_| Problem::new(Code::Internal, "the answer cannot be written"))
    }

    /// One turn: the events that are there go into the replay's lane.
    fn take_in(&self, listed: &Listed, ask: &Ask) -> Result<Taken> {
        let key = (ask.integration.clone(), ask.job.clone());
        let mut lane = self.lane(&key)?.unwrap_or_else(Lane::replay);
        let room = QUEUE_MAX.saturating_sub(lane.queue.as_ref().map_or(0, Vec::len)) as u64;
        let (seqs, more_behind) = match &ask.events {
            Events::None => return Ok(Taken::default()),
            Events::These(seqs) => {
                let taken: Vec<u64> = seqs.iter().copied().take(usize::try_from(room).unwrap_or(0)).collect();
                let is_cut = taken.len() < seqs.len();
                let last = taken.last().copied().unwrap_or(0);
                (taken, is_cut.then_some(last))
            }
            Events::Between { from, to, after, limit } => {
                self.between(listed, *from, *to, *after, (*limit).min(room))?
            }
        };
        let events = lane.enqueue(&seqs) as u64;
        if events > 0 {
            self.keep_lane(&key, lane)?;
            self.arm(isolate::now())?;
        }
        Ok(Taken { events, more_behind })
    }

    /// At most `limit` events that the integration is for, and behind which one there are more.
    fn between(
        &self,
        listed: &Listed,
        from: Time,
        to: Time,
        after: u64,
        limit: u64,
    ) -> Result<(Vec<u64>, Option<u64>)> {
        let prefixes = listed.filter.prefixes_json();
        // What is not shown any more is not delivered again either.
        let from = from.max(isolate::now().plus_millis(-self.settings()?.retention));
        let (from, to) = (Value::Integer(from.millis()), Value::Integer(to.millis()));
        let mut seqs = Vec::new();
        for columns in
            sqlite::rows(&self.sql, schema::BETWEEN, vec![integer(after), prefixes.into(), from, to])?
        {
            let row = history::row(columns?);
            if !listed.filter.takes(&row) {
                continue;
            }
            if seqs.len() as u64 >= limit {
                let last = seqs.last().copied().unwrap_or(after);
                return Ok((seqs, Some(last)));
            }
            seqs.push(row.seq);
        }
        Ok((seqs, None))
    }
}
