//! HTTP/1.1 as a client, down to the bytes.
//!
//! Written out here because the request must be the documented one byte for byte: libraries write header names
//! in a case and an order of their own. What arrives is parsed by httparse, and TLS is rustls.

pub mod client;
pub mod failure;
pub mod request;
pub mod response;
mod tls;
