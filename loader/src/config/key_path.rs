//! Key paths as messages show them: `plugins.eu.config.tiers[2].name`, with quotes where TOML needs them.

/// Longer keys are cut in messages: a key is the operator's text and may be anything.
const SHOWN: usize = 64;

/// `parent` with one more key.
pub(crate) fn join(parent: &str, key: &str) -> String {
    if parent.is_empty() { show(key) } else { format!("{parent}.{}", show(key)) }
}

/// One key as TOML writes it: bare where that is possible, else quoted and on one line.
pub(crate) fn show(key: &str) -> String {
    let bare = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    let cut: String = key.chars().take(SHOWN).collect();
    let more = if cut.len() < key.len() { "…" } else { "" };
    if bare { format!("{cut}{more}") } else { format!("\"{}{more}\"", cut.escape_debug()) }
}

/// The text after `key` when `path` starts with it as a whole step, written bare or quoted.
pub(crate) fn strip_key<'p>(path: &'p str, key: &str) -> Option<&'p str> {
    let whole = |rest: &&str| rest.is_empty() || rest.starts_with(['.', '[']);
    path.strip_prefix(key).filter(whole).or_else(|| path.strip_prefix(show(key).as_str()).filter(whole))
}

/// The index that `path` starts with, as `[2]` or `2`, and the text after it.
pub(crate) fn strip_index(path: &str) -> Option<(usize, &str)> {
    let (index, rest) = match path.strip_prefix('[') {
        Some(inner) => inner.split_once(']')?,
        None => path.split_at(path.find(['.', '[']).unwrap_or(path.len())),
    };
    Some((index.parse().ok()?, rest))
}
