//! Reading an answer out of the bytes that have arrived so far: head, then a body by length, by chunks, or
//! until the connection ends (RFC 9112, sections 4 to 7).

/// The largest head, and the largest answer, that is read.
const HEAD_MAX: usize = 64 * 1024;
pub const ANSWER_MAX: usize = 32 * 1024 * 1024;
const HEADERS_MAX: usize = 100;
/// How many 1xx may come before the answer.
const INTERIM_MAX: usize = 16;

/// A whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Whether the connection can carry another request.
    pub reusable: bool,
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }
}

/// What the bytes so far amount to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    More,
    Done(Response),
}

/// Why the bytes are no answer.
pub type Bad = String;

struct Head {
    status: u16,
    headers: Vec<(String, String)>,
    length: usize,
    persistent: bool,
}

enum Framing {
    Length(usize),
    Chunked,
    UntilClosed,
}

/// Reads the answer that `bytes` begin with; `closed` says that no more will come.
pub fn read(bytes: &[u8], closed: bool) -> Result<Progress, Bad> {
    if bytes.len() > ANSWER_MAX {
        return Err(format!("the answer is larger than {ANSWER_MAX} bytes"));
    }
    let mut rest = bytes;
    // 1xx are not the answer yet. 101 would be the end of HTTP; nobody asked for it.
    for _ in 0..=INTERIM_MAX {
        let Some(head) = head(rest)? else { return Ok(Progress::More) };
        rest = rest.get(head.length..).unwrap_or_default();
        if !(100..200).contains(&head.status) {
            return body(head, rest, closed);
        }
    }
    Err(format!("Parse Error: more than {INTERIM_MAX} answers of 1xx"))
}

/// The answer whose head was read, if the body is there too.
fn body(head: Head, rest: &[u8], closed: bool) -> Result<Progress, Bad> {
    let framing = framing(&head)?;
    let until_closed = matches!(framing, Framing::UntilClosed);
    let body = match framing {
        Framing::Length(length) => rest.get(..length).map(<[u8]>::to_vec),
        Framing::Chunked => chunked(rest)?,
        Framing::UntilClosed => closed.then(|| rest.to_vec()),
    };
    let Some(body) = body else { return Ok(Progress::More) };
    let Head { status, headers, persistent, .. } = head;
    Ok(Progress::Done(Response { status, headers, body, reusable: persistent && !until_closed && !closed }))
}

fn head(bytes: &[u8]) -> Result<Option<Head>, Bad> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Response::new(&mut headers);
    let length = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) if bytes.len() > HEAD_MAX => return Err("the head is too large".into()),
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(format!("Parse Error: {error}")),
    };
    let version_1_1 = parsed.version == Some(1);
    let headers: Vec<(String, String)> = parsed
        .headers
        .iter()
        .map(|header| (header.name.to_ascii_lowercase(), String::from_utf8_lossy(header.value).into_owned()))
        .collect();
    let close = headers.iter().any(|(name, value)| name == "connection" && has_token(value, "close"));
    let status = parsed.code.unwrap_or_default();
    Ok(Some(Head { status, headers, length, persistent: version_1_1 && !close }))
}

fn framing(head: &Head) -> Result<Framing, Bad> {
    let find = |name: &str| head.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value);
    if matches!(head.status, 204 | 304) {
        return Ok(Framing::Length(0));
    }
    if let Some(coding) = find("transfer-encoding") {
        return Ok(if has_token(coding, "chunked") { Framing::Chunked } else { Framing::UntilClosed });
    }
    match find("content-length") {
        None => Ok(Framing::UntilClosed),
        Some(length) => match length.trim().parse() {
            Ok(length) if length <= ANSWER_MAX => Ok(Framing::Length(length)),
            _ => Err("Parse Error: Invalid content-length".into()),
        },
    }
}

fn has_token(value: &str, token: &str) -> bool {
    value.split(',').any(|part| part.trim().eq_ignore_ascii_case(token))
}

/// The body of whole chunks; `None` while the last one is not there. Trailers are passed over.
fn chunked(mut rest: &[u8]) -> Result<Option<Vec<u8>>, Bad> {
    let mut body = Vec::new();
    loop {
        let (start, size) = match httparse::parse_chunk_size(rest) {
            Ok(httparse::Status::Complete(found)) => found,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) => return Err("Parse Error: Invalid chunk size".into()),
        };
        let Some(size) = usize::try_from(size).ok().filter(|size| *size <= ANSWER_MAX) else {
            return Err("Parse Error: Invalid chunk size".into());
        };
        let after = rest.get(start..).unwrap_or_default();
        if size == 0 {
            let ends = after.starts_with(b"\r\n") || after.windows(4).any(|four| four == b"\r\n\r\n");
            return Ok(ends.then_some(body));
        }
        let (Some(data), Some(end)) = (after.get(..size), after.get(size..size + 2)) else { return Ok(None) };
        if end != b"\r\n" {
            return Err("Parse Error: Expected CRLF after chunk".into());
        }
        body.extend_from_slice(data);
        rest = after.get(size + 2..).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHUNKED: &[u8] =
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1;x=y\r\n!\r\n0\r\n\r\n";

    fn done(bytes: &[u8], closed: bool) -> Response {
        match read(bytes, closed) {
            Ok(Progress::Done(response)) => response,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn chunks_are_joined_and_every_prefix_waits_for_more() {
        assert_eq!(done(CHUNKED, false).body, b"hello!");
        for end in 0..CHUNKED.len() {
            assert_eq!(read(&CHUNKED[..end], false), Ok(Progress::More), "{end}");
        }
    }

    #[test]
    fn a_body_ends_by_length_by_status_or_with_the_connection() {
        let by_length = done(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false);
        assert_eq!((by_length.body.as_slice(), by_length.reusable), (b"ok".as_slice(), true));
        assert!(done(b"HTTP/1.1 204 No Content\r\n\r\n", false).body.is_empty());
        let open = b"HTTP/1.1 200 OK\r\n\r\nok";
        assert_eq!(read(open, false), Ok(Progress::More));
        assert_eq!((done(open, true).body.as_slice(), done(open, true).reusable), (b"ok".as_slice(), false));
    }

    #[test]
    fn what_comes_before_the_answer_is_passed_over() {
        let bytes = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(done(bytes, false).status, 404);
    }

    #[test]
    fn a_server_that_only_ever_announces_an_answer_is_refused() {
        let announced = |count: usize| b"HTTP/1.1 100 Continue\r\n\r\n".repeat(count);
        let few = [announced(9), b"HTTP/1.1 204 No Content\r\n\r\n".to_vec()].concat();
        assert_eq!(done(&few, false).status, 204);
        assert!(read(&announced(100_000), false).is_err());
    }

    #[test]
    fn what_is_no_http_is_refused() {
        for bytes in [
            b"SSH-2.0-OpenSSH_9.2\r\n\r\n".as_slice(),
            b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc",
        ] {
            assert!(read(bytes, false).is_err(), "{}", String::from_utf8_lossy(bytes));
        }
    }
}
