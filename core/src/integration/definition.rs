//! Reading a definition: Particle's JSON as it is, or a subscription; every property checked, nothing dropped that
//! somebody may want to see again.

use super::filter::Filter;
use super::hook::{Hook, Method, flag};
use super::render::is_header_name;
use super::request::{Outgoing, header_value};
use super::secrets::{Secrets, mask, unmask};
use super::stored::Face;
use super::{sign, subscription};
use crate::definition::{Properties, bad};
use crate::json::{self, Members};
use crate::problem::{Code, Problem, Result};
use crate::proof::signature::Secret;
use crate::reply::{Framing, RENDERED_BUDGET_MAX};
use crate::target::{BadUrl, Rules, Target};
use crate::template::{Context, Fields, Template};
use serde_json::Value;
use serde_json::value::RawValue;
use std::fmt;

/// The longest definition, bytes.
pub const DEFINITION_MAX: usize = 128 * 1024;

/// What answers add to a definition, Particle's and ours. When one comes back it says nothing: the path says which
/// integration is meant, and a history belongs to the place it was made in. A token that old clients put into the body
/// is the caller's, not the definition's.
const SHOWN_ONLY: [&str; 13] = [
    "id",
    "ok",
    "created_at",
    "updated_at",
    "hookUrl",
    "insecure",
    "paused",
    "counts",
    "counters",
    "logs",
    "revision",
    "product",
    "access_token",
];

/// Old and other spellings, as Particle's documentation and clients have them, and what they mean.
const SPELLINGS: [(&str, &str); 3] =
    [("eventName", "event"), ("deviceid", "deviceID"), ("deviceId", "deviceID")];

/// A definition that can work: read, checked, its secrets apart from it.
#[derive(Clone)]
pub struct Definition {
    pub face: Face,
    pub name: Option<String>,
    pub filter: Filter,
    /// Paused by its own word: `disabled`, or the `status` of a subscription.
    pub disabled: bool,
    pub respond: bool,
    /// The subscriber is to be asked whether it wants this.
    pub handshake: bool,
    /// The URL as far as it is the same for every event, with a secret that may be in it.
    url: String,
    masked: Box<RawValue>,
    secrets: Secrets,
}

/// What is asked of every definition, with its secrets in it.
pub(super) struct Parts {
    pub filter: Filter,
    pub hook: Hook,
    pub name: Option<String>,
    pub disabled: bool,
    pub respond: bool,
    pub handshake: bool,
    pub reply_budget: Option<usize>,
    pub reply_framing: Option<Framing>,
    pub secret: Option<Secret>,
    /// `https://host:port`, as it is written.
    pub origin: String,
}

impl Definition {
    /// Reads what a caller sent. `kept`: the secrets that stand behind masked values.
    ///
    /// ```
    /// use fieldhook_core::integration::{Definition, Face};
    /// let body = br#"{"eventName":"temp","url":"https://api.dev/","headers":{"X-Api-Key":"k"},"unchunked":true}"#;
    /// let definition = Definition::read(body, Face::Integration, None).unwrap();
    /// let (shown, secrets) = definition.masked();
    /// assert_eq!(
    ///     shown.get(),
    ///     r#"{"event":"temp","url":"https://api.dev/","headers":{"X-Api-Key":"********"},"unchunked":true}"#
    /// );
    /// // What was shown can be sent back.
    /// let again = Definition::read(shown.get().as_bytes(), Face::Integration, Some(&secrets)).unwrap();
    /// assert_eq!(again.masked().1, secrets);
    /// let elsewhere = Definition::read(shown.get().as_bytes(), Face::Integration, None).err().unwrap();
    /// assert_eq!(elsewhere.field.as_deref(), Some("headers"));
    /// ```
    ///
    /// # Errors
    /// `bad-json`, `bad-definition`, `bad-template` or `bad-url`, naming the property; a mask that masks nothing kept is
    /// `bad-definition`.
    pub fn read(body: &[u8], face: Face, kept: Option<&Secrets>) -> Result<Self> {
        let members = normalised(members(body)?, face)?;
        let whole = unmask(&written(&members)?, kept)?;
        let parts = Parts::read(&whole, face, None)?;
        let (masked, mut secrets) = mask(&whole)?;
        if let Some(kept) = kept {
            secrets.carry_rotation(kept);
        }
        let url = fixed_url(&parts);
        let Parts { filter, name, disabled, respond, handshake, .. } = parts;
        Ok(Definition { face, name, filter, disabled, respond, handshake, url, masked, secrets })
    }

    /// What is stored and shown, and the secrets taken out of it.
    pub fn masked(&self) -> (Box<RawValue>, Secrets) {
        (self.masked.clone(), self.secrets.clone())
    }

    /// The secret that signs, where there is one.
    pub fn secret(&self) -> Option<String> {
        self.secrets.signing()
    }

    /// The request that asks a subscriber whether it wants this, if its definition says so: the answer has the secret
    /// again ([`subscription::is_shaken`]).
    ///
    /// # Errors
    /// `bad-url`; `bad-definition` at `secret`, if there is none to be sent.
    pub fn handshake(&self, rules: &Rules<'_>) -> Result<Option<Outgoing>> {
        if !self.handshake {
            return Ok(None);
        }
        let secret = self.secret().ok_or_else(|| bad("secret", "is missing: a handshake sends it"))?;
        Ok(Some(subscription::handshake(self.target(rules)?, secret)))
    }

    /// The same definition, signing with a secret that was made for it.
    ///
    /// # Errors
    /// `bad-definition` at `secret`.
    pub fn signed_with(&self, secret: &str) -> Result<Self> {
        let whole = unmask(&self.masked, Some(&self.secrets))?;
        let mut members = members(whole.get().as_bytes())?;
        subscription::with_secret(&mut members, secret);
        Definition::read(written(&members)?.get().as_bytes(), self.face, None)
    }

    /// Whether its URL may be called, as far as that can be told before an event has filled it in.
    ///
    /// # Errors
    /// `bad-url` at `url` or `target_url`.
    pub fn target(&self, rules: &Rules<'_>) -> Result<Target> {
        Target::check(&self.url, rules).map_err(|why| bad_url(self.face, &why))
    }
}

/// What is secret does not show, by accident either.
impl fmt::Debug for Definition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Definition({})", self.masked.get())
    }
}

impl Parts {
    pub fn read(whole: &RawValue, face: Face, product: Option<String>) -> Result<Self> {
        let url = face.url_property();
        let mut properties = Properties::parse(whole.get().as_bytes())?;
        let address = Properties::parse(whole.get().as_bytes())?.text(url)?;
        let filter = Filter::read(&mut properties, face, product)?;
        // A subscription's default body is its own, never Particle's fields.
        let hook = Hook::read(&mut properties, url, face == Face::Integration)?;
        let disabled = match face {
            Face::Integration => flag(&mut properties, "disabled")?.unwrap_or(false),
            Face::Subscription => subscription::is_paused(&mut properties)?,
        };
        let secret = properties.text("secret")?.map(|text| sign::secret(&text)).transpose()?;
        let handshake = flag(&mut properties, "handshake")?.unwrap_or(false);
        if handshake && !hook.url.is_literal() {
            return Err(bad("handshake", "needs a URL without a template: there is no event to fill it in"));
        }
        check_headers(&hook)?;
        flag(&mut properties, "rejectUnauthorized")?;
        Ok(Parts {
            filter,
            origin: origin(address.as_deref().unwrap_or_default().trim(), face)?,
            hook,
            name: properties.text("name")?,
            disabled,
            respond: is_respond(&mut properties)?,
            handshake,
            reply_budget: budget(&mut properties)?,
            reply_framing: framing(&mut properties)?,
            secret,
        })
    }
}

/// Whether the answer of the service is the reply to the device.
pub(super) fn is_respond(properties: &mut Properties) -> Result<bool> {
    Ok(flag(properties, "respond")?.unwrap_or(false))
}

fn budget(properties: &mut Properties) -> Result<Option<usize>> {
    let budget = properties.number("replyBudget", 1, RENDERED_BUDGET_MAX as u64)?;
    Ok(budget.and_then(|budget| usize::try_from(budget).ok()))
}

fn framing(properties: &mut Properties) -> Result<Option<Framing>> {
    match properties.text("replyFraming")?.as_deref() {
        None => Ok(None),
        Some("plain") => Ok(Some(Framing::Plain)),
        Some("framed") => Ok(Some(Framing::Framed)),
        Some(_) => Err(bad("replyFraming", "must be plain or framed")),
    }
}

type Member = (String, Box<RawValue>);

/// The members of what was sent. Particle shows a single webhook inside `{"webhook": …}`: one that was copied from there
/// works too.
fn members(body: &[u8]) -> Result<Vec<Member>> {
    let raw: &RawValue = serde_json::from_slice(body)
        .map_err(|error| Problem::new(Code::BadJson, format!("not valid JSON: {error}")))?;
    let refuse = |why: &str| Err(Problem::new(Code::BadDefinition, why));
    if raw.get().len() > DEFINITION_MAX {
        return refuse(&format!("a definition has at most {DEFINITION_MAX} bytes"));
    }
    if json::depth(raw.get()) > json::DEPTH_MAX {
        return refuse("a definition is nested at most 64 deep");
    }
    let Ok(Members(members)) = json::read(raw.get()) else {
        return refuse("a definition is a JSON object");
    };
    if let [(name, inner)] = members.as_slice()
        && matches!(name.as_str(), "webhook" | "integration")
        && let Ok(Members(inner)) = json::read(inner.get())
    {
        return Ok(inner);
    }
    Ok(members)
}

/// One spelling for each property, and nothing that only an answer says. `null` counts as absent.
fn normalised(members: Vec<Member>, face: Face) -> Result<Vec<Member>> {
    let mut kept: Vec<Member> = Vec::with_capacity(members.len());
    let names: Vec<String> = members.iter().map(|(name, _)| name.clone()).collect();
    for (name, value) in members {
        let is_status = name == "status" && face == Face::Integration;
        if value.get() == "null" || is_status || SHOWN_ONLY.contains(&name.as_str()) {
            continue;
        }
        let meant = SPELLINGS.iter().find(|(old, _)| *old == name).map(|(_, meant)| *meant);
        match (meant, face) {
            // The current spelling wins over an old one.
            (Some(meant), _) if names.iter().any(|name| name == meant) => {}
            (Some(meant), _) if kept.iter().any(|(name, _)| name == meant) => {}
            (Some(meant), _) => kept.push((meant.to_owned(), value)),
            (None, Face::Subscription) if name == "url" && !names.iter().any(|name| name == "target_url") => {
                kept.push(("target_url".to_owned(), value));
            }
            (None, _) if name == "requestType" => kept.push((name, upper(value))),
            (None, _) => kept.push((name, value)),
        }
    }
    Ok(kept)
}

fn upper(value: Box<RawValue>) -> Box<RawValue> {
    let method = json::read::<String>(value.get()).ok().and_then(|text| Method::parse(&text));
    let text = method.map(|method| Value::from(method.as_str()).to_string());
    text.and_then(|text| RawValue::from_string(text).ok()).unwrap_or(value)
}

fn written(members: &[Member]) -> Result<Box<RawValue>> {
    let member = |(name, value): &Member| format!("{}:{}", Value::from(name.as_str()), value.get());
    let text = format!("{{{}}}", members.iter().map(member).collect::<Vec<_>>().join(","));
    RawValue::from_string(text).map_err(|_| Problem::new(Code::BadDefinition, "cannot be read"))
}

/// Scheme and authority of a URL, which no event may change: they stand in the definition, without a tag before the
/// path.
fn origin(url: &str, face: Face) -> Result<String> {
    let refuse = |why: &str| {
        let property = face.url_property();
        Err(Problem::field(Code::BadUrl, property, format!("{property}: {why}")))
    };
    let Some((scheme, rest)) = url.split_once("://") else { return refuse("it begins with https://") };
    if !["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
        return refuse("it begins with https://, written out");
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, _) = rest.split_at_checked(end).unwrap_or((rest, ""));
    if authority.contains("{{") {
        return refuse("the host is written out: a template may stand behind it, in path and query");
    }
    let origin = format!("{scheme}://{authority}");
    match Target::check(&format!("{origin}/"), &ANY) {
        Ok(_) => Ok(origin),
        Err(why) => Err(bad_url(face, &why)),
    }
}

/// What no deployment forbids.
pub(super) const ANY: Rules<'static> = Rules { require_https: false, allow_private: true, own_hosts: &[] };

fn bad_url(face: Face, why: &BadUrl) -> Problem {
    let property = face.url_property();
    Problem::field(Code::BadUrl, property, format!("{property}: {why}"))
}

fn fixed_url(parts: &Parts) -> String {
    match literal(&parts.hook.url) {
        Some(url) => url,
        None => format!("{}/", parts.origin),
    }
}

/// A header that is the same for every event, and can never be sent.
fn check_headers(hook: &Hook) -> Result<()> {
    for (name, value) in &hook.headers {
        let name = literal(name);
        if let Some(name) = name.filter(|name| !is_header_name(name)) {
            return Err(bad("headers", &format!("has a name that is no header's: {name:?}")));
        }
        if literal(value).is_some_and(|value| header_value(&value).is_none()) {
            return Err(bad("headers", "has a value with a character that cannot stand in a header"));
        }
    }
    Ok(())
}

/// The text of a template that has no tag.
fn literal(template: &Template) -> Option<String> {
    let fields = Fields::default();
    let text = || template.render(&Context::of(&fields), super::render::LIMIT).ok();
    template.is_literal().then(text).flatten()
}
