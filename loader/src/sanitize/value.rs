//! Where the value of a key begins and ends: `key=value`, `"key": "value"`, and what people write in between.

use std::ops::Range;

use super::Class;

/// The value that begins at or after `from`, the place behind a separator; nothing if there is none worth hiding.
///
/// Looks at each byte of it once, and at no byte behind it but blanks: searching on from its end is linear.
pub(super) fn value(text: &str, from: usize) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let mut start = skip(bytes, from, |byte| matches!(byte, b' ' | b'\t'));
    if matches!(bytes.get(start), Some(b'\n' | b'\r')) {
        // Only a quoted value stands on the next line.
        start = skip(bytes, start, |byte| byte.is_ascii_whitespace());
        opened(bytes, start)?;
    }
    let value = match (opened(bytes, start), bytes.get(start)?) {
        (Some((quote, level)), _) => {
            let start = start + level + 1;
            start..closed(bytes, start, quote, level)
        }
        (None, b'[') => {
            let line_end = skip(bytes, start, |byte| !matches!(byte, b'\n' | b'\r'));
            match bytes[start..line_end].iter().position(|byte| *byte == b']') {
                Some(close) => start..bare(bytes, start + close + 1),
                None => start..line_end,
            }
        }
        (None, b'{') => return None,
        (None, _) => start..bare(bytes, start),
    };
    let shown = &text[value.clone()];
    let harmless = ["null", "true", "false", "none"].into_iter().any(|word| shown.eq_ignore_ascii_case(word));
    let hidden = Class::ALL.into_iter().any(|class| shown == class.placeholder());
    (!shown.is_empty() && !harmless && !hidden).then_some(value)
}

fn skip(bytes: &[u8], from: usize, skipped: impl Fn(u8) -> bool) -> usize {
    bytes[from..].iter().position(|byte| !skipped(*byte)).map_or(bytes.len(), |place| from + place)
}

/// The quote that opens a value at `start`, and how many backslashes stand before it: in JSON inside a JSON string one, a
/// level deeper three.
fn opened(bytes: &[u8], start: usize) -> Option<(u8, usize)> {
    let quote = skip(bytes, start, |byte| byte == b'\\');
    let opens = |byte: &&u8| matches!(byte, b'"' | b'\'' | b'`');
    bytes.get(quote).filter(opens).map(|byte| (*byte, quote - start))
}

/// Where the quoted value that begins at `start` ends: before the quote (with its backslashes) that closes it, or at the
/// end of the line.
///
/// With `level` backslashes before a delimiter, each backslash of the value itself is written as `level + 1` of them, and a
/// quote of the value has one of those more before it: so a quote delimits if `level` are left over.
fn closed(bytes: &[u8], start: usize, quote: u8, level: usize) -> usize {
    let mut backslashes = 0;
    for (place, byte) in bytes.iter().enumerate().skip(start) {
        match *byte {
            b'\\' => backslashes += 1,
            b'\n' | b'\r' => return place,
            byte if byte == quote && backslashes % (2 * (level + 1)) == level => return place - level,
            _ => backslashes = 0,
        }
    }
    bytes.len()
}

/// Where a value without quotes ends that begins at or before `start`.
fn bare(bytes: &[u8], start: usize) -> usize {
    let ends = |byte: u8| byte.is_ascii_whitespace() || b"\"'`&,;<>)}".contains(&byte);
    let mut end = skip(bytes, start, |byte| !ends(byte));
    if matches!(bytes.get(end), Some(b'"' | b'\'' | b'`')) {
        // These escape the quote, which is not the value's.
        while end > start && bytes[end - 1] == b'\\' {
            end -= 1;
        }
    }
    end
}
