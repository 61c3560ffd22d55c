//! One attempt: the request, its outcome in the lane's row, and the shard that is told of it.

use super::{Inner, Key};
use crate::fetch::{self, Reply};
use crate::{isolate, rpc};
use fieldhook_core::clock::Time;
use fieldhook_core::delivery::lane::Unreported;
use fieldhook_core::delivery::made::Made;
use fieldhook_core::delivery::outcome::{Verdict, judge};
use fieldhook_core::delivery::record::{Attempt, error_text};
use fieldhook_core::delivery::report::{Answer, Report};
use fieldhook_core::integration::request::{Outgoing, Sending, Unsendable};
use fieldhook_core::integration::stored::Listed;
use fieldhook_core::integration::{Integration, Logged};
use fieldhook_core::json;
use fieldhook_core::log::{Details, Row};
use fieldhook_core::notice::{self, Notice};
use fieldhook_core::problem::{Code, Problem, Result};
use std::rc::Rc;

/// An answer is read so far, bytes; what a hook-response could hold.
const ANSWER_MAX: usize = 102_400;

/// An attempt that has been made, and what came of it.
struct Answered<'a> {
    integration: &'a Integration,
    event: &'a Logged<'a>,
    message_id: &'a str,
    at: Time,
    outgoing: std::result::Result<Outgoing, Unsendable>,
    reply: Reply,
}

impl Inner {
    /// One attempt, unless the host is spared; answers what streams are to be told of it.
    pub(super) async fn attempt(
        self: &Rc<Self>,
        listed: &Listed,
        key: &Key,
        row: Row,
        tries: u32,
        own_hosts: &[String],
    ) -> Result<Vec<Notice>> {
        let integration = isolate::integration(&self.env, listed).await?;
        if tries > 0
            && let Some(until) = self.ask_circuit(&integration.host_key()).await?
        {
            self.put_off(key, row.seq, until)?;
            return Ok(Vec::new());
        }
        // Whatever happens to this object, somebody comes back here.
        self.arm(isolate::now())?;
        let settings = self.settings()?;
        let Some((device, born)) = self.life()? else { return Ok(Vec::new()) };
        let details: Details =
            json::read(&row.details).map_err(|_| Problem::new(Code::Internal, "a row cannot be read"))?;
        let event = Logged::of(&row, &details);
        let message_id = integration.message_id(&device, born, row.seq);
        let at = isolate::now();
        let rules = settings.target_rules(own_hosts);
        let sending =
            Sending { message_id: &message_id, now: at, replayed: !key.1.is_empty(), rules: &rules };
        let outgoing = integration.request(&event, &sending);
        let reply = match &outgoing {
            Ok(outgoing) => fetch::send(outgoing, settings.delivery_timeout, ANSWER_MAX).await,
            Err(unsendable) => Reply::failed(unsendable.failure(), 0),
        };
        match self.life()? {
            // Deleted meanwhile: nobody is there to remember the outcome.
            Some((_, now)) if now == born => {}
            _ => return Ok(Vec::new()),
        }
        let made = Answered {
            integration: &integration,
            event: &event,
            message_id: &message_id,
            at,
            outgoing,
            reply,
        };
        self.conclude(listed, key, &made)
    }

    /// One turn: the outcome, written with the lane's new place.
    fn conclude(&self, listed: &Listed, key: &Key, answered: &Answered<'_>) -> Result<Vec<Notice>> {
        let Answered { integration, event, message_id, at, outgoing, reply } = answered;
        let (now, known) = (isolate::now(), self.lane(key)?);
        let mut lane = match known {
            Some(lane) => lane,
            // Memory was dropped meanwhile, and there was nothing to write down yet.
            None if key.1.is_empty() => self.begin(listed, 0)?,
            None => return Ok(Vec::new()),
        };
        let verdict = judge(&reply.heard, now);
        let tries = lane.trying.filter(|trying| trying.seq == event.seq).map_or(0, |trying| trying.tries) + 1;
        let schedule = &self.settings()?.retry_schedule;
        let concluded = lane.conclude(event.seq, &verdict, now, schedule, message_id);
        let attempt = Attempt::of(&Made {
            integration,
            job: &key.1,
            message_id,
            event,
            at: *at,
            took: reply.took,
            tries,
            concluded,
            outgoing: outgoing.as_ref(),
            heard: &reply.heard,
            headers: &reply.headers,
            body: &reply.body,
            truncated: reply.truncated,
        });
        let host_failed = verdict.of_host(&reply.heard);
        let gone = verdict == Verdict::Gone;
        lane.unreported = Some(Unreported { attempt, host: integration.host_key(), host_failed, gone });
        self.keep_lane(key, lane)?;
        Ok(match (verdict, error_text(&reply.heard, integration.host())) {
            (Verdict::Delivered, _) => notice::of_delivery(integration, event, &reply.body),
            (_, Some(text)) => vec![notice::error(integration, event, text)],
            (_, None) => Vec::new(),
        })
    }

    /// The shard keeps the outcome, and says whether the integration is to pause.
    pub(super) async fn report(&self, key: &Key, report: Report, notices: &[Notice]) -> Result<()> {
        let Some(shard) = self.shard()? else { return Ok(()) };
        let answer: Answer = rpc::fleet(&self.env, &shard)?.report(&report, notices).await?;
        if let Some(reason) = answer.pause {
            rpc::registry(&self.env)?.pause(&key.0, reason).await?;
            isolate::refresh(&self.env).await?;
        }
        if let Some(mut lane) = self.lane(key)? {
            // Written down with the next outcome, or by the next alarm: told again after a crash, it is known.
            lane.reported(&report);
            self.remember(key, lane)?;
        }
        Ok(())
    }

    /// Until when the host is spared.
    async fn ask_circuit(&self, host: &str) -> Result<Option<Time>> {
        match self.shard()? {
            Some(shard) => rpc::fleet(&self.env, &shard)?.ask_circuit(host).await,
            None => Ok(None),
        }
    }

    /// Waiting consumes no attempt.
    fn put_off(&self, key: &Key, seq: u64, until: Time) -> Result<()> {
        let Some(mut lane) = self.lane(key)? else { return Ok(()) };
        if let Some(trying) = lane.trying.as_mut().filter(|trying| trying.seq == seq) {
            (trying.due, trying.since) = (until, Some(isolate::now()));
        }
        self.remember(key, lane)
    }

    fn life(&self) -> Result<Option<(String, Time)>> {
        let life = self.about(|loaded| Some((loaded.device.device.clone(), loaded.device.born?)))?;
        Ok(life.flatten())
    }

    fn shard(&self) -> Result<Option<String>> {
        let shard = self.about(|loaded| loaded.device.member.as_ref().map(|member| member.shard.clone()))?;
        Ok(shard.flatten())
    }
}
