//! What became of one request, and what that means for its event (DESIGN.md, "Delivery").

use super::retry_after;
use crate::clock::Time;
use serde::{Deserialize, Serialize};

/// What the effect heard of one request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Heard {
    /// The service answered, and its body came to an end or to the limit that is read.
    Answer {
        status: u16,
        /// The `Retry-After` header as it came.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after: Option<String>,
    },
    Failed(Failure),
}

/// How a request came to no answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Failure {
    /// No head in time.
    Timeout,
    /// The head came, the body did not end in time.
    ReadTimeout,
    /// The connection broke off, or none was taken: the runtime tells both in the same words.
    Reset,
    Refused,
    Dns,
    Tls,
    /// No connection, for want of an address or of a common language: the runtime does not say which.
    Unreachable,
    /// Something that has no name here.
    Other,
    /// The request could not be made at all: why, as a short stable name such as `bad-url`.
    Unsendable(String),
}

impl Failure {
    /// The failure as Particle names it, after Node's error codes; where there is no code, in words.
    ///
    /// ```
    /// use fieldhook_core::delivery::outcome::Failure;
    /// assert_eq!(Failure::Timeout.name(), "ETIMEDOUT");
    /// assert_eq!(Failure::ReadTimeout.name(), "ESOCKETTIMEDOUT");
    /// assert_eq!(Failure::Unsendable("bad-url".into()).name(), "bad-url");
    /// ```
    pub fn name(&self) -> &str {
        match self {
            Failure::Timeout => "ETIMEDOUT",
            Failure::ReadTimeout => "ESOCKETTIMEDOUT",
            Failure::Reset => "ECONNRESET",
            Failure::Refused => "ECONNREFUSED",
            Failure::Dns => "ENOTFOUND",
            Failure::Tls => "CERT_UNTRUSTED",
            Failure::Unreachable => "could not connect (DNS or TLS)",
            Failure::Other => "the request failed",
            Failure::Unsendable(name) => name,
        }
    }

    /// Reads an exception's text, as workerd throws it before a head has come. Whatever comes with an exception from
    /// the body goes through [`Failure::in_body`] too. Nothing of the text is kept: some hold the whole URL.
    ///
    /// Measured on workerd 1.20261117: a refused and a reset connection read the same, and so do a name without an
    /// address and a certificate nobody vouches for.
    ///
    /// ```
    /// use fieldhook_core::delivery::outcome::Failure;
    /// assert_eq!(Failure::read("Network connection lost."), Failure::Reset);
    /// assert_eq!(Failure::read("The operation was aborted due to timeout"), Failure::Timeout);
    /// assert_eq!(Failure::read("Invalid header value."), Failure::Unsendable("bad-header".into()));
    /// ```
    pub fn read(message: &str) -> Self {
        let message = message.to_ascii_lowercase();
        if let Some((_, name)) = OWN_FAULTS.iter().find(|(part, _)| message.contains(part)) {
            return Failure::Unsendable((*name).to_owned());
        }
        let found = TEXTS.iter().find(|(part, _)| message.contains(part));
        found.map_or(Failure::Other, |(_, failure)| failure.clone())
    }

    /// The same failure where the head had come.
    #[must_use]
    pub fn in_body(self) -> Self {
        match self {
            Failure::Timeout => Failure::ReadTimeout,
            failure => failure,
        }
    }

    /// Whether the failure is of the host, not of what it was asked: no connection, no TLS, no answer in time.
    fn is_host_level(&self) -> bool {
        !matches!(self, Failure::Other | Failure::Unsendable(_))
    }
}

/// Parts of texts, in lower case, that say that no request was made, and the name it is given here. Looked for first:
/// these texts may quote a URL, and with it anything.
const OWN_FAULTS: [(&str, &str); 4] = [
    ("invalid url", "bad-url"),
    ("fetch api cannot load", "bad-url"),
    ("invalid header", "bad-header"),
    ("request with a get or head", "bad-request"),
];

/// Parts of texts, in lower case, that tell how a request failed. The first that is found counts.
const TEXTS: [(&str, Failure); 13] = [
    ("timeout", Failure::Timeout),
    ("timed out", Failure::Timeout),
    ("operation was aborted", Failure::Timeout),
    ("connection refused", Failure::Refused),
    ("network connection lost", Failure::Reset),
    ("connection reset", Failure::Reset),
    ("disconnected", Failure::Reset),
    ("dns", Failure::Dns),
    ("failed to lookup address", Failure::Dns),
    ("certificate", Failure::Tls),
    ("tls", Failure::Tls),
    ("ssl", Failure::Tls),
    ("internal error", Failure::Unreachable),
];

/// What an attempt means for its event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Delivered,
    /// To be tried again, while there are attempts left.
    Retry {
        /// What the service asked to wait, milliseconds from now.
        after: Option<i64>,
        /// Counts for the host's circuit.
        host_level: bool,
    },
    /// Given up at once: waiting does not mend it.
    Park,
    /// The service does not want this integration any more (RFC 9110, 15.5.11); the event keeps its place.
    Gone,
}

impl Verdict {
    /// What the host's circuit is told: `Some(false)` for a host that answers, whatever it says; `None` where nothing
    /// was learnt about it.
    ///
    /// ```
    /// use fieldhook_core::clock::Time;
    /// use fieldhook_core::delivery::outcome::{judge, Failure, Heard};
    /// let told = |heard| judge(&heard, Time::from_millis(0)).of_host(&heard);
    /// assert_eq!(told(Heard::Answer { status: 404, retry_after: None }), Some(false));
    /// assert_eq!(told(Heard::Answer { status: 503, retry_after: None }), Some(true));
    /// assert_eq!(told(Heard::Failed(Failure::Unsendable("bad-url".into()))), None);
    /// ```
    pub fn of_host(&self, heard: &Heard) -> Option<bool> {
        match (self, heard) {
            (Verdict::Retry { host_level: true, .. }, _) => Some(true),
            (_, Heard::Answer { .. }) => Some(false),
            (_, Heard::Failed(_)) => None,
        }
    }
}

/// Decides over an attempt that was heard at `now`.
///
/// A redirect is not followed, and parks as other permanent answers do: it says that the definition names the wrong
/// place, and it will say so again. What is no status of HTTP (RFC 9110, 15) is permanent for the same reason.
///
/// ```
/// use fieldhook_core::clock::Time;
/// use fieldhook_core::delivery::outcome::{judge, Heard, Verdict};
/// let answer = |status, after: Option<&str>| {
///     let retry_after = after.map(str::to_owned);
///     judge(&Heard::Answer { status, retry_after }, Time::from_millis(0))
/// };
/// assert_eq!(answer(204, None), Verdict::Delivered);
/// assert_eq!(answer(429, Some("7")), Verdict::Retry { after: Some(7_000), host_level: false });
/// assert_eq!(answer(500, Some("7")), Verdict::Retry { after: None, host_level: false });
/// assert_eq!(answer(301, None), Verdict::Park);
/// assert_eq!(answer(410, None), Verdict::Gone);
/// ```
pub fn judge(heard: &Heard, now: Time) -> Verdict {
    match heard {
        Heard::Failed(Failure::Unsendable(_)) => Verdict::Park,
        Heard::Failed(failure) => Verdict::Retry { after: None, host_level: failure.is_host_level() },
        Heard::Answer { status, retry_after } => match status {
            200..=299 => Verdict::Delivered,
            410 => Verdict::Gone,
            408 | 425 | 429 | 500..=599 => {
                let asked = retry_after.as_deref().filter(|_| matches!(status, 429 | 503));
                let after = asked.and_then(|text| retry_after::read(text, now));
                Verdict::Retry { after, host_level: is_host_down(*status) }
            }
            _ => Verdict::Park,
        },
    }
}

/// Whether a status says that the host is down: 503, and what Cloudflare's edge answers in place of a host that it
/// cannot connect to or shake hands with, has no answer of in time, or finds no address for (Cloudflare docs, "5xx
/// errors": 521 to 526, and 530). Not 520: the host was there, and what it said was unusable.
fn is_host_down(status: u16) -> bool {
    matches!(status, 503 | 521..=526 | 530)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_workerd_throws_is_told_by_its_text() {
        for (text, failure) in [
            ("Network connection lost.", Failure::Reset),
            ("The operation was aborted due to timeout", Failure::Timeout),
            ("The operation was aborted", Failure::Timeout),
            ("internal error; reference = 43tv5q64lbiv64difub14obr", Failure::Unreachable),
            ("connect(): Connection refused", Failure::Refused),
            ("DNS lookup failed.", Failure::Dns),
            ("TLS peer's certificate is not trusted; reason = self signed certificate", Failure::Tls),
            ("Invalid URL: https://timeout.example:99999/", Failure::Unsendable("bad-url".into())),
            ("Fetch API cannot load: ftp://dns/", Failure::Unsendable("bad-url".into())),
            ("Invalid header name.", Failure::Unsendable("bad-header".into())),
            (
                "Request with a GET or HEAD method cannot have a body.",
                Failure::Unsendable("bad-request".into()),
            ),
            ("something new", Failure::Other),
        ] {
            assert_eq!(Failure::read(text), failure, "{text}");
        }
        assert_eq!(Failure::read("The operation was aborted due to timeout").in_body(), Failure::ReadTimeout);
        assert_eq!(Failure::Reset.in_body(), Failure::Reset);
    }

    #[test]
    fn only_what_is_of_the_host_counts_for_its_circuit() {
        let now = Time::from_millis(0);
        let host_level = |heard: Heard| judge(&heard, now).of_host(&heard);
        for failure in
            [Failure::Timeout, Failure::ReadTimeout, Failure::Reset, Failure::Tls, Failure::Unreachable]
        {
            assert_eq!(host_level(Heard::Failed(failure)), Some(true));
        }
        assert_eq!(host_level(Heard::Failed(Failure::Other)), None);
        for (status, told) in
            [(503, true), (522, true), (530, true), (520, false), (500, false), (429, false), (200, false)]
        {
            assert_eq!(host_level(Heard::Answer { status, retry_after: None }), Some(told), "{status}");
        }
    }

    #[test]
    fn every_status_has_one_meaning() {
        let judged = |status| judge(&Heard::Answer { status, retry_after: None }, Time::from_millis(0));
        for status in 0..=999 {
            let verdict = judged(status);
            match status {
                200..=299 => assert_eq!(verdict, Verdict::Delivered),
                410 => assert_eq!(verdict, Verdict::Gone),
                408 | 425 | 429 | 500..=599 => assert!(matches!(verdict, Verdict::Retry { .. }), "{status}"),
                _ => assert_eq!(verdict, Verdict::Park, "{status}"),
            }
        }
    }

    #[test]
    fn it_crosses_an_object_call() {
        for heard in [
            Heard::Answer { status: 503, retry_after: Some("3".into()) },
            Heard::Failed(Failure::ReadTimeout),
            Heard::Failed(Failure::Unsendable("template".into())),
        ] {
            let text = serde_json::to_string(&heard).unwrap();
            assert_eq!(serde_json::from_str::<Heard>(&text).unwrap(), heard);
        }
    }

    proptest! {
        #[test]
        fn nothing_of_an_unknown_text_is_kept(text in ".*") {
            let failure = Failure::read(&text);
            if let Failure::Unsendable(name) = &failure {
                prop_assert!(["bad-url", "bad-header", "bad-request"].contains(&name.as_str()));
            }
        }
    }
}
