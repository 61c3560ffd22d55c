//! One webhook at work: throttled, sent, answered.

use super::options::HookOptions;
use crate::answer::Outcome;
use crate::clock::Clock;
use crate::definition::Webhook;
use crate::event::Event;
use crate::http::client::Client;
use crate::http::request::Request;
use crate::render::{NoRequest, Overrides, request};
use crate::throttle::{Decision, Skipped, Throttle, after_skip};
use std::sync::{Mutex, PoisonError};
use tokio::sync::watch;

/// What sending needs, shared by everything that sends.
pub struct Sender {
    pub hook: Webhook,
    pub overrides: Overrides,
    pub client: Client,
    pub clock: Clock,
    /// Whether other machines may be called.
    allow_remote: bool,
    throttle: Option<Mutex<Throttle>>,
    /// Once it is true, no retry is waited for.
    stop: watch::Receiver<bool>,
}

impl Sender {
    /// `throttled`: whether a failing host is spared, as Particle does.
    pub fn new(
        options: &HookOptions,
        hook: Webhook,
        client: Client,
        clock: Clock,
        throttled: bool,
        stop: watch::Receiver<bool>,
    ) -> Self {
        Sender {
            hook,
            overrides: options.overrides(),
            client,
            clock,
            allow_remote: options.allow_remote,
            throttle: throttled.then(Mutex::default),
            stop,
        }
    }

    /// The request for an event. A definition's URL is a template, so each one's target is looked at.
    ///
    /// # Errors
    /// Why there is none, or why it may not be sent.
    pub fn request(&self, event: &Event) -> Result<Request, NoRequest> {
        let request = request(&self.hook, event, &self.overrides)?;
        if self.allow_remote || request.target.is_loopback() {
            return Ok(request);
        }
        Err(NoRequest::Remote(request.target.authority()))
    }

    /// Sends once, unless the host is to be spared.
    pub async fn attempt(&self, request: &Request) -> Outcome {
        let host = &request.target.host;
        if self.with_throttle(|throttle, now| throttle.decide(host, now)) == Some(Decision::Skip) {
            return Outcome::Skipped;
        }
        let outcome = match self.client.send(request).await {
            Ok(response) => Outcome::Answered(response),
            Err(failure) => Outcome::Failed(failure),
        };
        if let Some(is_error) = outcome.counts() {
            self.with_throttle(|throttle, now| throttle.note(host, is_error, now));
        }
        outcome
    }

    /// Sends, and where the host is spared tries again as documented; `tell` hears of every outcome.
    pub async fn deliver(&self, request: &Request, mut tell: impl FnMut(&Outcome)) -> Outcome {
        let (mut first_skip, mut retries) = (None, 0);
        loop {
            let outcome = self.attempt(request).await;
            tell(&outcome);
            if outcome != Outcome::Skipped {
                return outcome;
            }
            let now = self.clock.now();
            match after_skip(*first_skip.get_or_insert(now), retries) {
                Skipped::RetryAt(at) => {
                    let mut stop = self.stop.clone();
                    tokio::select! {
                        () = self.clock.sleep(at.saturating_sub(now)) => {}
                        Ok(_) = stop.wait_for(|stop| *stop) => return outcome,
                    }
                }
                Skipped::Dropped => return outcome,
            }
            retries += 1;
        }
    }

    fn with_throttle<T>(&self, act: impl FnOnce(&mut Throttle, u64) -> T) -> Option<T> {
        let throttle = self.throttle.as_ref()?;
        Some(act(&mut throttle.lock().unwrap_or_else(PoisonError::into_inner), self.clock.now()))
    }
}
