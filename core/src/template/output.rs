//! The text being rendered: never larger than its limit, escaped as its place demands.

use std::borrow::Cow;

use super::RenderError;
use super::json::Json;

/// A text that grows up to a limit and, inside a string of a JSON document, is escaped on its way in.
#[derive(Debug)]
pub(super) struct Output {
    text: String,
    limit: usize,
    in_string: bool,
}

impl Output {
    pub(super) fn new(limit: usize) -> Output {
        Output { text: String::new(), limit, in_string: false }
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }

    /// How many bytes still fit.
    pub(super) fn room(&self) -> usize {
        self.limit.saturating_sub(self.text.len())
    }

    /// Opens or closes a string of a JSON document. Until it is closed, nothing that is pushed can end it.
    pub(super) fn quote(&mut self) -> Result<(), RenderError> {
        self.put("\"")?;
        self.in_string = !self.in_string;
        Ok(())
    }

    /// Structure of a JSON document, or text that is escaped already.
    pub(super) fn put(&mut self, text: &str) -> Result<(), RenderError> {
        if text.len() > self.room() {
            return Err(RenderError::TooLarge);
        }
        self.text.push_str(text);
        Ok(())
    }

    /// Text as it is: the template's own, and `{{{x}}}`.
    pub(super) fn push(&mut self, text: &str) -> Result<(), RenderError> {
        if self.in_string { escaped(text, json, |piece| self.put(piece)) } else { self.put(text) }
    }

    /// `{{x}}`.
    pub(super) fn push_html(&mut self, text: &str) -> Result<(), RenderError> {
        escaped(text, html, |piece| self.push(piece))
    }

    /// A value as compact JSON. Recurses as deep as the value, which is bounded where it was parsed.
    pub(super) fn put_json(&mut self, value: &Json) -> Result<(), RenderError> {
        match value {
            Json::Null => self.put("null"),
            Json::Bool(true) => self.put("true"),
            Json::Bool(false) => self.put("false"),
            Json::Number { digits, .. } => self.put(digits),
            Json::Text(text) => self.put_string(text),
            Json::Array(items) => {
                let mut before = "[";
                for item in items {
                    self.put(before)?;
                    self.put_json(item)?;
                    before = ",";
                }
                self.put(if items.is_empty() { "[]" } else { "]" })
            }
            Json::Object(object) => {
                let members = object.in_order();
                let mut before = "{";
                for (key, value) in &members {
                    self.put(before)?;
                    self.put_string(key)?;
                    self.put(":")?;
                    self.put_json(value)?;
                    before = ",";
                }
                self.put(if members.is_empty() { "{}" } else { "}" })
            }
        }
    }

    /// A whole JSON string, quotes included.
    pub(super) fn put_string(&mut self, text: &str) -> Result<(), RenderError> {
        self.put("\"")?;
        escaped(text, json, |piece| self.put(piece))?;
        self.put("\"")
    }
}

/// Gives `text` to `put` piece by piece, each character that `escape` knows replaced.
fn escaped(
    text: &str,
    escape: fn(char) -> Option<Cow<'static, str>>,
    mut put: impl FnMut(&str) -> Result<(), RenderError>,
) -> Result<(), RenderError> {
    for run in text.split_inclusive(|c| escape(c).is_some()) {
        match run.chars().next_back().and_then(|last| Some((run.strip_suffix(last)?, escape(last)?))) {
            Some((plain, replacement)) => {
                put(plain)?;
                put(&replacement)?;
            }
            None => put(run)?,
        }
    }
    Ok(())
}

/// The five characters that Particle escapes ("Variable substitution"); four of them are in the
/// Mustache specification's own test.
fn html(c: char) -> Option<Cow<'static, str>> {
    Some(Cow::Borrowed(match c {
        '&' => "&amp;",
        '<' => "&lt;",
        '>' => "&gt;",
        '"' => "&quot;",
        '\'' => "&#39;",
        _ => return None,
    }))
}

/// What RFC 8259 section 7 demands to be escaped in a string.
fn json(c: char) -> Option<Cow<'static, str>> {
    Some(Cow::Borrowed(match c {
        '"' => "\\\"",
        '\\' => "\\\\",
        '\n' => "\\n",
        '\r' => "\\r",
        '\t' => "\\t",
        '\x08' => "\\b",
        '\x0c' => "\\f",
        '\0'..='\x1f' => return Some(Cow::Owned(format!("\\u{:04x}", u32::from(c)))),
        _ => return None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ascii_character_survives_a_json_string() {
        let text: String = ('\0'..='\x7f').chain(['é', '€', '😀', '\u{2028}']).collect();
        let mut output = Output::new(1000);
        output.put_string(&text).unwrap();
        assert_eq!(serde_json::from_str::<String>(&output.into_text()).unwrap(), text);
    }

    #[test]
    fn a_piece_fits_whole_or_not_at_all() {
        let mut output = Output::new(3);
        assert_eq!(output.push("1234"), Err(RenderError::TooLarge));
        assert_eq!(output.push("123"), Ok(()));
        assert_eq!(output.push(""), Ok(()));
        assert_eq!(output.into_text(), "123");
    }
}
