//! Making, replacing and signing anew: what is sent is read, guarded and sealed before the Registry has it.

use super::handshake::shake;
use super::{Way, deliveries, find, optional, own_hosts, see_at_once};
use crate::answer::Answer;
use crate::api::{Call, body_text};
use crate::{isolate, rpc, seal};
use fieldhook_core::integration::sign::new_secret;
use fieldhook_core::integration::{Definition, Face, MASK, Secrets, Stored, show};
use fieldhook_core::json::Members;
use fieldhook_core::problem::{Code, Problem, Result};
use fieldhook_core::target::Target;
use std::borrow::Cow;

/// How often a write is tried that somebody else's comes before.
const WRITES_TRIED: u32 = 3;
/// How long a secret that is replaced signs too, seconds: by default, and at most.
const OVERLAP: u64 = 86_400;
const OVERLAP_MAX: u64 = 30 * 86_400;

pub async fn create(call: &Call<'_>, way: Way<'_>) -> Result<Answer> {
    let body = sent(call, way.face, || new_secret(&seal::random()))?;
    let definition = Definition::read(body.as_bytes(), way.face, None)?;
    let target = guard(call, &definition).await?;
    let id: String = seal::random::<12>().iter().map(|byte| format!("{byte:02x}")).collect();
    let (_, secrets) = definition.masked();
    let product = way.product.map(str::to_owned);
    let mut stored = Stored::new(id, call.platform.now, product, &definition);
    stored.sealed = sealed(call, &secrets, &stored.id).await?;
    if definition.handshake {
        shake(&target, &secrets).await?;
    }
    rpc::registry(&call.platform.env)?.create(&stored, call.request.host()).await?;
    see_at_once(call).await;
    Ok(match way.face {
        Face::Integration => Answer::json(200, show::created(&stored, &call.request.origin).to_json()),
        Face::Subscription => {
            let mut shown = show::whole(&stored);
            if let Some(secret) = secrets.signing() {
                shown.set("secret", &secret);
            }
            Answer::json(201, shown.to_json())
        }
    })
}

/// Replaces the whole definition; its place in every log stays.
pub async fn replace(call: &Call<'_>, way: Way<'_>, id: &str) -> Result<Answer> {
    for _ in 0..WRITES_TRIED {
        let before = find(call, way, id).await?;
        let stored = replaced(call, &before).await?;
        let resumes = before.paused.is_some() && stored.paused.is_none();
        if resumes {
            deliveries::reset(call, id, false).await?;
        }
        if !rpc::registry(&call.platform.env)?.replace(&stored, call.request.host()).await? {
            continue;
        }
        see_at_once(call).await;
        if resumes {
            deliveries::wake(call, id).await?;
        }
        return Ok(match way.face {
            Face::Integration => Answer::json(200, show::created(&stored, &call.request.origin).to_json()),
            Face::Subscription => Answer::json(200, show::whole(&stored).to_json()),
        });
    }
    Err(contended())
}

async fn replaced(call: &Call<'_>, before: &Stored) -> Result<Stored> {
    // Left out, a subscription's secret stays.
    let body = sent(call, before.face, || MASK.to_owned())?;
    let definition = match isolate::secrets(&call.platform.env, before).await {
        Ok(kept) => Definition::read(body.as_bytes(), before.face, Some(&kept))?,
        // What a mask stands for cannot be opened: that is what has to be told.
        Err(closed) if body.contains(MASK) => return Err(closed),
        Err(_) => Definition::read(body.as_bytes(), before.face, None)?,
    };
    let target = guard(call, &definition).await?;
    let (_, secrets) = definition.masked();
    let sealed = sealed(call, &secrets, &before.id).await?;
    let stored = before.clone().replace(&definition, sealed, call.platform.now)?;
    let moved = show::line(&stored).text("url") != show::line(before).text("url");
    if definition.handshake && moved {
        shake(&target, &secrets).await?;
    }
    Ok(stored)
}

/// A new signing secret; the one before it signs too for `overlap` seconds.
pub async fn rotate(call: &Call<'_>, way: Way<'_>, id: &str) -> Result<Answer> {
    let overlap = match optional(call)? {
        None => OVERLAP,
        Some(mut properties) => {
            let overlap = properties.number("overlap", 0, OVERLAP_MAX)?;
            properties.finish()?;
            overlap.unwrap_or(OVERLAP)
        }
    };
    for _ in 0..WRITES_TRIED {
        let before = find(call, way, id).await?;
        let secrets = isolate::secrets(&call.platform.env, &before).await?;
        if secrets.signing().is_none() {
            let why = "the definition has no secret: there is nothing to rotate";
            return Err(Problem::field(Code::NotSigned, "secret", why));
        }
        let secret = new_secret(&seal::random());
        let until = call.platform.now.plus_millis(i64::try_from(overlap).unwrap_or(0) * 1000);
        let sealed = sealed(call, &secrets.rotated(&secret, until), &before.id).await?;
        let stored = Stored { sealed, updated_at: call.platform.now, ..before };
        if !rpc::registry(&call.platform.env)?.replace(&stored, call.request.host()).await? {
            continue;
        }
        see_at_once(call).await;
        let mut shown = Members::default();
        shown.set("ok", &true);
        shown.set("id", &stored.id);
        shown.set("secret", &secret);
        shown.set("previous_until", &until.to_string());
        return Ok(Answer::json(200, shown.to_json()));
    }
    Err(contended())
}

/// What was sent, with `secret` where a subscription has none: it is always signed.
fn sent<'a>(call: &'a Call<'_>, face: Face, secret: impl FnOnce() -> String) -> Result<Cow<'a, str>> {
    let text = body_text(call.request)?;
    Ok(match Members::parse(text) {
        Some(mut members) if face == Face::Subscription && !is_given(&members, "secret") => {
            members.set("secret", &secret());
            members.to_json().into()
        }
        _ => text.into(),
    })
}

fn is_given(members: &Members, name: &str) -> bool {
    members.get(name).is_some_and(|value| value.get() != "null")
}

async fn sealed(call: &Call<'_>, secrets: &Secrets, id: &str) -> Result<Option<String>> {
    if secrets.is_empty() {
        return Ok(None);
    }
    seal::seal(&call.settings.encryption_keys, &secrets.to_json(), id).await.map(Some)
}

/// Where deliveries would go, if they may (DESIGN.md, "URL guard").
///
/// # Errors
/// `bad-url`, naming the property.
async fn guard(call: &Call<'_>, definition: &Definition) -> Result<Target> {
    definition.target(&call.settings.target_rules(&own_hosts(call).await?))
}

fn contended() -> Problem {
    Problem::passing(Code::Unavailable, 1, "somebody else is writing this integration; try again")
}
