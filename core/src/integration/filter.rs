//! Which events an integration is for.

use super::hook::{device, event_prefix};
use super::stored::Face;
use super::subscription;
use crate::definition::Properties;
use crate::json;
use crate::log::{Details, Entry, Row};
use crate::problem::Result;
use serde::{Deserialize, Serialize};

/// An event matches if its name starts with one of the prefixes, and device and product are the right ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    /// Case-sensitive prefixes (Particle docs, "Event name"); an empty one is every event's.
    pub events: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
}

impl Filter {
    /// Takes its properties from a definition.
    ///
    /// # Errors
    /// `bad-definition` at `event`, `events` or `deviceID`.
    pub fn read(properties: &mut Properties, face: Face, product: Option<String>) -> Result<Self> {
        let events = match face {
            Face::Integration => vec![event_prefix(properties)?],
            Face::Subscription => subscription::events(properties)?,
        };
        Ok(Filter { events, device: device(properties)?, product })
    }

    /// ```
    /// use fieldhook_core::integration::Filter;
    /// let filter = Filter { events: vec!["temp".into()], device: Some("a".into()), product: None };
    /// assert!(filter.matches("temperature", "a", None));
    /// assert!(!filter.matches("Temp", "a", None) && !filter.matches("temp", "b", None));
    /// ```
    pub fn matches(&self, event: &str, device: &str, product: Option<&str>) -> bool {
        self.events.iter().any(|prefix| event.starts_with(prefix.as_str()))
            && self.device.as_deref().is_none_or(|only| only == device)
            && self.product.as_deref().is_none_or(|only| product == Some(only))
    }

    /// Whether any event of a device can match.
    pub fn is_for(&self, device: &str) -> bool {
        self.device.as_deref().is_none_or(|only| only == device)
    }

    /// Whether an event that is about to be accepted matches.
    pub fn takes_entry(&self, Entry { event, details, .. }: &Entry) -> bool {
        self.matches(event, &details.coreid, details.product_id.as_deref())
    }

    /// Whether a row of a device's log matches.
    pub fn takes(&self, row: &Row) -> bool {
        match (&self.device, &self.product) {
            (None, None) => self.matches(&row.event, "", None),
            _ => json::read::<Details>(&row.details).is_ok_and(|details| {
                self.matches(&row.event, &details.coreid, details.product_id.as_deref())
            }),
        }
    }

    /// The prefixes as a query takes them.
    pub fn prefixes_json(&self) -> String {
        serde_json::to_string(&self.events).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_products_integration_hears_its_products_events_only() {
        let filter = Filter { events: vec!["a".into(), "b".into()], device: None, product: Some("7".into()) };
        assert!(filter.matches("b/1", "d", Some("7")));
        assert!(!filter.matches("b/1", "d", Some("8")));
        assert!(!filter.matches("b/1", "d", None));
        assert!(!filter.matches("c", "d", Some("7")));
    }
}
