//! Calls to a Device object.

use super::{Stub, read, stub, text, written};
use fieldhook_core::delivery::job::{Ask, Taken};
use fieldhook_core::flat;
use fieldhook_core::json;
use fieldhook_core::log::{Accept, Accepted};
use fieldhook_core::problem::{Code, Problem, Result, from_wire};
use fieldhook_core::series::{Plan, Series};
use worker::Env;

/// One device's object.
pub struct Device<'a> {
    env: &'a Env,
    name: &'a str,
}

pub fn device<'a>(env: &'a Env, name: &'a str) -> Device<'a> {
    Device { env, name }
}

impl Device<'_> {
    fn stub(&self) -> Result<Stub> {
        stub(self.env, "DEVICE", self.name)
    }

    /// Commits events. Tried twice where the platform says that helps: a repeat is recognised, so a second
    /// call can never count an event twice.
    ///
    /// # Errors
    /// `commit-failed`.
    pub async fn accept(&self, accept: &Accept) -> Result<Accepted> {
        let not_stored = || Problem::new(Code::CommitFailed, "the device's log did not take the event");
        let message = flat::to_text(accept);
        let stub = || self.stub().map_err(|_| not_stored());
        let mut answer = text("device.accept", stub()?.accept(&message)).await;
        if matches!(&answer, Err(failure) if failure.retryable) {
            // A stub that has thrown is broken for good.
            answer = text("device.accept", stub()?.accept(&message)).await;
        }
        let answer = answer.map_err(|_| not_stored())?;
        flat::of_text(&answer).ok_or_else(not_stored)
    }

    pub async fn describe(&self) -> Result<String> {
        from_wire(&text("device.describe", self.stub()?.describe()).await?)
    }

    pub async fn history(&self, query: &str) -> Result<String> {
        from_wire(&text("device.history", self.stub()?.history(query)).await?)
    }

    /// What the piece of the log behind `plan.after` comes to.
    pub async fn series(&self, plan: &Plan) -> Result<Series> {
        let unreadable = |_| Problem::new(Code::Internal, "the series cannot be read");
        let plan = serde_json::to_string(plan).map_err(unreadable)?;
        let piece = from_wire(&text("device.series", self.stub()?.series(&plan)).await?)?;
        json::read(&piece).map_err(unreadable)
    }

    /// Reads or writes the twin; answers its version and itself.
    pub async fn twin(&self, operation: &str, body: &str, if_match: Option<u64>) -> Result<(u64, String)> {
        let if_match = if_match.map_or(-1.0, |version| version as f64);
        let call = self.stub()?.twin(self.name, operation, body, if_match);
        let answer = from_wire(&text("device.twin", call).await?)?;
        let (version, twin) = answer.split_once(' ').unwrap_or(("0", "{}"));
        Ok((version.parse().unwrap_or(0), twin.to_owned()))
    }

    pub async fn commands(&self, operation: &str, body: &str) -> Result<String> {
        let call = self.stub()?.commands(self.name, operation, body);
        from_wire(&text("device.commands", call).await?)
    }

    /// Keeps a service's answer for repeats of the event, and that it was `too_large` to be given.
    pub async fn answered(&self, key: &str, reply: &str, too_large: bool) -> Result<()> {
        Ok(text("device.answered", self.stub()?.answered(key, reply, too_large)).await.map(drop)?)
    }

    /// Delivers events again, or looks what there is to deliver.
    pub async fn replay(&self, ask: &Ask) -> Result<Taken> {
        let taken = from_wire(&text("device.replay", self.stub()?.replay(&written(ask)?)).await?)?;
        read(&taken)
    }

    /// Removes what has been kept long enough.
    pub async fn expire(&self) -> Result<()> {
        Ok(text("device.expire", self.stub()?.expire()).await.map(drop)?)
    }

    /// Deletes everything the object holds; answers when the device's life began, `None` where nothing was held.
    pub async fn forget(&self) -> Result<Option<i64>> {
        Ok(from_wire(&text("device.forget", self.stub()?.forget_self()).await?)?.parse().ok())
    }
}
