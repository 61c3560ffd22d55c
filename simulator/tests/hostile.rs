//! A server that answers without an end keeps neither the time limit nor the user's wish to end from being heard.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail")]

mod support;

use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use support::hostile;

const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
/// Generous, and far less than a reader needs that begins again with each read.
const SOON: Duration = Duration::from_secs(5);

/// An answer of many small chunks that is whole only with what never comes.
fn many_chunks() -> String {
    hostile(CHUNKED, "1\r\nx\r\n".repeat(10_000), 300)
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_simulator"));
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn timed(arguments: &[&str]) -> (Output, Duration) {
    let began = Instant::now();
    let output = command(arguments).output().unwrap();
    (output, began.elapsed())
}

#[test]
fn trailers_without_an_end_are_a_bad_answer() {
    let url =
        hostile("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", "X: y\r\n".into(), 9_000_000);
    let (output, took) = timed(&["publish", "--event", "t", "--url", &url]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("hook-error/t/0") && output.status.code() == Some(1), "{said}");
    assert!(took < SOON, "{took:?}");
}

#[test]
fn the_time_limit_holds() {
    let url = many_chunks();
    let (output, took) = timed(&["publish", "--event", "t", "--url", &url, "--timeout", "300"]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("ESOCKETTIMEDOUT"), "{said}");
    assert!(took < SOON, "{took:?}");
}

#[test]
fn load_ends_in_time() {
    let url = many_chunks();
    let (output, took) = timed(&["load", "--url", &url, "--for", "500ms", "--timeout", "300", "-c", "8"]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("ESOCKETTIMEDOUT"), "{said}");
    assert!(took < SOON, "{took:?}");
}

#[cfg(unix)]
#[test]
fn the_wish_to_end_is_heard() {
    let url = many_chunks();
    let child = command(&["publish", "--event", "t", "--url", &url]).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(500));
    let asked = Instant::now();
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    assert!(asked.elapsed() < SOON, "{:?}", asked.elapsed());
}
