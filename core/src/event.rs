//! An event that has been read and proven: every field has its type, and nothing in it is unchecked.

use crate::clock::Time;
use crate::problem::{Code, Problem, Result};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use std::fmt;

/// The longest event id, characters.
pub const ID_MAX: usize = 256;
/// The longest event name, source name and device id, characters (Particle docs, "Event name": 1 to 64).
pub const NAME_MAX: usize = 64;

/// Source and device of what is published through `/v1` (DESIGN.md, "Configuration").
const API: &str = "api";

/// One event, ready for its device's log (DESIGN.md, "Shapes").
#[derive(Debug, Clone)]
pub struct Event {
    pub key: DedupKey,
    pub id: String,
    /// The id was derived here: the sender gave none.
    pub derived: bool,
    /// Whether a repeat of it could be told from another event: not if it came with neither id nor time.
    pub repeatable: bool,
    pub name: EventName,
    /// The exact text that arrived, or what a transform made of it.
    pub data: String,
    pub device: DeviceId,
    pub published_at: Time,
    pub source: SourceName,
    pub product_id: Option<String>,
    pub fw_version: Option<String>,
    pub userid: Option<String>,
    /// The media type of a `data:` URL.
    pub media_type: Option<String>,
    /// A JSON object of every field that has no meaning here.
    pub extra: Option<Box<RawValue>>,
    /// The data before a transform changed it.
    pub raw: Option<String>,
    pub transform_error: Option<String>,
    /// How many deliveries it has come through (`fieldhook-hop`).
    pub hops: u32,
}

macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_type! {
    /// 1 to 64 characters, none of them a control character.
    ///
    /// ```
    /// use fieldhook_core::event::EventName;
    /// assert!(EventName::parse("Temperature/Kitchen").is_ok());
    /// assert!(EventName::parse("two\nlines").is_err());
    /// ```
    EventName
}

text_type! {
    /// `[A-Za-z0-9_.-]{1,64}`, or `source:<name>` for events that name no device.
    ///
    /// ```
    /// use fieldhook_core::event::{DeviceId, SourceName};
    /// assert!(DeviceId::parse("3f002b000000000000000000").is_ok());
    /// assert!(DeviceId::parse("../../etc").is_err());
    /// assert_eq!(DeviceId::of_source(&SourceName::default()).as_str(), "source:default");
    /// ```
    DeviceId
}

text_type! {
    /// The name of one way in, `/hook/{source}`: `[A-Za-z0-9_.-]{1,64}`.
    SourceName
}

impl EventName {
    pub fn parse(text: &str) -> Result<Self> {
        let length = text.chars().count();
        if (1..=NAME_MAX).contains(&length) && !text.chars().any(char::is_control) {
            return Ok(EventName(text.to_owned()));
        }
        let why = "an event name has 1 to 64 characters and no control characters";
        Err(Problem::field(Code::BadField, "event", why))
    }
}

impl DeviceId {
    /// A `coreid` as it comes from outside.
    pub fn parse(text: &str) -> Result<Self> {
        if is_name(text) {
            return Ok(DeviceId(text.to_owned()));
        }
        Err(Problem::field(Code::BadField, "coreid", "a device id matches [A-Za-z0-9_.-]{1,64}"))
    }

    /// The stand-in for events without a device: it has a log, but no twin and no commands.
    pub fn of_source(source: &SourceName) -> Self {
        DeviceId(format!("source:{source}"))
    }

    /// The stand-in for what is published through `/v1`.
    pub fn of_api() -> Self {
        DeviceId(API.to_owned())
    }

    /// Whether it is a device's own id; a source that stands in for one has no twin.
    pub fn is_device(&self) -> bool {
        !self.0.contains(':')
    }

    /// Any id whose log can be read: a device's or a source's.
    pub fn parse_any(text: &str) -> Result<Self> {
        match text.strip_prefix("source:") {
            Some(name) => SourceName::parse(name).map(|name| DeviceId::of_source(&name)),
            None => DeviceId::parse(text),
        }
    }
}

impl SourceName {
    pub fn parse(text: &str) -> Result<Self> {
        if is_name(text) {
            return Ok(SourceName(text.to_owned()));
        }
        Err(Problem::field(Code::BadSourceName, "source", "a source's name matches [A-Za-z0-9_.-]{1,64}"))
    }

    /// Where what is published through `/v1` comes from.
    pub fn of_api() -> Self {
        SourceName(API.to_owned())
    }
}

impl Default for SourceName {
    fn default() -> Self {
        SourceName("default".to_owned())
    }
}

/// Whether a text is a name in a path: `[A-Za-z0-9_.-]{1,64}`, and neither `.` nor `..`, which clients
/// resolve away.
pub fn is_name(text: &str) -> bool {
    (1..=NAME_MAX).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
        && text != "."
        && text != ".."
}

text_type! {
    /// What makes two events the same: SHA-256 over length-prefixed (coreid, id), base64url
    /// (DESIGN.md, "Dedup key"). The source is not part of it.
    ///
    /// ```
    /// use fieldhook_core::event::{DedupKey, DeviceId};
    /// let device = |text| DeviceId::parse(text).unwrap();
    /// assert_eq!(DedupKey::of(&device("a"), "b"), DedupKey::of(&device("a"), "b"));
    /// assert_ne!(DedupKey::of(&device("a"), "bc"), DedupKey::of(&device("ab"), "c"));
    /// assert_eq!(DedupKey::of(&device("a"), "b").as_str().len(), 43);
    /// ```
    DedupKey
}

impl DedupKey {
    pub fn of(device: &DeviceId, id: &str) -> Self {
        DedupKey(URL_SAFE_NO_PAD.encode(hash_fields(&[device.as_str(), id])))
    }

    /// A key as it lies beside a log row.
    pub fn stored(text: &str) -> Self {
        DedupKey(text.to_owned())
    }
}

/// The id of an event whose sender gave none: a repeat of the same publish has the same one.
///
/// `published_at` is the text as it arrived. Where there is none, two equal events cannot be told from one
/// event sent twice, and losing one is worse: such an id must be made with something unique in its place.
pub fn derive_id(name: &str, data: &str, published_at: &str) -> String {
    URL_SAFE_NO_PAD.encode(hash_fields(&[name, data, published_at]))
}

/// Length-prefixed, so that no two lists of fields are the same bytes.
pub(crate) fn hash_fields(fields: &[&str]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for field in fields {
        hash.update((field.len() as u64).to_be_bytes());
        hash.update(field.as_bytes());
    }
    hash.finalize().into()
}

/// The media type of a `data:` URL (RFC 2397), as Particle sends binary data.
///
/// ```
/// use fieldhook_core::event::media_type;
/// assert_eq!(media_type("data:image/png;base64,iVBORw0=").as_deref(), Some("image/png"));
/// assert_eq!(media_type("data:,hello").as_deref(), Some("text/plain"));
/// assert_eq!(media_type("21.5"), None);
/// ```
pub fn media_type(data: &str) -> Option<String> {
    let (head, _) = data.strip_prefix("data:")?.split_once(',')?;
    let media = head.split(';').next()?.trim();
    if media.is_empty() {
        return Some("text/plain".to_owned());
    }
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"!#$&-^_.+/".contains(&b);
    let slashes = media.bytes().filter(|b| *b == b'/').count();
    (slashes == 1 && media.len() <= 127 && media.bytes().all(legal)).then(|| media.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_counted_in_characters() {
        assert!(EventName::parse(&"é".repeat(64)).is_ok());
        assert!(EventName::parse(&"é".repeat(65)).is_err());
        assert!(EventName::parse("").is_err());
    }

    proptest! {
        #[test]
        fn the_dedup_key_is_stable_and_injective_over_its_fields(
            a in "[A-Za-z0-9_.-]{1,8}", b in "[A-Za-z0-9_.-]{1,8}", x in ".{0,12}", y in ".{0,12}"
        ) {
            prop_assume!(a != "." && a != ".." && b != "." && b != "..");
            let (a, b) = (DeviceId::parse(&a).unwrap(), DeviceId::parse(&b).unwrap());
            prop_assert_eq!(DedupKey::of(&a, &x), DedupKey::of(&a, &x));
            prop_assert_eq!(DedupKey::of(&a, &x) == DedupKey::of(&b, &y), a == b && x == y);
        }

        #[test]
        fn derived_ids_are_injective(a in ".{0,6}", b in ".{0,6}", c in ".{0,6}", cut in 0usize..6) {
            // Moving a character across a field's edge must change the id.
            if let Some(at) = b.char_indices().nth(cut).map(|(at, _)| at) {
                let (head, tail) = b.split_at(at);
                if !head.is_empty() {
                    let moved = derive_id(&format!("{a}{head}"), tail, &c);
                    prop_assert_ne!(moved, derive_id(&a, &b, &c));
                }
            }
        }

        #[test]
        fn no_text_panics(text in ".*") {
            let _ = (media_type(&text), DeviceId::parse_any(&text), EventName::parse(&text));
        }
    }
}
