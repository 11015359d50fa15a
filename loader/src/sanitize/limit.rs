//! The cut: a text has at most so many bytes, the mark of the cut included.

use super::Class;

/// How many bytes a text may have by default: 8 KiB.
pub const DEFAULT_LIMIT: usize = 8 * 1024;

/// The smallest limit: every placeholder fits, and the mark.
pub const LEAST_LIMIT: usize = 64;

/// What marks a text that was cut; 14 bytes of UTF-8.
pub const SUFFIX: &str = "…[TRUNCATED]";

/// As much of `text` as fits into `room` bytes; neither a character nor a placeholder is split.
pub(super) fn cut(text: &str, room: usize) -> &str {
    if text.len() <= room {
        return text;
    }
    let mut end = room;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let split = Class::ALL.into_iter().filter_map(|class| split(text, end, class.placeholder())).min();
    &text[..split.unwrap_or(end)]
}

/// Where `placeholder` begins, if the place `end` is inside it.
fn split(text: &str, end: usize, placeholder: &str) -> Option<usize> {
    let begin = end.saturating_sub(placeholder.len() - 1);
    let beside = |at: &usize| text.is_char_boundary(*at) && text[*at..].starts_with(placeholder);
    (begin..end).find(beside)
}
