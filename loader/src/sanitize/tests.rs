//! Tests of the sanitiser: the examples of the rule book, the limit, the events, and texts that nobody thought of.

mod book;
mod cuts;
mod events;
mod generated;

use std::borrow::Cow;

use super::{Class, Sanitizer};

/// Sanitises with a new sanitiser.
fn sanitized(text: &str) -> String {
    Sanitizer::new().text(text).into_owned()
}

/// Whether the text came through without a copy.
fn is_untouched(sanitizer: &Sanitizer, text: &str) -> bool {
    matches!(sanitizer.text(text), Cow::Borrowed(same) if same == text)
}

#[test]
fn names_and_places_agree() {
    for (place, class) in Class::ALL.into_iter().enumerate() {
        assert_eq!(class as usize, place);
        assert!(class.name().chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'), "{class}");
    }
}

#[test]
fn hits_are_counted_by_class() {
    let sanitizer = Sanitizer::new();
    let text = "password=a password=b api_key=c AKIAIOSFODNN7EXAMPLE password=[REDACTED] {}";
    assert_eq!(sanitizer.text(text).matches("[REDACTED").count(), 5);
    let hits = sanitizer.hits();
    assert_eq!((hits.of(Class::PasswordFields), hits.of(Class::ApiKeyFields)), (2, 1));
    assert_eq!((hits.of(Class::AwsAccessKeyId), hits.total(), hits.cut()), (1, 4, 0));
}

#[test]
fn a_secret_among_much_text_is_found_wherever_it_stands() {
    for before in 0..600 {
        let text = format!("{}AKIAIOSFODNN7EXAMPLE {} and more", "é ".repeat(before), "B".repeat(201));
        let expected = format!("{}[REDACTED_AWS_ACCESS_KEY_ID] …[TRUNCATED_LONG_TOKEN] and more", "é ".repeat(before));
        assert_eq!(sanitized(&text), expected);
    }
}

#[test]
fn long_tokens_have_exact_ends() {
    for (before, length, behind) in (0..420).flat_map(|before| [(before, 200, 0), (before, 201, 1), (before, 650, 300)])
    {
        let text = format!("{}{}.{}", ".".repeat(before), "z".repeat(length), ",".repeat(behind));
        let token = if length > 200 { Class::LongBase64Like.placeholder().to_owned() } else { "z".repeat(length) };
        assert_eq!(sanitized(&text), format!("{}{token}.{}", ".".repeat(before), ",".repeat(behind)));
    }
}
