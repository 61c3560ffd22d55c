//! A batch: one object call per device, and an answer that names what was refused (DESIGN.md, "Batch").

use super::{Ingress, is_kept};
use crate::answer::Answer;
use fieldhook_core::event::DeviceId;
use fieldhook_core::ingest::batch::{Item, Refused, Summary};
use fieldhook_core::log::{Entry, Outcome, Plan};
use fieldhook_core::problem::{Code, Problem, Result};
use fieldhook_core::proof::Credential;
use fieldhook_core::quarantine;
use fieldhook_core::rate::device_over;
use fieldhook_core::request::Request;
use fieldhook_core::transform;

/// Commits what are events, then keeps what are none: a batch that is sent again after a failed commit must
/// not fill quarantine twice. Nor must one of which nothing was taken because its devices are over their rates; what is
/// only over a rate is not kept, but told. `is_kept_whole`: the batch lies in quarantine, and stays there while
/// anything of it is over a rate.
///
/// # Errors
/// `commit-failed` if any commit failed; sending the whole batch again is safe. `stale-signature` if that is
/// why every item was refused: such a batch is not authenticated after all.
pub async fn take_in(
    ingress: &Ingress<'_>,
    request: &Request,
    credential: &Credential,
    items: Vec<Item>,
    is_kept_whole: bool,
) -> Result<Summary> {
    let (groups, refused) = sort(ingress, items);
    let mut summary = commit(ingress, groups).await?;
    if summary.is_refused()
        && let Some((_, _, stale)) = refused.iter().find(|(_, _, problem)| !is_kept(problem))
        && refused.iter().all(|(_, _, problem)| !is_kept(problem))
    {
        return Err(stale.clone());
    }
    let sent_again = summary.wait.is_some() && (is_kept_whole || summary.is_refused());
    let mut kept = Vec::new();
    for (index, text, problem) in refused {
        if is_kept(&problem)
            && !sent_again
            && let Some(whole) = ingress.entry_of(request, credential, &problem)
        {
            kept.push(quarantine::Entry::of_item(whole, &text, index, credential, &problem));
        }
        summary.refused.push(Refused { index, code: problem.code.as_str(), field: problem.field });
    }
    if !kept.is_empty() {
        ingress.quarantine(&kept).await?;
    }
    summary.refused.sort_by_key(|refused| refused.index);
    Ok(summary)
}

/// One device's events in the order of the batch, and where in it they stand.
struct Group {
    device: DeviceId,
    indices: Vec<usize>,
    entries: Vec<Entry>,
}

type Groups = Vec<Group>;
/// Index, exact text, and what is wrong with it.
type RefusedItems = Vec<(usize, String, Problem)>;

fn sort(ingress: &Ingress<'_>, items: Vec<Item>) -> (Groups, RefusedItems) {
    let mut groups: Groups = Vec::new();
    let mut refused = Vec::new();
    for (index, item) in items.into_iter().enumerate() {
        let event = match item.outcome {
            Ok(event) => *event,
            Err(problem) => {
                refused.push((index, item.text, problem));
                continue;
            }
        };
        let device = event.device.clone();
        let event = transform::apply_first(&ingress.snapshot.transforms, event);
        let source = ingress.snapshot.source(&ingress.source);
        let (report, way) = (source.is_report(&event), source.way(&ingress.settings));
        let entry = Entry::new(event, Some(Plan::Said(String::new())), report, way);
        match groups.iter_mut().find(|group| group.device == device) {
            Some(group) => {
                group.indices.push(index);
                group.entries.push(entry);
            }
            None => groups.push(Group { device, indices: vec![index], entries: vec![entry] }),
        }
    }
    (groups, refused)
}

async fn commit(ingress: &Ingress<'_>, groups: Groups) -> Result<Summary> {
    let commits = groups.into_iter().map(|Group { device, indices, entries }| async move {
        (indices, ingress.commit(&device, entries).await)
    });
    let mut summary = Summary::default();
    for (indices, outcomes) in futures_util::future::join_all(commits).await {
        for (index, outcome) in indices.into_iter().zip(outcomes?) {
            match outcome {
                Outcome::New { .. } => summary.accepted += 1,
                Outcome::Duplicate { .. } => summary.duplicates += 1,
                Outcome::Limited { wait } => summary.limited(index, wait),
            }
        }
    }
    Ok(summary)
}

/// 200 with the summary; if nothing was an event, what a refused event gets. Where that is only for now, 429: whoever
/// sends batches reads the answer.
pub fn answer(ingress: &Ingress<'_>, request: &Request, summary: &Summary) -> Answer {
    if !summary.is_refused() {
        return Answer::json(200, serde_json::to_string(summary).unwrap_or_default());
    }
    if let Some(wait) = summary.wait {
        let problem = device_over(wait);
        return Answer::refusal(&problem, problem_json(&problem, summary));
    }
    match quarantine::is_answered_accepted(ingress.settings.malformed, request.headers.get("user-agent")) {
        true => Answer::empty(202),
        false => {
            let why = "every item was refused; each is named in `refused`";
            let problem = Problem::new(Code::BatchRefused, why);
            Answer::refusal(&problem, problem_json(&problem, summary))
        }
    }
}

/// Problem JSON with the summary's members beside its own.
fn problem_json(problem: &Problem, summary: &Summary) -> String {
    let (problem, summary) = (problem.to_json(), serde_json::to_string(summary).unwrap_or_default());
    match (problem.strip_suffix('}'), summary.strip_prefix('{')) {
        (Some(head), Some(tail)) => format!("{head},{tail}"),
        _ => problem,
    }
}
