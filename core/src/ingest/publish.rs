//! Publishing through `/v1`: an application's event, in the form that Particle's own clients send
//! (PARTICLE.md, "Streams and REST").

use super::body::{self, Content};
use super::fields::Fields;
use super::{Arrival, Places, check_size};
use crate::event::{self, DedupKey, DeviceId, Event, EventName};
use crate::problem::{Code, Problem, Result};
use crate::proof::check_hops;
use crate::request::{Body, Headers};

/// Reads `{"name", "data", "private", "ttl"}`, as JSON or as a form. It is nobody's repeat, and its device is
/// `api`, whatever else the body names: that is kept as `extra`.
///
/// # Errors
/// `missing-field`, `bad-field`, `bad-json`, `bad-body`, `body-too-large`, `unsupported-media-type`, `hop-limit`.
pub fn read(arrival: &Arrival<'_>, product: Option<&str>) -> Result<Event> {
    let request = arrival.request;
    let Body::Bytes(bytes) = &request.body else {
        return Err(Problem::new(Code::BodyTooLarge, "the body is over MAX_BODY"));
    };
    check_size(bytes.len())?;
    let fields = match body::read(&request.headers, bytes, true)? {
        Content::Fields(fields) => fields,
        Content::Empty => Fields::default(),
        Content::Data(_) | Content::Batch(_) => {
            return Err(Problem::new(Code::BadBody, "publishing takes one JSON object or one form"));
        }
    };
    let (query, headers) = (Fields::default(), Headers::default());
    let places = Places { body: &fields, query: &query, headers: &headers };
    let name = places.scalar("name", &["name"], None)?;
    let name = name.ok_or_else(|| Problem::field(Code::MissingField, "name", "no event name in the body"))?;
    let name =
        EventName::parse(&name).map_err(|problem| Problem { field: Some("name".into()), ..problem })?;
    let data = fields.find(&["data"]).map(|value| value.text("data")).transpose()?.unwrap_or_default();
    let device = DeviceId::of_api();
    let id = event::derive_id(name.as_str(), &data, &(arrival.unique)());
    Ok(Event {
        key: DedupKey::of(&device, &id),
        id,
        derived: true,
        repeatable: false,
        media_type: event::media_type(&data),
        published_at: arrival.now,
        source: arrival.source.clone(),
        product_id: product.map(str::to_owned),
        fw_version: None,
        userid: None,
        extra: places.extra(arrival.is_secret),
        raw: None,
        transform_error: None,
        hops: check_hops(&request.headers)?,
        name,
        data,
        device,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Time;
    use crate::event::SourceName;
    use crate::proof::Credential;
    use crate::request::Request;

    fn publish(content_type: &str, body: &str) -> Result<Event> {
        let headers = Headers::from_pairs([("content-type", content_type)]);
        let body = Body::Bytes(body.as_bytes().to_vec());
        let request = Request::new("POST", "https://x.dev/v1/devices/events?coreid=q&data=q", headers, body);
        let arrival = Arrival {
            request: &request,
            source: &SourceName::of_api(),
            credential: &Credential { token: true, signed: None },
            now: Time::from_millis(1),
            dedup_window: 0,
            unique: &|| "unique".to_owned(),
            is_secret: &|text| text == "hush",
        };
        read(&arrival, Some("12"))
    }

    #[test]
    fn an_event_is_published_by_api() {
        for (content_type, body) in [
            ("application/json", r#"{"name":"t","data":"1.50","private":true,"ttl":60}"#),
            ("application/x-www-form-urlencoded", "name=t&data=1.50&private=true&ttl=60"),
        ] {
            let event = publish(content_type, body).unwrap();
            assert_eq!((event.name.as_str(), event.data.as_str()), ("t", "1.50"));
            assert_eq!((event.device.as_str(), event.source.as_str()), ("api", "api"));
            assert_eq!((event.product_id.as_deref(), event.repeatable), (Some("12"), false));
            assert!(event.extra.unwrap().get().contains("\"ttl\""));
        }
    }

    #[test]
    fn nothing_but_name_and_data_is_taken_from_the_body() {
        let body =
            r#"{"name":"t","coreid":"d","event_id":"1","access_token":"x","a":"hush","product_id":"9"}"#;
        let event = publish("application/json", body).unwrap();
        assert_eq!(
            (event.device.as_str(), event.data.as_str(), event.product_id.as_deref()),
            ("api", "", Some("12"))
        );
        assert_eq!(event.extra.unwrap().get(), r#"{"coreid":"d","event_id":"1","product_id":"9"}"#);
    }

    #[test]
    fn what_is_no_event_is_named() {
        let refused = |body| {
            let problem = publish("application/json", body).unwrap_err();
            (problem.code, problem.field)
        };
        let name = || Some("name".to_owned());
        assert_eq!(refused(""), (Code::MissingField, name()));
        assert_eq!(refused("{}"), (Code::MissingField, name()));
        assert_eq!(refused(r#"{"name":["t"]}"#), (Code::BadField, name()));
        assert_eq!(refused(r#"{"name":"a\nb"}"#), (Code::BadField, name()));
        assert_eq!(refused(r#"[{"name":"t"}]"#), (Code::BadBody, None));
        assert_eq!(refused("7"), (Code::BadBody, None));
        assert_eq!(refused("{").0, Code::BadJson);
    }
}
