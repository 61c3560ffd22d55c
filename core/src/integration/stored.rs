//! What is kept of an integration, and what of it can be told without its secrets.

use super::definition::{Definition, is_respond};
use super::filter::Filter;
use super::hook::{Method, flag};
use crate::clock::Time;
use crate::definition::Properties;
use crate::delivery::ahead::{Ahead, Marks};
use crate::json;
use crate::log::Row;
use crate::problem::{Code, Problem, Result};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Who speaks: Particle's own JSON, or a RESThooks subscription. They are one resource with two faces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Face {
    Integration,
    Subscription,
}

impl Face {
    /// What the property with the address is called.
    pub fn url_property(self) -> &'static str {
        match self {
            Face::Integration => "url",
            Face::Subscription => "target_url",
        }
    }
}

/// What the Registry keeps of one integration: one JSON text.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Stored {
    /// 24 lower-case hexadecimal digits, as Particle's.
    pub id: String,
    pub created_at: Time,
    pub updated_at: Time,
    /// Made under `/v1/products/{p}`: only that product's events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    pub face: Face,
    /// What was sent: unknown properties kept, members in their order, old spellings replaced, secrets masked.
    pub definition: Box<RawValue>,
    /// The secrets, sealed: opaque here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<String>,
    /// Events received at or before this are skipped: creation, or a resume from now.
    pub from: Time,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<Paused>,
    /// What it was for before its definition was replaced, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<Earlier>,
    /// Counts up with each change of this integration.
    #[serde(default)]
    pub revision: u64,
}

/// So many replacements are remembered.
const EARLIER_MAX: usize = 8;

/// A filter that an integration had: what was received in its time is delivered only if it takes that too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Earlier {
    pub filter: Filter,
    pub until: Time,
}

/// Why nothing is delivered, and since when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paused {
    pub reason: Reason,
    pub at: Time,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reason {
    /// By its definition, or by a caller.
    Disabled,
    /// The service answered 410.
    Gone,
    /// Too many deliveries in a row were parked.
    Parked,
}

/// What can be told without the secrets; held in the snapshot, in order of creation.
#[derive(Debug, Clone)]
pub struct Listed {
    pub stored: Stored,
    pub filter: Filter,
    pub respond: bool,
}

impl Listed {
    /// # Errors
    /// `bad-definition` for a stored definition that this version cannot read.
    pub fn of(stored: Stored) -> Result<Listed> {
        let mut properties = Properties::parse(stored.definition.get().as_bytes())?;
        let filter = Filter::read(&mut properties, stored.face, stored.product.clone())?;
        let respond = is_respond(&mut properties)?;
        Ok(Listed { stored, filter, respond })
    }

    /// Whether a row of a device's log is to be delivered. What was received while the definition was for other events,
    /// or was for none because its answers were replies, is not: a definition that is replaced does not reach back.
    pub fn takes(&self, row: &Row, marks: &Marks) -> bool {
        let took = |earlier: &Earlier| {
            marks.is_behind(earlier.until, row.seq, row.received_at) || earlier.filter.takes(row)
        };
        self.filter.takes(row) && self.stored.earlier.iter().all(took)
    }

    /// The changes that say from when on it is for what.
    fn changes(&self) -> impl Iterator<Item = Time> {
        let replaced = self.stored.earlier.iter().map(|earlier| earlier.until);
        std::iter::once(self.stored.from).chain(replaced)
    }

    /// The last of them; one that answers devices has none that matters.
    pub fn last_change(&self) -> Option<Time> {
        if self.respond { None } else { self.changes().max() }
    }

    /// What of it is ahead of a clock.
    pub fn ahead_of(&self, now: Time) -> Option<Ahead> {
        self.last_change().filter(|last| *last >= now)?;
        let changes = self.changes().filter(|change| *change >= now).collect();
        Some(Ahead { integration: self.stored.id.clone(), from: self.stored.from, changes })
    }
}

/// An integration in Particle's list (PARTICLE.md, "Streams and REST").
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    pub id: String,
    /// The prefix; of a subscription with several, the first.
    pub event: String,
    pub created_at: String,
    /// Masked, where it holds a secret.
    pub url: String,
    #[serde(rename = "requestType")]
    pub request_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(rename = "deviceID", skip_serializing_if = "Option::is_none")]
    pub device_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
}

impl Stored {
    /// ```
    /// use fieldhook_core::integration::{Definition, Face, Stored};
    /// use fieldhook_core::clock::Time;
    /// let definition = Definition::read(br#"{"eventName":"t","url":"https://h.dev/"}"#, Face::Integration, None).unwrap();
    /// let stored = Stored::new("0123456789abcdef01234567".into(), Time::from_millis(0), None, &definition);
    /// assert_eq!(
    ///     serde_json::to_string(&stored.summary().unwrap()).unwrap(),
    ///     r#"{"id":"0123456789abcdef01234567","event":"t","created_at":"1970-01-01T00:00:00.000Z","url":"https://h.dev/","requestType":"POST"}"#
    /// );
    /// ```
    ///
    /// # Errors
    /// As [`Listed::of`].
    pub fn summary(&self) -> Result<Summary> {
        let mut properties = Properties::parse(self.definition.get().as_bytes())?;
        let filter = Filter::read(&mut properties, self.face, self.product.clone())?;
        let disabled = flag(&mut properties, "disabled")?.unwrap_or(false) || self.paused.is_some();
        let method = properties.text("requestType")?.as_deref().and_then(Method::parse);
        Ok(Summary {
            id: self.id.clone(),
            event: filter.events.first().cloned().unwrap_or_default(),
            created_at: self.created_at.to_string(),
            url: properties.text(self.face.url_property())?.unwrap_or_default(),
            request_type: method.unwrap_or(Method::Post).as_str(),
            name: properties.text("name")?,
            device_id: filter.device,
            disabled: disabled.then_some(true),
        })
    }

    /// A new integration, its secrets still to be sealed.
    pub fn new(id: String, now: Time, product: Option<String>, definition: &Definition) -> Self {
        let (masked, _) = definition.masked();
        let paused = definition.disabled.then_some(Paused { reason: Reason::Disabled, at: now });
        Stored {
            id,
            created_at: now,
            updated_at: now,
            product,
            face: definition.face,
            definition: masked,
            sealed: None,
            from: now,
            paused,
            earlier: Vec::new(),
            revision: 0,
        }
    }

    /// Takes a new definition. Its place in every log stays, but for one whose answers were replies: it had none.
    ///
    /// # Errors
    /// As [`Listed::of`].
    pub fn replace(self, definition: &Definition, sealed: Option<String>, now: Time) -> Result<Self> {
        let Listed { mut stored, filter, respond } = Listed::of(self)?;
        if respond && !definition.respond {
            stored.begin_again(now);
            stored.earlier.clear();
        } else if filter.events != definition.filter.events || filter.device != definition.filter.device {
            if stored.earlier.len() >= EARLIER_MAX {
                stored.earlier.remove(0);
            }
            stored.earlier.push(Earlier { filter, until: now });
        }
        let paused = stored.paused.take().unwrap_or(Paused { reason: Reason::Disabled, at: now });
        // A definition that says so is paused, and stays so for the reason it was. Any other is meant to run.
        stored.paused = definition.disabled.then_some(paused);
        let (masked, _) = definition.masked();
        Ok(Stored { definition: masked, sealed, updated_at: now, ..stored })
    }

    /// Whether a text can be the id of one.
    pub fn is_id(text: &str) -> bool {
        text.len() == 24 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    }

    /// # Errors
    /// `internal` for what this version cannot read.
    pub fn parse(text: &str) -> Result<Self> {
        json::read(text).map_err(|_| Problem::new(Code::Internal, "a stored integration cannot be read"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition(event: &str, more: &str) -> Definition {
        let text = format!(r#"{{"event":"{event}","url":"https://h.dev/"{more}}}"#);
        Definition::read(text.as_bytes(), Face::Integration, None).unwrap()
    }

    fn at(second: i64) -> Time {
        Time::from_millis(second * 1_000)
    }

    fn row(event: &str, second: i64) -> Row {
        let (event, data, details) = (event.to_owned(), String::new(), String::new());
        Row { seq: 1, received_at: at(second), event, data, details }
    }

    #[test]
    fn a_replaced_definition_does_not_reach_back() {
        let stored = Stored::new("a".into(), at(0), None, &definition("temp", ""));
        let stored = stored.replace(&definition("t", ""), None, at(10)).unwrap();
        let stored = stored.replace(&definition("t", r#","name":"n""#), None, at(20)).unwrap();
        assert_eq!((stored.from, stored.earlier.len()), (at(0), 1));
        let text = serde_json::to_string(&stored).unwrap();
        let listed = Listed::of(Stored::parse(&text).unwrap()).unwrap();
        let takes = |row, marks: &Marks| listed.takes(&row, marks);
        let mut marks = Marks::default();
        assert!(takes(row("temp", 5), &marks) && takes(row("tank", 11), &marks));
        assert!(!takes(row("tank", 10), &marks));
        marks.add(at(10), 1);
        assert!(takes(row("tank", 5), &marks));
    }

    #[test]
    fn what_was_answered_is_not_delivered_too() {
        let stored = Stored::new("a".into(), at(0), None, &definition("t", r#","respond":true"#));
        let stored = stored.replace(&definition("t", r#","respond":true,"name":"n""#), None, at(5)).unwrap();
        assert_eq!(stored.from, at(0));
        let stored = stored.replace(&definition("t", ""), None, at(10)).unwrap();
        assert_eq!(stored.from, at(10));
    }

    #[test]
    fn only_so_many_replacements_are_remembered() {
        let mut stored = Stored::new("a".into(), at(0), None, &definition("t", ""));
        for second in 1..20 {
            stored = stored.replace(&definition(&format!("t{second}"), ""), None, at(second)).unwrap();
        }
        assert_eq!((stored.earlier.len(), stored.earlier[0].until), (EARLIER_MAX, at(12)));
    }
}
