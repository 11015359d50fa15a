//! The descriptor of a definition, as JSON made while the plugin compiles.
//!
//! `mini_chat_plugin_abi::descriptor` says what is in it and where it is put.

use mini_chat_plugin_abi::descriptor::{ABI_MAJOR, ABI_VERSION, AUDIT, FORMAT, HOOKS, MODEL_POLICY};

use super::definition::PluginDefinition;

/// Most bytes that a descriptor may have.
const CAPACITY: usize = 4096;

/// Most bytes that id and vendor may have each.
const MOST: usize = 512;

/// A JSON text of a length known after compiling.
#[derive(Clone, Copy, Debug)]
pub struct DescriptorText {
    bytes: [u8; CAPACITY],
    len: usize,
}

/// What is wrong and the types do not show. Asked while compiling, and in one place, so that a mistake is reported once; the
/// macro panics rather than this, so that the compiler shows the author's lines alone.
#[must_use]
pub const fn mistake<T: PluginDefinition>() -> Option<&'static str> {
    if !super::gts::is_segment(T::ID) || T::ID.len() > MOST {
        return Some(
            "`id` must be one GTS segment, vendor.package.namespace.type.vMAJOR[.MINOR], in lower case and of at most 512 \
             bytes: such as \"acme.audit._.jsonl.v1\"",
        );
    }
    if T::MODEL_POLICY.is_none() && T::AUDIT.is_none() {
        return Some("`serves` must name at least one of `model_policy` and `audit`");
    }
    if T::VENDOR.is_empty() || T::VENDOR.len() > MOST || !is_plain(T::VENDOR) {
        return Some("`vendor` must have 1 to 512 bytes, and no quote, backslash or control character among them");
    }
    if T::HAS_QUIESCE != T::HAS_RESUME {
        return Some(
            "`quiesce` and `resume` must come together: a plugin that gives up what only one instance may hold must be able \
             to take it back when its successor cannot be created",
        );
    }
    None
}

/// Whether a text is its own JSON.
const fn is_plain(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] < b' ' || bytes[at] == b'"' || bytes[at] == b'\\' {
            return false;
        }
        at += 1;
    }
    true
}

impl DescriptorText {
    /// The descriptor of `T`, in which there is no [`mistake`].
    ///
    /// # Panics
    ///
    /// While compiling, if it is too long.
    #[must_use]
    pub const fn of<T: PluginDefinition>() -> Self {
        let mut text = Self { bytes: [0; CAPACITY], len: 0 };
        text.raw("{\"format\":");
        text.number(FORMAT as i64);
        text.raw(",\"requires\":[]");
        text.pair("id", T::ID);
        text.pair("version", T::VERSION);
        text.pair("package", T::PACKAGE);
        text.pair("vendor", T::VENDOR);
        text.raw(",\"priority\":");
        text.number(T::PRIORITY as i64);
        text.raw(",\"abi\":{\"version\":");
        text.string(ABI_VERSION);
        text.raw(",\"majors\":[");
        text.number(ABI_MAJOR as i64);
        text.raw("]}");
        text.pair("sdk", env!("CARGO_PKG_VERSION"));
        text.raw(",\"kinds\":{");
        if T::MODEL_POLICY.is_some() {
            text.methods(MODEL_POLICY);
        }
        if T::AUDIT.is_some() {
            if T::MODEL_POLICY.is_some() {
                text.raw(",");
            }
            text.methods(AUDIT);
        }
        text.raw("}");
        text.pair("target", env!("MINI_CHAT_SDK_TARGET"));
        text.pair("compiler", env!("MINI_CHAT_SDK_COMPILER"));
        text.pair("profile", env!("MINI_CHAT_SDK_PROFILE"));
        text.pair("opt_level", env!("MINI_CHAT_SDK_OPT_LEVEL"));
        text.pair("panic", if cfg!(panic = "unwind") { "unwind" } else { "abort" });
        text.pair("heap", "host");
        text.pair("preflight", if T::PREFLIGHT_CREATE { "create" } else { "open" });
        text.raw(if T::REENTRANT { ",\"reentrant\":true" } else { ",\"reentrant\":false" });
        text.raw(",\"hooks\":");
        text.list(HOOKS, &[T::HAS_HEALTH, T::HAS_SHUTDOWN, T::HAS_QUIESCE, T::HAS_RESUME, T::HAS_EXPORT_STATE]);
        text.raw("}");
        text
    }

    /// The JSON text.
    ///
    /// # Panics
    ///
    /// Never: only whole texts are appended.
    #[must_use]
    pub const fn as_str(&self) -> &str {
        match std::str::from_utf8(self.bytes.split_at(self.len).0) {
            Ok(text) => text,
            Err(_) => panic!("a descriptor is made of whole texts"),
        }
    }

    /// Bytes of the text.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no text (never, for a descriptor made by [`of`](Self::of)).
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The first `N` bytes; with `N` = [`len`](Self::len), the whole.
    #[must_use]
    pub const fn to_array<const N: usize>(&self) -> [u8; N] {
        let mut out = [0; N];
        let mut at = 0;
        while at < N {
            out[at] = self.bytes[at];
            at += 1;
        }
        out
    }

    const fn raw(&mut self, text: &str) {
        let text = text.as_bytes();
        assert!(self.len + text.len() <= CAPACITY, "the descriptor is too long: shorten the package's name or version");
        let mut at = 0;
        while at < text.len() {
            self.bytes[self.len] = text[at];
            self.len += 1;
            at += 1;
        }
    }

    const fn string(&mut self, text: &str) {
        self.raw("\"");
        self.raw(text);
        self.raw("\"");
    }

    const fn pair(&mut self, key: &str, value: &str) {
        self.raw(",");
        self.string(key);
        self.raw(":");
        self.string(value);
    }

    const fn methods(&mut self, (kind, methods): (&str, &[&str])) {
        self.string(kind);
        self.raw(":");
        self.list(methods, &[true; 16]);
    }

    /// Those of the names that are there.
    const fn list(&mut self, names: &[&str], there: &[bool]) {
        self.raw("[");
        let (mut at, mut first) = (0, true);
        while at < names.len() {
            if there[at] {
                if !first {
                    self.raw(",");
                }
                self.string(names[at]);
                first = false;
            }
            at += 1;
        }
        self.raw("]");
    }

    const fn number(&mut self, value: i64) {
        if value < 0 {
            self.raw("-");
        }
        let mut rest = value.unsigned_abs();
        let mut digits = [0_u8; 20];
        let mut count = 0;
        loop {
            digits[count] = b'0' + (rest % 10) as u8;
            count += 1;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        while count > 0 {
            count -= 1;
            assert!(self.len < CAPACITY, "the descriptor is too long");
            self.bytes[self.len] = digits[count];
            self.len += 1;
        }
    }
}
