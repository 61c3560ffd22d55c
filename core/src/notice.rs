//! What streams are told of a delivery, as Particle tells of a webhook's: hook-sent, hook-response in parts, hook-error
//! (Particle docs, "Webhooks"; DESIGN.md, "Streams"). Live only: who does not listen misses it.

use crate::event::DedupKey;
use crate::integration::{Integration, Logged};
use crate::reply::{Framing, RENDERED_BUDGET_MAX, Reply};
use serde::{Deserialize, Serialize};

/// One event about an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    pub name: String,
    pub data: String,
    /// Whose event it is about: streams of one device or product show it.
    pub device: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
}

impl Notice {
    fn about(event: &Logged<'_>, name: String, data: String) -> Self {
        let details = event.details;
        Notice { name, data, device: details.coreid.clone(), product: details.product_id.clone() }
    }
}

/// The request went out and was answered well.
pub fn sent(event: &Logged<'_>) -> Notice {
    Notice::about(event, format!("hook-sent/{}", event.event), "undefined".to_owned())
}

/// What came back, cut as a device would hear it.
pub fn response(integration: &Integration, event: &Logged<'_>, reply: &Reply, key: &DedupKey) -> Vec<Notice> {
    let topic = integration.response_topic(event);
    let part = |(index, part): (usize, Vec<u8>)| {
        Notice::about(event, format!("{topic}/{index}"), String::from_utf8_lossy(&part).into_owned())
    };
    reply.parts(key).into_iter().enumerate().map(part).collect()
}

/// The same for a delivery, whose answer no device hears: what of it Particle would publish, as it would.
pub fn of_delivery(integration: &Integration, event: &Logged<'_>, body: &str) -> Vec<Notice> {
    let mut notices = vec![sent(event)];
    match integration
        .response(event, body)
        .map(|text| Reply::within(text, Framing::Plain, RENDERED_BUDGET_MAX))
    {
        Ok(Ok(reply)) => notices.extend(response(integration, event, &reply, &DedupKey::stored(""))),
        Ok(Err(_)) => {}
        Err(why) => notices.push(error(integration, event, format!("the response template failed: {why}"))),
    }
    notices
}

/// Why there was no answer, in Particle's words where it has some.
pub fn error(integration: &Integration, event: &Logged<'_>, text: String) -> Notice {
    Notice::about(event, format!("{}/0", integration.error_topic(event)), text)
}
