//! What goes between a device and its twin: it is heard, and it is told what is due.
//!
//! The Device object keeps a [`Dialogue`] and stores it in the commit of the event that changed it.

use crate::clock::Time;
use crate::commands::Queue;
use crate::due;
use crate::log::{Details, Entry, Plan};
use crate::reply::{Reply, TooLarge};
use crate::source::DUE_VARIABLE;
use crate::template::{Context, Document, Fields, Parts, RenderError, Variables};
use crate::twin::Twin;

/// The events by which every device may report (DESIGN.md, "Device twin and commands"); a source can name more.
pub const REPORT_EVENT: &str = "fieldhook/report";

/// Both sides of one device.
#[derive(Debug, Clone, Default)]
pub struct Dialogue {
    pub twin: Twin,
    pub queue: Queue,
}

/// A reply, as it goes out and as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// As [`Reply::to_stored`] writes it.
    pub reply: String,
    /// Twin or commands are in it: it is not repeated but composed anew.
    pub live: bool,
    pub too_large: bool,
}

impl Dialogue {
    /// Takes in a report: what the device has, and which commands it has done.
    pub fn hear(&mut self, data: &str, published_at: Time, now: Time) {
        let reported = self.twin.apply_report(data, published_at, now);
        self.queue.ack(&reported.acks, now);
    }

    /// The reply to an event, noted in twin and queue.
    ///
    /// ```
    /// use fieldhook_core::{clock::Time, dialogue::Dialogue, log::{Details, Entry, Plan}, reply::Framing};
    /// let mut dialogue = Dialogue::default();
    /// let now = Time::from_millis(0);
    /// dialogue.twin.patch_desired(r#"{"interval":60}"#, None, now).unwrap();
    /// let entry = Entry {
    ///     key: "k".into(),
    ///     event: "t".into(),
    ///     data: "21".into(),
    ///     details: serde_json::from_str(r#"{"id":"1","coreid":"d","published_at":0,"source":"s"}"#).unwrap(),
    ///     plan: Plan::Due { framing: Framing::Plain, budget: 511 },
    ///     report: false,
    /// };
    /// let said = dialogue.say(&entry, now);
    /// assert_eq!((said.reply.as_str(), said.live), (r#"p{"v":1,"d":{"interval":60}}"#, true));
    /// ```
    pub fn say(&mut self, entry: &Entry, now: Time) -> Said {
        let composed = match &entry.plan {
            Plan::Said(stored) => return Said { reply: stored.clone(), live: false, too_large: false },
            Plan::Due { framing, budget } => {
                match due::compose(&self.twin, &self.queue, *framing, *budget, now) {
                    Some(due) => {
                        Reply::within(due.text.clone(), *framing, *budget).map(|reply| (reply, Some(due)))
                    }
                    None => Ok((Reply::Empty, None)),
                }
            }
            Plan::Template { template, framing, budget } => match Document::parse_json(template.get()) {
                Ok(document) => due::compose_into(&self.twin, &self.queue, *framing, *budget, now, |due| {
                    render(&document, entry, due, *budget)
                }),
                // It was parsed when it was stored; were it damaged, nothing could be said.
                Err(_) => Err(TooLarge),
            },
        };
        match composed {
            Ok((reply, due)) => {
                if let Some(due) = &due {
                    due.mark_sent(&mut self.twin, &mut self.queue, now);
                }
                Said { reply: reply.to_stored(), live: due.is_some(), too_large: false }
            }
            Err(TooLarge) => Said { reply: String::new(), live: false, too_large: true },
        }
    }
}

fn render(document: &Document, entry: &Entry, due: &str, limit: usize) -> Result<String, RenderError> {
    let details: &Details = &entry.details;
    let published_at = details.published_at.to_string();
    let variables = Variables::new(Parts {
        device_id: &details.coreid,
        event_name: &entry.event,
        event_value: &entry.data,
        published_at: &published_at,
        event_id: &details.id,
        product_id: details.product_id.as_deref(),
        product_user_id: details.userid.as_deref(),
        product_version: details.fw_version.as_deref(),
    })
    .with(DUE_VARIABLE, due);
    let fields = Fields::parse(&entry.data).unwrap_or_default();
    document.render(&Context::new(&variables, &fields), limit)
}
