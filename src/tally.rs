//! What is counted at the edge, for `/v1/stats`: per isolate, told to a shard every ten seconds, approximate
//! (DESIGN.md, "Limits stated, not hoped for"). Nothing here may delay an answer or fail it.

use crate::isolate::Platform;
use crate::rpc;
use fieldhook_core::fleet::shard_name;
use fieldhook_core::fleet::stats::{Counts, FLUSH_EVERY};
use std::cell::{Cell, RefCell};
use std::time::Duration;
use worker::{Delay, console_error};

thread_local! {
    static COUNTS: RefCell<Counts> = RefCell::new(Counts::default());
    static IS_DUE: Cell<bool> = const { Cell::new(false) };
}

/// Counts by what an answer's status says.
pub fn answered(platform: &Platform, status: u16) {
    match status {
        429 => add(platform, Counts { limited: 1, ..Counts::default() }),
        202 | 400..500 => add(platform, Counts { refused: 1, ..Counts::default() }),
        500.. => add(platform, Counts { errors: 1, ..Counts::default() }),
        _ => {}
    }
}

/// Adds to what this isolate has counted. The first to add also sees that it is told.
pub fn add(platform: &Platform, counts: Counts) {
    if counts.is_nothing() {
        return;
    }
    COUNTS.with_borrow_mut(|all| all.add(&counts));
    if IS_DUE.replace(true) {
        return;
    }
    let env = platform.env.clone();
    platform.context.wait_until(async move {
        Delay::from(Duration::from_millis(FLUSH_EVERY.unsigned_abs())).await;
        IS_DUE.set(false);
        let counts = COUNTS.take();
        let told = match rpc::fleet(&env, &shard_name(0)) {
            Ok(fleet) => fleet.count(&counts).await,
            Err(problem) => Err(problem),
        };
        if let Err(problem) = told {
            // They go with the next ones.
            COUNTS.with_borrow_mut(|all| all.add(&counts));
            console_error!("the counts were not taken: {}", problem.detail);
        }
    });
}
