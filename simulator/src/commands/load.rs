//! `load`: events at a fixed rate or as fast as possible, and how long their answers took.
//!
//! At a fixed rate the time counts from when a request was due, not from when there was room to send it: a
//! server that stalls must not hide the requests that had to wait for it (Gil Tene, "coordinated omission").

use super::Stop;
use super::options::{HookOptions, duration, positive};
use super::terminal::{Interrupt, written};
use super::webhook::Sender;
use crate::answer::{Outcome, is_success};
use crate::chance::Chance;
use crate::clock::{Clock, Millis, wall};
use crate::event::{Event, new_id};
use crate::http::client::Client;
use crate::printable::printable;
use crate::table::Table;
use clap::Args;
use hdrhistogram::Histogram;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

const PERCENTILES: [(&str, f64); 6] =
    [("p50", 50.0), ("p75", 75.0), ("p90", 90.0), ("p95", 95.0), ("p99", 99.0), ("p99.9", 99.9)];

/// The longest time that is told from a longer one, microseconds.
const LONGEST: u64 = 600_000_000;

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    hook: HookOptions,
    /// Requests in each second; as fast as possible by default
    #[arg(long, value_parser = positive)]
    rate: Option<f64>,
    /// End after this many requests
    #[arg(long, short = 'n', default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..))]
    count: u64,
    /// End after this time
    #[arg(long = "for", value_name = "TIME", default_value = "60s", value_parser = duration)]
    time: Millis,
    /// How many requests may be under way
    #[arg(long, short = 'c', default_value_t = 16, value_parser = clap::value_parser!(u64).range(1..=4_096))]
    concurrency: u64,
    /// How many devices the events come from
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    devices: u64,
    /// Name of the events
    #[arg(long, default_value = "load")]
    event: String,
    /// Data of the events
    #[arg(long, default_value = r#"{"celsius":21.50}"#)]
    data: String,
    /// Decides the ids; random by default
    #[arg(long)]
    seed: Option<u64>,
    /// Write the result as JSON, to a file or with `-` to the output
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// What is shared by those who send.
struct Run {
    sender: Sender,
    rate: Option<f64>,
    count: u64,
    devices: u64,
    event: String,
    data: String,
    seed: u64,
    start: Instant,
    end: Instant,
    next: AtomicU64,
    measured: Mutex<Measured>,
}

struct Measured {
    /// Microseconds.
    latency: Histogram<u64>,
    succeeded: u64,
    outcomes: BTreeMap<String, u64>,
}

impl Arguments {
    /// Exit code 0 if every request succeeded.
    pub async fn run(self) -> Result<ExitCode, Stop> {
        let hook = self.hook.webhook(&self.event)?;
        if let Err(why) = hook.matches(&self.event, "") {
            return Err(why.to_string());
        }
        let (stop, stopped) = watch::channel(false);
        let client = Client::keeping(self.hook.limit());
        // No throttling: what is measured is the server, not what Particle would spare it.
        let sender = Sender::new(&self.hook, hook, client, Clock::new(1.0), false, stopped.clone());
        let start = Instant::now();
        let run = Arc::new(Run {
            sender,
            rate: self.rate,
            count: self.count,
            devices: self.devices,
            event: self.event.clone(),
            data: self.data.clone(),
            seed: self.seed.unwrap_or_else(|| wall().millis().unsigned_abs()),
            start,
            end: start + Duration::from_millis(self.time),
            next: AtomicU64::new(0),
            measured: Mutex::new(Measured::new()?),
        });
        run.sender.request(&run.event(0)).map_err(|why| why.to_string())?;
        let interrupt = Interrupt::listen()?;
        let mut workers = JoinSet::new();
        for _ in 0..self.concurrency.min(self.count) {
            workers.spawn(work(Arc::clone(&run), stopped.clone()));
        }
        self.watch(&run, &mut workers, &stop, interrupt).await;
        let elapsed = start.elapsed();
        let measured = run.measured.lock().unwrap_or_else(PoisonError::into_inner);
        self.show(&measured, elapsed)?;
        let failed = measured.latency.len() - measured.succeeded;
        Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    async fn watch(
        &self,
        run: &Run,
        workers: &mut JoinSet<()>,
        stop: &watch::Sender<bool>,
        mut interrupt: Interrupt,
    ) {
        let bar = ProgressBar::new(self.count);
        if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} {per_sec} {elapsed} {msg}") {
            bar.set_style(style);
        }
        let mut tick = tokio::time::interval(Duration::from_millis(200));
        let mut ending = false;
        loop {
            tokio::select! {
                done = workers.join_next() => if done.is_none() { break },
                _ = tick.tick() => {
                    let measured = run.measured.lock().unwrap_or_else(PoisonError::into_inner);
                    bar.set_position(measured.latency.len());
                    bar.set_message(format!("p99 {}", millis(measured.latency.value_at_percentile(99.0))));
                }
                () = interrupt.asked() => {
                    if ending {
                        break;
                    }
                    ending = true;
                    stop.send_replace(true);
                }
            }
        }
        bar.finish_and_clear();
    }

    fn show(&self, measured: &Measured, elapsed: Duration) -> Result<(), Stop> {
        let to_output = self.json.as_deref().is_some_and(|path| path.as_os_str() == "-");
        if let Some(path) = &self.json {
            let json = measured.json(self.rate, elapsed).to_string();
            let text = format!("{}\n", printable(&json));
            if to_output {
                written(&text)?;
            } else {
                std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))?;
            }
        }
        if !to_output {
            written(&measured.table(elapsed).text())?;
        }
        Ok(())
    }
}

/// Sends until there is nothing left to send.
async fn work(run: Arc<Run>, mut stop: watch::Receiver<bool>) {
    loop {
        let number = run.next.fetch_add(1, Ordering::Relaxed);
        let due = run.due(number);
        if number >= run.count || due >= run.end {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep_until(due) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        let now = Instant::now();
        if now >= run.end || *stop.borrow() {
            return;
        }
        let outcome = match run.sender.request(&run.event(number)) {
            Ok(request) => run.sender.attempt(&request).await,
            Err(why) => Outcome::NotMade(why),
        };
        let since = if run.rate.is_some() { due } else { now };
        run.measured.lock().unwrap_or_else(PoisonError::into_inner).note(&outcome, since.elapsed());
    }
}

impl Run {
    /// When a request is due. Without a rate each is due at once.
    fn due(&self, number: u64) -> Instant {
        let Some(rate) = self.rate else { return self.start };
        #[expect(clippy::cast_precision_loss, reason = "no run has 2^53 requests")]
        let seconds = number as f64 / rate;
        // What is too far away for a clock is after the end.
        Duration::try_from_secs_f64(seconds)
            .ok()
            .and_then(|wait| self.start.checked_add(wait))
            .unwrap_or(self.end)
    }

    fn event(&self, number: u64) -> Event {
        let device = number.checked_rem(self.devices).unwrap_or_default();
        Event {
            id: new_id(&mut Chance::new(self.seed, number)),
            name: self.event.clone(),
            data: self.data.clone(),
            device: format!("10ad0000{device:016x}"),
            published_at: wall(),
            product_id: None,
            user_id: None,
            firmware: None,
        }
    }
}

impl Measured {
    fn new() -> Result<Self, Stop> {
        let latency = Histogram::new_with_bounds(1, LONGEST, 3).map_err(|error| error.to_string())?;
        Ok(Measured { latency, succeeded: 0, outcomes: BTreeMap::new() })
    }

    fn note(&mut self, outcome: &Outcome, took: Duration) {
        self.latency.saturating_record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1));
        let name = match outcome {
            Outcome::Answered(response) => {
                self.succeeded += u64::from(is_success(response.status));
                response.status.to_string()
            }
            Outcome::Failed(failure) => failure.to_string(),
            Outcome::NotMade(why) => why.to_string(),
            Outcome::Skipped => "skipped".to_owned(),
        };
        *self.outcomes.entry(name).or_default() += 1;
    }

    fn table(&self, elapsed: Duration) -> Table {
        let mut table = Table::default();
        table
            .row("requests", self.latency.len())
            .row("seconds", format!("{:.2}", elapsed.as_secs_f64()))
            .row("requests/s", format!("{:.1}", self.per_second(elapsed)));
        for (outcome, count) in &self.outcomes {
            table.noted("answered", count, outcome);
        }
        if !self.latency.is_empty() {
            table.row("fastest", millis(self.latency.min()));
            for (name, percentile) in PERCENTILES {
                table.row(name, millis(self.latency.value_at_percentile(percentile)));
            }
            table.row("slowest", millis(self.latency.max()));
        }
        table
    }

    fn json(&self, rate: Option<f64>, elapsed: Duration) -> Value {
        let mut latency: BTreeMap<String, u64> = PERCENTILES
            .iter()
            .map(|(name, percentile)| ((*name).to_owned(), self.latency.value_at_percentile(*percentile)))
            .collect();
        latency.insert("min".into(), self.latency.min());
        latency.insert("max".into(), self.latency.max());
        json!({
            "requests": self.latency.len(),
            "succeeded": self.succeeded,
            "rate": rate,
            "seconds": elapsed.as_secs_f64(),
            "per_second": self.per_second(elapsed),
            "outcomes": self.outcomes,
            "latency_us": latency,
            "latency_mean_us": self.latency.mean(),
        })
    }

    #[expect(clippy::cast_precision_loss, reason = "no run has 2^53 requests")]
    fn per_second(&self, elapsed: Duration) -> f64 {
        self.latency.len() as f64 / elapsed.as_secs_f64().max(f64::MIN_POSITIVE)
    }
}

/// Microseconds as milliseconds.
fn millis(micros: u64) -> String {
    format!("{}.{:02} ms", micros / 1_000, micros % 1_000 / 10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::failure::Failure;
    use crate::http::response::Response;

    #[test]
    fn what_is_measured_is_shown_and_written() {
        let mut measured = Measured::new().unwrap();
        let response = Response { status: 204, headers: Vec::new(), body: Vec::new(), reusable: true };
        for took in 1..=99 {
            measured.note(&Outcome::Answered(response.clone()), Duration::from_millis(took));
        }
        measured.note(&Outcome::Failed(Failure::AnswerTimeout), Duration::from_secs(20));
        let json = measured.json(Some(50.0), Duration::from_secs(2));
        assert_eq!((&json["requests"], &json["succeeded"]), (&json!(100), &json!(99)));
        assert_eq!(json["outcomes"], json!({"204":99,"ESOCKETTIMEDOUT":1}));
        let p50 = json["latency_us"]["p50"].as_u64().unwrap();
        assert!((49_900..50_100).contains(&p50), "{p50}");
        assert!(json["latency_us"]["max"].as_u64().unwrap() >= 20_000_000);
        let table = measured.table(Duration::from_secs(2)).text();
        assert!(table.contains("requests/s") && table.contains("50.0"), "{table}");
    }

    #[test]
    fn times_are_shown_in_milliseconds() {
        assert_eq!(millis(1_234), "1.23 ms");
        assert_eq!(millis(20_050), "20.05 ms");
    }
}
