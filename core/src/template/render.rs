//! From nodes to text, in a bounded number of steps.

use super::context::{Context, View};
use super::json::Json;
use super::output::Output;
use super::parse::Node;
use super::{MAX_STEPS, RenderError, Template};

/// One rendering: of one template, or of all templates in a document, which share its steps.
pub(super) struct Renderer<'a> {
    context: &'a Context<'a>,
    /// The values of the sections around the current node, the innermost last.
    sections: Vec<View<'a>>,
    steps_left: usize,
}

impl<'a> Renderer<'a> {
    pub(super) fn new(context: &'a Context<'a>) -> Renderer<'a> {
        Renderer { context, sections: Vec::new(), steps_left: MAX_STEPS }
    }

    pub(super) fn template(&mut self, template: &Template, output: &mut Output) -> Result<(), RenderError> {
        self.nodes(&template.nodes, output)
    }

    pub(super) fn step(&mut self) -> Result<(), RenderError> {
        self.steps_left = self.steps_left.checked_sub(1).ok_or(RenderError::TooManySteps)?;
        Ok(())
    }

    /// Recurses once per section, which the parser bounds.
    fn nodes(&mut self, nodes: &[Node], output: &mut Output) -> Result<(), RenderError> {
        for node in nodes {
            self.step()?;
            match node {
                Node::Text(text) => output.push(text)?,
                Node::Value { name, escape } => {
                    if let Some(value) = self.context.resolve(name, &self.sections) {
                        show(value, *escape, output)?;
                    }
                }
                Node::Section { name, inverted, body } => {
                    let value = self.context.resolve(name, &self.sections).filter(|value| !value.is_falsy());
                    match (value, inverted) {
                        (None, true) => self.nodes(body, output)?,
                        (Some(value), false) => self.section(value, body, output)?,
                        (None, false) | (Some(_), true) => {}
                    }
                }
            }
        }
        Ok(())
    }

    /// A list repeats the body for each of its items, anything else shows it once.
    fn section(&mut self, value: View<'a>, body: &[Node], output: &mut Output) -> Result<(), RenderError> {
        let View::Json(Json::Array(items)) = value else {
            return self.within(value, body, output);
        };
        for item in items {
            self.within(View::Json(item), body, output)?;
        }
        Ok(())
    }

    fn within(&mut self, value: View<'a>, body: &[Node], output: &mut Output) -> Result<(), RenderError> {
        self.step()?;
        self.sections.push(value);
        let done = self.nodes(body, output);
        self.sections.pop();
        done
    }
}

/// DESIGN.md "Templates": null is empty, numbers and booleans as JSON, arrays and objects as compact JSON.
fn show(value: View<'_>, escape: bool, output: &mut Output) -> Result<(), RenderError> {
    let mut compact = Output::new(output.room());
    let text = match value {
        View::Text(text) => text,
        View::Json(Json::Text(text)) => text,
        View::Json(Json::Null) => "",
        View::Json(json) => {
            compact.put_json(json)?;
            &compact.into_text()
        }
    };
    if escape { output.push_html(text) } else { output.push(text) }
}
