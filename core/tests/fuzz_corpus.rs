//! The fuzz targets (`fuzz/`) as plain tests: over their corpus, and over what becomes of it when it is changed a
//! little. The changes are the same in every run, and counted rather than timed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]
#![allow(clippy::unreachable, reason = "a test may fail")]

#[path = "../../fuzz/src/lib.rs"]
mod fuzz;

use fuzz::{SEPARATOR, TARGETS};
use std::path::PathBuf;

/// The most bytes of all corpora together, so that they stay small in the repository.
const CORPUS_MAX: usize = 300_000;

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// The next of a series of numbers that is the same every time (xorshift64*).
struct Series(u64);

impl Series {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % end.max(1)
    }
}

/// Pieces that mean something to one target or another.
const PIECES: [&str; 32] = [
    "{",
    "}",
    "[",
    "]",
    "{{",
    "}}",
    "{{{a}}}",
    "\"",
    "\\",
    "\\ud800",
    ":",
    ",",
    ".",
    "/",
    "//",
    "@",
    "#",
    "?",
    "%2e",
    "&",
    "=",
    "null",
    "-1",
    "1e400",
    "99999999999999999999",
    "\u{0}",
    "\n",
    " ",
    "é",
    "127.0.0.1",
    "$",
    "_v",
];

fn changed(inputs: &[Vec<u8>], series: &mut Series) -> Vec<u8> {
    let mut input = inputs[series.below(inputs.len())].clone();
    for _ in 0..=series.below(4) {
        let at = series.below(input.len() + 1);
        match series.below(6) {
            0 if at < input.len() => input[at] ^= 1 << series.below(8),
            1 => drop(input.drain(at..(at + 1 + series.below(8)).min(input.len()))),
            2 => drop(input.splice(at..at, PIECES[series.below(PIECES.len())].bytes())),
            3 => {
                let other = &inputs[series.below(inputs.len())];
                let from = series.below(other.len());
                drop(input.splice(at.., other[from..].iter().copied()));
            }
            4 => {
                let piece = input[at..(at + series.below(24)).min(input.len())].to_vec();
                drop(input.splice(at..at, piece));
            }
            _ => input.insert(at, SEPARATOR),
        }
    }
    input
}

/// Over the corpus, and over so many changed inputs: as many as take a second or a few where nothing is optimised.
fn run(name: &str, changes: usize) {
    let (_, check) = TARGETS.into_iter().find(|(target, _)| *target == name).expect("a target");
    let inputs = corpus(name);
    assert!(inputs.len() > 10, "{name} has hardly a corpus");
    inputs.iter().for_each(|input| check(input));
    let mut series = Series(0x9e37_79b9_7f4a_7c15);
    for _ in 0..changes {
        check(&changed(&inputs, &mut series));
    }
}

#[test]
fn bodies() {
    run("bodies", 10_000);
}

#[test]
fn cursors() {
    run("cursors", 10_000);
}

#[test]
fn definitions() {
    run("definitions", 5_000);
}

#[test]
fn signatures() {
    run("signatures", 8_000);
}

#[test]
fn templates() {
    run("templates", 10_000);
}

#[test]
fn twins() {
    run("twins", 3_000);
}

#[test]
fn urls() {
    run("urls", 60_000);
}

#[test]
fn values() {
    run("values", 15_000);
}

#[test]
fn the_corpus_is_small() {
    let sizes = TARGETS.into_iter().flat_map(|(name, _)| corpus(name)).map(|input| input.len());
    assert!(sizes.sum::<usize>() <= CORPUS_MAX);
}
