//! The error catalogue: every stable `code` a caller can meet, with its status and title, in one place.
//!
//! Not here: what the log is told. A [`Problem`] is what the *caller* is told, so it never holds a secret,
//! a stored row or another caller's text.

use crate::json;
use serde::Serialize;

/// A stable error code (DESIGN.md, "Shapes").
///
/// ```
/// use fieldhook_core::problem::Code;
/// assert_eq!(Code::BadToken.as_str(), "bad-token");
/// assert_eq!(Code::BadToken.status(), 401);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    BadToken,
    BadSignature,
    StaleSignature,
    MissingProof,
    ForbiddenNetwork,
    NotConfigured,
    BadBody,
    BadJson,
    MissingField,
    BadField,
    EmptyBatch,
    BatchRefused,
    BatchTooLarge,
    BodyTooLarge,
    UnsupportedMediaType,
    MethodNotAllowed,
    NotFound,
    UnknownDevice,
    UnknownSource,
    UnknownTransform,
    UnknownEntry,
    UnknownCommand,
    UnknownIntegration,
    NothingToReplay,
    BadSourceName,
    BadDefinition,
    BadTemplate,
    BadUrl,
    HandshakeFailed,
    NotSigned,
    BadQuery,
    BadCursor,
    Forbidden,
    SessionEnded,
    HeaderMissing,
    ForbiddenOrigin,
    LimitReached,
    BadPatch,
    TwinTooLarge,
    TwinTooDeep,
    VersionConflict,
    QueueFull,
    CommandTooLarge,
    RateLimited,
    TooManyStreams,
    UpgradeRequired,
    HopLimit,
    CommitFailed,
    Unavailable,
    Internal,
}

impl Code {
    /// Every code, for documentation and tests.
    pub const ALL: &'static [Code] = &[
        Code::BadToken,
        Code::BadSignature,
        Code::StaleSignature,
        Code::MissingProof,
        Code::ForbiddenNetwork,
        Code::NotConfigured,
        Code::BadBody,
        Code::BadJson,
        Code::MissingField,
        Code::BadField,
        Code::EmptyBatch,
        Code::BatchRefused,
        Code::BatchTooLarge,
        Code::BodyTooLarge,
        Code::UnsupportedMediaType,
        Code::MethodNotAllowed,
        Code::NotFound,
        Code::UnknownDevice,
        Code::UnknownSource,
        Code::UnknownTransform,
        Code::UnknownEntry,
        Code::UnknownCommand,
        Code::UnknownIntegration,
        Code::NothingToReplay,
        Code::BadSourceName,
        Code::BadDefinition,
        Code::BadTemplate,
        Code::BadUrl,
        Code::HandshakeFailed,
        Code::NotSigned,
        Code::BadQuery,
        Code::BadCursor,
        Code::Forbidden,
        Code::SessionEnded,
        Code::HeaderMissing,
        Code::ForbiddenOrigin,
        Code::LimitReached,
        Code::BadPatch,
        Code::TwinTooLarge,
        Code::TwinTooDeep,
        Code::VersionConflict,
        Code::QueueFull,
        Code::CommandTooLarge,
        Code::RateLimited,
        Code::TooManyStreams,
        Code::UpgradeRequired,
        Code::HopLimit,
        Code::CommitFailed,
        Code::Unavailable,
        Code::Internal,
    ];

    /// The code as it stands in an answer.
    pub fn as_str(self) -> &'static str {
        self.row().0
    }

    /// The HTTP status that goes with the code.
    pub fn status(self) -> u16 {
        self.row().1
    }

    /// Reads what [`Code::as_str`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        Code::ALL.iter().copied().find(|code| code.as_str() == text)
    }

    /// One short sentence that does not change from call to call.
    pub fn title(self) -> &'static str {
        self.row().2
    }

    fn row(self) -> (&'static str, u16, &'static str) {
        match self {
            Code::BadToken => ("bad-token", 401, "The token is not one of those configured"),
            Code::BadSignature => ("bad-signature", 401, "The signature does not match"),
            Code::StaleSignature => ("stale-signature", 401, "The signature is valid but could be a replay"),
            Code::MissingProof => ("missing-proof", 401, "A proof of origin is required"),
            Code::ForbiddenNetwork => {
                ("forbidden-network", 403, "Requests from this network are not accepted")
            }
            Code::NotConfigured => ("not-configured", 503, "The deployment is not configured"),
            Code::BadBody => ("bad-body", 400, "The body cannot be read"),
            Code::BadJson => ("bad-json", 400, "The body is not valid JSON"),
            Code::MissingField => ("missing-field", 400, "A required field is missing"),
            Code::BadField => ("bad-field", 400, "A field has a value that cannot be accepted"),
            Code::EmptyBatch => ("empty-batch", 400, "The batch holds no event"),
            Code::BatchRefused => ("batch-refused", 400, "No event of the batch was accepted"),
            Code::BatchTooLarge => ("batch-too-large", 413, "The batch holds too many events or devices"),
            Code::BodyTooLarge => ("body-too-large", 413, "The body is too large"),
            Code::UnsupportedMediaType => {
                ("unsupported-media-type", 415, "The body's type or encoding is not supported")
            }
            Code::MethodNotAllowed => ("method-not-allowed", 405, "The method is not allowed here"),
            Code::NotFound => ("not-found", 404, "There is nothing at this path"),
            Code::UnknownDevice => ("unknown-device", 404, "No event of this device has been accepted"),
            Code::UnknownSource => ("unknown-source", 404, "There is no source of this name"),
            Code::UnknownTransform => ("unknown-transform", 404, "There is no transform of this name"),
            Code::UnknownEntry => ("unknown-entry", 404, "There is no quarantine entry of this id"),
            Code::UnknownCommand => ("unknown-command", 404, "There is no command of this id"),
            Code::UnknownIntegration => ("unknown-integration", 404, "There is no integration of this id"),
            Code::NothingToReplay => ("nothing-to-replay", 404, "There is nothing of this to replay"),
            Code::BadSourceName => ("bad-source-name", 400, "The source's name cannot be accepted"),
            Code::BadDefinition => ("bad-definition", 400, "The definition cannot be accepted"),
            Code::BadTemplate => ("bad-template", 400, "The template cannot be parsed"),
            Code::BadUrl => ("bad-url", 400, "The URL cannot be called"),
            Code::HandshakeFailed => ("handshake-failed", 400, "The target did not confirm the subscription"),
            Code::NotSigned => ("not-signed", 409, "The integration has no secret to sign with"),
            Code::BadQuery => ("bad-query", 400, "A query parameter cannot be accepted"),
            Code::BadCursor => ("bad-cursor", 400, "The cursor is not one that was given out here"),
            Code::Forbidden => ("forbidden", 403, "The token does not open this"),
            Code::SessionEnded => ("session-ended", 401, "There is no such session, or it has ended"),
            Code::HeaderMissing => ("header-missing", 403, "A header is missing that a page has to send"),
            Code::ForbiddenOrigin => {
                ("forbidden-origin", 403, "A page of another origin cannot use a session")
            }
            Code::LimitReached => ("limit-reached", 409, "There are as many of these as there can be"),
            Code::BadPatch => ("bad-patch", 400, "The desired section cannot be written like this"),
            Code::TwinTooLarge => ("twin-too-large", 413, "A section of the twin would be too large"),
            Code::TwinTooDeep => ("twin-too-deep", 400, "A section of the twin would be nested too deep"),
            Code::VersionConflict => ("version-conflict", 409, "The desired section has another version"),
            Code::QueueFull => ("queue-full", 409, "As many commands are waiting as can wait"),
            Code::CommandTooLarge => ("command-too-large", 413, "The command fits no reply"),
            Code::RateLimited => ("rate-limited", 429, "More has come than may come in this time"),
            Code::TooManyStreams => {
                ("too-many-streams", 429, "As many streams are open, or were opened, as one address may have")
            }
            Code::UpgradeRequired => ("upgrade-required", 426, "This path is a WebSocket"),
            Code::HopLimit => ("hop-limit", 508, "The event has passed through too many deliveries"),
            Code::CommitFailed => {
                ("commit-failed", 503, "The event could not be stored; sending it again is safe")
            }
            Code::Unavailable => ("unavailable", 503, "A part of the service did not answer; try again"),
            Code::Internal => ("internal", 500, "Something went wrong here"),
        }
    }
}

/// What a caller is told when a request cannot be served: problem JSON (RFC 9457) with a stable code.
///
/// ```
/// use fieldhook_core::problem::{Code, Problem};
/// let problem = Problem::field(Code::MissingField, "event", "no event name in body, query or headers");
/// assert_eq!(problem.status(), 400);
/// assert!(problem.to_json().contains(r#""field":"event""#));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub code: Code,
    pub detail: String,
    /// The field, property, header or parameter at fault, where there is one.
    pub field: Option<String>,
    /// The methods that are allowed, for the `Allow` header of a 405.
    pub allow: Option<&'static str>,
    /// Seconds after which the same request may succeed, where that is not the code's own.
    pub wait: Option<u32>,
}

/// The answer of every call that a caller can get wrong.
pub type Result<T> = std::result::Result<T, Problem>;

impl Problem {
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Problem { code, detail: detail.into(), field: None, allow: None, wait: None }
    }

    pub fn field(code: Code, field: impl Into<String>, detail: impl Into<String>) -> Self {
        Problem { field: Some(field.into()), ..Problem::new(code, detail) }
    }

    /// 405 with the methods that are allowed (RFC 9110, 15.5.6).
    pub fn method_not_allowed(methods: &'static str) -> Self {
        let detail = format!("allowed here: {methods}");
        Problem { allow: Some(methods), ..Problem::new(Code::MethodNotAllowed, detail) }
    }

    /// A problem that goes away by itself in so many seconds.
    pub fn passing(code: Code, wait: u32, detail: impl Into<String>) -> Self {
        Problem { wait: Some(wait), ..Problem::new(code, detail) }
    }

    pub fn status(&self) -> u16 {
        self.code.status()
    }

    /// Seconds after which the same request may succeed: only where sending again is the remedy
    /// (DESIGN.md, "Answers").
    pub fn retry_after(&self) -> Option<u32> {
        match self.code {
            Code::CommitFailed | Code::Unavailable => self.wait.or(Some(RETRY_AFTER_SECONDS)),
            _ => self.wait,
        }
    }

    /// The body of the answer, `application/problem+json`.
    pub fn to_json(&self) -> String {
        self.write(false)
    }

    /// The same with the members that Particle's clients read, for answers under Particle's paths (PARTICLE.md,
    /// "Streams and REST"). `info` is what the CLI shows in preference to the bare `error`.
    ///
    /// ```
    /// use fieldhook_core::problem::{Code, Problem};
    /// let json = Problem::new(Code::BadToken, "no").to_particle_json();
    /// assert!(json.ends_with(r#""error":"bad-token","error_description":"no"}"#));
    /// ```
    pub fn to_particle_json(&self) -> String {
        self.write(true)
    }

    fn write(&self, for_particle: bool) -> String {
        #[derive(Serialize)]
        struct Body<'a> {
            r#type: String,
            title: &'a str,
            status: u16,
            code: &'a str,
            detail: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            field: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            info: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            error: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            error_description: Option<&'a str>,
        }
        let body = Body {
            r#type: format!("urn:fieldhook:problem:{}", self.code.as_str()),
            title: self.code.title(),
            status: self.status(),
            code: self.code.as_str(),
            detail: &self.detail,
            field: self.field.as_deref(),
            info: for_particle.then_some(&self.detail),
            error: for_particle.then_some(self.code.as_str()),
            error_description: for_particle.then_some(&self.detail),
        };
        serde_json::to_string(&body).unwrap_or_default()
    }
}

/// An outcome as it crosses an object call: exceptions there lose everything but their text.
///
/// ```
/// use fieldhook_core::problem::{Code, Problem, Result, from_wire, to_wire};
/// let refused: Result<String> = Err(Problem::passing(Code::TooManyStreams, 30, "d"));
/// assert_eq!(from_wire(&to_wire(&refused)), refused);
/// assert_eq!(from_wire(&to_wire(&Ok("text".into()))), Ok("text".into()));
/// ```
pub fn to_wire(outcome: &Result<String>) -> String {
    match outcome {
        Ok(text) => format!("+{text}"),
        Err(problem) => {
            let field = problem.field.as_deref();
            let wire = (problem.code.as_str(), problem.detail.as_str(), field, problem.wait);
            format!("-{}", serde_json::to_string(&wire).unwrap_or_default())
        }
    }
}

/// Reads what [`to_wire`] wrote.
pub fn from_wire(wire: &str) -> Result<String> {
    if let Some(text) = wire.strip_prefix('+') {
        return Ok(text.to_owned());
    }
    let unreadable = || Problem::new(Code::Internal, "an object's answer cannot be read");
    let text = wire.strip_prefix('-').ok_or_else(unreadable)?;
    let (code, detail, field, wait): (String, String, Option<String>, Option<u32>) =
        json::read(text).map_err(|_| unreadable())?;
    let code = Code::parse(&code).ok_or_else(unreadable)?;
    Err(Problem { field, wait, ..Problem::new(code, detail) })
}

/// `Retry-After` of a 503, in seconds.
pub const RETRY_AFTER_SECONDS: u32 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_kebab_case() {
        let mut seen = std::collections::BTreeSet::new();
        for code in Code::ALL {
            assert!(seen.insert(code.as_str()), "{} twice", code.as_str());
            assert!(code.as_str().bytes().all(|b| b.is_ascii_lowercase() || b == b'-'));
            assert!((400..600).contains(&code.status()));
        }
    }
}
