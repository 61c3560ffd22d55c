//! What is to be delivered again: the body of `POST /v1/integrations/{id}/replay` (DESIGN.md, "Delivery").

use crate::clock::Time;
use crate::event::{DeviceId, ID_MAX};
use crate::problem::{Code, Problem, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A replay that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replay {
    pub which: Which,
    /// Only this device's events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// Only say how many there are.
    #[serde(default)]
    pub estimate: bool,
}

/// Which events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Which {
    /// Of this event id.
    ById(String),
    /// Received from `from` to `to`, both included, as a history's; delivered or not.
    Range { from: Time, to: Time },
    /// Given up and not delivered since.
    Parked,
}

impl Replay {
    /// Reads `{"id"}`, `{"from","to"}` or `{"status":"parked"}`, each with `device` and `estimate` if wanted; a `null`
    /// counts as absent. Without a `to` it is everything up to now.
    ///
    /// # Errors
    /// `bad-json`, `missing-field`, `bad-field`.
    ///
    /// ```
    /// use fieldhook_core::clock::Time;
    /// use fieldhook_core::delivery::replay::{Replay, Which};
    /// let now = Time::parse("2026-11-22T00:00:00Z").unwrap();
    /// let replay = Replay::read(br#"{"status":"parked","device":"d1","estimate":true}"#, now).unwrap();
    /// assert_eq!((replay.which, replay.device.as_deref(), replay.estimate), (Which::Parked, Some("d1"), true));
    /// let replay = Replay::read(br#"{"from":"2026-11-21T00:00:00Z"}"#, now).unwrap();
    /// assert!(matches!(replay.which, Which::Range { to, .. } if to == now));
    /// assert_eq!(Replay::read(b"{}", now).unwrap_err().field.as_deref(), Some("from"));
    /// ```
    pub fn read(body: &[u8], now: Time) -> Result<Self> {
        let value: Value = serde_json::from_slice(body)
            .map_err(|error| Problem::new(Code::BadJson, format!("not valid JSON: {error}")))?;
        let Value::Object(mut members) = value else {
            return Err(Problem::new(Code::BadField, "a replay is a JSON object"));
        };
        members.retain(|_, value| !value.is_null());
        let mut text = |name: &str| match members.remove(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(bad(name, "is a string")),
        };
        let (id, device, status) = (text("id")?, text("device")?, text("status")?);
        let (from, to) = (text("from")?, text("to")?);
        let estimate = match members.remove("estimate") {
            None => false,
            Some(Value::Bool(estimate)) => estimate,
            Some(_) => return Err(bad("estimate", "is true or false")),
        };
        if let Some(name) = members.keys().next() {
            return Err(bad(name, "is not a property of a replay"));
        }
        if device.as_deref().is_some_and(|device| DeviceId::parse_any(device).is_err()) {
            return Err(bad("device", "is a device's id"));
        }
        let which = match (id, status, from, to) {
            (Some(id), None, None, None) if (1..=ID_MAX).contains(&id.chars().count()) => Which::ById(id),
            (Some(_), None, None, None) => return Err(bad("id", "is an event's id")),
            (None, Some(status), None, None) if status == "parked" => Which::Parked,
            (None, Some(_), None, None) => return Err(bad("status", "is parked")),
            (None, None, Some(from), to) => range(&from, to.as_deref(), now)?,
            (None, None, None, _) => {
                return Err(Problem::field(
                    Code::MissingField,
                    "from",
                    "a replay has an id, a from or a status",
                ));
            }
            (Some(_), ..) => return Err(bad("id", "stands without from, to and status")),
            (_, Some(_), ..) => return Err(bad("status", "stands without from and to")),
        };
        Ok(Replay { which, device, estimate })
    }

    /// Whether an event is meant. `is_parked`: it was given up and has not been delivered since.
    pub fn covers(&self, device: &str, event_id: &str, received_at: Time, is_parked: bool) -> bool {
        let meant = match &self.which {
            Which::ById(id) => id == event_id,
            Which::Range { from, to } => (*from..=*to).contains(&received_at),
            Which::Parked => is_parked,
        };
        meant && self.device.as_deref().is_none_or(|only| only == device)
    }
}

fn range(from: &str, to: Option<&str>, now: Time) -> Result<Which> {
    let time =
        |name, text| Time::parse(text).ok_or_else(|| bad(name, "is a time such as 2026-11-22T00:00:00Z"));
    let from = time("from", from)?;
    // What comes while the replay runs is delivered by itself.
    let to = to.map(|to| time("to", to)).transpose()?.unwrap_or(now).min(now);
    if from > to {
        return Err(bad("from", "is not later than to, and than now"));
    }
    Ok(Which::Range { from, to })
}

fn bad(field: &str, why: &str) -> Problem {
    Problem::field(Code::BadField, field, format!("{field} {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn now() -> Time {
        Time::parse("2026-11-22T00:00:00Z").unwrap()
    }

    fn read(body: &str) -> Result<Replay> {
        Replay::read(body.as_bytes(), now())
    }

    #[test]
    fn an_error_stands_at_its_field() {
        for (body, code, field) in [
            ("{", Code::BadJson, None),
            ("[]", Code::BadField, None),
            ("{}", Code::MissingField, Some("from")),
            (r#"{"to":"2026-01-01T00:00:00Z"}"#, Code::MissingField, Some("from")),
            (r#"{"estimate":true}"#, Code::MissingField, Some("from")),
            (r#"{"id":1}"#, Code::BadField, Some("id")),
            (r#"{"id":""}"#, Code::BadField, Some("id")),
            (r#"{"id":"a","status":"parked"}"#, Code::BadField, Some("id")),
            (r#"{"status":"failure"}"#, Code::BadField, Some("status")),
            (r#"{"status":"parked","from":"2026-01-01T00:00:00Z"}"#, Code::BadField, Some("status")),
            (r#"{"from":"yesterday"}"#, Code::BadField, Some("from")),
            (r#"{"from":"2026-01-02T00:00:00Z","to":"2026-01-01T00:00:00Z"}"#, Code::BadField, Some("from")),
            (r#"{"from":"2027-01-01T00:00:00Z"}"#, Code::BadField, Some("from")),
            (r#"{"status":"parked","device":"a b"}"#, Code::BadField, Some("device")),
            (r#"{"status":"parked","estimate":"yes"}"#, Code::BadField, Some("estimate")),
            (r#"{"status":"parked","oops":1}"#, Code::BadField, Some("oops")),
        ] {
            let problem = read(body).expect_err(body);
            assert_eq!((problem.code, problem.field.as_deref()), (code, field), "{body}");
        }
    }

    #[test]
    fn what_is_meant_is_covered() {
        let at = |text| Time::parse(text).unwrap();
        let replay =
            read(r#"{"from":"2026-01-01T00:00:00Z","to":"2026-01-02T00:00:00Z","device":"d"}"#).unwrap();
        assert!(replay.covers("d", "e", at("2026-01-01T00:00:00Z"), false));
        assert!(replay.covers("d", "e", at("2026-01-02T00:00:00Z"), false));
        assert!(!replay.covers("d", "e", at("2026-01-02T00:00:00.001Z"), false));
        assert!(!replay.covers("x", "e", at("2026-01-01T00:00:00Z"), false));
        let replay = read(r#"{"id":"e","status":null}"#).unwrap();
        assert!(replay.covers("d", "e", now(), false) && !replay.covers("d", "f", now(), true));
        let replay = read(r#"{"status":"parked"}"#).unwrap();
        assert!(replay.covers("d", "e", now(), true) && !replay.covers("d", "e", now(), false));
        let text = serde_json::to_string(&replay).unwrap();
        assert_eq!(serde_json::from_str::<Replay>(&text).unwrap(), replay);
    }

    proptest! {
        #[test]
        fn no_body_panics(body in ".*") { let _ = read(&body); }
    }
}
