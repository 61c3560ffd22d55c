//! What an isolate keeps between requests: the settings, parsed once, and the cached snapshot.

use crate::rpc;
use fieldhook_core::clock::Time;
use fieldhook_core::problem::{Code, Problem, Result};
use fieldhook_core::registry::{Freshness, Snapshot, freshness};
use fieldhook_core::settings::Settings;
use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use wasm_bindgen::JsCast;
use worker::{Context, Env, console_error, js_sys};

thread_local! {
    static SETTINGS: OnceCell<Result<Rc<Settings>>> = const { OnceCell::new() };
    static SNAPSHOT: RefCell<Option<(i64, Rc<Snapshot>)>> = const { RefCell::new(None) };
    static ATTEMPTED: Cell<Option<i64>> = const { Cell::new(None) };
}

/// The settings of this deployment. They cannot change while an isolate lives.
pub fn settings(env: &Env) -> Result<Rc<Settings>> {
    SETTINGS.with(|cell| cell.get_or_init(|| Settings::read(|name| variable(env, name)).map(Rc::new)).clone())
}

/// Secrets and vars are both plain strings on `env`.
fn variable(env: &Env, name: &str) -> Option<String> {
    js_sys::Reflect::get(env.unchecked_ref(), &name.into()).ok()?.as_string()
}

/// What one request works with.
pub struct Platform {
    pub env: Env,
    pub context: Context,
    pub now: Time,
}

impl Platform {
    pub fn new(env: Env, context: Context) -> Self {
        Platform { env, context, now: now() }
    }

    pub fn settings(&self) -> Result<Rc<Settings>> {
        settings(&self.env)
    }

    /// All configuration, at most 10 s old while the Registry answers.
    ///
    /// # Errors
    /// `unavailable` only where there is no snapshot at all: a failed refresh keeps the old one.
    pub async fn snapshot(&self) -> Result<Rc<Snapshot>> {
        let cached = SNAPSHOT.with_borrow(Clone::clone);
        let fetched = cached.as_ref().map(|(at, _)| *at);
        match (freshness(fetched, ATTEMPTED.get(), self.now.millis()), cached) {
            (Freshness::Fresh, Some((_, snapshot))) => Ok(snapshot),
            (Freshness::Ageing, Some((_, snapshot))) => {
                let env = self.env.clone();
                self.context.wait_until(async move {
                    let _ = refresh(&env).await;
                });
                Ok(snapshot)
            }
            (_, cached) => match (refresh(&self.env).await, cached) {
                (Ok(snapshot), _) | (Err(_), Some((_, snapshot))) => Ok(snapshot),
                (Err(problem), None) => Err(problem),
            },
        }
    }
}

/// Asks the Registry for what is newer than the cached snapshot.
///
/// Every caller makes a call of its own: a future that two requests share dies with the first of them.
pub async fn refresh(env: &Env) -> Result<Rc<Snapshot>> {
    let started = now().millis();
    ATTEMPTED.set(Some(started));
    let known = SNAPSHOT.with_borrow(|cached| cached.as_ref().map(|(_, snapshot)| snapshot.clone()));
    let version = known.as_ref().map(|snapshot| snapshot.version);
    let answer = rpc::registry(env)?.snapshot(version).await.inspect_err(|problem| {
        console_error!("the configuration could not be refreshed: {}", problem.detail);
    })?;
    let snapshot = match (answer.as_str(), known) {
        ("", Some(known)) => known,
        ("", None) => return Err(Problem::new(Code::Unavailable, "the configuration is not there")),
        (text, _) => Rc::new(Snapshot::parse(text)?),
    };
    SNAPSHOT.with_borrow_mut(|cached| {
        // A call that began earlier may end later; the newer version stays.
        if cached.as_ref().is_none_or(|(_, kept)| kept.version <= snapshot.version) {
            *cached = Some((started, snapshot.clone()));
        }
    });
    Ok(snapshot)
}

pub fn now() -> Time {
    Time::from_millis(js_sys::Date::now() as i64)
}
