//! The Registry's integrations: whole texts in order of creation, and the hosts under which they were defined.
//!
//! What a definition means is not known here; secrets come sealed and stay so.

use super::Registry;
use crate::isolate::now;
use crate::sqlite::{self, integer};
use fieldhook_core::integration::{Reason, Stored};
use fieldhook_core::json;
use fieldhook_core::problem::{Code, Problem, Result};
use serde_json::value::RawValue;

/// The most integrations: every Device object looks at all of them after each event.
const INTEGRATIONS_MAX: u64 = 500;
/// The most hosts that are remembered as this deployment's own; the oldest goes.
const HOSTS_MAX: u64 = 20;

impl Registry {
    pub(super) fn create(&self, json: &str, host: &str) -> Result<String> {
        let stored = read(json)?;
        self.schema.prepare(&self.sql)?;
        let count = sqlite::first(&self.sql, "SELECT count(*) FROM integrations", Vec::new())?;
        if count.map_or(0, |mut columns| columns.unsigned()) >= INTEGRATIONS_MAX {
            let why = format!("there are {INTEGRATIONS_MAX} integrations already");
            return Err(Problem::new(Code::LimitReached, why));
        }
        self.check_room(json)?;
        let insert = "INSERT INTO integrations (id, json) VALUES (?, ?)";
        sqlite::run(&self.sql, insert, vec![stored.id.as_str().into(), json.into()])?;
        self.remember_host(host)?;
        self.count_up()?;
        Ok(String::new())
    }

    /// Writes over what the caller has read; `0` where somebody else wrote in between.
    pub(super) fn replace(&self, json: &str, seen: u64, host: &str) -> Result<String> {
        let mut stored = read(json)?;
        if self.integration(&stored.id)?.revision != seen {
            return Ok("0".to_owned());
        }
        self.check_room(json)?;
        stored.revision = seen + 1;
        self.write(&stored)?;
        self.remember_host(host)?;
        Ok("1".to_owned())
    }

    pub(super) fn pause_one(&self, id: &str, reason: &str) -> Result<String> {
        let reason: Reason = serde_json::from_value(reason.into())
            .map_err(|_| Problem::new(Code::Internal, "an integration is not paused for this"))?;
        let mut stored = self.integration(id)?;
        if stored.pause(reason, now()) {
            self.write(&stored)?;
        }
        to_json(&stored)
    }

    pub(super) fn resume_one(&self, id: &str, skip: bool) -> Result<String> {
        let mut stored = self.integration(id)?;
        if stored.resume(now(), skip) {
            self.write(&stored)?;
        }
        to_json(&stored)
    }

    pub(super) fn text_of(&self, id: &str) -> Result<String> {
        let unknown = || Problem::new(Code::UnknownIntegration, "no integration has this id");
        if !self.schema.exists(&self.sql)? {
            return Err(unknown());
        }
        let query = "SELECT json FROM integrations WHERE id = ?";
        let row = sqlite::first(&self.sql, query, vec![id.into()])?;
        row.map(|mut columns| columns.text()).ok_or_else(unknown)
    }

    /// `[[id, stored], …]` in order of creation, `null` for a row that is no JSON: it must not spoil the rest.
    pub(super) fn all_integrations(&self) -> Result<String> {
        if !self.schema.exists(&self.sql)? {
            return Ok("[]".to_owned());
        }
        let mut all: Vec<(String, Option<Box<RawValue>>)> = Vec::new();
        let query = "SELECT id, json FROM integrations ORDER BY position";
        for columns in sqlite::rows(&self.sql, query, Vec::new())? {
            let mut columns = columns?;
            all.push((columns.text(), RawValue::from_string(columns.text()).ok()));
        }
        to_json(&all)
    }

    pub(super) fn delete_one(&self, id: &str) -> Result<String> {
        self.text_of(id)?;
        sqlite::run(&self.sql, "DELETE FROM integrations WHERE id = ?", vec![id.into()])?;
        self.count_up()?;
        Ok(String::new())
    }

    /// As a JSON array.
    pub(super) fn hosts(&self) -> Result<String> {
        let query = "SELECT name FROM hosts ORDER BY position";
        let names: Vec<String> = sqlite::rows(&self.sql, query, Vec::new())?
            .map(|columns| columns.map(|mut columns| columns.text()))
            .collect::<Result<_>>()?;
        to_json(&names)
    }

    /// Under which host this deployment is known. A delivery to it would come back in.
    fn remember_host(&self, host: &str) -> Result<()> {
        let known = sqlite::first(&self.sql, "SELECT 1 FROM hosts WHERE name = ?", vec![host.into()])?;
        if known.is_some() || host.is_empty() {
            return Ok(());
        }
        sqlite::run(&self.sql, "INSERT INTO hosts (name) VALUES (?)", vec![host.into()])?;
        let forget = "DELETE FROM hosts WHERE position NOT IN \
            (SELECT position FROM hosts ORDER BY position DESC LIMIT ?)";
        sqlite::run(&self.sql, forget, vec![integer(HOSTS_MAX)]).map(drop)
    }

    fn integration(&self, id: &str) -> Result<Stored> {
        read(&self.text_of(id)?)
    }

    fn write(&self, stored: &Stored) -> Result<()> {
        let put = "UPDATE integrations SET json = ? WHERE id = ?";
        sqlite::run(&self.sql, put, vec![to_json(stored)?.into(), stored.id.as_str().into()])?;
        self.count_up()
    }
}

fn read(json: &str) -> Result<Stored> {
    json::read(json).map_err(|_| Problem::new(Code::Internal, "the integration cannot be read"))
}

fn to_json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|_| Problem::new(Code::Internal, "the answer cannot be written"))
}
