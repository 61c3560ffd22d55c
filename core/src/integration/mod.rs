//! Integrations: what is done with an event after it is in its log (DESIGN.md, "Integrations: the way out").

pub mod encoding;
pub mod hook;
pub mod render;
