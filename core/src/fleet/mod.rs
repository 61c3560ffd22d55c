//! From the devices' logs to the fleet's (DESIGN.md, "From device to fleet"): which shard a device belongs to,
//! what it appends there, and what the shard then knows of it.
//!
//! A device's log is the outbox: nothing is queued anywhere else, so nothing can be lost between the two.

pub mod append;
pub mod index;
pub mod minutes;
pub mod outbox;
pub mod stats;

/// The shard that a name belongs to. Names, not numbers, stand in storage, so that another count of shards
/// can be told from this one.
///
/// ```
/// use fieldhook_core::fleet::shard_of;
/// assert_eq!(shard_of("0123456789abcdef01234567", 1), "shard-0");
/// assert_eq!(shard_of("0123456789abcdef01234567", 4), shard_of("0123456789abcdef01234567", 4));
/// ```
pub fn shard_of(name: &str, shards: u32) -> String {
    if shards <= 1 {
        return shard_name(0);
    }
    // FNV-1a (the parameters of its authors' page): spread, not secrecy, is what is wanted here.
    let hash = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    shard_name(u32::try_from(hash % u64::from(shards.max(1))).unwrap_or(0))
}

/// The name of a shard's object.
pub fn shard_name(index: u32) -> String {
    // Not by `format!`: three are made for each event.
    "shard-".to_owned() + &index.to_string()
}
