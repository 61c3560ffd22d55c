//! One device's life: turn after turn it publishes; what comes back, it hears.

use super::super::webhook::Sender;
use super::tally::{Tally, Verdict, verdict};
use crate::answer::{Outcome, parts};
use crate::chance::Chance;
use crate::clock::{Millis, wall};
use crate::device::parts::{Part, join};
use crate::device::{Device, Malformed, Publish};
use crate::event::Event;
use crate::http::request::Request;
use crate::render::NoRequest;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout_at};

/// How many events of one device may be under way: what is throttled waits for a minute.
const UNDER_WAY_MAX: usize = 64;
/// A device with news does not wait for its interval; the contract sends no command twice within 10 s.
const SOON: Millis = 1_000;

/// What all lives share.
pub struct World {
    pub sender: Sender,
    pub tally: Mutex<Tally>,
    /// The ids answered 2xx, by device.
    pub acknowledged: Mutex<HashMap<String, HashSet<String>>>,
    pub every: Millis,
    /// How many turns each device has, if they are bounded.
    pub turns: Option<u64>,
    /// The share of reply parts that do not arrive.
    pub lose: f64,
    pub seed: u64,
    /// How long what is under way is waited for at the end.
    pub grace: Duration,
    pub product: Option<String>,
}

impl World {
    pub fn count<T>(&self, note: impl FnOnce(&mut Tally) -> T) -> T {
        note(&mut self.tally.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Lives until its turns are over, or `stop` says so.
pub async fn live(world: Arc<World>, mut device: Device, number: u64, mut stop: watch::Receiver<bool>) {
    // Dice of its own for the radio, so that what is lost does not change what the device does.
    let mut radio = Chance::new(world.seed, number | 1 << 63);
    let mut under_way = JoinSet::new();
    let mut next = Instant::now() + world.sender.clock.real(radio.below(world.every.max(1)));
    let mut turns = 0;
    while world.turns.is_none_or(|most| turns < most) {
        tokio::select! {
            () = sleep_until(next) => {}
            Some(done) = under_way.join_next() => {
                let news = device.has_news();
                if let Ok((publish, outcome)) = done {
                    hear(&world, &mut device, &mut radio, &publish, &outcome);
                }
                if device.has_news() && !news {
                    next = next.min(Instant::now() + world.sender.clock.real(SOON));
                }
                continue;
            }
            _ = stop.wait_for(|stop| *stop) => break,
        }
        turns += 1;
        let pause = device.interval().unwrap_or(world.every);
        next = Instant::now() + world.sender.clock.real(pause / 2 + radio.below(pause.max(1)));
        if under_way.len() < UNDER_WAY_MAX {
            for publish in device.turn(wall()) {
                publish_all(&world, &device.id, publish, &mut under_way);
            }
        }
    }
    // No request takes longer than its limit, and once the end has come no retry is waited for.
    let end = Instant::now() + world.grace;
    while let Ok(Some(done)) = timeout_at(end, under_way.join_next()).await {
        if let Ok((publish, outcome)) = done {
            hear(&world, &mut device, &mut radio, &publish, &outcome);
        }
    }
    world.count(|tally| tally.unfinished += under_way.len() as u64);
}

/// Sends a publish on its way, twice if it is a duplicate.
fn publish_all(
    world: &Arc<World>,
    device: &str,
    publish: Publish,
    under_way: &mut JoinSet<(Publish, Outcome)>,
) {
    world.count(|tally| {
        tally.events += u64::from(!publish.again);
        tally.again += u64::from(publish.again);
        tally.twice += u64::from(publish.twice);
        tally.malformed += u64::from(publish.malformed.is_some());
    });
    let request = rendered(world, device, &publish);
    for _ in 0..if publish.twice { 2 } else { 1 } {
        let (world, publish, request) = (Arc::clone(world), publish.clone(), request.clone());
        under_way.spawn(async move {
            let outcome = match request {
                Ok(request) => {
                    let tell = |outcome: &Outcome| world.count(|tally| tally.outcome(outcome));
                    world.sender.deliver(&request, tell).await
                }
                Err(why) => {
                    let outcome = Outcome::NotMade(why);
                    world.count(|tally| tally.outcome(&outcome));
                    outcome
                }
            };
            (publish, outcome)
        });
    }
}

fn rendered(world: &World, device: &str, publish: &Publish) -> Result<Request, NoRequest> {
    let mut event = Event {
        id: publish.id.clone(),
        name: publish.name.clone(),
        data: publish.data.clone(),
        device: device.to_owned(),
        published_at: publish.published_at,
        product_id: world.product.clone(),
        user_id: None,
        firmware: world.product.is_some().then(|| "1".to_owned()),
    };
    match publish.malformed {
        Some(Malformed::NoName) => event.name.clear(),
        Some(Malformed::BadDevice) => event.device = format!("../{device}"),
        Some(Malformed::CutShort) | None => {}
    }
    let request = world.sender.request(&event)?;
    match (publish.malformed, &request.body) {
        (Some(Malformed::CutShort), Some(body)) => {
            let half = body.iter().copied().take(body.len() / 2).collect();
            Ok(request.with_body(half))
        }
        _ => Ok(request),
    }
}

/// What an outcome means to the device: a reply reaches it in parts, in any order, or not at all.
fn hear(world: &World, device: &mut Device, radio: &mut Chance, publish: &Publish, outcome: &Outcome) {
    world.count(|tally| tally.last(outcome));
    if verdict(outcome) != Verdict::Accepted {
        return;
    }
    let Outcome::Answered(response) = outcome else { return };
    if publish.malformed.is_none() {
        let mut acknowledged = world.acknowledged.lock().unwrap_or_else(PoisonError::into_inner);
        acknowledged.entry(device.id.clone()).or_default().insert(publish.id.clone());
    }
    device.answered(publish);
    let mut arrived: Vec<Part> = parts(&response.body).map(<[u8]>::to_vec).enumerate().collect();
    let sent = arrived.len();
    radio.shuffle(&mut arrived);
    arrived.retain(|_| !radio.hits(world.lose));
    let lost = (sent - arrived.len()) as u64;
    let heard = join(&arrived).map(|text| device.hear(&text));
    world.count(|tally| {
        tally.parts_lost += lost;
        match &heard {
            Some(heard) => tally.heard(heard),
            None => tally.incomplete += u64::from(sent > 0),
        }
    });
}
