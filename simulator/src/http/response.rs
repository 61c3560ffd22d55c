//! Reading an answer as its bytes arrive: head, then a body by length, by chunks, or until the connection ends
//! (RFC 9112, sections 4 to 7).

/// The largest head, line of a chunk's size, and trailer; and the largest answer, all in all.
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

/// Why the bytes are no answer.
pub type Bad = String;

#[derive(Default)]
struct Head {
    status: u16,
    headers: Vec<(String, String)>,
    persistent: bool,
}

/// What has to come next.
#[derive(Default)]
enum Next {
    #[default]
    Head,
    /// So many bytes, which end the body.
    Body(usize),
    UntilClosed,
    ChunkSize,
    /// So many bytes, and the line's end behind them.
    Chunk(usize),
    Trailers,
}

/// What a step has done with the bytes it saw.
enum Step {
    /// It took so many of them, and the next one can be tried.
    Took(usize),
    More,
    /// It took so many of them, and that is the end of the answer.
    Done(usize),
}

/// Reads one answer, however it is cut. No byte of a body is looked at twice; what can be read only as a whole (a
/// head, a chunk's size, the trailers) is, for each time that bytes arrive, tried anew, up to `HEAD_MAX`.
#[derive(Default)]
pub struct Reader {
    next: Next,
    /// What has arrived of something that can be read only as a whole.
    held: Vec<u8>,
    taken: usize,
    interim: usize,
    head: Head,
    body: Vec<u8>,
}

impl Reader {
    /// Goes on with the bytes that have arrived, and gives the answer if they end it.
    ///
    /// # Errors
    /// Why they are no answer. There is no going on then.
    pub fn read(&mut self, bytes: &[u8]) -> Result<Option<Response>, Bad> {
        self.taken = self.taken.saturating_add(bytes.len());
        if self.taken > ANSWER_MAX {
            return Err(format!("the answer is larger than {ANSWER_MAX} bytes"));
        }
        let mut held = std::mem::take(&mut self.held);
        held.extend_from_slice(bytes);
        let mut rest = held.as_slice();
        loop {
            match self.step(rest)? {
                Step::Took(count) => rest = rest.get(count..).unwrap_or_default(),
                Step::More => break,
                // What comes behind an answer belongs to none: no other request goes that way.
                Step::Done(count) => return Ok(Some(self.response(count == rest.len()))),
            }
        }
        let read = held.len() - rest.len();
        held.drain(..read);
        self.held = held;
        Ok(None)
    }

    /// The answer that ends with its connection, if this one does.
    pub fn closed(&mut self) -> Option<Response> {
        matches!(self.next, Next::UntilClosed).then(|| self.response(false))
    }

    fn response(&mut self, whole: bool) -> Response {
        let headers = std::mem::take(&mut self.head.headers);
        let body = std::mem::take(&mut self.body);
        Response { status: self.head.status, headers, body, reusable: whole && self.head.persistent }
    }

    fn step(&mut self, rest: &[u8]) -> Result<Step, Bad> {
        match self.next {
            Next::Head => self.read_head(rest),
            Next::Body(0) => Ok(Step::Done(0)),
            Next::Body(left) => Ok(self.take_body(rest, left, Next::Body)),
            Next::UntilClosed => Ok(self.take_body(rest, usize::MAX, |_| Next::UntilClosed)),
            Next::ChunkSize => self.read_chunk_size(rest),
            Next::Chunk(0) => self.end_chunk(rest),
            Next::Chunk(left) => Ok(self.take_body(rest, left, Next::Chunk)),
            Next::Trailers => read_trailers(rest),
        }
    }

    fn read_head(&mut self, rest: &[u8]) -> Result<Step, Bad> {
        let Some((head, length)) = head(rest)? else { return Ok(Step::More) };
        // 1xx are not the answer yet. 101 would be the end of HTTP; nobody asked for it.
        if (100..200).contains(&head.status) {
            self.interim += 1;
            if self.interim > INTERIM_MAX {
                return Err(format!("Parse Error: more than {INTERIM_MAX} answers of 1xx"));
            }
            return Ok(Step::Took(length));
        }
        self.next = framing(&head)?;
        self.head = head;
        Ok(Step::Took(length))
    }

    fn take_body(&mut self, rest: &[u8], left: usize, next: impl FnOnce(usize) -> Next) -> Step {
        let taken = rest.get(..left).unwrap_or(rest);
        if taken.is_empty() {
            return Step::More;
        }
        self.body.extend_from_slice(taken);
        self.next = next(left - taken.len());
        Step::Took(taken.len())
    }

    fn read_chunk_size(&mut self, rest: &[u8]) -> Result<Step, Bad> {
        let bad = || Err("Parse Error: Invalid chunk size".to_owned());
        // To httparse no digit at all is a zero, which would end the answer.
        if rest.first().is_some_and(|first| !first.is_ascii_hexdigit()) {
            return bad();
        }
        match httparse::parse_chunk_size(within(rest)) {
            Ok(httparse::Status::Complete((length, size))) => match usize::try_from(size) {
                Ok(size) if size <= ANSWER_MAX => {
                    self.next = if size == 0 { Next::Trailers } else { Next::Chunk(size) };
                    Ok(Step::Took(length))
                }
                _ => bad(),
            },
            Ok(httparse::Status::Partial) if rest.len() < HEAD_MAX => Ok(Step::More),
            _ => bad(),
        }
    }

    fn end_chunk(&mut self, rest: &[u8]) -> Result<Step, Bad> {
        if rest.starts_with(b"\r\n") {
            self.next = Next::ChunkSize;
            return Ok(Step::Took(2));
        }
        if b"\r\n".starts_with(rest) {
            return Ok(Step::More);
        }
        Err("Parse Error: Expected CRLF after chunk".into())
    }
}

/// As much as is ever tried as a whole.
fn within(bytes: &[u8]) -> &[u8] {
    bytes.get(..HEAD_MAX).unwrap_or(bytes)
}

/// What httparse has read, `None` if more has to come for it, and may.
fn parsed<T>(result: httparse::Result<T>, bytes: &[u8], what: &str) -> Result<Option<T>, Bad> {
    match result {
        Ok(httparse::Status::Complete(parsed)) => Ok(Some(parsed)),
        Ok(httparse::Status::Partial) if bytes.len() < HEAD_MAX => Ok(None),
        Ok(httparse::Status::Partial) => Err(format!("{what} is larger than {HEAD_MAX} bytes")),
        Err(error) => Err(format!("Parse Error: {error}")),
    }
}

/// A head, and its length.
fn head(bytes: &[u8]) -> Result<Option<(Head, usize)>, Bad> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    let Some(length) = parsed(response.parse(within(bytes)), bytes, "the head")? else { return Ok(None) };
    let version_1_1 = response.version == Some(1);
    let headers: Vec<(String, String)> = response
        .headers
        .iter()
        .map(|header| (header.name.to_ascii_lowercase(), String::from_utf8_lossy(header.value).into_owned()))
        .collect();
    let close = headers.iter().any(|(name, value)| name == "connection" && has_token(value, "close"));
    let status = response.code.unwrap_or_default();
    Ok(Some((Head { status, headers, persistent: version_1_1 && !close }, length)))
}

fn framing(head: &Head) -> Result<Next, Bad> {
    let find = |name: &str| head.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value);
    if matches!(head.status, 204 | 304) {
        return Ok(Next::Body(0));
    }
    if let Some(coding) = find("transfer-encoding") {
        return Ok(if has_token(coding, "chunked") { Next::ChunkSize } else { Next::UntilClosed });
    }
    match find("content-length") {
        None => Ok(Next::UntilClosed),
        Some(length) => match length.trim().parse() {
            Ok(length) if length <= ANSWER_MAX => Ok(Next::Body(length)),
            _ => Err("Parse Error: Invalid content-length".into()),
        },
    }
}

/// Passes over what comes behind the last chunk, as far as the empty line.
fn read_trailers(rest: &[u8]) -> Result<Step, Bad> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let trailers = parsed(httparse::parse_headers(within(rest), &mut headers), rest, "the trailer")?;
    Ok(trailers.map_or(Step::More, |(length, _)| Step::Done(length)))
}

fn has_token(value: &str, token: &str) -> bool {
    value.split(',').any(|part| part.trim().eq_ignore_ascii_case(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHUNKED: &[u8] =
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1;x=y\r\n!\r\n0\r\n\r\n";

    fn read(bytes: &[u8], closed: bool) -> Result<Option<Response>, Bad> {
        let mut reader = Reader::default();
        let read = reader.read(bytes)?;
        Ok(read.or_else(|| if closed { reader.closed() } else { None }))
    }

    fn done(bytes: &[u8], closed: bool) -> Response {
        read(bytes, closed).unwrap().unwrap()
    }

    #[test]
    fn chunks_are_joined_and_every_prefix_waits_for_more() {
        assert_eq!(done(CHUNKED, false).body, b"hello!");
        for end in 0..CHUNKED.len() {
            assert_eq!(read(&CHUNKED[..end], false), Ok(None), "{end}");
        }
    }

    #[test]
    fn an_answer_is_the_same_however_it_is_cut() {
        let trailers =
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nA: b\r\nC: d\r\n\r\n";
        let length = b"HTTP/1.1 102 Wait\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
        for bytes in [CHUNKED, trailers, length] {
            let whole = done(bytes, false);
            assert!(whole.reusable);
            for size in 1..bytes.len() {
                let mut reader = Reader::default();
                let read = bytes.chunks(size).find_map(|piece| reader.read(piece).unwrap());
                assert_eq!(read.as_ref(), Some(&whole), "in pieces of {size}");
            }
        }
    }

    #[test]
    fn a_connection_with_bytes_behind_the_answer_carries_no_other() {
        for answer in ["204 No Content\r\n\r\n", "200 OK\r\nContent-Length: 2\r\n\r\nok"] {
            assert!(done(format!("HTTP/1.1 {answer}").as_bytes(), false).reusable);
            assert!(!done(format!("HTTP/1.1 {answer}HTTP/1.1 200 OK").as_bytes(), false).reusable);
        }
        assert!(!done(&[CHUNKED, b"x"].concat(), false).reusable);
    }

    #[test]
    fn what_does_not_end_is_refused() {
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        for (begins, goes_on, most) in [
            ("HTTP/1.1 200 OK\r\n".to_owned(), format!("A: {}\r\n", "y".repeat(6_000)), HEAD_MAX),
            ("HTTP/1.1 200 OK\r\nA: ".to_owned(), "y".repeat(6_000), HEAD_MAX),
            (format!("{chunked}5;"), "y".repeat(6_000), HEAD_MAX),
            (format!("{chunked}0\r\n"), format!("A: {}\r\n", "y".repeat(6_000)), HEAD_MAX),
            (format!("{chunked}0\r\nA: "), "y".repeat(6_000), HEAD_MAX),
            (chunked.to_owned(), "1\r\nx\r\n".repeat(1_000), ANSWER_MAX),
            ("HTTP/1.1 200 OK\r\n\r\n".to_owned(), "x".repeat(6_000), ANSWER_MAX),
        ] {
            let mut reader = Reader::default();
            assert_eq!(reader.read(begins.as_bytes()), Ok(None));
            let mut pieces = std::iter::repeat_n(goes_on.as_bytes(), 2 + most / 6_000);
            assert!(pieces.any(|piece| reader.read(piece).is_err()), "{begins}");
            assert!(reader.held.len() <= HEAD_MAX + 6_010);
        }
    }

    #[test]
    fn a_body_ends_by_length_by_status_or_with_the_connection() {
        let by_length = done(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false);
        assert_eq!((by_length.body.as_slice(), by_length.reusable), (b"ok".as_slice(), true));
        assert!(done(b"HTTP/1.1 204 No Content\r\n\r\n", false).body.is_empty());
        let open = b"HTTP/1.1 200 OK\r\n\r\nok";
        assert_eq!(read(open, false), Ok(None));
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
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nno trailer\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc",
        ] {
            assert!(read(bytes, false).is_err(), "{}", String::from_utf8_lossy(bytes));
        }
    }
}
