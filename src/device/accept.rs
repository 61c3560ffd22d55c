//! Taking events in, in one synchronous turn: judged, numbered, answered and written, then sent off behind the answer.

use super::{Inner, Loaded, retention, schema};
use crate::isolate;
use crate::parts;
use crate::rows::EventRow;
use crate::sqlite;
use fieldhook_core::clock::Time;
use fieldhook_core::dialogue::Said;
use fieldhook_core::flat;
use fieldhook_core::fleet::append::Sent;
use fieldhook_core::log::{Accept, Accepted, Entry, Known, Outcome};
use fieldhook_core::parts::PARTS;
use fieldhook_core::problem::{Code, Problem, Result};
use fieldhook_core::respond::{PENDING, is_under_way};
use fieldhook_core::retention::{confirm_after, is_due};
use std::rc::Rc;

impl Inner {
    /// Answers a call in which every event is a repeat that is remembered, and changes nothing: no table is looked at.
    /// Any other is kept for [`Inner::accept`].
    pub(super) fn recall(&self, message: &str) -> Result<Option<String>> {
        let accept: Accept = flat::of_text(message)
            .ok_or_else(|| Problem::new(Code::Internal, "the events cannot be read"))?;
        let outcomes = accept.entries.iter().map(|entry| self.outcome_of(entry, accept.at)).collect();
        if let Some(outcomes) = outcomes {
            return Ok(Some(flat::to_text(&Accepted { outcomes })));
        }
        self.incoming.replace(Some(accept));
        Ok(None)
    }

    fn outcome_of(&self, entry: &Entry, at: Time) -> Option<Outcome> {
        let loaded = self.loaded.borrow();
        let loaded = loaded.as_ref()?;
        let known = loaded.recent.find(&entry.key)?;
        let admitted = entry.is_admitted(&loaded.device);
        let turn = loaded.dialogue.repeat(entry, admitted, known.kept.clone(), at);
        let Said { reply, live, .. } = turn.said;
        turn.dialogue.is_none().then_some(Outcome::Duplicate { seq: known.seq, reply, live })
    }

    /// Takes in the events of the call that [`Inner::recall`] could not answer.
    pub(super) fn accept(self: &Rc<Self>) -> Result<String> {
        let accept = self.incoming.take();
        let accept =
            accept.ok_or_else(|| Problem::new(Code::Internal, "there are no events to be taken in"))?;
        let was_awake = self.loaded.borrow().is_some();
        let mut loaded = self.open()?;
        let first_seq = loaded.next_seq;
        let settings = self.settings()?;
        loaded.parts.turn(accept.at, settings.retention);
        let mut rate = self.rate.get();
        // By the object's own clock: those of two isolates differ, and between them time would pass twice.
        let now = isolate::now();
        let wait = rate.look(settings.device_rate, now).wait();
        let mut outcomes = Vec::with_capacity(accept.entries.len());
        for entry in accept.entries {
            outcomes.push(self.commit(&mut loaded, &accept.device, accept.at, entry, wait)?);
        }
        let new: Vec<String> = loaded.fresh.iter().map(|sent| sent.event.clone()).collect();
        if !new.is_empty() {
            self.settle(&mut loaded, accept.at)?;
            self.heed(&accept.ahead, loaded.device.pruned_to, first_seq)?;
            self.arm_by(accept.at.plus_millis(confirm_after(was_awake)), now)?;
            // Looked at every few events: a bound of megabytes is not missed by a few rows.
            if is_due(first_seq, loaded.next_seq) {
                retention::by_size(self, &mut loaded, settings.max_log)?;
            }
        }
        self.keep(loaded)?;
        rate.take(u32::try_from(new.len()).unwrap_or(u32::MAX));
        self.rate.set(rate);
        if !new.is_empty() {
            self.send_off(Some(first_seq.saturating_sub(1)), now);
            self.deliver_behind(first_seq, &new, now);
        }
        Ok(flat::to_text(&Accepted { outcomes }))
    }

    /// Dedup, sequence and row in one statement; for a repeat a second one reads its reply. A device that has to `wait`
    /// adds nothing, but a repeat is still answered.
    fn commit(
        &self,
        loaded: &mut Loaded,
        device: &str,
        at: Time,
        entry: Entry,
        wait: Option<u32>,
    ) -> Result<Outcome> {
        #[cfg(feature = "inject")]
        crate::inject::on_event(&entry.event);
        // If the event turns out to be known, none of this was heard or said.
        let admitted = entry.is_admitted(&loaded.device);
        let turn = loaded.dialogue.answer(&entry, admitted, at);
        let details = entry
            .details
            .to_row(turn.said.too_large, turn.report_error.as_deref())
            .map_err(|_| Problem::new(Code::Internal, "the event cannot be written"))?;
        let seq = loaded.next_seq;
        let Entry { key, event, data, .. } = &entry;
        let row = EventRow { seq, key, at, event, data, details: details.get(), reply: turn.kept() };
        if wait.is_none() && schema::write_event(&self.sql, &row, loaded.parts.current())? > 0 {
            loaded.remember(key, seq, turn.kept());
            loaded.next_seq = seq + 1;
            loaded.parts.wrote(seq, at);
            loaded.last_heard = Some(at);
            if let Some(after) = loaded.device.after(device, at, &entry) {
                *loaded.device.change() = after;
            }
            let said = loaded.after(turn);
            if said.reply == PENDING {
                self.ask_from(&entry.key, at);
            }
            let Entry { key, event, data, .. } = entry;
            let reply = said.reply.clone();
            loaded.fresh.push(Sent { seq, received_at: at, event, data, details, key, reply });
            return Ok(Outcome::New { seq, reply: said.reply, live: said.live });
        }
        let row = sqlite::first(&self.sql, schema::REPLY_OF, vec![entry.key.as_str().into()])?;
        if let (None, Some(wait)) = (&row, wait) {
            return Ok(Outcome::Limited { wait });
        }
        let (kept, seq) = row.map(|mut columns| (columns.text(), columns.unsigned())).unwrap_or_default();
        if kept == PENDING {
            return Ok(self.answer_later(&entry.key, seq, at));
        }
        loaded.remember(&entry.key, seq, &kept);
        let turn = loaded.dialogue.repeat(&entry, admitted, kept, at);
        let said = loaded.after(turn);
        Ok(Outcome::Duplicate { seq, reply: said.reply, live: said.live })
    }

    /// A repeat of an event whose reply a service gives: nothing while the service is being asked, else it is this one
    /// that asks.
    fn answer_later(&self, key: &str, seq: u64, now: Time) -> Outcome {
        let since = self.asking.borrow().get(key).copied();
        let reply = match is_under_way(since, now) {
            true => String::new(),
            false => {
                self.ask_from(key, now);
                PENDING.to_owned()
            }
        };
        Outcome::Duplicate { seq, reply, live: true }
    }

    /// Remembers that a service is being asked.
    fn ask_from(&self, key: &str, now: Time) {
        let mut asking = self.asking.borrow_mut();
        asking.retain(|_, since| is_under_way(Some(*since), now));
        asking.insert(key.to_owned(), now);
    }

    /// Puts a service's answer into the row that waits for it.
    pub(super) fn answered(&self, key: &str, reply: &str, too_large: bool) -> Result<()> {
        self.asking.borrow_mut().remove(key);
        if !self.schema.exists(&self.sql)? {
            return Ok(());
        }
        for part in 0..PARTS {
            let answered = parts::of_part(schema::ANSWERED, part);
            if sqlite::run(&self.sql, &answered, vec![reply.into(), key.into()])? == 0 {
                continue;
            }
            if too_large {
                sqlite::run(&self.sql, &parts::of_part(schema::TOO_LARGE, part), vec![key.into()])?;
            }
            break;
        }
        Ok(())
    }
}

impl Loaded {
    /// For repeats that come soon. One that waits for its reply is not known yet, one that is not there has no number.
    fn remember(&mut self, key: &str, seq: u64, kept: &str) {
        if kept != PENDING && seq > 0 {
            self.recent.remember(Known { key: key.to_owned(), seq, kept: kept.to_owned() });
        }
    }
}
