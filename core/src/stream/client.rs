//! A stream as its client reads it: server-sent events, JSON Lines, or the messages of a WebSocket.
//!
//! The whole of a stream's state but its sockets and timers. What it gives out is whole events, to be written in
//! one piece, so that no write ends within a character.

use super::cursor::Cursor;
use super::merge::{Broken, Item, Order, Reader};

/// What a client reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// As Particle's streams (PARTICLE.md, "Streams and REST"), each event with an `id:`.
    Sse,
    /// A JSON object on each line, with the cursor first. On a WebSocket each line is a message.
    Lines,
}

/// One client's stream.
#[derive(Debug)]
pub struct Client {
    reader: Reader,
    wire: Wire,
    /// The cursor has moved since the client was told one.
    moved: bool,
}

impl Client {
    /// A stream over so many shards, behind a cursor or from now on.
    pub fn new(shards: usize, after: Option<Cursor>, wire: Wire) -> Self {
        Client { reader: Reader::new(shards, after, Order::Ascending), wire, moved: true }
    }

    /// What goes out with the headers.
    pub fn opening(&self) -> &'static str {
        match self.wire {
            Wire::Sse => ":ok\n\n",
            // Clients get the headers with the first byte. A space may stand before any JSON text.
            Wire::Lines => " ",
        }
    }

    pub fn shards(&self) -> usize {
        self.reader.shards()
    }

    /// See [`Reader::lone`]. What is received next depends on this place, the message and [`Wire`] alone.
    pub fn lone(&self) -> Option<u64> {
        self.reader.lone()
    }

    /// Whether the client has yet to be told its place.
    pub fn has_moved(&self) -> bool {
        self.moved
    }

    /// The client was written what [`Client::receive`] made of the same message for another that was at the same place,
    /// after which that one was at `to`, and `moved` or not.
    pub fn follow(&mut self, to: u64, moved: bool) {
        self.reader.follow(to);
        self.moved = moved;
    }

    /// See [`Reader::grow`].
    pub fn grow(&mut self, shards: usize) {
        self.reader.grow(shards);
    }

    /// See [`Reader::begins`].
    pub fn begins(&self, shard: usize) -> Option<u64> {
        self.reader.begins(shard)
    }

    pub fn connected(&mut self, shard: usize) {
        self.reader.connected(shard);
    }

    pub fn lost(&mut self, shard: usize) {
        self.reader.lost(shard);
    }

    pub fn is_live(&self) -> bool {
        self.reader.is_live()
    }

    /// See [`Reader::ask`].
    pub fn ask(&mut self, may_read: bool) -> Vec<(usize, u64)> {
        self.reader.ask(may_read)
    }

    /// What a shard's message lets the client read: nothing, one event, or several.
    ///
    /// # Errors
    /// [`Broken`]: the connection to the shard is of no use.
    pub fn receive(&mut self, shard: usize, message: &str) -> Result<String, Broken> {
        self.reader.receive(shard, message)?;
        self.moved = true;
        let mut out = String::new();
        while let Some(item) = self.reader.pop() {
            match item {
                Item::Event { name, json, kept } => {
                    self.moved &= !kept;
                    self.write(&mut out, &name, &json, kept);
                }
                Item::Gap => self.write_gap(&mut out),
            }
        }
        Ok(out)
    }

    fn write(&self, out: &mut String, name: &str, json: &str, kept: bool) {
        match self.wire {
            Wire::Sse => {
                write_sse(out, name, json);
                self.end_sse(out, kept);
            }
            Wire::Lines => {
                match json.strip_prefix('{').filter(|_| kept) {
                    Some(rest) => {
                        out.push_str("{\"cursor\":\"");
                        out.push_str(&self.reader.cursor().encode());
                        out.push_str("\",");
                        out.push_str(rest);
                    }
                    None => out.push_str(json),
                }
                out.push('\n');
            }
        }
    }

    /// Never silence: what was removed before it could be read is said.
    fn write_gap(&self, out: &mut String) {
        let oldest = self.reader.cursor().encode();
        match self.wire {
            Wire::Sse => {
                write_sse(out, "gap", &format!(r#"{{"oldest":"{oldest}"}}"#));
                self.end_sse(out, true);
            }
            Wire::Lines => {
                out.push_str(&format!("{{\"notice\":\"gap\",\"oldest\":\"{oldest}\"}}\n"));
            }
        }
    }

    /// The last words to a client that reads too slowly: where it can go on.
    pub fn dropped(&self) -> String {
        let mut out = String::new();
        let cursor = self.reader.cursor().encode();
        match self.wire {
            Wire::Sse => {
                write_sse(&mut out, "dropped", &format!(r#"{{"cursor":"{cursor}"}}"#));
                self.end_sse(&mut out, true);
            }
            Wire::Lines => out.push_str(&format!("{{\"notice\":\"dropped\",\"cursor\":\"{cursor}\"}}\n")),
        }
        out
    }

    /// A sign of life: a comment, with the place reached where the client was not told of it, so that one whose
    /// events are rare need not come back to an old place. In JSON Lines it is a space, which may stand before
    /// the next line's object.
    pub fn keep_alive(&mut self) -> String {
        match self.wire {
            Wire::Sse if self.moved && self.reader.has_place() => {
                self.moved = false;
                format!(":\nid: {}\n\n", self.reader.cursor().encode())
            }
            Wire::Sse => ":\n\n".to_owned(),
            Wire::Lines => " ".to_owned(),
        }
    }

    fn end_sse(&self, out: &mut String, kept: bool) {
        if kept {
            out.push_str("id: ");
            out.push_str(&self.reader.cursor().encode());
            out.push('\n');
        }
        out.push('\n');
    }
}

fn write_sse(out: &mut String, name: &str, json: &str) {
    out.push_str("event: ");
    out.push_str(name);
    out.push_str("\ndata: ");
    out.push_str(json);
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "page\t3\t3\t1\t0\n";
    const PUSH: &str =
        "push\t5\n4\t10\ttemp\t{\"data\":\"1\"}\n-\t10\thook-sent/temp\t{\"data\":\"undefined\"}\n";

    fn live(wire: Wire) -> Client {
        let mut client = Client::new(1, None, wire);
        client.connected(0);
        assert_eq!(client.receive(0, PAGE).unwrap(), "");
        assert!(client.is_live());
        client
    }

    fn cursor(position: u64) -> String {
        let mut cursor = Cursor::default();
        cursor.set(0, position);
        cursor.encode()
    }

    #[test]
    fn sse_is_particles_with_an_id() {
        let mut client = live(Wire::Sse);
        let id = cursor(4);
        let expected = format!(
            "event: temp\ndata: {{\"data\":\"1\"}}\nid: {id}\n\nevent: hook-sent/temp\ndata: {{\"data\":\"undefined\"}}\n\n"
        );
        assert_eq!(client.receive(0, PUSH).unwrap(), expected);
        // Position 5 was somebody else's event.
        assert!(client.dropped().ends_with(&format!("id: {}\n\n", cursor(5))));
    }

    #[test]
    fn lines_have_the_cursor_first() {
        let mut client = live(Wire::Lines);
        let id = cursor(4);
        let expected = format!("{{\"cursor\":\"{id}\",\"data\":\"1\"}}\n{{\"data\":\"undefined\"}}\n");
        assert_eq!(client.receive(0, PUSH).unwrap(), expected);
        assert_eq!([client.opening().to_owned(), client.keep_alive()], [" ", " "]);
    }

    #[test]
    fn a_quiet_client_is_told_its_place_once() {
        let mut client = live(Wire::Sse);
        assert_eq!(client.keep_alive(), format!(":\nid: {}\n\n", cursor(3)));
        assert_eq!(client.keep_alive(), ":\n\n");
        client.receive(0, "push\t9\n").unwrap();
        assert_eq!(client.keep_alive(), format!(":\nid: {}\n\n", cursor(9)));
    }

    #[test]
    fn one_that_follows_another_stands_where_that_does() {
        for message in [PUSH, "push\t9\n", "push\t4\n4\t10\ttemp\t{}\n"] {
            let (mut first, mut second) = (live(Wire::Sse), live(Wire::Sse));
            assert_eq!((first.lone(), second.lone()), (Some(3), Some(3)));
            first.receive(0, message).unwrap();
            second.follow(first.lone().unwrap(), first.has_moved());
            assert_eq!(second.lone(), first.lone());
            assert_eq!(second.keep_alive(), first.keep_alive(), "{message}");
            let next = "push\t11\n10\t20\ttemp\t{}\n11\t20\ttemp\t{}\n";
            assert_eq!(second.receive(0, next), first.receive(0, next));
            assert_eq!((second.dropped(), second.begins(0)), (first.dropped(), first.begins(0)));
        }
    }

    #[test]
    fn only_who_is_at_the_head_of_one_shard_can_follow() {
        let mut client = Client::new(1, Some(Cursor::default()), Wire::Sse);
        assert_eq!(client.lone(), None, "not connected");
        client.connected(0);
        client.ask(true);
        assert_eq!(client.lone(), None, "behind");
        client.receive(0, "page\t0\t8\t1\t0\n").unwrap();
        assert_eq!(client.lone(), Some(8));
        client.grow(2);
        assert_eq!(client.lone(), None, "of two shards");
        let mut client = live(Wire::Sse);
        client.lost(0);
        assert_eq!(client.lone(), None, "lost");
    }

    #[test]
    fn before_a_shard_was_heard_of_there_is_no_place() {
        let mut client = Client::new(2, None, Wire::Sse);
        client.connected(0);
        client.connected(1);
        client.receive(0, PAGE).unwrap();
        assert_eq!(client.keep_alive(), ":\n\n");
    }

    #[test]
    fn what_was_removed_is_said_with_the_oldest_place() {
        let mut client = Client::new(1, Some(Cursor::default()), Wire::Sse);
        client.connected(0);
        assert_eq!(client.ask(true), [(0, 0)]);
        let out = client.receive(0, "page\t7\t8\t1\t1\n8\t10\ttemp\t{}\n").unwrap();
        let (gap, event) = (cursor(7), cursor(8));
        assert_eq!(
            out,
            format!(
                "event: gap\ndata: {{\"oldest\":\"{gap}\"}}\nid: {gap}\n\nevent: temp\ndata: {{}}\nid: {event}\n\n"
            )
        );
    }

    #[test]
    fn what_no_shard_says_breaks_the_connection_and_nothing_else() {
        for text in ["", "hello\n", "push\n", PAGE] {
            assert!(live(Wire::Sse).receive(0, text).is_err(), "{text}");
        }
        assert!(live(Wire::Sse).receive(9, PUSH).is_err());
    }
}
