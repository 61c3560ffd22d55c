//! What Particle publishes about a request: hook-sent, then the answer in parts, or the error.

use crate::definition::Webhook;
use crate::event::Event;
use crate::http::failure::Failure;
use crate::http::response::Response;
use crate::printable::printable;
use crate::render::{NoRequest, with_context};
use crate::throttle::SLEEPING;
use fieldhook_core::clock::Time;
use fieldhook_core::integration::response::{
    PUBLISHED_MAX, default_error_topic, default_response_topic, error_text,
};
use fieldhook_core::reply::PART;
use fieldhook_core::template::{Context, Template};
use serde_json::{Value, json};

/// The most a topic may render to, bytes.
const TOPIC_MAX: usize = 1024;

/// How a webhook's request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Answered(Response),
    Failed(Failure),
    /// Its templates gave no request.
    NotMade(NoRequest),
    /// The host has had too many errors.
    Skipped,
}

/// An event that Particle publishes of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    pub name: String,
    /// As the device gets it; a part may end inside a character.
    pub data: Vec<u8>,
    pub kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Sent,
    /// A part of a response, by its index.
    Response(usize),
    Error,
}

impl Outcome {
    /// Whether it counts against the host: 4xx, 5xx, and no answer (Particle docs, "Limits"). A redirect counts
    /// neither way, and a request that was never made says nothing about the host.
    pub fn counts(&self) -> Option<bool> {
        match self {
            Outcome::Answered(response) if is_success(response.status) => Some(false),
            Outcome::Answered(response) => (400..600).contains(&response.status).then_some(true),
            Outcome::Failed(_) => Some(true),
            Outcome::NotMade(_) | Outcome::Skipped => None,
        }
    }
}

pub fn is_success(status: u16) -> bool {
    (200..300).contains(&status)
}

/// Everything that is published about one outcome, in the order of the documented sequence.
///
/// hook-sent "acknowledges that the Particle cloud forwarded your event": so it comes whenever the request
/// left, an error status and a late answer included. Whether Particle's own does so is documented nowhere.
pub fn publications(
    hook: &Webhook,
    event: &Event,
    host: &str,
    variables: &[(String, String)],
    outcome: &Outcome,
) -> Vec<Publication> {
    let sent = Publication {
        name: format!("hook-sent/{}", event.name),
        data: b"undefined".to_vec(),
        kind: Kind::Sent,
    };
    let error = |text: String| {
        let topic =
            topic(hook.hook.error_topic.as_ref(), event, variables, || default_error_topic(&event.name));
        Publication { name: format!("{topic}/0"), data: text.into_bytes(), kind: Kind::Error }
    };
    match outcome {
        Outcome::Skipped => vec![error(SLEEPING.to_owned())],
        Outcome::NotMade(why) => vec![error(why.to_string())],
        Outcome::Failed(failure) if failure.was_sent() => vec![sent, error(failure.to_string())],
        Outcome::Failed(failure) => vec![error(failure.to_string())],
        Outcome::Answered(response) if is_success(response.status) => {
            let body = said(hook, event, variables, &response.body);
            let topic = topic(hook.hook.response_topic.as_ref(), event, variables, || default_topic(event));
            let parts = parts(&body).enumerate().map(|(index, part)| Publication {
                name: format!("{topic}/{index}"),
                data: part.to_vec(),
                kind: Kind::Response(index),
            });
            std::iter::once(sent).chain(parts).collect()
        }
        Outcome::Answered(response) => {
            vec![sent, error(error_text(response.status, host))]
        }
    }
}

/// The answer as it is published: through the response template where the answer is JSON, else verbatim.
fn said(hook: &Webhook, event: &Event, variables: &[(String, String)], body: &[u8]) -> Vec<u8> {
    let Some(template) = &hook.hook.response_template else { return body.to_vec() };
    let Some(json) = std::str::from_utf8(body).ok().filter(|text| is_json(text)) else {
        return body.to_vec();
    };
    let rendered = with_context(event, variables, json, |context| template.render(context, PUBLISHED_MAX));
    rendered.map_or_else(|_| body.to_vec(), String::into_bytes)
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok()
}

/// Parts of 512 bytes, of the first 100 KB; none of an empty answer, which publishes nothing.
///
/// ```
/// use simulator::answer::parts;
/// let sizes: Vec<usize> = parts(&[b'x'; 1025]).map(<[u8]>::len).collect();
/// assert_eq!(sizes, [512, 512, 1]);
/// assert_eq!(parts(b"").count(), 0);
/// assert_eq!(parts(&[b'x'; 200_000]).count(), 200);
/// ```
pub fn parts(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    body.get(..PUBLISHED_MAX).unwrap_or(body).chunks(PART)
}

fn default_topic(event: &Event) -> String {
    default_response_topic(event.product_id.is_some(), &event.device, &event.name)
}

fn topic(
    template: Option<&Template>,
    event: &Event,
    variables: &[(String, String)],
    default: impl FnOnce() -> String,
) -> String {
    let render = |template: &Template| {
        let render = |context: &Context<'_>| template.render(context, TOPIC_MAX);
        with_context(event, variables, &event.data, render).ok()
    };
    template.and_then(render).filter(|topic| !topic.is_empty()).unwrap_or_else(default)
}

/// A publication as the event stream of the documentation shows it.
///
/// ```
/// use fieldhook_core::clock::Time;
/// use simulator::answer::{Kind, Publication, shown};
/// let sent = Publication { name: "hook-sent/t".into(), data: b"undefined".to_vec(), kind: Kind::Sent };
/// assert_eq!(
///     shown(&sent, Time::parse("2016-04-16T13:37:08.743Z").unwrap()),
///     r#"{"name":"hook-sent/t","data":"undefined","ttl":"60","published_at":"2016-04-16T13:37:08.743Z","coreid":"particle-internal"}"#
/// );
/// ```
pub fn shown(publication: &Publication, now: Time) -> String {
    let data = String::from_utf8_lossy(&publication.data);
    line(&publication.name, &data, now, "particle-internal")
}

/// The event itself, as the stream shows it.
pub fn shown_event(event: &Event) -> String {
    line(&event.name, &event.data, event.published_at, &event.device)
}

/// One event of a stream, its members in the documented order.
fn line(name: &str, data: &str, published_at: Time, coreid: &str) -> String {
    let text = |text: &str| printable(&Value::from(text).to_string()).into_owned();
    let (name, data, coreid) = (text(name), text(data), text(coreid));
    let ttl = json!("60");
    format!(
        r#"{{"name":{name},"data":{data},"ttl":{ttl},"published_at":"{published_at}","coreid":{coreid}}}"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hook(more: &str) -> Webhook {
        Webhook::parse(&format!(r#"{{"event":"demo","url":"http://h/"{more}}}"#)).unwrap()
    }

    fn event() -> Event {
        Event {
            id: "id".into(),
            name: "demo/kitchen".into(),
            data: "21".into(),
            device: "3f002b".into(),
            published_at: Time::from_millis(0),
            product_id: None,
            user_id: None,
            firmware: None,
        }
    }

    fn answered(status: u16, body: &str) -> Outcome {
        let body = body.as_bytes().to_vec();
        Outcome::Answered(Response { status, headers: Vec::new(), body, reusable: true })
    }

    fn published(hook: &Webhook, outcome: &Outcome) -> Vec<(String, String)> {
        let publications = publications(hook, &event(), "requestb.in", &[], outcome);
        let text = |data: Vec<u8>| String::from_utf8(data).unwrap();
        publications.into_iter().map(|p| (p.name, text(p.data))).collect()
    }

    fn pair(name: &str, data: &str) -> (String, String) {
        (name.into(), data.into())
    }

    #[test]
    fn an_answer_is_published_under_the_name_of_the_event_that_triggered_it() {
        let sent = pair("hook-sent/demo/kitchen", "undefined");
        assert_eq!(
            published(&hook(""), &answered(200, "ok")),
            [sent.clone(), pair("hook-response/demo/kitchen/0", "ok")]
        );
        assert_eq!(published(&hook(""), &answered(204, "")), [sent]);
    }

    #[test]
    fn what_a_terminal_would_obey_is_shown_escaped() {
        let controls: String = (0..=0x1f).chain(0x7f..=0x9f).filter_map(char::from_u32).collect();
        let published = publications(&hook(""), &event(), "h", &[], &answered(200, &controls));
        let line = shown(&published[1], Time::from_millis(0));
        assert!(!line.contains(char::is_control), "{line:?}");
        assert_eq!(serde_json::from_str::<Value>(&line).unwrap()["data"], controls, "the same JSON");
        let event = Event { name: controls.clone(), data: controls.clone(), device: controls, ..event() };
        assert!(!shown_event(&event).contains(char::is_control));
    }

    #[test]
    fn errors_are_told_apart() {
        let sent = pair("hook-sent/demo/kitchen", "undefined");
        let error = |text: &str| pair("hook-error/demo/kitchen/0", text);
        let hook = hook("");
        assert_eq!(
            published(&hook, &answered(404, "nothing here")),
            [sent.clone(), error("error status 404 from requestb.in")]
        );
        assert_eq!(
            published(&hook, &answered(302, "")),
            [sent.clone(), error("error status 302 from requestb.in")]
        );
        let failed = |failure| published(&hook, &Outcome::Failed(failure));
        assert_eq!(failed(Failure::ConnectTimeout), [error("ETIMEDOUT")]);
        assert_eq!(failed(Failure::AnswerTimeout), [sent.clone(), error("ESOCKETTIMEDOUT")]);
        assert_eq!(failed(Failure::Reset), [sent, error("read ECONNRESET")]);
        assert_eq!(published(&hook, &Outcome::Skipped), [error(SLEEPING)]);
    }

    #[test]
    fn only_errors_and_successes_count_for_the_host() {
        let counts = |status| answered(status, "").counts();
        assert_eq!([204, 302, 404, 503].map(counts), [Some(false), None, Some(true), Some(true)]);
        assert_eq!(Outcome::Failed(Failure::AnswerTimeout).counts(), Some(true));
        assert_eq!(Outcome::Skipped.counts(), None);
    }

    #[test]
    fn topics_are_templates_and_a_product_has_a_default_of_its_own() {
        let own = hook(
            r#","responseTopic":"{{PARTICLE_DEVICE_ID}}/r","errorResponseTopic":"failed_{{PARTICLE_DEVICE_ID}}""#,
        );
        assert_eq!(published(&own, &answered(200, "ok"))[1].0, "3f002b/r/0");
        assert_eq!(published(&own, &answered(500, "ok"))[1].0, "failed_3f002b/0");
        let event = Event { product_id: Some("7".into()), ..event() };
        let of_product = publications(&hook(""), &event, "h", &[], &answered(200, "ok"));
        assert_eq!(of_product[1].name, "3f002b/hook-response/demo/kitchen/0");
    }

    #[test]
    fn a_response_template_reads_json_and_lets_anything_else_pass() {
        let hook = hook(r#","responseTemplate":"{{{results.0.elevation}}}""#);
        let json = r#"{"results":[{"elevation":1608.637939453125,"resolution":4.7}]}"#;
        assert_eq!(published(&hook, &answered(200, json))[1].1, "1608.637939453125");
        assert_eq!(published(&hook, &answered(200, "plain"))[1].1, "plain");
        assert_eq!(published(&hook, &answered(200, "{}")).len(), 1, "what renders empty is not published");
    }
}
