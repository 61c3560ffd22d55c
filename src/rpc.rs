//! Calls to the three objects: JavaScript RPC, text in and text out.
//!
//! Each type names the methods that `entry.mjs` forwards. An outcome crosses as
//! [`fieldhook_core::problem::to_wire`] writes it, since an exception keeps nothing but its text.

use fieldhook_core::clock::Time;
use fieldhook_core::delivery::job::{Ask, Job, Taken};
use fieldhook_core::delivery::report::{Answer, Report};
use fieldhook_core::delivery::{listing, tally};
use fieldhook_core::fleet::append::{Append, Confirmed};
use fieldhook_core::fleet::index::{Filter, Page};
use fieldhook_core::fleet::stats::{Counts, Days};
use fieldhook_core::integration::{Reason, Stored};
use fieldhook_core::json;
use fieldhook_core::log::{Accept, Accepted};
use fieldhook_core::notice::Notice;
use fieldhook_core::problem::{Code, Problem, Result, from_wire};
use fieldhook_core::series::{Plan, Series};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use wasm_bindgen::prelude::*;
use worker::js_sys::futures::JsFuture;
use worker::js_sys::{Promise, Reflect};
use worker::{Env, console_error};

#[wasm_bindgen]
extern "C" {
    type Namespace;

    #[wasm_bindgen(method, catch, js_name = getByName)]
    fn get_by_name(this: &Namespace, name: &str) -> std::result::Result<Stub, JsValue>;

    type Stub;

    #[wasm_bindgen(method, catch)]
    fn accept(this: &Stub, message: &str) -> std::result::Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn describe(this: &Stub) -> std::result::Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn history(this: &Stub, query: &str) -> std::result::Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn series(this: &Stub, plan: &str) -> std::result::Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch, js_name = forget)]
    fn forget_self(this: &Stub) -> std::result::Result<Promise, JsValue>;

    #[wasm_bindgen(method, catch)]
    fn twin(
        this: &Stub,
        device: &str,
        operation: &str,
        body: &str,
        if_match: f64,
    ) -> std::result::Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn commands(
        this: &Stub,
        device: &str,
        operation: &str,
        body: &str,
    ) -> std::result::Result<Promise, JsValue>;

    #[wasm_bindgen(method, catch)]
    fn expire(this: &Stub) -> std::result::Result<Promise, JsValue>;

    #[wasm_bindgen(method, catch)]
    fn append(this: &Stub, message: &str) -> std::result::Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn leave(this: &Stub, device: &str, born: f64) -> std::result::Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn forget(this: &Stub, device: &str, born: f64) -> std::result::Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn devices(this: &Stub, after: &str, limit: u32, filter: &str) -> std::result::Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn count(this: &Stub, counts: &str) -> std::result::Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn stats(this: &Stub) -> std::result::Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn page(
        this: &Stub,
        wanted: &str,
        from: f64,
        descending: bool,
        limit: u32,
    ) -> std::result::Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn replay(this: &Stub, ask: &str) -> std::result::Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn answered(
        this: &Stub,
        key: &str,
        reply: &str,
        too_large: bool,
    ) -> std::result::Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn report(this: &Stub, report: &str, notices: &str) -> std::result::Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch, js_name = askCircuit)]
    fn ask_circuit(this: &Stub, host: &str) -> std::result::Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn attempts(this: &Stub, query: &str) -> std::result::Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn outcomes(this: &Stub, integration: &str) -> std::result::Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn reset(this: &Stub, integration: &str, deleted: bool) -> std::result::Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch, js_name = startJob)]
    fn start_job(this: &Stub, job: &str) -> std::result::Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn estimate(
        this: &Stub,
        task: &str,
        integration: &str,
        prefixes: &str,
        device: &str,
    ) -> std::result::Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn jobs(this: &Stub, integration: &str) -> std::result::Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch, js_name = quarantineAdd)]
    fn quarantine_add(this: &Stub, entries: &str) -> std::result::Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch, js_name = quarantineList)]
    fn quarantine_list(this: &Stub, before: &str, limit: u32) -> std::result::Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch, js_name = quarantineRead)]
    fn quarantine_read(this: &Stub, number: f64) -> std::result::Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch, js_name = quarantineRemove)]
    fn quarantine_remove(this: &Stub, number: f64) -> std::result::Result<Promise, JsValue>;

    #[wasm_bindgen(method, catch)]
    fn snapshot(this: &Stub, known: f64, shards: u32) -> std::result::Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn put(this: &Stub, kind: &str, name: &str, body: &str) -> std::result::Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn get(this: &Stub, kind: &str, name: &str) -> std::result::Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn list(this: &Stub, kind: &str, after: &str, limit: u32) -> std::result::Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn remove(this: &Stub, kind: &str, name: &str) -> std::result::Result<Promise, JsValue>;

    #[wasm_bindgen(method, catch, js_name = createIntegration)]
    fn create_integration(this: &Stub, json: &str, host: &str) -> std::result::Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch, js_name = replaceIntegration)]
    fn replace_integration(
        this: &Stub,
        json: &str,
        seen: f64,
        host: &str,
    ) -> std::result::Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch, js_name = readIntegration)]
    fn read_integration(this: &Stub, id: &str) -> std::result::Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch, js_name = listIntegrations)]
    fn list_integrations(this: &Stub) -> std::result::Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch, js_name = removeIntegration)]
    fn remove_integration(this: &Stub, id: &str) -> std::result::Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch, js_name = pauseIntegration)]
    fn pause_integration(this: &Stub, id: &str, reason: &str) -> std::result::Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch, js_name = resumeIntegration)]
    fn resume_integration(this: &Stub, id: &str, skip: bool) -> std::result::Result<Promise, JsValue>;
}

fn stub(env: &Env, binding: &str, name: &str) -> Result<Stub> {
    let missing = |error: JsValue| failed(binding, &message_of(&error));
    let namespace: Namespace = namespace(env, binding)?.unchecked_into();
    namespace.get_by_name(name).map_err(missing)
}

fn namespace(env: &Env, binding: &str) -> Result<JsValue> {
    Reflect::get(env, &binding.into()).map_err(|error| failed(binding, &message_of(&error)))
}

/// The namespace of the shards, for those who open sockets to them.
pub fn shards(env: &Env) -> Result<JsValue> {
    namespace(env, "FLEET")
}

/// The log is told what happened; the caller only that it did.
fn failed(what: &str, why: &str) -> Problem {
    console_error!("{what}: {why}");
    Problem::new(Code::Unavailable, format!("{what} did not answer"))
}

async fn text(
    what: &str,
    call: std::result::Result<Promise, JsValue>,
) -> std::result::Result<String, Failure> {
    let answered = match call {
        Ok(promise) => JsFuture::from(promise).await,
        Err(error) => Err(error),
    };
    answered.map_err(|error| Failure::read(what, &error)).map(|value| value.as_string().unwrap_or_default())
}

fn message_of(error: &JsValue) -> String {
    let message = Reflect::get(error, &"message".into()).ok().and_then(|text| text.as_string());
    message.unwrap_or_default()
}

/// An object call that threw.
struct Failure {
    problem: Problem,
    /// The platform says that the same call on a new stub may succeed.
    retryable: bool,
}

impl Failure {
    fn read(what: &str, error: &JsValue) -> Self {
        let flag = |name: &str| Reflect::get(error, &name.into()).is_ok_and(|value| value.is_truthy());
        Failure {
            problem: failed(what, &message_of(error)),
            retryable: flag("retryable") && !flag("overloaded"),
        }
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        failure.problem
    }
}

/// One device's object.
pub struct Device<'a> {
    env: &'a Env,
    name: &'a str,
}

pub fn device<'a>(env: &'a Env, name: &'a str) -> Device<'a> {
    Device { env, name }
}

impl Device<'_> {
    fn stub(&self) -> Result<Stub> {
        stub(self.env, "DEVICE", self.name)
    }

    /// Commits events. Tried twice where the platform says that helps: a repeat is recognised, so a second
    /// call can never count an event twice.
    ///
    /// # Errors
    /// `commit-failed`.
    pub async fn accept(&self, accept: &Accept) -> Result<Accepted> {
        let not_stored = || Problem::new(Code::CommitFailed, "the device's log did not take the event");
        let message = serde_json::to_string(accept).map_err(|_| not_stored())?;
        let stub = || self.stub().map_err(|_| not_stored());
        let mut answer = text("device.accept", stub()?.accept(&message)).await;
        if matches!(&answer, Err(failure) if failure.retryable) {
            // A stub that has thrown is broken for good.
            answer = text("device.accept", stub()?.accept(&message)).await;
        }
        let answer = answer.map_err(|_| not_stored())?;
        json::read(&answer).map_err(|_| not_stored())
    }

    pub async fn describe(&self) -> Result<String> {
        from_wire(&text("device.describe", self.stub()?.describe()).await?)
    }

    pub async fn history(&self, query: &str) -> Result<String> {
        from_wire(&text("device.history", self.stub()?.history(query)).await?)
    }

    /// What the piece of the log behind `plan.after` comes to.
    pub async fn series(&self, plan: &Plan) -> Result<Series> {
        let unreadable = |_| Problem::new(Code::Internal, "the series cannot be read");
        let plan = serde_json::to_string(plan).map_err(unreadable)?;
        let piece = from_wire(&text("device.series", self.stub()?.series(&plan)).await?)?;
        json::read(&piece).map_err(unreadable)
    }

    /// Reads or writes the twin; answers its version and itself.
    pub async fn twin(&self, operation: &str, body: &str, if_match: Option<u64>) -> Result<(u64, String)> {
        let if_match = if_match.map_or(-1.0, |version| version as f64);
        let call = self.stub()?.twin(self.name, operation, body, if_match);
        let answer = from_wire(&text("device.twin", call).await?)?;
        let (version, twin) = answer.split_once(' ').unwrap_or(("0", "{}"));
        Ok((version.parse().unwrap_or(0), twin.to_owned()))
    }

    pub async fn commands(&self, operation: &str, body: &str) -> Result<String> {
        let call = self.stub()?.commands(self.name, operation, body);
        from_wire(&text("device.commands", call).await?)
    }

    /// Keeps a service's answer for repeats of the event, and that it was `too_large` to be given.
    pub async fn answered(&self, key: &str, reply: &str, too_large: bool) -> Result<()> {
        Ok(text("device.answered", self.stub()?.answered(key, reply, too_large)).await.map(drop)?)
    }

    /// Delivers events again, or looks what there is to deliver.
    pub async fn replay(&self, ask: &Ask) -> Result<Taken> {
        let taken = from_wire(&text("device.replay", self.stub()?.replay(&written(ask)?)).await?)?;
        read(&taken)
    }

    /// Removes what has been kept long enough.
    pub async fn expire(&self) -> Result<()> {
        Ok(text("device.expire", self.stub()?.expire()).await.map(drop)?)
    }

    /// Deletes everything the object holds; answers when the device's life began, `None` where nothing was held.
    pub async fn forget(&self) -> Result<Option<i64>> {
        Ok(from_wire(&text("device.forget", self.stub()?.forget_self()).await?)?.parse().ok())
    }
}

/// One shard of the fleet.
pub struct Fleet(Stub);

pub fn fleet(env: &Env, shard: &str) -> Result<Fleet> {
    stub(env, "FLEET", shard).map(Fleet)
}

impl Fleet {
    /// Appends a run of a device's log; `None` says that the device was deleted.
    pub async fn append(&self, append: &Append) -> Result<Option<Confirmed>> {
        let message = serde_json::to_string(append)
            .map_err(|_| Problem::new(Code::Internal, "the run cannot be written"))?;
        let answer = text("fleet.append", self.0.append(&message)).await?;
        if answer.is_empty() {
            return Ok(None);
        }
        let confirmed = json::read(&answer)
            .map_err(|_| Problem::new(Code::Internal, "the shard's answer cannot be read"))?;
        Ok(Some(confirmed))
    }

    pub async fn leave(&self, device: &str, born: i64) -> Result<()> {
        Ok(text("fleet.leave", self.0.leave(device, born as f64)).await.map(drop)?)
    }

    /// Whether the device was known.
    pub async fn forget(&self, device: &str, born: i64) -> Result<bool> {
        Ok(text("fleet.forget", self.0.forget(device, born as f64)).await? == "1")
    }

    /// Devices behind `after` that match, in order of id.
    pub async fn devices(&self, after: &str, limit: usize, filter: &Filter) -> Result<Page> {
        let filter = serde_json::to_string(filter).unwrap_or_default();
        let page = from_wire(&text("fleet.devices", self.0.devices(after, to_u32(limit), &filter)).await?)?;
        json::read(&page).map_err(|_| Problem::new(Code::Internal, "a shard's answer cannot be read"))
    }

    pub async fn count(&self, counts: &Counts) -> Result<()> {
        let counts = serde_json::to_string(counts).unwrap_or_default();
        Ok(text("fleet.count", self.0.count(&counts)).await.map(drop)?)
    }

    pub async fn stats(&self) -> Result<Days> {
        let days = from_wire(&text("fleet.stats", self.0.stats()).await?)?;
        json::read(&days).map_err(|_| Problem::new(Code::Internal, "a shard's answer cannot be read"))
    }

    /// A page of the shard's log from a position, or from its head.
    pub async fn page(
        &self,
        wanted: &str,
        from: Option<u64>,
        descending: bool,
        limit: usize,
    ) -> Result<String> {
        let from = from.map_or(-1.0, |from| from as f64);
        from_wire(&text("fleet.page", self.0.page(wanted, from, descending, to_u32(limit))).await?)
    }

    /// Tells what became of a delivery, and what streams are to be told of it.
    pub async fn report(&self, report: &Report, notices: &[Notice]) -> Result<Answer> {
        let call = self.0.report(&written(report)?, &written(&notices)?);
        read(&text("fleet.report", call).await?)
    }

    /// Until when a host is spared, if it is.
    pub async fn ask_circuit(&self, host: &str) -> Result<Option<Time>> {
        let until = text("fleet.askCircuit", self.0.ask_circuit(host)).await?;
        Ok(until.parse().ok().map(Time::from_millis))
    }

    pub async fn attempts(&self, query: &listing::Query) -> Result<Vec<Box<RawValue>>> {
        read(&from_wire(&text("fleet.attempts", self.0.attempts(&written(query)?)).await?)?)
    }

    /// The counts of each day, and how many deliveries are parked.
    pub async fn outcomes(&self, integration: &str) -> Result<(tally::Days, u64)> {
        read(&from_wire(&text("fleet.outcomes", self.0.outcomes(integration)).await?)?)
    }

    /// Forgets what paused an integration, or everything about one that was deleted.
    pub async fn reset(&self, integration: &str, deleted: bool) -> Result<()> {
        Ok(text("fleet.reset", self.0.reset(integration, deleted)).await.map(drop)?)
    }

    pub async fn start_job(&self, job: &Job) -> Result<()> {
        from_wire(&text("fleet.startJob", self.0.start_job(&written(job)?)).await?).map(drop)
    }

    /// How many events a replay comes to.
    pub async fn estimate(&self, job: &Job, prefixes: &[String]) -> Result<u64> {
        let (task, prefixes) = (written(&job.task)?, written(&prefixes)?);
        let device = job.device.as_deref().unwrap_or_default();
        let call = self.0.estimate(&task, &job.integration, &prefixes, device);
        read(&from_wire(&text("fleet.estimate", call).await?)?)
    }

    pub async fn jobs(&self, integration: &str) -> Result<Vec<Job>> {
        read(&from_wire(&text("fleet.jobs", self.0.jobs(integration)).await?)?)
    }

    pub async fn quarantine_add(&self, entries: &str) -> Result<()> {
        Ok(text("fleet.quarantine", self.0.quarantine_add(entries)).await.map(drop)?)
    }

    pub async fn quarantine_list(&self, before: &str, limit: usize) -> Result<String> {
        from_wire(&text("fleet.quarantine", self.0.quarantine_list(before, to_u32(limit))).await?)
    }

    pub async fn quarantine_read(&self, number: u64) -> Result<String> {
        from_wire(&text("fleet.quarantine", self.0.quarantine_read(number as f64)).await?)
    }

    pub async fn quarantine_remove(&self, number: u64) -> Result<()> {
        from_wire(&text("fleet.quarantine", self.0.quarantine_remove(number as f64)).await?).map(drop)
    }
}

fn to_u32(limit: usize) -> u32 {
    u32::try_from(limit).unwrap_or(u32::MAX)
}

fn written<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|_| Problem::new(Code::Internal, "what is asked cannot be written"))
}

fn read<T: DeserializeOwned>(text: &str) -> Result<T> {
    json::read(text).map_err(|_| Problem::new(Code::Internal, "an object's answer cannot be read"))
}

/// The deployment's configuration.
pub struct Registry(Stub);

pub fn registry(env: &Env) -> Result<Registry> {
    stub(env, "REGISTRY", "registry").map(Registry)
}

impl Registry {
    /// The whole configuration, or nothing where it is still the version that is known.
    /// `shards` is how many this deployment has now: the Registry remembers the most there ever were.
    pub async fn snapshot(&self, known: Option<u64>, shards: u32) -> Result<String> {
        let known = known.map_or(-1.0, |version| version as f64);
        from_wire(&text("registry.snapshot", self.0.snapshot(known, shards)).await?)
    }

    pub async fn put(&self, kind: &str, name: &str, body: &str) -> Result<String> {
        from_wire(&text("registry.put", self.0.put(kind, name, body)).await?)
    }

    pub async fn get(&self, kind: &str, name: &str) -> Result<String> {
        from_wire(&text("registry.get", self.0.get(kind, name)).await?)
    }

    pub async fn list(&self, kind: &str, after: &str, limit: usize) -> Result<String> {
        from_wire(&text("registry.list", self.0.list(kind, after, to_u32(limit))).await?)
    }

    pub async fn remove(&self, kind: &str, name: &str) -> Result<()> {
        from_wire(&text("registry.remove", self.0.remove(kind, name)).await?).map(drop)
    }

    /// Keeps a new integration, and the host it was defined under as one of our own.
    pub async fn create(&self, integration: &Stored, host: &str) -> Result<()> {
        let call = self.0.create_integration(&written(integration)?, host);
        from_wire(&text("registry.create", call).await?).map(drop)
    }

    /// Writes over the revision that `integration` was read at; whether it still was the one.
    pub async fn replace(&self, integration: &Stored, host: &str) -> Result<bool> {
        let call = self.0.replace_integration(&written(integration)?, integration.revision as f64, host);
        Ok(from_wire(&text("registry.replace", call).await?)? == "1")
    }

    /// # Errors
    /// `unknown-integration`.
    pub async fn integration(&self, id: &str) -> Result<Stored> {
        read(&from_wire(&text("registry.integration", self.0.read_integration(id)).await?)?)
    }

    /// All integrations in order of creation. One that cannot be read is logged and left out.
    pub async fn integrations(&self) -> Result<Vec<Stored>> {
        let all = from_wire(&text("registry.integrations", self.0.list_integrations()).await?)?;
        let all: Vec<(String, Box<RawValue>)> = read(&all)?;
        let readable = all.iter().filter_map(|(id, json)| {
            read(json.get()).inspect_err(|_| console_error!("the integration {id} is damaged")).ok()
        });
        Ok(readable.collect())
    }

    pub async fn remove_integration(&self, id: &str) -> Result<()> {
        from_wire(&text("registry.remove", self.0.remove_integration(id)).await?).map(drop)
    }

    /// Pauses an integration; where it is paused already, for whatever reason, nothing changes.
    pub async fn pause(&self, id: &str, reason: Reason) -> Result<Stored> {
        let reason = serde_json::to_value(reason).unwrap_or_default();
        let reason = reason.as_str().unwrap_or_default();
        read(&from_wire(&text("registry.pause", self.0.pause_integration(id, reason)).await?)?)
    }

    /// Resumes an integration; with `skip` behind everything that has been accepted until now.
    pub async fn resume(&self, id: &str, skip: bool) -> Result<Stored> {
        read(&from_wire(&text("registry.resume", self.0.resume_integration(id, skip)).await?)?)
    }
}
