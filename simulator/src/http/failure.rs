//! Why there was no answer, in the words that Particle publishes: those of Node.

use std::fmt;
use std::io;

/// No answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// There is no such host.
    NoHost(String),
    /// Nobody listens.
    Refused(String),
    /// The connection was not established in time.
    ConnectTimeout,
    /// The connection was established, and the answer did not come in time.
    AnswerTimeout,
    /// The server closed the connection before it had answered.
    Reset,
    /// TLS could not be agreed on, or the certificate is not valid.
    Tls(String),
    /// The answer is not HTTP, or too large.
    BadAnswer(String),
    Other(String),
}

impl Failure {
    /// A failure while connecting to `address`.
    pub fn connecting(error: &io::Error, address: &str) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Failure::Refused(address.to_owned()),
            io::ErrorKind::TimedOut => Failure::ConnectTimeout,
            io::ErrorKind::ConnectionReset => Failure::Reset,
            _ => Failure::Other(error.to_string()),
        }
    }

    /// A failure while a request was written or an answer read.
    pub fn exchanging(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof => Failure::Reset,
            io::ErrorKind::InvalidData => Failure::Tls(error.to_string()),
            _ => Failure::Other(error.to_string()),
        }
    }

    /// Whether the request had left when it failed: the server may have acted on it.
    pub fn was_sent(&self) -> bool {
        matches!(self, Failure::AnswerTimeout | Failure::Reset | Failure::BadAnswer(_))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::NoHost(host) => write!(f, "getaddrinfo ENOTFOUND {host}"),
            Failure::Refused(address) => write!(f, "connect ECONNREFUSED {address}"),
            Failure::ConnectTimeout => f.write_str("ETIMEDOUT"),
            Failure::AnswerTimeout => f.write_str("ESOCKETTIMEDOUT"),
            // "read ECONNRESET" (Particle docs, "Troubleshooting Webhook/Integration Issues").
            Failure::Reset => f.write_str("read ECONNRESET"),
            Failure::Tls(why) | Failure::BadAnswer(why) | Failure::Other(why) => f.write_str(why),
        }
    }
}
