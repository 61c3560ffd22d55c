//! Which events a stream is about.

use crate::log::Details;
use crate::problem::{Code, Problem, Result};
use serde::{Deserialize, Serialize};

/// The longest prefix, bytes: longer than any event's name, and short enough to lie beside a socket.
pub const PREFIX_MAX: usize = 256;
/// The longest device or product id in a path, bytes. A longer one could be nobody's.
pub const ID_MAX: usize = 128;

/// What a stream shows. An event passes if all of it fits.
///
/// ```
/// use fieldhook_core::stream::filter::Filter;
/// let filter = Filter::new("temp", Some("d1"), None).unwrap();
/// assert!(filter.shows("temperature", "d1", None));
/// assert!(!filter.shows("Temp", "d1", None));
/// assert!(!filter.shows("temp", "d2", None));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    /// Of the event's name, case-sensitive, as Particle's own prefixes are. Empty: every event.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub prefix: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
}

impl Filter {
    /// # Errors
    /// `bad-query` for a text that is longer than any name or id.
    pub fn new(prefix: &str, device: Option<&str>, product: Option<&str>) -> Result<Self> {
        let short = |name: &str, text: &str, most: usize| match text.len() <= most {
            true => Ok(text.to_owned()),
            false => Err(Problem::field(Code::BadQuery, name, format!("{name} is longer than {most} bytes"))),
        };
        Ok(Filter {
            prefix: short("prefix", prefix, PREFIX_MAX)?,
            device: device.map(|text| short("device", text, ID_MAX)).transpose()?,
            product: product.map(|text| short("product", text, ID_MAX)).transpose()?,
        })
    }

    pub fn shows(&self, event: &str, device: &str, product: Option<&str>) -> bool {
        event.starts_with(&self.prefix) && self.concerns(device, product)
    }

    /// The same, whatever the event's name is: hook-sent and its like have names of their own, and belong to the
    /// device that caused them.
    pub fn concerns(&self, device: &str, product: Option<&str>) -> bool {
        let wants = |wanted: &Option<String>, given| wanted.is_none() || wanted.as_deref() == given;
        wants(&self.device, Some(device)) && wants(&self.product, product)
    }

    pub fn shows_event(&self, event: &str, details: &Details) -> bool {
        self.shows(event, &details.coreid, details.product_id.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_conditions_every_event_passes() {
        assert!(Filter::default().shows("", "d", None));
        assert!(Filter::default().shows("a/b", "source:x", Some("1")));
    }

    #[test]
    fn a_product_stream_shows_no_event_without_a_product() {
        let filter = Filter::new("", None, Some("42")).unwrap();
        assert!(filter.shows("t", "d", Some("42")));
        assert!(!filter.shows("t", "d", Some("43")));
        assert!(!filter.shows("t", "d", None));
    }

    #[test]
    fn what_is_longer_than_any_name_is_refused_by_its_name() {
        let problem = Filter::new(&"x".repeat(257), None, None).unwrap_err();
        assert_eq!((problem.code, problem.field.as_deref()), (Code::BadQuery, Some("prefix")));
        assert!(Filter::new("", Some(&"x".repeat(129)), None).is_err());
    }
}
