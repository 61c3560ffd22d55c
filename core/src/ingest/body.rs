//! What kind of body arrived: JSON, a form, text, or a batch (DESIGN.md, "Ingest").

use super::fields::Fields;
use crate::json;
use crate::problem::{Code, Problem, Result};
use crate::request::Headers;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::value::RawValue;

/// A body that has been read, its values still as they were sent.
#[derive(Debug)]
pub enum Content<'a> {
    Empty,
    /// A JSON object or a form: a place to look for fields.
    Fields(Fields<'a>),
    /// Anything else is the event's data itself.
    Data(String),
    /// A JSON array or JSON Lines: one item, one event.
    Batch(Vec<&'a str>),
}

enum Kind {
    Json,
    Lines,
    Form,
    /// The media type as declared.
    Text(String),
    Undeclared,
}

/// Reads a body by its Content-Type; without one, a body that parses as JSON is JSON, else text.
///
/// # Errors
/// `unsupported-media-type` for multipart, an unknown charset or a content coding; `bad-json`; `bad-body`
/// for JSON or a form that is not UTF-8.
///
/// `vouched` says whether the headers are proven. Where they are not, a changed Content-Type must not make
/// another event of the same signed bytes: what parses as JSON is JSON whatever is declared.
pub fn read<'a>(headers: &Headers, bytes: &'a [u8], vouched: bool) -> Result<Content<'a>> {
    let kind = kind(headers)?;
    if bytes.is_empty() {
        return Ok(Content::Empty);
    }
    let text = std::str::from_utf8(bytes).map(|text| text.strip_prefix('\u{feff}').unwrap_or(text));
    if let (false, Ok(text)) = (vouched, text) {
        return match (first_byte(text), kind) {
            // What begins as JSON is JSON, or it is refused.
            (Some(b'{' | b'['), _) => json(text).or_else(|problem| match lines(text).count() {
                0 | 1 => Err(problem),
                _ => Ok(Content::Batch(lines(text).collect())),
            }),
            (_, Kind::Form) => Fields::from_form(text.as_bytes()).map(Content::Fields),
            _ => Ok(guess(text)),
        };
    }
    match (kind, text) {
        (Kind::Json, Ok(text)) => json(text).or_else(|problem| json_lines(text).ok_or(problem)),
        (Kind::Lines, Ok(text)) => Ok(Content::Batch(lines(text).collect())),
        (Kind::Form, Ok(text)) => Fields::from_form(text.as_bytes()).map(Content::Fields),
        (Kind::Json | Kind::Lines | Kind::Form, Err(_)) => {
            Err(Problem::new(Code::BadBody, "the body is not UTF-8"))
        }
        (Kind::Text(_), Ok(text)) => Ok(Content::Data(text.to_owned())),
        (Kind::Undeclared, Ok(text)) => Ok(guess(text)),
        // Binary data in text is a data: URL, as Particle itself sends it (PARTICLE.md, "The request").
        (Kind::Text(media), Err(_)) => Ok(data_url(&media, bytes)),
        (Kind::Undeclared, Err(_)) => Ok(data_url("application/octet-stream", bytes)),
    }
}

fn data_url(media: &str, bytes: &[u8]) -> Content<'static> {
    Content::Data(format!("data:{media};base64,{}", BASE64.encode(bytes)))
}

fn kind(headers: &Headers) -> Result<Kind> {
    let unsupported =
        |detail: &str, field: &str| Err(Problem::field(Code::UnsupportedMediaType, field, detail.to_owned()));
    match headers.get("content-encoding") {
        Some(coding) if !coding.eq_ignore_ascii_case("identity") => {
            return unsupported("the body must not be compressed", "content-encoding");
        }
        _ => {}
    }
    let Some(declared) = headers.get("content-type") else { return Ok(Kind::Undeclared) };
    let declared = declared.to_ascii_lowercase();
    let mut parts = declared.split(';').map(str::trim);
    let media = parts.next().unwrap_or_default();
    let charset = parts.find_map(|part| part.strip_prefix("charset=")).map(|name| name.trim_matches('"'));
    if !matches!(charset, None | Some("utf-8" | "utf8" | "us-ascii")) {
        return unsupported("the charset must be UTF-8", "content-type");
    }
    Ok(match media {
        _ if media.starts_with("multipart/") => {
            return unsupported("multipart is not read; send JSON, a form or text", "content-type");
        }
        "" => Kind::Undeclared,
        "application/x-ndjson"
        | "application/ndjson"
        | "application/jsonl"
        | "application/x-jsonlines"
        | "application/jsonlines"
        | "application/json-lines" => Kind::Lines,
        "application/x-www-form-urlencoded" => Kind::Form,
        "application/json" | "text/json" => Kind::Json,
        _ if media.ends_with("+json") => Kind::Json,
        _ => Kind::Text(media.to_owned()),
    })
}

fn json(text: &str) -> Result<Content<'_>> {
    match first_byte(text) {
        Some(b'{') => Fields::from_json(text).map(Content::Fields).map_err(|error| bad_json(&error)),
        Some(b'[') => items(text).map(Content::Batch).map_err(|error| bad_json(&error)),
        // A template such as {{{PARTICLE_EVENT_VALUE}}} renders to a bare value: it is the data.
        Some(_) => match json::read::<&RawValue>(text) {
            Ok(value) => Ok(Content::Data(scalar_text(value))),
            Err(error) => Err(bad_json(&error)),
        },
        None => Ok(Content::Empty),
    }
}

fn guess(text: &str) -> Content<'_> {
    match json(text) {
        Ok(content) => content,
        Err(_) => json_lines(text).unwrap_or_else(|| Content::Data(text.to_owned())),
    }
}

/// JSON Lines that were not declared as such: several lines, each a JSON object.
fn json_lines(text: &str) -> Option<Content<'_>> {
    let rows: Vec<&str> = lines(text).collect();
    let is_object = |row: &&str| first_byte(row) == Some(b'{') && Fields::from_json(row).is_ok();
    (rows.len() > 1 && rows.iter().all(is_object)).then_some(Content::Batch(rows))
}

fn scalar_text(value: &RawValue) -> String {
    json::read::<String>(value.get()).unwrap_or_else(|_| value.get().to_owned())
}

fn items(text: &str) -> std::result::Result<Vec<&str>, serde_json::Error> {
    let items: Vec<&RawValue> = json::read(text)?;
    Ok(items.into_iter().map(RawValue::get).collect())
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty())
}

fn first_byte(text: &str) -> Option<u8> {
    text.trim_start_matches([' ', '\t', '\r', '\n']).bytes().next()
}

/// Where and what is wrong, without the text itself.
pub(super) fn bad_json(error: &serde_json::Error) -> Problem {
    Problem::new(Code::BadJson, format!("not valid JSON: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read_as<'a>(content_type: &str, body: &'a [u8]) -> Result<Content<'a>> {
        read(&Headers::from_pairs([("content-type", content_type)]), body, true)
    }

    #[test]
    fn without_a_content_type_json_is_json_and_the_rest_is_text() {
        let read = |body: &'static str| super::read(&Headers::default(), body.as_bytes(), true).unwrap();
        assert!(matches!(read(r#"{"event":"t"}"#), Content::Fields(_)));
        assert!(matches!(read("[{}]"), Content::Batch(items) if items == ["{}"]));
        assert!(matches!(read("{\"a\":1}\n{\"a\":2}\n"), Content::Batch(items) if items.len() == 2));
        assert!(matches!(read("21.50"), Content::Data(text) if text == "21.50"));
        assert!(matches!(read("\"x\""), Content::Data(text) if text == "x"));
        assert!(matches!(read("{broken"), Content::Data(text) if text == "{broken"));
        assert!(matches!(read(""), Content::Empty));
    }

    #[test]
    fn multipart_and_unknown_encodings_are_unsupported() {
        for declared in ["multipart/form-data; boundary=x", "text/plain; charset=utf-16"] {
            assert_eq!(read_as(declared, b"x").unwrap_err().code, Code::UnsupportedMediaType);
        }
        let gzip = Headers::from_pairs([("content-encoding", "gzip")]);
        assert_eq!(read(&gzip, b"x", true).unwrap_err().code, Code::UnsupportedMediaType);
        assert!(read_as("text/plain; charset=\"UTF-8\"", b"x").is_ok());
    }

    #[test]
    fn binary_becomes_a_data_url_and_binary_json_is_refused() {
        let content = read_as("image/png", &[0x89, 0x50]).unwrap();
        assert!(matches!(content, Content::Data(text) if text == "data:image/png;base64,iVA="));
        assert_eq!(read_as("application/json", &[0xff]).unwrap_err().code, Code::BadBody);
    }

    #[test]
    fn an_unproven_content_type_cannot_make_json_into_something_else() {
        let body = br#"{"event":"a","data":"&event=evil&coreid=evil"}"#;
        for declared in ["application/x-www-form-urlencoded", "application/x-ndjson", "text/plain"] {
            let headers = Headers::from_pairs([("content-type", declared)]);
            match super::read(&headers, body, false).unwrap() {
                Content::Fields(fields) => assert!(fields.find(&["coreid"]).is_none(), "{declared}"),
                other => panic!("{declared}: {other:?}"),
            }
        }
        let form = Headers::from_pairs([("content-type", "application/x-www-form-urlencoded")]);
        let Content::Fields(fields) = super::read(&form, b"event=a", false).unwrap() else { panic!() };
        assert!(fields.find(&["event"]).is_some());
    }

    #[test]
    fn signed_bytes_have_one_reading_also_where_they_are_not_quite_json() {
        let lines = b"{\"event\":\"a\",\"data\":\"&event=evil&coreid=evil&z=\"}\n{oops";
        let one = br#"{"event":"a","\ud800":1,"data":"&event=evil&coreid=evil&z="}"#;
        for declared in ["application/x-www-form-urlencoded", "application/x-ndjson", "text/plain"] {
            let headers = Headers::from_pairs([("content-type", declared)]);
            let read = |body: &'static [u8]| super::read(&headers, body, false);
            assert!(matches!(read(lines), Ok(Content::Batch(items)) if items.len() == 2), "{declared}");
            assert_eq!(read(one).unwrap_err().code, Code::BadJson, "{declared}");
        }
    }

    #[test]
    fn depth_costs_nothing() {
        let deep = format!("{{\"data\":{}{}}}", "[".repeat(200_000), "]".repeat(200_000));
        assert!(matches!(read_as("application/json", deep.as_bytes()), Ok(Content::Fields(_))));
    }

    proptest! {
        #[test]
        fn no_body_panics(body: Vec<u8>, declared in "(|application/json|text/plain|application/x-ndjson|.{0,30})") {
            let _ = read_as(&declared, &body);
        }

        #[test]
        fn no_text_panics(body in ".*") { let _ = super::read(&Headers::default(), body.as_bytes(), false); }
    }
}
