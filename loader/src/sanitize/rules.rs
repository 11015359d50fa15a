//! A rule per class, applied one after the other.
//!
//! Each finds its class with a regular expression, which takes linear time; two look at what stands around a match, since
//! that is no regular matter: a value's end depends on the quote that opens it. Every look goes on from where the one before
//! ended, so the whole stays linear.

use std::ops::Range;
use std::sync::LazyLock;
use std::sync::atomic::Ordering;

use regex::Regex;

use super::keys::may_have_keys;
use super::value::value;
use super::{Class, Counts};

/// The length of the shortest text that a rule may match: `apikey=x`.
pub(super) const SHORTEST: usize = 8;

/// A token of more bytes than this is a long one.
const LONG: usize = 200;

/// How often a text is gone through at most; see [`Rules::redact`].
const PASSES: usize = 4;

/// A key's end: a quote that may be escaped.
const QUOTE: &str = r#"\\*["'`]?[ \t]*"#;

/// What stands between key and value.
const SEPARATOR: &str = "(?::=|={1,3}>?|:)";

/// Compiled when the first sanitiser is made, once for the process: it takes some milliseconds.
static RULES: LazyLock<Rules> = LazyLock::new(Rules::compile);

/// The compiled rules.
#[derive(Debug)]
pub(super) struct Rules {
    bearer: Regex,
    jwt: Regex,
    openai: Regex,
    aws: Regex,
    azure: Regex,
    api_keys: Regex,
    password: Regex,
    pem: Regex,
}

impl Rules {
    pub(super) fn get() -> &'static Self {
        &RULES
    }

    fn compile() -> Self {
        let compiled = |pattern: &str| Regex::new(pattern).expect("the rules are right");
        let keyed = |keys: &str| compiled(&format!("(?i-u:{keys}){QUOTE}{SEPARATOR}"));
        Self {
            bearer: compiled(&format!(
                r#"(?i-u:authorization){QUOTE}{SEPARATOR}[ \t]*\\*["'`]?(?i-u:bearer)[ \t]+([^\s"'`\\,;<>]+)"#
            )),
            jwt: compiled(r"eyJ[A-Za-z0-9_-]+\.eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+"),
            openai: compiled(r"(?-u:\b)sk-[A-Za-z0-9_-]{16,}"),
            aws: compiled(r"(?-u:\b)AKIA[0-9A-Z]{16}(?-u:\b)"),
            azure: compiled(&format!("(?i-u:api-key){QUOTE}:|(?i-u:ocp-apim-subscription-key){QUOTE}{SEPARATOR}")),
            api_keys: keyed("api[_-]?key|client[_-]?secret|access[_-]?token|refresh[_-]?token"),
            password: keyed("password"),
            pem: compiled(concat!(
                "-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----",
                r"(?s:.*?)(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|\z)"
            )),
        }
    }

    /// `text` without secrets; nothing if there are none. A replacement may make a secret of what stands beside it, so a
    /// text that was changed is gone through again, until nothing changes.
    pub(super) fn redact(&self, text: &str, counts: &Counts) -> Option<String> {
        let mut now = self.pass(text, counts)?;
        for _ in 1..PASSES {
            match self.pass(&now, counts) {
                Some(next) => now = next,
                None => break,
            }
        }
        Some(now)
    }

    fn pass(&self, text: &str, counts: &Counts) -> Option<String> {
        let mut changed: Option<String> = None;
        let keys = may_have_keys(text);
        for class in Class::ALL {
            if class.has_keys() && !keys {
                continue;
            }
            let now = changed.as_deref().unwrap_or(text);
            let mut replacing = Replacing::new(now, class);
            self.find(class, now, &mut replacing);
            if replacing.hits > 0 {
                counts.by_class[class as usize].fetch_add(replacing.hits, Ordering::Relaxed);
                changed = Some(replacing.finish());
            }
        }
        changed
    }

    fn find(&self, class: Class, text: &str, replacing: &mut Replacing<'_>) {
        match class {
            Class::BearerToken => {
                for found in self.bearer.captures_iter(text) {
                    let token = found.get(1).expect("the group is part of every match").range();
                    if &text[token.clone()] != class.placeholder() {
                        replacing.replace(token);
                    }
                }
            }
            Class::Jwt => whole(&self.jwt, text, replacing),
            Class::OpenaiApiKey => whole(&self.openai, text, replacing),
            Class::AwsAccessKeyId => whole(&self.aws, text, replacing),
            // `x-api-key` and its like are fields.
            Class::AzureApiKey => values(&self.azure, text, replacing, |before| {
                !before.is_some_and(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
            }),
            Class::ApiKeyFields => values(&self.api_keys, text, replacing, |_| true),
            Class::PasswordFields => values(&self.password, text, replacing, |_| true),
            Class::PemPrivateKey => whole(&self.pem, text, replacing),
            Class::LongBase64Like => long_tokens(text, replacing),
        }
    }
}

/// A text of which parts are replaced, from the left to the right.
struct Replacing<'t> {
    text: &'t str,
    class: Class,
    out: String,
    copied: usize,
    hits: u64,
}

impl<'t> Replacing<'t> {
    fn new(text: &'t str, class: Class) -> Self {
        Self { text, class, out: String::new(), copied: 0, hits: 0 }
    }

    fn replace(&mut self, part: Range<usize>) {
        self.out.push_str(&self.text[self.copied..part.start]);
        self.out.push_str(self.class.placeholder());
        self.copied = part.end;
        self.hits += 1;
    }

    fn finish(mut self) -> String {
        self.out.push_str(&self.text[self.copied..]);
        self.out
    }
}

/// Replaces each match.
fn whole(rule: &Regex, text: &str, replacing: &mut Replacing<'_>) {
    rule.find_iter(text).for_each(|found| replacing.replace(found.range()));
}

/// Replaces the values of the keys that `rule` matches with their separators, if `may` says so of the byte before.
fn values(rule: &Regex, text: &str, replacing: &mut Replacing<'_>, may: fn(Option<u8>) -> bool) {
    let mut from = 0;
    while let Some(key) = rule.find_at(text, from) {
        from = key.end();
        let before = key.start().checked_sub(1).map(|before| text.as_bytes()[before]);
        if may(before)
            && let Some(value) = value(text, key.end())
        {
            from = value.end;
            replacing.replace(value);
        }
    }
}

/// Replaces each run of more than [`LONG`] bytes of the base64 alphabets, with its padding.
///
/// Looks at every 201st byte, and at others only around those that belong to such a run: nearly free on plain text.
fn long_tokens(text: &str, replacing: &mut Replacing<'_>) {
    let bytes = text.as_bytes();
    let belongs = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/_-".contains(byte);
    // Where a run may begin: everything before is dealt with.
    let mut least = 0;
    while let Some(probe) = bytes.get(least + LONG) {
        if !belongs(probe) {
            least += LONG + 1;
            continue;
        }
        let back = bytes[least..least + LONG].iter().rev().take_while(|byte| belongs(byte)).count();
        let start = least + LONG - back;
        let length = bytes[start..].iter().take_while(|byte| belongs(byte)).count();
        let end = start + length;
        if length > LONG && bytes[start..end].iter().any(u8::is_ascii_alphanumeric) {
            let padding = bytes[end..].iter().take(2).take_while(|byte| **byte == b'=').count();
            replacing.replace(start..end + padding);
            least = end + padding;
        } else {
            least = end;
        }
    }
}
