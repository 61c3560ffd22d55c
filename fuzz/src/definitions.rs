//! What a user defines, and the requests it becomes. Parts: a definition, an event's name, its data.

use super::{parts, text};
use fieldhook_core::clock::Time;
use fieldhook_core::delivery::mask::{LITERAL_MIN, Masking};
use fieldhook_core::integration::MASK;
use fieldhook_core::integration::definition::DEFINITION_MAX;
use fieldhook_core::integration::{
    Definition, Face, Integration, Logged, Outgoing, Secrets, Sending, Stored,
};
use fieldhook_core::log::Details;
use fieldhook_core::target::{Rules, Target};
use fieldhook_core::{source, transform};

const RULES: Rules<'static> = Rules { require_https: false, allow_private: false, own_hosts: &[] };
const NOW: i64 = 1_485_983_286_000;

pub fn check(data: &[u8]) {
    let [definition, event, data] = parts(data);
    let (event, data) = (text(event), text(data));
    for face in [Face::Integration, Face::Subscription] {
        if let Ok(read) = Definition::read(definition, face, None) {
            assert!(definition.len() <= DEFINITION_MAX);
            integrates(&read, face, &event, &data);
        }
    }
    if let Ok(read) = source::Definition::read(definition, None) {
        let shown = read.show("s");
        let again = source::Definition::read(shown.as_bytes(), Some(&read)).expect("what is shown is read");
        assert_eq!(again.show("s"), shown);
    }
    if let Ok(read) = transform::Definition::read(definition) {
        let shown = read.show("t");
        let again = transform::Definition::read(shown.as_bytes()).expect("what is shown is read");
        assert_eq!(again.show("t"), shown);
        assert!(transform::Transform::compile("t", &read).is_ok());
    }
}

fn integrates(definition: &Definition, face: Face, event: &str, data: &str) {
    let (masked, secrets) = definition.masked();
    let again =
        Definition::read(masked.get().as_bytes(), face, Some(&secrets)).expect("what is shown is read");
    let (twice, kept) = again.masked();
    assert_eq!((twice.get(), kept.to_json()), (masked.get(), secrets.to_json()));

    let opened = Secrets::parse(&secrets.to_json()).expect("secrets are read");
    assert_eq!(opened.to_json(), secrets.to_json());
    let stored = Stored::new("0123456789abcdef01234567".into(), Time::from_millis(NOW), None, definition);
    let integration = Integration::compile(&stored, &opened).expect("what was read is compiled");
    let [first, second] =
        [(event, data), ("e", "{}")].map(|(event, data)| request(&integration, event, data));
    for outgoing in [&first, &second].into_iter().flatten() {
        may_leave(outgoing);
        hides_its_secrets(outgoing, &integration.masking(Some(outgoing)), &opened);
    }
    if let (Some(first), Some(second)) = (first, second) {
        let key = |outgoing: &Outgoing| Target::check(&outgoing.url, &RULES).map(|target| target.key());
        assert_eq!(key(&first), key(&second), "an event has moved it");
    }
}

fn request(integration: &Integration, event: &str, data: &str) -> Option<Outgoing> {
    let at = Time::from_millis(NOW);
    let details = Details::plain("7d1c5b2e-1", "3f002b000000000000000000", at, "default");
    let logged = Logged { seq: 12, received_at: at, event, data, details: &details };
    let sending = Sending { message_id: "msg_1", now: at, replayed: false, rules: &RULES };
    integration.request(&logged, &sending).ok()
}

fn may_leave(outgoing: &Outgoing) {
    let target = Target::check(&outgoing.url, &RULES).expect("the guard lets it pass");
    assert_eq!(target.url, outgoing.url);
    let mut names: Vec<String> = outgoing.headers.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
    assert!(!names.iter().any(|name| name == "host" || name == "content-length"), "{names:?}");
    names.sort();
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
    for (name, value) in &outgoing.headers {
        assert!(!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':'));
        assert!(!value.contains(|c: char| c.is_control() && c != '\t'), "{value:?}");
    }
}

/// What is shown of a request has no secret of its definition in it.
fn hides_its_secrets(outgoing: &Outgoing, masking: &Masking, secrets: &Secrets) {
    let kind = outgoing.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    let body = outgoing.body.as_deref().unwrap_or_default();
    let mut shown = vec![masking.url(&outgoing.url), masking.body(body, kind.map_or("", |(_, value)| value))];
    shown.extend(outgoing.headers.iter().map(|(name, value)| masking.header(name, value)));
    for secret in
        secrets.texts().filter(|text| text.chars().count() >= LITERAL_MIN && !MASK.contains(&**text))
    {
        // What masking itself puts together is no secret that was there.
        assert!(shown.iter().all(|text| text.split(MASK).all(|part| !part.contains(&secret))), "{shown:?}");
    }
}
