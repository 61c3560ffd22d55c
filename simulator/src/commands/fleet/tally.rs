//! What is counted while a fleet runs, and how it is shown.

use crate::answer::{Outcome, is_success};
use crate::device::Heard;
use crate::table::Table;
use std::collections::BTreeMap;

/// The Worker's answer to what it has put into quarantine, where Particle must not see an error (README.md,
/// "Quarantine").
const QUARANTINED: u16 = 202;

/// Counts over all devices.
#[derive(Debug, Default)]
pub struct Tally {
    pub events: u64,
    pub requests: u64,
    pub again: u64,
    pub twice: u64,
    pub malformed: u64,
    accepted: u64,
    replies: u64,
    repeated: u64,
    refused: u64,
    errors: BTreeMap<String, u64>,
    skipped: u64,
    dropped: u64,
    pub parts_lost: u64,
    pub incomplete: u64,
    pub unfinished: u64,
    applied: u64,
    stale: u64,
    executed: u64,
    known: u64,
}

/// What the log was found to hold.
#[derive(Debug, Default)]
pub struct Verified {
    pub kept: u64,
    pub lost: u64,
    pub kept_twice: u64,
}

/// What an answer means for the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is in its device's log, if the server keeps its word.
    Accepted,
    Refused,
    Failed,
}

/// 202 is success to Particle, and refusal to the event: what is accepted is answered 200 or 204.
pub fn verdict(outcome: &Outcome) -> Verdict {
    match outcome {
        Outcome::Answered(response) if response.status == QUARANTINED => Verdict::Refused,
        Outcome::Answered(response) if is_success(response.status) => Verdict::Accepted,
        Outcome::Answered(response) if (400..500).contains(&response.status) => Verdict::Refused,
        _ => Verdict::Failed,
    }
}

impl Tally {
    /// One attempt's outcome.
    pub fn outcome(&mut self, outcome: &Outcome) {
        if *outcome == Outcome::Skipped {
            self.skipped += 1;
            return;
        }
        self.requests += 1;
        match (verdict(outcome), outcome) {
            (Verdict::Accepted, Outcome::Answered(response)) => {
                self.accepted += 1;
                self.replies += u64::from(!response.body.is_empty());
                self.repeated += u64::from(response.header("fieldhook-duplicate") == Some("true"));
            }
            (Verdict::Refused, _) => self.refused += 1,
            (_, Outcome::Answered(response)) => self.error(format!("status {}", response.status)),
            (_, Outcome::Failed(failure)) => self.error(failure.to_string()),
            (_, Outcome::NotMade(why)) => self.error(why.to_string()),
            (_, Outcome::Skipped) => {}
        }
    }

    /// An event's last outcome: one that was skipped to the end is dropped.
    pub fn last(&mut self, outcome: &Outcome) {
        self.dropped += u64::from(*outcome == Outcome::Skipped);
    }

    pub fn heard(&mut self, heard: &Heard) {
        self.applied += u64::from(heard.applied);
        self.stale += u64::from(heard.stale);
        self.executed += heard.executed.len() as u64;
        self.known += heard.known as u64;
    }

    pub fn failures(&self) -> u64 {
        self.errors.values().sum()
    }

    fn error(&mut self, what: String) {
        *self.errors.entry(what).or_default() += 1;
    }

    /// The status line.
    pub fn line(&self) -> String {
        format!(
            "{} events, {} answered, {} replies, {} repeated, {} refused, {} errors, {} skipped",
            self.events,
            self.accepted,
            self.replies,
            self.repeated,
            self.refused,
            self.failures(),
            self.skipped
        )
    }

    pub fn table(&self, verified: Option<&Verified>) -> Table {
        let mut table = Table::default();
        table
            .row("events", self.events)
            .noted("  malformed", self.malformed, "on purpose")
            .noted("requests sent", self.requests, "without those skipped")
            .noted("  retransmits", self.again, "the same id again later")
            .noted("  duplicates", self.twice, "the same id twice at once")
            .noted("answered 2xx", self.accepted, "without 202, which is quarantine")
            .noted("  with a reply", self.replies, "")
            .noted("  repeated", self.repeated, "fieldhook-duplicate: true")
            .noted("refused", self.refused, "4xx, or 202")
            .row("errors", self.failures());
        for (what, count) in &self.errors {
            table.noted("  of these", count, what);
        }
        table
            .noted("skipped", self.skipped, "spared by throttling")
            .noted("  dropped", self.dropped, "after the last retry, or at the end")
            .noted("unfinished", self.unfinished, "still waiting at the end")
            .noted("reply parts lost", self.parts_lost, "on purpose")
            .noted("  replies incomplete", self.incomplete, "")
            .noted("deltas applied", self.applied, "")
            .noted("  stale", self.stale, "older than what the device holds")
            .noted("commands executed", self.executed, "")
            .noted("  seen before", self.known, "acknowledged again");
        if let Some(verified) = verified {
            table
                .noted("kept in the log", verified.kept, "of those answered 2xx")
                .noted("  lost", verified.lost, "answered 2xx, and not in the log")
                .noted("  kept twice", verified.kept_twice, "one id, several rows");
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::failure::Failure;
    use crate::http::response::Response;

    fn answered(status: u16) -> Outcome {
        Outcome::Answered(Response { status, headers: Vec::new(), body: Vec::new(), reusable: true })
    }

    #[test]
    fn an_answer_is_acceptance_refusal_or_failure() {
        for (status, expected) in [
            (200, Verdict::Accepted),
            (204, Verdict::Accepted),
            (202, Verdict::Refused),
            (400, Verdict::Refused),
            (302, Verdict::Failed),
            (503, Verdict::Failed),
        ] {
            assert_eq!(verdict(&answered(status)), expected, "{status}");
        }
    }

    #[test]
    fn every_request_is_in_one_row() {
        let mut tally = Tally::default();
        for outcome in [answered(204), answered(202), answered(401), answered(500), Outcome::Skipped] {
            tally.outcome(&outcome);
        }
        tally.outcome(&Outcome::Failed(Failure::AnswerTimeout));
        assert_eq!(tally.requests, tally.accepted + tally.refused + tally.failures());
        assert_eq!((tally.requests, tally.skipped), (5, 1));
        assert!(tally.table(None).text().contains("ESOCKETTIMEDOUT"));
    }
}
