//! JSON with templates in its strings, whose shape no value can break.

use std::collections::BTreeMap;

use serde_json::Value;

use super::context::Context;
use super::error::{ParseError, Problem, RenderError};
use super::json::{Invalid, Json};
use super::output::Output;
use super::render::Renderer;
use super::{MAX_DOCUMENT_DEPTH, MAX_TEMPLATE_BYTES, Template};

/// What a definition's `json`, `body` or `responseTemplate` holds.
///
/// A string is one [`Template`] and renders to whatever it says: the way to numbers without quotes. In an
/// object or an array every string and every key is a template of its own, rendered in place and escaped
/// as JSON, so that the result is valid JSON whatever the values; all else stays as it is.
///
/// ```
/// use fieldhook_core::template::{Context, Document, Fields};
///
/// let fields = Fields::parse(r#"{"room":"the \"lab\"","temp":20.50}"#).unwrap();
///
/// let object = Document::parse_json(r#"{"where":"{{{room}}}","{{{room}}}":"{{temp}}","n":1.0}"#)?;
/// let text = object.render(&Context::of(&fields), 511)?;
/// assert_eq!(text, r#"{"where":"the \"lab\"","the \"lab\"":"20.50","n":1.0}"#);
///
/// let text = Document::parse_json(r#""{ \"t\": {{temp}} }""#)?.render(&Context::of(&fields), 511)?;
/// assert_eq!(text, r#"{ "t": 20.50 }"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Keys that render alike: the last one is kept, in its own place, so that the reader of the result has
/// nothing to choose from.
///
/// ```
/// # use fieldhook_core::template::{Context, Document, Fields};
/// let fields = Fields::parse(r#"{"name":"token"}"#).unwrap();
/// let document = Document::parse_json(r#"{"{{name}}":"from the device","token":"ours"}"#).unwrap();
/// assert_eq!(document.render(&Context::of(&fields), 511).unwrap(), r#"{"token":"ours"}"#);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    shape: Shape,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Shape {
    Text(Template),
    Json(Part),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    String(Template),
    /// A number, a boolean or null.
    Literal(Json),
    Array(Vec<Part>),
    Object(Vec<(Template, Part)>),
}

impl Document {
    /// Parses a document that was read as a `Value`, which has its keys sorted. [`Document::parse_json`]
    /// keeps them in the order they were written in.
    ///
    /// # Errors
    ///
    /// A bad template, with the place of its string; a document too long or too deep.
    ///
    /// ```
    /// use fieldhook_core::template::{Context, Document, Fields};
    ///
    /// let document = Document::parse(&serde_json::json!({"value": "{{v}}"})).unwrap();
    /// let fields = Fields::parse(r#"{"v":2}"#).unwrap();
    /// assert_eq!(document.render(&Context::of(&fields), 511).unwrap(), r#"{"value":"2"}"#);
    /// ```
    pub fn parse(value: &Value) -> Result<Document, ParseError> {
        match value {
            Value::String(text) => Document::text(text),
            json => Document::parse_json(&json.to_string()),
        }
    }

    /// Parses a document from its JSON text, at most [`MAX_TEMPLATE_BYTES`] long.
    ///
    /// # Errors
    ///
    /// As [`Document::parse`], and if the text is not JSON.
    pub fn parse_json(text: &str) -> Result<Document, ParseError> {
        if text.len() > MAX_TEMPLATE_BYTES {
            return Err(ParseError::whole(Problem::TooLong));
        }
        match Json::parse(text, MAX_DOCUMENT_DEPTH) {
            Ok(Json::Text(text)) => Document::text(&text),
            Ok(json) => part(&json, &mut String::new()).map(|part| Document { shape: Shape::Json(part) }),
            Err(Invalid::Syntax { line, column }) => {
                Err(ParseError { line, column, ..ParseError::whole(Problem::NotJson) })
            }
            Err(Invalid::TooDeep) => Err(ParseError::whole(Problem::TooDeep)),
        }
    }

    /// A document that is one template, as the string of a definition's `body`.
    ///
    /// # Errors
    ///
    /// As [`Template::parse`].
    pub fn text(text: &str) -> Result<Document, ParseError> {
        Template::parse(text).map(|template| Document { shape: Shape::Text(template) })
    }

    /// Renders to at most `limit` bytes.
    ///
    /// # Errors
    ///
    /// As [`Template::render`]. The keys of one object, those that are then left out too, must fit into the
    /// limit together.
    pub fn render(&self, context: &Context<'_>, limit: usize) -> Result<String, RenderError> {
        let mut output = Output::new(limit);
        let mut renderer = Renderer::new(context);
        match &self.shape {
            Shape::Text(template) => renderer.template(template, &mut output)?,
            Shape::Json(part) => part.render(&mut renderer, &mut output)?,
        }
        Ok(output.into_text())
    }

    /// Whether a tag in a string or key uses this name; see [`Template::mentions`].
    pub fn mentions(&self, name: &str) -> bool {
        match &self.shape {
            Shape::Text(template) => template.mentions(name),
            Shape::Json(part) => part.mentions(name),
        }
    }
}

/// The templates of a JSON value. `place` is the JSON Pointer of the value, and is left as it was found.
fn part(json: &Json, place: &mut String) -> Result<Part, ParseError> {
    let template = |text: &str, place: &str| Template::parse(text).map_err(|error| error.inside(place));
    match json {
        Json::Text(text) => template(text, place).map(Part::String),
        Json::Array(items) => {
            let mut parts = Vec::with_capacity(items.len());
            for (index, item) in items.iter().enumerate() {
                parts.push(below(place, &index.to_string(), |place| part(item, place))?);
            }
            Ok(Part::Array(parts))
        }
        Json::Object(object) => {
            let mut parts = Vec::new();
            for (key, value) in object.in_order() {
                parts.push(below(place, key, |place| Ok((template(key, place)?, part(value, place)?)))?);
            }
            Ok(Part::Object(parts))
        }
        Json::Null | Json::Bool(_) | Json::Number { .. } => Ok(Part::Literal(json.clone())),
    }
}

/// Does something one step further down, the step being written as RFC 6901 wants it.
fn below<T>(place: &mut String, step: &str, act: impl FnOnce(&mut String) -> T) -> T {
    let here = place.len();
    place.push('/');
    place.push_str(&step.replace('~', "~0").replace('/', "~1"));
    let result = act(place);
    place.truncate(here);
    result
}

impl Part {
    /// Recurses as deep as the document, which was bounded when it was parsed.
    fn render(&self, renderer: &mut Renderer<'_>, output: &mut Output) -> Result<(), RenderError> {
        renderer.step()?;
        match self {
            Part::String(template) => {
                output.quote()?;
                renderer.template(template, output)?;
                output.quote()
            }
            Part::Literal(json) => output.put_json(json),
            Part::Array(items) => {
                output.put("[")?;
                for (index, item) in items.iter().enumerate() {
                    output.put(if index == 0 { "" } else { "," })?;
                    item.render(renderer, output)?;
                }
                output.put("]")
            }
            Part::Object(members) => {
                output.put("{")?;
                for (index, (key, value)) in
                    last_of_each_key(members, renderer, output.room())?.iter().enumerate()
                {
                    output.put(if index == 0 { "" } else { "," })?;
                    output.put_string(key)?;
                    output.put(":")?;
                    value.render(renderer, output)?;
                }
                output.put("}")
            }
        }
    }

    fn mentions(&self, name: &str) -> bool {
        match self {
            Part::String(template) => template.mentions(name),
            Part::Literal(_) => false,
            Part::Array(items) => items.iter().any(|item| item.mentions(name)),
            Part::Object(members) => {
                members.iter().any(|(key, value)| key.mentions(name) || value.mentions(name))
            }
        }
    }
}

/// Renders the keys of an object, in `room` bytes, and drops the members whose key comes again.
fn last_of_each_key<'p>(
    members: &'p [(Template, Part)],
    renderer: &mut Renderer<'_>,
    mut room: usize,
) -> Result<Vec<(String, &'p Part)>, RenderError> {
    let mut last = BTreeMap::new();
    for (position, (key, value)) in members.iter().enumerate() {
        let mut output = Output::new(room);
        renderer.template(key, &mut output)?;
        room = output.room();
        last.insert(output.into_text(), (position, value));
    }
    let mut kept: Vec<_> = last.into_iter().map(|(key, (position, value))| (position, key, value)).collect();
    kept.sort_by_key(|(position, ..)| *position);
    Ok(kept.into_iter().map(|(_, key, value)| (key, value)).collect())
}
