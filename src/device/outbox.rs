//! From the device's log to its shard, behind the reply. The log is the outbox: what is not confirmed is read
//! from it again, after a crash as after a failure (DESIGN.md, "From device to fleet").

use super::{Inner, Loaded, history, schema};
use crate::isolate;
use crate::rpc;
use crate::sqlite::{self, integer};
use fieldhook_core::clock::Time;
use fieldhook_core::fleet::append::{Append, BYTES_MAX, Confirmed, EVENTS_MAX, Sent};
use fieldhook_core::fleet::outbox::{IN_FLIGHT_MAX, Membership, Step, next};
use fieldhook_core::fleet::shard_of;
use fieldhook_core::problem::{Code, Problem, Result};
use fieldhook_core::retention::CONFIRM_AGAIN;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use worker::console_error;

/// What is only in memory: after a wake the shard is asked, or corrects a guess.
#[derive(Default)]
pub(super) struct Outbox {
    confirmed: Cell<Option<Confirmed>>,
    /// Since when an append is under way.
    sending: Cell<Option<Time>>,
    /// The newest events, so that they need not be read again, with what was replied to them.
    fresh: RefCell<Vec<Sent>>,
}

impl Outbox {
    /// Takes in what has just been written.
    pub(super) fn add(&self, events: Vec<Sent>) {
        let mut fresh = self.fresh.borrow_mut();
        fresh.extend(events);
        if fresh.len() > EVENTS_MAX {
            // The shard is behind; it will be sent rows of the log.
            fresh.clear();
        }
    }

    /// Memory of a life that is over, or may differ from the tables.
    pub(super) fn forget(&self) {
        self.confirmed.set(None);
        self.fresh.borrow_mut().clear();
    }

    /// The fresh events right behind `after`, if they are there.
    fn take_fresh(&self, after: u64) -> Vec<Sent> {
        let mut fresh = std::mem::take(&mut *self.fresh.borrow_mut());
        fresh.retain(|sent| sent.seq > after);
        let mut size = 0;
        fresh.retain(|sent| {
            size += sent.size();
            size <= BYTES_MAX || size == sent.size()
        });
        match fresh.first() {
            Some(first) if first.seq == after + 1 => fresh,
            _ => Vec::new(),
        }
    }
}

/// What an append says of the device itself.
struct Sender {
    device: String,
    born: Time,
    first_heard: Option<Time>,
    member: Membership,
    pruned_to: u64,
    last: u64,
}

impl Inner {
    /// Gives a device that is new its life and its shard.
    pub(super) fn settle(&self, loaded: &mut Loaded, now: Time) -> Result<()> {
        if loaded.device.born.is_none() {
            loaded.device.change().born = Some(now);
        }
        if loaded.device.member.is_none() {
            let shard = shard_of(&loaded.device.device, self.settings()?.fleet_shards);
            loaded.device.change().member = Some(Membership::first(shard));
        }
        Ok(())
    }

    /// Brings the shard up to date behind the answer; nothing if that is under way. `guess` is up to where the
    /// shard most likely has the log.
    pub(super) fn send_off(self: &Rc<Self>, guess: Option<u64>, now: Time) {
        if self.is_sending(now) {
            return;
        }
        self.outbox.sending.set(Some(now));
        let this = self.clone();
        self.state.wait_until(async move {
            if let Err(problem) = this.send(guess).await {
                // The safety alarm was set with the commit; it comes here again.
                console_error!("the shard was not told: {}", problem.detail);
            }
        });
    }

    /// For the safety alarm: sends what is missing, and answers whether the shard has everything now.
    pub(super) async fn make_sure(self: &Rc<Self>) -> bool {
        let now = isolate::now();
        if self.is_sending(now) {
            return false;
        }
        self.outbox.sending.set(Some(now));
        match self.send(None).await {
            Ok(()) => true,
            Err(problem) => {
                console_error!("the shard was not told: {}", problem.detail);
                false
            }
        }
    }

    fn is_sending(&self, now: Time) -> bool {
        self.outbox.sending.get().is_some_and(|since| since.distance(now) < IN_FLIGHT_MAX)
    }

    async fn send(self: &Rc<Self>, guess: Option<u64>) -> Result<()> {
        let sent = self.steps(guess).await;
        self.outbox.sending.set(None);
        sent
    }

    async fn steps(self: &Rc<Self>, mut guess: Option<u64>) -> Result<()> {
        let shards = self.settings()?.fleet_shards;
        // Looked at anew at each step: what was true before an object call need not be true after it.
        while let Some(step) = self.next_step(shards, guess.take())? {
            let Some(sender) = self.sender()? else { break };
            match step {
                Step::Append { after } => self.append(sender, after).await?,
                Step::Move { shard } => {
                    let at = self.outbox.confirmed.get().map_or(Time::from_millis(0), |it| it.at);
                    self.join(sender.member.moved(shard, sender.last, at))?;
                    self.outbox.confirmed.set(None);
                }
                Step::Leave { shard } => {
                    let fleet = rpc::fleet(&self.env, &shard)?;
                    fleet.leave(&sender.device, sender.born.millis()).await?;
                    self.join(Membership { left: None, ..sender.member })?;
                }
                Step::Done => break,
            }
        }
        Ok(())
    }

    async fn append(self: &Rc<Self>, sender: Sender, after: u64) -> Result<()> {
        let fleet = rpc::fleet(&self.env, &sender.member.shard)?;
        let append = Append {
            device: sender.device,
            born: sender.born,
            base: sender.member.base.max(sender.pruned_to),
            not_before: sender.member.not_before,
            first_heard: sender.first_heard,
            sent: self.run_behind(after)?,
        };
        let confirmed = fleet.append(&append).await?;
        match self.about(|loaded| (loaded.device.born, loaded.last_seq()))? {
            Some((Some(born), last)) if born == append.born => {
                let confirmed = confirmed
                    .ok_or_else(|| Problem::new(Code::Unavailable, "the shard knows a later life"))?;
                // Never more than there is, so that what comes next is sent.
                let last = confirmed.last.min(last);
                self.outbox.confirmed.set(Some(Confirmed { last, ..confirmed }));
                Ok(())
            }
            // Deleted while the shard was being told: it must forget again.
            _ => fleet.forget(&append.device, append.born.millis()).await.map(drop),
        }
    }

    /// The events behind `after`, as many as one append takes.
    fn run_behind(&self, after: u64) -> Result<Vec<Sent>> {
        let fresh = self.outbox.take_fresh(after);
        if !fresh.is_empty() {
            return Ok(fresh);
        }
        let (mut run, mut size) = (Vec::new(), 0);
        let values = vec![integer(after), integer(EVENTS_MAX as u64)];
        for columns in sqlite::rows(&self.sql, schema::BEHIND, values)? {
            let Some(sent) = Sent::of_row(history::row(columns?)) else {
                return Err(Problem::new(Code::Internal, "a row cannot be read"));
            };
            size += sent.size();
            if size > BYTES_MAX && !run.is_empty() {
                break;
            }
            run.push(sent);
        }
        Ok(run)
    }

    /// `None` where nothing is left to do.
    fn next_step(&self, shards: u32, guess: Option<u64>) -> Result<Option<Step>> {
        let confirmed = self.outbox.confirmed.get().map(|confirmed| confirmed.last);
        let step = self.about(|loaded| {
            let (member, home) = (loaded.device.member.as_ref()?, shard_of(&loaded.device.device, shards));
            Some(next(member, &home, confirmed, guess, loaded.last_seq()))
        })?;
        Ok(step.flatten().filter(|step| *step != Step::Done))
    }

    fn sender(&self) -> Result<Option<Sender>> {
        let sender = self.about(|loaded| {
            let device = &loaded.device;
            Some(Sender {
                device: device.device.clone(),
                born: device.born?,
                first_heard: device.first_heard,
                member: device.member.clone()?,
                pruned_to: device.pruned_to,
                last: loaded.last_seq(),
            })
        })?;
        Ok(sender.flatten())
    }

    fn join(&self, member: Membership) -> Result<()> {
        // Out while it changes: after an error the next call reads the tables.
        let Some(mut loaded) = self.loaded.take() else { return Ok(()) };
        loaded.device.change().member = Some(member);
        self.keep(loaded)
    }

    /// When to make sure again.
    pub(super) fn make_sure_at(now: Time) -> Time {
        now.plus_millis(CONFIRM_AGAIN)
    }
}
