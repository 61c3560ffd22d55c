//! Values one behind the other, as they cross an object call on an event's way.
//!
//! JSON would escape every text and look for every quote; on that way it would be written and read four times. Here a
//! text is its length and itself ([netstrings](https://cr.yp.to/proto/netstrings.txt)), and a struct is its fields in
//! order, without their names. So both ends must mean the same fields, which [`FORMAT`] says.

use crate::clock::Time;
use serde_json::value::RawValue;

/// Stands in front of everything, and is another with every change of what crosses. While a new version is taking over,
/// an object may still run the old one: it refuses what it would misread, and the event is answered 503 until it has
/// changed over too.
pub const FORMAT: char = '1';

/// What can be written so, and read again.
///
/// ```
/// use fieldhook_core::flat;
/// let written = flat::to_text(&(7u64, Some("a:b".to_owned())));
/// assert_eq!(written, "17;3:a:b"); // the first is the format
/// assert_eq!(flat::of_text::<(u64, Option<String>)>(&written), Some((7, Some("a:b".to_owned()))));
/// assert_eq!(flat::of_text::<u64>("17;8;"), None); // nothing may be left
/// assert_eq!(flat::of_text::<u64>("07;"), None); // another format
/// ```
pub trait Flat: Sized {
    fn write(&self, to: &mut String);

    /// Takes itself from the front; `None` where that is something else.
    fn read(from: &mut &str) -> Option<Self>;
}

pub fn to_text<T: Flat>(value: &T) -> String {
    // Most events fit, and a text that grows is copied.
    let mut text = String::with_capacity(1_024);
    text.push(FORMAT);
    value.write(&mut text);
    text
}

pub fn of_text<T: Flat>(text: &str) -> Option<T> {
    let mut text = text.strip_prefix(FORMAT)?;
    let value = T::read(&mut text)?;
    text.is_empty().then_some(value)
}

/// The fields of a struct, in the order in which they cross.
#[macro_export]
macro_rules! flat {
    ($name:ty { $($field:ident),+ $(,)? }) => {
        impl $crate::flat::Flat for $name {
            fn write(&self, to: &mut String) {
                $(self.$field.write(to);)+
            }

            fn read(from: &mut &str) -> Option<Self> {
                Some(Self { $($field: $crate::flat::Flat::read(from)?),+ })
            }
        }
    };
}

/// The digits of a number, and a mark behind them. Not by `fmt`, which is most of what it would take.
fn write_number(mut number: u64, mark: char, to: &mut String) {
    let mut digits = [b'0'; 20];
    let mut unused = digits.len();
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
        unused -= 1;
        if number == 0 {
            break;
        }
    }
    to.extend(digits.iter().skip(unused).map(|digit| char::from(*digit)));
    to.push(mark);
}

/// Takes the digits up to a mark, and the mark.
fn read_number(from: &mut &str, mark: u8) -> Option<u64> {
    let mut number: u64 = 0;
    for (at, byte) in from.bytes().enumerate() {
        match byte {
            b'0'..=b'9' => {
                number = number.checked_mul(10)?.checked_add(u64::from(byte - b'0'))?;
            }
            _ if byte == mark && at > 0 => {
                *from = from.get(at + 1..)?;
                return Some(number);
            }
            _ => return None,
        }
    }
    None
}

macro_rules! numbers {
    ($($type:ty),+) => {
        $(impl Flat for $type {
            fn write(&self, to: &mut String) {
                write_number(*self as u64, ';', to);
            }

            fn read(from: &mut &str) -> Option<Self> {
                read_number(from, b';')?.try_into().ok()
            }
        })+
    };
}

numbers!(u32, u64, usize);

impl Flat for Time {
    fn write(&self, to: &mut String) {
        // From 1970 on, as every one that is made.
        u64::try_from(self.millis()).unwrap_or(0).write(to);
    }

    fn read(from: &mut &str) -> Option<Self> {
        Some(Time::from_millis(u64::read(from)?.try_into().ok()?))
    }
}

impl Flat for bool {
    fn write(&self, to: &mut String) {
        to.push(if *self { '+' } else { '-' });
    }

    fn read(from: &mut &str) -> Option<Self> {
        let (is, rest) = match (from.strip_prefix('+'), from.strip_prefix('-')) {
            (Some(rest), _) => (true, rest),
            (None, rest) => (false, rest?),
        };
        *from = rest;
        Some(is)
    }
}

fn write_text(text: &str, to: &mut String) {
    write_number(text.len() as u64, ':', to);
    to.push_str(text);
}

fn read_text<'a>(from: &mut &'a str) -> Option<&'a str> {
    let length = read_number(from, b':')?.try_into().ok()?;
    let (text, rest) = from.split_at_checked(length)?;
    *from = rest;
    Some(text)
}

impl Flat for String {
    fn write(&self, to: &mut String) {
        write_text(self, to);
    }

    fn read(from: &mut &str) -> Option<Self> {
        read_text(from).map(str::to_owned)
    }
}

impl Flat for Box<RawValue> {
    fn write(&self, to: &mut String) {
        write_text(self.get(), to);
    }

    fn read(from: &mut &str) -> Option<Self> {
        RawValue::from_string(String::read(from)?).ok()
    }
}

/// A `-` where there is none, which nothing else that is optional begins with.
macro_rules! optional {
    ($($type:ty),+ $(,)?) => {
        $(impl Flat for Option<$type> {
            fn write(&self, to: &mut String) {
                match self {
                    Some(value) => value.write(to),
                    None => to.push('-'),
                }
            }

            fn read(from: &mut &str) -> Option<Self> {
                if let Some(rest) = from.strip_prefix('-') {
                    *from = rest;
                    return Some(None);
                }
                <$type>::read(from).map(Some)
            }
        })+
    };
}

optional!(String, Box<RawValue>, Time, crate::home::Room);

impl<T: Flat> Flat for Vec<T> {
    fn write(&self, to: &mut String) {
        self.len().write(to);
        self.iter().for_each(|item| item.write(to));
    }

    fn read(from: &mut &str) -> Option<Self> {
        let length = usize::read(from)?;
        // What it says of its length is no reason to make room: each item takes a byte of the text at least.
        (0..length).map(|_| T::read(from)).collect()
    }
}

impl<A: Flat, B: Flat> Flat for (A, B) {
    fn write(&self, to: &mut String) {
        self.0.write(to);
        self.1.write(to);
    }

    fn read(from: &mut &str) -> Option<Self> {
        Some((A::read(from)?, B::read(from)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type All = ((Vec<String>, Option<String>), ((u64, u32), (bool, Option<Time>)));

    fn time(at: Option<i64>) -> Option<Time> {
        at.map(Time::from_millis)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(
            texts in proptest::collection::vec(any::<String>(), 0..5), text in proptest::option::of(any::<String>()),
            long in any::<u64>(), short in any::<u32>(), flag in any::<bool>(),
            at in proptest::option::of(0..4_000_000_000_000i64),
        ) {
            let all: All = ((texts, text), ((long, short), (flag, time(at))));
            let written = to_text(&all);
            prop_assert_eq!(of_text::<All>(&written), Some(all));
            // What is cut short is not taken for something shorter.
            let cut: String = written.chars().take(written.chars().count() - 1).collect();
            prop_assert_eq!(of_text::<All>(&cut), None);
        }

        #[test]
        fn whatever_comes_is_read_or_refused(text in any::<String>(), lengths in "[0-9:;+-]{0,40}") {
            for text in [text, lengths].map(|text| format!("{FORMAT}{text}")) {
                let _ = of_text::<All>(&text);
                let _ = of_text::<crate::log::Accept>(&text);
                let _ = of_text::<crate::log::Accepted>(&text);
                let _ = of_text::<crate::fleet::append::Append>(&text);
                let _ = of_text::<Vec<Box<RawValue>>>(&text);
            }
        }
    }

    #[test]
    fn a_length_that_is_not_there_costs_nothing() {
        assert_eq!(of_text::<Vec<String>>("118446744073709551615;1:a"), None);
        assert_eq!(of_text::<String>("118446744073709551615:a"), None);
        assert_eq!(of_text::<String>("11:é"), None, "within a character");
        assert_eq!(of_text::<String>("12:é"), Some("é".to_owned()));
    }
}
