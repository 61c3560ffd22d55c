//! Which names say that what goes by them is a secret, in definitions and in recorded requests alike
//! (DESIGN.md, "URL guard": secret-named fields are masked).

pub use crate::secret_names::MASK;
use crate::secret_names::is_secret_name;

/// Names that hold a key where they stand in a query, and mean much else in other places: Google's `key`,
/// OpenWeatherMap's `appid`, the `code` of Azure Functions, the `sig` of signed URLs.
const SECRET_IN_QUERY: [&str; 4] = ["key", "appid", "code", "sig"];

/// Whether a header, a form field or a member of this name holds a secret.
///
/// ```
/// use fieldhook_core::integration::names::is_secret;
/// assert!(is_secret("Authorization") && is_secret("X-AIO-Key") && is_secret("accessToken"));
/// assert!(!is_secret("tokens") && !is_secret("monkey") && !is_secret("key"));
/// ```
pub fn is_secret(name: &str) -> bool {
    is_secret_name(name.trim())
}

/// Whether a field of a query of this name holds a secret.
///
/// ```
/// use fieldhook_core::integration::names::is_secret_in_query;
/// assert!(is_secret_in_query("appid") && is_secret_in_query("api_key"));
/// assert!(!is_secret_in_query("q"));
/// ```
pub fn is_secret_in_query(name: &str) -> bool {
    is_secret(name) || SECRET_IN_QUERY.contains(&name.trim().to_ascii_lowercase().as_str())
}

/// Pieces of a URL: those that are secrets by their place or name, each with a name of its own, and what is between.
/// Joined they are the URL again.
///
/// A secret is the value of a secret-named field, behind the first `?` or `&`; and the segment of the path by which
/// some services know their user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a> {
    Plain(&'a str),
    Secret { name: &'a str, text: &'a str },
}

/// Takes a URL apart where its secrets are.
///
/// ```
/// use fieldhook_core::integration::names::{Piece, url_pieces};
/// let pieces = url_pieces("https://h/update?api_key=abc&field1={{{t}}}");
/// assert!(pieces.contains(&Piece::Secret { name: "api_key", text: "abc" }));
/// let slack = url_pieces("https://hooks.slack.com/services/T0/B0/abc");
/// assert!(slack.contains(&Piece::Secret { name: "", text: "abc" }));
/// ```
pub fn url_pieces(url: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    // A `#` can belong to a tag, and what looks like a fragment then is the query's: so it is taken for one.
    let start = url.find(['?', '&']).unwrap_or(url.len());
    let (address, query) = url.split_at_checked(start).unwrap_or((url, ""));
    address_pieces(address, &mut pieces);
    for field in query.split_inclusive(['?', '&']) {
        // Each field is up to and with the separator behind it.
        let end = field.strip_suffix(['?', '&']).unwrap_or(field);
        let separator = field.get(end.len()..).unwrap_or_default();
        match end.split_once('=') {
            Some((name, value)) if !value.is_empty() && is_secret_in_query(&decoded(name)) => {
                let before = field.get(..name.len() + 1).unwrap_or_default();
                pieces.push(Piece::Plain(before));
                pieces.push(Piece::Secret { name, text: value });
                pieces.push(Piece::Plain(separator));
            }
            _ => pieces.push(Piece::Plain(field)),
        }
    }
    pieces
}

fn address_pieces<'a>(address: &'a str, pieces: &mut Vec<Piece<'a>>) {
    let Some(secret) = secret_segment(address).filter(|segment| !segment.is_empty()) else {
        pieces.push(Piece::Plain(address));
        return;
    };
    // `secret` is a part of `address`: both ends are where a segment's are.
    let offset = secret.as_ptr() as usize - address.as_ptr() as usize;
    let before = address.get(..offset).unwrap_or_default();
    let after = address.get(offset + secret.len()..).unwrap_or_default();
    pieces.push(Piece::Plain(before));
    pieces.push(Piece::Secret { name: "", text: secret });
    pieces.push(Piece::Plain(after));
}

/// The segment by which a service knows its user: whoever has it may post.
fn secret_segment(address: &str) -> Option<&str> {
    let (_, rest) = address.split_once("://")?;
    let (authority, path) = rest.split_once('/')?;
    let host = authority.split_once(':').map_or(authority, |(host, _)| host).to_ascii_lowercase();
    let last = || path.trim_end_matches('/').rsplit('/').next();
    match host.as_str() {
        "hooks.slack.com" if path.starts_with("services/") => last(),
        "discord.com" | "discordapp.com" if path.starts_with("api/webhooks/") => last(),
        "maker.ifttt.com" => path.split_once("/key/").map(|(_, key)| key.split('/').next().unwrap_or(key)),
        "api.telegram.org" => path.split('/').next().filter(|part| part.starts_with("bot") || *part == MASK),
        _ => None,
    }
}

fn decoded(name: &str) -> String {
    // One field is a form of one pair without a value.
    form_urlencoded::parse(name.as_bytes()).next().map(|(name, _)| name.into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn masked(url: &str) -> String {
        let show = |piece| match piece {
            Piece::Plain(text) => text,
            Piece::Secret { .. } => MASK,
        };
        url_pieces(url).into_iter().map(show).collect()
    }

    #[test]
    fn what_a_url_hides() {
        for (url, shown) in [
            ("https://h/a?x=1&token=t&y=2", "https://h/a?x=1&token=********&y=2"),
            ("https://h/a?token=t", "https://h/a?token=********"),
            ("https://h/a?x={{#a}}1{{/a}}&api%5Fkey=t", "https://h/a?x={{#a}}1{{/a}}&api%5Fkey=********"),
            ("https://h/a?token=", "https://h/a?token="),
            ("https://h/token=t", "https://h/token=t"),
            ("https://hooks.slack.com/services/T/B/x", "https://hooks.slack.com/services/T/B/********"),
            (
                "https://HOOKS.slack.com:443/services/T/B/x/?a=b",
                "https://HOOKS.slack.com:443/services/T/B/********/?a=b",
            ),
            (
                "https://discord.com/api/webhooks/1/x?wait=1",
                "https://discord.com/api/webhooks/1/********?wait=1",
            ),
            (
                "https://maker.ifttt.com/trigger/{{{e}}}/with/key/x",
                "https://maker.ifttt.com/trigger/{{{e}}}/with/key/********",
            ),
            ("https://api.telegram.org/bot1:x/sendMessage", "https://api.telegram.org/********/sendMessage"),
            ("https://slack.com/services/T/B/x", "https://slack.com/services/T/B/x"),
        ] {
            assert_eq!(masked(url), shown);
        }
    }

    proptest! {
        #[test]
        fn the_pieces_are_the_url(url in "(https://hooks\\.slack\\.com/services/)?[a-z=?&#/{}é]{0,20}(token=)?.{0,20}") {
            let whole = |piece| match piece { Piece::Plain(text) | Piece::Secret { text, .. } => text };
            prop_assert_eq!(url_pieces(&url).into_iter().map(whole).collect::<String>(), url);
        }
    }
}
