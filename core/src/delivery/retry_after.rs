//! `Retry-After`: a number of seconds, or a date (RFC 9110, 10.2.3 and 5.6.7).

use crate::clock::Time;
use time::{Date, Month, PrimitiveDateTime, UtcOffset};

/// What a service can ask to wait at most, milliseconds: 24 h, the longest pause of the schedule itself.
pub const RETRY_AFTER_MAX: i64 = 86_400_000;

/// How long to wait from now, milliseconds; never negative, never over [`RETRY_AFTER_MAX`]. `None` for what cannot be
/// read: the schedule decides then.
///
/// ```
/// use fieldhook_core::clock::Time;
/// use fieldhook_core::delivery::retry_after::read;
/// let now = Time::parse("1994-11-06T08:49:00Z").unwrap();
/// assert_eq!(read("120", now), Some(120_000));
/// assert_eq!(read("99999999999999999999", now), Some(86_400_000));
/// assert_eq!(read("Sun, 06 Nov 1994 08:49:37 GMT", now), Some(37_000));
/// assert_eq!(read("Sun, 06 Nov 1994 07:00:00 GMT", now), Some(0)); // it is over
/// assert_eq!(read("soon", now), None);
/// ```
pub fn read(text: &str, now: Time) -> Option<i64> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        // A number that is too large to be read is larger than the limit too.
        let seconds = text.parse::<i64>().unwrap_or(i64::MAX);
        return Some(seconds.saturating_mul(1_000).min(RETRY_AFTER_MAX));
    }
    let at = http_date(text, now)?;
    Some(at.millis().saturating_sub(now.millis()).clamp(0, RETRY_AFTER_MAX))
}

/// The three formats that a recipient must accept. The name of the day is not looked at.
fn http_date(text: &str, now: Time) -> Option<Time> {
    let words: Vec<&str> = text.split([' ', ',', '-']).filter(|word| !word.is_empty()).collect();
    let (day, month, year, clock) = match words.as_slice() {
        // Sun, 06 Nov 1994 08:49:37 GMT, or Sunday, 06-Nov-94 08:49:37 GMT
        [_, day, month, year, clock, "GMT" | "UTC"] => (day, month, year, clock),
        // Sun Nov  6 08:49:37 1994
        [_, month, day, clock, year] => (day, month, year, clock),
        _ => return None,
    };
    let month = MONTHS.iter().position(|name| name.eq_ignore_ascii_case(month))?;
    let month = Month::try_from(u8::try_from(month + 1).ok()?).ok()?;
    let date = Date::from_calendar_date(full_year(year, now)?, month, number(day)?).ok()?;
    let mut parts = clock.split(':');
    let (hour, minute, second) = (parts.next()?, parts.next()?, parts.next()?);
    // A leap second is as good as the one before it.
    let second = number(second)?.min(59);
    let at = date.with_hms(number(hour)?, number(minute)?, second).ok()?;
    let seconds = PrimitiveDateTime::assume_offset(at, UtcOffset::UTC).unix_timestamp();
    parts.next().is_none().then(|| Time::from_millis(seconds.saturating_mul(1_000)))
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Two digits mean the year that is nearest without lying more than 50 years ahead (RFC 9110, 5.6.7).
fn full_year(text: &str, now: Time) -> Option<i32> {
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    match (text.len(), text.parse::<i32>().ok()?) {
        (4, year) => Some(year),
        (2, short) => {
            let this: i32 = now.to_string().get(..4)?.parse().ok()?;
            let year = this - this.rem_euclid(100) + short;
            Some(if year > this + 50 { year - 100 } else { year })
        }
        _ => None,
    }
}

fn number(text: &str) -> Option<u8> {
    let digits = (1..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn now() -> Time {
        Time::parse("1994-11-06T08:49:00Z").unwrap()
    }

    #[test]
    fn the_three_formats_of_a_date_mean_the_same() {
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            " Sun, 06 Nov 1994 08:49:37 GMT ",
        ] {
            assert_eq!(read(text, now()), Some(37_000), "{text}");
        }
    }

    #[test]
    fn what_is_neither_seconds_nor_a_date_is_nothing() {
        for text in [
            "",
            "-5",
            "1.5",
            "+3",
            "5s",
            "Sun, 31 Feb 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 25:49:37 GMT",
            "Sun, 06 Nov 1994 08:49 GMT",
            "Sun, 06 Nov 1994 08:49:37 CET",
            "Sun, 06 Foo 1994 08:49:37 GMT",
            "Sun, 06 Nov 19940 08:49:37 GMT",
        ] {
            assert_eq!(read(text, now()), None, "{text}");
        }
        assert_eq!(read("Sun, 06 Nov 2094 08:49:37 GMT", now()), Some(RETRY_AFTER_MAX));
    }

    proptest! {
        #[test]
        fn no_text_panics_and_no_wait_is_out_of_bounds(text in ".*", millis in 0..253_402_300_799_999i64) {
            let after = read(&text, Time::from_millis(millis));
            prop_assert!(after.is_none_or(|after| (0..=RETRY_AFTER_MAX).contains(&after)));
        }

        #[test]
        fn a_date_in_words_is_the_time_it_says(seconds in 0..4_102_444_800i64, ahead in 0..86_400i64) {
            let now = Time::from_millis(seconds * 1_000);
            let then = now.plus_millis(ahead * 1_000).to_string();
            let (date, clock) = (then.get(..10).unwrap(), then.get(11..19).unwrap());
            let parts: Vec<&str> = date.split('-').collect();
            let month = MONTHS[parts[1].parse::<usize>().unwrap() - 1];
            let text = format!("Mon, {} {month} {} {clock} GMT", parts[2], parts[0]);
            prop_assert_eq!(read(&text, now), Some(ahead * 1_000));
        }
    }
}
