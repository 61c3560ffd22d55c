//! The Device object: one device's log, and the judge of what is new in it.
//!
//! It knows nothing of other devices. An event is accepted in one synchronous turn: the platform commits
//! everything a turn writes at once, and holds the answer back until that is on disk.

mod accept;
mod delivery;
mod dialogue;
mod history;
mod kept;
mod outbox;
mod retention;
mod schema;
mod series;

use crate::isolate;
use crate::parts;
use crate::sqlite::{self, Schema};
use fieldhook_core::clock::Time;
use fieldhook_core::dialogue::{Dialogue, Said, Turn};
use fieldhook_core::fleet::append::Sent;
use fieldhook_core::json;
use fieldhook_core::log::{Accept, DeviceState, Recent, Row};
use fieldhook_core::parts::Parts;
use fieldhook_core::problem::{Code, Problem, Result, to_wire};
use fieldhook_core::rate::Bucket;
use fieldhook_core::retention::is_armed_by;
use fieldhook_core::settings::Settings;
use kept::Kept;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, RefUnwindSafe};
use std::rc::Rc;
use wasm_bindgen::prelude::*;
use worker::worker_sys::DurableObjectState;
use worker::{Env, SqlStorage, State, js_sys};

/// What the JavaScript class of the same name forwards to.
#[wasm_bindgen]
pub struct Device {
    inner: Rc<Inner>,
}

/// A panic leaves nothing half done that the next call would see: `loaded` is taken out while it is changed.
impl RefUnwindSafe for Device {}

struct Inner {
    state: State,
    sql: SqlStorage,
    env: Env,
    schema: Schema,
    /// What is known once the tables have been looked at; `None` before that and after a delete.
    loaded: RefCell<Option<Loaded>>,
    outbox: outbox::Outbox,
    delivery: delivery::Delivery,
    /// The events of the call under way.
    incoming: RefCell<Option<Accept>>,
    /// Events whose reply a service is being asked for, by key, and since when.
    asking: RefCell<BTreeMap<String, Time>>,
    /// What is left of the device's rate. Only remembered: an object that slept begins with a full one.
    rate: Cell<Bucket>,
    /// When the alarm is set for, as far as is known: setting it again costs a row.
    alarm_at: Cell<Option<Time>>,
}

#[derive(Clone)]
struct Loaded {
    next_seq: u64,
    last_heard: Option<Time>,
    /// Which tables the log lies in, and which is written into.
    parts: Parts,
    device: Kept<DeviceState>,
    dialogue: Dialogue,
    /// The dialogue has changed since it was written.
    spoke: bool,
    /// Events that this turn has written.
    fresh: Vec<Sent>,
    /// Of rows that are in the tables.
    recent: Recent,
}

impl Loaded {
    /// 0 where there is nothing.
    fn last_seq(&self) -> u64 {
        self.next_seq.saturating_sub(1)
    }

    /// Takes what a turn has changed as what is known; it is to be written.
    fn after(&mut self, turn: Turn) -> Said {
        if let Some(dialogue) = turn.dialogue {
            self.dialogue = dialogue;
            self.spoke = true;
        }
        turn.said
    }
}

#[wasm_bindgen]
impl Device {
    #[wasm_bindgen(constructor)]
    pub fn new(state: DurableObjectState, env: Env) -> Device {
        let state = State::from(state);
        let sql = state.storage().sql();
        let schema = Schema::new(schema::MIGRATIONS);
        let (loaded, asking, alarm_at) = (RefCell::new(None), RefCell::default(), Cell::new(None));
        let rate = Cell::default();
        let (outbox, delivery) = (outbox::Outbox::default(), delivery::Delivery::default());
        Device {
            inner: Rc::new(Inner {
                state,
                sql,
                env,
                schema,
                loaded,
                outbox,
                delivery,
                incoming: RefCell::default(),
                asking,
                rate,
                alarm_at,
            }),
        }
    }

    /// Looks at the events of an [`Accept`]: answers an [`Accepted`] where memory has them all, or keeps them for
    /// [`Device::accept`], which comes next then, in the same turn.
    pub fn recall(&self, message: &str) -> std::result::Result<Option<String>, JsError> {
        self.inner.recall(message).map_err(|problem| JsError::new(&problem.detail))
    }

    /// Commits the events that were kept; answers an [`Accepted`]. `entry.mjs` runs it as one transaction.
    ///
    /// # Errors
    /// Throws where anything could not be written: the caller must not acknowledge.
    pub fn accept(&self) -> std::result::Result<String, JsError> {
        self.inner.accept().map_err(|problem| JsError::new(&problem.detail))
    }

    /// The device as `GET /v1/devices/{id}` shows it.
    pub fn describe(&self) -> String {
        to_wire(&self.inner.describe())
    }

    /// A page of the log, for a [`fieldhook_core::history::Query`].
    pub fn history(&self, query: &str) -> String {
        to_wire(&history::page(&self.inner, query))
    }

    /// What a piece of the log comes to, for a [`fieldhook_core::series::Plan`].
    pub fn series(&self, plan: &str) -> String {
        to_wire(&series::piece(&self.inner, plan))
    }

    /// What the last call wrote is not in the tables.
    #[wasm_bindgen(js_name = rolledBack)]
    pub fn rolled_back(&self) {
        self.inner.forget_memory();
    }

    /// Reads or writes the twin: see [`dialogue::twin`]. `entry.mjs` runs it as one transaction, undone by a problem.
    pub fn twin(&self, device: &str, operation: &str, body: &str, if_match: f64) -> String {
        to_wire(&dialogue::twin(&self.inner, device, operation, body, if_match))
    }

    /// Reads or writes the command queue: see [`dialogue::commands`]. One transaction too.
    pub fn commands(&self, device: &str, operation: &str, body: &str) -> String {
        to_wire(&dialogue::commands(&self.inner, device, operation, body))
    }

    /// Removes what has been kept long enough: by the device's alarm, and for one that has been silent so long that it
    /// has none. `entry.mjs` runs it as one transaction.
    pub fn expire(&self) -> std::result::Result<(), JsError> {
        self.inner.expire().map_err(|problem| JsError::new(&problem.detail))
    }

    /// Keeps a service's answer for repeats of the event, and that it was `too_large` to be given.
    pub fn answered(&self, key: &str, reply: &str, too_large: bool) -> std::result::Result<(), JsError> {
        self.inner.answered(key, reply, too_large).map_err(|problem| JsError::new(&problem.detail))
    }

    /// Delivers events again, or looks what there is to deliver, for a [`fieldhook_core::delivery::job::Ask`].
    pub async fn replay(&self, ask: &str) -> String {
        to_wire(&AssertUnwindSafe(self.inner.clone().replay(ask)).await)
    }

    /// Deletes everything but the numbers that must not come again; answers when the device's life began, empty where
    /// there was nothing.
    pub async fn forget(&self) -> String {
        to_wire(&AssertUnwindSafe(self.inner.clone().forget()).await)
    }

    /// Before [`Device::expire`] by the alarm: what is removed undelivered is counted, for which it must be known what
    /// there is to deliver to.
    #[wasm_bindgen(js_name = alarmComes)]
    pub async fn alarm_comes(&self) {
        self.inner.alarm_at.set(None);
        let _ = AssertUnwindSafe(isolate::snapshot_of(&self.inner.env, 0)).await;
    }

    /// Makes sure that the shard has everything, and that deliveries go on.
    pub async fn alarm(&self) -> std::result::Result<(), JsError> {
        AssertUnwindSafe(self.inner.clone().alarm()).await.map_err(|problem| JsError::new(&problem.detail))
    }
}

impl Inner {
    fn settings(&self) -> Result<Rc<Settings>> {
        isolate::settings(&self.env)
    }

    /// What is known, to be changed, its tables made if there are none. It is taken out, and put back only by
    /// [`Inner::keep`]: after an error or a panic, memory and tables may differ, and the next call reads the
    /// tables.
    fn open(&self) -> Result<Loaded> {
        match self.loaded.take() {
            Some(loaded) => Ok(loaded),
            None => {
                // After a failure the tables may have been rolled back with everything else, the alarm too.
                self.schema.forget();
                self.outbox.forget();
                self.delivery.forget();
                self.alarm_at.set(None);
                self.schema.prepare(&self.sql)?;
                self.load()
            }
        }
    }

    /// Writes what has changed, and takes it as what is known.
    fn keep(&self, mut loaded: Loaded) -> Result<()> {
        if std::mem::take(&mut loaded.spoke) {
            let (twin, queue) = dialogue::write(&loaded.dialogue)?;
            sqlite::run(&self.sql, schema::WRITE_DIALOGUE, vec![twin.into(), queue.into()])?;
        }
        if loaded.device.take_changed() {
            self.write_state(&loaded.device)?;
        }
        self.outbox.add(std::mem::take(&mut loaded.fresh));
        self.loaded.replace(Some(loaded));
        Ok(())
    }

    /// Reads what the next event needs to know. The tables must be there.
    fn load(&self) -> Result<Loaded> {
        let damaged = || Problem::new(Code::Internal, "the device's state cannot be read");
        let mut columns = sqlite::first(&self.sql, schema::WAKE, Vec::new())?.ok_or_else(damaged)?;
        let device = match columns.text().as_str() {
            "" => DeviceState::default(),
            json => json::read::<DeviceState>(json).map_err(|_| damaged())?,
        };
        let (seq, received) = (columns.unsigned(), columns.integer());
        let last_heard = match seq {
            0 => device.pruned_last_heard,
            _ => Some(Time::from_millis(received)),
        };
        let dialogue = dialogue::read(&columns.text(), &columns.text())?;
        let parts = Parts::new(parts::firsts(&mut columns));
        let next_seq = seq.max(device.pruned_to) + 1;
        Ok(Loaded {
            next_seq,
            last_heard,
            parts,
            device: Kept::read(device),
            dialogue,
            spoke: false,
            fresh: Vec::new(),
            recent: Recent::default(),
        })
    }

    fn newest(&self) -> Result<Option<Row>> {
        Ok(sqlite::first(&self.sql, schema::NEWEST, Vec::new())?.map(history::row))
    }

    /// What is known, without making anything: `None` for a device that was never heard.
    fn known(&self) -> Result<Option<Loaded>> {
        if let Some(loaded) = self.loaded.borrow().clone() {
            return Ok(Some(loaded));
        }
        self.schema.forget();
        if !self.schema.exists(&self.sql)? {
            return Ok(None);
        }
        let loaded = self.load()?;
        if loaded.device.device.is_empty() {
            // Tables alone: nothing was ever kept in them.
            return Ok(None);
        }
        self.loaded.replace(Some(loaded.clone()));
        Ok(Some(loaded))
    }

    /// Looks at what is known; `None` for a device that was never heard.
    fn about<T>(&self, look: impl FnOnce(&Loaded) -> T) -> Result<Option<T>> {
        if self.loaded.borrow().is_none() && self.known()?.is_none() {
            return Ok(None);
        }
        Ok(self.loaded.borrow().as_ref().map(look))
    }

    fn write_state(&self, device: &DeviceState) -> Result<()> {
        let json = serde_json::to_string(device)
            .map_err(|_| Problem::new(Code::Internal, "the device's state cannot be written"))?;
        sqlite::run(&self.sql, schema::WRITE_STATE, vec![json.into()]).map(drop)
    }

    /// Sets the safety alarm in the commit's own turn, if none is set that comes as early: that the shard is told
    /// cannot be lost to a crash.
    fn arm(&self, now: Time) -> Result<()> {
        self.arm_by(Inner::make_sure_at(now), now)
    }

    /// Sees that the alarm comes by then.
    fn arm_by(&self, at: Time, now: Time) -> Result<()> {
        match is_armed_by(self.alarm_at.get(), at, now) {
            true => Ok(()),
            false => self.set_alarm(at),
        }
    }

    fn set_alarm(&self, at: Time) -> Result<()> {
        let date = js_sys::Date::new(&(at.millis() as f64).into());
        // Written when it is called; the promise says only that the write is on disk, and the answer waits
        // for that anyway.
        let set = self.state.storage().as_raw().set_alarm(date, js_sys::Object::new());
        set.map(drop).map_err(|_| Problem::new(Code::Unavailable, "the alarm was not taken"))?;
        self.alarm_at.set(Some(at));
        Ok(())
    }

    fn describe(&self) -> Result<String> {
        let unknown = || Problem::new(Code::UnknownDevice, "no event of this device has been accepted");
        let loaded = self.known()?.ok_or_else(unknown)?;
        let kept_since = isolate::now().plus_millis(-self.settings()?.retention);
        let newest = self.newest()?.filter(|row| row.received_at >= kept_since);
        let newest = newest.map(Row::view).transpose()?;
        let (oldest, next) = (series::first_since(self, kept_since, loaded.next_seq)?, loaded.next_seq);
        let oldest = (oldest < next).then_some(oldest);
        loaded.device.show(isolate::now(), loaded.last_heard, newest, oldest, next.saturating_sub(1))
    }

    async fn alarm(self: Rc<Self>) -> Result<()> {
        if !self.make_sure().await {
            self.set_alarm(Inner::make_sure_at(isolate::now()))?;
        }
        self.deliver(0).await;
        if self.about(|_| ())?.is_some() {
            self.write_told()?;
        }
        if self.delivery.is_running() {
            // Begun before this alarm, which was theirs: should it be lost, there is another.
            self.arm(isolate::now())?;
        }
        Ok(())
    }

    /// What is kept no longer goes: rows, finished commands.
    fn expire(&self) -> Result<()> {
        if self.known()?.is_none() {
            return Ok(());
        }
        // Out while it changes, as in `accept`.
        let Some(mut loaded) = self.loaded.take() else { return Ok(()) };
        let now = isolate::now();
        let settings = self.settings()?;
        loaded.spoke |= loaded.dialogue.queue.prune(now, settings.retention);
        retention::by_age(self, &mut loaded, now, settings.retention)?;
        retention::by_size(self, &mut loaded, settings.max_log)?;
        self.keep(loaded)
    }

    async fn forget(self: Rc<Self>) -> Result<String> {
        let Some(loaded) = self.known()? else { return Ok(String::new()) };
        self.forget_memory();
        let gone = |_| Problem::new(Code::Unavailable, "the device could not be deleted");
        self.state.storage().delete_alarm().await.map_err(gone)?;
        self.state.storage().delete_all().await.map_err(gone)?;
        self.forget_memory();
        if let Some(numbers) = loaded.dialogue.after_deletion() {
            // Beside the tables nothing else is made: the device is unknown until it is heard or written to.
            self.schema.prepare(&self.sql)?;
            let (twin, queue) = dialogue::write(&numbers)?;
            sqlite::run(&self.sql, schema::WRITE_DIALOGUE, vec![twin.into(), queue.into()])?;
        }
        Ok(loaded.device.born.map_or(0, Time::millis).to_string())
    }

    fn forget_memory(&self) {
        self.schema.forget();
        self.loaded.replace(None);
        self.outbox.forget();
        self.delivery.forget();
        self.incoming.replace(None);
        self.alarm_at.set(None);
    }
}
