//! Reading a log: what a query asks for, and the page it gets as JSON, JSON Lines or CSV
//! (DESIGN.md, "Reading").

use crate::clock::Time;
use crate::json;
use crate::log::{Row, View};
use crate::problem::{Code, Problem, Result};
use crate::request::Request;
use serde::{Deserialize, Serialize};

/// Rows on a page, if the query does not say.
pub const LIMIT: usize = 100;
/// The most rows on a page.
pub const LIMIT_MAX: usize = 1_000;
/// A page ends early at this size, bytes: it crosses an object call whole.
pub const PAGE_BYTES: usize = 1024 * 1024;

/// What part of a log is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Query {
    /// The cursor: rows behind this one, in the order asked for.
    pub after: Option<u64>,
    pub descending: bool,
    /// Earliest and latest time of arrival, both inclusive.
    pub from: Option<Time>,
    pub to: Option<Time>,
    /// A prefix of the event's name, as in Particle's own filters.
    pub event: Option<String>,
    pub limit: usize,
    pub format: Format,
    /// Every page in one answer: asked for as JSON Lines or CSV, without a limit.
    pub whole: bool,
    /// A later page of such an answer, which has its head already.
    pub continued: bool,
}

/// How a page is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Format {
    Json,
    JsonLines,
    Csv,
}

impl Format {
    pub fn content_type(self) -> &'static str {
        match self {
            Format::Json => "application/json",
            Format::JsonLines => "application/x-ndjson",
            Format::Csv => "text/csv; charset=utf-8",
        }
    }

    /// By `?format=json|ndjson|csv`, else by Accept.
    fn of(request: &Request) -> Result<Self> {
        match request.query_value("format").as_deref() {
            Some("json") => return Ok(Format::Json),
            Some("ndjson" | "jsonl") => return Ok(Format::JsonLines),
            Some("csv") => return Ok(Format::Csv),
            Some(_) => return Err(bad("format", "must be json, ndjson or csv")),
            None => {}
        }
        let accept = request.headers.get("accept").unwrap_or_default();
        let named = accept.split([',', ';']).map(str::trim);
        for media in named {
            match media {
                "application/x-ndjson" | "application/ndjson" | "application/jsonl" => {
                    return Ok(Format::JsonLines);
                }
                "text/csv" => return Ok(Format::Csv),
                "application/json" => return Ok(Format::Json),
                _ => {}
            }
        }
        Ok(Format::Json)
    }
}

impl Query {
    /// # Errors
    /// `bad-query` or `bad-cursor`, naming the parameter.
    pub fn read(request: &Request) -> Result<Self> {
        let after = match request.query_value("after") {
            None => None,
            Some(text) => Some(text.parse::<u64>().ok().filter(|seq| *seq <= SEQ_MAX).ok_or_else(|| {
                Problem::field(Code::BadCursor, "after", "take the cursor from `next` of the page before")
            })?),
        };
        let descending = match request.query_value("order").as_deref() {
            None | Some("asc") => false,
            Some("desc") => true,
            Some(_) => return Err(bad("order", "must be asc or desc")),
        };
        let format = Format::of(request)?;
        let whole = format != Format::Json && request.query_value("limit").is_none();
        Ok(Query {
            after,
            descending,
            from: time(request, "from")?,
            to: time(request, "to")?,
            event: event_prefix(request),
            limit: if whole { LIMIT_MAX } else { limit(request)? },
            format,
            whole,
            continued: false,
        })
    }

    /// The query of the page behind a cursor, in the same answer.
    ///
    /// # Errors
    /// `internal` for what is no cursor of a page.
    pub fn behind(&self, next: &str) -> Result<Self> {
        let after = next.parse().map_err(|_| Problem::new(Code::Internal, "the cursor cannot be read"))?;
        Ok(Query { after: Some(after), continued: true, ..self.clone() })
    }
}

/// Integers cross into JavaScript as doubles.
const SEQ_MAX: u64 = (1 << 53) - 1;

/// `?limit=`, the same for every list.
pub fn limit(request: &Request) -> Result<usize> {
    match request.query_value("limit") {
        None => Ok(LIMIT),
        Some(text) => text
            .parse()
            .ok()
            .filter(|limit| (1..=LIMIT_MAX).contains(limit))
            .ok_or_else(|| bad("limit", &format!("must be a number from 1 to {LIMIT_MAX}"))),
    }
}

/// A query's time, such as `?from=`.
pub(crate) fn time(request: &Request, name: &str) -> Result<Option<Time>> {
    match request.query_value(name) {
        None => Ok(None),
        Some(text) => Time::parse(&text)
            .map(Some)
            .ok_or_else(|| bad(name, "must be a time such as 2026-01-31T12:00:00Z")),
    }
}

/// `?event=`; an empty one picks nothing.
pub(crate) fn event_prefix(request: &Request) -> Option<String> {
    request.query_value("event").map(|text| text.into_owned()).filter(|text| !text.is_empty())
}

pub(crate) fn bad(name: &str, why: &str) -> Problem {
    Problem::field(Code::BadQuery, name, format!("{name} {why}"))
}

/// A page, written.
#[derive(Debug, Serialize, Deserialize)]
pub struct Page {
    pub body: String,
    pub next: Option<String>,
}

/// Writes rows until the page is full.
#[derive(Debug)]
pub struct Writer {
    format: Format,
    limit: usize,
    body: String,
    count: usize,
    last: u64,
    more: bool,
}

impl Writer {
    pub fn new(query: &Query) -> Self {
        let body = match query.format {
            Format::Json => r#"{"events":["#.to_owned(),
            Format::JsonLines => String::new(),
            Format::Csv if query.continued => String::new(),
            Format::Csv => CSV_HEAD.to_owned(),
        };
        Writer { format: query.format, limit: query.limit, body, count: 0, last: 0, more: false }
    }

    /// Takes one row; answers whether it wants another. Ask for one row more than the limit: that there is
    /// one tells that the page has a next.
    pub fn push(&mut self, row: Row) -> Result<bool> {
        if self.count == self.limit || self.body.len() >= PAGE_BYTES {
            self.more = true;
            return Ok(false);
        }
        self.last = row.seq;
        let view = row.view()?;
        match self.format {
            Format::Json => {
                if self.count > 0 {
                    self.body.push(',');
                }
                self.body.push_str(&to_json(&view)?);
            }
            Format::JsonLines => {
                self.body.push_str(&to_json(&view)?);
                self.body.push('\n');
            }
            Format::Csv => write_csv(&mut self.body, &view),
        }
        self.count += 1;
        Ok(true)
    }

    pub fn finish(mut self) -> Page {
        let next = self.more.then(|| self.last.to_string());
        if self.format == Format::Json {
            self.body.push_str("],\"next\":");
            match &next {
                Some(next) => self.body.push_str(&format!("\"{next}\"}}")),
                None => self.body.push_str("null}"),
            }
        }
        Page { body: self.body, next }
    }
}

fn to_json(view: &View) -> Result<String> {
    serde_json::to_string(view).map_err(|_| Problem::new(Code::Internal, "a row cannot be written"))
}

const CSV_HEAD: &str = "seq,id,event,data,coreid,published_at,received_at,source,product_id,fw_version\r\n";

/// RFC 4180. A cell that a spreadsheet would run as a formula is prefixed with an apostrophe.
fn write_csv(out: &mut String, view: &View) {
    let data = match json::read::<String>(view.data.get()) {
        Ok(text) => text,
        Err(_) => view.data.get().to_owned(),
    };
    let seq = view.seq.to_string();
    let none = String::new();
    let cells: [&str; 10] = [
        &seq,
        &view.id,
        &view.event,
        &data,
        &view.coreid,
        &view.published_at,
        &view.received_at,
        &view.source,
        view.product_id.as_ref().unwrap_or(&none),
        view.fw_version.as_ref().unwrap_or(&none),
    ];
    for (index, cell) in cells.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        let formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']);
        let quoted = cell.contains(['"', ',', '\n', '\r']);
        if quoted {
            out.push('"');
        }
        if formula {
            out.push('\'');
        }
        out.push_str(&cell.replace('"', "\"\""));
        if quoted {
            out.push('"');
        }
    }
    out.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::{Body, Headers};

    fn query(text: &str) -> Result<Query> {
        let url = format!("https://x.dev/v1/devices/d/history?{text}");
        Query::read(&Request::new("GET", &url, Headers::default(), Body::Bytes(Vec::new())))
    }

    fn row(seq: u64, data: &str) -> Row {
        Row {
            seq,
            received_at: Time::from_millis(0),
            event: "t".into(),
            data: data.into(),
            details: r#"{"id":"=1+1","coreid":"d","published_at":0,"source":"default"}"#.into(),
        }
    }

    fn page(text: &str, rows: Vec<Row>) -> Page {
        let mut writer = Writer::new(&query(text).unwrap());
        for row in rows {
            if !writer.push(row).unwrap() {
                break;
            }
        }
        writer.finish()
    }

    #[test]
    fn a_page_names_its_next_only_if_there_is_one() {
        let full = page("limit=2", vec![row(1, "1"), row(2, "2"), row(3, "3")]);
        assert_eq!(full.next.as_deref(), Some("2"));
        assert!(full.body.ends_with(r#"],"next":"2"}"#), "{}", full.body);
        let whole = page("limit=2", vec![row(1, "1"), row(2, "2")]);
        assert!(whole.next.is_none() && whole.body.ends_with(r#"],"next":null}"#));
    }

    #[test]
    fn csv_cells_are_quoted_and_never_formulas() {
        let page = page("format=csv", vec![row(1, "a \"b\", c"), row(2, "-1")]);
        let lines: Vec<&str> = page.body.lines().collect();
        assert!(lines[1].starts_with(r#"1,'=1+1,t,"a ""b"", c",d,"#), "{}", lines[1]);
        assert!(lines[2].starts_with("2,'=1+1,t,'-1,d,"), "{}", lines[2]);
    }

    #[test]
    fn without_a_limit_all_pages_are_one_answer_with_one_head() {
        let first = query("format=csv&order=desc").unwrap();
        assert_eq!((first.whole, first.limit), (true, LIMIT_MAX));
        let second = first.behind("7").unwrap();
        assert_eq!((second.after, second.descending), (Some(7), true));
        let bodies = [first, second].map(|query| Writer::new(&query).finish().body);
        assert_eq!(bodies, [CSV_HEAD, ""]);
        assert!(!query("format=csv&limit=1000").unwrap().whole && !query("format=json").unwrap().whole);
    }

    #[test]
    fn json_lines_are_one_line_each() {
        let page = page("format=ndjson", vec![row(1, "{\n\"a\": 1}"), row(2, "x\ny")]);
        assert_eq!(page.body.lines().count(), 2);
        assert!(page.body.contains(r#""data":{ "a": 1}"#) && page.body.contains(r#""data":"x\ny""#));
    }

    #[test]
    fn bad_parameters_are_named() {
        for (text, field) in [
            ("limit=0", "limit"),
            ("limit=1001", "limit"),
            ("order=up", "order"),
            ("from=yesterday", "from"),
            ("format=xml", "format"),
        ] {
            let problem = query(text).unwrap_err();
            assert_eq!((problem.code, problem.field.as_deref()), (Code::BadQuery, Some(field)));
        }
        assert_eq!(query("after=x").unwrap_err().code, Code::BadCursor);
    }
}
