//! What a shard tells a reader: one text message, made once for all readers that want the same.
//!
//! ```text
//! page ⇥ from ⇥ to ⇥ head ⇥ gap        or        push ⇥ to
//! pos ⇥ at ⇥ name ⇥ json               a line for each event
//! ```
//!
//! A *page* answers a request, a *push* comes by itself. `to` is the position that the message reaches, also
//! where no event in it passed the filter. Names have no control characters and the JSON is one line, so nothing
//! needs escaping. Events that are live only (hook-sent and its like) have `-` for a position.

/// How a message came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Page {
        /// Where it began, which may be another place than was asked for: the log's head, or what is kept of it.
        from: u64,
        /// Nothing is left to read in this direction; what comes now is pushed.
        head: bool,
        /// What lies before `from` was asked for, and has been removed.
        gap: bool,
    },
    Push,
}

/// A message as it is read.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    pub kind: Kind,
    pub to: u64,
    body: &'a str,
}

/// One event in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    pub pos: Option<u64>,
    /// When its shard took it, milliseconds.
    pub at: i64,
    pub name: &'a str,
    pub json: &'a str,
}

impl<'a> Message<'a> {
    pub fn read(text: &'a str) -> Option<Self> {
        let (head, body) = text.split_once('\n')?;
        let mut fields = head.split('\t');
        let (kind, to) = match fields.next()? {
            "push" => (Kind::Push, fields.next()?.parse().ok()?),
            "page" => {
                let from = fields.next()?.parse().ok()?;
                let to = fields.next()?.parse().ok()?;
                let mut flag = || Some(fields.next()? == "1");
                (Kind::Page { from, head: flag()?, gap: flag()? }, to)
            }
            _ => return None,
        };
        Some(Message { kind, to, body })
    }

    /// The events; a line that is none is left out.
    pub fn lines(&self) -> impl Iterator<Item = Line<'a>> + use<'a> {
        self.body.lines().filter_map(|line| {
            let mut fields = line.splitn(4, '\t');
            let (pos, at) = (fields.next()?, fields.next()?);
            let pos = if pos == "-" { None } else { Some(pos.parse().ok()?) };
            Some(Line { pos, at: at.parse().ok()?, name: fields.next()?, json: fields.next()? })
        })
    }
}

/// Writes a message: the lines first, since only then it is known how far they reach.
#[derive(Debug, Default)]
pub struct Writer {
    lines: String,
}

impl Writer {
    pub fn push(&mut self, line: &Line<'_>) {
        match line.pos {
            Some(pos) => self.lines.push_str(&pos.to_string()),
            None => self.lines.push('-'),
        }
        self.lines.push('\t');
        self.lines.push_str(&line.at.to_string());
        self.lines.push('\t');
        self.lines.push_str(line.name);
        self.lines.push('\t');
        self.lines.push_str(line.json);
        self.lines.push('\n');
    }

    /// Bytes so far.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    pub fn finish(self, kind: Kind, to: u64) -> String {
        match kind {
            Kind::Push => format!("push\t{to}\n{}", self.lines),
            Kind::Page { from, head, gap } => {
                format!("page\t{from}\t{to}\t{}\t{}\n{}", u8::from(head), u8::from(gap), self.lines)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn written_and_read_it_is_the_same(
            events in prop::collection::vec(
                (prop::option::of(0u64..1 << 53), 0i64..1 << 50, "[^\\x00-\\x1f\\x7f]{0,20}", "\\{[^\\n\\r]{0,40}"),
                0..5,
            ),
            to in 0u64..1 << 53, from in 0u64..1 << 53, head: bool, gap: bool, is_page: bool,
        ) {
            let kind = if is_page { Kind::Page { from, head, gap } } else { Kind::Push };
            let lines: Vec<Line<'_>> = events
                .iter()
                .map(|(pos, at, name, json)| Line { pos: *pos, at: *at, name, json })
                .collect();
            let mut writer = Writer::default();
            lines.iter().for_each(|line| writer.push(line));
            let text = writer.finish(kind, to);
            let message = Message::read(&text).unwrap();
            prop_assert_eq!((message.kind, message.to), (kind, to));
            prop_assert_eq!(message.lines().collect::<Vec<_>>(), lines);
        }

        #[test]
        fn no_text_panics(text in ".*") {
            if let Some(message) = Message::read(&text) {
                let _ = message.lines().count();
            }
        }
    }
}
