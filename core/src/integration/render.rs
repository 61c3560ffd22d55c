//! What Particle's cloud makes of a definition and an event: URL, query, headers, proof and body, byte for byte where
//! its documentation shows them.
//!
//! Not here: the headers of whoever sends it. The simulator adds those of Particle's cloud, [`super::request`] ours.

use super::encoding::form;
use super::hook::{Auth, Hook, Method, Pairs, Payload};
use crate::json::{self, Members};
use crate::template::{Context, RenderError, render_pairs};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;

/// The type of a form.
pub const FORM: &str = "application/x-www-form-urlencoded";
/// The type of JSON, which is also accepted then.
pub const JSON: &str = "application/json";
/// The most one template of a request may render to, and all of a form's, a query's or the headers' together, bytes:
/// events have 16 KB of data.
pub const LIMIT: usize = 1024 * 1024;

/// The fields that are sent unless a definition says `noDefaults`, in the order of the documented request.
pub type Defaults = [(&'static str, String); 4];

/// A body and its type, where it has one of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    pub text: String,
    pub content_type: Option<&'static str>,
}

impl Hook {
    /// The body; a GET and a DELETE have none.
    ///
    /// # Errors
    /// A template that renders to too much.
    pub fn render_body(
        &self,
        context: &Context<'_>,
        defaults: &Defaults,
    ) -> Result<Option<Body>, RenderError> {
        if !self.method.has_body() {
            return Ok(None);
        }
        let (text, content_type) = match &self.payload {
            Payload::None if self.defaults => (fields(Some(defaults), &[]), Some(FORM)),
            Payload::None => (String::new(), None),
            Payload::Form(pairs) => (fields(self.wanted(defaults), &rendered(pairs, context)?), Some(FORM)),
            Payload::Json(document) => (document.render(context, LIMIT)?, Some(JSON)),
            Payload::JsonText(document) => {
                let text = document.render(context, LIMIT)?;
                (self.wanted(defaults).map_or_else(|| text.clone(), |more| merged(more, &text)), Some(JSON))
            }
            Payload::Body(document) => (document.render(context, LIMIT)?, None),
        };
        Ok(Some(Body { text, content_type }))
    }

    /// The query that is added to the URL's own: "if the request type is GET, then the form elements are added to the
    /// query string" (Particle docs, "Web form"), and so are the defaults.
    ///
    /// # Errors
    /// As [`Hook::render_body`].
    pub fn render_query(&self, context: &Context<'_>, defaults: &Defaults) -> Result<String, RenderError> {
        let mut pairs = rendered(&self.query, context)?;
        if matches!(self.method, Method::Get | Method::Delete) {
            if let Payload::Form(more) = &self.payload {
                pairs.extend(rendered(more, context)?);
            }
            return Ok(fields(self.wanted(defaults), &pairs));
        }
        Ok(fields(None, &pairs))
    }

    /// The definition's own headers.
    ///
    /// # Errors
    /// As [`Hook::render_body`].
    pub fn render_headers(&self, context: &Context<'_>) -> Result<Vec<(String, String)>, RenderError> {
        rendered(&self.headers, context)
    }

    /// What `auth` says, as the value of an Authorization header.
    ///
    /// # Errors
    /// As [`Hook::render_body`].
    pub fn render_authorization(&self, context: &Context<'_>) -> Result<Option<String>, RenderError> {
        Ok(match &self.auth {
            None => None,
            Some(Auth::Bearer(token)) => Some(format!("Bearer {}", token.render(context, LIMIT)?)),
            Some(Auth::Basic { username, password }) => {
                let pair =
                    format!("{}:{}", username.render(context, LIMIT)?, password.render(context, LIMIT)?);
                Some(format!("Basic {}", BASE64.encode(pair)))
            }
        })
    }

    fn wanted<'a>(&self, defaults: &'a Defaults) -> Option<&'a Defaults> {
        self.defaults.then_some(defaults)
    }
}

/// Whether a text can be a header's name: a token (RFC 9110, 5.6.2).
pub fn is_header_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// Defaults first, in their order; a pair of the same name takes a default's place.
fn fields(defaults: Option<&Defaults>, pairs: &[(String, String)]) -> String {
    let given = |name: &str| pairs.iter().any(|(custom, _)| custom == name);
    let defaults = defaults.into_iter().flatten().filter(|(name, _)| !given(name));
    let defaults = defaults.map(|(name, value)| (*name, value.as_str()));
    form(defaults.chain(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))))
}

/// The defaults in JSON that was written as a string, if it came out as an object.
fn merged(defaults: &Defaults, text: &str) -> String {
    let Ok(Members(members)) = json::read(text) else { return text.to_owned() };
    let given = |name: &str| members.iter().any(|(custom, _)| custom == name);
    let defaults = defaults.iter().filter(|(name, _)| !given(name));
    let defaults = defaults.map(|(name, value)| format!("\"{name}\":{}", Value::from(value.as_str())));
    let members =
        members.iter().map(|(name, value)| format!("{}:{}", Value::from(name.as_str()), value.get()));
    format!("{{{}}}", defaults.chain(members).collect::<Vec<_>>().join(","))
}

fn rendered(pairs: &Pairs, context: &Context<'_>) -> Result<Vec<(String, String)>, RenderError> {
    render_pairs(pairs, context, LIMIT)
}
