//! The Particle cloud as a webhook sees it.
//!
//! An event's way through these modules: an [`event`] meets a webhook's [`definition`]; [`render`] makes the
//! request Particle would send; [`http`] sends it; [`answer`] says what Particle would publish; a virtual
//! [`device`] hears that. [`throttle`] decides what a host with too many errors is spared.
//!
//! Decisions are pure, with the clock and the dice passed in; only [`http`] and [`commands`] do I/O.
//! What is documented, and what had to be decided here, is in README.md.

pub mod answer;
pub mod chance;
pub mod clock;
pub mod commands;
pub mod definition;
pub mod device;
pub mod event;
pub mod http;
pub mod printable;
pub mod render;
pub mod table;
pub mod target;
pub mod throttle;
