//! Whether a text may have a key with a separator behind it. Four of the nine rules begin with one, and most texts have none:
//! to look for separators, which are rare, and back from there is several times as fast as to look for keys.

/// False only if none of the rules with keys matches. Looks back from each separator over blanks and backslashes, which the
/// one before has not seen: linear.
pub(super) fn may_have_keys(text: &str) -> bool {
    let bytes = text.as_bytes();
    memchr::memchr2_iter(b':', b'=', bytes).any(|place| ends_in_key(&bytes[..place]))
}

/// Whether a key of a rule stands at the end, in quotes or not.
fn ends_in_key(bytes: &[u8]) -> bool {
    let bytes = trimmed(bytes, |byte| matches!(byte, b' ' | b'\t'));
    let bytes = match bytes {
        [before @ .., b'"' | b'\'' | b'`'] => before,
        before => before,
    };
    let bytes = trimmed(bytes, |byte| byte == b'\\');
    let ends: &[&[u8]] = match bytes.last().map(u8::to_ascii_lowercase) {
        Some(b'd') => &[b"password"],
        Some(b'n') => &[b"authorization", b"token"],
        Some(b't') => &[b"secret"],
        Some(b'y') => &[b"key"],
        _ => return false,
    };
    ends.iter().any(|end| bytes.len() >= end.len() && bytes[bytes.len() - end.len()..].eq_ignore_ascii_case(end))
}

fn trimmed(mut bytes: &[u8], trims: impl Fn(u8) -> bool) -> &[u8] {
    while let [before @ .., last] = bytes
        && trims(*last)
    {
        bytes = before;
    }
    bytes
}
