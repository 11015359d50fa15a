//! What the audit trait's caller owes to its plugins: secrets are redacted and texts are cut before an event is delivered.
//!
//! The rules, with every choice that was made, stand in `docs/sanitising.md`, whose examples a test reads. The audit
//! fan-out applies them on its own; a host that calls a plugin's handle directly applies them here:
//!
//! ```
//! use mini_chat_plugin_loader::sanitize::{Class, Sanitizer};
//!
//! let sanitizer = Sanitizer::new();
//! assert_eq!(sanitizer.text("Authorization: Bearer abc.def"), "Authorization: Bearer [REDACTED]");
//! assert_eq!(sanitizer.text("nothing to hide"), "nothing to hide");
//! assert_eq!(sanitizer.hits().of(Class::BearerToken), 1);
//! ```
//!
//! | file | what is in it |
//! | --- | --- |
//! | `rules.rs` | a rule per class, in order |
//! | `keys.rs` | whether a text has keys at all |
//! | `value.rs` | where the value of a key begins and ends |
//! | `limit.rs` | the cut |
//! | `events.rs` | the fields of the events |

mod events;
mod keys;
mod limit;
mod rules;
#[cfg(test)]
mod tests;
mod value;

use std::borrow::Cow;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

pub use limit::{DEFAULT_LIMIT, LEAST_LIMIT, SUFFIX};

/// A kind of secret, in the order in which the rules are applied: where two would match the same text, the earlier one wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Class {
    /// The credentials of an `Authorization: Bearer` header.
    BearerToken,
    /// A signed JSON web token.
    Jwt,
    /// A key that begins with `sk-`.
    OpenaiApiKey,
    /// The id of an AWS access key.
    AwsAccessKeyId,
    /// The value of an `api-key:` or `Ocp-Apim-Subscription-Key:` header.
    AzureApiKey,
    /// The value of a key such as `api_key`, `client_secret`, `access_token`.
    ApiKeyFields,
    /// The value of a key that ends in `password`.
    PasswordFields,
    /// A private key in PEM.
    PemPrivateKey,
    /// Any long token that may be base64.
    LongBase64Like,
}

impl Class {
    /// All nine, in order; `class as usize` is its place.
    pub const ALL: [Self; 9] = [
        Self::BearerToken,
        Self::Jwt,
        Self::OpenaiApiKey,
        Self::AwsAccessKeyId,
        Self::AzureApiKey,
        Self::ApiKeyFields,
        Self::PasswordFields,
        Self::PemPrivateKey,
        Self::LongBase64Like,
    ];

    /// The name used in documents and labels.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BearerToken => "bearer_token",
            Self::Jwt => "jwt",
            Self::OpenaiApiKey => "openai_api_key",
            Self::AwsAccessKeyId => "aws_access_key_id",
            Self::AzureApiKey => "azure_api_key",
            Self::ApiKeyFields => "api_key_fields",
            Self::PasswordFields => "password_fields",
            Self::PemPrivateKey => "pem_private_key",
            Self::LongBase64Like => "long_base64_like",
        }
    }

    /// Whether its secrets stand behind a key.
    const fn has_keys(self) -> bool {
        matches!(self, Self::BearerToken | Self::AzureApiKey | Self::ApiKeyFields | Self::PasswordFields)
    }

    /// What takes the secret's place.
    #[must_use]
    pub const fn placeholder(self) -> &'static str {
        match self {
            Self::BearerToken | Self::ApiKeyFields | Self::PasswordFields => "[REDACTED]",
            Self::Jwt => "[REDACTED_JWT]",
            Self::OpenaiApiKey => "[REDACTED_OPENAI_KEY]",
            Self::AwsAccessKeyId => "[REDACTED_AWS_ACCESS_KEY_ID]",
            Self::AzureApiKey => "[REDACTED_AZURE_KEY]",
            Self::PemPrivateKey => "[REDACTED_PRIVATE_KEY]",
            Self::LongBase64Like => "…[TRUNCATED_LONG_TOKEN]",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How often each rule has replaced something so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Hits {
    by_class: [u64; Class::ALL.len()],
    cut: u64,
}

impl Hits {
    /// Secrets of this class.
    #[must_use]
    pub fn of(&self, class: Class) -> u64 {
        self.by_class[class as usize]
    }

    /// Secrets of any class.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.by_class.iter().sum()
    }

    /// Texts that were cut.
    #[must_use]
    pub fn cut(&self) -> u64 {
        self.cut
    }

    /// Adds those of another sanitiser.
    pub(crate) fn add(&mut self, other: &Self) {
        std::iter::zip(&mut self.by_class, other.by_class).for_each(|(sum, count)| *sum += count);
        self.cut += other.cut;
    }
}

/// The counters behind [`Hits`].
#[derive(Debug, Default)]
struct Counts {
    by_class: [AtomicU64; Class::ALL.len()],
    cut: AtomicU64,
}

/// Redacts and cuts texts and events. Any thread may use it, at any time; it does no I/O.
#[derive(Debug)]
pub struct Sanitizer {
    rules: &'static rules::Rules,
    limit: usize,
    counts: Counts,
}

impl Default for Sanitizer {
    fn default() -> Self {
        Self::new()
    }
}

impl Sanitizer {
    /// With a limit of [`DEFAULT_LIMIT`] bytes. The first one of a process compiles the rules, which takes some milliseconds.
    #[must_use]
    pub fn new() -> Self {
        Self::with_limit(DEFAULT_LIMIT)
    }

    /// With a limit of so many bytes per text, the suffix included; at least [`LEAST_LIMIT`], which a smaller one becomes.
    #[must_use]
    pub fn with_limit(bytes: usize) -> Self {
        Self { rules: rules::Rules::get(), limit: bytes.max(LEAST_LIMIT), counts: Counts::default() }
    }

    /// How many bytes a text may have.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// `text` without secrets and not longer than the limit; borrowed if it is so already. Takes time in proportion to
    /// the text's length, about 1 µs per KiB. Sanitising the result again changes nothing.
    #[must_use]
    pub fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if text.len() < rules::SHORTEST {
            return Cow::Borrowed(text);
        }
        // What was cut before stays marked as such, and the mark is nobody's secret.
        let (body, marked) = match text.strip_suffix(SUFFIX) {
            Some(body) => (body, true),
            None => (text, false),
        };
        let redacted = self.rules.redact(body, &self.counts);
        let now = redacted.as_deref().unwrap_or(body);
        let room = self.limit - SUFFIX.len();
        let fits = if marked { now.len() <= room } else { now.len() <= self.limit };
        if fits {
            return match redacted {
                None => Cow::Borrowed(text),
                Some(body) if marked => Cow::Owned(body + SUFFIX),
                Some(body) => Cow::Owned(body),
            };
        }
        self.counts.cut.fetch_add(1, Ordering::Relaxed);
        Cow::Owned(self.cut(now, room))
    }

    /// `text`, which is redacted, cut to `room` bytes and marked. A cut may make a secret of what was none (a token has
    /// become shorter, a value has lost its end): such a one is redacted as well.
    fn cut(&self, text: &str, room: usize) -> String {
        /// How much further back a cut is made each time it has brought a secret to light.
        const STEP: usize = 32;
        let mut body = limit::cut(text, room).to_owned();
        let mut room = room;
        while let Some(redacted) = self.rules.redact(&body, &self.counts) {
            body = redacted;
            if body.len() <= room {
                break;
            }
            room = room.saturating_sub(STEP);
            body.truncate(limit::cut(&body, room).len());
        }
        body + SUFFIX
    }

    /// What was replaced so far.
    #[must_use]
    pub fn hits(&self) -> Hits {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Hits { by_class: std::array::from_fn(|class| read(&self.counts.by_class[class])), cut: read(&self.counts.cut) }
    }
}
