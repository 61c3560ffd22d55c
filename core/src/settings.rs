//! The deployment's settings, parsed once per isolate from vars and secrets (DESIGN.md, "Configuration").
//!
//! Every default is named here and nowhere else. A setting that cannot be read makes the deployment answer
//! `not-configured` and say which one: it fails closed.

use crate::delivery::schedule::Schedule;
use crate::problem::{Code, Problem, Result};
use crate::proof::access::Scope;
use crate::proof::network::Network;
use crate::proof::session::SessionKey;
use crate::proof::signature::Secret;
use crate::proof::token::TokenHash;
use crate::rate::Rate;
use crate::reply::Framing;
use crate::seal::Key;
use crate::target::Rules;

/// Default of `DEDUP_WINDOW`, seconds.
pub const DEDUP_WINDOW: i64 = 86_400;
/// The least `DEDUP_WINDOW` can be, seconds: KV refuses a shorter expiration (PLATFORM.md).
pub const DEDUP_WINDOW_MIN: i64 = 60;
/// Default of `MAX_BODY`, bytes.
pub const MAX_BODY: usize = 262_144;
/// Default of `REPLY_BUDGET`, bytes: one part of a hook-response, less the byte that would end it on 512.
pub const REPLY_BUDGET: usize = 511;
/// Default of `RETENTION_DAYS`.
pub const RETENTION_DAYS: f64 = 30.0;
/// Default of `MAX_LOG_MB`, mebibytes per object.
pub const MAX_LOG_MB: f64 = 1024.0;
/// Default of `FLEET_SHARDS`.
pub const FLEET_SHARDS: u32 = 1;
/// The most shards a reader will merge.
pub const FLEET_SHARDS_MAX: u32 = 64;

/// Default of `STREAM_OPENS`: streams that one address may open in [`STREAM_WINDOW`] (Particle docs, "API rate limits").
pub const STREAM_OPENS: u32 = 100;
/// Default of `STREAM_MAX`: streams that one address may have open (the same place).
pub const STREAM_MAX: u32 = 100;
/// What `STREAM_OPENS` counts over, seconds.
pub const STREAM_WINDOW: i64 = 300;

/// Default of `DEVICE_RATE`: new events of one device in a second. A Device object is to bear one (DESIGN.md, "Limits").
pub const DEVICE_RATE: f64 = 10.0;
/// Default of `DEVICE_BURST`: new events of one device at once; the largest batch, and what comes beside it.
pub const DEVICE_BURST: f64 = 600.0;
/// Default of `KEY_RATE`: requests in a second with one credential, in each isolate. A fleet has one credential, and
/// the largest that is reckoned with (DESIGN.md, "Limits") sends 1,667 events in a second.
pub const KEY_RATE: f64 = 2_500.0;
/// So many seconds of `KEY_RATE` may come at once.
pub const KEY_BURST_SECONDS: f64 = 10.0;

/// Default of `DELIVERY_TIMEOUT`, seconds.
pub const DELIVERY_TIMEOUT: f64 = 20.0;
/// Default of `CIRCUIT_PROBE`, seconds.
pub const CIRCUIT_PROBE: f64 = 30.0;
/// Default of `REPLAY_RATE`: deliveries that one replay starts in a second, in each shard.
pub const REPLAY_RATE: u32 = 20;

/// A secret with fewer characters is warned about, not refused.
pub const SHORT_SECRET: usize = 16;
/// The settings that are secret.
pub const SECRETS: [&str; 5] =
    ["INGEST_TOKENS", "HMAC_SECRETS", "READ_TOKENS", "ADMIN_TOKENS", "ENCRYPTION_KEYS"];

/// Which proofs of origin `/hook` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProofPolicy {
    /// One valid proof is enough.
    Any,
    /// Every configured kind (token, signature) must be valid.
    All,
}

/// What an event that was authenticated and quarantined is answered with (DESIGN.md, "Answers").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    /// 202 to Particle, whose throttling is per host name; 400 to everyone else.
    Auto,
    Reject,
    Accept,
}

/// The settings of one deployment.
#[derive(Debug, Clone)]
pub struct Settings {
    pub ingest_tokens: Vec<TokenHash>,
    pub hmac_secrets: Vec<Secret>,
    pub read_tokens: Vec<TokenHash>,
    pub admin_tokens: Vec<TokenHash>,
    /// Of every token that opens `/v1`, those of administrators first: a token of both kinds is one.
    pub session_keys: Vec<SessionKey>,
    /// Every other secret: nothing of a deployment's secrets may reach a row.
    other_secrets: Vec<TokenHash>,
    /// The names of the settings that hold a secret which is easy to guess.
    pub short_secrets: Vec<&'static str>,
    pub proof: ProofPolicy,
    pub allowed_networks: Vec<Network>,
    /// Seconds.
    pub dedup_window: i64,
    pub dedup_kv: bool,
    /// Bytes.
    pub max_body: usize,
    pub malformed: Malformed,
    /// Bytes.
    pub reply_budget: usize,
    pub reply_framing: Framing,
    /// Milliseconds.
    pub retention: i64,
    /// Bytes.
    pub max_log: u64,
    pub fleet_shards: u32,
    /// Of each device.
    pub device_rate: Option<Rate>,
    /// Of each credential, in one isolate.
    pub key_rate: Option<Rate>,
    pub stream_opens: u32,
    pub stream_max: u32,
    pub retry_schedule: Schedule,
    pub require_https: bool,
    /// Lifts the rules of scheme, address and port: for local development only.
    pub allow_private_targets: bool,
    /// Milliseconds that one attempt may take.
    pub delivery_timeout: i64,
    /// Milliseconds between two probes of a host that fails.
    pub circuit_probe: i64,
    /// Deliveries per second.
    pub replay_rate: u32,
    /// The first seals, all open.
    pub encryption_keys: Vec<Key>,
}

impl Settings {
    /// Reads every setting through `var`, which answers `None` for what is not set.
    ///
    /// ```
    /// use fieldhook_core::settings::Settings;
    /// let settings = Settings::read(|name| (name == "DEDUP_WINDOW").then(|| "3600".to_owned())).unwrap();
    /// assert_eq!(settings.dedup_window, 3600);
    /// assert_eq!(settings.max_body, 262_144);
    /// assert!(Settings::read(|name| (name == "PROOF").then(|| "maybe".to_owned())).is_err());
    /// ```
    pub fn read(var: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let vars = Vars { var };
        let dedup_window =
            vars.number("DEDUP_WINDOW", DEDUP_WINDOW as f64, DEDUP_WINDOW_MIN as f64, 3.2e9)?;
        let max_body = vars.number("MAX_BODY", MAX_BODY as f64, 1.0, 16e6)?;
        let reply_budget = vars.number("REPLY_BUDGET", REPLY_BUDGET as f64, 64.0, 511.0)?;
        let retention = vars.number("RETENTION_DAYS", RETENTION_DAYS, 0.000_01, 36_500.0)?;
        let max_log = vars.number("MAX_LOG_MB", MAX_LOG_MB, 0.1, 10_000.0)?;
        let shards =
            vars.number("FLEET_SHARDS", f64::from(FLEET_SHARDS), 1.0, f64::from(FLEET_SHARDS_MAX))?;
        let streams = |name, default| vars.number(name, f64::from(default), 1.0, 1e6);
        let (stream_opens, stream_max) =
            (streams("STREAM_OPENS", STREAM_OPENS)?, streams("STREAM_MAX", STREAM_MAX)?);
        let device_rate = vars.number("DEVICE_RATE", DEVICE_RATE, 0.0, 1e6)?;
        let device_burst = vars.number("DEVICE_BURST", DEVICE_BURST, 1.0, 1e6)?;
        let key_rate = vars.number("KEY_RATE", KEY_RATE, 0.0, 1e6)?;
        Ok(Settings {
            ingest_tokens: vars.tokens("INGEST_TOKENS"),
            hmac_secrets: vars.list("HMAC_SECRETS", |text| {
                Secret::parse(text).ok_or("a whsec_ secret must be base64 after the prefix")
            })?,
            read_tokens: vars.tokens("READ_TOKENS"),
            admin_tokens: vars.tokens("ADMIN_TOKENS"),
            session_keys: [(Scope::Admin, "ADMIN_TOKENS"), (Scope::Read, "READ_TOKENS")]
                .into_iter()
                .flat_map(|(scope, name)| vars.map_list(name, |token| SessionKey::of(scope, token)))
                .flatten()
                .collect(),
            other_secrets: [vars.tokens("HMAC_SECRETS"), vars.tokens("ENCRYPTION_KEYS")].concat(),
            short_secrets: SECRETS.into_iter().filter(|name| vars.holds_short(name)).collect(),
            proof: vars.choice("PROOF", &[("any", ProofPolicy::Any), ("all", ProofPolicy::All)])?,
            allowed_networks: vars.list("ALLOWED_NETWORKS", |text| {
                if text == "all" {
                    return Ok(Network::everywhere());
                }
                Network::parse(text).ok_or("not a CIDR such as 203.0.113.0/24 or 2001:db8::/32")
            })?,
            dedup_window: dedup_window as i64,
            dedup_kv: vars.choice("DEDUP_KV", &[("on", true), ("off", false)])?,
            max_body: max_body as usize,
            malformed: vars.choice(
                "MALFORMED",
                &[("auto", Malformed::Auto), ("reject", Malformed::Reject), ("accept", Malformed::Accept)],
            )?,
            reply_budget: reply_budget as usize,
            reply_framing: vars
                .choice("REPLY_FRAMING", &[("plain", Framing::Plain), ("framed", Framing::Framed)])?,
            retention: (retention * 86_400_000.0) as i64,
            max_log: (max_log * 1_048_576.0) as u64,
            fleet_shards: shards as u32,
            device_rate: Rate::new(device_rate, device_burst),
            key_rate: Rate::new(key_rate, key_rate * KEY_BURST_SECONDS),
            stream_opens: stream_opens as u32,
            stream_max: stream_max as u32,
            retry_schedule: match vars.text("RETRY_SCHEDULE") {
                Some(text) => Schedule::parse(&text).map_err(|why| bad("RETRY_SCHEDULE", why))?,
                None => Schedule::default(),
            },
            require_https: vars.choice("REQUIRE_HTTPS", &[("true", true), ("false", false)])?,
            allow_private_targets: vars
                .choice("ALLOW_PRIVATE_TARGETS", &[("false", false), ("true", true)])?,
            delivery_timeout: millis(vars.number("DELIVERY_TIMEOUT", DELIVERY_TIMEOUT, 0.1, 60.0)?),
            circuit_probe: millis(vars.number("CIRCUIT_PROBE", CIRCUIT_PROBE, 0.1, 3_600.0)?),
            replay_rate: vars.number("REPLAY_RATE", f64::from(REPLAY_RATE), 1.0, 1_000.0)? as u32,
            encryption_keys: vars.list("ENCRYPTION_KEYS", |text| {
                Key::parse(text).ok_or("must be base64 of 32 bytes each: openssl rand -base64 32")
            })?,
        })
    }

    /// Whether a text is any secret of this deployment.
    /// Where a delivery may go; `own_hosts` are this deployment's.
    pub fn target_rules<'a>(&self, own_hosts: &'a [String]) -> Rules<'a> {
        Rules { require_https: self.require_https, allow_private: self.allow_private_targets, own_hosts }
    }

    pub fn is_secret(&self, text: &TokenHash) -> bool {
        let kinds = [&self.ingest_tokens, &self.read_tokens, &self.admin_tokens, &self.other_secrets];
        kinds.into_iter().any(|secrets| text.is_in(secrets))
    }
}

struct Vars<F> {
    var: F,
}

impl<F: Fn(&str) -> Option<String>> Vars<F> {
    fn text(&self, name: &str) -> Option<String> {
        (self.var)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    fn number(&self, name: &str, default: f64, least: f64, most: f64) -> Result<f64> {
        let Some(text) = self.text(name) else { return Ok(default) };
        match text.parse::<f64>() {
            Ok(value) if (least..=most).contains(&value) => Ok(value),
            _ => Err(bad(name, &format!("must be a number from {least} to {most}"))),
        }
    }

    /// One of the named choices; the first is the default.
    fn choice<T: Copy>(&self, name: &str, choices: &[(&str, T)]) -> Result<T> {
        let text = self.text(name);
        let chosen = match &text {
            None => choices.first(),
            Some(text) => choices.iter().find(|(word, _)| word == text),
        };
        let words = || choices.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
        chosen.map(|(_, value)| *value).ok_or_else(|| bad(name, &format!("must be one of {}", words())))
    }

    fn list<T>(
        &self,
        name: &str,
        parse: impl Fn(&str) -> std::result::Result<T, &'static str>,
    ) -> Result<Vec<T>> {
        let Some(text) = self.text(name) else { return Ok(Vec::new()) };
        let items: Vec<T> =
            split_list(&text).map(|item| parse(item).map_err(|why| bad(name, why))).collect::<Result<_>>()?;
        // A list that was meant to restrict something must not turn into none.
        if items.is_empty() { Err(bad(name, "is set but holds nothing")) } else { Ok(items) }
    }

    fn holds_short(&self, name: &str) -> bool {
        split_list(&self.text(name).unwrap_or_default()).any(|secret| secret.chars().count() < SHORT_SECRET)
    }

    fn tokens(&self, name: &str) -> Vec<TokenHash> {
        self.map_list(name, TokenHash::of)
    }

    fn map_list<T>(&self, name: &str, make: impl Fn(&str) -> T) -> Vec<T> {
        split_list(&self.text(name).unwrap_or_default()).map(make).collect()
    }
}

fn millis(seconds: f64) -> i64 {
    (seconds * 1000.0) as i64
}

fn split_list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty())
}

/// Names the setting and the rule, never the value: it may be a secret put in the wrong place.
fn bad(name: &str, why: &str) -> Problem {
    Problem::field(Code::NotConfigured, name, format!("the setting {name} {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Settings> {
        let pairs = pairs.to_vec();
        Settings::read(move |name| {
            pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn nothing_secret_has_a_default() {
        let settings = read(&[]).unwrap();
        assert!(settings.ingest_tokens.is_empty() && settings.hmac_secrets.is_empty());
        assert!(settings.read_tokens.is_empty() && settings.admin_tokens.is_empty());
    }

    #[test]
    fn a_short_secret_is_named_and_every_secret_is_known() {
        let settings =
            read(&[("INGEST_TOKENS", "long-enough-to-be-safe,hush"), ("HMAC_SECRETS", "also")]).unwrap();
        assert_eq!(settings.short_secrets, ["INGEST_TOKENS", "HMAC_SECRETS"]);
        assert!(settings.is_secret(&TokenHash::of("hush")) && settings.is_secret(&TokenHash::of("also")));
        assert!(!settings.is_secret(&TokenHash::of("other")));
    }

    #[test]
    fn the_first_key_seals_and_none_is_shown() {
        let first = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
        let settings = read(&[("ENCRYPTION_KEYS", &format!("{first},{}", "A".repeat(43)))]).unwrap();
        let ids: Vec<&str> = settings.encryption_keys.iter().map(Key::id).collect();
        assert_eq!(ids, ["630dcd29", "66687aad"]);
        assert!(!format!("{settings:?}").contains("[0, 1, 2"));
    }

    #[test]
    fn a_rate_of_nothing_is_no_limit() {
        let off = read(&[("DEVICE_RATE", "0"), ("KEY_RATE", "0")]).unwrap();
        assert_eq!((off.device_rate, off.key_rate), (None, None));
        let on = read(&[]).unwrap();
        assert_eq!((on.device_rate, on.key_rate), (Rate::new(10.0, 600.0), Rate::new(2_500.0, 25_000.0)));
    }

    #[test]
    fn several_tokens_are_active_at_once() {
        assert_eq!(read(&[("INGEST_TOKENS", " a , b,,c")]).unwrap().ingest_tokens.len(), 3);
    }

    #[test]
    fn a_setting_that_cannot_be_read_is_named_without_its_value() {
        for (name, value) in [
            ("PROOF", "sometimes"),
            ("DEDUP_WINDOW", "59"),
            ("ALLOWED_NETWORKS", "10.0.0.0/33"),
            ("HMAC_SECRETS", "whsec_%%%"),
            ("REPLY_BUDGET", "512"),
            ("ALLOWED_NETWORKS", ","),
            ("RETRY_SCHEDULE", "5,soon"),
            ("RETRY_SCHEDULE", "5,-1"),
            ("RETRY_SCHEDULE", "2592001"),
            ("REQUIRE_HTTPS", "no"),
            ("ALLOW_PRIVATE_TARGETS", "yes"),
            ("DELIVERY_TIMEOUT", "61"),
            ("CIRCUIT_PROBE", "0.01"),
            ("REPLAY_RATE", "1001"),
            ("DEVICE_RATE", "-1"),
            ("DEVICE_BURST", "0.5"),
            ("KEY_RATE", "NaN"),
            ("ENCRYPTION_KEYS", "no-key"),
            ("ENCRYPTION_KEYS", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg=="),
        ] {
            let problem = read(&[(name, value)]).unwrap_err();
            assert_eq!(problem.code, Code::NotConfigured);
            assert_eq!(problem.field.as_deref(), Some(name));
            assert!(!problem.detail.contains(value), "{}", problem.detail);
        }
    }
}
