//! A reply that a service of the user's gives (DESIGN.md, "Respond"): the event is committed, then the Worker asks, then
//! a second object call keeps the answer for repeats. The device is never left without an answer: what fails is an
//! empty one, and a `hook-error` on the streams.

use super::Ingress;
use crate::fetch::{self, Reply as Answered};
use crate::{isolate, rpc};
use fieldhook_core::clock::Time;
use fieldhook_core::delivery::lane::{Concluded, Unreported};
use fieldhook_core::delivery::made::Made;
use fieldhook_core::delivery::outcome::{Verdict, judge};
use fieldhook_core::delivery::record::{Attempt, Status, error_text};
use fieldhook_core::delivery::report::Report;
use fieldhook_core::event::DedupKey;
use fieldhook_core::fleet::shard_of;
use fieldhook_core::integration::request::Sending;
use fieldhook_core::integration::stored::Listed;
use fieldhook_core::integration::{Integration, Logged};
use fieldhook_core::log::{Details, Entry, Row};
use fieldhook_core::notice::{self, Notice};
use fieldhook_core::problem::Result;
use fieldhook_core::reply::Reply;
use fieldhook_core::respond::BUDGET;
use worker::{Env, console_error};

/// An answer is read so far, bytes; nothing longer could reach the device, and a template needs the whole of it.
const ANSWER_MAX: usize = 262_144;

const TOO_LARGE: &str = "the reply is larger than its budget and was not sent";

/// What the device hears of the service's answer.
struct Said {
    reply: Reply,
    too_large: bool,
    /// What streams are told of it.
    notices: Vec<Notice>,
}

/// What is asked of the service, kept aside before the event goes to its object.
pub struct Question {
    device: String,
    row: Row,
    details: Details,
}

impl Question {
    /// `at` is when the event was received.
    pub fn of(entry: &Entry, at: Time) -> Self {
        let details = entry.details.clone();
        let row = Row {
            seq: 0,
            received_at: at,
            event: entry.event.clone(),
            data: entry.data.clone(),
            details: serde_json::to_string(&details).unwrap_or_default(),
        };
        Question { device: details.coreid.clone(), row, details }
    }
}

impl Ingress<'_> {
    /// The integration that answers events like this: the first by creation.
    pub fn responder(&self, entry: &Entry) -> Option<&Listed> {
        let (event, device) = (entry.event.as_str(), entry.details.coreid.as_str());
        let product = entry.details.product_id.as_deref();
        let answers = |listed: &&Listed| {
            listed.respond && listed.stored.paused.is_none() && listed.filter.matches(event, device, product)
        };
        self.snapshot.integrations.iter().find(answers)
    }

    /// Asks the service, keeps the answer for repeats, and tells the shard what came of it; `None` where it could not be asked, for a reason of ours: a repeat asks again.
    pub async fn ask(
        &self,
        listed: &Listed,
        mut question: Question,
        key: &DedupKey,
        seq: u64,
    ) -> Option<Reply> {
        question.row.seq = seq;
        let (said, report) = match self.call(listed, &question, key).await {
            Ok(called) => called,
            // A key that opens no secret, most likely.
            Err(problem) => {
                console_error!("an integration could not be asked: {}", problem.detail);
                return None;
            }
        };
        let (device, stored) = (rpc::device(&self.platform.env, &question.device), said.reply.to_stored());
        if let Err(problem) = device.answered(key.as_str(), &stored, said.too_large).await {
            // A repeat will ask the service again.
            console_error!("an answer was not kept: {}", problem.detail);
        }
        self.tell(&question.device, report, said.notices);
        Some(said.reply)
    }

    async fn call(&self, listed: &Listed, question: &Question, key: &DedupKey) -> Result<(Said, Report)> {
        let integration = isolate::integration(&self.platform.env, listed).await?;
        let event = Logged::of(&question.row, &question.details);
        let message_id = integration.answer_id(key.as_str());
        let rules = self.settings.target_rules(&self.snapshot.hosts);
        let at = isolate::now();
        let sending = Sending { message_id: &message_id, now: at, replayed: false, rules: &rules };
        let outgoing = integration.request(&event, &sending);
        let budget = BUDGET.min(self.settings.delivery_timeout);
        let answered = match &outgoing {
            Ok(outgoing) => fetch::send(outgoing, budget, ANSWER_MAX).await,
            Err(unsendable) => Answered::failed(unsendable.failure(), 0),
        };
        let verdict = judge(&answered.heard, isolate::now());
        let said = self.reply(&integration, &event, &verdict, &answered, key);
        let status = if verdict == Verdict::Delivered { Status::Success } else { Status::Failure };
        let attempt = Attempt::of(&Made {
            integration: &integration,
            job: "",
            message_id: &message_id,
            event: &event,
            at,
            took: answered.took,
            tries: 1,
            concluded: Concluded { status, next_at: None },
            outgoing: outgoing.as_ref(),
            heard: &answered.heard,
            headers: &answered.headers,
            body: &answered.body,
            truncated: answered.truncated,
        });
        let host_failed = verdict.of_host(&answered.heard);
        let gone = verdict == Verdict::Gone;
        let unreported = Unreported { attempt, host: integration.host_key(), host_failed, gone };
        Ok((said, Report::Attempt(Box::new(unreported))))
    }

    /// The device's reply, and what the streams are told of it.
    fn reply(
        &self,
        integration: &Integration,
        event: &Logged<'_>,
        verdict: &Verdict,
        answered: &Answered,
        key: &DedupKey,
    ) -> Said {
        let error = |text: String| Said {
            reply: Reply::Empty,
            too_large: false,
            notices: vec![notice::error(integration, event, text)],
        };
        if *verdict != Verdict::Delivered {
            return error(error_text(&answered.heard, integration.host()).unwrap_or_default());
        }
        if answered.truncated {
            return Said { too_large: true, ..error(TOO_LARGE.to_owned()) };
        }
        let text = match integration.response(event, &answered.body) {
            Ok(text) => text,
            Err(why) => return error(format!("the response template failed: {why}")),
        };
        let framing = integration.reply_framing.unwrap_or(self.settings.reply_framing);
        let budget = integration.reply_budget;
        match Reply::within(text, framing, budget) {
            Ok(reply) => {
                let notices = notice::response(integration, event, &reply, key);
                Said { reply, too_large: false, notices }
            }
            Err(_) => Said { too_large: true, ..error(TOO_LARGE.to_owned()) },
        }
    }

    /// Behind the answer, and only once: an attempt whose report is lost is one that the list does not show.
    fn tell(&self, device: &str, report: Report, notices: Vec<Notice>) {
        let (env, shard) = (self.platform.env.clone(), shard_of(device, self.settings.fleet_shards));
        self.platform.context.wait_until(async move {
            if let Err(problem) = told(&env, &shard, &report, &notices).await {
                console_error!("an attempt was not told: {}", problem.detail);
            }
        });
    }
}

/// Tells the shard, and pauses the integration if it says so.
async fn told(env: &Env, shard: &str, report: &Report, notices: &[Notice]) -> Result<()> {
    let answer = rpc::fleet(env, shard)?.report(report, notices).await?;
    if let (Some(reason), Report::Attempt(it)) = (answer.pause, report) {
        rpc::registry(env)?.pause(&it.attempt.integration, reason).await?;
        isolate::refresh(env).await?;
    }
    Ok(())
}
