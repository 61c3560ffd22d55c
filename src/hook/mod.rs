//! `/hook` and `/hook/{source}`: prove, read, commit, answer (DESIGN.md, "Ingest").
//!
//! The order is the promise: an answer that acknowledges an event is made only after its device's object has
//! committed it, and one that acknowledges a refused event only after quarantine has it.

pub mod batch;
mod respond;

use crate::answer::Answer;
use crate::isolate::Platform;
use crate::{edge_cache, limits, rpc, tally};
use fieldhook_core::event::{DeviceId, Event, SourceName};
use fieldhook_core::fleet::shard_of;
use fieldhook_core::fleet::stats::Counts;
use fieldhook_core::ingest::{self, Arrival, Ingest};
use fieldhook_core::log::{Accept, Entry, Outcome, Plan};
use fieldhook_core::problem::{Code, Problem, Result};
use fieldhook_core::proof::token::TokenHash;
use fieldhook_core::proof::{self, Credential, Proven};
use fieldhook_core::quarantine;
use fieldhook_core::rate::device_over;
use fieldhook_core::registry::Snapshot;
use fieldhook_core::reply::Reply;
use fieldhook_core::request::{Method, Request};
use fieldhook_core::respond::PENDING;
use fieldhook_core::settings::Settings;
use fieldhook_core::transform;
use respond::Question;
use std::rc::Rc;
use worker::js_sys::Math;

/// What one request to `/hook` works with.
pub struct Ingress<'a> {
    pub platform: &'a Platform,
    pub settings: Rc<Settings>,
    pub snapshot: Rc<Snapshot>,
    pub source: SourceName,
}

pub async fn receive(platform: &Platform, request: &Request, source: SourceName) -> Answer {
    if !matches!(request.method, Method::Get | Method::Post | Method::Put | Method::Delete) {
        return Answer::problem(&Problem::method_not_allowed("GET, POST, PUT, DELETE"));
    }
    let answer = match admit(platform, request, source).await {
        Ok((ingress, credential)) => take_in(&ingress, request, &credential).await,
        Err(problem) => Answer::problem(&problem),
    };
    tally::answered(platform, answer.status());
    answer
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
    let Proven { credential, key } =
        proof::prove(&settings, own_tokens, request, platform.now.millis() / 1000)?;
    limits::count(platform, key)?;
    proof::check_hops(&request.headers)?;
    let ingress = Ingress { platform, settings, snapshot, source };
    if ingress.is_secret(ingress.source.as_str()) {
        return Err(Problem::field(Code::BadSourceName, "source", "a token does not belong in a URL"));
    }
    Ok((ingress, credential))
}

async fn take_in(ingress: &Ingress<'_>, request: &Request, credential: &Credential) -> Answer {
    let arrival = Arrival {
        request,
        source: &ingress.source,
        credential,
        now: ingress.platform.now,
        dedup_window: ingress.settings.dedup_window * 1000,
        unique: &unique,
        is_secret: &|text| ingress.is_secret(text),
    };
    match ingest::read(&arrival) {
        Ok(Ingest::One(event)) => {
            let device = event.device.clone();
            match ingress.one(*event).await {
                Ok(taken) => {
                    let duplicates = u64::from(taken.seq.is_none());
                    tally::add(ingress.platform, Counts { duplicates, ..Counts::default() });
                    taken.into_answer()
                }
                Err(problem) if problem.code == Code::RateLimited => {
                    over_rate(ingress, request, credential, &problem, &device).await
                }
                Err(problem) => Answer::problem(&problem),
            }
        }
        Ok(Ingest::Batch(items)) => match batch::take_in(ingress, request, credential, items, false).await {
            Ok(summary) => {
                tally::add(ingress.platform, summary.counts());
                batch::answer(ingress, request, &summary)
            }
            Err(problem) => Answer::problem(&problem),
        },
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
    /// Whether a text is a secret of this deployment, or a token of this source.
    pub fn is_secret(&self, text: &str) -> bool {
        let text = TokenHash::of(text);
        self.settings.is_secret(&text) || text.is_in(&self.snapshot.source(&self.source).tokens)
    }

    /// Takes in one event: KV, then the object, then KV again behind the answer.
    pub async fn one(&self, event: Event) -> Result<Taken> {
        let key = event.key.clone();
        // What cannot come again is not asked for, nor remembered: KV is the dearest step of an event.
        let repeatable = event.repeatable;
        if repeatable && let Some(reply) = edge_cache::seen(self.platform, &self.settings, &key).await {
            return Ok(Taken { key, reply, seq: None });
        }
        let device = event.device.clone();
        let event = transform::apply_first(&self.snapshot.transforms, event);
        let source = self.snapshot.source(&self.source);
        let (plan, report) = (source.plan(&self.settings, &event), source.is_report(&event));
        let mut entry = Entry::new(event, plan.ok(), report, source.way(&self.settings));
        let now = self.platform.now;
        let asked = self.responder(&entry).map(|listed| {
            entry.plan = Plan::Said(PENDING.to_owned());
            (listed, Question::of(&entry, now))
        });
        let outcome = self.commit(&device, vec![entry]).await?.into_iter().next();
        let outcome = outcome.ok_or_else(|| Problem::new(Code::CommitFailed, "the log gave no outcome"))?;
        let (stored, live) = outcome.reply();
        let (number, seq) = match outcome {
            Outcome::New { seq, .. } => (seq, Some(seq)),
            Outcome::Duplicate { seq, .. } => (seq, None),
            Outcome::Limited { wait } => return Err(device_over(wait)),
        };
        let reply = match asked {
            Some((listed, question)) if stored == PENDING => self.ask(listed, question, &key, number).await,
            _ => Some(Reply::from_stored(stored)),
        };
        let (is_known, reply) = (reply.is_some(), reply.unwrap_or(Reply::Empty));
        if seq.is_some() && repeatable && !live && is_known {
            edge_cache::remember(self.platform, &self.settings, &key, &reply);
        }
        Ok(Taken { key, reply, seq })
    }

    /// One object call, one commit; none for a device whose object has said that it has to wait.
    async fn commit(&self, device: &DeviceId, entries: Vec<Entry>) -> Result<Vec<Outcome>> {
        if let Some(wait) = limits::device_wait(self.platform, device.as_str()) {
            return Ok(entries.iter().map(|_| Outcome::Limited { wait }).collect());
        }
        let at = self.platform.now;
        let ahead = self.snapshot.ahead_of(at, &entries);
        let accept = Accept { device: device.as_str().to_owned(), at, entries, ahead };
        let outcomes = rpc::device(&self.platform.env, device.as_str()).accept(&accept).await?.outcomes;
        let wait = outcomes.iter().find_map(Outcome::wait);
        if let Some(wait) = wait {
            limits::device_must_wait(self.platform, device.as_str(), wait);
        }
        Ok(outcomes)
    }

    /// A refused request as quarantine keeps it. `None` where there is no body to keep.
    fn entry_of(
        &self,
        request: &Request,
        credential: &Credential,
        problem: &Problem,
    ) -> Option<quarantine::Entry> {
        let (source, at) = (self.source.as_str(), self.platform.now);
        let is_secret = |text: &str| self.is_secret(text);
        quarantine::Entry::of_request(request, source, credential, problem, at, &is_secret)
    }

    /// One object call for all of them: they are kept together or not at all.
    async fn quarantine(&self, entries: &[quarantine::Entry]) -> Result<()> {
        let entries = serde_json::to_string(entries)
            .map_err(|_| Problem::new(Code::Internal, "the refused event cannot be kept"))?;
        let shard = shard_of(self.source.as_str(), self.settings.fleet_shards);
        rpc::fleet(&self.platform.env, &shard)?.quarantine_add(&entries).await
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
    let Some(entry) = ingress.entry_of(request, credential, problem) else {
        return Answer::problem(problem);
    };
    if let Err(unavailable) = ingress.quarantine(&[entry]).await {
        return Answer::problem(&unavailable);
    }
    let agent = request.headers.get("user-agent");
    match quarantine::is_answered_accepted(ingress.settings.malformed, agent) {
        true => Answer::empty(202),
        false => Answer::problem(problem),
    }
}

/// An event of a device over its rate. 429 asks its sender to come again, which Particle does not: there it would only
/// count against the whole host name. So who is told that all is well ([`quarantine::is_answered_accepted`]) finds the
/// event in quarantine, as long as there are not too many of this device.
async fn over_rate(
    ingress: &Ingress<'_>,
    request: &Request,
    credential: &Credential,
    problem: &Problem,
    device: &DeviceId,
) -> Answer {
    let agent = request.headers.get("user-agent");
    let is_kept = quarantine::is_answered_accepted(ingress.settings.malformed, agent)
        && limits::may_keep(ingress.platform, device.as_str());
    match is_kept {
        true => refuse(ingress, request, credential, problem).await,
        false => Answer::problem(problem),
    }
}

/// What could be a replayed signature is not authenticated after all, so it is not kept.
pub fn is_kept(problem: &Problem) -> bool {
    !matches!(problem.code, Code::StaleSignature | Code::BodyTooLarge)
}

/// Three random numbers of 53 bits, for an id that must not repeat.
pub fn unique() -> String {
    let half = || (Math::random() * 9_007_199_254_740_992.0) as u64;
    format!("{:016x}{:016x}{:016x}", half(), half(), half())
}
