//! Work on many devices' lanes that a shard hands out a little at a time: replays, and waking what was paused
//! (DESIGN.md, "Delivery": "202 with a job run at a bounded rate").

use crate::clock::Time;
use serde::{Deserialize, Serialize};

/// How often a shard hands out work, milliseconds.
pub const TICK: i64 = 1_000;
/// Devices that are woken in one tick: each is one object call.
pub const WAKE_PER_TICK: u64 = 50;
/// How long a job that has ended can be asked for, milliseconds.
pub const KEPT_FOR: i64 = 7 * 86_400_000;
/// The most jobs that a shard works on at a time.
pub const JOBS_MAX: u64 = 100;
/// Devices that a job has put aside at a time. With more, something larger is wrong, and the job waits.
pub const ASIDE_MAX: usize = 100;
/// How often a device that was put aside is tried again before it is passed over.
pub const TRIES_MAX: u32 = 20;

/// One job, as a shard's share of it lies in a row.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Job {
    pub id: String,
    pub integration: String,
    pub task: Task,
    pub started_at: Time,
    /// The configuration that made it, at least: a device that does not know it yet asks for it.
    pub version: u64,
    /// Only this device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// Every device up to this one is done, in order of id.
    #[serde(default)]
    pub after_device: String,
    /// The device that it is in the midst of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<Place>,
    /// There is no device behind `after_device`.
    #[serde(default)]
    pub searched: bool,
    /// Devices that could not be asked, for the end: one that is out of order holds up no other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aside: Vec<Aside>,
    /// Devices given up after [`TRIES_MAX`].
    #[serde(default)]
    pub passed_over: u64,
    /// Events handed out so far.
    #[serde(default)]
    pub queued: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Time>,
}

/// A place in a device's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    pub device: String,
    /// What is behind this event is still to be handed out.
    pub after: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aside {
    pub place: Place,
    pub tries: u32,
}

/// Where a job goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    At(Place),
    /// At the beginning of the first device behind `after_device`, if there is one.
    Search,
    Nowhere,
}

impl Job {
    /// One that has not begun, for every device and whatever configuration they know.
    pub fn new(id: String, integration: String, task: Task, started_at: Time) -> Job {
        Job {
            id,
            integration,
            task,
            started_at,
            version: 0,
            device: None,
            after_device: String::new(),
            within: None,
            searched: false,
            aside: Vec::new(),
            passed_over: 0,
            queued: 0,
            ended_at: None,
        }
    }

    /// Where to go on: each device in turn, then those that were put aside.
    pub fn next(&self) -> Next {
        match (&self.within, self.searched, self.aside.first()) {
            (Some(place), ..) => Next::At(place.clone()),
            (None, false, _) => Next::Search,
            (None, true, Some(aside)) => Next::At(aside.place.clone()),
            (None, true, None) => Next::Nowhere,
        }
    }

    /// What search has found: a device, or that there is none.
    pub fn found(&mut self, device: Option<String>) {
        match device {
            Some(device) => self.within = Some(Place { device, after: 0 }),
            None => self.searched = true,
        }
    }

    /// The device at [`Job::next`] took `events`; there is more of it behind `more_behind`.
    pub fn handed_out(&mut self, events: u64, more_behind: Option<u64>) {
        self.queued += events;
        match (self.within.take(), more_behind) {
            (Some(place), Some(after)) => self.within = Some(Place { after, ..place }),
            (Some(place), None) => self.is_through(place.device),
            (None, Some(after)) => {
                if let Some(aside) = self.aside.first_mut() {
                    aside.place.after = after;
                    aside.tries = 0;
                }
            }
            (None, None) if self.aside.is_empty() => {}
            (None, None) => drop(self.aside.remove(0)),
        }
    }

    /// The device at [`Job::next`] could not be asked. Answers whether to go on in this tick.
    pub fn failed(&mut self) -> bool {
        if self.within.is_some() && self.aside.len() >= ASIDE_MAX {
            return false;
        }
        if let Some(place) = self.within.take() {
            self.is_through(place.device.clone());
            self.aside.push(Aside { place, tries: 1 });
            return true;
        }
        if !self.aside.is_empty() {
            let Aside { place, tries } = self.aside.remove(0);
            match tries < TRIES_MAX {
                true => self.aside.push(Aside { place, tries: tries + 1 }),
                false => self.passed_over += 1,
            }
        }
        false
    }

    /// A job for one device has no other to look for.
    fn is_through(&mut self, device: String) {
        self.searched |= self.device.is_some();
        self.after_device = device;
    }
}

/// What is to be done on each device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// Go on where a pause left off.
    Wake,
    /// Deliver again what was accepted from one time to another, both included.
    Range { from: Time, to: Time },
    /// Deliver again what was given up.
    Parked,
    /// Deliver this event of `device` again.
    Event { seq: u64 },
}

/// What a device is asked for a job.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ask {
    pub integration: String,
    pub job: String,
    pub version: u64,
    pub events: Events,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Events {
    /// None: only look what there is to do.
    None,
    /// These, as far as the log still has them.
    These(Vec<u64>),
    /// At most `limit` of those the integration is for, behind an event, from one time to another.
    Between { from: Time, to: Time, after: u64, limit: u64 },
}

/// What the device took.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    pub events: u64,
    /// The last of them; there may be more behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more_behind: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job() -> Job {
        Job::new("j".into(), "i".into(), Task::Parked, Time::from_millis(0))
    }

    /// Plays a job over devices, each with so many events to hand out and whether it can be asked; what was handed out.
    fn play(job: &mut Job, devices: &[&str], mut answers: impl FnMut(&Place) -> Option<Taken>) -> u64 {
        for _ in 0..100_000 {
            match job.next() {
                Next::Nowhere => return job.queued,
                Next::Search => {
                    let next = devices.iter().find(|device| **device > job.after_device.as_str());
                    job.found(next.map(|device| (*device).to_owned()));
                }
                Next::At(place) => match answers(&place) {
                    Some(taken) => job.handed_out(taken.events, taken.more_behind),
                    None => drop(job.failed()),
                },
            }
        }
        panic!("the job does not end");
    }

    #[test]
    fn each_device_in_turn_to_its_end() {
        let mut asked = Vec::new();
        let queued = play(&mut job(), &["a", "b"], |place| {
            asked.push((place.device.clone(), place.after));
            Some(Taken { events: 2, more_behind: (place.after < 4).then_some(place.after + 2) })
        });
        assert_eq!(queued, 12);
        let afters =
            |device: &str| asked.iter().filter(|it| it.0 == device).map(|it| it.1).collect::<Vec<_>>();
        assert_eq!((afters("a"), afters("b")), (vec![0, 2, 4], vec![0, 2, 4]));
    }

    #[test]
    fn one_that_cannot_be_asked_comes_after_the_others() {
        let (mut order, mut failures) = (Vec::new(), 3);
        let mut job = job();
        play(&mut job, &["a", "b", "c"], |place| {
            if place.device == "a" && failures > 0 {
                failures -= 1;
                return None;
            }
            order.push(place.device.clone());
            Some(Taken { events: 1, more_behind: None })
        });
        assert_eq!(order, ["b", "c", "a"]);
        assert_eq!((job.queued, job.passed_over), (3, 0));
    }

    #[test]
    fn one_that_fails_in_the_midst_goes_on_there() {
        let mut failed = false;
        let mut afters = Vec::new();
        play(&mut job(), &["a"], |place| {
            afters.push(place.after);
            if place.after == 5 && !failed {
                failed = true;
                return None;
            }
            Some(Taken { events: 1, more_behind: (place.after == 0).then_some(5) })
        });
        assert_eq!(afters, [0, 5, 5]);
    }

    #[test]
    fn one_that_never_can_be_asked_is_passed_over_and_counted() {
        let (mut job, mut tries) = (job(), 0);
        play(&mut job, &["a", "b"], |place| {
            tries += u32::from(place.device == "a");
            (place.device == "b").then_some(Taken { events: 1, more_behind: None })
        });
        assert_eq!((job.queued, job.passed_over, tries), (1, 1, TRIES_MAX + 1));
    }

    #[test]
    fn with_too_many_aside_it_waits_where_it_is() {
        let mut job = job();
        for device in 0..ASIDE_MAX {
            job.found(Some(format!("{device:03}")));
            assert!(job.failed());
        }
        job.found(Some("999".into()));
        assert!(!job.failed());
        assert_eq!(job.next(), Next::At(Place { device: "999".into(), after: 0 }));
    }

    #[test]
    fn a_job_for_one_device_ends_with_it() {
        let mut job = Job { device: Some("b".into()), ..job() };
        job.found(Some("b".into()));
        job.handed_out(1, None);
        assert_eq!(job.next(), Next::Nowhere);
    }
}
