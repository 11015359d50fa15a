//! Every example of `docs/sanitising.md`, read from there.

use super::{is_untouched, sanitized};
use crate::sanitize::{Class, DEFAULT_LIMIT, LEAST_LIMIT, SUFFIX, Sanitizer};

const BOOK: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/sanitising.md"));

/// A row of the book.
struct Example {
    class: Class,
    text: String,
    becomes: Option<String>,
}

/// What an example's text stands for.
fn spelled_out(mut text: &str) -> String {
    let mut out = String::new();
    while let Some(open) = text.find('{') {
        let repeated = text[open + 1..].split_once('}').and_then(|(inside, rest)| {
            let (part, count) = inside.rsplit_once('*').filter(|(part, _)| !part.contains('{'))?;
            Some((part.repeat(count.parse().ok()?), rest))
        });
        match repeated {
            Some((repeated, rest)) => {
                out += &text[..open];
                out += &repeated;
                text = rest;
            }
            None => {
                out += &text[..=open];
                text = &text[open + 1..];
            }
        }
    }
    (out + text).replace('⏎', "\n")
}

fn examples() -> Vec<Example> {
    let mut class = None;
    let mut examples = Vec::new();
    for line in BOOK.lines() {
        if line.starts_with('#') {
            class = Class::ALL.into_iter().find(|class| line.ends_with(&format!(". `{class}`")));
        }
        let cells = line.strip_prefix("| `").and_then(|line| line.strip_suffix(" |"));
        let (Some(class), Some((text, becomes))) = (class, cells.and_then(|cells| cells.split_once("` | "))) else {
            continue;
        };
        let becomes = (becomes != "unchanged").then(|| spelled_out(becomes.trim_matches('`')));
        examples.push(Example { class, text: spelled_out(text), becomes });
    }
    examples
}

#[test]
fn every_example_is_as_it_says() {
    for Example { class, text, becomes } in examples() {
        match becomes {
            Some(becomes) => assert_eq!(sanitized(&text), becomes, "{class}: {text}"),
            None => {
                let sanitizer = Sanitizer::new();
                assert!(is_untouched(&sanitizer, &text), "{class}: {text} became {}", sanitizer.text(&text));
                assert_eq!(sanitizer.hits().total(), 0);
            }
        }
    }
}

#[test]
fn every_class_has_hits_and_near_misses() {
    let examples = examples();
    for class in Class::ALL {
        let of = || examples.iter().filter(|example| example.class == class);
        let hits = of().filter(|example| example.becomes.is_some()).count();
        assert!(hits >= 2 && of().count() - hits >= 2, "{class}: {hits} of {}", of().count());
        assert!(BOOK.contains(&format!("`{}`", class.placeholder())), "{class}");
    }
}

/// What is found of a class is counted for that class, unless the example shows that an earlier one wins.
#[test]
fn every_example_is_counted() {
    for Example { class, text, becomes } in examples() {
        let Some(becomes) = becomes else { continue };
        let sanitizer = Sanitizer::new();
        let _ = sanitizer.text(&text);
        let own = becomes.contains(class.placeholder());
        assert_eq!(sanitizer.hits().of(class) > 0, own, "{class}: {text}");
    }
}

#[test]
fn an_example_inside_other_text_is_found_as_well() {
    for Example { class, text, becomes } in examples() {
        // What may go on to the end of the line or the text, or depends on where a word ends, is tried on lines of its own.
        let becomes = becomes.unwrap_or_else(|| text.clone());
        if text.contains("BEGIN EC PRIVATE") {
            continue;
        }
        let around = |text: &str| format!("Größe: 3 €\n{text}\n日本語 and so on");
        assert_eq!(sanitized(&around(&text)), around(&becomes), "{class}");
    }
}

#[test]
fn the_book_names_the_limits() {
    for said in [format!("({DEFAULT_LIMIT} bytes"), format!("at least {LEAST_LIMIT})"), format!("`{SUFFIX}`")] {
        assert!(BOOK.contains(&said), "{said}");
    }
    assert!(BOOK.contains(&format!("mark of {} bytes", SUFFIX.len())));
}
