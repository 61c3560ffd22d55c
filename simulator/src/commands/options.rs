//! Options that commands share: which webhook, which address, which proof.

use super::Stop;
use crate::clock::Millis;
use crate::definition::{Webhook, fill_placeholders};
use crate::http::client::LIMIT;
use crate::render::Overrides;
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;

/// The definition that fieldhook's users paste into Particle.
const DEFINITION: &str = include_str!("../../../particle/integration.json");

#[derive(Debug, Clone, Args)]
pub struct HookOptions {
    /// A webhook definition in Particle's JSON [default: particle/integration.json of this project]
    #[arg(long, value_name = "FILE")]
    pub definition: Option<PathBuf>,
    /// Send here instead of to the definition's url
    #[arg(long)]
    pub url: Option<String>,
    /// Send this as the bearer token instead of the definition's Authorization
    #[arg(long, env = "FIELDHOOK_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// A variable of your own for the definition's templates
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = variable)]
    pub variables: Vec<(String, String)>,
    /// Also call machines other than this one
    #[arg(long)]
    pub allow_remote: bool,
    /// How long a server may take to answer, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = LIMIT, value_parser = clap::value_parser!(u64).range(1..))]
    pub timeout: Millis,
}

impl HookOptions {
    /// The webhook, with placeholders filled in; an unedited definition is for events that begin with `prefix`.
    pub fn webhook(&self, prefix: &str) -> Result<Webhook, Stop> {
        let text = match &self.definition {
            None => DEFINITION.to_owned(),
            Some(path) => {
                std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?
            }
        };
        Webhook::parse(&fill_placeholders(&text, prefix, self.token.as_deref())).map_err(|problem| {
            let at = problem.field.as_deref().unwrap_or("the definition");
            format!("{at}: {}", problem.detail)
        })
    }

    pub fn overrides(&self) -> Overrides {
        Overrides { url: self.url.clone(), token: self.token.clone(), variables: self.variables.clone() }
    }

    pub fn limit(&self) -> Duration {
        Duration::from_millis(self.timeout)
    }
}

fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && !name.contains('.') => Ok((name.into(), value.into())),
        _ => Err("a variable is NAME=VALUE, its name without dots".into()),
    }
}

/// A share between 0 and 1.
pub fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("a share is a number from 0 to 1".into()),
    }
}

/// A number above 0.
pub fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() && number > 0.0 => Ok(number),
        _ => Err("a number above 0".into()),
    }
}

/// Seconds, or a number with `ms`, `s`, `m` or `h`, in milliseconds.
pub fn duration(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text.strip_prefix(digits).unwrap_or_default();
    let factor = match unit {
        "ms" => 1.0,
        "" | "s" => 1_000.0,
        "m" => 60_000.0,
        "h" => 3_600_000.0,
        _ => return Err("a duration is a number with ms, s, m or h".into()),
    };
    let number: f64 = digits.parse().map_err(|_| "a duration is a number with ms, s, m or h")?;
    let millis = number * factor;
    if !(0.0..=1e12).contains(&millis) {
        return Err("a duration is from 0 to 30 years".into());
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked above")]
    let millis = millis.round() as u64;
    Ok(millis)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        hook: HookOptions,
    }

    #[test]
    fn a_server_has_twenty_seconds_unless_the_user_says_otherwise() {
        let limit = |arguments: &[&str]| Cli::try_parse_from(arguments).map(|cli| cli.hook.limit());
        assert_eq!(limit(&["simulator"]).unwrap(), Duration::from_secs(20));
        assert_eq!(limit(&["simulator", "--timeout", "250"]).unwrap(), Duration::from_millis(250));
        assert!(limit(&["simulator", "--timeout", "0"]).is_err());
    }

    #[test]
    fn options_are_read_or_refused() {
        assert_eq!(duration("5"), Ok(5_000));
        assert_eq!(duration("1.5s"), Ok(1_500));
        assert_eq!(duration("250ms"), Ok(250));
        assert_eq!(duration("2m"), Ok(120_000));
        assert!(duration("x").is_err() && duration("-1s").is_err() && duration("1d").is_err());
        assert!(share("1.1").is_err() && share("nan").is_err() && positive("0").is_err());
        assert_eq!(variable("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert!(variable("a.b=c").is_err());
    }
}
