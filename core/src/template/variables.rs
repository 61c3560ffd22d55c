//! The variables of an event: Particle's names for its parts (Particle, "Pre-defined variables").

use std::cell::OnceCell;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

/// The parts of an event that templates can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Parts<'a> {
    /// `PARTICLE_DEVICE_ID`, `SPARK_CORE_ID`.
    pub device_id: &'a str,
    /// `PARTICLE_EVENT_NAME`, `SPARK_EVENT_NAME`.
    pub event_name: &'a str,
    /// `PARTICLE_EVENT_VALUE`, `SPARK_EVENT_VALUE`: the exact text of the event's data.
    pub event_value: &'a str,
    /// `PARTICLE_PUBLISHED_AT`, `SPARK_PUBLISHED_AT`: RFC 3339.
    pub published_at: &'a str,
    /// `PARTICLE_EVENT_ID`.
    pub event_id: &'a str,
    /// `PRODUCT_ID`.
    pub product_id: Option<&'a str>,
    /// `PRODUCT_USER_ID`: the owner of the device.
    pub product_user_id: Option<&'a str>,
    /// `PRODUCT_VERSION`: the firmware version that published the event.
    pub product_version: Option<&'a str>,
}

/// The variables a template can use: those of the event's [`Parts`], and those the caller adds.
///
/// Besides the parts themselves:
///
/// - `PARTICLE_EVENT_JSON` is "the entire event (name, value, published at, etc) as a JSON string"
///   (Particle, "Pre-defined variables"), with the names of Particle's default fields, since the page does
///   not show its own.
/// - `PARTICLE_EVENT_BASE64` is the same in base64 (RFC 4648 section 4, padded).
///
/// Both are computed when a template first asks for them.
///
/// A part that is absent is empty. It is never looked for in the event's own fields, which the device
/// writes.
///
/// ```
/// use fieldhook_core::template::{Parts, Variables};
///
/// let parts = Parts { event_name: "temp", event_value: "20.0 C", ..Parts::default() };
/// let variables = Variables::new(parts).with("FIELDHOOK_DUE", r#"{"v":17}"#);
///
/// assert_eq!(variables.get("SPARK_EVENT_NAME"), Some("temp"));
/// let json = r#"{"event":"temp","data":"20.0 C","published_at":"","coreid":"","event_id":""}"#;
/// assert_eq!(variables.get("PARTICLE_EVENT_JSON"), Some(json));
/// assert_eq!(variables.get("FIELDHOOK_DUE"), Some(r#"{"v":17}"#));
/// assert_eq!(variables.get("PRODUCT_ID"), Some(""));
/// assert_eq!(variables.get("temperature"), None);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Variables<'a> {
    parts: Parts<'a>,
    added: Vec<(&'a str, &'a str)>,
    json: OnceCell<String>,
    base64: OnceCell<String>,
}

impl<'a> Variables<'a> {
    /// The variables of an event.
    pub fn new(parts: Parts<'a>) -> Variables<'a> {
        Variables { parts, ..Variables::default() }
    }

    /// Adds a variable of the caller's own, with a name without dots. Particle's names stay Particle's.
    #[must_use]
    pub fn with(mut self, name: &'a str, text: &'a str) -> Variables<'a> {
        self.added.push((name, text));
        self
    }

    /// The text of a variable; `None` if there is none of this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        let parts = &self.parts;
        Some(match name {
            "PARTICLE_DEVICE_ID" | "SPARK_CORE_ID" => parts.device_id,
            "PARTICLE_EVENT_NAME" | "SPARK_EVENT_NAME" => parts.event_name,
            "PARTICLE_EVENT_VALUE" | "SPARK_EVENT_VALUE" => parts.event_value,
            "PARTICLE_PUBLISHED_AT" | "SPARK_PUBLISHED_AT" => parts.published_at,
            "PARTICLE_EVENT_ID" => parts.event_id,
            "PRODUCT_ID" => parts.product_id.unwrap_or_default(),
            "PRODUCT_USER_ID" => parts.product_user_id.unwrap_or_default(),
            "PRODUCT_VERSION" => parts.product_version.unwrap_or_default(),
            "PARTICLE_EVENT_JSON" => self.event_json(),
            "PARTICLE_EVENT_BASE64" => self.event_base64(),
            _ => return self.added.iter().find(|(added, _)| *added == name).map(|(_, text)| *text),
        })
    }

    fn event_json(&self) -> &str {
        self.json.get_or_init(|| {
            let parts = &self.parts;
            let members = [
                ("event", Some(parts.event_name)),
                ("data", Some(parts.event_value)),
                ("published_at", Some(parts.published_at)),
                ("coreid", Some(parts.device_id)),
                ("event_id", Some(parts.event_id)),
                ("productID", parts.product_id),
                ("userid", parts.product_user_id),
                ("fw_version", parts.product_version),
            ];
            let members = members.iter().filter_map(|(name, text)| {
                text.map(|text| format!("\"{name}\":{}", serde_json::Value::from(text)))
            });
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        })
    }

    fn event_base64(&self) -> &str {
        self.base64.get_or_init(|| BASE64.encode(self.event_json()))
    }
}
