//! From the device's log to the services that its owner has defined: each integration at its own place, in order, off
//! the reply's path (DESIGN.md, "Delivery").
//!
//! The log is the outbox here too. A lane's row says how far an integration has come and what its last attempt came to;
//! it is written once per attempt, after the answer. What a crash interrupts is attempted again with the same
//! `webhook-id`: the safety alarm, which is armed while anything is under way, comes here.

mod attempt;
mod lanes;
mod replay;
mod running;

use super::Inner;
use crate::isolate;
use fieldhook_core::clock::Time;
use fieldhook_core::delivery::lane::{Lane, Step};
use fieldhook_core::delivery::report::{Report, Why};
use fieldhook_core::integration::stored::Listed;
use fieldhook_core::log::Row;
use fieldhook_core::problem::Result;
use futures_util::future::join_all;
use running::{Run, Running};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use worker::console_error;

/// A run goes on for so long before it hands over to the alarm, milliseconds: the platform ends a handler after
/// fifteen minutes.
const RUN_MAX: i64 = 60_000;
/// Work that has made no step for so long, and for the time a request may take, hangs: whoever comes next does it,
/// milliseconds.
const HUNG_AFTER: i64 = 120_000;
/// How long after a failure of our own (a shard that does not answer, a key that does not open) a lane is looked at
/// again, milliseconds.
const LOOK_AGAIN: i64 = 5_000;

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
    pub(super) fn deliver_behind(self: &Rc<Self>, first_seq: u64, names: &[String], now: Time) {
        let concerned = isolate::known_snapshot(now).map(|snapshot| {
            let all = snapshot.integrations.iter();
            let concerned = all.filter(|listed| !self.passes(listed, first_seq, names));
            concerned.map(|listed| (listed.stored.id.clone(), String::new())).collect::<Vec<Key>>()
        });
        if concerned.as_ref().is_some_and(Vec::is_empty) {
            return;
        }
        let this = self.clone();
        self.state.wait_until(async move {
            match concerned {
                Some(keys) => drop(join_all(keys.iter().map(|key| this.run(key))).await),
                None => this.deliver(0).await,
            }
        });
    }

    /// Whether new events leave an integration's lane where it is, as far as is remembered; no table is asked.
    fn passes(&self, listed: &Listed, first_seq: u64, names: &[String]) -> bool {
        let device = self.about(|loaded| listed.filter.is_for(&loaded.device.device));
        if listed.respond || matches!(device, Ok(Some(false))) {
            return true;
        }
        let is_for =
            |name: &String| listed.filter.events.iter().any(|prefix| name.starts_with(prefix.as_str()));
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

    /// After something that may pass.
    pub(in crate::device) fn look_again(&self) -> Result<()> {
        let now = isolate::now();
        self.arm_by(now.plus_millis(LOOK_AGAIN), now)
    }

    /// Works on every lane that has something to do. `version` is that of the configuration at least; 0 is as good as
    /// any that is not older than it may be.
    pub(super) async fn deliver(self: &Rc<Self>, version: u64) {
        if let Err(problem) = self.deliver_all(version).await {
            console_error!("nothing was delivered: {}", problem.detail);
            let _ = self.look_again();
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
            let _ = self.arm_by(began.plus_millis(hung_after), began);
            return;
        };
        loop {
            if let Err(problem) = self.work(key, &running, began).await {
                console_error!("a lane stands still: {}", problem.detail);
                let _ = self.look_again();
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
                if matches!(next, Next::Attempt { .. }) {
                    // For as long as it waits, times may come to say something else.
                    self.keep_place(key)?;
                }
                return Ok(());
            }
            match next {
                Next::Attempt { .. } if began.distance(isolate::now()) > RUN_MAX => {
                    let now = isolate::now();
                    return self.arm_by(now, now);
                }
                Next::Attempt { row, tries } => {
                    notices = self.attempt(listed, key, row, tries, &snapshot.hosts).await?;
                }
                Next::Wait(until) => return self.arm_by(until, isolate::now()),
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
            let to = self.skipped_to(&lane, listed.stored.from, pruned_to)?;
            lane.pass(self.passed(listed, &device, &lane, to, Why::Skipped)?);
            lane.from = listed.stored.from;
            self.keep_lane(key, lane.clone())?;
            lane.is_kept = true;
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
                    let found = self.next_for(listed, after, &lane.marks)?;
                    lane.passed_over(found.as_ref().map_or(head, |row| row.seq.saturating_sub(1)));
                    match lane.settle() {
                        true => self.keep_lane(key, lane)?,
                        false => self.remember(key, lane)?,
                    }
                    return Ok(match found {
                        Some(row) => Next::Attempt { row, tries: 0 },
                        None => Next::Nothing,
                    });
                }
            }
        }
    }
}
