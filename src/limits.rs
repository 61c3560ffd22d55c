//! What an isolate remembers of who is over a rate: which credentials, and which devices their objects have refused
//! (SECURITY.md, "Floods"). Each isolate counts for itself, so with many a credential's rate is that of one times
//! their number; a device's rate is judged by its object, and only the refusal is remembered here.

use crate::isolate::Platform;
use fieldhook_core::problem::Result;
use fieldhook_core::proof::Key;
use fieldhook_core::quarantine::LIMITED_PER_MINUTE;
use fieldhook_core::rate::{Buckets, Rate, Verdict, Waiting, key_over};
use std::cell::RefCell;

thread_local! {
    static KEYS: RefCell<Buckets<Key>> = RefCell::default();
    static DEVICES: RefCell<Waiting> = RefCell::default();
    static KEPT: RefCell<Buckets<String>> = RefCell::default();
}

/// Counts a request of a credential.
///
/// # Errors
/// `rate-limited`.
pub fn count(platform: &Platform, key: Key) -> Result<()> {
    let rate = platform.settings()?.key_rate;
    let wait = KEYS.with_borrow_mut(|keys| keys.take(key, rate, platform.now)).wait();
    wait.map_or(Ok(()), |wait| Err(key_over(wait)))
}

/// Seconds that a device has still to wait, as its object said: a flood of its events calls nobody.
pub fn device_wait(platform: &Platform, device: &str) -> Option<u32> {
    DEVICES.with_borrow_mut(|devices| devices.wait(device, platform.now))
}

pub fn device_must_wait(platform: &Platform, device: &str, wait: u32) {
    DEVICES.with_borrow_mut(|devices| devices.tell(device, wait, platform.now));
}

/// Whether one more event of a device that is over its rate goes into quarantine.
pub fn may_keep(platform: &Platform, device: &str) -> bool {
    let rate = Rate::new(LIMITED_PER_MINUTE / 60.0, LIMITED_PER_MINUTE);
    KEPT.with_borrow_mut(|kept| kept.take(device.to_owned(), rate, platform.now)) == Verdict::Pass
}
