use super::*;
use crate::request::{Body, Headers};
use proptest::prelude::*;

const NOW: i64 = 1_800_000_000_000;

fn plan(query: &str) -> Result<Plan> {
    let url = format!("https://x.dev/v1/devices/d/series?{query}");
    let request = Request::new("GET", &url, Headers::default(), Body::Bytes(Vec::new()));
    Plan::read(&request, Time::from_millis(NOW))
}

fn at(millis: i64) -> Time {
    Time::from_millis(millis)
}

/// A plan of so many milliseconds from 0, in buckets of a width.
fn short_plan(span: i64, width: u64) -> Plan {
    let field = String::new();
    Plan { field, from: at(0), to: at(span - 1), width, event: None, after: None }
}

#[test]
fn the_last_day_in_a_hundred_buckets_unless_the_query_says_otherwise() {
    let default = plan("").unwrap();
    assert_eq!((default.from, default.to), (at(NOW - SPAN), at(NOW)));
    assert_eq!(default.width, 864_000);
    let named = plan("field=a.b&event=t&to=2026-01-02T00:00:00Z&buckets=24").unwrap();
    assert_eq!(named.from, Time::parse("2026-01-01T00:00:00Z").unwrap());
    assert_eq!((named.field.as_str(), named.event.as_deref()), ("a.b", Some("t")));
}

#[test]
fn bad_parameters_are_named() {
    let long = format!("field={}", "x".repeat(FIELD_MAX + 1));
    for (query, name) in [
        ("buckets=0", "buckets"),
        ("buckets=2001", "buckets"),
        ("buckets=-1", "buckets"),
        ("buckets=1.5", "buckets"),
        ("buckets=99999999999999999999", "buckets"),
        ("from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "from"),
        ("from=yesterday", "from"),
        ("to=1", "to"),
        (&long, "field"),
    ] {
        let problem = plan(query).unwrap_err();
        assert_eq!((problem.code, problem.field.as_deref()), (Code::BadQuery, Some(name)), "{query}");
    }
}

#[test]
fn a_number_is_found_by_its_path() {
    let deep = |depth: usize| format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
    for (data, path, expected) in [
        ("21.50", "", Some(21.5)),
        (" -3 ", "", Some(-3.0)),
        ("\"21.5\"", "", Some(21.5)),
        (" +21.5 ", "", Some(21.5)),
        ("-0", "", Some(0.0)),
        ("1E-7", "", Some(1e-7)),
        ("9007199254740993", "", Some(9_007_199_254_740_992.0)),
        ("1.7976931348623157e308", "", Some(f64::MAX)),
        ("1e309", "", None),
        ("-1e99999999999999999999", "", None),
        ("inf", "", None),
        ("NaN", "", None),
        ("0x10", "", None),
        ("", "", None),
        ("1 2", "", None),
        ("true", "", None),
        ("null", "", None),
        ("[1]", "", None),
        ("{\"a\":1}", "", None),
        ("21.5", "a", None),
        (r#"{"a":{"b":[0,{"c":7}]}}"#, "a.b.1.c", Some(7.0)),
        (r#"{"a":[5]}"#, "a.0", Some(5.0)),
        (r#"[[1,2],[3,4]]"#, "1.0", Some(3.0)),
        (r#"{"a":[5]}"#, "a.1", None),
        (r#"{"a":[5]}"#, "a.00", None),
        (r#"{"a":[5]}"#, "a.+0", None),
        (r#"{"a":[5]}"#, "a.-1", None),
        (r#"{"a":[5]}"#, "a.18446744073709551616", None),
        (r#"{"0":5}"#, "0", Some(5.0)),
        (r#"{"a.b":1}"#, "a.b", Some(1.0)),
        (r#"{"a":{"b.c":1}}"#, "a.b.c", Some(1.0)),
        (r#"{"a.b":1,"a":{"b":2}}"#, "a.b", Some(1.0)),
        (r#"{"a":1,"a":2}"#, "a", Some(2.0)),
        (r#"{"\u0061":3}"#, "a", Some(3.0)),
        (r#"{"":{"":4}}"#, ".", Some(4.0)),
        (r#"{"a":"4.5 "}"#, "a", Some(4.5)),
        (r#"{"a":"4,5"}"#, "a", None),
        (r#"{"a":false}"#, "a", None),
        (r#"{"a":1"#, "a", None),
        (r#"{"$serde_json::private::Number":"1"}"#, "", None),
        (r#"{"$serde_json::private::RawValue":"8"}"#, "$serde_json::private::RawValue", Some(8.0)),
        (r#"{"__proto__":9}"#, "__proto__", Some(9.0)),
        (&deep(64), &["a"; 64].join("."), Some(1.0)),
        (&deep(65), &["a"; 65].join("."), None),
    ] {
        assert_eq!(number_at(data, path), expected, "{data} at {path:?}");
    }
    assert!(number_at("-0.0", "").unwrap().is_sign_positive());
}

#[test]
fn buckets_hold_their_first_instant_and_not_their_last_but_for_the_last_of_all() {
    let plan = short_plan(31, 10);
    let mut series = Series::default();
    for (millis, data) in [(0, "1"), (9, "3"), (10, "5"), (30, "7"), (31, "9"), (15, "none")] {
        series.push(&plan, at(millis), data);
    }
    let shown = series.show(&plan).unwrap();
    let expected = [
        r#"{"at":"1970-01-01T00:00:00.000Z","count":2,"min":1.0,"mean":2.0,"max":3.0}"#,
        r#"{"at":"1970-01-01T00:00:00.010Z","count":1,"min":5.0,"mean":5.0,"max":5.0}"#,
        r#"{"at":"1970-01-01T00:00:00.020Z","count":1,"min":7.0,"mean":7.0,"max":7.0}"#,
    ];
    assert!(shown.ends_with(&format!(r#""width":10,"buckets":[{}]}}"#, expected.join(","))), "{shown}");
}

#[test]
fn a_mean_neither_overflows_nor_forgets_small_numbers() {
    let plan = short_plan(1, 1);
    let mean = |numbers: &[&str]| {
        let mut series = Series::default();
        numbers.iter().for_each(|data| series.push(&plan, at(0), data));
        series.buckets[&0].mean()
    };
    assert_eq!(mean(&["1e308"; 100]), 1e308);
    assert_eq!(mean(&["1e308", "-1e308", "3"]), 1.0);
    assert_eq!(mean(&["1e16", "1", "-1e16", "1"]), 0.5);
    assert_eq!(mean(&["5e-324"; 3]), 5e-324);
    assert!((mean(&["0.1"; 10]) - 0.1).abs() < 1e-17);
}

/// The same by whole numbers, where nothing is rounded.
fn naive(plan: &Plan, rows: &[(i64, i32)]) -> BTreeMap<u64, (u64, i32, f64, i32)> {
    let mut buckets: BTreeMap<u64, Vec<i32>> = BTreeMap::new();
    for (millis, number) in rows {
        if (plan.from..=plan.to).contains(&at(*millis)) {
            let bucket = millis.unsigned_abs() / plan.width;
            let is_end = at(*millis) == plan.to && bucket > 0 && millis.unsigned_abs() % plan.width == 0;
            buckets.entry(bucket - u64::from(is_end)).or_default().push(*number);
        }
    }
    let summary = |numbers: Vec<i32>| {
        let sum: i64 = numbers.iter().map(|number| i64::from(*number)).sum();
        let (min, max) = (*numbers.iter().min().unwrap(), *numbers.iter().max().unwrap());
        (numbers.len() as u64, min, sum as f64 / numbers.len() as f64, max)
    };
    buckets.into_iter().map(|(number, numbers)| (number, summary(numbers))).collect()
}

proptest! {
    #[test]
    fn pieces_come_to_what_the_whole_does(
        rows in prop::collection::vec((0i64..120, any::<i32>()), 0..60),
        cut in 0usize..60,
        width in 1u64..50,
    ) {
        let plan = short_plan(100, width);
        let read = |rows: &[(i64, i32)]| {
            let mut series = Series::default();
            for (millis, number) in rows {
                series.push(&plan, at(*millis), &number.to_string());
            }
            // As it crosses an object call.
            serde_json::from_str::<Series>(&serde_json::to_string(&series).unwrap()).unwrap()
        };
        let (head, tail) = rows.split_at(cut.min(rows.len()));
        let mut series = read(head);
        series.merge(read(tail));
        let shown: BTreeMap<_, _> = series.buckets.iter().map(|(number, bucket)| {
            let (min, max) = (bucket.min as i32, bucket.max as i32);
            (*number, (bucket.count, min, bucket.mean(), max))
        }).collect();
        prop_assert_eq!(shown, naive(&plan, &rows));
    }

    #[test]
    fn there_are_never_more_buckets_than_asked_for(
        from in 0i64..10_000_000, span in 0i64..10_000_000_000, buckets in 1u64..=BUCKETS_MAX
    ) {
        let query = format!("from={}&to={}&buckets={buckets}", at(from), at(from + span));
        let plan = plan(&query).unwrap();
        let last = plan.bucket(plan.to).unwrap();
        prop_assert!(last < buckets);
        prop_assert_eq!(plan.bucket(plan.from), Some(0));
        prop_assert_eq!(plan.bucket(plan.to.plus_millis(1)), None);
    }

    #[test]
    fn a_mean_lies_between_least_and_greatest(
        numbers in prop::collection::vec(any::<f64>().prop_filter("finite", |n| n.is_finite()), 1..40)
    ) {
        let plan = short_plan(1, 1);
        let mut series = Series::default();
        for number in &numbers {
            series.push(&plan, at(0), &format!("{number:e}"));
        }
        let bucket = series.buckets[&0];
        prop_assert!(bucket.min <= bucket.mean() && bucket.mean() <= bucket.max);
        prop_assert!(serde_json::from_str::<serde_json::Value>(&series.show(&plan).unwrap()).is_ok());
    }

    #[test]
    fn the_first_row_of_a_time_is_found(mut times in prop::collection::vec(0u64..50, 0..40), time in 0u64..60) {
        times.sort_unstable();
        let found = first_not(0, times.len() as u64, |row| Ok(times[row as usize] < time)).unwrap();
        prop_assert_eq!(found, times.partition_point(|at| *at < time) as u64);
    }

    #[test]
    fn no_data_and_no_path_panics(data in r#"[\[\]{}:,"a0-9. e\\+-]{0,40}"#, path in r"[a0-9.\\]{0,8}") {
        let _ = number_at(&data, &path);
    }
}
