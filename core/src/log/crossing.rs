//! How events cross the call to a Device object, and their outcomes the way back.

use super::{Accept, Accepted, Details, Entry, Outcome, Plan};
use crate::delivery::ahead::Ahead;
use crate::flat;
use crate::flat::Flat;
use crate::home::{Room, Way};
use crate::reply::Framing;

flat!(Accept { device, at, entries, ahead });
flat!(Entry { key, event, data, details, plan, report, way });
flat!(Details {
    id,
    coreid,
    published_at,
    source,
    product_id,
    fw_version,
    userid,
    derived,
    raw,
    transform_error,
    reply_too_large,
    report_error,
    media_type,
    extra,
    hops,
    truncated,
});
flat!(Ahead { integration, from, changes });
flat!(Way { guarded, room });
flat!(Room { framing, budget, around });
flat!(Accepted { outcomes });

/// Which of several it is: a letter in front.
fn letter(from: &mut &str) -> Option<char> {
    let letter = from.chars().next()?;
    *from = from.get(letter.len_utf8()..)?;
    Some(letter)
}

impl Flat for Framing {
    fn write(&self, to: &mut String) {
        to.push(match self {
            Framing::Plain => 'p',
            Framing::Framed => 'f',
        });
    }

    fn read(from: &mut &str) -> Option<Self> {
        match letter(from)? {
            'p' => Some(Framing::Plain),
            'f' => Some(Framing::Framed),
            _ => None,
        }
    }
}

impl Flat for Plan {
    fn write(&self, to: &mut String) {
        match self {
            Plan::Said(stored) => {
                to.push('s');
                stored.write(to);
            }
            Plan::Due { framing, budget } => {
                to.push('d');
                framing.write(to);
                budget.write(to);
            }
            Plan::Template { template, framing, budget } => {
                to.push('t');
                template.write(to);
                framing.write(to);
                budget.write(to);
            }
        }
    }

    fn read(from: &mut &str) -> Option<Self> {
        match letter(from)? {
            's' => Some(Plan::Said(Flat::read(from)?)),
            'd' => Some(Plan::Due { framing: Flat::read(from)?, budget: Flat::read(from)? }),
            't' => Some(Plan::Template {
                template: Flat::read(from)?,
                framing: Flat::read(from)?,
                budget: Flat::read(from)?,
            }),
            _ => None,
        }
    }
}

impl Flat for Outcome {
    fn write(&self, to: &mut String) {
        let (letter, seq, reply, live) = match self {
            Outcome::New { seq, reply, live } => ('n', seq, reply, live),
            Outcome::Duplicate { seq, reply, live } => ('d', seq, reply, live),
            Outcome::Limited { wait } => {
                to.push('l');
                return wait.write(to);
            }
        };
        to.push(letter);
        seq.write(to);
        reply.write(to);
        live.write(to);
    }

    fn read(from: &mut &str) -> Option<Self> {
        let letter = letter(from)?;
        if letter == 'l' {
            return Some(Outcome::Limited { wait: Flat::read(from)? });
        }
        let (seq, reply, live) = (Flat::read(from)?, Flat::read(from)?, Flat::read(from)?);
        match letter {
            'n' => Some(Outcome::New { seq, reply, live }),
            'd' => Some(Outcome::Duplicate { seq, reply, live }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Time;
    use crate::flat::{of_text, to_text};
    use crate::json;

    fn entry(plan: Plan) -> Entry {
        let details = r#"{"id":"1","coreid":"d","published_at":7,"source":"s","product_id":"12","derived":true,
            "raw":"{\"a\":1}","media_type":"text/plain","extra":{"ttl": 60},"hops":3}"#;
        Entry {
            key: "k".into(),
            event: "t/é".into(),
            data: "line\n\"quoted\" 5:x;".into(),
            details: json::read(details).unwrap(),
            plan,
            report: true,
            way: Way { guarded: true, room: Some(Room::new(Framing::Framed, 511)) },
        }
    }

    #[test]
    fn events_cross_as_they_are() {
        let template = serde_json::value::RawValue::from_string(r#"{"a":"{{b}}"}"#.to_owned()).unwrap();
        let plans = [
            Plan::Said("phello".into()),
            Plan::Due { framing: Framing::Plain, budget: 5_119 },
            Plan::Template { template, framing: Framing::Framed, budget: 511 },
        ];
        let at = Time::from_millis(1_795_363_213_000);
        let ahead = vec![Ahead { integration: "i".into(), from: at, changes: vec![at] }];
        let accept =
            Accept { device: "d".into(), at, entries: plans.into_iter().map(entry).collect(), ahead };
        let crossed: Accept = of_text(&to_text(&accept)).unwrap();
        assert_eq!(format!("{accept:?}"), format!("{crossed:?}"));
    }

    /// Where this fails, fields have changed: so must [`crate::flat::FORMAT`], and then this.
    #[test]
    fn what_crosses_is_of_this_format() {
        let entry = Entry { way: Way::default(), ..entry(Plan::Said("phi".into())) };
        let accept =
            Accept { device: "d".into(), at: Time::from_millis(9), entries: vec![entry], ahead: vec![] };
        let written = "11:d9;1;1:k4:t/é18:line\n\"quoted\" 5:x;1:11:d7;1:s2:12--+7:{\"a\":1}---10:text/plain\
                       11:{\"ttl\": 60}3;-s3:phi+--0;";
        assert_eq!(to_text(&accept), written);
    }

    #[test]
    fn outcomes_cross_as_they_are() {
        let outcomes = vec![
            Outcome::New { seq: 1, reply: "pé".into(), live: false },
            Outcome::Duplicate { seq: 2, reply: String::new(), live: true },
            Outcome::Limited { wait: 3 },
        ];
        let accepted = Accepted { outcomes };
        assert_eq!(of_text(&to_text(&accepted)), Some(accepted));
    }
}
