//! A log as a chart: count, least, mean and greatest of one number per bucket of time
//! (DESIGN.md, "Reading").
//!
//! A log is read in pieces, each a call to its object, so that a long one holds up no event: [`Plan`] is what a
//! piece is asked for, [`Series`] what all of them come to. Not here: SQL.

mod number;

pub use number::number_at;

use crate::clock::Time;
use crate::history::{event_prefix, time};
use crate::problem::{Code, Problem, Result};
use crate::request::Request;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Buckets, if the query does not say.
pub const BUCKETS: u64 = 100;
/// The most buckets.
pub const BUCKETS_MAX: u64 = 2_000;
/// How far back, if the query does not say, milliseconds.
pub const SPAN: i64 = 24 * 60 * 60 * 1000;
/// The longest `?field=`, bytes.
pub const FIELD_MAX: usize = 512;
/// Rows that one call looks at: some tenths of a second in the object, between two of which events get in.
pub const ROWS_PER_CALL: u64 = 20_000;
/// Bytes of data after which a call ends all the same: rows may be large.
pub const BYTES_PER_CALL: usize = 16 * 1024 * 1024;
/// How much later than its successor an event may have arrived, milliseconds: isolates have clocks of their own.
pub const DISORDER: i64 = 60_000;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// A dotted path into the data; empty for data that is itself a number.
    pub field: String,
    /// Earliest and latest time of arrival, both inclusive.
    pub from: Time,
    pub to: Time,
    /// Of a bucket, milliseconds; never 0.
    pub width: u64,
    /// A prefix of the event's name.
    pub event: Option<String>,
    /// Where the piece before ended: only rows behind this one are looked at.
    pub after: Option<u64>,
}

impl Plan {
    /// # Errors
    /// `bad-query`, naming the parameter.
    pub fn read(request: &Request, now: Time) -> Result<Self> {
        let bad = |name: &str, why: String| Problem::field(Code::BadQuery, name, format!("{name} {why}"));
        let field = request.query_value("field").unwrap_or_default().into_owned();
        if field.len() > FIELD_MAX {
            return Err(bad("field", format!("has at most {FIELD_MAX} bytes")));
        }
        let to = time(request, "to")?.unwrap_or(now);
        let from = time(request, "from")?.unwrap_or_else(|| to.plus_millis(-SPAN));
        if from > to {
            return Err(bad("from", "must not be later than to".to_owned()));
        }
        let buckets = match request.query_value("buckets") {
            None => BUCKETS,
            Some(text) => {
                let number = text.parse().ok().filter(|number| (1..=BUCKETS_MAX).contains(number));
                number.ok_or_else(|| bad("buckets", format!("must be a number from 1 to {BUCKETS_MAX}")))?
            }
        };
        let width = from.distance(to).unsigned_abs().div_ceil(buckets).max(1);
        let event = event_prefix(request);
        Ok(Plan { field, from, to, width, event, after: None })
    }

    /// The bucket of a time; `None` outside the span. The span's last instant belongs to the last bucket, so that
    /// a day in 24 buckets is one of hours.
    fn bucket(&self, at: Time) -> Option<u64> {
        if !(self.from..=self.to).contains(&at) {
            return None;
        }
        let last = self.from.distance(self.to).unsigned_abs().div_ceil(self.width.max(1)).saturating_sub(1);
        let number = self.from.distance(at).unsigned_abs().checked_div(self.width)?;
        Some(number.min(last))
    }
}

/// What the numbers of one bucket come to.
///
/// The sum is kept scaled by a power of two, so that no number of doubles overflows it, and compensated
/// (Neumaier, "Rundungsfehleranalyse einiger Verfahren zur Summation endlicher Summen", 1974), so that neither
/// the order nor the number of them shows in the mean.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bucket {
    pub count: u64,
    #[serde(with = "bits")]
    pub min: f64,
    #[serde(with = "bits")]
    pub max: f64,
    #[serde(with = "bits")]
    sum: f64,
    #[serde(with = "bits")]
    lost: f64,
}

/// 2^-64: exact for every double that is not next to nothing.
const SCALE: f64 = 1.0 / 18_446_744_073_709_551_616.0;

impl Bucket {
    fn of(number: f64) -> Self {
        Bucket { count: 1, min: number, max: number, sum: number * SCALE, lost: 0.0 }
    }

    fn merge(&mut self, other: Bucket) {
        let sum = self.sum + other.sum;
        self.lost += other.lost;
        self.lost += match self.sum.abs() >= other.sum.abs() {
            true => (self.sum - sum) + other.sum,
            false => (other.sum - sum) + self.sum,
        };
        self.sum = sum;
        self.count += other.count;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    /// Never outside of `min` and `max`, whatever rounding does.
    pub fn mean(&self) -> f64 {
        let mean = (self.sum + self.lost) / self.count as f64 / SCALE;
        mean.max(self.min).min(self.max)
    }
}

/// The buckets that are not empty, by number.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Series {
    buckets: BTreeMap<u64, Bucket>,
    /// The last row that was looked at, if there are more.
    pub next: Option<u64>,
}

impl Series {
    /// Takes one row; what is no number, or outside the span, counts nothing.
    pub fn push(&mut self, plan: &Plan, received_at: Time, data: &str) {
        let Some(bucket) = plan.bucket(received_at) else { return };
        if let Some(number) = number_at(data, &plan.field) {
            self.add(bucket, Bucket::of(number));
        }
    }

    /// Takes what a later piece of the log came to.
    pub fn merge(&mut self, later: Series) {
        for (number, bucket) in later.buckets {
            self.add(number, bucket);
        }
        self.next = later.next;
    }

    fn add(&mut self, number: u64, more: Bucket) {
        self.buckets.entry(number).and_modify(|bucket| bucket.merge(more)).or_insert(more);
    }

    /// As `GET /v1/devices/{id}/series` shows it, JSON.
    pub fn show(&self, plan: &Plan) -> Result<String> {
        #[derive(Serialize)]
        struct Shown<'a> {
            field: &'a str,
            from: String,
            to: String,
            width: u64,
            buckets: Vec<ShownBucket>,
        }
        #[derive(Serialize)]
        struct ShownBucket {
            at: String,
            count: u64,
            min: f64,
            mean: f64,
            max: f64,
        }
        let start = |number: u64| {
            let offset = i64::try_from(number.saturating_mul(plan.width)).unwrap_or(i64::MAX);
            plan.from.plus_millis(offset).to_string()
        };
        let bucket = |(number, bucket): (&u64, &Bucket)| ShownBucket {
            at: start(*number),
            count: bucket.count,
            min: bucket.min,
            mean: bucket.mean(),
            max: bucket.max,
        };
        let shown = Shown {
            field: &plan.field,
            from: plan.from.to_string(),
            to: plan.to.to_string(),
            width: plan.width,
            buckets: self.buckets.iter().map(bucket).collect(),
        };
        serde_json::to_string(&shown)
            .map_err(|_| Problem::new(Code::Internal, "the series cannot be written"))
    }
}

/// The first number from `low` on, and below `high`, that is not `before`, else `high`: a row is found by its time
/// in as many looks as the log's length has binary digits.
///
/// ```
/// use fieldhook_core::series::first_not;
/// assert_eq!(first_not(1, 100, |seq| Ok(seq < 42)), Ok(42));
/// ```
pub fn first_not(low: u64, high: u64, before: impl Fn(u64) -> Result<bool>) -> Result<u64> {
    let (mut low, mut high) = (low, high);
    while low < high {
        let middle = low + (high - low) / 2;
        match before(middle)? {
            true => low = middle + 1,
            false => high = middle,
        }
    }
    Ok(low)
}

/// Doubles cross an object call as their bits: read back from decimal digits they could differ in the last.
mod bits {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        number.to_bits().serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        u64::deserialize(deserializer).map(f64::from_bits)
    }
}

#[cfg(test)]
mod tests;
