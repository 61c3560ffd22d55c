//! The Device object: one device's log, and the judge of what is new in it.
//!
//! It knows nothing of other devices. An event is accepted in one synchronous turn: the platform commits
//! everything a turn writes at once, and holds the answer back until that is on disk.

mod dialogue;
mod history;
mod retention;
mod schema;
mod series;

use crate::fleet::shard_of;
use crate::isolate;
use crate::sqlite::{self, Schema, Value, integer};
use fieldhook_core::clock::Time;
use fieldhook_core::dialogue::Dialogue;
use fieldhook_core::log::{Accept, Accepted, DeviceState, Entry, LIVE, Outcome, Row};
use fieldhook_core::problem::{Code, Problem, Result, to_wire};
use fieldhook_core::retention::{is_armed, is_due, next_alarm};
use fieldhook_core::settings::Settings;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, RefUnwindSafe};
use std::rc::Rc;
use wasm_bindgen::prelude::*;
use worker::worker_sys::DurableObjectState;
use worker::{Env, SqlStorage, State, console_error, js_sys};

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
    /// The shard is being told; once at a time is enough.
    registering: Cell<bool>,
}

#[derive(Clone)]
struct Loaded {
    next_seq: u64,
    last_heard: Option<Time>,
    device: DeviceState,
    dialogue: Dialogue,
    /// The dialogue has changed since it was written.
    spoke: bool,
}

#[wasm_bindgen]
impl Device {
    #[wasm_bindgen(constructor)]
    pub fn new(state: DurableObjectState, env: Env) -> Device {
        let state = State::from(state);
        let sql = state.storage().sql();
        let schema = Schema::new(schema::MIGRATIONS);
        let (loaded, registering) = (RefCell::new(None), Cell::new(false));
        Device { inner: Rc::new(Inner { state, sql, env, schema, loaded, registering }) }
    }

    /// Commits the events of an [`Accept`]; answers an [`Accepted`]. `entry.mjs` runs it as one transaction.
    ///
    /// # Errors
    /// Throws where anything could not be written: the caller must not acknowledge.
    pub fn accept(&self, message: &str) -> std::result::Result<String, JsError> {
        self.inner.accept(message).map_err(|problem| JsError::new(&problem.detail))
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

    /// Reads or writes the twin: see [`dialogue::twin`].
    pub fn twin(&self, device: &str, operation: &str, body: &str, if_match: f64) -> String {
        to_wire(&dialogue::twin(&self.inner, device, operation, body, if_match))
    }

    /// Reads or writes the command queue: see [`dialogue::commands`].
    pub fn commands(&self, device: &str, operation: &str, body: &str) -> String {
        to_wire(&dialogue::commands(&self.inner, device, operation, body))
    }

    /// Deletes everything; answers the shard that knows of the device, empty where there was nothing.
    pub async fn forget(&self) -> String {
        to_wire(&AssertUnwindSafe(self.inner.clone().forget()).await)
    }

    /// Runs what is due: the shard's confirmation, retention.
    pub async fn alarm(&self) -> std::result::Result<(), JsError> {
        AssertUnwindSafe(self.inner.clone().alarm()).await.map_err(|problem| JsError::new(&problem.detail))
    }
}

impl Inner {
    fn settings(&self) -> Result<Rc<Settings>> {
        isolate::settings(&self.env)
    }

    fn accept(self: &Rc<Self>, message: &str) -> Result<String> {
        let accept: Accept = serde_json::from_str(message)
            .map_err(|_| Problem::new(Code::Internal, "the events cannot be read"))?;
        let mut loaded = self.open()?;
        let (before, first_seq) = (loaded.device.clone(), loaded.next_seq);
        let mut outcomes = Vec::with_capacity(accept.entries.len());
        for entry in &accept.entries {
            outcomes.push(self.commit(&mut loaded, &accept, entry)?);
        }
        let settings = self.settings()?;
        if outcomes.iter().any(|outcome| matches!(outcome, Outcome::New { .. })) {
            self.arm(&mut loaded.device, accept.at, settings.retention)?;
            // Looked at every few events: a bound of megabytes is not missed by a few rows.
            if is_due(first_seq, loaded.next_seq) {
                retention::by_size(self, &mut loaded, settings.max_log)?;
            }
        }
        self.keep(loaded, &before)?;
        serde_json::to_string(&Accepted { outcomes })
            .map_err(|_| Problem::new(Code::Internal, "the outcomes cannot be written"))
    }

    /// What is known, to be changed, its tables made if there are none. It is taken out, and put back only by
    /// [`Inner::keep`]: after an error or a panic, memory and tables may differ, and the next call reads the
    /// tables.
    fn open(&self) -> Result<Loaded> {
        match self.loaded.take() {
            Some(loaded) => Ok(loaded),
            None => {
                // After a failure the tables may have been rolled back with everything else.
                self.schema.forget();
                self.schema.prepare(&self.sql)?;
                self.load()
            }
        }
    }

    /// Writes what has changed, and takes it as what is known.
    fn keep(self: &Rc<Self>, mut loaded: Loaded, before: &DeviceState) -> Result<()> {
        if std::mem::take(&mut loaded.spoke) {
            let (twin, queue) = dialogue::write(&loaded.dialogue)?;
            sqlite::run(&self.sql, schema::WRITE_DIALOGUE, vec![twin.into(), queue.into()])?;
        }
        if loaded.device != *before {
            self.write_state(&loaded.device)?;
        }
        let unregistered = loaded.device.shard.is_none();
        self.loaded.replace(Some(loaded));
        if unregistered && !self.registering.get() {
            let this = self.clone();
            self.state.wait_until(async move { this.register().await });
        }
        Ok(())
    }

    /// Dedup, sequence and row in one statement; for a repeat a second one reads its reply.
    fn commit(&self, loaded: &mut Loaded, accept: &Accept, entry: &Entry) -> Result<Outcome> {
        #[cfg(feature = "inject")]
        crate::inject::on_event(&entry.event);
        // Said to a copy first: if the event turns out to be known, none of it was heard or said.
        let mut dialogue = loaded.dialogue.clone();
        if entry.report {
            dialogue.hear(&entry.data, entry.details.published_at, accept.at);
        }
        let said = dialogue.say(entry, accept.at);
        let mut details = entry.details.clone();
        details.reply_too_large |= said.too_large;
        let details = serde_json::to_string(&details)
            .map_err(|_| Problem::new(Code::Internal, "the event cannot be written"))?;
        let seq = loaded.next_seq;
        let values = vec![
            integer(seq),
            entry.key.as_str().into(),
            Value::Integer(accept.at.millis()),
            entry.event.as_str().into(),
            entry.data.as_str().into(),
            details.into(),
            if said.live { LIVE.into() } else { said.reply.as_str().into() },
        ];
        if sqlite::run(&self.sql, schema::INSERT, values)? > 0 {
            loaded.next_seq = seq + 1;
            loaded.last_heard = Some(accept.at);
            loaded.device = loaded.device.after(&accept.device, accept.at, &entry.details);
            if entry.report || said.live {
                loaded.dialogue = dialogue;
                loaded.spoke = true;
            }
            return Ok(Outcome::New { seq, reply: said.reply, live: said.live });
        }
        let row = sqlite::first(&self.sql, schema::REPLY_OF, vec![entry.key.as_str().into()])?;
        let reply = row.map(|mut columns| columns.text()).unwrap_or_default();
        if reply != LIVE {
            return Ok(Outcome::Duplicate { reply, live: false });
        }
        // A reply with twin or commands in it is not repeated: what is due now is said.
        let said = loaded.dialogue.say(entry, accept.at);
        loaded.spoke |= said.live;
        Ok(Outcome::Duplicate { reply: said.reply, live: true })
    }

    /// Reads what the next event needs to know. The tables must be there.
    fn load(&self) -> Result<Loaded> {
        let damaged = || Problem::new(Code::Internal, "the device's state cannot be read");
        let mut columns = sqlite::first(&self.sql, schema::WAKE, Vec::new())?.ok_or_else(damaged)?;
        let device = match columns.text().as_str() {
            "" => DeviceState::default(),
            json => serde_json::from_str::<DeviceState>(json).map_err(|_| damaged())?,
        };
        let (seq, received) = (columns.unsigned(), columns.integer());
        let last_heard = match seq {
            0 => device.pruned_last_heard,
            _ => Some(Time::from_millis(received)),
        };
        let dialogue = dialogue::read(&columns.text(), &columns.text())?;
        let next_seq = seq.max(device.pruned_to) + 1;
        Ok(Loaded { next_seq, last_heard, device, dialogue, spoke: false })
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
            // A write that was refused made the tables, and nothing else.
            return Ok(None);
        }
        self.loaded.replace(Some(loaded.clone()));
        Ok(Some(loaded))
    }

    fn write_state(&self, device: &DeviceState) -> Result<()> {
        let json = serde_json::to_string(device)
            .map_err(|_| Problem::new(Code::Internal, "the device's state cannot be written"))?;
        sqlite::run(&self.sql, schema::WRITE_STATE, vec![json.into()]).map(drop)
    }

    /// Sets the alarm in the commit's own turn, if none is armed: what it is for cannot be lost to a crash.
    fn arm(&self, device: &mut DeviceState, now: Time, retention: i64) -> Result<()> {
        if is_armed(device.alarm_at, now) {
            return Ok(());
        }
        match next_alarm(device.shard.is_some(), Some(now), now, retention) {
            Some(at) => self.set_alarm(device, at),
            None => Ok(()),
        }
    }

    fn set_alarm(&self, device: &mut DeviceState, at: Time) -> Result<()> {
        let date = js_sys::Date::new(&(at.millis() as f64).into());
        // Written when it is called; the promise says only that the write is on disk, and the answer waits
        // for that anyway.
        let set = self.state.storage().as_raw().set_alarm(date, js_sys::Object::new());
        set.map(drop).map_err(|_| Problem::new(Code::Unavailable, "the alarm was not taken"))?;
        device.alarm_at = Some(at);
        Ok(())
    }

    fn describe(&self) -> Result<String> {
        let unknown = || Problem::new(Code::UnknownDevice, "no event of this device has been accepted");
        let loaded = self.known()?.ok_or_else(unknown)?;
        let kept_since = isolate::now().plus_millis(-self.settings()?.retention);
        let newest = self.newest()?.filter(|row| row.received_at >= kept_since);
        let newest = newest.map(Row::view).transpose()?;
        let oldest = sqlite::first(&self.sql, schema::OLDEST, Vec::new())?;
        loaded.device.show(
            isolate::now(),
            loaded.last_heard,
            newest,
            oldest.map(|mut columns| columns.unsigned()),
            loaded.next_seq.saturating_sub(1),
        )
    }

    /// Tells the shard that this device exists, and remembers that it knows.
    async fn register(self: &Rc<Self>) {
        self.registering.set(true);
        let told = self.try_register().await;
        self.registering.set(false);
        if let Err(problem) = told {
            // The safety alarm is armed since the first commit; it comes here again.
            console_error!("the fleet was not told of a device: {}", problem.detail);
        }
    }

    async fn try_register(self: &Rc<Self>) -> Result<()> {
        let Some(loaded) = self.known()? else { return Ok(()) };
        let (device, first_heard) = (loaded.device.device, loaded.device.first_heard);
        let shard = shard_of(&device, self.settings()?.fleet_shards);
        let first_heard = first_heard.map_or(0, Time::millis);
        crate::rpc::fleet(&self.env, &shard)?.register(&device, first_heard).await?;
        let Some(mut loaded) = self.known()? else {
            // Deleted while the shard was being told: it must forget again.
            crate::rpc::fleet(&self.env, &shard)?.forget(&device).await?;
            return Ok(());
        };
        loaded.device.shard = Some(shard);
        self.write_state(&loaded.device)?;
        self.loaded.replace(Some(loaded));
        Ok(())
    }

    async fn alarm(self: Rc<Self>) -> Result<()> {
        if self.known()?.is_none() {
            return Ok(());
        }
        // Out while it changes, as in `accept`.
        let Some(mut loaded) = self.loaded.take() else { return Ok(()) };
        let retention = self.settings()?.retention;
        loaded.device.alarm_at = None;
        if loaded.dialogue.queue.prune(isolate::now(), retention) {
            let (twin, queue) = dialogue::write(&loaded.dialogue)?;
            sqlite::run(&self.sql, schema::WRITE_DIALOGUE, vec![twin.into(), queue.into()])?;
        }
        let oldest = retention::by_age(&self, &mut loaded, isolate::now(), retention)?;
        let registered = loaded.device.shard.is_some();
        let next = next_alarm(registered, oldest, isolate::now(), retention);
        if let Some(at) = next {
            self.set_alarm(&mut loaded.device, at)?;
        }
        self.write_state(&loaded.device)?;
        self.loaded.replace(Some(loaded));
        if !registered {
            self.register().await;
        }
        Ok(())
    }

    async fn forget(self: Rc<Self>) -> Result<String> {
        let Some(loaded) = self.known()? else { return Ok(String::new()) };
        let fallback = || self.settings().map(|s| shard_of(&loaded.device.device, s.fleet_shards));
        let shard = match loaded.device.shard.clone() {
            Some(shard) => shard,
            None => fallback()?,
        };
        self.schema.forget();
        self.loaded.replace(None);
        let gone = |_| Problem::new(Code::Unavailable, "the device could not be deleted");
        self.state.storage().delete_alarm().await.map_err(gone)?;
        self.state.storage().delete_all().await.map_err(gone)?;
        self.schema.forget();
        self.loaded.replace(None);
        Ok(shard)
    }
}
