//! `/hook` and `/hook/{source}`: prove, read, commit, answer (DESIGN.md, "Ingest").
//!
//! The order is the promise: an answer that acknowledges an event is made only after its device's object has
//! committed it, and one that acknowledges a refused event only after quarantine has it.

use crate::answer::Answer;
use crate::isolate::Platform;
use crate::router::method_not_allowed;
use crate::{edge_cache, fleet, rpc};
use fieldhook_core::event::{DeviceId, Event, SourceName};
use fieldhook_core::ingest::batch::{Item, Refused, Summary};
use fieldhook_core::ingest::{self, Arrival, Ingest};
use fieldhook_core::log::{Accept, Entry, Outcome};
use fieldhook_core::problem::{Code, Problem, Result};
use fieldhook_core::proof::{self, Credential};
use fieldhook_core::quarantine;
use fieldhook_core::registry::Snapshot;
use fieldhook_core::reply::Reply;
use fieldhook_core::request::{Method, Request};
use fieldhook_core::settings::Settings;
use fieldhook_core::transform;
use std::rc::Rc;
use worker::js_sys::Math;

/// Counts how often an event has been delivered onwards and come back (DESIGN.md, "Delivery").
const HOP_HEADER: &str = "fieldhook-hop";
const HOPS_MAX: u32 = 3;

/// What one request to `/hook` works with.
pub struct Ingress<'a> {
    pub platform: &'a Platform,
    pub settings: Rc<Settings>,
    pub snapshot: Rc<Snapshot>,
    pub source: SourceName,
}

pub async fn receive(platform: &Platform, request: &Request, source: SourceName) -> Answer {
    if !matches!(request.method, Method::Get | Method::Post | Method::Put | Method::Delete) {
        return method_not_allowed("GET, POST, PUT, DELETE");
    }
    match admit(platform, request, source).await {
        Ok((ingress, credential)) => take_in(&ingress, request, &credential).await,
        Err(problem) => Answer::problem(&problem),
    }
}

/// Proof before anything else is looked at.
async fn admit<'a>(
    platform: &'a Platform,
    request: &Request,
    source: SourceName,
) -> Result<(Ingress<'a>, Credential)> {
    let settings = platform.settings()?;
    let snapshot = platform.snapshot().await?;
    let own_tokens = &snapshot.source(&source).tokens;
    let credential = proof::prove(&settings, own_tokens, request, platform.now.millis() / 1000)?;
    let hops = request.headers.get(HOP_HEADER).and_then(|text| text.parse().ok()).unwrap_or(0u32);
    if hops > HOPS_MAX {
        return Err(Problem::new(Code::HopLimit, "deliveries lead back here: look for a circle"));
    }
    Ok((Ingress { platform, settings, snapshot, source }, credential))
}

async fn take_in(ingress: &Ingress<'_>, request: &Request, credential: &Credential) -> Answer {
    let arrival = Arrival {
        request,
        source: &ingress.source,
        credential,
        now: ingress.platform.now,
        dedup_window: ingress.settings.dedup_window * 1000,
        unique: &unique,
    };
    match ingest::read(&arrival) {
        Ok(Ingest::One(event)) => match ingress.one(*event).await {
            Ok(taken) => taken.into_answer(),
            Err(problem) => Answer::problem(&problem),
        },
        Ok(Ingest::Batch(items)) => batch(ingress, request, credential, items).await,
        Err(problem) => refuse(ingress, request, credential, &problem).await,
    }
}

/// An event that is in its device's log.
pub struct Taken {
    pub key: fieldhook_core::event::DedupKey,
    pub reply: Reply,
    /// The sequence number it was committed under; `None` for a repeat.
    pub seq: Option<u64>,
}

impl Taken {
    fn into_answer(self) -> Answer {
        Answer::reply(&self.reply, &self.key, self.seq.is_none())
    }
}

impl Ingress<'_> {
    /// Takes in one event: KV, then the object, then KV again behind the answer.
    pub async fn one(&self, event: Event) -> Result<Taken> {
        let key = event.key.clone();
        if let Some(reply) = edge_cache::seen(self.platform, &self.settings, &key).await {
            return Ok(Taken { key, reply, seq: None });
        }
        let device = event.device.clone();
        let event = transform::apply_first(&self.snapshot.transforms, event);
        let reply = self.snapshot.source(&self.source).reply(&self.settings, &event);
        let entry = Entry::new(event, reply.as_ref().ok());
        let reply = reply.unwrap_or(Reply::Empty);
        match self.commit(&device, vec![entry]).await?.into_iter().next() {
            Some(Outcome::New(seq)) => {
                edge_cache::remember(self.platform, &self.settings, &key, &reply);
                Ok(Taken { key, reply, seq: Some(seq) })
            }
            Some(Outcome::Duplicate(stored)) => {
                Ok(Taken { key, reply: Reply::from_stored(&stored), seq: None })
            }
            None => Err(Problem::new(Code::CommitFailed, "the device's log gave no outcome")),
        }
    }

    /// One object call, one commit.
    async fn commit(&self, device: &DeviceId, entries: Vec<Entry>) -> Result<Vec<Outcome>> {
        let accept = Accept { device: device.as_str().to_owned(), at: self.platform.now, entries };
        Ok(rpc::device(&self.platform.env, device.as_str()).accept(&accept).await?.outcomes)
    }

    async fn quarantine(&self, entry: &quarantine::Entry) -> Result<()> {
        let entry = serde_json::to_string(entry)
            .map_err(|_| Problem::new(Code::Internal, "the refused event cannot be kept"))?;
        let shard = fleet::shard_of(self.source.as_str(), self.settings.fleet_shards);
        rpc::fleet(&self.platform.env, &shard)?.quarantine_add(&entry).await
    }
}

async fn batch(
    ingress: &Ingress<'_>,
    request: &Request,
    credential: &Credential,
    items: Vec<Item>,
) -> Answer {
    let mut summary = Summary::default();
    let mut groups: Vec<(DeviceId, Vec<Entry>)> = Vec::new();
    for (index, item) in items.into_iter().enumerate() {
        let event = match item.outcome {
            Ok(event) => *event,
            Err(problem) => {
                if is_kept(&problem) {
                    let source = ingress.source.as_str();
                    let at = ingress.platform.now;
                    let entry =
                        quarantine::Entry::of_item(&item.text, index, source, credential, &problem, at);
                    if let Err(problem) = ingress.quarantine(&entry).await {
                        return Answer::problem(&problem);
                    }
                }
                let (code, field) = (problem.code.as_str(), problem.field);
                summary.refused.push(Refused { index, code, field });
                continue;
            }
        };
        let device = event.device.clone();
        let event = transform::apply_first(&ingress.snapshot.transforms, event);
        let entry = Entry::new(event, Some(&Reply::Empty));
        match groups.iter_mut().find(|(known, _)| *known == device) {
            Some((_, entries)) => entries.push(entry),
            None => groups.push((device, vec![entry])),
        }
    }
    let commits =
        groups.into_iter().map(|(device, entries)| async move { ingress.commit(&device, entries).await });
    for outcomes in futures_util::future::join_all(commits).await {
        match outcomes {
            Ok(outcomes) => {
                let new = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::New(_))).count();
                summary.accepted += new;
                summary.duplicates += outcomes.len() - new;
            }
            Err(problem) => return Answer::problem(&problem),
        }
    }
    if summary.is_refused() {
        let agent = request.headers.get("user-agent");
        if quarantine::is_answered_accepted(ingress.settings.malformed, agent) {
            return Answer::empty(202);
        }
        return Answer::json(400, batch_problem(&summary)).with("content-type", "application/problem+json");
    }
    Answer::json(200, serde_json::to_string(&summary).unwrap_or_default())
}

/// Problem JSON with the summary's members beside its own.
fn batch_problem(summary: &Summary) -> String {
    let problem = Problem::new(Code::BatchRefused, "every item was refused; each is named in `refused`");
    let (problem, summary) = (problem.to_json(), serde_json::to_string(summary).unwrap_or_default());
    match (problem.strip_suffix('}'), summary.strip_prefix('{')) {
        (Some(head), Some(tail)) => format!("{head},{tail}"),
        _ => problem,
    }
}

/// What is not an event is kept as it came, then answered.
async fn refuse(
    ingress: &Ingress<'_>,
    request: &Request,
    credential: &Credential,
    problem: &Problem,
) -> Answer {
    if !is_kept(problem) {
        return Answer::problem(problem);
    }
    let (source, at) = (ingress.source.as_str(), ingress.platform.now);
    let Some(entry) = quarantine::Entry::of_request(request, source, credential, problem, at) else {
        return Answer::problem(problem);
    };
    if let Err(unavailable) = ingress.quarantine(&entry).await {
        return Answer::problem(&unavailable);
    }
    let agent = request.headers.get("user-agent");
    match quarantine::is_answered_accepted(ingress.settings.malformed, agent) {
        true => Answer::empty(202),
        false => Answer::problem(problem),
    }
}

/// What could be a replayed signature is not authenticated after all, so it is not kept.
fn is_kept(problem: &Problem) -> bool {
    !matches!(problem.code, Code::StaleSignature | Code::BodyTooLarge)
}

/// 128 bits of no meaning, for an id that must not repeat.
fn unique() -> String {
    let half = || (Math::random() * 9_007_199_254_740_992.0) as u64;
    format!("{:016x}{:016x}{:016x}", half(), half(), half())
}
