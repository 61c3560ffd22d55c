//! What can be wrong with a template, in words for the person who wrote it.

use std::fmt;

use super::{MAX_DOCUMENT_DEPTH, MAX_NAME_BYTES, MAX_SECTION_DEPTH, MAX_TEMPLATE_BYTES};

/// Why a text is not a template, and where.
///
/// ```
/// use fieldhook_core::template::{Document, Problem};
///
/// let error = Document::parse_json(r#"{"gauges":[{"name":"{{n"}]}"#).unwrap_err();
/// assert_eq!(error.place.as_deref(), Some("/gauges/0/name"));
/// assert_eq!(error.problem, Problem::UnclosedTag { missing: "}}".into() });
/// assert_eq!(
///     error.to_string(),
///     "in /gauges/0/name, line 1, column 1: this tag is never closed: }} is missing"
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    /// Line of the offending tag, from 1.
    pub line: usize,
    /// Column of the offending tag, in characters, from 1.
    pub column: usize,
    /// In a JSON document: the JSON Pointer (RFC 6901) of the string or key.
    pub place: Option<String>,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong with a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// A tag without its end.
    UnclosedTag { missing: String },
    /// A section without its end.
    UnclosedSection { name: String, inverted: bool },
    /// The end of a section while another one is open.
    WrongEnd { found: String, open: String },
    /// The end of a section while none is open.
    StrayEnd { found: String },
    /// A delimiter change that does not name two delimiters.
    BadDelimiters,
    /// A tag with nothing in it.
    NoName,
    /// A name with a brace or a control character in it, or longer than [`MAX_NAME_BYTES`].
    BadName,
    /// Sections nested deeper than [`MAX_SECTION_DEPTH`].
    TooManySections,
    /// Longer than [`MAX_TEMPLATE_BYTES`].
    TooLong,
    /// A document that is not JSON.
    NotJson,
    /// A document nested deeper than [`MAX_DOCUMENT_DEPTH`].
    TooDeep,
}

impl ParseError {
    /// The error of a tag that starts at byte `offset` of `text`.
    pub(super) fn at(text: &str, offset: usize, problem: Problem) -> ParseError {
        let before = text.get(..offset).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        ParseError { line, column, place: None, problem }
    }

    /// The error of a text as a whole.
    pub(super) fn whole(problem: Problem) -> ParseError {
        ParseError { line: 1, column: 1, place: None, problem }
    }

    pub(super) fn inside(mut self, place: &str) -> ParseError {
        self.place = Some(place.to_owned());
        self
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "in {place}, ")?;
        }
        write!(f, "line {}, column {}: {}", self.line, self.column, self.problem)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::UnclosedTag { missing } => write!(f, "this tag is never closed: {missing} is missing"),
            Problem::UnclosedSection { name, inverted } => {
                let sign = if *inverted { '^' } else { '#' };
                write!(f, "the section {{{{{sign}{name}}}}} is never closed: {{{{/{name}}}}} is missing")
            }
            Problem::WrongEnd { found, open } => {
                write!(f, "{{{{/{found}}}}} comes while {open} is open: {{{{/{open}}}}} is missing")
            }
            Problem::StrayEnd { found } => {
                write!(f, "{{{{/{found}}}}} closes a section that is not open")
            }
            Problem::BadDelimiters => f.write_str(
                "a change of delimiters names two, without spaces or = inside them, as in {{=<% %>=}}",
            ),
            Problem::NoName => f.write_str("this tag has no name"),
            Problem::BadName => write!(
                f,
                "a name has at most {MAX_NAME_BYTES} bytes, on one line, without {{ and }}; \
                 write a space between a brace of the text and a tag"
            ),
            Problem::TooManySections => {
                write!(f, "sections may be nested {MAX_SECTION_DEPTH} deep, not deeper")
            }
            Problem::TooLong => write!(f, "a template has at most {MAX_TEMPLATE_BYTES} bytes"),
            Problem::NotJson => f.write_str("this is not JSON"),
            Problem::TooDeep => {
                write!(f, "objects and arrays may be nested {MAX_DOCUMENT_DEPTH} deep, not deeper")
            }
        }
    }
}

impl std::error::Error for ParseError {}

/// Why a rendering was given up. Nothing of it is kept: a text cut in the middle is worse than none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RenderError {
    /// The text would be larger than the limit the caller gave.
    TooLarge,
    /// The template went through more than [`MAX_STEPS`](super::MAX_STEPS) steps.
    TooManySteps,
}

impl fmt::Display for RenderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RenderError::TooLarge => "the rendered text is larger than allowed",
            RenderError::TooManySteps => "the template takes too many steps to render",
        })
    }
}

impl std::error::Error for RenderError {}
