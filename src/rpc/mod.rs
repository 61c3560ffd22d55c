//! Calls to the three objects: JavaScript RPC, text in and text out.
//!
//! Each type names the methods that `entry.mjs` forwards. An outcome crosses as
//! [`fieldhook_core::problem::to_wire`] writes it, since an exception keeps nothing but its text.

mod device;
mod fleet;
mod registry;

pub use device::device;
pub use fleet::{Fleet, fleet};
pub use registry::registry;

use fieldhook_core::json;
use fieldhook_core::problem::{Code, Problem, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
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
    #[wasm_bindgen(method, catch, js_name = endSession)]
    fn end_session(
        this: &Stub,
        id: &str,
        until: f64,
        is_admin: bool,
    ) -> std::result::Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch, js_name = sessionEnded)]
    fn session_ended(this: &Stub, id: &str) -> std::result::Result<Promise, JsValue>;
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

fn to_u32(limit: usize) -> u32 {
    u32::try_from(limit).unwrap_or(u32::MAX)
}

fn written<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|_| Problem::new(Code::Internal, "what is asked cannot be written"))
}

fn read<T: DeserializeOwned>(text: &str) -> Result<T> {
    json::read(text).map_err(|_| Problem::new(Code::Internal, "an object's answer cannot be read"))
}
