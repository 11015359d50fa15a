//! Texts that nobody thought of: fragments of secrets and of what stands around them, in any order.

use proptest::collection::vec;
use proptest::prelude::*;

use super::is_untouched;
use crate::sanitize::keys::may_have_keys;
use crate::sanitize::{Class, SUFFIX, Sanitizer};

const FRAGMENTS: &[&str] = &[
    "Authorization",
    "authorization: Bearer ",
    "bearer",
    "eyJ",
    "eyJa.eyJb.c",
    ".eyJ",
    ".",
    "sk-",
    "sk-1234567890abcdef",
    "AKIA",
    "AKIAIOSFODNN7EXAMPLE",
    "api-key",
    "x-api-key",
    "Ocp-Apim-Subscription-Key",
    "api_key",
    "client_secret=",
    "password",
    "password=",
    "\"password\": ",
    "PASSWORD",
    ":",
    "=",
    "=>",
    "==",
    " ",
    "\t",
    "\n",
    "\r\n",
    "\"",
    "'",
    "`",
    "\\",
    "\\\"",
    "\\\\\\\"",
    "[",
    "]",
    "{",
    "}",
    "<",
    ">",
    ",",
    ";",
    "&",
    ")",
    "null",
    "true",
    "x",
    "hunter2",
    "é",
    "…",
    "𝄞",
    "-",
    "-----BEGIN PRIVATE KEY-----",
    "-----END PRIVATE KEY-----",
    "-----",
    "BEGIN",
    "[REDACTED]",
    "[REDACTED",
    "REDACTED]",
    "[REDACTED_JWT]",
    "[REDACTED_OPENAI_KEY]",
    "[REDACTED_AZURE_KEY]",
    "…[TRUNCATED]",
    "…[TRUNCATED_LONG_TOKEN]",
    "[TRUNCATED",
    "0123456789abcdefABCDEF-_0123456789abcdefABCDEF-_0123456789abcdefABCDEF-_0123456789abcdefABCDEF-_0123456789abcdefABCDEF",
];

fn text() -> impl Strategy<Value = String> {
    let fragment = prop_oneof![8 => prop::sample::select(FRAGMENTS).prop_map(str::to_owned), 1 => any::<String>()];
    vec(fragment, 0..60).prop_map(|fragments| fragments.concat())
}

/// Nothing in it that any rule could begin with.
fn harmless() -> impl Strategy<Value = String> {
    proptest::string::string_regex("[a-dé€ .,;\n]{0,200}").expect("a pattern")
}

proptest! {
    #[test]
    fn no_text_is_longer_than_the_limit_and_twice_is_once(text in text(), limit in 0_usize..600) {
        let sanitizer = Sanitizer::with_limit(limit);
        let once = sanitizer.text(&text).into_owned();
        prop_assert!(once.len() <= sanitizer.limit(), "{} bytes", once.len());
        let twice = sanitizer.text(&once).into_owned();
        prop_assert_eq!(&twice, &once);
        prop_assert!(is_untouched(&sanitizer, &once));
    }

    #[test]
    fn what_is_harmless_and_short_is_borrowed(text in harmless()) {
        let sanitizer = Sanitizer::new();
        prop_assert!(is_untouched(&sanitizer, &text));
        prop_assert_eq!(sanitizer.hits(), Default::default());
    }

    /// The quick look for keys passes over none that a rule would find.
    #[test]
    fn no_key_is_passed_over(
        key in prop::sample::select(&["Authorization", "API-key", "ApiKey", "ocp-apim-Subscription-Key", "client_SECRET",
            "accessToken", "refresh-token", "dbPassword"][..]),
        quote in "\\\\{0,4}[\"'`]?", blanks in "[ \t]{0,3}", separator in "(:=|={1,3}>?|:)", around in text(),
    ) {
        prop_assert!(may_have_keys(&[&around, key, &quote, &blanks, &separator, &around].concat()));
    }

    /// What is borrowed was not counted, and what was counted is there to be seen or has been cut off.
    #[test]
    fn hits_say_what_happened(text in text()) {
        let sanitizer = Sanitizer::new();
        let changed = sanitizer.text(&text) != text.as_str();
        let hits = sanitizer.hits();
        prop_assert_eq!(changed, hits.total() + hits.cut() > 0);
    }

    /// A secret of each kind goes, whatever harmless text stands on the lines around it.
    #[test]
    fn secrets_go(before in harmless(), behind in harmless()) {
        let secrets = [
            "authorization: bearer SECRET", "eyJSECRET.eyJSECRET.SECRET", "sk-SECRETSECRETSECRET", "AKIASECRETSECRETSECR",
            "api-key: SECRET", "apikey=SECRET", "password: 'SECRET \\' SECRET'", "-----BEGIN PRIVATE KEY-----\nSECRET",
            &"SECRET".repeat(34),
        ];
        for (class, secret) in Class::ALL.into_iter().zip(secrets) {
            let sanitizer = Sanitizer::new();
            let text = format!("{before}\n{secret}\n{behind}");
            let out = sanitizer.text(&text).into_owned();
            prop_assert!(!out.contains("SECR") && out.contains(class.placeholder()), "{}: {}", class, out);
            prop_assert_eq!(sanitizer.hits().of(class), 1);
            prop_assert!(!out.ends_with(SUFFIX));
        }
    }
}
