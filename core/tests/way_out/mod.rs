//! Integrations and events to try them with.

#![allow(dead_code, reason = "each test file uses some of it")]

use fieldhook_core::clock::Time;
use fieldhook_core::integration::{
    Definition, Face, Integration, Logged, Outgoing, Secrets, Sending, Stored, Unsendable,
};
use fieldhook_core::log::Details;
use fieldhook_core::problem::Code;
use fieldhook_core::target::Rules;

pub const RULES: Rules<'static> = Rules { require_https: true, allow_private: false, own_hosts: &[] };
/// 2017-02-01T21:08:06Z, a little after the event.
pub const NOW: i64 = 1_485_983_286_000;

pub struct Sample {
    pub event: String,
    pub data: String,
    pub details: Details,
}

pub fn sample(event: &str, data: &str) -> Sample {
    let published_at = Time::parse("2017-02-01T21:08:05.763Z").unwrap();
    let details = Details::plain("7d1c5b2e-1", "3f002b000000000000000000", published_at, "default");
    Sample { event: event.into(), data: data.into(), details }
}

impl Sample {
    pub fn logged(&self) -> Logged<'_> {
        Logged {
            seq: 12,
            received_at: Time::from_millis(NOW),
            event: &self.event,
            data: &self.data,
            details: &self.details,
        }
    }
}

pub fn read(definition: &str, face: Face) -> Definition {
    Definition::read(definition.as_bytes(), face, None).unwrap_or_else(|why| panic!("{definition}: {why:?}"))
}

/// Where a definition is refused, and with which code.
pub fn refused(definition: &str, face: Face) -> (Code, Option<String>) {
    let problem = Definition::read(definition.as_bytes(), face, None).expect_err(definition);
    (problem.code, problem.field)
}

pub fn stored(definition: &Definition) -> Stored {
    Stored::new("0123456789abcdef01234567".into(), Time::from_millis(NOW), None, definition)
}

pub fn with_secrets(definition: &Definition, secrets: &Secrets) -> Integration {
    Integration::compile(&stored(definition), secrets).unwrap()
}

/// An integration as it is after it was stored and its secrets opened again.
pub fn compiled(definition: &str, face: Face) -> Integration {
    let definition = read(definition, face);
    let secrets = Secrets::parse(&definition.masked().1.to_json()).unwrap();
    with_secrets(&definition, &secrets)
}

pub fn particle(definition: &str) -> Integration {
    compiled(definition, Face::Integration)
}

pub fn subscription(definition: &str) -> Integration {
    compiled(definition, Face::Subscription)
}

pub fn at(integration: &Integration, sample: &Sample, now: i64) -> Result<Outgoing, Unsendable> {
    let sending =
        Sending { message_id: "msg_1", now: Time::from_millis(now), replayed: false, rules: &RULES };
    integration.request(&sample.logged(), &sending)
}

pub fn sent(integration: &Integration, sample: &Sample) -> Outgoing {
    at(integration, sample, NOW).unwrap()
}

pub fn header<'a>(outgoing: &'a Outgoing, name: &str) -> Option<&'a str> {
    let found = outgoing.headers.iter().find(|(given, _)| given.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.as_str())
}
