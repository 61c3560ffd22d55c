//! Text of others (answers, devices, callers, certificates) on its way to a terminal, which obeys control characters.

use std::borrow::Cow;

/// The text with its control characters escaped as JSON does it: those of ASCII, DEL, and U+0080 to U+009F, which begin
/// sequences as ESC does. In JSON that serde_json wrote they are inside strings, so that it stays the same JSON.
///
/// ```
/// use simulator::printable::printable;
/// assert_eq!(printable("é \u{1b}[31m \u{9b}31m \u{7f}"), r"é \u001b[31m \u009b31m \u007f");
/// ```
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if character.is_control() {
            escaped.push_str(&format!("\\u{:04x}", u32::from(character)));
        } else {
            escaped.push(character);
        }
    }
    Cow::Owned(escaped)
}
