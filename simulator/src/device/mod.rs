//! A virtual device as a pure state machine: it measures, reports, obeys and acknowledges (DESIGN.md, "Device
//! twin and commands").
//!
//! It is the other end of the contract on purpose: what it drops, repeats and merges is written here from the
//! contract alone, so that a mistake of the server's is not made twice.

pub mod parts;
mod twin;

use crate::chance::Chance;
use crate::clock::Millis;
use crate::event::new_id;
use fieldhook_core::clock::Time;
use serde_json::{Map, Value, json};
use std::collections::VecDeque;
use twin::Twin;

/// What reports are published under, unless the source says otherwise.
pub const REPORT: &str = "fieldhook/report";
/// How many command ids a device remembers: more than can wait at a time (50).
const REMEMBERED: usize = 64;
/// The most acknowledgements in one report, so that it fits 622 bytes of data.
const ACKS_MAX: usize = 32;

/// How many fleets can be told apart by the ids of their devices.
pub const FLEET_MAX: u32 = 0xff_ffff;

/// How often what happens: shares between 0 and 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Habits {
    /// Of turns in which a device publishes several events at once.
    pub bursts: f64,
    /// Of events sent again later, with the same id.
    pub retransmits: f64,
    /// Of events sent twice at once.
    pub duplicates: f64,
    /// Of events no server can accept.
    pub malformed: f64,
    /// Of turns in which a device reports although nothing has changed.
    pub reports: f64,
    /// Of events held back, to be sent behind those of a later turn.
    pub late: f64,
}

/// One thing to publish.
#[derive(Debug, Clone, PartialEq)]
pub struct Publish {
    pub id: String,
    pub name: String,
    pub data: String,
    /// When the device said it; sent again, it is as old as it was.
    pub published_at: Time,
    /// It has been sent before.
    pub again: bool,
    /// It goes out twice at once.
    pub twice: bool,
    pub malformed: Option<Malformed>,
    report: Option<Report>,
}

/// A way to be no event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    NoName,
    BadDevice,
    /// The body breaks off in the middle.
    CutShort,
}

/// What a report said, to be forgotten once it has been heard.
#[derive(Debug, Clone, PartialEq)]
struct Report {
    patch: Map<String, Value>,
    version: u64,
    acks: Vec<u64>,
}

/// What a reply did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Heard {
    /// It was one of fieldhook's replies.
    pub understood: bool,
    /// It changed what the device holds.
    pub applied: bool,
    /// Its `v` was older than the device's own: nothing of its `d` counts.
    pub stale: bool,
    /// There is more to come.
    pub more: bool,
    /// Names of commands carried out.
    pub executed: Vec<String>,
    /// Commands that had been carried out before, and are only acknowledged again.
    pub known: usize,
}

/// The id of a device in a fleet: 24 hexadecimal digits, as Particle's have.
///
/// ```
/// assert_eq!(simulator::device::id(1, 19), "510000010000000000000013");
/// ```
pub fn id(fleet: u32, number: u64) -> String {
    format!("51{:06x}{number:016x}", fleet & FLEET_MAX)
}

#[derive(Debug)]
pub struct Device {
    pub id: String,
    chance: Chance,
    habits: Habits,
    event: String,
    celsius: f64,
    battery: f64,
    twin: Twin,
    /// Commands carried out, oldest first.
    seen: VecDeque<u64>,
    /// Commands to acknowledge, until a report with them was answered.
    acks: Vec<u64>,
    /// Something came or changed that the server is to hear of.
    news: bool,
    /// To be sent again in the next turn.
    again: Option<Publish>,
    /// Held back.
    late: Vec<Publish>,
}

impl Device {
    pub fn new(id: String, mut chance: Chance, event: String, habits: Habits) -> Self {
        let (celsius, battery) = (20.0 + 5.0 * chance.swing(), 60.0 + 40.0 * chance.unit());
        Device {
            id,
            chance,
            habits,
            event,
            celsius,
            battery,
            twin: Twin::default(),
            seen: VecDeque::new(),
            acks: Vec::new(),
            news: true,
            again: None,
            late: Vec::new(),
        }
    }

    /// What the device publishes in this turn.
    pub fn turn(&mut self, now: Time) -> Vec<Publish> {
        let held = std::mem::take(&mut self.late);
        let mut publishes: Vec<Publish> = self.again.take().into_iter().collect();
        // After a start it reports before it says anything else: only a report tells the server what it has lost.
        let bursts = self.twin.is_told() && self.chance.hits(self.habits.bursts);
        let fresh = if bursts { 3 + self.chance.below(6) } else { 1 };
        for number in 0..fresh {
            let reports = number == 0 && (self.news || self.chance.hits(self.habits.reports));
            let publish = if reports { self.report(now) } else { self.measure(now) };
            if self.again.is_none()
                && publish.malformed.is_none()
                && self.chance.hits(self.habits.retransmits)
            {
                self.again = Some(Publish { again: true, twice: false, ..publish.clone() });
            }
            if self.chance.hits(self.habits.late) {
                self.late.push(publish);
            } else {
                publishes.push(publish);
            }
        }
        publishes.extend(held);
        publishes
    }

    /// The time between two turns that the application wants: `interval` in the twin, in seconds.
    pub fn interval(&self) -> Option<Millis> {
        let seconds = self.twin.get("interval")?.as_u64()?;
        (1..=86_400).contains(&seconds).then_some(seconds * 1_000)
    }

    /// The server has accepted this: what it said need not be said again.
    pub fn answered(&mut self, publish: &Publish) {
        let Some(report) = &publish.report else { return };
        self.acks.retain(|id| !report.acks.contains(id));
        self.twin.confirmed(&report.patch, report.version);
        self.news = self.twin.has_news() || !self.acks.is_empty();
    }

    /// Reads a reply.
    pub fn hear(&mut self, text: &str) -> Heard {
        let Ok(Value::Object(reply)) = serde_json::from_str::<Value>(text) else { return Heard::default() };
        let has = |name| reply.contains_key(name);
        if !has("v") && !has("d") && !has("c") {
            return Heard::default();
        }
        let mut heard = Heard { understood: true, more: has("more"), ..Heard::default() };
        let version = reply.get("v").and_then(Value::as_u64);
        match self.twin.apply(reply.get("d"), version) {
            twin::Applied::Stale => heard.stale = true,
            twin::Applied::Changed => heard.applied = true,
            twin::Applied::Nothing => {}
        }
        for command in reply.get("c").and_then(Value::as_array).into_iter().flatten() {
            let Some(id) = command.get("id").and_then(Value::as_u64) else { continue };
            if self.seen.contains(&id) {
                heard.known += 1;
            } else {
                heard.executed.push(command.get("n").and_then(Value::as_str).unwrap_or_default().to_owned());
                self.seen.push_back(id);
                if self.seen.len() > REMEMBERED {
                    self.seen.pop_front();
                }
            }
            if !self.acks.contains(&id) {
                self.acks.push(id);
            }
        }
        // What was left out comes with the next reply, and a report is what asks for it.
        self.news |= self.twin.has_news() || !self.acks.is_empty() || heard.more;
        heard
    }

    /// Whether it has something to say that should not wait for its interval.
    pub fn has_news(&self) -> bool {
        self.news
    }

    /// What the device holds.
    pub fn holds(&self) -> &Map<String, Value> {
        self.twin.held()
    }

    fn measure(&mut self, now: Time) -> Publish {
        self.celsius = (self.celsius + 0.3 * self.chance.swing()).clamp(-40.0, 85.0);
        self.battery = if self.battery < 5.0 { 100.0 } else { self.battery - 0.05 * self.chance.unit() };
        let data = format!(r#"{{"celsius":{:.2},"battery":{:.1}}}"#, self.celsius, self.battery);
        self.publish(self.event.clone(), data, None, now)
    }

    fn report(&mut self, now: Time) -> Publish {
        let acks: Vec<u64> = self.acks.iter().copied().take(ACKS_MAX).collect();
        let (patch, version) = (self.twin.unreported().clone(), self.twin.version());
        let mut data = patch.clone();
        data.insert("_v".into(), json!(version));
        if !acks.is_empty() {
            data.insert("_ack".into(), json!(acks));
        }
        let data = Value::Object(data).to_string();
        self.publish(REPORT.to_owned(), data, Some(Report { patch, version, acks }), now)
    }

    fn publish(&mut self, name: String, data: String, report: Option<Report>, published_at: Time) -> Publish {
        let malformed = self.chance.hits(self.habits.malformed).then(|| match self.chance.below(3) {
            0 => Malformed::NoName,
            1 => Malformed::BadDevice,
            _ => Malformed::CutShort,
        });
        let twice = malformed.is_none() && self.chance.hits(self.habits.duplicates);
        Publish {
            id: new_id(&mut self.chance),
            name,
            data,
            published_at,
            again: false,
            twice,
            malformed,
            report,
        }
    }
}

#[cfg(test)]
mod tests;
