//! `/v1/integrations`, `/v1/webhooks` and `/v1/subscriptions`, also under `/v1/products/{p}`: where events are delivered.
//!
//! They are one resource. Under `/v1/subscriptions` stand those that were made there, in their own shape; under the other
//! two all of them, in Particle's (PARTICLE.md, "Streams and REST").

mod deliveries;
mod handshake;
mod trial;
mod write;

use super::{Call, body_text, is_read, list_body, next_link, not_allowed, products};
use crate::answer::Answer;
use crate::isolate::{self, Platform};
use crate::router::not_found;
use crate::rpc;
use fieldhook_core::clock::Time;
use fieldhook_core::definition::Properties;
use fieldhook_core::history::{LIMIT_MAX, limit};
use fieldhook_core::integration::show;
use fieldhook_core::integration::{Face, Listed, Reason, Stored};
use fieldhook_core::problem::{Code, Problem, Result};
use fieldhook_core::proof::access::Scope;
use fieldhook_core::request::{Method, Request};

/// By which path integrations are called.
#[derive(Clone, Copy)]
pub struct Way<'a> {
    pub face: Face,
    /// Only those of this product, and what is made here is for its events only.
    pub product: Option<&'a str>,
}

impl Way<'_> {
    fn leads_to(self, stored: &Stored) -> bool {
        (self.face == Face::Integration || stored.face == self.face)
            && (self.product.is_none() || stored.product.as_deref() == self.product)
    }
}

pub async fn route(platform: &Platform, request: &Request, way: Way<'_>, path: &[&str]) -> Result<Answer> {
    let open = |scope| -> Result<Call<'_>> {
        let call = Call::open(platform, request, scope)?;
        way.product.map_or(Ok(()), |product| products::check(&call, product))?;
        Ok(call)
    };
    match (request.method, path) {
        (method, []) if is_read(method) => list(&open(Scope::Read)?, way).await,
        (Method::Post, []) => write::create(&open(Scope::Admin)?, way).await,
        (method, [id]) if is_read(method) => {
            let call = open(Scope::Read)?;
            let mut shown = show::whole(&find(&call, way, id).await?);
            shown.set("counts", &deliveries::counts(&call, id).await?);
            Ok(Answer::json(200, shown.to_json()))
        }
        (Method::Put, [id]) => write::replace(&open(Scope::Admin)?, way, id).await,
        (Method::Delete, [id]) => remove(&open(Scope::Admin)?, way, id).await,
        (Method::Post, [id, "test"]) => trial::send(&open(Scope::Admin)?, way, id).await,
        (Method::Post, [id, "pause"]) => pause(&open(Scope::Admin)?, way, id).await,
        (Method::Post, [id, "resume"]) => resume(&open(Scope::Admin)?, way, id).await,
        (Method::Post, [id, "rotate"]) => write::rotate(&open(Scope::Admin)?, way, id).await,
        (method, [id, "attempts"]) if is_read(method) => {
            let call = open(Scope::Read)?;
            find(&call, way, id).await?;
            deliveries::attempts(&call, id).await
        }
        (method, [id, "replays"]) if is_read(method) => {
            let call = open(Scope::Read)?;
            find(&call, way, id).await?;
            deliveries::replays(&call, id).await
        }
        (Method::Post, [id, "replay"]) => {
            let call = open(Scope::Admin)?;
            let stored = find(&call, way, id).await?;
            deliveries::replay(&call, &Listed::of(stored)?).await
        }
        (_, []) => not_allowed("GET, HEAD, POST"),
        (_, [_]) => not_allowed("GET, HEAD, PUT, DELETE"),
        (_, [_, "attempts" | "replays"]) => not_allowed("GET, HEAD"),
        (_, [_, "test" | "pause" | "resume" | "rotate" | "replay"]) => not_allowed("POST"),
        _ => Err(not_found()),
    }
}

/// The integration of this id, if this way leads to it.
async fn find(call: &Call<'_>, way: Way<'_>, id: &str) -> Result<Stored> {
    let stored = rpc::registry(&call.platform.env)?.integration(id).await?;
    if way.leads_to(&stored) {
        return Ok(stored);
    }
    Err(Problem::new(Code::UnknownIntegration, "no integration has this id"))
}

/// In order of creation: a bare array as on Particle, its next page in `Link`; subscriptions as every other list is.
async fn list(call: &Call<'_>, way: Way<'_>) -> Result<Answer> {
    let limit = match (call.request.query_value("limit"), way.face) {
        (None, Face::Integration) => LIMIT_MAX,
        _ => limit(call.request)?,
    };
    let after = call.request.query_value("after").map(|text| read_cursor(&text)).transpose()?;
    let mut found = rpc::registry(&call.platform.env)?.integrations().await?;
    found.retain(|stored| way.leads_to(stored) && after.as_ref().is_none_or(|after| place(stored) > *after));
    found.sort_by_cached_key(place);
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|last| format!("{}-{}", last.created_at.millis(), last.id));
    Ok(match way.face {
        Face::Subscription => {
            let shown: Vec<String> = found.iter().map(|stored| show::whole(stored).to_json()).collect();
            Answer::json(200, list_body("subscriptions", &shown, next.as_deref()))
        }
        Face::Integration => {
            let shown: Vec<String> = found.iter().map(|stored| show::line(stored).to_json()).collect();
            let answer = Answer::json(200, format!("[{}]", shown.join(",")));
            match next {
                Some(next) => answer.with("link", &next_link(call.request, &next)),
                None => answer,
            }
        }
    })
}

/// What a list goes by. One that was deleted since still tells where to go on.
fn place(stored: &Stored) -> (Time, String) {
    (stored.created_at, stored.id.clone())
}

fn read_cursor(text: &str) -> Result<(Time, String)> {
    let read = text.split_once('-').and_then(|(at, id)| Some((at.parse().ok()?, id)));
    let (at, id): (i64, &str) = read.ok_or_else(|| {
        Problem::field(Code::BadCursor, "after", "take the cursor from `next` of the page before")
    })?;
    Ok((Time::from_millis(at), id.to_owned()))
}

async fn remove(call: &Call<'_>, way: Way<'_>, id: &str) -> Result<Answer> {
    find(call, way, id).await?;
    rpc::registry(&call.platform.env)?.remove_integration(id).await?;
    see_at_once(call).await;
    deliveries::reset(call, id, true).await?;
    Ok(Answer::json(200, r#"{"ok":true}"#))
}

async fn pause(call: &Call<'_>, way: Way<'_>, id: &str) -> Result<Answer> {
    find(call, way, id).await?;
    let stored = rpc::registry(&call.platform.env)?.pause(id, Reason::Disabled).await?;
    see_at_once(call).await;
    Ok(Answer::json(200, show::whole(&stored).to_json()))
}

/// Goes on where it was; with `{"from": "now"}` what came in meanwhile is passed over.
async fn resume(call: &Call<'_>, way: Way<'_>, id: &str) -> Result<Answer> {
    let skip = match optional(call)? {
        None => false,
        Some(mut properties) => {
            let from = properties.text("from")?;
            properties.finish()?;
            match from.as_deref() {
                None => false,
                Some("now") => true,
                Some(_) => {
                    return Err(Problem::field(Code::BadField, "from", "from is \"now\", or left out"));
                }
            }
        }
    };
    find(call, way, id).await?;
    // What paused it is forgotten first: the next attempt must not pause it again.
    deliveries::reset(call, id, false).await?;
    let stored = rpc::registry(&call.platform.env)?.resume(id, skip).await?;
    see_at_once(call).await;
    deliveries::wake(call, id).await?;
    Ok(Answer::json(200, show::whole(&stored).to_json()))
}

/// The names this deployment goes by: the one that was just called, and those that integrations were defined under.
async fn own_hosts(call: &Call<'_>) -> Result<Vec<String>> {
    let mut hosts = call.platform.snapshot().await?.hosts.clone();
    hosts.push(call.request.host().to_owned());
    Ok(hosts)
}

/// The properties of a body that may be left out.
fn optional(call: &Call<'_>) -> Result<Option<Properties>> {
    match body_text(call.request)?.trim() {
        "" => Ok(None),
        text => Properties::parse(text.as_bytes()).map(Some),
    }
}

/// The isolate that wrote sees what it wrote; a refresh that fails takes nothing back.
async fn see_at_once(call: &Call<'_>) {
    let _ = isolate::refresh(&call.platform.env).await;
}
