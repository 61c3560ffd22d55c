//! `/v1/devices/{id}/series`: a log as a chart.

use super::Call;
use crate::answer::Answer;
use crate::rpc;
use fieldhook_core::event::DeviceId;
use fieldhook_core::problem::Result;
use fieldhook_core::series::Plan;

/// Piece by piece: between two calls the object takes events in.
pub async fn show(call: &Call<'_>, device: &DeviceId) -> Result<Answer> {
    let mut plan = Plan::read(call.request, call.platform.now)?;
    let device = rpc::device(&call.platform.env, device.as_str());
    let mut series = device.series(&plan).await?;
    while series.next.is_some() {
        plan.after = series.next;
        series.merge(device.series(&plan).await?);
    }
    Ok(Answer::json(200, series.show(&plan)?))
}
