//! `/v1/stats`: what was counted, day by day, over all shards.

use super::{Call, is_read, not_allowed};
use crate::answer::Answer;
use crate::isolate::Platform;
use crate::rpc;
use fieldhook_core::fleet::shard_name;
use fieldhook_core::fleet::stats::{Days, show};
use fieldhook_core::problem::Result;
use fieldhook_core::proof::access::Scope;
use fieldhook_core::request::Request;

pub async fn route(platform: &Platform, request: &Request) -> Result<Answer> {
    if !is_read(request.method) {
        return not_allowed("GET, HEAD");
    }
    let call = Call::open(platform, request, Scope::Read)?;
    let mut days = Days::new();
    for shard in 0..platform.shard_count().await? {
        for (day, counts) in rpc::fleet(&call.platform.env, &shard_name(shard))?.stats().await? {
            days.entry(day).or_default().add(&counts);
        }
    }
    Ok(Answer::json(200, show(&days)))
}
