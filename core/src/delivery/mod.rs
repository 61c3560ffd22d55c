//! The way out, as decisions: what an answer means, when to try again, whether to ask a failing host at all, what is
//! kept of an attempt and what is counted (DESIGN.md, "Integrations").
//!
//! Not here: requests, which `integration` makes, and the calls themselves.

pub mod ahead;
pub mod circuit;
pub mod job;
pub mod lane;
pub mod listing;
pub mod made;
pub mod mask;
pub mod outcome;
pub mod record;
pub mod replay;
pub mod report;
pub mod retry_after;
pub mod schedule;
pub mod tally;
