//! Integrations: what is done with an event after it is in its log (DESIGN.md, "Integrations: the way out").
//!
//! A caller's JSON is read into a [`Definition`]; what is kept of it is [`Stored`], its [`Secrets`] apart and sealed.
//! [`Listed`] is what can be told without them: which events it is for. With them it becomes an [`Integration`], which
//! makes an [`Outgoing`] request of a [`Logged`] event and says what the answer means.
//!
//! Not here: whether the request may be sent ([`crate::target`]), when, and what becomes of it.

pub mod definition;
pub mod encoding;
pub mod filter;
pub mod hook;
pub mod logged;
pub mod names;
pub mod pause;
pub mod render;
pub mod request;
pub mod response;
pub mod secrets;
pub mod show;
pub mod sign;
pub mod stored;
pub mod subscription;

pub use definition::Definition;
pub use filter::Filter;
pub use logged::Logged;
pub use names::MASK;
pub use request::{Integration, Outgoing, Sending, Unsendable};
pub use secrets::Secrets;
pub use stored::{Face, Listed, Paused, Reason, Stored, Summary};
