//! An integration ready for use, and the request it makes of an event.
//!
//! Nothing that an event says can break a line of it or lead it to another host: the authority stands in the
//! definition, what is templated comes behind it, and the whole is checked again.

use super::definition::{ANY, Parts};
use super::encoding::request_line;
use super::filter::Filter;
use super::hook::{Hook, Payload};
use super::logged::Logged;
use super::render::{Body, JSON, LIMIT, is_header_name};
use super::secrets::{Secrets, unmask};
use super::stored::{Face, Stored};
use super::{sign, subscription};
use crate::clock::Time;
use crate::delivery::mask::Masking;
use crate::delivery::outcome::Failure;
use crate::event::hash_fields;
use crate::problem::{Code, Problem, Result};
use crate::proof::HOP_HEADER;
use crate::proof::signature::Secret;
use crate::reply::{Framing, RENDERED_BUDGET};
use crate::target::{Rules, Target};
use crate::template::{Context, RenderError};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use std::fmt;

/// How deliveries name their sender.
pub const USER_AGENT: &str = concat!("fieldhook/", env!("CARGO_PKG_VERSION"));
/// Says that a delivery was asked for anew.
pub const REPLAYED_HEADER: &str = "fieldhook-replayed";

/// Names that are not the definition's to set: what every delivery says of itself, and what belongs to the connection
/// (RFC 9110, 7.6.1). `host` would reach another service behind the same address.
const OURS: [&str; 16] = [
    "user-agent",
    "webhook-id",
    "webhook-timestamp",
    "webhook-signature",
    HOP_HEADER,
    REPLAYED_HEADER,
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "upgrade",
    "expect",
];
const HUB_HEADER: &str = "x-hub-signature-256";

/// An integration with its templates parsed and its secrets in their places.
pub struct Integration {
    pub id: String,
    pub face: Face,
    pub filter: Filter,
    /// Its answer is the reply to the device.
    pub respond: bool,
    /// The most bytes of such a reply.
    pub reply_budget: usize,
    /// How it is cut, where that is not as the deployment says.
    pub reply_framing: Option<Framing>,
    pub(super) hook: Hook,
    /// As it is written: `https://host:port`.
    origin: String,
    target: Target,
    secret: Option<Secret>,
    previous: Option<(Secret, Time)>,
    /// Every secret as a text, for masking what is recorded.
    secret_texts: Vec<String>,
}

impl fmt::Debug for Integration {
    /// Without what is secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Integration").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A request ready to be sent: nothing in it can break a line or leave its host.
///
/// The body is sent as bytes: sent as a string, `fetch` would add a Content-Type of its own to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outgoing {
    pub method: &'static str,
    pub url: String,
    /// Each name once.
    pub headers: Vec<(String, String)>,
    pub body: Option<String>,
}

/// What is different from one attempt to the next.
#[derive(Debug, Clone, Copy)]
pub struct Sending<'a> {
    /// See [`Integration::message_id`].
    pub message_id: &'a str,
    pub now: Time,
    pub replayed: bool,
    pub rules: &'a Rules<'a>,
}

/// Why an event makes no request. Trying again would make none either.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsendable {
    /// `template`, `bad-url` or `bad-header`.
    pub name: &'static str,
    pub detail: String,
}

impl Unsendable {
    /// As an attempt that was heard nothing of.
    pub fn failure(&self) -> Failure {
        Failure::Unsendable(self.name.to_owned())
    }
}

impl fmt::Display for Unsendable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.detail)
    }
}

impl From<RenderError> for Unsendable {
    fn from(error: RenderError) -> Self {
        Unsendable { name: "template", detail: error.to_string() }
    }
}

impl Integration {
    /// # Errors
    /// `bad-definition` and the like for a stored definition that this version cannot use, or whose secrets are not all
    /// there.
    pub fn compile(stored: &Stored, secrets: &Secrets) -> Result<Integration> {
        let whole = unmask(&stored.definition, Some(secrets))?;
        let parts = Parts::read(&whole, stored.face, stored.product.clone())?;
        let target = Target::check(&format!("{}/", parts.origin), &ANY)
            .map_err(|why| Problem::new(Code::BadUrl, why.to_string()))?;
        let previous =
            secrets.previous().map(|(text, until)| sign::secret(&text).map(|secret| (secret, until)));
        // A rotation replaces the secret without writing the definition.
        let secret = secrets.signing().map(|text| sign::secret(&text)).transpose()?.or(parts.secret);
        Ok(Integration {
            id: stored.id.clone(),
            face: stored.face,
            filter: parts.filter,
            respond: parts.respond,
            reply_budget: parts.reply_budget.unwrap_or(RENDERED_BUDGET),
            reply_framing: parts.reply_framing,
            hook: parts.hook,
            origin: parts.origin,
            target,
            secret,
            previous: previous.transpose()?,
            secret_texts: secrets.texts().collect(),
        })
    }

    /// `webhook-id`: the same for every attempt at one event, and for no other event or integration. A device that is
    /// deleted counts anew, so the time it was born is part of it.
    pub fn message_id(&self, device: &str, born: Time, seq: u64) -> String {
        let fields = [&self.id, device, &born.millis().to_string(), &seq.to_string()];
        format!("msg_{}", URL_SAFE_NO_PAD.encode(hash_fields(&fields)))
    }

    /// `webhook-id` of a request whose answer is the device's reply. It is made before and after a crash by who knows the
    /// event by its dedup key alone.
    pub fn answer_id(&self, key: &str) -> String {
        format!("msg_{}", URL_SAFE_NO_PAD.encode(hash_fields(&[&self.id, "respond", key])))
    }

    /// What is not to be shown of a request and its answer: every secret in the definition, and the Authorization that
    /// was made of them, which a service may repeat.
    pub fn masking(&self, outgoing: Option<&Outgoing>) -> Masking {
        let mut texts: Vec<&str> = self.secret_texts.iter().map(String::as_str).collect();
        let headers = outgoing.map(|outgoing| outgoing.headers.as_slice()).unwrap_or_default();
        let made = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("authorization"));
        texts.extend(made.map(|(_, value)| value.split_once(' ').map_or(value.as_str(), |(_, rest)| rest)));
        Masking::new(&texts)
    }

    /// What its circuit is kept for: `https://host:443`.
    pub fn host_key(&self) -> String {
        self.target.key()
    }

    /// As errors name it.
    pub fn host(&self) -> &str {
        &self.target.host
    }

    /// The request for an event that the filter matches.
    ///
    /// # Errors
    /// A template, URL or header that this event makes unusable.
    pub fn request(
        &self,
        event: &Logged<'_>,
        sending: &Sending<'_>,
    ) -> std::result::Result<Outgoing, Unsendable> {
        event.with_context(|context| {
            let url = self.url(event, context, sending.rules)?;
            let body = self.body(event, context)?;
            let custom = self.hook.render_headers(context)?;
            let custom = custom.into_iter().zip(self.hook.headers.iter().map(|(name, _)| name.is_literal()));
            // What an event names comes last, and so takes the place of nothing that is written out.
            let (mut headers, named): (Vec<_>, Vec<_>) = custom.partition(|(_, is_literal)| *is_literal);
            headers.extend(named);
            let mut headers: Vec<(String, String)> = headers
                .into_iter()
                .map(|(header, _)| header)
                .filter(|(name, _)| !self.is_ours(name))
                .collect();
            let kind = body.as_ref().and_then(|body| body.content_type);
            let optional = [
                ("authorization", self.hook.render_authorization(context)?),
                ("accept", kind.filter(|kind| *kind == JSON).map(str::to_owned)),
                ("content-type", kind.map(str::to_owned)),
            ];
            let owned = |(name, value): (&str, Option<String>)| Some((name.to_owned(), value?));
            headers.extend(optional.into_iter().filter_map(owned));
            let text = body.as_ref().map_or("", |body| body.text.as_str());
            headers.extend(self.own_headers(event, text, sending));
            let method = self.hook.method.as_str();
            Ok(Outgoing { method, url, headers: checked(headers)?, body: body.map(|body| body.text) })
        })
    }

    fn url(
        &self,
        event: &Logged<'_>,
        context: &Context<'_>,
        rules: &Rules<'_>,
    ) -> std::result::Result<String, Unsendable> {
        let bad = |detail: String| Unsendable { name: "bad-url", detail };
        let url = self.hook.url.render(context, LIMIT)?;
        if url.contains(char::is_control) {
            return Err(bad("the event puts a control character into the URL".to_owned()));
        }
        // The template begins with the origin, as text; what an event says stands behind it.
        let rest = url
            .strip_prefix(&self.origin)
            .filter(|rest| rest.is_empty() || rest.starts_with(['/', '?', '#']));
        let rest = rest.ok_or_else(|| bad("the event changes the host".to_owned()))?;
        let path = request_line(rest.split('#').next().unwrap_or_default());
        let slash = if path.starts_with('/') { "" } else { "/" };
        let query = self.hook.render_query(context, &event.defaults())?;
        let between = match (query.is_empty(), path.contains('?')) {
            (true, _) => "",
            (false, true) => "&",
            (false, false) => "?",
        };
        let url = format!("{}{slash}{path}{between}{query}", self.origin);
        let target = Target::check(&url, rules).map_err(|why| bad(why.to_string()))?;
        match target.key() == self.target.key() {
            true => Ok(target.url),
            false => Err(bad("the event changes the host".to_owned())),
        }
    }

    /// Particle's body, or for a subscription that says nothing else that of Standard Webhooks.
    fn body(
        &self,
        event: &Logged<'_>,
        context: &Context<'_>,
    ) -> std::result::Result<Option<Body>, RenderError> {
        let is_plain = matches!(self.hook.payload, Payload::None) && self.hook.method.has_body();
        match self.face {
            Face::Subscription if is_plain => {
                Ok(Some(Body { text: subscription::payload(event), content_type: Some(JSON) }))
            }
            _ => self.hook.render_body(context, &event.defaults()),
        }
    }

    /// What every delivery says of itself.
    fn own_headers(&self, event: &Logged<'_>, body: &str, sending: &Sending<'_>) -> Vec<(String, String)> {
        let seconds = (sending.now.millis() / 1000).to_string();
        let previous = self.previous.as_ref().filter(|(_, until)| sending.now < *until);
        let secrets: Vec<Secret> =
            self.secret.iter().chain(previous.map(|(secret, _)| secret)).cloned().collect();
        let mut headers = vec![
            ("user-agent", USER_AGENT.to_owned()),
            (HOP_HEADER, event.details.hops.saturating_add(1).to_string()),
            ("webhook-id", sending.message_id.to_owned()),
            ("webhook-timestamp", seconds.clone()),
        ];
        if !secrets.is_empty() {
            let signatures = sign::standard(&secrets, sending.message_id, &seconds, body);
            headers.push(("webhook-signature", signatures));
        }
        if let Some(signature) = sign::hub(&secrets, body) {
            headers.push((HUB_HEADER, signature));
        }
        if sending.replayed {
            headers.push((REPLAYED_HEADER, "true".to_owned()));
        }
        headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    fn is_ours(&self, name: &str) -> bool {
        let is = |ours: &str| name.eq_ignore_ascii_case(ours);
        OURS.iter().any(|ours| is(ours)) || (matches!(self.secret, Some(Secret::Hub(_))) && is(HUB_HEADER))
    }
}

/// Each name once, the first of it; every name and value such that it ends no line.
fn checked(headers: Vec<(String, String)>) -> std::result::Result<Vec<(String, String)>, Unsendable> {
    let bad = |name: &str, what: &str| {
        let name: String = name.chars().take(64).collect();
        Unsendable { name: "bad-header", detail: format!("{what} [{name:?}]") }
    };
    let mut kept: Vec<(String, String)> = Vec::with_capacity(headers.len());
    for (name, value) in headers {
        if !is_header_name(&name) {
            return Err(bad(&name, "Invalid header name"));
        }
        // In the words of Node, which Particle's users know.
        let value = header_value(&value).ok_or_else(|| bad(&name, "Invalid character in header content"))?;
        if !kept.iter().any(|(seen, _)| seen.eq_ignore_ascii_case(&name)) {
            kept.push((name, value.to_owned()));
        }
    }
    Ok(kept)
}

/// A header's value without the space around it, if it can be one: what is in Latin-1 and no control character
/// (RFC 9110, 5.5).
pub(super) fn header_value(value: &str) -> Option<&str> {
    let value = value.trim_matches([' ', '\t']);
    let is_legal = |c: char| c == '\t' || (u32::from(c) <= 0xff && !c.is_control());
    value.chars().all(is_legal).then_some(value)
}
