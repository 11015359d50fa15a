//! The limit.

use super::is_untouched;
use crate::sanitize::{Class, LEAST_LIMIT, SUFFIX, Sanitizer};

#[test]
fn a_text_of_just_the_limit_stays() {
    let sanitizer = Sanitizer::new();
    let text = "a b ".repeat(2048);
    assert_eq!(text.len(), 8192);
    assert!(is_untouched(&sanitizer, &text));
    assert_eq!(sanitizer.hits().cut(), 0);

    let cut = sanitizer.text(&format!("{text}c")).into_owned();
    assert_eq!(cut, format!("{}{SUFFIX}", &text[..8192 - 14]));
    assert_eq!((cut.len(), sanitizer.hits().cut()), (8192, 1));
    assert!(is_untouched(&sanitizer, &cut), "what was cut stays as it is");
}

#[test]
fn no_character_is_split() {
    let sanitizer = Sanitizer::with_limit(100);
    for character in ["é", "€", "𝄞"] {
        for before in 0..4 {
            let text = format!("{}{}", " ".repeat(before), character.repeat(100));
            let cut = sanitizer.text(&text).into_owned();
            let body = cut.strip_suffix(SUFFIX).expect("it is cut");
            assert!(text.starts_with(body));
            assert!(cut.len() <= 100 && cut.len() + character.len() > 100, "{} bytes", cut.len());
        }
    }
}

#[test]
fn no_placeholder_is_split() {
    let sanitizer = Sanitizer::with_limit(100);
    for class in Class::ALL {
        for before in 40..100 {
            let text = format!("{} {} {}", ".".repeat(before), class.placeholder(), "words ".repeat(20));
            let cut = sanitizer.text(&text).into_owned();
            let body = cut.strip_suffix(SUFFIX).expect("it is cut").trim_start_matches('.');
            let whole = body.starts_with(&format!(" {}", class.placeholder()));
            assert!(whole || body.trim().is_empty(), "{body}");
        }
    }
}

/// Redaction comes first: what it shortens need not be cut.
#[test]
fn a_text_is_cut_after_its_redaction() {
    let sanitizer = Sanitizer::new();
    let text = format!("password={} end", "x,".to_owned() + &"y".repeat(9000));
    let expected = "password=[REDACTED],…[TRUNCATED_LONG_TOKEN] end";
    assert_eq!(sanitizer.text(&text), expected);
    assert_eq!(sanitizer.hits().cut(), 0);
}

/// A key id of 21 characters is none; cut to 20, it would be one.
#[test]
fn a_cut_brings_no_secret_to_light() {
    let sanitizer = Sanitizer::with_limit(100);
    for before in 50..80 {
        let text = format!("{}AKIAIOSFODNN7EXAMPLE1 {}", ". ".repeat(before / 2), "words ".repeat(20));
        let cut = sanitizer.text(&text).into_owned();
        assert!(!cut.contains("EXAMPLE…"), "{cut}");
        assert!(cut.len() <= 100 && is_untouched(&sanitizer, &cut), "{cut}");
    }
    assert!(sanitizer.hits().of(Class::AwsAccessKeyId) > 0, "one of the cuts made one");
}

#[test]
fn a_limit_that_is_too_small_becomes_the_smallest() {
    let sanitizer = Sanitizer::with_limit(0);
    assert_eq!(sanitizer.limit(), LEAST_LIMIT);
    assert_eq!(sanitizer.text(&"a ".repeat(200)).len(), LEAST_LIMIT);
    assert!(Class::ALL.iter().all(|class| class.placeholder().len() + SUFFIX.len() <= LEAST_LIMIT));
}
