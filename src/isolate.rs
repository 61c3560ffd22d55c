//! What an isolate keeps between requests: the settings, parsed once, the cached snapshot, and the integrations that
//! were needed, with their secrets open.

use crate::{rpc, seal};
use fieldhook_core::clock::Time;
use fieldhook_core::integration::{Integration, Listed, Secrets, Stored};
use fieldhook_core::problem::{Code, Problem, Result};
use fieldhook_core::proof::session::Session;
use fieldhook_core::registry::{Freshness, Snapshot, freshness};
use fieldhook_core::settings::{SHORT_SECRET, Settings};
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use wasm_bindgen::JsCast;
use worker::{Context, Env, console_error, console_warn, js_sys};

thread_local! {
    static SETTINGS: OnceCell<Result<Rc<Settings>>> = const { OnceCell::new() };
    static SNAPSHOT: RefCell<Option<(i64, Rc<Snapshot>)>> = const { RefCell::new(None) };
    static FAILED: Cell<Option<i64>> = const { Cell::new(None) };
    /// By id: the revision, and what was compiled of it.
    static INTEGRATIONS: RefCell<HashMap<String, (u64, Rc<Integration>)>> = RefCell::new(HashMap::new());
}

/// The settings of this deployment. They cannot change while an isolate lives.
pub fn settings(env: &Env) -> Result<Rc<Settings>> {
    SETTINGS.with(|cell| cell.get_or_init(|| read_settings(env).map(Rc::new)).clone())
}

fn read_settings(env: &Env) -> Result<Settings> {
    let settings = Settings::read(|name| variable(env, name))?;
    for name in &settings.short_secrets {
        console_warn!("{name} holds a secret of less than {SHORT_SECRET} characters: easy to guess");
    }
    Ok(settings)
}

/// Secrets and vars are both plain strings on `env`.
///
/// A number or boolean of wrangler.toml is taken as it is written; anything else is passed on as a text that no
/// setting accepts, so that it is named rather than ignored.
fn variable(env: &Env, name: &str) -> Option<String> {
    let value = js_sys::Reflect::get(env.unchecked_ref(), &name.into()).ok()?;
    if value.is_undefined() || value.is_null() {
        return None;
    }
    let number = value.as_f64().map(|number| number.to_string());
    let flag = value.as_bool().map(|flag| flag.to_string());
    value.as_string().or(number).or(flag).or_else(|| Some(NOT_TEXT.to_owned()))
}

/// Stands for a value that is neither text, number nor boolean. As a token it opens nothing: it has a line
/// feed, which no header can carry.
const NOT_TEXT: &str = "not\na text";

/// What one request works with.
pub struct Platform {
    pub env: Env,
    pub context: Context,
    pub now: Time,
    /// That of the request's cookie, once it is known that it was not ended.
    pub session: Cell<Option<Session>>,
}

impl Platform {
    pub fn new(env: Env, context: Context) -> Self {
        Platform { env, context, now: now(), session: Cell::new(None) }
    }

    pub fn settings(&self) -> Result<Rc<Settings>> {
        settings(&self.env)
    }

    /// How many shards can hold something: those of today, and those of a time when there were more.
    ///
    /// # Errors
    /// As [`Platform::snapshot`].
    pub async fn shard_count(&self) -> Result<u32> {
        Ok(self.snapshot().await?.shards.max(self.settings()?.fleet_shards))
    }

    /// All configuration, at most 10 s old while the Registry answers.
    ///
    /// # Errors
    /// `unavailable` only where there is no snapshot at all: a failed refresh keeps the old one.
    pub async fn snapshot(&self) -> Result<Rc<Snapshot>> {
        let cached = SNAPSHOT.with_borrow(Clone::clone);
        let fetched = cached.as_ref().map(|(at, _)| *at);
        match (freshness(fetched, FAILED.get(), self.now.millis()), cached) {
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

/// The snapshot if there is one that needs no asking.
pub fn known_snapshot(now: Time) -> Option<Rc<Snapshot>> {
    let (at, snapshot) = SNAPSHOT.with_borrow(Clone::clone)?;
    match freshness(Some(at), FAILED.get(), now.millis()) {
        Freshness::Stale => None,
        Freshness::Fresh | Freshness::Ageing => Some(snapshot),
    }
}

/// All configuration for an object: as fresh as a request would have it, and of a version at least.
///
/// # Errors
/// `unavailable` where there is no snapshot at all, or none of that version.
pub async fn snapshot_of(env: &Env, version: u64) -> Result<Rc<Snapshot>> {
    if let Some(snapshot) = known_snapshot(now()).filter(|known| known.version >= version) {
        return Ok(snapshot);
    }
    let old = SNAPSHOT.with_borrow(|cached| cached.as_ref().map(|(_, snapshot)| snapshot.clone()));
    match (refresh(env).await, old.filter(|old| old.version >= version)) {
        (Ok(snapshot), _) | (Err(_), Some(snapshot)) => Ok(snapshot),
        (Err(problem), None) => Err(problem),
    }
}

/// Asks the Registry for what is newer than the cached snapshot.
///
/// Every caller makes a call of its own: a future that two requests share dies with the first of them.
pub async fn refresh(env: &Env) -> Result<Rc<Snapshot>> {
    let started = now().millis();
    let known = SNAPSHOT.with_borrow(|cached| cached.as_ref().map(|(_, snapshot)| snapshot.clone()));
    let snapshot = ask(env, known).await.inspect_err(|problem| {
        FAILED.set(Some(now().millis()));
        console_error!("the configuration could not be refreshed: {}", problem.detail);
    })?;
    SNAPSHOT.with_borrow_mut(|cached| {
        // A call that began earlier may end later; the newer version stays.
        if cached.as_ref().is_none_or(|(_, kept)| kept.version <= snapshot.version) {
            *cached = Some((started, snapshot.clone()));
        }
    });
    Ok(snapshot)
}

async fn ask(env: &Env, known: Option<Rc<Snapshot>>) -> Result<Rc<Snapshot>> {
    let version = known.as_ref().map(|snapshot| snapshot.version);
    let answer = rpc::registry(env)?.snapshot(version, settings(env)?.fleet_shards).await?;
    match (answer.as_str(), known) {
        ("", Some(known)) => Ok(known),
        ("", None) => Err(Problem::new(Code::Unavailable, "the configuration is not there")),
        (text, _) => {
            let snapshot = Snapshot::parse(text)?;
            for (id, why) in &snapshot.damaged {
                console_error!("the integration {id} is damaged, nothing is delivered for it: {why}");
            }
            forget_removed(&snapshot);
            Ok(Rc::new(snapshot))
        }
    }
}

/// An integration ready for use: its secrets opened and its templates parsed, once per revision.
///
/// # Errors
/// `not-configured` where `ENCRYPTION_KEYS` has no key that opens its secrets, and what [`Integration::compile`] finds.
pub async fn integration(env: &Env, listed: &Listed) -> Result<Rc<Integration>> {
    let Stored { id, revision, .. } = &listed.stored;
    let kept = INTEGRATIONS.with_borrow(|all| all.get(id).filter(|(of, _)| of == revision).cloned());
    if let Some((_, integration)) = kept {
        return Ok(integration);
    }
    let secrets = secrets(env, &listed.stored).await?;
    let integration = Rc::new(Integration::compile(&listed.stored, &secrets)?);
    INTEGRATIONS.with_borrow_mut(|all| all.insert(id.clone(), (*revision, integration.clone())));
    Ok(integration)
}

/// The secrets of an integration, opened.
///
/// # Errors
/// As [`seal::open`].
pub async fn secrets(env: &Env, stored: &Stored) -> Result<Secrets> {
    match &stored.sealed {
        None => Ok(Secrets::default()),
        Some(sealed) => {
            let plain = seal::open(&settings(env)?.encryption_keys, sealed, &stored.id).await?;
            Secrets::parse(&plain)
                .ok_or_else(|| Problem::new(Code::Internal, "the sealed secrets are damaged"))
        }
    }
}

/// Drops what was compiled of integrations that are no more.
fn forget_removed(snapshot: &Snapshot) {
    INTEGRATIONS.with_borrow_mut(|all| {
        all.retain(|id, _| snapshot.integrations.iter().any(|listed| listed.stored.id == *id));
    });
}

pub fn now() -> Time {
    Time::from_millis(js_sys::Date::now() as i64)
}
