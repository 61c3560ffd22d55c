//! What goes between a device and its twin: it is heard, and it is told what is due.
//!
//! The Device object keeps a [`Dialogue`] and stores it in the commit of the event that changed it.

use crate::clock::Time;
use crate::commands::Queue;
use crate::due::{self, Due};
use crate::log::{Details, Entry, LIVE, Plan, UNHEARD};
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
    /// Twin or commands are in it, or would be for another sender: it is not repeated but composed anew.
    pub live: bool,
    pub too_large: bool,
}

/// What an event came to.
#[derive(Debug, Clone)]
pub struct Turn {
    pub said: Said,
    /// What has become of the dialogue, if it has changed.
    pub dialogue: Option<Dialogue>,
    /// What of a report was left out, for the event's row.
    pub report_error: Option<String>,
    heard: bool,
}

impl Turn {
    /// What the event's row keeps for repeats of it, for [`Dialogue::repeat`].
    pub fn kept(&self) -> &str {
        match (self.heard, self.said.live) {
            (false, _) => UNHEARD,
            (true, true) => LIVE,
            (true, false) => &self.said.reply,
        }
    }
}

impl Dialogue {
    /// The turn of a new event. One that is not `admitted` ([`Entry::is_admitted`]) speaks to a device of which nothing
    /// is wanted, and which forgets at once what it has heard.
    pub fn answer(&self, entry: &Entry, admitted: bool, now: Time) -> Turn {
        if !admitted {
            let heard = !entry.report && matches!(entry.plan, Plan::Said(_));
            let mut said = Dialogue::default().say(entry, now);
            said.live = !heard;
            return Turn { said, dialogue: None, report_error: None, heard };
        }
        if !entry.report {
            let (said, dialogue) = self.told(entry, now);
            return Turn { said, dialogue, report_error: None, heard: true };
        }
        let mut dialogue = self.clone();
        let report_error = dialogue.hear(&entry.data, entry.details.published_at, now);
        let said = dialogue.say(entry, now);
        Turn { said, dialogue: Some(dialogue), report_error, heard: true }
    }

    /// The turn of an event that is known already, whose row has `kept` this. A reply with twin or commands in it is
    /// not repeated: what is due now is said.
    pub fn repeat(&self, entry: &Entry, admitted: bool, kept: String, now: Time) -> Turn {
        let mut turn = match kept.as_str() {
            // Heard once is enough: a report is not taken in again.
            LIVE if admitted => {
                let (said, dialogue) = self.told(entry, now);
                Turn { dialogue, said, report_error: None, heard: true }
            }
            LIVE | UNHEARD => self.answer(entry, admitted, now),
            _ => {
                let said = Said { reply: kept, live: false, too_large: false };
                return Turn { said, dialogue: None, report_error: None, heard: true };
            }
        };
        turn.said.live = true;
        turn
    }

    /// Takes in a report: what the device has, and which commands it has done. Returns what of it was left
    /// out, for the event's row.
    ///
    /// ```
    /// use fieldhook_core::{clock::Time, dialogue::Dialogue};
    /// let (mut dialogue, now) = (Dialogue::default(), Time::from_millis(0));
    /// assert_eq!(dialogue.hear(r#"{"t":21,"_v":0,"_ack":[]}"#, now, now), None);
    /// let error = dialogue.hear(r#"{"t":22,"_v":"x","_ack":1}"#, now, now);
    /// assert_eq!(error.as_deref(), Some("bad-version bad-ack"));
    /// assert_eq!(dialogue.hear("22", now, now).as_deref(), Some("not-an-object"));
    /// ```
    pub fn hear(&mut self, data: &str, published_at: Time, now: Time) -> Option<String> {
        let reported = self.twin.apply_report(data, published_at, now);
        self.queue.ack(&reported.acks, now);
        reported.error()
    }

    /// What outlives the deletion of the device here, which the device itself does not hear of: it goes on to
    /// drop versions below its own and ids that it has seen. `None` where no such number was ever given out.
    ///
    /// ```
    /// use fieldhook_core::{clock::Time, commands::Request, dialogue::Dialogue, reply::Framing};
    /// let (mut dialogue, now) = (Dialogue::default(), Time::from_millis(0));
    /// assert!(dialogue.after_deletion().is_none());
    /// dialogue.twin.patch_desired(r#"{"mode":"eco"}"#, None, now).unwrap();
    /// let blink = || Request::read(r#"{"name":"blink"}"#).unwrap();
    /// dialogue.queue.create(blink(), Framing::Plain, 511, now).unwrap();
    /// let mut next = dialogue.after_deletion().unwrap();
    /// assert_eq!((next.twin.desired(), next.queue.iter().count()), ("{}".to_owned(), 0));
    /// next.twin.patch_desired(r#"{"mode":"boost"}"#, None, now).unwrap();
    /// assert_eq!(next.twin.desired_version(), 2);
    /// assert_eq!(next.queue.create(blink(), Framing::Plain, 511, now).unwrap(), 2);
    /// // The device has version 1 of before, and that says nothing about the new value.
    /// next.hear(r#"{"mode":"eco","_v":1}"#, now, now);
    /// assert_eq!(next.twin.delta(), r#"{"mode":"boost"}"#);
    /// ```
    pub fn after_deletion(&self) -> Option<Dialogue> {
        let (twin, queue) = (self.twin.after_deletion(), self.queue.after_deletion());
        let given_out = twin.desired_version() > 0 || twin.reported_version() > 0 || queue.last_id() > 0;
        given_out.then_some(Dialogue { twin, queue })
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
    ///     way: Default::default(),
    /// };
    /// let said = dialogue.say(&entry, now);
    /// assert_eq!((said.reply.as_str(), said.live), (r#"p{"v":1,"d":{"interval":60}}"#, true));
    /// ```
    pub fn say(&mut self, entry: &Entry, now: Time) -> Said {
        let (said, due) = self.compose(entry, now);
        if let Some(due) = due {
            due.mark_sent(&mut self.twin, &mut self.queue, now);
        }
        said
    }

    /// The same, and what becomes of the dialogue if it changes: after most events it does not, and is not copied.
    fn told(&self, entry: &Entry, now: Time) -> (Said, Option<Dialogue>) {
        let (said, due) = self.compose(entry, now);
        let dialogue = due.map(|due| {
            let mut dialogue = self.clone();
            due.mark_sent(&mut dialogue.twin, &mut dialogue.queue, now);
            dialogue
        });
        (said, dialogue)
    }

    /// Whether nothing was ever wanted of the device, so that nothing can be due to it.
    fn is_silent(&self) -> bool {
        self.twin.desired_version() == 0 && self.queue.last_id() == 0
    }

    fn compose(&self, entry: &Entry, now: Time) -> (Said, Option<Due>) {
        let as_it_is = |reply: &str| Said { reply: reply.to_owned(), live: false, too_large: false };
        let composed = match &entry.plan {
            Plan::Said(stored) => return (as_it_is(stored), None),
            Plan::Due { .. } if self.is_silent() => return (as_it_is(""), None),
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
                (Said { reply: reply.to_stored(), live: due.is_some(), too_large: false }, due)
            }
            Err(TooLarge) => (Said { reply: String::new(), live: false, too_large: true }, None),
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
