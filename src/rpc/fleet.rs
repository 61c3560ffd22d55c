//! Calls to a Fleet object, one shard.

use super::{Stub, read, stub, text, to_u32, written};
use fieldhook_core::clock::Time;
use fieldhook_core::delivery::job::Job;
use fieldhook_core::delivery::report::{Answer, Report};
use fieldhook_core::delivery::{listing, tally};
use fieldhook_core::flat;
use fieldhook_core::fleet::append::{Append, Confirmed};
use fieldhook_core::fleet::index::{Filter, Page};
use fieldhook_core::fleet::stats::{Counts, Stats};
use fieldhook_core::json;
use fieldhook_core::notice::Notice;
use fieldhook_core::problem::{Code, Problem, Result, from_wire};
use serde_json::value::RawValue;
use worker::Env;

/// One shard of the fleet.
pub struct Fleet(Stub);

pub fn fleet(env: &Env, shard: &str) -> Result<Fleet> {
    stub(env, "FLEET", shard).map(Fleet)
}

impl Fleet {
    /// Appends a run of a device's log; `None` says that the device was deleted.
    pub async fn append(&self, append: &Append) -> Result<Option<Confirmed>> {
        let answer = text("fleet.append", self.0.append(&flat::to_text(append))).await?;
        if answer.is_empty() {
            return Ok(None);
        }
        let unreadable = || Problem::new(Code::Internal, "the shard's answer cannot be read");
        flat::of_text(&answer).map(Some).ok_or_else(unreadable)
    }

    pub async fn leave(&self, device: &str, born: i64) -> Result<()> {
        Ok(text("fleet.leave", self.0.leave(device, born as f64)).await.map(drop)?)
    }

    /// Whether the device was known.
    pub async fn forget(&self, device: &str, born: i64) -> Result<bool> {
        Ok(text("fleet.forget", self.0.forget(device, born as f64)).await? == "1")
    }

    /// Devices behind `after` that match, in order of id.
    pub async fn devices(&self, after: &str, limit: usize, filter: &Filter) -> Result<Page> {
        let filter = serde_json::to_string(filter).unwrap_or_default();
        let page = from_wire(&text("fleet.devices", self.0.devices(after, to_u32(limit), &filter)).await?)?;
        json::read(&page).map_err(|_| Problem::new(Code::Internal, "a shard's answer cannot be read"))
    }

    pub async fn count(&self, counts: &Counts) -> Result<()> {
        let counts = serde_json::to_string(counts).unwrap_or_default();
        Ok(text("fleet.count", self.0.count(&counts)).await.map(drop)?)
    }

    pub async fn stats(&self) -> Result<Stats> {
        let stats = from_wire(&text("fleet.stats", self.0.stats()).await?)?;
        json::read(&stats).map_err(|_| Problem::new(Code::Internal, "a shard's answer cannot be read"))
    }

    /// A page of the shard's log from a position, or from its head.
    pub async fn page(
        &self,
        wanted: &str,
        from: Option<u64>,
        descending: bool,
        limit: usize,
    ) -> Result<String> {
        let from = from.map_or(-1.0, |from| from as f64);
        from_wire(&text("fleet.page", self.0.page(wanted, from, descending, to_u32(limit))).await?)
    }

    /// Tells what became of a delivery, and what streams are to be told of it.
    pub async fn report(&self, report: &Report, notices: &[Notice]) -> Result<Answer> {
        let call = self.0.report(&written(report)?, &written(&notices)?);
        read(&text("fleet.report", call).await?)
    }

    /// Until when a host is spared, if it is.
    pub async fn ask_circuit(&self, host: &str) -> Result<Option<Time>> {
        let until = text("fleet.askCircuit", self.0.ask_circuit(host)).await?;
        Ok(until.parse().ok().map(Time::from_millis))
    }

    pub async fn attempts(&self, query: &listing::Query) -> Result<Vec<Box<RawValue>>> {
        read(&from_wire(&text("fleet.attempts", self.0.attempts(&written(query)?)).await?)?)
    }

    /// The counts of each day, and how many deliveries are parked.
    pub async fn outcomes(&self, integration: &str) -> Result<(tally::Days, u64)> {
        read(&from_wire(&text("fleet.outcomes", self.0.outcomes(integration)).await?)?)
    }

    /// Forgets what paused an integration, or everything about one that was deleted.
    pub async fn reset(&self, integration: &str, deleted: bool) -> Result<()> {
        Ok(text("fleet.reset", self.0.reset(integration, deleted)).await.map(drop)?)
    }

    pub async fn start_job(&self, job: &Job) -> Result<()> {
        from_wire(&text("fleet.startJob", self.0.start_job(&written(job)?)).await?).map(drop)
    }

    /// How many events a replay comes to.
    pub async fn estimate(&self, job: &Job, prefixes: &[String]) -> Result<u64> {
        let (task, prefixes) = (written(&job.task)?, written(&prefixes)?);
        let device = job.device.as_deref().unwrap_or_default();
        let call = self.0.estimate(&task, &job.integration, &prefixes, device);
        read(&from_wire(&text("fleet.estimate", call).await?)?)
    }

    pub async fn jobs(&self, integration: &str) -> Result<Vec<Job>> {
        read(&from_wire(&text("fleet.jobs", self.0.jobs(integration)).await?)?)
    }

    pub async fn quarantine_add(&self, entries: &str) -> Result<()> {
        Ok(text("fleet.quarantine", self.0.quarantine_add(entries)).await.map(drop)?)
    }

    pub async fn quarantine_list(&self, before: &str, limit: usize) -> Result<String> {
        from_wire(&text("fleet.quarantine", self.0.quarantine_list(before, to_u32(limit))).await?)
    }

    pub async fn quarantine_read(&self, number: u64) -> Result<String> {
        from_wire(&text("fleet.quarantine", self.0.quarantine_read(number as f64)).await?)
    }

    pub async fn quarantine_remove(&self, number: u64) -> Result<()> {
        from_wire(&text("fleet.quarantine", self.0.quarantine_remove(number as f64)).await?).map(drop)
    }
}
