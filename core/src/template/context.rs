//! What a template can see, and which of two things with one name it sees.

use super::MAX_FIELD_DEPTH;
use super::json::Json;
use super::variables::Variables;

/// The JSON that a template reads from: an event's data, or the answer of a service.
///
/// "If the event data is valid JSON, it is automagically converted to variables" (Particle, "Custom
/// variables"). The default has no fields, which is right for data that is not JSON.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fields(Json);

impl Fields {
    /// The fields of a JSON text; `None` if it is not JSON, or nested deeper than [`MAX_FIELD_DEPTH`].
    ///
    /// Numbers keep their digits and objects their order. Of a key given twice the last counts.
    ///
    /// ```
    /// use fieldhook_core::template::{Context, Fields, Template};
    ///
    /// let fields = Fields::parse(r#"{ "z": {"b": 1.10, "a": [true, null]} }"#).unwrap();
    /// let template = Template::parse("{{{z}}}").unwrap();
    /// assert_eq!(template.render(&Context::of(&fields), 100).unwrap(), r#"{"b":1.10,"a":[true,null]}"#);
    ///
    /// assert!(Fields::parse("21.1 degrees").is_none());
    /// ```
    pub fn parse(text: &str) -> Option<Fields> {
        Json::parse(text, MAX_FIELD_DEPTH).ok().map(Fields)
    }
}

/// The variables over the fields. A name is looked up in the sections around the tag, the innermost
/// first, then among the variables, then in the fields.
///
/// ```
/// use fieldhook_core::template::{Context, Fields, Parts, Template, Variables};
///
/// // A device cannot pass for another by naming one of its fields like a variable.
/// let fields = Fields::parse(r#"{"PARTICLE_DEVICE_ID":"somebody else","temp":20}"#).unwrap();
/// let variables = Variables::new(Parts { device_id: "e00fce68", ..Parts::default() });
/// let template = Template::parse("{{PARTICLE_DEVICE_ID}} {{temp}}").unwrap();
/// assert_eq!(template.render(&Context::new(&variables, &fields), 100).unwrap(), "e00fce68 20");
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    variables: Option<&'a Variables<'a>>,
    fields: &'a Fields,
}

impl<'a> Context<'a> {
    /// Variables over fields.
    pub fn new(variables: &'a Variables<'a>, fields: &'a Fields) -> Context<'a> {
        Context { variables: Some(variables), fields }
    }

    /// Fields alone.
    pub fn of(fields: &'a Fields) -> Context<'a> {
        Context { variables: None, fields }
    }

    /// Resolves a name as the specification says (interpolation module): the first part in the nearest
    /// place that has it, each further part in what the part before gave, and nowhere else.
    pub(super) fn resolve(&self, name: &str, sections: &[View<'a>]) -> Option<View<'a>> {
        let root = View::Json(&self.fields.0);
        if name == "." {
            return Some(sections.last().copied().unwrap_or(root));
        }
        let mut parts = name.split('.');
        let first = parts.next()?;
        let nearest = sections.iter().rev().find_map(|section| section.member(first));
        let found =
            nearest.or_else(|| self.variables?.get(first).map(View::Text)).or_else(|| root.member(first))?;
        parts.try_fold(found, |value, part| value.member(part))
    }
}

/// What a name stands for.
#[derive(Debug, Clone, Copy)]
pub(super) enum View<'a> {
    Json(&'a Json),
    /// A variable.
    Text(&'a str),
}

impl<'a> View<'a> {
    fn member(self, part: &str) -> Option<View<'a>> {
        match self {
            View::Json(value) => value.member(part).map(View::Json),
            View::Text(_) => None,
        }
    }

    /// See [`Json::is_falsy`].
    pub(super) fn is_falsy(self) -> bool {
        match self {
            View::Json(value) => value.is_falsy(),
            View::Text(text) => text.is_empty(),
        }
    }
}
