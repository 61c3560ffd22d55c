//! The command as its user meets it, against a server that plays fieldhook's part.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail")]

use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

/// Answers each event with what `reply` says; keeps bodies. Histories hold what came in, but for `forget`.
struct Fake {
    url: String,
    bodies: Arc<Mutex<Vec<Value>>>,
}

impl Fake {
    fn start(status: &'static str, reply: fn(&Value) -> String, forget: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let bodies = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&bodies);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let kept = Arc::clone(&kept);
                std::thread::spawn(move || serve(stream.unwrap(), &kept, status, reply, forget));
            }
        });
        Fake { url, bodies }
    }
}

fn serve(
    stream: TcpStream,
    kept: &Mutex<Vec<Value>>,
    status: &str,
    reply: fn(&Value) -> String,
    forget: bool,
) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    while let Some((path, body)) = request(&mut reader) {
        let body = match path.strip_prefix("/v1/devices/") {
            Some(rest) => {
                let device = rest.split('/').next().unwrap();
                let kept = kept.lock().unwrap();
                let mut ids: Vec<&Value> = kept
                    .iter()
                    .filter(|event| event["coreid"] == device)
                    .map(|event| &event["event_id"])
                    .collect();
                ids.sort_by_key(|id| id.to_string());
                ids.dedup();
                if forget {
                    ids.pop();
                }
                let events: Vec<Value> = ids.iter().map(|id| serde_json::json!({ "id": id })).collect();
                serde_json::json!({ "events": events, "next": null }).to_string()
            }
            None => {
                let event: Value = serde_json::from_slice(&body).unwrap_or_default();
                let answer = reply(&event);
                kept.lock().unwrap().push(event);
                answer
            }
        };
        let status = if path.starts_with("/v1/") { "200 OK" } else { status };
        let length = body.len();
        stream
            .write_all(format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}").as_bytes())
            .unwrap();
    }
}

fn request(reader: &mut BufReader<TcpStream>) -> Option<(String, Vec<u8>)> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let mut body = vec![0; headers.get("content-length").map_or(0, |length| length.parse().unwrap())];
    reader.read_exact(&mut body).ok()?;
    Some((path, body))
}

fn simulator(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_simulator")).args(arguments).output().unwrap()
}

/// The numbers of the table, by label.
fn table(output: &Output) -> HashMap<String, u64> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let rows = text.lines().filter_map(|line| {
        let (label, rest) = line.trim().split_once("  ")?;
        Some((label.to_owned(), rest.trim().split(' ').next()?.parse().ok()?))
    });
    rows.collect()
}

fn fleet(url: &str, more: &[&str]) -> Output {
    let url = format!("{url}/hook");
    let usual = ["fleet", "--url", &url, "--token", "t", "--every", "1s", "--time-scale", "20"];
    simulator(&[usual.as_slice(), more].concat())
}

#[test]
fn another_machine_is_not_called_unless_the_user_says_so() {
    for command in ["publish", "fleet", "load"] {
        let event: &[&str] = if command == "publish" { &["--event", "t"] } else { &[] };
        let output = simulator(&[&[command, "--url", "https://example.com/hook"], event].concat());
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("example.com is not this machine: --allow-remote"), "{command}: {said}");
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{command}");
    }
}

#[test]
fn publish_prints_what_particle_would() {
    let fake = Fake::start("200 OK", |_| "x".repeat(513), false);
    let url = format!("{}/hook", fake.url);
    let output =
        simulator(&["publish", "--event", "temp", "--data", "21", "--url", &url, "--shuffle", "--seed", "2"]);
    let lines: Vec<Value> =
        output.stdout.lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect();
    let names: Vec<&str> = lines.iter().map(|line| line["name"].as_str().unwrap()).collect();
    let device = "3f002b000000000000000000";
    let part = |index| format!("{device}/hook-response/temp/{index}");
    assert_eq!(names[..2], ["temp", "hook-sent/temp"]);
    let mut parts = names[2..].to_vec();
    parts.sort_unstable();
    assert_eq!(parts, [part(0), part(1)]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(fake.bodies.lock().unwrap()[0]["data"], "21");
}

#[test]
fn a_failing_host_is_spared_retried_and_given_up() {
    let fake = Fake::start("500 Oops", |_| String::new(), false);
    let output = simulator(&[
        "publish",
        "--event",
        "temp",
        "--url",
        &fake.url,
        "--repeat",
        "6",
        "--every",
        "1ms",
        "--time-scale",
        "100",
    ]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.matches("error status 500 from 127.0.0.1").count(), 6, "{text}");
    assert_eq!(text.matches("Sleeping, too many errors, please wait and try again").count(), 1, "{text}");
    assert_eq!((output.status.code(), fake.bodies.lock().unwrap().len()), (Some(1), 6));
}

#[test]
fn a_fleet_applies_acknowledges_and_verifies() {
    fn reply(event: &Value) -> String {
        let report: Value =
            event["data"].as_str().and_then(|data| serde_json::from_str(data).ok()).unwrap_or_default();
        if event["event"] == "fieldhook/report" && report["_v"] == 3 && report["_ack"][0] == 9 {
            return String::new();
        }
        r#"{"v":3,"d":{"led":true},"c":[{"id":9,"n":"blink"}]}"#.to_owned()
    }
    let fake = Fake::start("200 OK", reply, false);
    let habits = ["--malformed", "0", "--lose", "0.2", "-n", "5", "--turns", "15", "--seed", "5"];
    let output = fleet(&fake.url, &[habits.as_slice(), &["--verify", "--read-token", "r"]].concat());
    let rows = table(&output);
    assert_eq!(output.status.code(), Some(0), "{rows:?}");
    assert_eq!((rows["deltas applied"], rows["commands executed"]), (5, 5), "{rows:?}");
    assert!(rows["seen before"] > 0 && rows["reply parts lost"] > 0 && rows["retransmits"] > 0, "{rows:?}");
    assert_eq!((rows["lost"], rows["unfinished"], rows["errors"]), (0, 0, 0), "{rows:?}");
    let bodies = fake.bodies.lock().unwrap();
    let confirmed = bodies.iter().filter_map(|event| event["data"].as_str()).filter(|data| {
        data.contains(r#""led":true"#) && data.contains(r#""_v":3"#) && data.contains(r#""_ack":[9]"#)
    });
    assert!(confirmed.count() >= 5);
}

#[test]
fn a_server_that_forgets_what_it_acknowledged_is_found_out() {
    let fake = Fake::start("204 No Content", |_| String::new(), true);
    let output =
        fleet(&fake.url, &["-n", "3", "--turns", "4", "--seed", "5", "--verify", "--read-token", "r"]);
    assert_eq!((output.status.code(), table(&output)["lost"]), (Some(1), 3));
}

#[test]
fn load_counts_what_it_was_told_to() {
    let fake = Fake::start("204 No Content", |_| String::new(), false);
    let url = format!("{}/hook", fake.url);
    let output = simulator(&["load", "--url", &url, "-n", "40", "--rate", "400", "--json", "-"]);
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&result["requests"], &result["outcomes"]["204"]), (&40.into(), &40.into()));
    assert!(result["seconds"].as_f64().unwrap() >= 0.09, "the rate is kept: {result}");
    assert!(result["latency_us"]["p99"].as_u64().unwrap() > 0);
}

#[test]
fn load_ends_when_its_time_is_over() {
    let fake = Fake::start("204 No Content", |_| String::new(), false);
    let url = format!("{}/hook", fake.url);
    for (pace, most) in [(["--rate", "50"].as_slice(), 20), (&[], u64::MAX)] {
        let usual = ["load", "--url", &url, "-n", "1000000000", "--for", "400ms", "--json", "-"];
        let output = simulator(&[usual.as_slice(), pace].concat());
        let result: Value = serde_json::from_slice(&output.stdout).unwrap();
        let requests = result["requests"].as_u64().unwrap();
        assert!((1..=most).contains(&requests), "those that are due before: {result}");
        assert_eq!((output.status.code(), &result["outcomes"]["204"]), (Some(0), &requests.into()));
        let seconds = result["seconds"].as_f64().unwrap();
        // Generous above: what is under way at the end is waited for.
        assert!((0.35..5.0).contains(&seconds), "{result}");
    }
}

/// Starts the command, waits until it has sent something, and signals it.
#[cfg(unix)]
fn interrupted(fake: &Fake, signal: &str, arguments: &[&str]) -> Output {
    let url = format!("{}/hook", fake.url);
    let child = Command::new(env!("CARGO_BIN_EXE_simulator"))
        .args(arguments)
        .args(["--url", &url])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let before = fake.bodies.lock().unwrap().len();
    while fake.bodies.lock().unwrap().len() == before {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
    child.wait_with_output().unwrap()
}

#[cfg(unix)]
#[test]
fn the_wish_to_end_is_followed_by_the_table() {
    let fake = Fake::start("204 No Content", |_| String::new(), false);
    for signal in ["-INT", "-TERM"] {
        for command in [["fleet", "--every", "50ms"], ["load", "--rate", "100"]] {
            let output = interrupted(&fake, signal, &command);
            let rows = table(&output);
            assert!(rows.contains_key("events") || rows.contains_key("requests"), "{rows:?}");
            assert_eq!(output.status.code(), Some(0), "{command:?}");
        }
    }
}

#[cfg(unix)]
#[test]
fn publish_ends_where_it_stands_also_in_a_pause() {
    let fake = Fake::start("204 No Content", |_| String::new(), false);
    let output = interrupted(&fake, "-INT", &["publish", "--event", "t", "--repeat", "2", "--every", "1h"]);
    assert_eq!(output.status.code(), Some(130));
}

#[test]
fn a_reader_that_has_gone_is_an_error_and_no_panic() {
    let fake = Fake::start("204 No Content", |_| String::new(), false);
    let url = format!("{}/hook", fake.url);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let command = ["fleet", "-n", "1", "--turns", "1", "--every", "1ms", "--url", &url];
    let output = Command::new(env!("CARGO_BIN_EXE_simulator")).args(command).stdout(writer).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(2) && said.contains("the output: "), "{said}");
}

#[test]
fn a_fleet_with_a_number_has_the_same_devices_again_and_other_events() {
    let fake = Fake::start("204 No Content", |_| String::new(), false);
    for seed in ["1", "2"] {
        let output = fleet(&fake.url, &["-n", "2", "--turns", "1", "--fleet", "7", "--seed", seed]);
        assert_eq!(output.status.code(), Some(0));
    }
    let bodies = fake.bodies.lock().unwrap();
    let all = |field| bodies.iter().filter_map(|event| event[field].as_str()).collect::<HashSet<_>>();
    assert_eq!(all("coreid"), ["510000070000000000000000", "510000070000000000000001"].into());
    assert_eq!(all("event_id").len(), 4);
}
