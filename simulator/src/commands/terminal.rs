//! What goes between a command and the one who runs it: the wish to end, results, and words by the way.

use super::Stop;
use crate::printable::printable;
use std::io::{Write, stderr, stdout};

/// Listens for the wish to end from when it is made: one that comes between two questions is not missed.
pub struct Interrupt {
    #[cfg(unix)]
    signals: [tokio::signal::unix::Signal; 3],
}

impl Interrupt {
    /// Ctrl-C, and how whatever started the command or closed its terminal asks the same.
    #[cfg(unix)]
    pub fn listen() -> Result<Self, Stop> {
        use tokio::signal::unix::{SignalKind, signal};
        let listen = |kind| signal(kind).map_err(|error| error.to_string());
        let signals = [
            listen(SignalKind::interrupt())?,
            listen(SignalKind::terminate())?,
            listen(SignalKind::hangup())?,
        ];
        Ok(Interrupt { signals })
    }

    #[cfg(not(unix))]
    pub fn listen() -> Result<Self, Stop> {
        Ok(Interrupt {})
    }

    /// Comes back once for each time it is asked.
    #[cfg(unix)]
    pub async fn asked(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.signals;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }

    #[cfg(not(unix))]
    pub async fn asked(&mut self) {
        // Where nobody can listen, nobody asks.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Writes a result; a reader that has gone is told as an error, where `print!` would panic.
pub fn written(text: &str) -> Result<(), Stop> {
    let mut out = stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| format!("the output: {error}"))
}

/// Says something beside the result. Nothing is lost if nobody hears it.
pub fn say(line: &str) {
    let _ = writeln!(stderr().lock(), "{}", printable(line));
}
