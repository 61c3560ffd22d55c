//! `publish`: events through a webhook, and what Particle would publish about them, one line of JSON each.

use super::Stop;
use super::options::{HookOptions, duration, positive};
use super::terminal::{Interrupt, say, written};
use super::webhook::Sender;
use crate::answer::{Kind, Outcome, is_success, publications, shown, shown_event};
use crate::chance::Chance;
use crate::clock::{Clock, wall};
use crate::event::{Event, new_id};
use crate::http::client::Client;
use crate::render::{NoRequest, request};
use clap::Args;
use fieldhook_core::clock::Time;
use std::process::ExitCode;
use tokio::sync::watch;

/// What shells say of a command that Ctrl-C has ended: 128 and the signal's number.
const INTERRUPTED: u8 = 130;

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    hook: HookOptions,
    /// Name of the event
    #[arg(long)]
    event: String,
    /// Data of the event
    #[arg(long, default_value = "")]
    data: String,
    /// Id of the device
    #[arg(long, default_value = "3f002b000000000000000000")]
    device: String,
    /// Id of the event; a new one by default
    #[arg(long)]
    id: Option<String>,
    /// When it was published, RFC 3339; now by default
    #[arg(long, value_name = "TIME", value_parser = time)]
    published_at: Option<Time>,
    /// The device is in this product
    #[arg(long, value_name = "ID")]
    product: Option<String>,
    /// The device belongs to this user
    #[arg(long, value_name = "ID")]
    user: Option<String>,
    /// Version of the device's firmware
    #[arg(long, value_name = "VERSION")]
    firmware: Option<String>,
    /// Publish the parts of a response in another order
    #[arg(long)]
    shuffle: bool,
    /// Publish this many events, each with an id of its own unless --id is given
    #[arg(long, default_value_t = 1)]
    repeat: u32,
    /// The time between two of them
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = duration)]
    every: u64,
    /// Let pauses pass this many times faster
    #[arg(long, value_name = "FACTOR", default_value = "1", value_parser = positive)]
    time_scale: f64,
    /// Seed of ids and order; random by default
    #[arg(long)]
    seed: Option<u64>,
    /// Print the request, byte for byte, and send nothing
    #[arg(long)]
    dry_run: bool,
}

impl Arguments {
    /// Exit code 0 if every event was answered with success, 1 if one was not.
    pub async fn run(self) -> Result<ExitCode, Stop> {
        let hook = self.hook.webhook(&self.event)?;
        if let Err(why) = hook.matches(&self.event, &self.device) {
            say(&format!("nothing is sent: {why}"));
            return Ok(ExitCode::FAILURE);
        }
        let seed =
            self.seed.unwrap_or_else(|| wall().millis().unsigned_abs() ^ u64::from(std::process::id()));
        let mut chance = Chance::new(seed, 0);
        let first = self.event(&mut chance);
        if self.dry_run {
            let request = request(&hook, &first, &self.hook.overrides()).map_err(|why| why.to_string())?;
            return written(&String::from_utf8_lossy(&request.bytes())).map(|()| ExitCode::SUCCESS);
        }
        let (_keep, never) = watch::channel(false);
        let client = Client::new(self.hook.limit());
        let sender = Sender::new(&self.hook, hook, client, Clock::new(self.time_scale), true, never);
        let mut interrupt = Interrupt::listen()?;
        let events = std::iter::once(first).chain((1..self.repeat).map(|_| self.event(&mut chance)));
        tokio::select! {
            code = self.publish_all(&sender, events, Chance::new(seed, 1)) => code,
            // It ends where it stands, in a pause or in a request.
            () = interrupt.asked() => Ok(ExitCode::from(INTERRUPTED)),
        }
    }

    async fn publish_all(
        &self,
        sender: &Sender,
        events: impl Iterator<Item = Event>,
        mut dice: Chance,
    ) -> Result<ExitCode, Stop> {
        let mut code = ExitCode::SUCCESS;
        for (number, event) in events.enumerate() {
            if number > 0 {
                sender.clock.sleep(self.every).await;
            }
            if !self.publish(sender, event, &mut dice).await? {
                code = ExitCode::FAILURE;
            }
        }
        Ok(code)
    }

    async fn publish(&self, sender: &Sender, mut event: Event, dice: &mut Chance) -> Result<bool, Stop> {
        event.published_at = self.published_at.unwrap_or_else(wall);
        let mut tell = |host: &str, outcome: &Outcome| {
            let variables = &sender.overrides.variables;
            let mut publications = publications(&sender.hook, &event, host, variables, outcome);
            let first = publications.iter().position(|p| matches!(p.kind, Kind::Response(_)));
            if let (true, Some(parts)) = (self.shuffle, first.and_then(|at| publications.get_mut(at..))) {
                dice.shuffle(parts);
            }
            let lines: String = publications.iter().map(|p| shown(p, wall()) + "\n").collect();
            written(&lines)
        };
        let request = sender.request(&event);
        if let Err(why @ NoRequest::Remote(_)) = request {
            return Err(why.to_string());
        }
        written(&format!("{}\n", shown_event(&event)))?;
        let request = match request {
            Ok(request) => request,
            Err(why) => return tell("", &Outcome::NotMade(why)).map(|()| false),
        };
        let mut told = Ok(());
        let outcome = sender
            .deliver(&request, |outcome| {
                if told.is_ok() {
                    told = tell(&request.target.host, outcome);
                }
            })
            .await;
        told.map(|()| matches!(outcome, Outcome::Answered(response) if is_success(response.status)))
    }

    fn event(&self, chance: &mut Chance) -> Event {
        Event {
            id: self.id.clone().unwrap_or_else(|| new_id(chance)),
            name: self.event.clone(),
            data: self.data.clone(),
            device: self.device.clone(),
            published_at: self.published_at.unwrap_or_else(wall),
            product_id: self.product.clone(),
            user_id: self.user.clone(),
            firmware: self.firmware.clone(),
        }
    }
}

fn time(text: &str) -> Result<Time, String> {
    Time::parse(text).ok_or_else(|| "a time is written as in 2017-02-01T21:08:05.763Z".to_owned())
}
