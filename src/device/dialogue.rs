//! Twin and commands as applications read and write them. What a device hears of them is decided where its
//! events are accepted.

use super::{Inner, Loaded};
use crate::isolate;
use fieldhook_core::commands::{Queue, Request};
use fieldhook_core::dialogue::Dialogue;
use fieldhook_core::due::{deliverable, fullness};
use fieldhook_core::home::{Home, Room};
use fieldhook_core::log::DeviceState;
use fieldhook_core::problem::{Code, Problem, Result};
use fieldhook_core::settings::Settings;
use fieldhook_core::twin::Twin;
use std::rc::Rc;

/// Reads the stored texts; both are empty where nothing was ever written.
pub(super) fn read(twin: &str, queue: &str) -> Result<Dialogue> {
    if twin.is_empty() {
        return Ok(Dialogue::default());
    }
    Ok(Dialogue { twin: Twin::from_stored(twin)?, queue: Queue::from_stored(queue)? })
}

/// The texts to store.
pub(super) fn write(dialogue: &Dialogue) -> Result<(String, String)> {
    Ok((dialogue.twin.to_stored()?, dialogue.queue.to_stored()?))
}

/// The room in the replies to the device: what does not fit there is shown as undeliverable.
fn room(device: &DeviceState, settings: &Settings) -> Option<Room> {
    Home::room(device.home.as_ref(), settings)
}

/// `read`, `patch` or `put`; `if_match` is below zero where the caller gave no version. Answers the desired
/// version, a space, and the twin as it is shown.
pub(super) fn twin(
    object: &Rc<Inner>,
    device: &str,
    operation: &str,
    body: &str,
    if_match: f64,
) -> Result<String> {
    let if_match = (if_match >= 0.0).then_some(if_match as u64);
    let settings = object.settings()?;
    let now = isolate::now();
    let show = |loaded: &Loaded| {
        let (twin, room) = (&loaded.dialogue.twin, room(&loaded.device, &settings));
        let reply = room.map(|room| fullness(twin, &loaded.dialogue.queue, room, now));
        format!("{} {}", twin.desired_version(), twin.show(|item| deliverable(twin, item, room), reply))
    };
    match operation {
        "read" => Ok(show(&known(object)?)),
        "patch" => change(object, device, |loaded| {
            loaded.dialogue.twin.expect_budget(settings.reply_budget);
            loaded.dialogue.twin.patch_desired(body, if_match, now)?;
            Ok(show(loaded))
        }),
        "put" => change(object, device, |loaded| {
            loaded.dialogue.twin.expect_budget(settings.reply_budget);
            loaded.dialogue.twin.put_desired(body, if_match, now)?;
            Ok(show(loaded))
        }),
        _ => Err(Problem::new(Code::Internal, "no such operation")),
    }
}

/// `list` (body: `after limit`), `create`, `replace`, `cancel` (body: an id) or `clear`.
pub(super) fn commands(object: &Rc<Inner>, device: &str, operation: &str, body: &str) -> Result<String> {
    let settings = object.settings()?;
    let (budget, now) = (settings.reply_budget, isolate::now());
    // Whatever a template may have room for: a command is short enough for a reply of its own.
    let framing = |room: Option<Room>| room.map_or(settings.reply_framing, |room| room.framing);
    let number = |text: &str| text.parse::<u64>().unwrap_or(0);
    match operation {
        "list" => {
            let (after, limit) = body.split_once(' ').unwrap_or(("0", "100"));
            let limit = usize::try_from(number(limit)).unwrap_or(usize::MAX);
            let loaded = known(object)?;
            Ok(loaded.dialogue.queue.list(number(after), limit, room(&loaded.device, &settings), now))
        }
        "create" => {
            let request = Request::read(body)?;
            change(object, device, |Loaded { device, dialogue, .. }| {
                let room = room(device, &settings);
                let id = dialogue.queue.create(request, framing(room), budget, now)?;
                Ok(dialogue.queue.get(id)?.show(room, now))
            })
        }
        "replace" => {
            let requests = Request::read_all(body)?;
            change(object, device, |Loaded { device, dialogue, .. }| {
                let room = room(device, &settings);
                let ids = dialogue.queue.replace(requests, framing(room), budget, now)?;
                let before = ids.first().map_or(0, |id| id.saturating_sub(1));
                Ok(dialogue.queue.list(before, ids.len(), room, now))
            })
        }
        "cancel" => {
            known(object)?;
            change(object, device, |Loaded { device, dialogue, .. }| {
                Ok(dialogue.queue.cancel(number(body), now)?.show(room(device, &settings), now))
            })
        }
        "clear" => {
            known(object)?;
            change(object, device, |loaded| {
                Ok(format!(r#"{{"ok":true,"cancelled":{}}}"#, loaded.dialogue.queue.cancel_all(now)))
            })
        }
        _ => Err(Problem::new(Code::Internal, "no such operation")),
    }
}

/// Reading makes nothing: a device that was never heard of stays unknown.
fn known(object: &Inner) -> Result<Loaded> {
    object.known()?.ok_or_else(|| Problem::new(Code::UnknownDevice, "nothing is known of this device"))
}

/// Writing makes a device, if there is none: what is wanted of it can be said before it is first heard. A refusal makes
/// none, and changes nothing: the transaction around it is undone.
fn change(
    object: &Rc<Inner>,
    device: &str,
    change: impl FnOnce(&mut Loaded) -> Result<String>,
) -> Result<String> {
    let mut loaded = object.open()?;
    let answer = change(&mut loaded)?;
    loaded.spoke = true;
    if loaded.device.device != device {
        loaded.device.change().device = device.to_owned();
    }
    let is_new = loaded.device.born.is_none();
    let now = isolate::now();
    object.settle(&mut loaded, now)?;
    if is_new {
        object.arm(now)?;
    }
    object.keep(loaded)?;
    if is_new {
        object.send_off(None, now);
    }
    Ok(answer)
}
