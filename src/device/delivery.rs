//! From the device's log to the services that its owner has defined: each integration at its own place, in order, off
//! the reply's path (DESIGN.md, "Delivery").
//!
//! The log is the outbox here too. A lane's row says how far an integration has come and what its last attempt came to;
//! it is written once per attempt, after the answer. What a crash interrupts is attempted again with the same
//! `webhook-id`: the safety alarm, which is armed while anything is under way, comes here.

use super::{Inner, history, schema};
use crate::fetch::{self, Reply};
use crate::sqlite::{self, Value, integer};
use crate::{isolate, rpc};
use fieldhook_core::clock::Time;
use fieldhook_core::delivery::job::{Ask, Events, Taken};
use fieldhook_core::delivery::lane::{Lane, QUEUE_MAX, Step, Unreported};
use fieldhook_core::delivery::made::Made;
use fieldhook_core::delivery::outcome::{Verdict, judge};
use fieldhook_core::delivery::record::{Attempt, error_text};
use fieldhook_core::delivery::report::{Answer, Passed, Report, Why};
use fieldhook_core::integration::request::{Outgoing, Sending, Unsendable};
use fieldhook_core::integration::stored::Listed;
use fieldhook_core::integration::{Integration, Logged};
use fieldhook_core::log::{Details, Row};
use fieldhook_core::notice::{self, Notice};
use fieldhook_core::problem::{Code, Problem, Result};
use futures_util::future::join_all;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use worker::console_error;

/// An answer is read so far, bytes; what a hook-response could hold.
const ANSWER_MAX: usize = 102_400;
/// A run goes on for so long before it hands over to the alarm, milliseconds: the platform ends a handler after
/// fifteen minutes.
const RUN_MAX: i64 = 60_000;
/// Work that has made no step for so long, and for the time a request may take, hangs: whoever comes next does it,
/// milliseconds.
const HUNG_AFTER: i64 = 120_000;
/// How long after a failure of our own (a shard that does not answer, a key that does not open) a lane is looked at
/// again, milliseconds.
pub(super) const LOOK_AGAIN: i64 = 5_000;

/// An integration, and the replay, empty for the live lane.
type Key = (String, String);

#[derive(Default)]
pub(super) struct Delivery {
    /// As the table has them; `None` before it was read.
    lanes: RefCell<Option<BTreeMap<Key, Lane>>>,
    running: RefCell<BTreeMap<Key, Run>>,
}

impl Delivery {
    pub(super) fn forget(&self) {
        self.lanes.replace(None);
    }

    /// Whether a lane is being worked on.
    pub(super) fn is_running(&self) -> bool {
        !self.running.borrow().is_empty()
    }
}

/// Work on a lane that is under way.
struct Run {
    /// Which it is: one that hung and was replaced does not speak for its successor.
    number: u64,
    /// When it last made a step.
    stepped: Time,
    /// Somebody else came since, who may know what this work did not see.
    called: bool,
}

/// Says that a lane is being worked on, for as long as it lives.
struct Running<'a> {
    delivery: &'a Delivery,
    key: &'a Key,
    number: u64,
}

impl<'a> Running<'a> {
    fn begin(delivery: &'a Delivery, key: &'a Key, hung_after: i64) -> Option<Self> {
        let (mut running, now) = (delivery.running.borrow_mut(), isolate::now());
        let mut number = 0;
        if let Some(run) = running.get_mut(key) {
            if run.stepped.distance(now) < hung_after {
                run.called = true;
                return None;
            }
            // What it waits for never comes, and neither does its end.
            number = run.number + 1;
        }
        running.insert(key.clone(), Run { number, stepped: now, called: false });
        Some(Running { delivery, key, number })
    }

    /// Says that the work goes on; answers whether it is still this one's.
    fn steps(&self) -> bool {
        let mut running = self.delivery.running.borrow_mut();
        let mine = running.get_mut(self.key).filter(|run| run.number == self.number);
        mine.map(|run| run.stepped = isolate::now()).is_some()
    }

    /// Whether somebody else came meanwhile.
    fn is_called(&self) -> bool {
        let mut running = self.delivery.running.borrow_mut();
        let mine = running.get_mut(self.key).filter(|run| run.number == self.number);
        mine.is_some_and(|run| std::mem::take(&mut run.called))
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut running = self.delivery.running.borrow_mut();
        if running.get(self.key).is_some_and(|run| run.number == self.number) {
            running.remove(self.key);
        }
    }
}

/// An attempt that has been made, and what came of it.
struct Answered<'a> {
    integration: &'a Integration,
    event: &'a Logged<'a>,
    message_id: &'a str,
    at: Time,
    outgoing: std::result::Result<Outgoing, Unsendable>,
    reply: Reply,
}

/// What a lane does next, with what it needs for it.
enum Next {
    Report(Report),
    Attempt { row: Row, tries: u32 },
    Wait(Time),
    Nothing,
}

impl Inner {
    /// Delivers behind the answer, if there is anybody to deliver to. `first_seq` is the first of the events that have
    /// just been written, `names` are what they are called.
    pub(super) fn deliver_behind(self: &Rc<Self>, first_seq: u64, names: &[&str]) {
        match isolate::known_snapshot() {
            Some(snapshot)
                if snapshot.integrations.iter().all(|listed| self.passes(listed, first_seq, names)) =>
            {
                return;
            }
            _ => {}
        }
        let this = self.clone();
        self.state.wait_until(async move { this.deliver(0).await });
    }

    /// Whether new events leave an integration's lane where it is, as far as is remembered; no table is asked.
    fn passes(&self, listed: &Listed, first_seq: u64, names: &[&str]) -> bool {
        if listed.respond {
            return true;
        }
        let is_for =
            |name: &&str| listed.filter.events.iter().any(|prefix| name.starts_with(prefix.as_str()));
        if names.iter().any(is_for) {
            return false;
        }
        let mut lanes = self.delivery.lanes.borrow_mut();
        let key = (listed.stored.id.clone(), String::new());
        match lanes.as_mut().and_then(|lanes| lanes.get_mut(&key)) {
            Some(lane) => lane.skim(first_seq, names.len() as u64),
            None => false,
        }
    }

    /// Works on every lane that has something to do. `version` is that of the configuration at least; 0 is as good as
    /// any that is not older than it may be.
    pub(super) async fn deliver(self: &Rc<Self>, version: u64) {
        if let Err(problem) = self.deliver_all(version).await {
            console_error!("nothing was delivered: {}", problem.detail);
            let _ = self.arm_by(isolate::now().plus_millis(LOOK_AGAIN));
        }
    }

    async fn deliver_all(self: &Rc<Self>, version: u64) -> Result<()> {
        let Some(device) = self.about(|loaded| loaded.device.device.clone())? else { return Ok(()) };
        let mut snapshot = isolate::snapshot_of(&self.env, version).await?;
        if self.lanes()?.keys().any(|(id, _)| !snapshot.has_integration(id)) {
            // Deleted; or younger than what this isolate knows, where the device has moved here: its place must not go.
            snapshot = isolate::refresh(&self.env).await?;
        }
        let mut keys: BTreeSet<Key> = self.lanes()?.keys().cloned().collect();
        // Of a deleted integration nothing is left but the record of its attempts.
        let orphans = keys.iter().filter(|(id, _)| !snapshot.has_integration(id)).cloned();
        let orphans: Vec<Key> = orphans.collect();
        for key in orphans {
            self.drop_lane(&key)?;
            keys.remove(&key);
        }
        let live =
            snapshot.integrations.iter().filter(|listed| !listed.respond && listed.filter.is_for(&device));
        keys.extend(live.map(|listed| (listed.stored.id.clone(), String::new())));
        join_all(keys.iter().map(|key| self.run(key))).await;
        Ok(())
    }

    async fn run(self: &Rc<Self>, key: &Key) {
        let hung_after = self.settings().map_or(0, |settings| settings.delivery_timeout) + HUNG_AFTER;
        let began = isolate::now();
        let Some(running) = Running::begin(&self.delivery, key, hung_after) else {
            let _ = self.arm_by(began.plus_millis(hung_after));
            return;
        };
        loop {
            if let Err(problem) = self.work(key, &running, began).await {
                console_error!("a lane stands still: {}", problem.detail);
                let _ = self.arm_by(isolate::now().plus_millis(LOOK_AGAIN));
                return;
            }
            if !running.is_called() {
                return;
            }
        }
    }

    async fn work(self: &Rc<Self>, key: &Key, running: &Running<'_>, began: Time) -> Result<()> {
        let mut notices = Vec::new();
        loop {
            // Looked at anew at each step: it may have been paused, changed or deleted meanwhile.
            let snapshot = isolate::snapshot_of(&self.env, 0).await?;
            let Some(listed) = snapshot.integration(&key.0) else { return Ok(()) };
            if !running.steps() {
                return Ok(());
            }
            let next = self.next(listed, key)?;
            if let Next::Report(report) = next {
                self.report(key, report, &std::mem::take(&mut notices)).await?;
                continue;
            }
            if listed.stored.paused.is_some() || listed.respond {
                return Ok(());
            }
            match next {
                Next::Attempt { .. } if began.distance(isolate::now()) > RUN_MAX => {
                    return self.arm_by(isolate::now());
                }
                Next::Attempt { row, tries } => {
                    notices = self.attempt(listed, key, row, tries, &snapshot.hosts).await?;
                }
                Next::Wait(until) => return self.arm_by(until),
                Next::Report(_) | Next::Nothing => return Ok(()),
            }
        }
    }

    /// One turn: what the lane does next.
    fn next(&self, listed: &Listed, key: &Key) -> Result<Next> {
        let known = self.about(|loaded| {
            (loaded.next_seq.saturating_sub(1), loaded.device.pruned_to, loaded.device.device.clone())
        })?;
        let Some((head, pruned_to, device)) = known else { return Ok(Next::Nothing) };
        let mut lane = match self.lane(key)? {
            Some(lane) => lane,
            None if key.1.is_empty() => self.begin(listed, pruned_to)?,
            None => return Ok(Next::Nothing),
        };
        if key.1.is_empty() && lane.from < listed.stored.from {
            // Resumed from a later time.
            let to = self.last_before(listed.stored.from, pruned_to)?;
            lane.pass(self.passed(listed, &device, lane.done, to, Why::Skipped)?);
            lane.from = listed.stored.from;
            self.write_lane(key, &lane)?;
            self.remember(key, lane.clone())?;
        }
        loop {
            match lane.step(isolate::now()) {
                Step::Report => {
                    let report = match (lane.unreported, lane.passed.into_iter().next()) {
                        (Some(unreported), _) => Some(Report::Attempt(Box::new(unreported))),
                        (None, passed) => passed.map(Report::Passed),
                    };
                    return Ok(report.map_or(Next::Nothing, Next::Report));
                }
                Step::Wait { until } => return Ok(Next::Wait(until)),
                Step::Finished => {
                    self.drop_lane(key)?;
                    return Ok(Next::Nothing);
                }
                Step::Try { seq, tries } => {
                    if let Some(row) = self.row(seq)? {
                        self.remember(key, lane)?;
                        return Ok(Next::Attempt { row, tries });
                    }
                    // Retention took it, and has counted it.
                    lane.advance(seq);
                }
                Step::Seek { after } => {
                    let found = self.next_for(listed, after)?;
                    lane.passed_over(found.as_ref().map_or(head, |row| row.seq.saturating_sub(1)));
                    if lane.settle() {
                        self.write_lane(key, &lane)?;
                    }
                    self.remember(key, lane)?;
                    return Ok(match found {
                        Some(row) => Next::Attempt { row, tries: 0 },
                        None => Next::Nothing,
                    });
                }
            }
        }
    }

    /// One attempt, unless the host is spared; answers what streams are to be told of it.
    async fn attempt(
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
        let details: Details = serde_json::from_str(&row.details)
            .map_err(|_| Problem::new(Code::Internal, "a row cannot be read"))?;
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
        self.write_lane(key, &lane)?;
        self.remember(key, lane)?;
        Ok(match (verdict, error_text(&reply.heard, integration.host())) {
            (Verdict::Delivered, _) => notice::of_delivery(integration, event, &reply.body),
            (_, Some(text)) => vec![notice::error(integration, event, text)],
            (_, None) => Vec::new(),
        })
    }

    /// The shard keeps the outcome, and says whether the integration is to pause.
    async fn report(&self, key: &Key, report: Report, notices: &[Notice]) -> Result<()> {
        let Some(shard) = self.shard()? else { return Ok(()) };
        let answer: Answer = rpc::fleet(&self.env, &shard)?.report(&report, notices).await?;
        if let Some(reason) = answer.pause {
            rpc::registry(&self.env)?.pause(&key.0, reason).await?;
            isolate::refresh(&self.env).await?;
        }
        if let Some(mut lane) = self.lane(key)? {
            // Not written down: told again after a crash, it is known.
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
            trying.due = until;
        }
        self.remember(key, lane)
    }

    /// Takes in what a job hands out, and sets off. Answers a [`Taken`].
    pub(super) async fn replay(self: Rc<Self>, ask: &str) -> Result<String> {
        let ask: Ask = serde_json::from_str(ask)
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
            Events::These(seqs) => (seqs.clone(), None),
            Events::Between { from, to, after, limit } => {
                self.between(listed, *from, *to, *after, (*limit).min(room))?
            }
        };
        let events = lane.enqueue(&seqs) as u64;
        if events > 0 {
            self.write_lane(&key, &lane)?;
            self.remember(&key, lane)?;
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

    /// The lanes, read from the table once.
    fn lanes(&self) -> Result<std::cell::Ref<'_, BTreeMap<Key, Lane>>> {
        if self.delivery.lanes.borrow().is_none() {
            let mut lanes = BTreeMap::new();
            if self.schema.exists(&self.sql)? {
                for columns in sqlite::rows(&self.sql, schema::LANES, Vec::new())? {
                    let mut columns = columns?;
                    let key = (columns.text(), columns.text());
                    let lane = serde_json::from_str(&columns.text())
                        .map_err(|_| Problem::new(Code::Internal, "a lane cannot be read"))?;
                    lanes.insert(key, lane);
                }
            }
            self.delivery.lanes.replace(Some(lanes));
        }
        let missing = || Problem::new(Code::Internal, "the lanes are not there");
        std::cell::Ref::filter_map(self.delivery.lanes.borrow(), Option::as_ref).map_err(|_| missing())
    }

    /// A copy: what is borrowed could not be changed meanwhile.
    fn lane(&self, key: &Key) -> Result<Option<Lane>> {
        let lanes = self.lanes()?;
        Ok(lanes.get(key).cloned())
    }

    fn remember(&self, key: &Key, lane: Lane) -> Result<()> {
        drop(self.lanes()?);
        if let Some(lanes) = self.delivery.lanes.borrow_mut().as_mut() {
            lanes.insert(key.clone(), lane);
        }
        Ok(())
    }

    fn write_lane(&self, (integration, job): &Key, lane: &Lane) -> Result<()> {
        let json = serde_json::to_string(lane)
            .map_err(|_| Problem::new(Code::Internal, "the lane cannot be written"))?;
        let values = vec![integration.as_str().into(), job.as_str().into(), json.into()];
        sqlite::run(&self.sql, schema::WRITE_LANE, values).map(drop)
    }

    fn drop_lane(&self, key: &Key) -> Result<()> {
        let values = vec![key.0.as_str().into(), key.1.as_str().into()];
        sqlite::run(&self.sql, schema::DROP_LANE, values)?;
        if let Some(lanes) = self.delivery.lanes.borrow_mut().as_mut() {
            lanes.remove(key);
        }
        Ok(())
    }

    /// The lane of an integration that this device has not met.
    fn begin(&self, listed: &Listed, pruned_to: u64) -> Result<Lane> {
        Ok(Lane::behind(self.last_before(listed.stored.from, pruned_to)?, listed.stored.from))
    }

    /// What an integration will not get of a part of the log.
    fn passed(&self, listed: &Listed, device: &str, after: u64, to: u64, why: Why) -> Result<Passed> {
        let mut count = 0;
        if to > after {
            let values = vec![integer(after), listed.filter.prefixes_json().into()];
            for columns in sqlite::rows(&self.sql, schema::NEXT_FOR, values)? {
                let row = history::row(columns?);
                if row.seq > to {
                    break;
                }
                count += u64::from(listed.takes(&row));
            }
        }
        let (integration, device) = (listed.stored.id.clone(), device.to_owned());
        let at = isolate::now();
        Ok(Passed { integration, device, at, to, count, why })
    }

    /// Counts what retention is about to take before it was delivered: everything from one place to another. Part of the
    /// turn that prunes, in which what is known of the device is out of its place.
    pub(super) fn expire_lanes(&self, device: &str, from: u64, pruned_to: u64) -> Result<()> {
        let Some(snapshot) = isolate::known_snapshot() else { return Ok(()) };
        for listed in
            snapshot.integrations.iter().filter(|listed| !listed.respond && listed.filter.is_for(device))
        {
            let key = (listed.stored.id.clone(), String::new());
            let known = self.lane(&key)?;
            let mut lane = match known {
                Some(lane) => lane,
                None => self.begin(listed, from)?,
            };
            if lane.done < pruned_to {
                let passed = self.passed(listed, device, lane.done, pruned_to, Why::Expired)?;
                if passed.count > 0 {
                    lane.pass(passed);
                    self.write_lane(&key, &lane)?;
                    self.remember(&key, lane)?;
                }
            }
        }
        Ok(())
    }

    /// The newest event that was accepted no later than this; looked for from the new end.
    fn last_before(&self, at: Time, pruned_to: u64) -> Result<u64> {
        let row = sqlite::first(&self.sql, schema::LAST_UNTIL, vec![Value::Integer(at.millis())])?;
        Ok(row.map_or(pruned_to, |mut columns| columns.unsigned().max(pruned_to)))
    }

    /// The next event behind a place that the integration is for.
    fn next_for(&self, listed: &Listed, after: u64) -> Result<Option<Row>> {
        let values = vec![integer(after), listed.filter.prefixes_json().into()];
        for columns in sqlite::rows(&self.sql, schema::NEXT_FOR, values)? {
            let row = history::row(columns?);
            if listed.takes(&row) {
                return Ok(Some(row));
            }
        }
        Ok(None)
    }

    fn row(&self, seq: u64) -> Result<Option<Row>> {
        Ok(sqlite::first(&self.sql, schema::ROW, vec![integer(seq)])?.map(history::row))
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
