//! Live streams: every event once, in its device's order, from a place that a reader can come back to
//! (DESIGN.md, "Streams").
//!
//! A shard renders events ([`render`]) into messages ([`wire`]) for those whose [`filter`] they pass. A reader
//! merges the messages of all shards ([`merge`]) and writes them as its client reads them ([`client`]), each with
//! the [`cursor`] behind it. [`request`] is what a client asks for.
//!
//! Not here: sockets, timers and buffers, which are in `src/stream.mjs` and `src/fleet/hub.mjs`.

pub mod admit;
pub mod client;
pub mod cursor;
pub mod filter;
pub mod merge;
pub mod render;
pub mod request;
pub mod wire;

#[cfg(test)]
mod tests;
