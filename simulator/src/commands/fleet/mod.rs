//! `fleet`: virtual devices that publish, report, obey and acknowledge, and a table of what became of it.

mod life;
mod tally;
mod verify;

use super::Stop;
use super::options::{HookOptions, duration, positive, share};
use super::terminal::{Interrupt, say, written};
use super::webhook::Sender;
use crate::chance::Chance;
use crate::clock::{Clock, Millis, wall};
use crate::device::{self, Device, Habits, REPORT};
use crate::event::Event;
use crate::http::client::Client;
use crate::target::Target;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use life::{World, live};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tally::Tally;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How often the status is said where there is no terminal to show it.
const LOGGED: Duration = Duration::from_secs(10);

#[derive(Debug, Args)]
#[command(args_override_self = true)]
pub struct Arguments {
    #[command(flatten)]
    hook: HookOptions,
    /// How many devices
    #[arg(long, short = 'n', default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    devices: u64,
    /// Name of the events with measurements
    #[arg(long, default_value = "temperature")]
    event: String,
    /// Mean time between two turns of a device; `interval` in its twin, in seconds, wins
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration)]
    every: Millis,
    /// End after this time; until Ctrl-C by default
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    time: Option<Millis>,
    /// End after this many turns of each device
    #[arg(long)]
    turns: Option<u64>,
    /// Share of turns with several events at once
    #[arg(long, value_name = "SHARE", default_value = "0.05", value_parser = share)]
    bursts: f64,
    /// Share of events sent again later, with the same id
    #[arg(long, value_name = "SHARE", default_value = "0.03", value_parser = share)]
    retransmits: f64,
    /// Share of events sent twice at once
    #[arg(long, value_name = "SHARE", default_value = "0.02", value_parser = share)]
    duplicates: f64,
    /// Share of events that no server can accept
    #[arg(long, value_name = "SHARE", default_value = "0.01", value_parser = share)]
    malformed: f64,
    /// Share of turns with a report although nothing has changed
    #[arg(long, value_name = "SHARE", default_value = "0.1", value_parser = share)]
    reports: f64,
    /// Share of reply parts that do not arrive
    #[arg(long, value_name = "SHARE", default_value = "0", value_parser = share)]
    lose: f64,
    /// Share of events held back, and sent behind those of the next turn
    #[arg(long, value_name = "SHARE", default_value = "0", value_parser = share)]
    late: f64,
    /// The devices are in this product
    #[arg(long, value_name = "ID")]
    product: Option<String>,
    /// Decides event ids, measurements and every mishap; random by default
    #[arg(long)]
    seed: Option<u64>,
    /// Which fleet this is: the number in its device ids. The same devices come again with it, as after a power
    /// cut; by default they are new ones
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(..=i64::from(device::FLEET_MAX)))]
    fleet: Option<u32>,
    /// Let pauses pass this many times faster
    #[arg(long, value_name = "FACTOR", default_value = "1", value_parser = positive)]
    time_scale: f64,
    /// Keep sending to a host with too many errors, which Particle would not
    #[arg(long)]
    no_throttle: bool,
    /// At the end, read every device's history, and count what was acknowledged and is not there
    #[arg(long, requires = "read_token")]
    verify: bool,
    /// At the end, write the ids of the events that were answered 2xx, by device, as JSON
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// A token for reading
    #[arg(long, env = "FIELDHOOK_READ_TOKEN", hide_env_values = true)]
    read_token: Option<String>,
}

impl Arguments {
    /// Exit code 0 unless events were lost or kept twice.
    pub async fn run(self) -> Result<ExitCode, Stop> {
        let seed = self.seed.unwrap_or_else(|| wall().millis().unsigned_abs());
        // A webhook is for one prefix; a fleet stands behind one for each, all of them alike.
        let hook = self.hook.webhook(REPORT)?;
        if hook.disabled {
            return Err("the webhook is disabled".into());
        }
        let client = Client::keeping(self.hook.limit());
        let (stop, stopped) = watch::channel(false);
        let clock = Clock::new(self.time_scale);
        let sender = Sender::new(&self.hook, hook, client, clock, !self.no_throttle, stopped.clone());
        let base = sender.request(&probe()).map_err(|why| why.to_string())?.target;
        let world = Arc::new(World {
            sender,
            tally: Mutex::default(),
            acknowledged: Mutex::default(),
            every: self.every,
            turns: self.turns,
            lose: self.lose,
            seed,
            grace: self.hook.limit() + Duration::from_secs(1),
            product: self.product.clone(),
        });
        let mut interrupt = Interrupt::listen()?;
        let fleet =
            self.fleet.unwrap_or_else(|| u32::try_from(seed & u64::from(device::FLEET_MAX)).unwrap_or(0));
        let (first, last) = (device::id(fleet, 0), device::id(fleet, self.devices - 1));
        say(&format!("{} devices, {first} to {last}, seed {seed}; Ctrl-C ends", self.devices));
        let mut lives = JoinSet::new();
        for number in 0..self.devices {
            let (id, chance) = (device::id(fleet, number), Chance::new(seed, number));
            let device = Device::new(id, chance, self.event.clone(), self.habits());
            lives.spawn(live(Arc::clone(&world), device, number, stopped.clone()));
        }
        self.watch(&world, &mut lives, &stop, &mut interrupt).await;
        self.finish(&world, &base, &mut interrupt).await
    }

    /// Shows how it goes until all devices are through, or the time is up, or the user has seen enough.
    async fn watch(
        &self,
        world: &World,
        lives: &mut JoinSet<()>,
        stop: &watch::Sender<bool>,
        interrupt: &mut Interrupt,
    ) {
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed} {msg}") {
            bar.set_style(style);
        }
        let time = self.time.map_or(Duration::MAX, |time| world.sender.clock.real(time));
        let mut end = std::pin::pin!(sleep(time));
        let mut tick = tokio::time::interval(Duration::from_millis(200));
        // Where there is no terminal the line cannot stay in its place: then it comes now and then.
        let mut log = tokio::time::interval(LOGGED);
        log.reset();
        let mut ending = false;
        loop {
            tokio::select! {
                done = lives.join_next() => if done.is_none() { break },
                _ = tick.tick() => {
                    world.count(|tally| bar.set_message(tally.line()));
                    bar.tick();
                }
                _ = log.tick(), if bar.is_hidden() => say(&world.count(|tally| tally.line())),
                () = &mut end, if !ending => {
                    ending = true;
                    stop.send_replace(true);
                }
                () = interrupt.asked() => {
                    if ending {
                        // Asked twice: what is under way is not waited for.
                        break;
                    }
                    ending = true;
                    stop.send_replace(true);
                }
            }
        }
        bar.finish_and_clear();
    }

    async fn finish(
        &self,
        world: &World,
        base: &Target,
        interrupt: &mut Interrupt,
    ) -> Result<ExitCode, Stop> {
        let acknowledged = world.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(path) = &self.record {
            let record = serde_json::to_string(&acknowledged).map_err(|error| error.to_string())?;
            std::fs::write(path, record).map_err(|error| format!("{}: {error}", path.display()))?;
        }
        let verified = match &self.read_token {
            Some(token) if self.verify => {
                tokio::select! {
                    verified = verify::verify(&world.sender.client, base, token, &acknowledged) => Some(verified),
                    () = interrupt.asked() => Some(Err("the log was not read to its end".into())),
                }
            }
            _ => None,
        };
        // The table is shown also where the log could not be read.
        let (verified, failed) = match verified.transpose() {
            Ok(verified) => (verified, None),
            Err(why) => (None, Some(why)),
        };
        let sound = verified.as_ref().is_none_or(|verified| verified.lost == 0 && verified.kept_twice == 0);
        written(&world.count(|tally: &mut Tally| tally.table(verified.as_ref()).text()))?;
        match failed {
            Some(why) => Err(why),
            None if sound => Ok(ExitCode::SUCCESS),
            None => Ok(ExitCode::FAILURE),
        }
    }

    fn habits(&self) -> Habits {
        Habits {
            bursts: self.bursts,
            retransmits: self.retransmits,
            duplicates: self.duplicates,
            malformed: self.malformed,
            reports: self.reports,
            late: self.late,
        }
    }
}

/// A time that is too far away to come is not waited for.
async fn sleep(time: Duration) {
    if time == Duration::MAX { std::future::pending().await } else { tokio::time::sleep(time).await }
}

/// An event to see where a definition's requests go.
fn probe() -> Event {
    Event {
        id: String::new(),
        name: REPORT.to_owned(),
        data: String::new(),
        device: "3f002b000000000000000000".to_owned(),
        published_at: wall(),
        product_id: None,
        user_id: None,
        firmware: None,
    }
}
