//! What became of an integration's deliveries, and delivering again: `…/attempts`, `…/replay`, `…/replays`.

use crate::answer::Answer;
use crate::api::{Call, body_text, list_body};
use crate::hook::unique;
use crate::isolate;
use crate::rpc;
use fieldhook_core::clock::Time;
use fieldhook_core::delivery::job::{Job, Task};
use fieldhook_core::delivery::listing::Query;
use fieldhook_core::delivery::record::Attempt;
use fieldhook_core::delivery::replay::{Replay, Which};
use fieldhook_core::delivery::tally::{self, Counts as Outcomes, Days};
use fieldhook_core::fleet::stats::{date_of, day_of};
use fieldhook_core::fleet::{shard_name, shard_of};
use fieldhook_core::history::limit;
use fieldhook_core::integration::stored::Listed;
use fieldhook_core::json;
use fieldhook_core::problem::{Code, Problem, Result};
use serde::Serialize;
use std::collections::BTreeMap;

/// The most attempts that are looked at to find the one that is to be replayed.
const FOUND: u64 = 1;

/// The newest attempts of all shards, newest first.
pub async fn attempts(call: &Call<'_>, id: &str) -> Result<Answer> {
    let limit = limit(call.request)?;
    let query = Query::read(call.request, id, limit as u64 + 1)?;
    let mut found: Vec<Attempt> = Vec::new();
    for shard in shards(call).await? {
        for attempt in rpc::fleet(&call.platform.env, &shard)?.attempts(&query).await? {
            found.push(json::read(attempt.get()).map_err(|_| unreadable())?);
        }
    }
    found.sort_by(|a, b| (b.at, &b.id).cmp(&(a.at, &a.id)));
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(Query::cursor_behind);
    let shown: Vec<String> = found.iter().map(Attempt::to_json).collect();
    Ok(Answer::json(200, list_body("attempts", &shown, next.as_deref())))
}

/// How an integration has done: today, each of the last thirty days, and how much is parked.
#[derive(Debug, Default, Serialize)]
pub struct Counts {
    pub today: Outcomes,
    pub days: Vec<Day>,
    pub parked: u64,
}

#[derive(Debug, Serialize)]
pub struct Day {
    pub date: String,
    #[serde(flatten)]
    pub counts: Outcomes,
}

pub async fn counts(call: &Call<'_>, id: &str) -> Result<Counts> {
    let (mut days, mut parked) = (Days::new(), 0);
    for shard in shards(call).await? {
        let (of_shard, more) = rpc::fleet(&call.platform.env, &shard)?.outcomes(id).await?;
        tally::merge(&mut days, &of_shard);
        parked += more;
    }
    let today = days.get(&day_of(call.platform.now)).copied().unwrap_or_default();
    let days = days.into_iter().map(|(day, counts)| Day { date: date_of(day), counts }).collect();
    Ok(Counts { today, days, parked })
}

/// Delivers again; with `estimate` it only says how much that is.
pub async fn replay(call: &Call<'_>, listed: &Listed) -> Result<Answer> {
    let replay = Replay::read(body_text(call.request)?.as_bytes(), call.platform.now)?;
    if listed.respond {
        let why = "its answers are replies to devices: nothing of it is delivered, nor again";
        return Err(Problem::field(Code::NothingToReplay, "respond", why));
    }
    let (task, device) = match &replay.which {
        Which::ById(id) => {
            let (device, seq) = find(call, listed, id, replay.device.as_deref()).await?;
            (Task::Event { seq }, Some(device))
        }
        Which::Range { from, to } => (Task::Range { from: *from, to: *to }, replay.device.clone()),
        Which::Parked => (Task::Parked, replay.device.clone()),
    };
    let job = job(call, &listed.stored.id, task, device);
    let estimate = match job.task {
        Task::Event { .. } => 1,
        _ => {
            let mut sum = 0;
            for shard in shards(call).await? {
                let fleet = rpc::fleet(&call.platform.env, &shard)?;
                sum += fleet.estimate(&job, &listed.filter.events).await?;
            }
            sum
        }
    };
    if replay.estimate {
        return Ok(Answer::json(200, format!(r#"{{"estimate":{estimate}}}"#)));
    }
    if estimate == 0 {
        return Err(Problem::new(Code::NothingToReplay, "no event of this integration is meant"));
    }
    start(call, &job).await?;
    Ok(Answer::json(202, format!(r#"{{"ok":true,"job":"{}","estimate":{estimate}}}"#, job.id)))
}

/// Sees that devices whose place was kept go on.
pub async fn wake(call: &Call<'_>, id: &str) -> Result<()> {
    start(call, &job(call, id, Task::Wake, None)).await
}

/// Forgets in every shard why an integration was paused, or that there was one.
pub async fn reset(call: &Call<'_>, id: &str, deleted: bool) -> Result<()> {
    for shard in shards(call).await? {
        rpc::fleet(&call.platform.env, &shard)?.reset(id, deleted).await?;
    }
    Ok(())
}

fn job(call: &Call<'_>, integration: &str, task: Task, device: Option<String>) -> Job {
    let id: String = unique().chars().take(24).collect();
    let job = Job::new(format!("job_{id}"), integration.to_owned(), task, call.platform.now);
    // What this isolate has just read or written, devices are to know too.
    let version = isolate::known_snapshot(isolate::now()).map_or(0, |snapshot| snapshot.version);
    Job { version, device, ..job }
}

/// A job for one device runs in its shard alone, any other in all of them.
async fn start(call: &Call<'_>, job: &Job) -> Result<()> {
    let shards = match (&job.device, &job.task) {
        (Some(device), Task::Event { .. } | Task::Range { .. }) => {
            vec![shard_of(device, call.settings.fleet_shards)]
        }
        _ => shards(call).await?,
    };
    for shard in shards {
        rpc::fleet(&call.platform.env, &shard)?.start_job(job).await?;
    }
    Ok(())
}

/// The device and event of an attempt, by its id or its `webhook-id`.
async fn find(call: &Call<'_>, listed: &Listed, id: &str, device: Option<&str>) -> Result<(String, u64)> {
    let device = device.map(str::to_owned);
    let query = Query { id: Some(id.to_owned()), device, ..Query::of(&listed.stored.id, FOUND) };
    for shard in shards(call).await? {
        if let Some(found) = rpc::fleet(&call.platform.env, &shard)?.attempts(&query).await?.first() {
            let attempt: Attempt = json::read(found.get()).map_err(|_| unreadable())?;
            return Ok((attempt.device, attempt.seq));
        }
    }
    Err(Problem::field(Code::NothingToReplay, "id", "no attempt of this integration has this id"))
}

/// Replays and how far they are; the same job in several shards is one.
pub async fn replays(call: &Call<'_>, id: &str) -> Result<Answer> {
    #[derive(Serialize)]
    struct Shown {
        id: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        from: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        to: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<&'static str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        seq: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        device: Option<String>,
        started_at: String,
        ended_at: Option<String>,
        queued: u64,
        passed_over: u64,
    }
    let mut jobs: BTreeMap<String, Job> = BTreeMap::new();
    for shard in shards(call).await? {
        for job in rpc::fleet(&call.platform.env, &shard)?.jobs(id).await? {
            let Some(known) = jobs.get_mut(&job.id) else {
                jobs.insert(job.id.clone(), job);
                continue;
            };
            known.queued += job.queued;
            known.passed_over += job.passed_over;
            known.ended_at = known.ended_at.zip(job.ended_at).map(|(a, b): (Time, Time)| a.max(b));
        }
    }
    let mut jobs: Vec<Job> = jobs.into_values().filter(|job| job.task != Task::Wake).collect();
    jobs.sort_by_key(|job| std::cmp::Reverse(job.started_at));
    let shown: Vec<String> = jobs
        .into_iter()
        .map(|job| {
            let (from, to) = match job.task {
                Task::Range { from, to } => (Some(from.to_string()), Some(to.to_string())),
                _ => (None, None),
            };
            let shown = Shown {
                id: job.id,
                from,
                to,
                status: (job.task == Task::Parked).then_some("parked"),
                seq: match job.task {
                    Task::Event { seq } => Some(seq),
                    _ => None,
                },
                device: job.device,
                started_at: job.started_at.to_string(),
                ended_at: job.ended_at.map(|at| at.to_string()),
                queued: job.queued,
                passed_over: job.passed_over,
            };
            serde_json::to_string(&shown).unwrap_or_default()
        })
        .collect();
    Ok(Answer::json(200, list_body("replays", &shown, None)))
}

/// Every shard that holds something, by name.
async fn shards(call: &Call<'_>) -> Result<Vec<String>> {
    Ok((0..call.platform.shard_count().await?).map(shard_name).collect())
}

fn unreadable() -> Problem {
    Problem::new(Code::Internal, "a shard's answer cannot be read")
}
