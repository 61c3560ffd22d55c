//! Whether what was acknowledged is in the log: every device's history, read page by page.

use super::super::Stop;
use super::tally::Verified;
use crate::http::client::Client;
use crate::http::request::Request;
use crate::target::Target;
use fieldhook_core::integration::encoding::percent;
use serde_json::Value;
use std::collections::{HashMap, HashSet};

/// The largest page there is.
const PAGE: usize = 1_000;

/// Compares the ids that were answered 2xx with those in the history of their device.
pub async fn verify(
    client: &Client,
    base: &Target,
    token: &str,
    acknowledged: &HashMap<String, HashSet<String>>,
) -> Result<Verified, Stop> {
    let mut verified = Verified::default();
    for (device, ids) in acknowledged {
        let kept = history(client, base, token, device).await?;
        for id in ids {
            match kept.get(id).copied().unwrap_or_default() {
                0 => verified.lost += 1,
                rows => {
                    verified.kept += 1;
                    verified.kept_twice += u64::from(rows > 1);
                }
            }
        }
    }
    Ok(verified)
}

/// Each id in a device's history, and in how many rows.
async fn history(
    client: &Client,
    base: &Target,
    token: &str,
    device: &str,
) -> Result<HashMap<String, u64>, Stop> {
    let mut ids = HashMap::new();
    let mut after = String::new();
    loop {
        let path = format!("/v1/devices/{}/history?limit={PAGE}{after}", percent(device));
        let answer =
            client.send(&Request::read(base.at(&path), token)).await.map_err(|why| why.to_string())?;
        match answer.status {
            200 => {}
            // Nothing was ever kept for this device: all of it is lost.
            404 => return Ok(ids),
            status => return Err(format!("reading {path}: status {status}")),
        }
        let page: Value = serde_json::from_slice(&answer.body).map_err(|error| format!("{path}: {error}"))?;
        for event in page.get("events").and_then(Value::as_array).into_iter().flatten() {
            if let Some(id) = event.get("id").and_then(Value::as_str) {
                *ids.entry(id.to_owned()).or_default() += 1;
            }
        }
        match page.get("next").and_then(Value::as_str) {
            Some(next) => after = format!("&after={}", percent(next)),
            None => return Ok(ids),
        }
    }
}
