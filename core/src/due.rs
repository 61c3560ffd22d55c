//! One reply of what is due to a device: `{"v":17,"d":{…},"c":[{"id":5,"n":"reboot","a":…}],"more":1}`
//! (DESIGN.md, "The reply").
//!
//! Only whole items go in. `v` is there if `d` is complete up to that version, `more` if something that fits a
//! reply was left for the next one. An item that would not fit even alone is no reason for either: a device that
//! asks again because of `more` would do so for ever. Nor is one that the device has reported and that is merely in
//! doubt while `v` is held back: it waits for the `v`.
//!
//! # Who goes first
//!
//! Where the delta and the commands do not fit together, one of them is served first and the other gets the
//! rest of the room, and the next time it is the other way round. First it is the commands, which expire.
//! Within the delta what was sent longest ago comes first, within the commands the oldest. So the first item
//! of each side is sent at least in every second reply that has no room for all, and nothing starves.

use crate::clock::Time;
use crate::commands::{Queue, alone};
use crate::home::Room;
use crate::reply::{FRAME_HEADER, Framing, Reply, TooLarge};
use crate::template::RenderError;
use crate::twin::{Carried, Item, Path, Tree, Twin};
use serde::Serialize;

/// What one reply carries. It has not been sent until [`Due::mark_sent`] is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    pub text: String,
    /// The ids of the commands in it.
    pub commands: Vec<u64>,
    /// What of the delta is in it.
    pub delta: Carried,
    /// Something is left for the next one.
    pub more: bool,
    /// There was no room for all; then, which side had the first choice.
    crowded: Option<Side>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Twin,
    Commands,
}

impl Due {
    /// Notes in twin and queue what this reply carries. To be stored in the same commit as the event that it
    /// answers: what is sent and not noted would be believed too early or sent too often.
    pub fn mark_sent(&self, twin: &mut Twin, queue: &mut Queue, now: Time) {
        twin.mark_sent(&self.delta, now);
        queue.mark_sent(&self.commands, now);
        if let Some(first) = self.crowded {
            queue.twin_first = first == Side::Commands;
        }
    }
}

/// What is due, as a reply of its own of at most `budget` bytes; `None` if nothing is due that fits.
///
/// ```
/// use fieldhook_core::{clock::Time, commands::{Queue, Request}, due, reply::Framing, twin::Twin};
/// let (mut twin, mut queue, now) = (Twin::default(), Queue::default(), Time::from_millis(0));
/// assert!(due::compose(&twin, &queue, Framing::Plain, 511, now).is_none());
///
/// twin.patch_desired(r#"{"interval":60}"#, None, now).unwrap();
/// queue.create(Request::read(r#"{"name":"reboot"}"#).unwrap(), Framing::Plain, 511, now).unwrap();
/// let due = due::compose(&twin, &queue, Framing::Plain, 511, now).unwrap();
/// assert_eq!(due.text, r#"{"v":1,"d":{"interval":60},"c":[{"id":1,"n":"reboot"}]}"#);
///
/// // Once told, a command is not told again at once; a desired value is, until the device confirms it.
/// due.mark_sent(&mut twin, &mut queue, now);
/// let due = due::compose(&twin, &queue, Framing::Plain, 511, now).unwrap();
/// assert_eq!(due.text, r#"{"v":1,"d":{"interval":60}}"#);
/// ```
pub fn compose(twin: &Twin, queue: &Queue, framing: Framing, budget: usize, now: Time) -> Option<Due> {
    let most = match framing {
        Framing::Plain => budget,
        Framing::Framed => budget.saturating_sub(FRAME_HEADER),
    };
    largest(twin, queue, most, now, |text| Reply::within(text.to_owned(), framing, budget).is_ok())
}

/// What is due inside a rendered reply: `render` is called with the text for `FIELDHOOK_DUE`, which is empty
/// where nothing is due or nothing fits. `None` beside the reply says that it carries nothing of what is due.
///
/// # Errors
/// [`TooLarge`] if the reply is too large with nothing in that place, or cannot be rendered.
pub fn compose_into(
    twin: &Twin,
    queue: &Queue,
    framing: Framing,
    budget: usize,
    now: Time,
    render: impl Fn(&str) -> Result<String, RenderError>,
) -> Result<(Reply, Option<Due>), TooLarge> {
    let reply = |due: &str| {
        let text = render(due).map_err(|_| TooLarge)?;
        Reply::within(text, framing, budget)
    };
    let without = reply("");
    let Some(due) = largest(twin, queue, budget, now, |text| reply(text).is_ok()) else {
        return without.map(|reply| (reply, None));
    };
    let with = reply(&due.text)?;
    // A template that mentions the variable in a section that is not shown has not told the device.
    let told = without != Ok(with.clone());
    Ok((with, told.then_some(due)))
}

/// How full a reply is, as applications are shown it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Fullness {
    pub bytes: usize,
    pub budget: usize,
    /// What is due does not fit it all.
    pub more: bool,
}

/// How full the reply would be that is composed now. What a template makes of the event may take more of it.
///
/// ```
/// use fieldhook_core::{clock::Time, commands::Queue, due, home::Room, reply::Framing, twin::Twin};
/// let (mut twin, queue, now) = (Twin::default(), Queue::default(), Time::from_millis(0));
/// let room = Room::new(Framing::Plain, 511);
/// assert_eq!(due::fullness(&twin, &queue, room, now), due::Fullness { bytes: 0, budget: 511, more: false });
/// twin.patch_desired(r#"{"interval":60}"#, None, now).unwrap();
/// assert_eq!(due::fullness(&twin, &queue, room, now).bytes, r#"{"v":1,"d":{"interval":60}}"#.len());
/// ```
pub fn fullness(twin: &Twin, queue: &Queue, room: Room, now: Time) -> Fullness {
    let due = largest(twin, queue, room.budget, now, |text| room.carries(text));
    let (text, more) = due.as_ref().map_or(("", false), |due| (due.text.as_str(), due.more));
    Fullness { bytes: room.size(text).unwrap_or(room.around), budget: room.budget, more }
}

/// Whether replies of this room can carry an item of the delta, alone if need be.
pub fn deliverable(twin: &Twin, item: &Item, room: Option<Room>) -> bool {
    let alone = leaf_alone(twin.desired_version(), item);
    room.is_some_and(|room| alone.iter().all(|text| room.carries(text)))
}

/// An item must fit both as all there is and as a part: which of them it is changes with the others.
fn leaf_alone(version: u64, item: &Item) -> [String; 2] {
    let mut tree = Tree::default();
    tree.insert(&item.path, &item.value);
    let patch = tree.text();
    [format!("{{\"v\":{version},\"d\":{patch}}}"), format!("{{\"d\":{patch},\"more\":1}}")]
}

/// The fullest text that `fits`, found by halving: what a text takes once it is rendered and cut into parts
/// is for `fits` to know.
fn largest(twin: &Twin, queue: &Queue, most: usize, now: Time, fits: impl Fn(&str) -> bool) -> Option<Due> {
    let commands: Vec<(u64, String)> =
        queue.due(now).into_iter().map(|command| (command.id, command.reply_text())).collect();
    let says_version = twin.may_say_version(now);
    let mut items = twin.due();
    // Only a `v` settles these. Said without one, and `more` behind it, they would answer every event until then.
    items.retain(|item| says_version || !item.said);
    let draft = |limit| {
        let (version, claimed) = (twin.desired_version(), twin.claimed());
        Draft { limit, version, claimed, says_version, ..Draft::default() }.fill(
            &items,
            &commands,
            queue.twin_first,
        )
    };
    let whole = draft(most)?;
    if fits(&whole.text) {
        return Some(whole);
    }
    let (mut fitting, mut low, mut high) = (None, 0, most);
    while high - low > 1 {
        let limit = low + (high - low) / 2;
        match draft(limit) {
            Some(due) if !fits(&due.text) => high = limit,
            due => {
                fitting = due.or(fitting);
                low = limit;
            }
        }
    }
    fitting
}

/// A reply under construction, of at most `limit` bytes.
#[derive(Default)]
struct Draft {
    limit: usize,
    version: u64,
    /// The version that the device has: it drops a reply with a lower one.
    claimed: u64,
    says_version: bool,
    leaves: Vec<Path>,
    delta: Tree,
    delta_size: usize,
    commands: Vec<(u64, String)>,
    commands_size: usize,
    complete: bool,
    more: bool,
}

impl Draft {
    fn fill(mut self, items: &[Item], commands: &[(u64, String)], twin_first: bool) -> Option<Due> {
        let fits_alone =
            |item: &&Item| leaf_alone(self.version, item).iter().all(|text| text.len() <= self.limit);
        let (items, left_out): (Vec<&Item>, Vec<&Item>) = items.iter().partition(fits_alone);
        // The order stands: nothing overtakes a command that fits no reply.
        let fits_alone = |(_, text): &&(u64, String)| alone(text).len() <= self.limit;
        let commands: Vec<&(u64, String)> = commands.iter().take_while(fits_alone).collect();
        let mut crowded = None;
        if !self.take_all(&items, &commands) {
            let first = if twin_first { Side::Twin } else { Side::Commands };
            crowded = (!items.is_empty() && !commands.is_empty()).then_some(first);
            self.more = true;
            match first {
                Side::Twin => {
                    self.take_leaves(&items);
                    self.take_commands(&commands);
                }
                Side::Commands => {
                    self.take_commands(&commands);
                    self.take_leaves(&items);
                }
            }
        }
        if self.leaves.is_empty() && self.commands.is_empty() {
            return None;
        }
        Some(Due {
            text: self.text(),
            commands: self.commands.iter().map(|(id, _)| *id).collect(),
            delta: Carried {
                v: self.is_versioned().then_some(self.version),
                keys: self.leaves,
                left_out: left_out.into_iter().map(|item| item.path.clone()).collect(),
            },
            more: self.more,
            crowded,
        })
    }

    fn take_all(&mut self, items: &[&Item], commands: &[&(u64, String)]) -> bool {
        for item in items {
            self.push_leaf(item);
        }
        for command in commands {
            self.push_command(command);
        }
        self.complete = true;
        // A `v` that is held back is still to come.
        self.more = !self.says_version && !self.leaves.is_empty();
        if self.size() <= self.limit {
            return true;
        }
        self.clear_leaves();
        self.commands.clear();
        self.commands_size = 0;
        false
    }

    /// All leaves if they fit with the `v` that makes them complete, else those that do, one after another.
    fn take_leaves(&mut self, items: &[&Item]) {
        for item in items {
            self.push_leaf(item);
        }
        self.complete = true;
        if self.size() <= self.limit {
            return;
        }
        self.clear_leaves();
        if self.says_version && self.take_leaves_up_to_a_version(items) {
            return;
        }
        for item in items {
            // `more` stands behind it, so the first leaf brings its frame and a comma.
            let frame = if self.leaves.is_empty() { "\"d\":{},".len() } else { 0 };
            if self.size() + frame + self.delta.cost(&item.path, &item.value) <= self.limit {
                self.push_leaf(item);
            }
        }
    }

    /// All leaves but for some deletions, those of the highest versions: what is in is then complete up to
    /// some version. A device that reports what it has cannot report what it lacks, so that without a `v`
    /// deletions that do not fit one reply would never be confirmed ([`crate::twin`]).
    fn take_leaves_up_to_a_version(&mut self, items: &[&Item]) -> bool {
        let (mut deletions, values): (Vec<&Item>, Vec<&Item>) = items.iter().partition(|item| item.deletion);
        deletions.sort_by_key(|item| item.version);
        for item in values {
            self.push_leaf(item);
        }
        self.complete = true;
        let mut taken = 0;
        for deletions in deletions.chunk_by(|a, b| a.version == b.version) {
            let before = (self.leaves.len(), self.delta.clone(), self.delta_size);
            for item in deletions {
                self.push_leaf(item);
            }
            if self.size() > self.limit {
                self.leaves.truncate(before.0);
                (self.delta, self.delta_size) = (before.1, before.2);
                break;
            }
            taken += deletions.len();
        }
        match deletions.get(taken) {
            Some(next) if taken > 0 && next.version > self.claimed => {
                self.version = next.version - 1;
                true
            }
            _ => {
                self.clear_leaves();
                false
            }
        }
    }

    fn take_commands(&mut self, commands: &[&(u64, String)]) {
        for command in commands {
            self.push_command(command);
            if self.size() > self.limit {
                self.pop_command();
                return;
            }
        }
    }

    fn push_leaf(&mut self, item: &Item) {
        self.delta_size += self.delta.cost(&item.path, &item.value);
        self.delta.insert(&item.path, &item.value);
        self.leaves.push(item.path.clone());
    }

    fn clear_leaves(&mut self) {
        self.leaves.clear();
        self.delta = Tree::default();
        self.delta_size = 0;
        self.complete = false;
    }

    fn push_command(&mut self, command: &(u64, String)) {
        self.commands_size += command.1.len() + usize::from(!self.commands.is_empty());
        self.commands.push(command.clone());
    }

    fn pop_command(&mut self) {
        if let Some((_, text)) = self.commands.pop() {
            self.commands_size -= text.len() + usize::from(!self.commands.is_empty());
        }
    }

    fn is_versioned(&self) -> bool {
        self.says_version && self.complete && !self.leaves.is_empty()
    }

    /// The members of the text, each as its parts around what is computed.
    fn size(&self) -> usize {
        let version = self.is_versioned().then(|| format!("\"v\":{}", self.version).len());
        let delta = (!self.leaves.is_empty()).then_some("\"d\":{}".len() + self.delta_size);
        let commands = (!self.commands.is_empty()).then_some("\"c\":[]".len() + self.commands_size);
        let more = self.more.then_some("\"more\":1".len());
        let members: Vec<usize> = [version, delta, commands, more].into_iter().flatten().collect();
        "{}".len() + members.iter().sum::<usize>() + members.len().saturating_sub(1)
    }

    fn text(&self) -> String {
        let version = self.is_versioned().then(|| format!("\"v\":{}", self.version));
        let delta = (!self.leaves.is_empty()).then(|| format!("\"d\":{}", self.delta.text()));
        let commands: Vec<&str> = self.commands.iter().map(|(_, text)| text.as_str()).collect();
        let commands = (!commands.is_empty()).then(|| format!("\"c\":[{}]", commands.join(",")));
        let more = self.more.then(|| "\"more\":1".to_owned());
        let members: Vec<String> = [version, delta, commands, more].into_iter().flatten().collect();
        format!("{{{}}}", members.join(","))
    }
}
