//! An event as a device publishes it and the cloud passes it on.

use crate::chance::Chance;
use fieldhook_core::clock::Time;
use fieldhook_core::template::{Parts, Variables};

/// One published event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What Particle calls "a unique ID generated for this event": a retransmit has the same one.
    pub id: String,
    pub name: String,
    pub data: String,
    pub device: String,
    pub published_at: Time,
    pub product_id: Option<String>,
    pub user_id: Option<String>,
    pub firmware: Option<String>,
}

impl Event {
    /// What templates call the parts of this event. `published_at` is the time as text, which the variables
    /// borrow; `added` are the user's own.
    pub fn variables<'a>(&'a self, published_at: &'a str, added: &'a [(String, String)]) -> Variables<'a> {
        let variables = Variables::new(Parts {
            device_id: &self.device,
            event_name: &self.name,
            event_value: &self.data,
            published_at,
            event_id: &self.id,
            product_id: self.product_id.as_deref(),
            product_user_id: self.user_id.as_deref(),
            product_version: self.firmware.as_deref(),
        });
        added.iter().fold(variables, |variables, (name, text)| variables.with(name, text))
    }

    /// The fields a webhook sends unless it says `noDefaults`, in the order of the documented request.
    pub fn defaults(&self) -> [(&'static str, String); 4] {
        [
            ("event", self.name.clone()),
            ("data", self.data.clone()),
            ("published_at", self.published_at.to_string()),
            ("coreid", self.device.clone()),
        ]
    }
}

/// A new event id: shaped like a UUID of version 4 (RFC 9562).
pub fn new_id(chance: &mut Chance) -> String {
    let (high, low) = (chance.bits(), chance.bits());
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        (low >> 48) & 0x3fff | 0x8000,
        low & 0xffff_ffff_ffff
    )
}
