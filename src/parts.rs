//! What the logs of a device and of a shard have in common: the tables that are their parts (`fieldhook_core::parts`).

use crate::sqlite::Columns;
use fieldhook_core::clock::Time;
use fieldhook_core::parts::{First, PARTS};

/// The tables of the parts. `log` was there before the others.
pub const TABLES: [&str; PARTS] = ["log", "log1", "log2", "log3"];

/// A statement of one part's table.
pub fn of_part(statement: &str, part: usize) -> String {
    statement.replace("{}", TABLES.get(part).copied().unwrap_or("log"))
}

/// The oldest row of each part, from the columns of `FIRSTS` in the object's schema.
pub fn firsts(columns: &mut Columns) -> [Option<First>; PARTS] {
    std::array::from_fn(|_| {
        let (number, at) = (columns.unsigned(), Time::from_millis(columns.integer()));
        (number > 0).then_some(First { number, at })
    })
}
