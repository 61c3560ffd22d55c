//! Calls to the Registry object.

use super::{Stub, read, stub, text, to_u32, written};
use fieldhook_core::integration::{Reason, Stored};
use fieldhook_core::problem::{Result, from_wire};
use fieldhook_core::proof::access::Scope;
use fieldhook_core::proof::session::Session;
use serde_json::value::RawValue;
use worker::{Env, console_error};

/// The deployment's configuration.
pub struct Registry(Stub);

pub fn registry(env: &Env) -> Result<Registry> {
    stub(env, "REGISTRY", "registry").map(Registry)
}

impl Registry {
    /// The whole configuration, or nothing where it is still the version that is known.
    /// `shards` is how many this deployment has now: the Registry remembers the most there ever were.
    pub async fn snapshot(&self, known: Option<u64>, shards: u32) -> Result<String> {
        let known = known.map_or(-1.0, |version| version as f64);
        from_wire(&text("registry.snapshot", self.0.snapshot(known, shards)).await?)
    }

    pub async fn put(&self, kind: &str, name: &str, body: &str) -> Result<String> {
        from_wire(&text("registry.put", self.0.put(kind, name, body)).await?)
    }

    pub async fn get(&self, kind: &str, name: &str) -> Result<String> {
        from_wire(&text("registry.get", self.0.get(kind, name)).await?)
    }

    pub async fn list(&self, kind: &str, after: &str, limit: usize) -> Result<String> {
        from_wire(&text("registry.list", self.0.list(kind, after, to_u32(limit))).await?)
    }

    pub async fn remove(&self, kind: &str, name: &str) -> Result<()> {
        from_wire(&text("registry.remove", self.0.remove(kind, name)).await?).map(drop)
    }

    /// Keeps a new integration, and the host it was defined under as one of our own.
    pub async fn create(&self, integration: &Stored, host: &str) -> Result<()> {
        let call = self.0.create_integration(&written(integration)?, host);
        from_wire(&text("registry.create", call).await?).map(drop)
    }

    /// Writes over the revision that `integration` was read at; whether it still was the one.
    pub async fn replace(&self, integration: &Stored, host: &str) -> Result<bool> {
        let call = self.0.replace_integration(&written(integration)?, integration.revision as f64, host);
        Ok(from_wire(&text("registry.replace", call).await?)? == "1")
    }

    /// # Errors
    /// `unknown-integration`.
    pub async fn integration(&self, id: &str) -> Result<Stored> {
        read(&from_wire(&text("registry.integration", self.0.read_integration(id)).await?)?)
    }

    /// All integrations in order of creation. One that cannot be read is logged and left out.
    pub async fn integrations(&self) -> Result<Vec<Stored>> {
        let all = from_wire(&text("registry.integrations", self.0.list_integrations()).await?)?;
        let all: Vec<(String, Box<RawValue>)> = read(&all)?;
        let readable = all.iter().filter_map(|(id, json)| {
            read(json.get()).inspect_err(|_| console_error!("the integration {id} is damaged")).ok()
        });
        Ok(readable.collect())
    }

    pub async fn remove_integration(&self, id: &str) -> Result<()> {
        from_wire(&text("registry.remove", self.0.remove_integration(id)).await?).map(drop)
    }

    /// Pauses an integration; where it is paused already, for whatever reason, nothing changes.
    pub async fn pause(&self, id: &str, reason: Reason) -> Result<Stored> {
        let reason = serde_json::to_value(reason).unwrap_or_default();
        let reason = reason.as_str().unwrap_or_default();
        read(&from_wire(&text("registry.pause", self.0.pause_integration(id, reason)).await?)?)
    }

    /// Resumes an integration; with `skip` behind everything that has been accepted until now.
    pub async fn resume(&self, id: &str, skip: bool) -> Result<Stored> {
        read(&from_wire(&text("registry.resume", self.0.resume_integration(id, skip)).await?)?)
    }

    /// Ends a session, whoever has its cookie.
    ///
    /// # Errors
    /// `limit-reached`.
    pub async fn end_session(&self, session: &Session) -> Result<()> {
        let is_admin = session.scope == Scope::Admin;
        let call = self.0.end_session(&session.id(), session.expires.millis() as f64, is_admin);
        from_wire(&text("registry.endSession", call).await?).map(drop)
    }

    pub async fn session_ended(&self, session: &Session) -> Result<bool> {
        let call = self.0.session_ended(&session.id());
        Ok(from_wire(&text("registry.sessionEnded", call).await?)? != "0")
    }
}
