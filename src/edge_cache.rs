//! KV at the edge: a repeated event is answered here before any object wakes.
//!
//! KV is eventually consistent, so it is a filter and never the judge. Nothing here can fail an event.

use crate::isolate::Platform;
use fieldhook_core::event::DedupKey;
use fieldhook_core::log::kv_key;
use fieldhook_core::reply::Reply;
use fieldhook_core::settings::Settings;
use std::cell::Cell;
use worker::{Env, console_warn};

thread_local! {
    static FAILED_PUTS: Cell<u64> = const { Cell::new(0) };
}

/// How many replies this isolate could not put into KV. Approximate by nature: an isolate comes and goes.
pub fn failed_puts() -> u64 {
    FAILED_PUTS.get()
}

/// The stored reply of an event that was seen before.
pub async fn seen(platform: &Platform, settings: &Settings, key: &DedupKey) -> Option<Reply> {
    if !settings.dedup_kv {
        return None;
    }
    let store = platform.env.kv("DEDUP").ok()?;
    let stored = store.get(&kv_key(key)).text().await.ok()??;
    Some(Reply::from_stored(&stored))
}

/// Remembers the reply after the answer is out.
pub fn remember(platform: &Platform, settings: &Settings, key: &DedupKey, reply: &Reply) {
    if !settings.dedup_kv {
        return;
    }
    let (env, key, stored) = (platform.env.clone(), kv_key(key), reply.to_stored());
    let seconds = u64::try_from(settings.dedup_window).unwrap_or_default();
    platform.context.wait_until(async move {
        if let Err(error) = put(&env, &key, &stored, seconds).await {
            FAILED_PUTS.set(FAILED_PUTS.get() + 1);
            console_warn!("kv put failed ({} so far): {error}", FAILED_PUTS.get());
        }
    });
}

async fn put(env: &Env, key: &str, stored: &str, seconds: u64) -> worker::Result<()> {
    env.kv("DEDUP")?.put(key, stored)?.expiration_ttl(seconds).execute().await?;
    Ok(())
}
