//! Every decision of fieldhook that needs no I/O.
//!
//! An event's way through these modules: a [`request`] crosses in; [`proof`] says what is proven about it;
//! [`ingest`] reads it into an [`event`]; a [`transform`] may rewrite it; a [`source`] renders its [`reply`];
//! the [`log`] says what its device's object is asked to commit. What is refused goes to [`quarantine`] with
//! a code from [`problem`].
//!
//! The other direction: an application writes a device's [`twin`] and its [`commands`]; whom they are told is decided
//! in [`home`], and what of them one reply carries in [`due`].
//!
//! The way out: an [`integration`] makes a request of a logged event, for a [`target`] that may be called.
//!
//! Nothing here does I/O or looks at a clock: the Worker (`src/`) performs what is decided here.

pub mod canonical;
pub mod clock;
pub mod commands;
pub mod definition;
pub mod delivery;
pub mod dialogue;
pub mod due;
pub mod event;
pub mod flat;
pub mod fleet;
pub mod history;
pub mod home;
pub mod ingest;
pub mod integration;
pub mod json;
pub mod log;
pub mod notice;
pub mod parts;
pub mod problem;
pub mod products;
pub mod proof;
pub mod quarantine;
pub mod rate;
pub mod registry;
pub mod reply;
pub mod request;
pub mod respond;
pub mod retention;
pub mod seal;
pub mod secret_names;
pub mod series;
pub mod settings;
pub mod source;
pub mod stream;
pub mod target;
pub mod template;
pub mod transform;
pub mod twin;
