//! Reading a command that an application asks for.

use crate::canonical::{self, Invalid, Json};
use crate::json;
use crate::problem::{Code, Problem, Result};
use serde_json::value::RawValue;

/// The longest name, characters.
pub const NAME_MAX: usize = 64;
/// How deep arguments may nest, as deep as a twin's section.
pub const ARGS_DEPTH_MAX: usize = 8;
/// How long a command is worth doing where nothing is said, seconds.
pub const TTL_DEFAULT: u64 = 3_600;
/// The longest time to live, seconds: 30 days.
pub const TTL_MAX: u64 = 30 * 86_400;

/// A command that is not yet in a queue.
///
/// ```
/// use fieldhook_core::commands::Request;
/// let request = Request::read(r#"{"name":"blink","args":{"times":3},"ttl":60}"#).unwrap();
/// assert_eq!((request.name.as_str(), request.ttl), ("blink", 60));
/// assert_eq!(Request::read(r#"{"name":"reboot"}"#).unwrap().ttl, 3_600);
/// assert_eq!(Request::read(r#"{"name":"x","tll":60}"#).unwrap_err().field.as_deref(), Some("tll"));
/// ```
#[derive(Debug, Clone)]
pub struct Request {
    pub name: String,
    pub args: Option<Json>,
    /// Seconds.
    pub ttl: u64,
}

impl Request {
    /// Reads `{"name", "args", "ttl"}`; a `null` counts as absent.
    ///
    /// # Errors
    /// `bad-json`, `missing-field`, `bad-field`.
    pub fn read(body: &str) -> Result<Self> {
        let raw: &RawValue = json::read(body)
            .map_err(|error| Problem::new(Code::BadJson, format!("not valid JSON: {error}")))?;
        if !raw.get().starts_with('{') {
            return Err(Problem::new(Code::BadField, "a command is a JSON object"));
        }
        let mut members = canonical::members(raw.get())
            .map_err(|_| Problem::new(Code::BadJson, "not valid JSON: a key holds half a character"))?;
        members.retain(|_, value| value.get() != "null");
        let name = match members.remove("name").map(|raw| json::read::<String>(raw.get())) {
            None => return Err(Problem::field(Code::MissingField, "name", "a command has a name")),
            Some(Ok(name)) if is_name(&name) => name,
            Some(_) => {
                return Err(bad("name", "is a string of 1 to 64 characters without control characters"));
            }
        };
        let args = match members.remove("args").map(|raw| Json::read(raw, ARGS_DEPTH_MAX)).transpose() {
            Ok(args) => args,
            Err(Invalid::TooDeep) => return Err(bad("args", "nest at most 8 deep")),
            Err(Invalid::Syntax) => return Err(bad("args", "cannot be read")),
        };
        let ttl = match members.remove("ttl").map(|raw| raw.get().parse::<u64>()) {
            None => TTL_DEFAULT,
            Some(Ok(ttl)) if (1..=TTL_MAX).contains(&ttl) => ttl,
            Some(_) => return Err(bad("ttl", "is a whole number of seconds from 1 to 2592000")),
        };
        match members.keys().next() {
            None => Ok(Request { name, args, ttl }),
            Some(key) => Err(bad(key, "is not a property of a command")),
        }
    }

    /// Reads a whole queue: an array of commands, or the same as `{"commands":[…]}`.
    ///
    /// # Errors
    /// As [`Request::read`], for the first command that cannot be accepted; `bad-field` for another property.
    pub fn read_all(body: &str) -> Result<Vec<Self>> {
        let raw: &RawValue = json::read(body)
            .map_err(|error| Problem::new(Code::BadJson, format!("not valid JSON: {error}")))?;
        let list = match canonical::members(raw.get()) {
            Ok(mut members) => {
                members.retain(|_, value| value.get() != "null");
                let list = members.remove("commands").unwrap_or(raw);
                if let (false, Some(key)) = (list.get() == raw.get(), members.keys().next()) {
                    return Err(bad(key, "is not a property of a queue"));
                }
                list
            }
            Err(_) => raw,
        };
        let list: Vec<&RawValue> =
            json::read(list.get()).map_err(|_| bad("commands", "is a list: [{name, args, ttl}, …]"))?;
        list.into_iter().map(|raw| Request::read(raw.get())).collect()
    }
}

fn is_name(name: &str) -> bool {
    (1..=NAME_MAX).contains(&name.chars().count()) && !name.chars().any(char::is_control)
}

fn bad(field: &str, why: &str) -> Problem {
    Problem::field(Code::BadField, field, format!("{field} {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_stands_at_its_field() {
        let long = format!(r#"{{"name":"{}"}}"#, "x".repeat(65));
        for (body, code, field) in [
            ("{", Code::BadJson, None),
            ("[]", Code::BadField, None),
            ("{}", Code::MissingField, Some("name")),
            (r#"{"name":null}"#, Code::MissingField, Some("name")),
            (r#"{"name":1}"#, Code::BadField, Some("name")),
            (r#"{"name":""}"#, Code::BadField, Some("name")),
            (&long, Code::BadField, Some("name")),
            (r#"{"name":"a","ttl":0}"#, Code::BadField, Some("ttl")),
            (r#"{"name":"a","ttl":1.5}"#, Code::BadField, Some("ttl")),
            (r#"{"name":"a","ttl":2592001}"#, Code::BadField, Some("ttl")),
            (r#"{"name":"a","args":[[[[[[[[[1]]]]]]]]]}"#, Code::BadField, Some("args")),
            (r#"{"name":"a","id":1}"#, Code::BadField, Some("id")),
        ] {
            let problem = Request::read(body).unwrap_err();
            assert_eq!((problem.code, problem.field.as_deref()), (code, field), "{body}");
        }
    }

    #[test]
    fn a_queue_is_an_array_alone_or_under_its_name() {
        for body in [r#"[{"name":"a"},{"name":"b"}]"#, r#"{"commands":[{"name":"a"},{"name":"b"}]}"#] {
            let names: Vec<String> = Request::read_all(body).unwrap().into_iter().map(|r| r.name).collect();
            assert_eq!(names, ["a", "b"]);
        }
        assert!(Request::read_all(r#"{"commands":[],"other":null}"#).unwrap().is_empty());
        let other = Request::read_all(r#"{"commands":[{"name":"a"}],"other":1}"#).unwrap_err();
        assert_eq!((other.code, other.field.as_deref()), (Code::BadField, Some("other")));
        assert!(Request::read_all("[]").unwrap().is_empty());
        assert_eq!(Request::read_all(r#"{"name":"a"}"#).unwrap_err().field.as_deref(), Some("commands"));
        assert_eq!(Request::read_all("[1]").unwrap_err().code, Code::BadField);
    }
}
