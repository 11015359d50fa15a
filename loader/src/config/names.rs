//! Checks of names: instance names, GTS segments, and the nearest known key for an unknown one.
//!
//! The GTS check is that of one segment, which is all that is ever written in `plugins.toml`; the rules are those of crate
//! `gts-id`, which reads whole identifiers (`registry`).

/// The longest instance name.
pub(crate) const MAX_NAME: usize = 128;

/// How a GTS segment is described in messages.
pub(crate) const GTS_SEGMENT: &str = "GTS segment vendor.package.namespace.type.vMAJOR[.MINOR]";

/// Whether `name` may name a plugin instance: 1 to 128 of `A-Z a-z 0-9 . _ -`.
pub(crate) fn is_instance_name(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

/// Whether `text` is one concrete GTS segment, e.g. `acme.policy._.static.v1` or `acme.policy._.static.v1.2`.
pub(crate) fn is_gts_segment(text: &str) -> bool {
    let tokens: Vec<&str> = text.split('.').collect();
    let (names, version) = match tokens.len() {
        5 | 6 => tokens.split_at(4),
        _ => return false,
    };
    names.iter().all(|token| is_token(token))
        && version[0].strip_prefix('v').is_some_and(is_number)
        && version.get(1).is_none_or(|minor| is_number(minor))
}

fn is_token(token: &str) -> bool {
    !token.starts_with(|c: char| c.is_ascii_digit())
        && !token.is_empty()
        && token.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

/// A `u32` written in its only way: no sign, no leading zero.
fn is_number(text: &str) -> bool {
    text.parse::<u32>().is_ok_and(|number| number.to_string() == text)
}

/// The known key that `key` was probably meant to be; `None` when nothing is near enough to be worth a guess.
pub(crate) fn nearest<'k>(key: &str, known: &[&'k str]) -> Option<&'k str> {
    let plain = |text: &str| text.to_ascii_lowercase().replace('-', "_");
    let key = plain(key);
    // One slip per three letters; a short key takes one only, or everything would be near to it.
    let allowed = (key.chars().count() / 3).max(1);
    let distances = known.iter().map(|&known| (strsim::damerau_levenshtein(&key, &plain(known)), known));
    distances.filter(|(distance, _)| *distance <= allowed).min_by_key(|(distance, _)| *distance).map(|(_, known)| known)
}
