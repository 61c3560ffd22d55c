//! `/v1/products/{p}`: Particle's product paths. A product is what its devices' events say.

use super::{Call, integrations, is_read, not_allowed, publish};
use crate::answer::Answer;
use crate::isolate::Platform;
use crate::router::not_found;
use crate::rpc;
use fieldhook_core::event::{DeviceId, is_name};
use fieldhook_core::fleet::index::Filter;
use fieldhook_core::fleet::shard_name;
use fieldhook_core::history::LIMIT_MAX;
use fieldhook_core::integration::Face;
use fieldhook_core::problem::{Code, Problem, Result};
use fieldhook_core::products::{Device, Pages};
use fieldhook_core::proof::access::Scope;
use fieldhook_core::proof::token::TokenHash;
use fieldhook_core::request::{Method, Request};

pub async fn route(platform: &Platform, request: &Request, product: &str, path: &[&str]) -> Result<Answer> {
    let open = |scope| -> Result<Call<'_>> {
        let call = Call::open(platform, request, scope)?;
        check(&call, product)?;
        Ok(call)
    };
    let way = |face| integrations::Way { face, product: Some(product) };
    match (request.method, path) {
        (_, ["integrations" | "webhooks", rest @ ..]) => {
            integrations::route(platform, request, way(Face::Integration), rest).await
        }
        (_, ["subscriptions", rest @ ..]) => {
            integrations::route(platform, request, way(Face::Subscription), rest).await
        }
        (Method::Post, ["events"]) => publish::publish(&open(Scope::Admin)?, Some(product)).await,
        (method, ["devices"]) if is_read(method) => list(&open(Scope::Read)?, product).await,
        (method, ["devices", id]) if is_read(method) => describe(&open(Scope::Read)?, product, id).await,
        (_, ["events"]) => not_allowed("GET, HEAD, POST"),
        (_, ["devices"] | ["devices", _]) => not_allowed("GET, HEAD"),
        _ => Err(not_found()),
    }
}

/// A product's id or slug ends in a row: it has a form, and is no secret put in the wrong place.
pub fn check(call: &Call<'_>, product: &str) -> Result<()> {
    if is_name(product) && !call.settings.is_secret(&TokenHash::of(product)) {
        return Ok(());
    }
    Err(Problem::new(Code::NotFound, "a product's id matches [A-Za-z0-9_.-]{1,64}"))
}

async fn list(call: &Call<'_>, product: &str) -> Result<Answer> {
    let pages = Pages::read(call.request)?;
    Ok(Answer::json(200, pages.show(devices_of(call, product).await?)))
}

/// Every device of a product, in order of id, as the shards' indexes know them.
async fn devices_of(call: &Call<'_>, product: &str) -> Result<Vec<Device>> {
    let filter = Filter { product: Some(product.to_owned()), ..Filter::default() };
    let mut devices: Vec<(String, Device)> = Vec::new();
    for shard in 0..call.platform.shard_count().await? {
        let fleet = rpc::fleet(&call.platform.env, &shard_name(shard))?;
        let mut after = String::new();
        loop {
            let page = fleet.devices(&after, LIMIT_MAX, &filter).await?;
            let Some((last, _)) = page.last() else { break };
            after.clone_from(last);
            let is_last = page.len() < LIMIT_MAX;
            devices.extend(page.into_iter().filter_map(|(id, shown)| Some((id, Device::read(shown.get())?))));
            if is_last {
                break;
            }
        }
    }
    devices.sort_by(|(a, _), (b, _)| a.cmp(b));
    // On its way from one shard to another, a device stands in both for a moment.
    devices.dedup_by(|(a, _), (b, _)| a == b);
    Ok(devices.into_iter().map(|(_, device)| device).collect())
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
