//! Sends a request and waits for the answer: one time limit for both, connections kept where that is wanted.

use super::failure::Failure;
use super::request::Request;
use super::response::{Reader, Response};
use super::tls;
use crate::clock::Millis;
use crate::target::Target;
use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;

/// "Servers must return a response within the timeout period of 20 seconds" (Particle docs, "Limits").
pub const LIMIT: Millis = 20_000;
/// How many idle connections to one server are kept.
const IDLE_MAX: usize = 256;
/// How much of an answer is taken at once.
const READ: usize = 16 * 1024;

/// A client for many requests.
pub struct Client {
    limit: Duration,
    keep: bool,
    checked: TlsConnector,
    unchecked: TlsConnector,
    idle: Mutex<HashMap<String, Vec<Stream>>>,
}

impl Client {
    /// With a connection of its own for every request, as the documentation shows them.
    pub fn new(limit: Duration) -> Self {
        Client {
            limit,
            keep: false,
            checked: tls::checked(),
            unchecked: tls::unchecked(),
            idle: Mutex::default(),
        }
    }

    /// With connections that are kept between requests, for fleets and load.
    pub fn keeping(limit: Duration) -> Self {
        Client { keep: true, ..Client::new(limit) }
    }

    /// # Errors
    /// Why there was no answer.
    pub async fn send(&self, request: &Request) -> Result<Response, Failure> {
        let deadline = Instant::now() + self.limit;
        let key = format!("{} {} {}", request.target.https, request.verify, request.target.authority());
        let mut stream = match self.idle_stream(&key) {
            Some(stream) => stream,
            None => timeout_at(deadline, self.connect(&request.target, request.verify))
                .await
                .map_err(|_| Failure::ConnectTimeout)??,
        };
        let response = timeout_at(deadline, exchange(&mut stream, &request.bytes()))
            .await
            .map_err(|_| Failure::AnswerTimeout)??;
        if self.keep && response.reusable {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            let streams = idle.entry(key).or_default();
            if streams.len() < IDLE_MAX {
                streams.push(stream);
            }
        }
        Ok(response)
    }

    /// A kept connection that the server has not closed meanwhile.
    fn idle_stream(&self, key: &str) -> Option<Stream> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let streams = idle.get_mut(key)?;
        std::iter::from_fn(|| streams.pop()).find(Stream::is_quiet)
    }

    async fn connect(&self, target: &Target, verify: bool) -> Result<Stream, Failure> {
        let address = (target.host.as_str(), target.port);
        let mut found = tokio::net::lookup_host(address)
            .await
            .map_err(|_| Failure::NoHost(target.host.clone()))?
            .peekable();
        if found.peek().is_none() {
            return Err(Failure::NoHost(target.host.clone()));
        }
        let mut failure = Failure::NoHost(target.host.clone());
        for address in found {
            match TcpStream::connect(address).await {
                Ok(tcp) => return self.secure(tcp, target, verify).await,
                Err(error) => failure = Failure::connecting(&error, &address.to_string()),
            }
        }
        Err(failure)
    }

    async fn secure(&self, tcp: TcpStream, target: &Target, verify: bool) -> Result<Stream, Failure> {
        // A request is written at once; waiting to fill a packet would only add latency.
        tcp.set_nodelay(true).map_err(|error| Failure::Other(error.to_string()))?;
        if !target.https {
            return Ok(Stream::Plain(tcp));
        }
        let name =
            ServerName::try_from(target.host.clone()).map_err(|error| Failure::Tls(error.to_string()))?;
        let connector = if verify { &self.checked } else { &self.unchecked };
        let tls = connector.connect(name, tcp).await.map_err(|error| Failure::Tls(error.to_string()))?;
        Ok(Stream::Tls(Box::new(tls)))
    }
}

async fn exchange(stream: &mut Stream, request: &[u8]) -> Result<Response, Failure> {
    let failed = |error: io::Error| Failure::exchanging(&error);
    stream.write_all(request).await.map_err(failed)?;
    stream.flush().await.map_err(failed)?;
    let mut reader = Reader::default();
    let mut bytes = Vec::with_capacity(READ);
    while stream.read_buf(&mut bytes).await.map_err(failed)? > 0 {
        if let Some(response) = reader.read(&bytes).map_err(Failure::BadAnswer)? {
            return Ok(response);
        }
        bytes.clear();
        // A server that never pauses must not keep timers and signals from being heard.
        tokio::task::yield_now().await;
    }
    reader.closed().ok_or(Failure::Reset)
}

/// A connection, plain or not.
enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    /// Whether nothing has arrived, not even the end: what comes before a request is no answer to it.
    fn is_quiet(&self) -> bool {
        let tcp = match self {
            Stream::Plain(tcp) => tcp,
            Stream::Tls(tls) => tls.get_ref().0,
        };
        matches!(tcp.try_read(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Stream::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Stream::Tls(tls) => Pin::new(tls).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Stream::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Stream::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}
