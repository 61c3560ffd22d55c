//! Places to go on from. Parts: a cursor, a query. Their bytes are also taken for the positions of a stream.

use super::{parts, text};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fieldhook_core::delivery::listing;
use fieldhook_core::history::{self, LIMIT_MAX};
use fieldhook_core::problem::Code;
use fieldhook_core::quarantine::Position;
use fieldhook_core::request::{Body, Headers, Request};
use fieldhook_core::stream;
use fieldhook_core::stream::cursor::Cursor;

/// What crosses into JavaScript as a double.
const LAST: u64 = (1 << 53) - 1;
const SHARDS: usize = 64;

pub fn check(data: &[u8]) {
    let [given, query] = parts(data);
    let (given, query) = (text(given), text(query));
    match Cursor::decode(&given) {
        Ok(cursor) => is_a_place(&cursor, &given),
        Err(problem) => assert_eq!(problem.code, Code::BadCursor),
    }
    is_written_and_read(data);

    if let Some(position) = Position::parse(&given) {
        assert_eq!(Position::parse(&position.to_id()), Some(position));
    }
    let url = format!("https://x.dev/v1/devices/d/events?{query}");
    let request = Request::new("GET", &url, Headers::default(), Body::Bytes(Vec::new()));
    reads_a_history(&request);
    reads_attempts(&request);
    if let Ok(Some(cursor)) = stream::request::after(&request) {
        assert_eq!(request.query_value("after").as_deref(), Some(&*cursor.encode()));
    }
}

/// One place has one text, and a text with another check byte is none.
fn is_a_place(cursor: &Cursor, given: &str) {
    assert_eq!(cursor.encode(), given);
    assert!(cursor.shards() <= SHARDS);
    assert!((0..SHARDS).all(|shard| cursor.position(shard) <= LAST));
    let bytes = URL_SAFE_NO_PAD.decode(given).expect("base64url");
    let (check, rest) = bytes.split_last().expect("a check byte");
    for wrong in (0..=255).filter(|byte| byte != check) {
        let mut bytes = rest.to_vec();
        bytes.push(wrong);
        assert!(Cursor::decode(&URL_SAFE_NO_PAD.encode(bytes)).is_err());
    }
    assert!(given.char_indices().all(|(cut, _)| Cursor::decode(&given[..cut]).is_err()), "{given}");
}

fn is_written_and_read(data: &[u8]) {
    let mut cursor = Cursor::default();
    let mut positions = Vec::new();
    for (shard, bytes) in data.chunks(5).take(SHARDS + 1).enumerate() {
        let position = bytes.iter().fold(0, |sum, byte| sum << 11 | u64::from(*byte));
        cursor.set(shard, position);
        positions.push(position.min(LAST));
    }
    positions.truncate(SHARDS);
    assert_eq!(Cursor::decode(&cursor.encode()).as_ref(), Ok(&cursor));
    assert!(positions.iter().enumerate().all(|(shard, position)| cursor.position(shard) == *position));
}

fn reads_a_history(request: &Request) {
    match history::Query::read(request) {
        Ok(query) => {
            assert!((1..=LIMIT_MAX).contains(&query.limit));
            assert!(query.after.is_none_or(|after| after <= LAST));
            let wire = serde_json::to_string(&query).expect("a query is written");
            assert_eq!(serde_json::from_str::<history::Query>(&wire).ok().as_ref(), Some(&query));
            if let Some(after) = query.after {
                let behind = query.behind(&after.to_string()).expect("a cursor of its own");
                assert_eq!((behind.after, behind.continued), (Some(after), true));
            }
        }
        Err(problem) => assert!(matches!(problem.code, Code::BadQuery | Code::BadCursor), "{problem:?}"),
    }
}

fn reads_attempts(request: &Request) {
    match listing::Query::read(request, "i", 100) {
        Ok(query) => {
            let wire = serde_json::to_string(&query).expect("a query is written");
            assert_eq!(serde_json::from_str::<listing::Query>(&wire).ok().as_ref(), Some(&query));
            let Some((at, id)) = &query.before else { return };
            let encoded: String = form_urlencoded::byte_serialize(id.as_bytes()).collect();
            let url = format!("https://x.dev/?after={}.{encoded}", at.millis());
            let again = Request::new("GET", &url, Headers::default(), Body::Bytes(Vec::new()));
            let again = listing::Query::read(&again, "i", 100).map(|query| query.before);
            assert_eq!(again, Ok(query.before));
        }
        Err(problem) => assert!(matches!(problem.code, Code::BadQuery | Code::BadCursor), "{problem:?}"),
    }
}
