//! `/v1/stats`: what was counted, over all shards.

use super::{Call, is_read, not_allowed};
use crate::answer::Answer;
use crate::isolate::{self, Platform};
use crate::rpc;
use fieldhook_core::fleet::shard_name;
use fieldhook_core::fleet::stats::Stats;
use fieldhook_core::problem::Result;
use fieldhook_core::proof::access::Scope;
use fieldhook_core::request::Request;

pub async fn route(platform: &Platform, request: &Request) -> Result<Answer> {
    if !is_read(request.method) {
        return not_allowed("GET, HEAD");
    }
    let call = Call::open(platform, request, Scope::Read)?;
    let mut stats = Stats::default();
    for shard in 0..platform.shard_count().await? {
        stats.add(&rpc::fleet(&call.platform.env, &shard_name(shard))?.stats().await?);
    }
    Ok(Answer::json(200, stats.show(isolate::now())))
}
