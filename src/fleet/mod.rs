//! The Fleet object: a shard that merges its devices' logs into one, knows which devices there are, and keeps
//! what was refused.
//!
//! It is never on the way of a reply.

mod attempts;
mod hub;
mod index;
mod jobs;
mod log;
mod quarantine;
mod schema;

use crate::isolate;
use crate::parts;
use crate::sqlite::{self, Schema, Value};
use fieldhook_core::clock::Time;
use fieldhook_core::flat;
use fieldhook_core::fleet::append::{Append, Confirmed, Verdict, judge};
use fieldhook_core::fleet::index::{Behind, Entry};
use fieldhook_core::fleet::minutes::Minutes;
use fieldhook_core::fleet::stats::{Counts, Days, day_of};
use fieldhook_core::json;
use fieldhook_core::parts::Parts;
use fieldhook_core::problem::{Code, Problem, Result, to_wire};
use fieldhook_core::retention::{is_armed, is_due, look_again};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, RefUnwindSafe};
use std::rc::Rc;
use wasm_bindgen::prelude::*;
use worker::worker_sys::DurableObjectState;
use worker::{Env, SqlStorage, State, console_error, js_sys};

/// What the JavaScript class of the same name forwards to.
#[wasm_bindgen]
pub struct Fleet {
    inner: Rc<Shard>,
}

/// A panic leaves nothing half done that the next call would see: `loaded` is taken out while it is changed.
impl RefUnwindSafe for Fleet {}

struct Shard {
    state: State,
    sql: SqlStorage,
    env: Env,
    schema: Schema,
    /// What is known once the tables have been looked at.
    loaded: RefCell<Option<Loaded>>,
}

/// What the next append needs to know. All of it follows from the tables.
struct Loaded {
    /// Position of the newest event: they are counted from 1, and never again from 1.
    head: u64,
    /// Time of the newest row; the log's time never goes back.
    at: Time,
    /// Which tables the log lies in, and which is written into.
    parts: Parts,
    marks: Marks,
    /// Up to here the log has aged out, as far as has been looked.
    passed: u64,
    /// What the index will say once it is written, where that differs from what it says.
    pending: BTreeMap<String, Entry>,
    /// Events that are in the log and not yet in the days' counts.
    days: Days,
    /// The same, by minute.
    minutes: Minutes,
    /// What all of that was read from, or would be after a wake.
    behind: Behind,
}

/// Positions in the log, stored: written when they change, which is seldom.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Marks {
    /// Index and counts have been written up to here.
    indexed_to: u64,
    /// Retention has removed everything up to here.
    pruned_to: u64,
    alarm_at: Option<Time>,
    /// The hour before what is not counted yet.
    #[serde(default)]
    minutes: Minutes,
}

/// Idle devices that one alarm looks after.
const SWEEP: u64 = 50;
/// And until the next, where there are more, milliseconds.
const AGAIN: i64 = 1_000;

#[wasm_bindgen]
impl Fleet {
    #[wasm_bindgen(constructor)]
    pub fn new(state: DurableObjectState, env: Env) -> Fleet {
        let state = State::from(state);
        let sql = state.storage().sql();
        let schema = Schema::new(schema::MIGRATIONS);
        Fleet { inner: Rc::new(Shard { state, sql, env, schema, loaded: RefCell::new(None) }) }
    }

    /// Takes the next run of a device's log, an [`Append`]; answers a [`Confirmed`], or nothing where the device
    /// was deleted. `entry.mjs` runs it as one transaction.
    ///
    /// # Errors
    /// Throws where anything could not be written: nothing of it was taken.
    pub fn append(&self, message: &str) -> std::result::Result<String, JsError> {
        self.thrown(self.inner.append(message))
    }

    /// A device has moved to another shard: its events stay here, its entry goes.
    pub fn leave(&self, device: &str, born: f64) -> std::result::Result<(), JsError> {
        self.thrown(self.inner.leave(device, Time::from_millis(born as i64)).map(drop))
    }

    /// Forgets a device with all its events; answers `1` if it was known.
    pub fn forget(&self, device: &str, born: f64) -> std::result::Result<String, JsError> {
        self.thrown(self.inner.forget(device, Time::from_millis(born as i64)))
    }

    /// Devices behind `after` in order of id, as a [`fieldhook_core::fleet::index::Page`].
    pub fn devices(&self, after: &str, limit: u32, filter: &str) -> String {
        to_wire(&self.inner.list_devices(after, limit, filter))
    }

    /// Takes a reader's socket: see [`hub`].
    #[wasm_bindgen(js_name = openReader)]
    pub fn open_reader(&self, url: &str) -> JsValue {
        self.inner.open_reader(url)
    }

    /// What a reader says: it asks for a page.
    pub fn heard(&self, socket: &JsValue, text: &str) {
        self.inner.heard(socket, text);
    }

    /// A page of the log for history, as text of a [`fieldhook_core::stream::wire`] message; a negative `from` is
    /// the head.
    pub fn page(&self, wanted: &str, from: f64, descending: bool, limit: u32) -> String {
        to_wire(&self.inner.history(wanted, from, descending, limit))
    }

    /// Adds what an isolate has counted, [`Counts`] as JSON.
    pub fn count(&self, counts: &str) -> std::result::Result<(), JsError> {
        self.thrown(self.inner.count(counts))
    }

    /// What was counted, [`fieldhook_core::fleet::stats::Stats`] as JSON.
    pub fn stats(&self) -> String {
        to_wire(&self.inner.stats())
    }

    /// Takes what became of a delivery, a [`fieldhook_core::delivery::report::Report`]; answers an `Answer`.
    pub fn report(&self, report: &str, notices: &str) -> std::result::Result<String, JsError> {
        self.thrown(self.inner.report(report, notices))
    }

    /// Whether a retry may go to a host: empty, or the milliseconds of the time to ask again.
    #[wasm_bindgen(js_name = askCircuit)]
    pub fn ask_circuit(&self, host: &str) -> std::result::Result<String, JsError> {
        self.thrown(self.inner.ask_circuit(host))
    }

    /// An integration's newest attempts, for a [`fieldhook_core::delivery::listing::Query`].
    pub fn attempts(&self, query: &str) -> String {
        to_wire(&self.inner.attempts(query))
    }

    /// What became of an integration's deliveries: `[{day: counts}, parked]`.
    pub fn outcomes(&self, integration: &str) -> String {
        to_wire(&self.inner.outcomes(integration))
    }

    /// An integration is resumed, or was deleted: what paused it, or everything about it, is forgotten.
    pub fn reset(&self, integration: &str, deleted: bool) -> std::result::Result<(), JsError> {
        self.thrown(match deleted {
            true => self.inner.forget_integration(integration),
            false => self.inner.reset(integration),
        })
    }

    /// Begins a [`fieldhook_core::delivery::job::Job`].
    #[wasm_bindgen(js_name = startJob)]
    pub fn start_job(&self, job: &str) -> String {
        to_wire(&self.inner.start_job(job))
    }

    /// How many events a replay comes to.
    pub fn estimate(&self, task: &str, integration: &str, prefixes: &str, device: &str) -> String {
        to_wire(&self.inner.estimate(task, integration, prefixes, device))
    }

    /// The jobs of an integration.
    pub fn jobs(&self, integration: &str) -> String {
        to_wire(&self.inner.list_jobs(integration))
    }

    /// Goes on with the jobs that are under way.
    pub async fn work(&self) -> std::result::Result<(), JsError> {
        self.thrown(AssertUnwindSafe(self.inner.clone().work()).await)
    }

    /// Keeps refused events, given as a JSON array; all of them or none.
    #[wasm_bindgen(js_name = quarantineAdd)]
    pub fn quarantine_add(&self, entries: &str) -> std::result::Result<(), JsError> {
        self.thrown(self.inner.quarantine(entries))
    }

    /// Entries before a position, newest first: `[[[number, at, entry], …], ended early]`.
    #[wasm_bindgen(js_name = quarantineList)]
    pub fn quarantine_list(&self, before: &str, limit: u32) -> String {
        to_wire(&self.inner.list_quarantine(before, limit))
    }

    /// One entry.
    #[wasm_bindgen(js_name = quarantineRead)]
    pub fn quarantine_read(&self, number: f64) -> String {
        to_wire(&self.inner.quarantined(number as u64))
    }

    #[wasm_bindgen(js_name = quarantineRemove)]
    pub fn quarantine_remove(&self, number: f64) -> String {
        to_wire(&self.inner.remove_quarantined(number as u64).map(|()| String::new()))
    }

    /// Writes the index and removes what has been kept long enough; answers the devices that are silent, JSON.
    pub fn expire(&self) -> std::result::Result<String, JsError> {
        self.thrown(self.inner.expire())
    }

    /// Looks after devices that have been silent for the whole retention: they have no alarm of their own.
    pub async fn sweep(&self, devices: &str) -> std::result::Result<(), JsError> {
        self.thrown(AssertUnwindSafe(self.inner.clone().sweep(devices)).await)
    }
}

impl Fleet {
    /// An exception is what rolls a transaction back; memory goes with it.
    fn thrown<T>(&self, result: Result<T>) -> std::result::Result<T, JsError> {
        result.map_err(|problem| {
            self.inner.loaded.replace(None);
            self.inner.schema.forget();
            JsError::new(&problem.detail)
        })
    }
}

impl Shard {
    fn append(&self, message: &str) -> Result<String> {
        let append: Append =
            flat::of_text(message).ok_or_else(|| Problem::new(Code::Internal, "the run cannot be read"))?;
        let mut loaded = self.open()?;
        let seqs: Vec<u64> = append.sent.iter().map(|sent| sent.seq).collect();
        let written = match loaded.pending.contains_key(&append.device) {
            true => None,
            false => self.written(&append.device)?,
        };
        let known = loaded.pending.get(&append.device).or(written.as_ref()).map(Entry::known);
        let (range, last) = match judge(known, append.born, append.base, &seqs) {
            Verdict::Take { range, last } => (range, last),
            Verdict::Missing { last } => {
                let at = loaded.at;
                self.keep(loaded);
                return Ok(flat::to_text(&Confirmed { last, at }));
            }
            Verdict::Gone => {
                self.keep(loaded);
                return Ok(String::new());
            }
        };
        let now = isolate::now();
        let known = known.filter(|known| known.born == append.born);
        let is_lifted = range.is_empty() && known.is_some_and(|known| known.last != last);
        let sent = append.sent.get(range).unwrap_or_default();
        if !sent.is_empty() {
            self.write_run(&mut loaded, &append, sent, now)?;
            for sent in sent {
                loaded.days.entry(day_of(sent.received_at)).or_default().events += 1;
                loaded.minutes.count(sent.received_at);
            }
        }
        if known.is_none() || is_lifted {
            // What the log alone does not tell is written at once.
            let pending = loaded.pending.remove(&append.device).or(written);
            let mut entry =
                pending.filter(|entry| entry.born == append.born).unwrap_or_else(|| append.entry());
            entry.hear(sent, last);
            self.write_entries(&[&entry])?;
        } else if !sent.is_empty() {
            // Where it lies: a copy of it would be made for each event.
            let pending = loaded.pending.entry(append.device.clone());
            pending.or_insert_with(|| written.unwrap_or_else(|| append.entry())).hear(sent, last);
        }
        self.look_after(&mut loaded, sent.len() as u64, now)?;
        let confirmed = Confirmed { last, at: loaded.at };
        let first = (loaded.head + 1).saturating_sub(sent.len() as u64);
        self.keep(loaded);
        // Last: what fails before it is rolled back, and a message could not be.
        self.publish(confirmed.at, first, sent);
        Ok(flat::to_text(&confirmed))
    }

    /// Writes the index where it is far behind, keeps the log's size, and sees that an alarm is set.
    fn look_after(&self, loaded: &mut Loaded, taken: u64, now: Time) -> Result<()> {
        if loaded.behind.is_far(loaded.pending.len() as u64) {
            self.write_index(loaded)?;
        }
        if is_due(loaded.head.saturating_sub(taken), loaded.head) {
            self.prune_by_size(loaded)?;
        }
        self.arm(loaded, now)
    }

    /// What is known, to be changed; put back by [`Shard::keep`] alone, as in the Device object.
    fn open(&self) -> Result<Loaded> {
        if let Some(loaded) = self.loaded.take() {
            return Ok(loaded);
        }
        self.schema.forget();
        self.schema.prepare(&self.sql)?;
        self.load()
    }

    fn keep(&self, loaded: Loaded) {
        self.loaded.replace(Some(loaded));
    }

    /// What is known, without making anything.
    fn known(&self) -> Result<Option<Loaded>> {
        if let Some(loaded) = self.loaded.take() {
            return Ok(Some(loaded));
        }
        self.schema.forget();
        if !self.schema.exists(&self.sql)? {
            return Ok(None);
        }
        self.load().map(Some)
    }

    fn load(&self) -> Result<Loaded> {
        let damaged = || Problem::new(Code::Internal, "the shard's state cannot be read");
        let mut columns = sqlite::first(&self.sql, schema::WAKE, Vec::new())?.ok_or_else(damaged)?;
        let marks = match columns.text().as_str() {
            "" => Marks::default(),
            json => json::read::<Marks>(json).map_err(|_| damaged())?,
        };
        let (newest, at) = (columns.unsigned(), Time::from_millis(columns.integer()));
        let head = newest.max(marks.pruned_to);
        let parts = Parts::new(parts::firsts(&mut columns));
        let (passed, pending, days) = (marks.pruned_to, BTreeMap::new(), Days::new());
        let (minutes, behind) = (Minutes::default(), Behind::default());
        let mut loaded = Loaded { head, at, parts, marks, passed, pending, days, minutes, behind };
        self.catch_up(&mut loaded)?;
        Ok(loaded)
    }

    fn write_marks(&self, marks: &Marks) -> Result<()> {
        sqlite::run(&self.sql, schema::WRITE_MARKS, vec![to_json(marks)?.into()]).map(drop)
    }

    /// The tables are made by the first write.
    fn write(&self, statement: &str, values: Vec<Value<'_>>) -> Result<usize> {
        self.schema.prepare(&self.sql)?;
        sqlite::run(&self.sql, statement, values)
    }

    fn leave(&self, device: &str, born: Time) -> Result<bool> {
        let Some(mut loaded) = self.known()? else { return Ok(false) };
        // Its events are counted before the entry that says they are its goes.
        self.write_index(&mut loaded)?;
        let gone = match self.entry(&loaded, device)? {
            Some(entry) if entry.born <= born => {
                loaded.pending.remove(device);
                self.write(schema::REMOVE_ENTRY, vec![device.into()])? > 0
            }
            _ => false,
        };
        self.keep(loaded);
        Ok(gone)
    }

    fn forget(&self, device: &str, born: Time) -> Result<String> {
        let known = self.leave(device, born)?;
        let Some(loaded) = self.known()? else { return Ok("0".to_owned()) };
        self.remove_runs(loaded.head, device, born)?;
        self.forget_attempts_of(device)?;
        self.keep(loaded);
        Ok(u8::from(known).to_string())
    }

    fn count(&self, counts: &str) -> Result<()> {
        let counts: Counts =
            json::read(counts).map_err(|_| Problem::new(Code::Internal, "the counts cannot be read"))?;
        let mut loaded = self.open()?;
        self.add_to_day(day_of(isolate::now()), &counts)?;
        self.arm(&mut loaded, isolate::now())?;
        self.keep(loaded);
        Ok(())
    }

    /// Sets an alarm, if none is set that can be trusted to come.
    fn arm(&self, loaded: &mut Loaded, now: Time) -> Result<()> {
        if is_armed(loaded.marks.alarm_at, now) {
            return Ok(());
        }
        let period = look_again(isolate::settings(&self.env)?.retention);
        self.set_alarm(loaded, now.plus_millis(period))
    }

    fn set_alarm(&self, loaded: &mut Loaded, at: Time) -> Result<()> {
        let date = js_sys::Date::new(&(at.millis() as f64).into());
        let set = self.state.storage().as_raw().set_alarm(date, js_sys::Object::new());
        set.map(drop).map_err(|_| Problem::new(Code::Unavailable, "the alarm was not taken"))?;
        loaded.marks.alarm_at = Some(at);
        self.write_marks(&loaded.marks)
    }

    fn expire(&self) -> Result<String> {
        let Some(mut loaded) = self.known()? else { return Ok("[]".to_owned()) };
        let now = isolate::now();
        let retention = isolate::settings(&self.env)?.retention;
        let limit = now.plus_millis(-retention);
        self.write_index(&mut loaded)?;
        self.prune_by_age(&mut loaded, limit)?;
        self.expire_days(day_of(limit))?;
        self.expire_quarantine()?;
        self.expire_attempts(limit)?;
        self.expire_jobs()?;
        let silent = self.silent(limit, SWEEP)?;
        // A job that is under way goes on whatever becomes of this alarm.
        let goes_on = silent.len() as u64 == SWEEP || self.is_working()?;
        let period = if goes_on { AGAIN } else { look_again(retention) };
        loaded.marks.alarm_at = None;
        if self.is_anything_kept()? {
            self.set_alarm(&mut loaded, now.plus_millis(period))?;
        } else {
            self.write_marks(&loaded.marks)?;
        }
        self.keep(loaded);
        to_json(&silent)
    }

    async fn sweep(self: Rc<Self>, devices: &str) -> Result<()> {
        let devices: Vec<String> =
            json::read(devices).map_err(|_| Problem::new(Code::Internal, "the devices cannot be read"))?;
        let limit = isolate::now().plus_millis(-isolate::settings(&self.env)?.retention);
        for device in devices {
            match crate::rpc::device(&self.env, &device).expire().await {
                Ok(()) => {
                    self.write(schema::SWEPT, vec![device.into(), Value::Integer(limit.millis())])?;
                }
                // It is asked again at the next alarm.
                Err(problem) => console_error!("a silent device was not looked after: {}", problem.detail),
            }
        }
        Ok(())
    }
}

fn to_json<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|_| Problem::new(Code::Internal, "the answer cannot be written"))
}
