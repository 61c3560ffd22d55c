//! `POST /v1/devices/events` and `/v1/products/{p}/events`: an application publishes.

use super::Call;
use crate::answer::Answer;
use crate::hook::{Ingress, unique};
use fieldhook_core::event::SourceName;
use fieldhook_core::ingest::{Arrival, publish};
use fieldhook_core::problem::Result;
use fieldhook_core::proof::Credential;

/// The same way as an event of `/hook`, from the source `api`; its reply, if any, is for nobody.
pub async fn publish(call: &Call<'_>, product: Option<&str>) -> Result<Answer> {
    let ingress = Ingress {
        platform: call.platform,
        settings: call.settings.clone(),
        snapshot: call.platform.snapshot().await?,
        source: SourceName::of_api(),
    };
    let arrival = Arrival {
        request: call.request,
        source: &ingress.source,
        credential: &Credential { token: true, signed: None },
        now: call.platform.now,
        dedup_window: call.settings.dedup_window * 1000,
        unique: &unique,
        is_secret: &|text| ingress.is_secret(text),
    };
    ingress.one(publish::read(&arrival, product)?).await?;
    Ok(Answer::json(200, r#"{"ok":true}"#))
}
