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
/// Devices that a job has put aside at a time. With more, something larger is wrong, and the job waits for these.
pub const ASIDE_MAX: usize = 100;
/// How often a device that was put aside is tried again before it is passed over: for a day.
pub const TRIES_MAX: u32 = 300;
/// The longest time between two tries, milliseconds; it begins with [`TICK`], and doubles.
pub const TRY_AGAIN_MAX: i64 = 300_000;

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
    pub again_at: Time,
}

impl Aside {
    fn after(place: Place, tries: u32, now: Time) -> Aside {
        let wait = TICK.saturating_mul(1 << tries.min(20)).min(TRY_AGAIN_MAX);
        Aside { place, tries, again_at: now.plus_millis(wait) }
    }

    /// A time further off than it was ever set to was set by a clock that was wrong.
    fn is_due(&self, now: Time) -> bool {
        self.again_at <= now || self.again_at > now.plus_millis(TRY_AGAIN_MAX)
    }
}

/// Where a job goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    At(Place),
    /// At the beginning of the first device behind `after_device`, if there is one.
    Search,
    /// Only devices that were put aside are left, until then.
    Wait(Time),
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

    /// Where to go on: each device in turn, then those that were put aside, or before it if they are too many.
    pub fn next(&self, now: Time) -> Next {
        let is_full = self.aside.len() >= ASIDE_MAX;
        match (&self.within, self.searched, self.aside.first()) {
            (_, _, Some(aside)) if is_full && aside.is_due(now) => Next::At(aside.place.clone()),
            (_, _, Some(aside)) if is_full => Next::Wait(aside.again_at),
            (Some(place), ..) => Next::At(place.clone()),
            (None, false, _) => Next::Search,
            (None, true, Some(aside)) if aside.is_due(now) => Next::At(aside.place.clone()),
            (None, true, Some(aside)) => Next::Wait(aside.again_at),
            (None, true, None) => Next::Nowhere,
        }
    }

    /// When there is something to do, of a job that is under way.
    pub fn due_at(&self, now: Time) -> Time {
        match self.next(now) {
            Next::Wait(until) => until,
            Next::At(_) | Next::Search | Next::Nowhere => now.plus_millis(TICK),
        }
    }

    /// Whether [`Job::next`] is a device that was put aside.
    fn is_at_aside(&self) -> bool {
        self.within.is_none() || self.aside.len() >= ASIDE_MAX
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
        if !self.is_at_aside() {
            match (self.within.take(), more_behind) {
                (Some(place), Some(after)) => self.within = Some(Place { after, ..place }),
                (Some(place), None) => self.is_through(place.device),
                (None, _) => {}
            }
            return;
        }
        match (more_behind, self.aside.first_mut()) {
            (Some(after), Some(aside)) => {
                aside.place.after = after;
                aside.tries = 0;
            }
            (None, Some(_)) => drop(self.aside.remove(0)),
            (_, None) => {}
        }
    }

    /// The device at [`Job::next`] could not be asked: it is put aside for a while, at last for good.
    pub fn failed(&mut self, now: Time) {
        if self.is_at_aside() {
            if self.aside.is_empty() {
                return;
            }
            let Aside { place, tries, .. } = self.aside.remove(0);
            match tries < TRIES_MAX {
                true => self.put_aside(Aside::after(place, tries + 1, now)),
                false => self.passed_over += 1,
            }
        } else if let Some(place) = self.within.take() {
            self.is_through(place.device.clone());
            self.put_aside(Aside::after(place, 0, now));
        }
    }

    /// The one that is due first stands first.
    fn put_aside(&mut self, aside: Aside) {
        let at = self.aside.partition_point(|other| other.again_at <= aside.again_at);
        self.aside.insert(at, aside);
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
        let mut now = Time::from_millis(0);
        for _ in 0..100_000 {
            match job.next(now) {
                Next::Nowhere => return job.queued,
                Next::Wait(until) => now = until,
                Next::Search => {
                    let next = devices.iter().find(|device| **device > job.after_device.as_str());
                    job.found(next.map(|device| (*device).to_owned()));
                }
                Next::At(place) => match answers(&place) {
                    Some(taken) => job.handed_out(taken.events, taken.more_behind),
                    None => job.failed(now),
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
    fn one_that_cannot_be_asked_for_a_day_is_passed_over_and_counted() {
        let (mut job, mut tries) = (job(), 0);
        play(&mut job, &["a", "b"], |place| {
            tries += u32::from(place.device == "a");
            (place.device == "b").then_some(Taken { events: 1, more_behind: None })
        });
        assert_eq!((job.queued, job.passed_over, tries), (1, 1, TRIES_MAX + 2));
        assert!(i64::from(TRIES_MAX) * TRY_AGAIN_MAX > 86_400_000);
    }

    #[test]
    fn with_too_many_aside_these_come_first() {
        let (mut job, now) = (job(), Time::from_millis(0));
        for device in 0..ASIDE_MAX {
            job.found(Some(format!("{device:03}")));
            job.failed(now);
        }
        job.found(Some("999".into()));
        let Next::Wait(until) = job.next(now) else { panic!("{:?}", job.next(now)) };
        assert_eq!(job.next(until), Next::At(Place { device: "000".into(), after: 0 }));
        job.handed_out(1, None);
        assert_eq!(job.next(until), Next::At(Place { device: "999".into(), after: 0 }));
    }

    #[test]
    fn one_that_all_devices_fail_ends_when_they_are_well_again() {
        let devices: Vec<String> = (0..3 * ASIDE_MAX).map(|device| format!("{device:03}")).collect();
        let devices: Vec<&str> = devices.iter().map(String::as_str).collect();
        let mut failures = 1_000;
        let queued = play(&mut job(), &devices, |_| {
            failures -= i32::from(failures > 0);
            (failures == 0).then_some(Taken { events: 1, more_behind: None })
        });
        assert_eq!(queued, 3 * ASIDE_MAX as u64);
    }

    #[test]
    fn a_clock_that_was_set_back_keeps_nobody_waiting() {
        let (mut job, now) = (job(), Time::from_millis(86_400_000));
        job.found(Some("a".into()));
        job.failed(now);
        job.found(None);
        assert_eq!(job.next(now), Next::Wait(now.plus_millis(TICK)));
        assert!(matches!(job.next(Time::from_millis(0)), Next::At(_)));
    }

    #[test]
    fn a_job_for_one_device_ends_with_it() {
        let mut job = Job { device: Some("b".into()), ..job() };
        job.found(Some("b".into()));
        job.handed_out(1, None);
        assert_eq!(job.next(Time::from_millis(0)), Next::Nowhere);
    }
}
