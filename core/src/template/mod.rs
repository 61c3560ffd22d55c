//! Templates: Mustache as Particle uses it, for requests, replies and transforms alike.
//!
//! A [`Template`] is a text with tags; a [`Document`] is what a definition's `json`, `body` or
//! `responseTemplate` holds, which is either such a text or JSON with templates in its strings. Both are
//! parsed once per configuration version and rendered for each event over a [`Context`]: the
//! [`Variables`] (`PARTICLE_EVENT_NAME` and the like) above the [`Fields`] of the event's own JSON.
//!
//! Where the rules come from: the mandatory modules of the Mustache specification 1.1 (comments,
//! delimiters, interpolation, inverted, sections), Particle's webhook reference ("Variable
//! substitution") for array indices and the escaped characters, DESIGN.md "Templates" for the rest.
//!
//! Absent on purpose: partials (`{{> x}}` renders empty), lambdas, inheritance, any kind of I/O.
//!
//! ```
//! use fieldhook_core::template::{Context, Fields, Parts, Template, Variables};
//!
//! let template = Template::parse("{{{PARTICLE_EVENT_NAME}}}: {{#c}}{{{ca}}}~{{/c}}")?;
//!
//! let data = r#"{"c":[{"ca":"first"},{"ca":"second"}]}"#;
//! let fields = Fields::parse(data).unwrap_or_default();
//! let variables = Variables::new(Parts { event_name: "demo", event_value: data, ..Parts::default() });
//!
//! let text = template.render(&Context::new(&variables, &fields), 511)?;
//! assert_eq!(text, "demo: first~second~");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod context;
mod document;
mod error;
mod json;
mod output;
mod parse;
mod render;
pub mod variables;

pub use context::{Context, Fields};
pub use document::Document;
pub use error::{ParseError, Problem, RenderError};
pub use variables::{Parts, Variables};

use output::Output;
use parse::Node;
use render::Renderer;

/// The longest template text, in bytes; for a JSON document, the longest JSON text.
pub const MAX_TEMPLATE_BYTES: usize = 64 * 1024;

/// The longest name in a tag, in bytes.
pub const MAX_NAME_BYTES: usize = 256;

/// How deep sections may be nested in one template.
pub const MAX_SECTION_DEPTH: usize = 32;

/// How deep objects and arrays may be nested in a [`Document`].
pub const MAX_DOCUMENT_DEPTH: usize = 32;

/// How deep objects and arrays may be nested in the [`Fields`] of an event; deeper data is text. Each level
/// is read once more than the one around it, so this bounds the time as well as the stack.
pub const MAX_FIELD_DEPTH: usize = 32;

/// How many tags, texts and repetitions one rendering may go through. The output limit alone does not
/// end a rendering that writes nothing: sections nested over the same long array.
pub const MAX_STEPS: usize = 100_000;

/// A text with Mustache tags, parsed once.
///
/// ```
/// use fieldhook_core::template::{Context, Fields, Template};
///
/// let fields = Fields::parse(r#"{"room":"Tom & Ann's","temp":20.50}"#).unwrap_or_default();
/// let template = Template::parse("{{room}} / {{{room}}}: {{temp}}")?;
/// let text = template.render(&Context::of(&fields), 100)?;
/// assert_eq!(text, "Tom &amp; Ann&#39;s / Tom & Ann's: 20.50");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    nodes: Vec<Node>,
}

impl Template {
    /// Parses a text of at most [`MAX_TEMPLATE_BYTES`].
    ///
    /// # Errors
    ///
    /// Says what is wrong and where, in words for the person who wrote the template:
    ///
    /// ```
    /// use fieldhook_core::template::Template;
    ///
    /// let error = Template::parse("Hello\n  {{#room}}{{temp}}").unwrap_err();
    /// assert_eq!((error.line, error.column), (2, 3));
    /// assert_eq!(
    ///     error.to_string(),
    ///     "line 2, column 3: the section {{#room}} is never closed: {{/room}} is missing"
    /// );
    /// ```
    pub fn parse(text: &str) -> Result<Template, ParseError> {
        parse::parse(text).map(|nodes| Template { nodes })
    }

    /// Renders to at most `limit` bytes.
    ///
    /// # Errors
    ///
    /// [`RenderError::TooLarge`] as soon as the text would exceed `limit`: never a text that is cut.
    /// [`RenderError::TooManySteps`] after [`MAX_STEPS`].
    ///
    /// ```
    /// use fieldhook_core::template::{Context, Fields, RenderError, Template};
    ///
    /// let fields = Fields::default();
    /// let template = Template::parse("12345").unwrap();
    /// assert_eq!(template.render(&Context::of(&fields), 4), Err(RenderError::TooLarge));
    /// ```
    pub fn render(&self, context: &Context<'_>, limit: usize) -> Result<String, RenderError> {
        let mut output = Output::new(limit);
        Renderer::new(context).template(self, &mut output)?;
        Ok(output.into_text())
    }

    /// Whether it is text without a tag, the same for every event.
    ///
    /// ```
    /// use fieldhook_core::template::Template;
    /// assert!(Template::parse("X-Room").unwrap().is_literal());
    /// assert!(!Template::parse("X-{{room}}").unwrap().is_literal());
    /// ```
    pub fn is_literal(&self) -> bool {
        self.nodes.iter().all(|node| matches!(node, Node::Text(_)))
    }

    /// Whether a tag uses this name, alone or as the first part of a dotted name. What is costly to
    /// compute (`FIELDHOOK_DUE`) is computed only for templates that mention it.
    ///
    /// ```
    /// use fieldhook_core::template::Template;
    ///
    /// let template = Template::parse("{{#due}}{{{FIELDHOOK_DUE}}}{{/due}} {{! no NAME here }}").unwrap();
    /// assert!(template.mentions("FIELDHOOK_DUE") && template.mentions("due"));
    /// assert!(!template.mentions("NAME"));
    /// ```
    pub fn mentions(&self, name: &str) -> bool {
        self.nodes.iter().any(|node| node.mentions(name))
    }
}

/// Renders names and values, all of them together to at most `limit` bytes and in the steps of one rendering: a
/// definition can have thousands.
///
/// # Errors
///
/// As [`Template::render`].
///
/// ```
/// use fieldhook_core::template::{Context, Fields, RenderError, Template, render_pairs};
///
/// let fields = Fields::parse(r#"{"v":20.50}"#).unwrap();
/// let pairs = [(Template::parse("t").unwrap(), Template::parse("{{v}}").unwrap())];
/// let rendered = render_pairs(&pairs, &Context::of(&fields), 6);
/// assert_eq!(rendered, Ok(vec![("t".to_owned(), "20.50".to_owned())]));
/// assert_eq!(render_pairs(&pairs, &Context::of(&fields), 5), Err(RenderError::TooLarge));
/// ```
pub fn render_pairs(
    pairs: &[(Template, Template)],
    context: &Context<'_>,
    limit: usize,
) -> Result<Vec<(String, String)>, RenderError> {
    let mut renderer = Renderer::new(context);
    let mut room = limit;
    let mut rendered = |template: &Template| {
        let mut output = Output::new(room);
        renderer.template(template, &mut output)?;
        room = output.room();
        Ok(output.into_text())
    };
    pairs.iter().map(|(name, value)| Ok((rendered(name)?, rendered(value)?))).collect()
}
