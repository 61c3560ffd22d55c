//! Jobs: work on many devices' lanes, handed out a little at each alarm, so that a replay of a whole fleet is no burst.

use super::Shard;
use crate::isolate;
use crate::rpc;
use crate::sqlite::{self, Value, integer};
use fieldhook_core::clock::Time;
use fieldhook_core::delivery::job::{Ask, Events, JOBS_MAX, Job, KEPT_FOR, TICK, Taken, Task, WAKE_PER_TICK};
use fieldhook_core::problem::{Code, Problem, Result};
use std::collections::BTreeMap;
use std::rc::Rc;
use worker::console_error;

/// Devices behind one in order of id that were heard in a span of time.
const DEVICES: &str = "SELECT id FROM devices WHERE id > ? AND last_heard >= ? ORDER BY id LIMIT ?";
/// Events of the log that an integration is for, from one time to another.
const ESTIMATE: &str = "SELECT count(*) FROM log, json_each(log.body) AS sent WHERE log.at >= ? \
    AND json_extract(sent.value, '$.received_at') BETWEEN ? AND ? AND (? = '' OR log.device = ?) \
    AND EXISTS (SELECT 1 FROM json_each(?) AS prefix WHERE \
        substr(json_extract(sent.value, '$.event'), 1, length(prefix.value)) = prefix.value)";

impl Shard {
    /// Takes a job; a second one of the same id is the first.
    pub(super) fn start_job(&self, job: &str) -> Result<String> {
        let job: Job = serde_json::from_str(job).map_err(|_| unreadable())?;
        let mut loaded = self.open()?;
        let running = self.jobs()?.iter().filter(|job| job.ended_at.is_none()).count() as u64;
        // A wake is owed to whoever resumed.
        if running >= JOBS_MAX && job.task != Task::Wake {
            self.keep(loaded);
            let detail = format!("{JOBS_MAX} replays are under way; try again when one has ended");
            return Err(Problem::new(Code::LimitReached, detail));
        }
        let values = vec![job.id.as_str().into(), super::to_json(&job)?.into()];
        self.write("INSERT OR IGNORE INTO jobs (id, json) VALUES (?, ?)", values)?;
        self.set_alarm(&mut loaded, isolate::now())?;
        self.keep(loaded);
        Ok(String::new())
    }

    /// How many events a replay comes to here: `task` as JSON, its integration, prefixes as JSON and device.
    pub(super) fn estimate(
        &self,
        task: &str,
        integration: &str,
        prefixes: &str,
        device: &str,
    ) -> Result<String> {
        let task: Task = serde_json::from_str(task).map_err(|_| unreadable())?;
        if !self.schema.exists(&self.sql)? {
            return Ok("0".to_owned());
        }
        let (query, values): (_, Vec<Value>) = match task {
            Task::Wake | Task::Event { .. } => return Ok("0".to_owned()),
            Task::Parked => {
                let query = "SELECT count(*) FROM parked WHERE integration = ? AND (? = '' OR device = ?)";
                (query, vec![integration.into(), device.into(), device.into()])
            }
            Task::Range { from, to } => {
                let (from, to) = (Value::Integer(from.millis()), Value::Integer(to.millis()));
                (ESTIMATE, vec![from.clone(), from, to, device.into(), device.into(), prefixes.into()])
            }
        };
        let count = sqlite::first(&self.sql, query, values)?.map_or(0, |mut columns| columns.unsigned());
        Ok(count.to_string())
    }

    /// The jobs of an integration as JSON.
    pub(super) fn list_jobs(&self, integration: &str) -> Result<String> {
        if !self.schema.exists(&self.sql)? {
            return Ok("[]".to_owned());
        }
        let mut jobs = self.jobs()?;
        jobs.retain(|job| job.integration == integration);
        super::to_json(&jobs)
    }

    /// Hands out what one tick may; the next alarm goes on. Called behind every alarm.
    pub(super) async fn work(self: Rc<Self>) -> Result<()> {
        if !self.schema.exists(&self.sql)? {
            return Ok(());
        }
        let running = || -> Result<Vec<Job>> {
            Ok(self.jobs()?.into_iter().filter(|job| job.ended_at.is_none()).collect())
        };
        for job in running()? {
            let name = job.id.clone();
            if let Err(problem) = self.tick(job).await {
                // The next tick goes on where this one stopped.
                console_error!("the job {name} stands still: {}", problem.detail);
            }
        }
        if !running()?.is_empty() {
            let mut loaded = self.open()?;
            self.set_alarm(&mut loaded, isolate::now().plus_millis(TICK))?;
            self.keep(loaded);
        }
        Ok(())
    }

    async fn tick(&self, mut job: Job) -> Result<()> {
        let rate = u64::from(isolate::settings(&self.env)?.replay_rate);
        match job.task.clone() {
            Task::Wake => {
                let devices = self.heard_behind(&job, Time::from_millis(0), WAKE_PER_TICK)?;
                let is_last = (devices.len() as u64) < WAKE_PER_TICK;
                for device in devices {
                    self.hand_out(&mut job, &device, Events::None).await?;
                    job.after_device = device;
                }
                self.write_progress(job, is_last)
            }
            Task::Event { seq } => {
                let device = job.device.clone().unwrap_or_default();
                self.hand_out(&mut job, &device, Events::These(vec![seq])).await?;
                self.write_progress(job, true)
            }
            Task::Parked => {
                let parked = self.parked_behind(&job, rate)?;
                let is_last = (parked.values().map(|seqs| seqs.len() as u64).sum::<u64>()) < rate;
                for (device, seqs) in parked {
                    let last = seqs.last().copied().unwrap_or_default();
                    let taken = self.hand_out(&mut job, &device, Events::These(seqs)).await?;
                    if let Some(last) = taken.more_behind {
                        // Its lane is full: from there on at a later tick.
                        let last = if last == 0 { job.after_seq } else { last };
                        let is_same = job.after_device == device;
                        if last > 0 || is_same {
                            (job.after_device, job.after_seq) = (device, last);
                        }
                        return self.write_progress(job, false);
                    }
                    (job.after_device, job.after_seq) = (device, last);
                }
                self.write_progress(job, is_last)
            }
            Task::Range { from, to } => self.tick_range(job, from, to, rate).await,
        }
    }

    async fn tick_range(&self, mut job: Job, from: Time, to: Time, rate: u64) -> Result<()> {
        let mut room = rate;
        // A device that has not been heard since is passed over; each that was is one object call.
        for _ in 0..WAKE_PER_TICK {
            if room == 0 {
                break;
            }
            let next = match (&job.device, job.after_seq) {
                (Some(device), _) => Some(device.clone()),
                // In the midst of this one.
                (None, 1..) => Some(job.after_device.clone()),
                (None, 0) => self.heard_behind(&job, from, 1)?.into_iter().next(),
            };
            let Some(device) = next else { return self.write_progress(job, true) };
            let events = Events::Between { from, to, after: job.after_seq, limit: room };
            let taken = self.hand_out(&mut job, &device, events).await?;
            room = room.saturating_sub(taken.events);
            job.after_seq = taken.more_behind.unwrap_or(0);
            if job.after_seq == 0 && job.device.is_some() {
                return self.write_progress(job, true);
            }
            job.after_device = device;
            self.write_progress(job.clone(), false)?;
            if job.after_seq > 0 {
                // Its lane is full, or this tick has handed out what it may.
                return Ok(());
            }
        }
        Ok(())
    }

    async fn hand_out(&self, job: &mut Job, device: &str, events: Events) -> Result<Taken> {
        let ask =
            Ask { integration: job.integration.clone(), job: job.id.clone(), version: job.version, events };
        let taken = rpc::device(&self.env, device).replay(&ask).await?;
        job.queued += taken.events;
        Ok(taken)
    }

    fn heard_behind(&self, job: &Job, since: Time, limit: u64) -> Result<Vec<String>> {
        let Some(loaded) = self.known()? else { return Ok(Vec::new()) };
        let mut loaded = loaded;
        // What the index does not say yet is written first: a job must not pass over a device.
        self.write_index(&mut loaded)?;
        self.keep(loaded);
        let values = vec![job.after_device.as_str().into(), Value::Integer(since.millis()), integer(limit)];
        sqlite::rows(&self.sql, DEVICES, values)?
            .map(|columns| columns.map(|mut columns| columns.text()))
            .collect()
    }

    fn parked_behind(&self, job: &Job, limit: u64) -> Result<BTreeMap<String, Vec<u64>>> {
        let query = "SELECT device, seq FROM parked WHERE integration = ?1 AND (device, seq) > (?2, ?3) \
            AND (?4 = '' OR device = ?4) AND at <= ?5 ORDER BY device, seq LIMIT ?6";
        let device = job.device.as_deref().unwrap_or_default();
        let values = vec![
            job.integration.as_str().into(),
            job.after_device.as_str().into(),
            integer(job.after_seq),
            device.into(),
            Value::Integer(job.started_at.millis()),
            integer(limit),
        ];
        let mut parked: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for columns in sqlite::rows(&self.sql, query, values)? {
            let mut columns = columns?;
            parked.entry(columns.text()).or_default().push(columns.unsigned());
        }
        Ok(parked)
    }

    /// Whether a job is under way.
    pub(super) fn is_working(&self) -> Result<bool> {
        Ok(self.jobs()?.iter().any(|job| job.ended_at.is_none()))
    }

    fn jobs(&self) -> Result<Vec<Job>> {
        let rows = sqlite::rows(&self.sql, "SELECT json FROM jobs ORDER BY id", Vec::new())?;
        rows.map(|columns| {
            columns.and_then(|mut row| serde_json::from_str(&row.text()).map_err(|_| unreadable()))
        })
        .collect()
    }

    fn write_progress(&self, mut job: Job, is_last: bool) -> Result<()> {
        if is_last {
            job.ended_at = Some(isolate::now());
        }
        self.write_job(&job)
    }

    fn write_job(&self, job: &Job) -> Result<()> {
        let values = vec![job.id.as_str().into(), super::to_json(job)?.into()];
        self.write("INSERT OR REPLACE INTO jobs (id, json) VALUES (?, ?)", values).map(drop)
    }

    /// Jobs that ended long ago.
    pub(super) fn expire_jobs(&self) -> Result<()> {
        let before = isolate::now().plus_millis(-KEPT_FOR);
        for job in self.jobs()?.into_iter().filter(|job| job.ended_at.is_some_and(|at| at < before)) {
            self.write("DELETE FROM jobs WHERE id = ?", vec![job.id.into()])?;
        }
        Ok(())
    }
}

fn unreadable() -> Problem {
    Problem::new(Code::Internal, "the job cannot be read")
}
