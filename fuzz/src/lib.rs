//! What holds for every input, as plain functions that panic where it does not: libFuzzer calls them
//! (`fuzz_targets/`), and so does a test over the corpus (`core/tests/fuzz_corpus.rs`).
//!
//! An input is text in parts, [`SEPARATOR`] between them: what each part is stands at the head of its target.

pub mod bodies;
pub mod cursors;
pub mod definitions;
pub mod json;
pub mod signatures;
pub mod templates;
pub mod twins;
pub mod urls;
pub mod values;

use std::borrow::Cow;

/// A target's name, which is its folder in `corpus/`, and what it checks.
pub type Target = (&'static str, fn(&[u8]));

pub const TARGETS: [Target; 8] = [
    ("bodies", bodies::check),
    ("cursors", cursors::check),
    ("definitions", definitions::check),
    ("signatures", signatures::check),
    ("templates", templates::check),
    ("twins", twins::check),
    ("urls", urls::check),
    ("values", values::check),
];

/// ASCII's record separator: no text of ours needs it, and a corpus stays readable.
pub const SEPARATOR: u8 = 0x1e;

/// The parts of an input. Those that are missing are empty, the last one has the rest.
fn parts<const N: usize>(data: &[u8]) -> [&[u8]; N] {
    let mut split = data.splitn(N, |byte| *byte == SEPARATOR);
    std::array::from_fn(|_| split.next().unwrap_or_default())
}

fn text(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}
