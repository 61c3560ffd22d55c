//! `/v1/products/{p}`: Particle's product paths. A product is what its devices' events say.

use super::{Call, is_read, not_allowed, publish};
use crate::answer::Answer;
use crate::fleet::shard_name;
use crate::isolate::Platform;
use crate::router::not_found;
use crate::rpc;
use fieldhook_core::event::{DeviceId, is_name};
use fieldhook_core::history::LIMIT_MAX;
use fieldhook_core::problem::{Code, Problem, Result};
use fieldhook_core::products::{Device, Pages};
use fieldhook_core::proof::access::Scope;
use fieldhook_core::proof::token::TokenHash;
use fieldhook_core::request::{Method, Request};
use futures_util::future::join_all;

pub async fn route(platform: &Platform, request: &Request, product: &str, path: &[&str]) -> Result<Answer> {
    let open = |scope| -> Result<Call<'_>> {
        let call = Call::open(platform, request, scope)?;
        check(&call, product)?;
        Ok(call)
    };
    match (request.method, path) {
        (Method::Post, ["events"]) => publish::publish(&open(Scope::Admin)?, Some(product)).await,
        (method, ["devices"]) if is_read(method) => list(&open(Scope::Read)?, product).await,
        (method, ["devices", id]) if is_read(method) => describe(&open(Scope::Read)?, product, id).await,
        (_, ["events"]) => not_allowed("POST"),
        (_, ["devices"] | ["devices", _]) => not_allowed("GET, HEAD"),
        _ => Err(not_found()),
    }
}

/// A product's id or slug ends in a row: it has a form, and is no secret put in the wrong place.
fn check(call: &Call<'_>, product: &str) -> Result<()> {
    if is_name(product) && !call.settings.is_secret(&TokenHash::of(product)) {
        return Ok(());
    }
    Err(Problem::new(Code::NotFound, "a product's id matches [A-Za-z0-9_.-]{1,64}"))
}

async fn list(call: &Call<'_>, product: &str) -> Result<Answer> {
    let pages = Pages::read(call.request)?;
    Ok(Answer::json(200, pages.show(devices_of(call, product).await?)))
}

/// Devices asked at a time.
const ASKED_AT_ONCE: usize = 50;

/// Every device of a product, in order of id. Each device is asked, since no index knows of products.
async fn devices_of(call: &Call<'_>, product: &str) -> Result<Vec<Device>> {
    let env = &call.platform.env;
    let mut ids: Vec<String> = Vec::new();
    for shard in 0..call.settings.fleet_shards {
        let fleet = rpc::fleet(env, &shard_name(shard))?;
        let mut after = String::new();
        loop {
            let page = fleet.devices(&after, LIMIT_MAX).await?;
            let page: Vec<(String, i64)> = serde_json::from_str(&page)
                .map_err(|_| Problem::new(Code::Internal, "a shard's answer cannot be read"))?;
            let Some((last, _)) = page.last() else { break };
            after.clone_from(last);
            ids.extend(page.into_iter().map(|(id, _)| id));
        }
    }
    ids.sort();
    ids.dedup();
    let mut devices = Vec::new();
    for ids in ids.chunks(ASKED_AT_ONCE) {
        let described = join_all(ids.iter().map(|id| async { rpc::device(env, id).describe().await })).await;
        for description in described {
            match description {
                Ok(text) => devices.extend(Device::read(&text).filter(|device| device.is_of(product))),
                Err(problem) if problem.code == Code::UnknownDevice => {}
                Err(problem) => return Err(problem),
            }
        }
    }
    Ok(devices)
}

async fn describe(call: &Call<'_>, product: &str, id: &str) -> Result<Answer> {
    let unknown = || Problem::new(Code::UnknownDevice, "no event of this product's device has been accepted");
    let device = DeviceId::parse_any(id).map_err(|_| unknown())?;
    let described = rpc::device(&call.platform.env, device.as_str()).describe().await?;
    match Device::read(&described) {
        Some(device) if device.is_of(product) => Ok(Answer::json(200, described)),
        _ => Err(unknown()),
    }
}
