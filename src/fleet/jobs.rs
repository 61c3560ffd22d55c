//! Jobs: work on many devices' lanes, handed out a little at each alarm, so that a replay of a whole fleet is no burst.

use super::Shard;
use crate::isolate;
use crate::rpc;
use crate::sqlite::{self, Value, integer};
use fieldhook_core::delivery::job::{
    Ask, Events, JOBS_MAX, Job, KEPT_FOR, Next, Place, Taken, Task, WAKE_PER_TICK,
};
use fieldhook_core::json;
use fieldhook_core::problem::{Code, Problem, Result};
use fieldhook_core::retention::look_again;
use std::rc::Rc;
use worker::console_error;

/// The first device behind one, in order of id, that was heard since.
const NEXT_HEARD: &str = "SELECT id FROM devices WHERE id > ? AND last_heard >= ? ORDER BY id LIMIT 1";
/// The first one that has something parked since before the job.
const NEXT_PARKED: &str = "SELECT device FROM parked WHERE integration = ? AND device > ? AND at <= ? \
    ORDER BY device LIMIT 1";
const PARKED_OF: &str = "SELECT seq FROM parked WHERE integration = ? AND device = ? AND seq > ? AND at <= ? \
    ORDER BY seq LIMIT ?";
/// Events of the log that an integration is for, from one time to another.
const ESTIMATE: &str = "SELECT count(*) FROM runs, json_each(runs.body) AS sent WHERE runs.at >= ? \
    AND json_extract(sent.value, '$.received_at') BETWEEN ? AND ? AND (? = '' OR runs.device = ?) \
    AND EXISTS (SELECT 1 FROM json_each(?) AS prefix WHERE \
        substr(json_extract(sent.value, '$.event'), 1, length(prefix.value)) = prefix.value)";

impl Shard {
    /// Takes a job; a second one of the same id is the first.
    pub(super) fn start_job(&self, job: &str) -> Result<String> {
        let job: Job = json::read(job).map_err(|_| unreadable())?;
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
        let task: Task = json::read(task).map_err(|_| unreadable())?;
        if !self.schema.exists(&self.sql)? {
            return Ok("0".to_owned());
        }
        let (query, values): (_, Vec<Value<'_>>) = match task {
            Task::Wake | Task::Event { .. } => return Ok("0".to_owned()),
            Task::Parked => {
                let query = "SELECT count(*) FROM parked WHERE integration = ? AND (? = '' OR device = ?)";
                (query, vec![integration.into(), device.into(), device.into()])
            }
            Task::Range { from, to } => {
                // What has aged out is not delivered again, though it may still be there.
                let from = from.max(isolate::now().plus_millis(-isolate::settings(&self.env)?.retention));
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
        let now = isolate::now();
        if let Some(due) = running()?.iter().map(|job| job.due_at(now)).min() {
            let look_again = look_again(isolate::settings(&self.env)?.retention);
            let mut loaded = self.open()?;
            self.set_alarm(&mut loaded, due.min(now.plus_millis(look_again)))?;
            self.keep(loaded);
        }
        Ok(())
    }

    /// One tick of a job: as many devices and events as it may.
    async fn tick(&self, mut job: Job) -> Result<()> {
        let mut room = u64::from(isolate::settings(&self.env)?.replay_rate);
        // Finding a device and asking it are two steps.
        for _ in 0..2 * WAKE_PER_TICK {
            let place = match job.next(isolate::now()) {
                Next::At(place) => place,
                Next::Search => {
                    let device = self.next_device(&job)?;
                    job.found(device);
                    continue;
                }
                Next::Wait(_) => break,
                Next::Nowhere => {
                    job.ended_at = Some(isolate::now());
                    break;
                }
            };
            match self.hand_out(&job, &place, room).await {
                Ok(taken) => {
                    room = room.saturating_sub(taken.events);
                    job.handed_out(taken.events, taken.more_behind);
                    if room == 0 || taken.more_behind.is_some() {
                        // This tick has handed out what it may, or the device's lane is full.
                        break;
                    }
                }
                Err(problem) => {
                    console_error!("a device could not be asked for the job {}: {}", job.id, problem.detail);
                    job.failed(isolate::now());
                }
            }
        }
        self.write_job(&job)
    }

    /// Asks one device to take what a job has for it, at most `room` events.
    async fn hand_out(&self, job: &Job, place: &Place, room: u64) -> Result<Taken> {
        let events = match job.task {
            Task::Wake => Events::None,
            Task::Event { seq } => Events::These(vec![seq]),
            Task::Range { from, to } => Events::Between { from, to, after: place.after, limit: room },
            Task::Parked => Events::These(self.parked_of(job, place, room)?),
        };
        let given = match &events {
            Events::These(seqs) => seqs.clone(),
            _ => Vec::new(),
        };
        let ask =
            Ask { integration: job.integration.clone(), job: job.id.clone(), version: job.version, events };
        let mut taken = rpc::device(&self.env, &place.device).replay(&ask).await?;
        // Nothing of it was taken: from the same place again.
        taken.more_behind = taken.more_behind.map(|last| last.max(place.after));
        if taken.more_behind.is_none() && job.task == Task::Parked && given.len() as u64 >= room {
            taken.more_behind = given.last().copied();
        }
        Ok(taken)
    }

    /// The device that comes next in order of id.
    fn next_device(&self, job: &Job) -> Result<Option<String>> {
        let after = job.after_device.as_str();
        let (query, values): (_, Vec<Value<'_>>) = match (&job.device, &job.task) {
            (Some(device), _) => return Ok(Some(device.clone())),
            (None, Task::Parked) => {
                let until = Value::Integer(job.started_at.millis());
                (NEXT_PARKED, vec![job.integration.as_str().into(), after.into(), until])
            }
            (None, task) => {
                let Some(mut loaded) = self.known()? else { return Ok(None) };
                // What the index does not say yet is written first: a job must not pass over a device.
                self.write_index(&mut loaded)?;
                self.keep(loaded);
                let since = match task {
                    Task::Range { from, .. } => from.millis(),
                    _ => 0,
                };
                (NEXT_HEARD, vec![after.into(), Value::Integer(since)])
            }
        };
        Ok(sqlite::first(&self.sql, query, values)?.map(|mut columns| columns.text()))
    }

    fn parked_of(&self, job: &Job, place: &Place, limit: u64) -> Result<Vec<u64>> {
        let values = vec![
            job.integration.as_str().into(),
            place.device.as_str().into(),
            integer(place.after),
            Value::Integer(job.started_at.millis()),
            integer(limit),
        ];
        let rows = sqlite::rows(&self.sql, PARKED_OF, values)?;
        rows.map(|columns| columns.map(|mut columns| columns.unsigned())).collect()
    }

    /// Whether a job is under way.
    pub(super) fn is_working(&self) -> Result<bool> {
        Ok(self.jobs()?.iter().any(|job| job.ended_at.is_none()))
    }

    fn jobs(&self) -> Result<Vec<Job>> {
        let rows = sqlite::rows(&self.sql, "SELECT json FROM jobs ORDER BY id", Vec::new())?;
        rows.map(|columns| columns.and_then(|mut row| json::read(&row.text()).map_err(|_| unreadable())))
            .collect()
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
