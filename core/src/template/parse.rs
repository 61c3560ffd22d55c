//! From text to nodes: tags, delimiters, and the lines that vanish because only a tag stood on them.

use super::error::{ParseError, Problem};
use super::{MAX_NAME_BYTES, MAX_SECTION_DEPTH, MAX_TEMPLATE_BYTES};

/// A piece of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    Text(Box<str>),
    Value { name: Box<str>, escape: bool },
    Section { name: Box<str>, inverted: bool, body: Vec<Node> },
}

impl Node {
    pub(super) fn mentions(&self, wanted: &str) -> bool {
        let is_wanted = |name: &str| name.split('.').next() == Some(wanted);
        match self {
            Node::Text(_) => false,
            Node::Value { name, .. } => is_wanted(name),
            Node::Section { name, body, .. } => {
                is_wanted(name) || body.iter().any(|node| node.mentions(wanted))
            }
        }
    }
}

/// What stands between two delimiters.
enum Tag<'t> {
    Value {
        name: &'t str,
        escape: bool,
    },
    Open {
        name: &'t str,
        inverted: bool,
    },
    Close {
        name: &'t str,
    },
    Delimiters {
        open: &'t str,
        close: &'t str,
    },
    /// A comment, or a partial: both render empty.
    Nothing,
}

/// A section whose end has not been seen.
struct OpenSection<'t> {
    name: &'t str,
    inverted: bool,
    /// Where its tag starts, for the error that it is never closed.
    offset: usize,
    /// What came before it, on its own level.
    outer: Vec<Node>,
}

struct Parser<'t> {
    text: &'t str,
    /// What has not been read, always the end of `text`.
    rest: &'t str,
    open: &'t str,
    close: &'t str,
    sections: Vec<OpenSection<'t>>,
    /// The level being read.
    nodes: Vec<Node>,
}

pub(super) fn parse(text: &str) -> Result<Vec<Node>, ParseError> {
    if text.len() > MAX_TEMPLATE_BYTES {
        return Err(ParseError::whole(Problem::TooLong));
    }
    let parser =
        Parser { text, rest: text, open: "{{", close: "}}", sections: Vec::new(), nodes: Vec::new() };
    parser.run()
}

impl<'t> Parser<'t> {
    fn run(mut self) -> Result<Vec<Node>, ParseError> {
        while let Some((before, inside)) = self.rest.split_once(self.open) {
            let offset = self.offset() + before.len();
            let fail = |problem| ParseError::at(self.text, offset, problem);
            let (tag, after) = self.tag(inside).map_err(fail)?;
            let alone = !matches!(tag, Tag::Value { .. });
            let line = alone.then(|| self.standalone(offset, before, after)).flatten();
            let (before, after) = line.unwrap_or((before, after));
            self.push_text(before);
            self.rest = after;
            self.apply(tag, offset)?;
        }
        self.push_text(self.rest);
        match self.sections.pop() {
            None => Ok(self.nodes),
            Some(OpenSection { name, inverted, offset, .. }) => {
                let problem = Problem::UnclosedSection { name: name.to_owned(), inverted };
                Err(ParseError::at(self.text, offset, problem))
            }
        }
    }

    /// How many bytes have been read.
    fn offset(&self) -> usize {
        self.text.len() - self.rest.len()
    }

    fn push_text(&mut self, text: &str) {
        if !text.is_empty() {
            self.nodes.push(Node::Text(text.into()));
        }
    }

    /// Reads one tag from behind its opening delimiter; returns what follows its closing one.
    fn tag(&self, inside: &'t str) -> Result<(Tag<'t>, &'t str), Problem> {
        let inside = inside.trim_start();
        if let Some(inside) = inside.strip_prefix('{') {
            let (content, after) = self.content(inside, &format!("}}{}", self.close))?;
            return Ok((Tag::Value { name: name(content)?, escape: false }, after));
        }
        if let Some(inside) = inside.strip_prefix('=') {
            let end = format!("={}", self.close);
            let (content, after) = inside.split_once(&end).ok_or(Problem::BadDelimiters)?;
            return Ok((delimiters(content)?, after));
        }
        if let Some(inside) = inside.strip_prefix('!') {
            // A comment may hold anything but its end, an opening delimiter too.
            let (_, after) = inside.split_once(self.close).ok_or_else(|| self.unclosed(self.close))?;
            return Ok((Tag::Nothing, after));
        }
        let (content, after) = self.content(inside, self.close)?;
        let tag = if let Some(content) = content.strip_prefix('#') {
            Tag::Open { name: name(content)?, inverted: false }
        } else if let Some(content) = content.strip_prefix('^') {
            Tag::Open { name: name(content)?, inverted: true }
        } else if let Some(content) = content.strip_prefix('/') {
            Tag::Close { name: name(content)? }
        } else if let Some(content) = content.strip_prefix('>') {
            name(content).map(|_| Tag::Nothing)?
        } else if let Some(content) = content.strip_prefix('&') {
            Tag::Value { name: name(content)?, escape: false }
        } else {
            Tag::Value { name: name(content)?, escape: true }
        };
        Ok((tag, after))
    }

    /// What stands before `end`. Another tag that opens there means that this one was not closed, and
    /// saying so beats a strange name.
    fn content(&self, inside: &'t str, end: &str) -> Result<(&'t str, &'t str), Problem> {
        match inside.split_once(end) {
            Some((content, after)) if !content.contains(self.open) => Ok((content, after)),
            _ => Err(self.unclosed(end)),
        }
    }

    fn unclosed(&self, missing: &str) -> Problem {
        Problem::UnclosedTag { missing: missing.to_owned() }
    }

    /// If nothing else stands on the tag's line: what remains before and after the line (Mustache
    /// specification, "standalone" in every module but interpolation).
    fn standalone(&self, offset: usize, before: &'t str, after: &'t str) -> Option<(&'t str, &'t str)> {
        let blank = [' ', '\t'];
        let line_start = self.text.get(..offset)?.trim_end_matches(blank);
        let line_end = after.trim_start_matches(blank);
        if !line_start.is_empty() && !line_start.ends_with('\n') {
            return None;
        }
        let after = if line_end.is_empty() {
            line_end
        } else {
            line_end.strip_prefix("\r\n").or_else(|| line_end.strip_prefix('\n'))?
        };
        Some((before.trim_end_matches(blank), after))
    }

    fn apply(&mut self, tag: Tag<'t>, offset: usize) -> Result<(), ParseError> {
        let fail = |problem| ParseError::at(self.text, offset, problem);
        match tag {
            Tag::Nothing => {}
            Tag::Value { name, escape } => self.nodes.push(Node::Value { name: name.into(), escape }),
            Tag::Delimiters { open, close } => {
                self.open = open;
                self.close = close;
            }
            Tag::Open { .. } if self.sections.len() >= MAX_SECTION_DEPTH => {
                return Err(fail(Problem::TooManySections));
            }
            Tag::Open { name, inverted } => {
                let outer = std::mem::take(&mut self.nodes);
                self.sections.push(OpenSection { name, inverted, offset, outer });
            }
            Tag::Close { name } => {
                let found = name.to_owned();
                match self.sections.pop() {
                    None => return Err(fail(Problem::StrayEnd { found })),
                    Some(open) if open.name != name => {
                        return Err(fail(Problem::WrongEnd { found, open: open.name.to_owned() }));
                    }
                    Some(OpenSection { name, inverted, outer, .. }) => {
                        let body = std::mem::replace(&mut self.nodes, outer);
                        self.nodes.push(Node::Section { name: name.into(), inverted, body });
                    }
                }
            }
        }
        Ok(())
    }
}

/// A name as it is looked up. Stricter than needed about braces, which in practice are a tag that was
/// counted wrong (`{{{{x}}}}`); laxer than the specification about spaces inside, because JSON keys have
/// them and Particle's users write `{{Battery Level}}`.
fn name(content: &str) -> Result<&str, Problem> {
    let name = content.trim();
    if name.is_empty() {
        return Err(Problem::NoName);
    }
    if name.len() > MAX_NAME_BYTES || name.chars().any(|c| matches!(c, '{' | '}') || c.is_control()) {
        return Err(Problem::BadName);
    }
    Ok(name)
}

/// `{{=<% %>=}}`: "MUST be a non-whitespace character sequence NOT containing an equals sign".
fn delimiters(content: &str) -> Result<Tag<'_>, Problem> {
    let mut words = content.split_whitespace();
    match (words.next(), words.next(), words.next()) {
        (Some(open), Some(close), None) if !content.contains('=') => Ok(Tag::Delimiters { open, close }),
        _ => Err(Problem::BadDelimiters),
    }
}
