//! Is a text one segment of a GTS identifier? Checked while the plugin compiles.
//!
//! The grammar, after the Global Type System's `gts-id` crate: `vendor.package.namespace.type.vMAJOR[.MINOR]`; each of the
//! four names starts with a lower-case letter or `_` and goes on with lower-case letters, digits and `_`; version numbers
//! have no leading zero.

/// Whether `text` is one GTS segment.
#[must_use]
pub(crate) const fn is_segment(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut at = 0;
    let mut part = 0;
    while part < 4 {
        let start = at;
        while at < bytes.len() && is_name_byte(bytes[at], at == start) {
            at += 1;
        }
        if at == start || at >= bytes.len() || bytes[at] != b'.' {
            return false;
        }
        at += 1;
        part += 1;
    }
    if at >= bytes.len() || bytes[at] != b'v' {
        return false;
    }
    let Some(after_major) = number(bytes, at + 1) else { return false };
    if after_major == bytes.len() {
        return true;
    }
    if bytes[after_major] != b'.' {
        return false;
    }
    matches!(number(bytes, after_major + 1), Some(end) if end == bytes.len())
}

const fn is_name_byte(byte: u8, first: bool) -> bool {
    byte.is_ascii_lowercase() || byte == b'_' || (!first && byte.is_ascii_digit())
}

/// Where a number without leading zeros that starts at `start` ends; at most nine digits, so that it fits any integer.
const fn number(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    while at < bytes.len() && bytes[at].is_ascii_digit() {
        at += 1;
    }
    let digits = at - start;
    if digits == 0 || digits > 9 || (digits > 1 && bytes[start] == b'0') { None } else { Some(at) }
}

#[cfg(test)]
mod tests {
    use super::is_segment;

    #[test]
    fn segments() {
        for good in ["acme.audit._.jsonl.v1", "a.b.c.d.v0", "x.core.mini_chat.plugin.v1.12", "_a.b2._.d_.v10"] {
            assert!(is_segment(good), "{good}");
        }
        for bad in [
            "",
            "acme",
            "acme.audit._.jsonl",
            "acme.audit._.jsonl.1",
            "acme.audit._.jsonl.v",
            "acme.audit._.jsonl.v01",
            "acme.audit._.jsonl.v1.",
            "acme.audit._.jsonl.v1.02",
            "acme.audit._.jsonl.v1.2.3",
            "acme.audit._.jsonl.v1~",
            "Acme.audit._.jsonl.v1",
            "acme.au-dit._.jsonl.v1",
            " acme.audit._.jsonl.v1",
            "acme..x.jsonl.v1",
            "acme.1a.x.jsonl.v1",
            "acme.audit._.x.jsonl.v1",
        ] {
            assert!(!is_segment(bad), "{bad}");
        }
    }
}
