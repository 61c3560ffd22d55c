//! Many shards, one stream: a reader takes their messages in whatever order they come, and gives events in one
//! that is right for every device.
//!
//! While a shard is behind, events wait for it and are merged by the time their shards took them, so that a device
//! which moved from one shard to another keeps its order. A shard that is at its head holds nobody back: what it
//! pushes is newer than what was read.
//!
//! Reading is pulled, page by page, and only as fast as the client takes it: a shard has one page here at most. What
//! live shards push meanwhile is held up to [`HELD_MAX`]; beyond that, a live shard is sent back to be read from where
//! its events stopped being passed on. Only pushes count for that: a page that is dropped is asked for again at once,
//! and two shards that make room for each other so would never end.

use super::cursor::Cursor;
use super::wire::{Kind, Message};
use crate::settings::FLEET_SHARDS_MAX;
use std::collections::VecDeque;

/// How much of what was pushed may wait for a shard that is behind, bytes over all shards.
pub const HELD_MAX: usize = 128 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// As events come.
    Ascending,
    /// The newest first, for history only.
    Descending,
}

/// The reader of a stream.
#[derive(Debug)]
pub struct Reader {
    order: Order,
    shards: Vec<Shard>,
    /// Up to here events were given out. Ascending: up to and including. Descending: down to and excluding.
    cursor: Cursor,
    /// Where the shard of the event given out last stands once the next one is asked for.
    passed: Option<(usize, u64)>,
    /// Bytes of what was pushed and waits.
    held: usize,
}

#[derive(Debug)]
struct Shard {
    state: State,
    queue: VecDeque<Queued>,
    /// Everything up to here is in the queue or was given out; `None` while the head is not known.
    reached: Option<u64>,
}

impl Shard {
    fn at(reached: Option<u64>) -> Self {
        Shard { state: State::Lost, queue: VecDeque::new(), reached }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// There is no connection.
    Lost,
    /// A page is to be asked for.
    Behind,
    /// A page is under way.
    Asked,
    /// At the head: what is new comes by itself.
    Live,
}

#[derive(Debug)]
enum Queued {
    Event {
        pos: Option<u64>,
        at: i64,
        name: String,
        json: String,
        pushed: bool,
    },
    /// Something before `oldest` has been removed.
    Gap {
        oldest: u64,
        at: i64,
    },
}

impl Queued {
    fn at(&self) -> i64 {
        match self {
            Queued::Event { at, .. } | Queued::Gap { at, .. } => *at,
        }
    }

    /// Bytes that count for [`HELD_MAX`].
    fn held(&self) -> usize {
        match self {
            Queued::Event { name, json, pushed: true, .. } => name.len() + json.len(),
            Queued::Event { .. } | Queued::Gap { .. } => 0,
        }
    }
}

/// What a reader gives out. [`Reader::cursor`] is then the place right behind it.
#[derive(Debug, PartialEq, Eq)]
pub enum Item {
    Event {
        name: String,
        json: String,
        /// It is in the log; what is not has no place to resume from.
        kept: bool,
    },
    /// Events were removed before they could be read; the cursor is the oldest place there is.
    Gap,
}

/// A message that no shard of this version sends.
#[derive(Debug, PartialEq, Eq)]
pub struct Broken;

impl Reader {
    /// A reader of so many shards; of more, where the cursor knows more. Without a cursor it begins at the heads.
    pub fn new(shards: usize, after: Option<Cursor>, order: Order) -> Self {
        let shards = shards.max(after.as_ref().map_or(0, Cursor::shards));
        let shard = |index| Shard::at(after.as_ref().map(|cursor| cursor.position(index)));
        Reader {
            order,
            shards: (0..shards).map(shard).collect(),
            cursor: after.clone().unwrap_or_default(),
            passed: None,
            held: 0,
        }
    }

    pub fn shards(&self) -> usize {
        self.shards.len()
    }

    /// There are so many shards, which may be more than it began with. One that came while the others were read is
    /// read from its beginning, since devices move there from the others; before that, all begin alike.
    pub fn grow(&mut self, shards: usize) {
        let has_begun = self.shards.iter().any(|shard| shard.reached.is_some());
        let most = shards.min(FLEET_SHARDS_MAX as usize);
        while self.shards.len() < most {
            self.shards.push(Shard::at(has_begun.then_some(0)));
        }
    }

    pub fn cursor(&self) -> &Cursor {
        &self.cursor
    }

    /// Where to go on: behind what was given out, and what was looked at since and not shown.
    pub fn place(&mut self) -> &Cursor {
        self.settle();
        &self.cursor
    }

    /// Whether the cursor names a place in every shard: not until each was heard of for the first time.
    pub fn has_place(&self) -> bool {
        self.shards.iter().all(|shard| shard.reached.is_some())
    }

    /// Where a connection to a shard begins: behind a position, or at the head.
    pub fn begins(&self, shard: usize) -> Option<u64> {
        self.shards.get(shard)?.reached
    }

    /// A shard is connected, at the place that [`Reader::begins`] said. From the head it greets by itself.
    pub fn connected(&mut self, shard: usize) {
        if let Some(shard) = self.shards.get_mut(shard) {
            shard.state = if shard.reached.is_some() { State::Behind } else { State::Asked };
        }
    }

    /// A connection has ended. What it brought stays; the next one goes on behind it.
    pub fn lost(&mut self, shard: usize) {
        if let Some(shard) = self.shards.get_mut(shard) {
            shard.state = State::Lost;
        }
    }

    pub fn is_live(&self) -> bool {
        self.shards.iter().all(|shard| shard.state == State::Live)
    }

    /// Everything was given out that there was.
    pub fn is_done(&self) -> bool {
        self.is_live() && self.shards.iter().all(|shard| shard.queue.is_empty())
    }

    /// The pages to ask for, as shard and position; from then on they count as asked for.
    ///
    /// `may_read` is false while the client has enough to take.
    pub fn ask(&mut self, may_read: bool) -> Vec<(usize, u64)> {
        if self.held > HELD_MAX {
            self.send_back();
        }
        let mut asked = Vec::new();
        for (index, shard) in self.shards.iter_mut().enumerate().filter(|_| may_read) {
            if let (State::Behind, true, Some(reached)) = (shard.state, shard.queue.is_empty(), shard.reached)
            {
                shard.state = State::Asked;
                asked.push((index, reached));
            }
        }
        asked
    }

    /// The live shard that pushed most of what waits is read again from where its events stopped being given out.
    fn send_back(&mut self) {
        self.settle();
        let live = self.shards.iter_mut().enumerate().filter(|(_, shard)| shard.state == State::Live);
        let holding =
            live.map(|(index, shard)| (shard.queue.iter().map(Queued::held).sum::<usize>(), index, shard));
        if let Some((held, index, shard)) =
            holding.max_by_key(|(held, ..)| *held).filter(|(held, ..)| *held > 0)
        {
            shard.queue.clear();
            self.held = self.held.saturating_sub(held);
            shard.state = State::Behind;
            shard.reached = Some(self.cursor.position(index));
        }
    }

    /// Takes a message of a shard; [`Reader::pop`] has what it leads to.
    ///
    /// # Errors
    /// [`Broken`]: the connection is of no use.
    pub fn receive(&mut self, index: usize, text: &str) -> Result<(), Broken> {
        let message = Message::read(text).ok_or(Broken)?;
        self.settle();
        let shard = self.shards.get_mut(index).ok_or(Broken)?;
        match (message.kind, shard.state) {
            (Kind::Page { head, .. }, State::Asked) => {
                shard.state = if head { State::Live } else { State::Behind };
            }
            (Kind::Push, State::Live) => {}
            // It was pushed before the shard heard that it is to be read again: the page will have it.
            (Kind::Push, State::Asked | State::Behind) => return Ok(()),
            _ => return Err(Broken),
        }
        if let Kind::Page { from, gap, .. } = message.kind {
            if gap {
                // Before anything else that comes from there.
                shard.queue.push_back(Queued::Gap { oldest: from, at: 0 });
                shard.reached = Some(from);
            } else if shard.reached.is_none_or(|reached| self.order == Order::Descending && from < reached) {
                shard.reached = Some(from);
                self.cursor.set(index, from);
            }
        }
        let reached = shard.reached.unwrap_or(0);
        let pushed = message.kind == Kind::Push;
        for line in message.lines() {
            let is_new = |pos| match self.order {
                Order::Ascending => pos > reached,
                Order::Descending => pos <= reached,
            };
            if line.pos.is_none_or(is_new) {
                let (name, json) = (line.name.to_owned(), line.json.to_owned());
                let event = Queued::Event { pos: line.pos, at: line.at, name, json, pushed };
                self.held += event.held();
                shard.queue.push_back(event);
            }
        }
        shard.reached = Some(match self.order {
            Order::Ascending => message.to.max(reached),
            Order::Descending => message.to.min(reached),
        });
        if shard.queue.is_empty() {
            self.cursor.set(index, shard.reached.unwrap_or(0));
        }
        Ok(())
    }

    /// The next event whose turn is certain.
    pub fn pop(&mut self) -> Option<Item> {
        self.settle();
        let index = self.turn()?;
        let shard = self.shards.get_mut(index)?;
        let queued = shard.queue.pop_front()?;
        self.held = self.held.saturating_sub(queued.held());
        let is_last = shard.queue.is_empty();
        let (item, pos) = match queued {
            Queued::Gap { oldest, .. } => (Item::Gap, Some(oldest)),
            Queued::Event { pos, name, json, .. } => (Item::Event { name, json, kept: pos.is_some() }, pos),
        };
        if let Some(pos) = pos {
            self.cursor.set(index, pos);
        }
        let behind = match self.order {
            _ if is_last => shard.reached,
            Order::Ascending => None,
            Order::Descending => pos.map(|pos| pos.saturating_sub(1)),
        };
        self.passed = behind.map(|behind| (index, behind));
        Some(item)
    }

    /// The shard whose first event comes next; `None` while one is missing that might have an earlier one.
    fn turn(&self) -> Option<usize> {
        let mut best: Option<(i64, usize)> = None;
        for (index, shard) in self.shards.iter().enumerate() {
            let Some(first) = shard.queue.front() else {
                if shard.state == State::Live {
                    continue;
                }
                return None;
            };
            let place = (first.at(), index);
            let is_better = |best: (i64, usize)| match self.order {
                Order::Ascending => place < best,
                Order::Descending => place > best,
            };
            if best.is_none_or(is_better) {
                best = Some(place);
            }
        }
        best.map(|(_, index)| index)
    }

    /// How far everything was given out, of a reader whose only shard is live: what is pushed next says all that it will
    /// be told. `None` for any other.
    pub fn lone(&self) -> Option<u64> {
        let [shard] = self.shards.as_slice() else { return None };
        (shard.state == State::Live && shard.queue.is_empty()).then_some(shard.reached)?
    }

    /// What another reader at the same [`Reader::lone`] place was pushed was given to this one too, and reaches so far.
    pub fn follow(&mut self, to: u64) {
        if let [shard] = self.shards.as_mut_slice() {
            shard.reached = Some(to);
            self.passed = None;
            self.cursor.set(0, to);
        }
    }

    /// The event given out last is passed: so is what was looked at behind it and not shown.
    fn settle(&mut self) {
        if let Some((shard, position)) = self.passed.take() {
            self.cursor.set(shard, position);
        }
    }
}
