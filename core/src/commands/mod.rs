//! The command queue of a device: at least once, in order, bounded (DESIGN.md, "Device twin and commands").
//!
//! A device is told everything that waits from the oldest command on, as far as it fits; it acknowledges by
//! id, and drops an id it has seen. Where the oldest cannot be told yet, because it was sent a moment ago,
//! the ones behind it wait too: their reply could overtake or outlive the one before, and the device would
//! do them out of order.
//!
//! Not here: which commands one reply carries beside the twin's delta ([`crate::due`]).

mod command;
mod request;

pub use command::{Command, State};
pub use request::{ARGS_DEPTH_MAX, NAME_MAX, Request, TTL_DEFAULT, TTL_MAX};

use crate::clock::Time;
use crate::home::Room;
use crate::json;
use crate::problem::{Code, Problem, Result};
use crate::reply::Framing;
use serde::{Deserialize, Serialize};

/// The most commands that wait for a device.
pub const WAITING_MAX: usize = 50;
/// The most finished commands that stay listed; the oldest go first.
pub const FINISHED_MAX: usize = 100;
/// How often a command is sent before it counts as failed.
pub const SENDS_MAX: u32 = 10;
/// The least time between two sends of one command, milliseconds; also how long the last one has to be
/// acknowledged.
pub const SEND_GAP: i64 = 10_000;

/// All commands of a device, in the order of their ids.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Queue {
    /// The last id given out. Ids start at 1 and never come again, also after a deletion, or a device would
    /// take a new command for one it has seen.
    last_id: u64,
    commands: Vec<Command>,
    /// The next reply that has no room for everything serves the twin first.
    #[serde(default)]
    pub(crate) twin_first: bool,
}

impl Queue {
    /// What outlives the deletion of the device here: the last id.
    pub fn after_deletion(&self) -> Queue {
        Queue { last_id: self.last_id, ..Queue::default() }
    }

    /// Adds a command, and returns its id. A reply of `budget` bytes must be able to carry it.
    ///
    /// # Errors
    /// `queue-full`, `command-too-large`; then nothing has changed.
    pub fn create(&mut self, request: Request, framing: Framing, budget: usize, now: Time) -> Result<u64> {
        if self.waiting(now) >= WAITING_MAX {
            return Err(full());
        }
        let command = self.fitting(request, self.last_id + 1, framing, budget, now)?;
        self.push(command);
        self.bound(now);
        Ok(self.last_id)
    }

    /// Replaces what waits: all of it is cancelled, and the new commands get ids of their own.
    ///
    /// # Errors
    /// As [`Queue::create`], for the first command that cannot be accepted; then nothing has changed.
    pub fn replace(
        &mut self,
        requests: Vec<Request>,
        framing: Framing,
        budget: usize,
        now: Time,
    ) -> Result<Vec<u64>> {
        if requests.len() > WAITING_MAX {
            return Err(full());
        }
        let numbered = (self.last_id + 1..).zip(requests);
        let commands: Vec<Command> = numbered
            .map(|(id, request)| self.fitting(request, id, framing, budget, now))
            .collect::<Result<_>>()?;
        self.cancel_all(now);
        let ids = commands.iter().map(|command| command.id).collect();
        commands.into_iter().for_each(|command| self.push(command));
        self.bound(now);
        Ok(ids)
    }

    /// Takes a command back; one that is finished stays as it is. A device that was told already may do it
    /// all the same, and its acknowledgement will say so.
    ///
    /// # Errors
    /// `unknown-command`.
    pub fn cancel(&mut self, id: u64, now: Time) -> Result<&Command> {
        match self.commands.iter_mut().find(|command| command.id == id) {
            Some(command) => {
                command.cancel(now);
                Ok(command)
            }
            None => Err(unknown(id)),
        }
    }

    /// Takes back everything that waits; returns how many that were.
    pub fn cancel_all(&mut self, now: Time) -> usize {
        let before = self.waiting(now);
        self.commands.iter_mut().for_each(|command| command.cancel(now));
        before
    }

    /// Notes what the device says it has done; ids that mean nothing are passed over. Returns how many
    /// commands that finished.
    pub fn ack(&mut self, ids: &[u64], now: Time) -> usize {
        let before = self.waiting(now);
        for command in self.commands.iter_mut().filter(|command| ids.contains(&command.id)) {
            command.ack(now);
        }
        before - self.waiting(now)
    }

    /// The commands to tell the device now, in order: from the oldest that waits to the first that may not
    /// be sent.
    pub fn due(&self, now: Time) -> Vec<&Command> {
        let waiting = self.commands.iter().filter(|command| command.is_waiting(now));
        waiting.take_while(|command| command.may_be_sent(now)).collect()
    }

    /// Notes what a reply carries.
    pub fn mark_sent(&mut self, ids: &[u64], now: Time) {
        for command in self.commands.iter_mut().filter(|command| ids.contains(&command.id)) {
            command.sent(now);
        }
    }

    /// How many commands wait.
    pub fn waiting(&self, now: Time) -> usize {
        self.commands.iter().filter(|command| command.is_waiting(now)).count()
    }

    /// Drops commands that finished `retention` milliseconds ago; returns whether there were any.
    pub fn prune(&mut self, now: Time, retention: i64) -> bool {
        let before = self.commands.len();
        self.commands.retain(|command| match command.state(now) {
            (_, Some(finished)) => finished.plus_millis(retention) > now,
            (_, None) => true,
        });
        self.commands.len() < before
    }

    pub(crate) fn last_id(&self) -> u64 {
        self.last_id
    }

    /// # Errors
    /// `unknown-command`.
    pub fn get(&self, id: u64) -> Result<&Command> {
        self.commands.iter().find(|command| command.id == id).ok_or_else(|| unknown(id))
    }

    pub fn iter(&self) -> impl Iterator<Item = &Command> {
        self.commands.iter()
    }

    /// A page of the list after the id `after`, JSON (DESIGN.md, "Shapes": a list). `next` is the id to go
    /// on after, as text. `room` is what the replies to the device have for it, as in [`Command::show`].
    pub fn list(&self, after: u64, limit: usize, room: Option<Room>, now: Time) -> String {
        #[derive(Serialize)]
        struct Page<'a> {
            commands: Vec<command::Shown<'a>>,
            next: Option<String>,
        }
        let mut rest = self.commands.iter().filter(|command| command.id > after);
        let page: Vec<&Command> = rest.by_ref().take(limit).collect();
        let more = rest.next().is_some();
        let next = page.last().filter(|_| more).map(|command| command.id.to_string());
        let commands = page.into_iter().map(|command| command.shown(room, now)).collect();
        serde_json::to_string(&Page { commands, next }).unwrap_or_default()
    }

    /// The queue as one JSON text to store.
    pub fn to_stored(&self) -> Result<String> {
        serde_json::to_string(self).map_err(|_| Problem::new(Code::Internal, "the queue cannot be stored"))
    }

    /// Reads what [`Queue::to_stored`] wrote.
    ///
    /// # Errors
    /// `internal` for a text that this version cannot read.
    pub fn from_stored(text: &str) -> Result<Self> {
        json::read(text).map_err(|_| Problem::new(Code::Internal, "the queue cannot be read"))
    }

    fn fitting(
        &self,
        request: Request,
        id: u64,
        framing: Framing,
        budget: usize,
        now: Time,
    ) -> Result<Command> {
        let command = Command::new(id, request.name, request.args, now, request.ttl);
        if Room::new(framing, budget).carries(&alone(&command.reply_text())) {
            return Ok(command);
        }
        let why = format!("with its arguments the command fits no reply of {budget} bytes");
        Err(Problem::field(Code::CommandTooLarge, "args", why))
    }

    fn push(&mut self, command: Command) {
        self.last_id = command.id;
        self.commands.push(command);
    }

    fn bound(&mut self, now: Time) {
        let finished = self.commands.len() - self.waiting(now);
        let mut surplus = finished.saturating_sub(FINISHED_MAX);
        self.commands.retain(|command| {
            let goes = surplus > 0 && !command.is_waiting(now);
            surplus -= usize::from(goes);
            !goes
        });
    }
}

/// The smallest reply that carries a command, if others wait behind it.
pub(crate) fn alone(command: &str) -> String {
    format!("{{\"c\":[{command}],\"more\":1}}")
}

fn full() -> Problem {
    Problem::new(Code::QueueFull, format!("at most {WAITING_MAX} commands wait for a device"))
}

fn unknown(id: u64) -> Problem {
    Problem::new(Code::UnknownCommand, format!("the device has no command {id}"))
}
