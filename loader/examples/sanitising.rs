//! How fast the sanitiser is, beside a plain `regex` scan of the same texts in the same run:
//! `cargo run --release --package mini-chat-plugin-loader --no-default-features --example sanitising`.

use std::hint::black_box;
use std::time::{Duration, Instant};

use mini_chat_plugin_loader::sanitize::Sanitizer;
use regex::{Regex, RegexSet};

/// The nine classes as plain patterns.
const PATTERNS: [&str; 9] = [
    r#"(?i)authorization["']?\s*[:=]\s*["']?bearer\s+[a-z0-9._~+/-]+"#,
    r"eyJ[A-Za-z0-9_-]+\.eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+",
    r"\bsk-[A-Za-z0-9_-]{16,}",
    r"\bAKIA[0-9A-Z]{16}\b",
    r"(?i)(?:api-key|ocp-apim-subscription-key)\s*:\s*\S+",
    r#"(?i)(?:api[_-]?key|client[_-]?secret|access[_-]?token|refresh[_-]?token)["']?\s*[:=]\s*\S+"#,
    r#"(?i)password["']?\s*[:=]\s*\S+"#,
    r"(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?-----END [A-Z0-9 ]*PRIVATE KEY-----",
    r"[A-Za-z0-9+/_-]{201,}",
];

const PROSE: &str = "The committee met on Tuesday to review past projects, discuss access to the reference library, and plan what \
    comes next. It was agreed that the task of writing the report, which nobody wanted, would pass to the newest member. ";

const CODE: &str = "fn main() -> Result<(), Error> {\n    let config: Config = toml::from_str(&text)?;\n    for (key, value) in \
    &config.items { println!(\"{key}: {value}\"); }\n    // see https://docs.example/config?page=2\n    Ok(())\n}\n";

const JSON: &str = "{\"id\": 17, \"name\": \"Größe\", \"tags\": [\"a\", \"b\"], \"access\": \"granted\", \"url\": \
    \"https://x.example/a/b?c=d\", \"nested\": {\"ok\": true, \"count\": 12345}},\n";

/// The best of some runs, in nanoseconds per KiB.
fn measured(text: &str, mut scan: impl FnMut(&str) -> usize) -> f64 {
    let mut best = Duration::MAX;
    for _ in 0..400 {
        let start = Instant::now();
        black_box(scan(black_box(text)));
        best = best.min(start.elapsed());
    }
    best.as_secs_f64() * 1e9 / (text.len() as f64 / 1024.0)
}

fn main() {
    let sanitizer = Sanitizer::with_limit(1 << 20);
    let single = PATTERNS.map(|pattern| Regex::new(pattern).expect("a pattern"));
    let one = Regex::new(&PATTERNS.map(|pattern| format!("(?:{pattern})")).join("|")).expect("a pattern");
    let set = RegexSet::new(PATTERNS).expect("patterns");
    let secrets = format!("{PROSE}password=hunter2 and api_key: abc; AKIAIOSFODNN7EXAMPLE {CODE}{JSON}");
    println!("{:8} {:>10} {:>14} {:>14} {:>14}", "ns/KiB", "sanitiser", "nine in turn", "one of nine", "RegexSet");
    for (name, part) in [("prose", PROSE), ("code", CODE), ("json", JSON), ("secrets", &secrets)] {
        let text = part.repeat(8192 / part.len() + 1);
        let sanitised = measured(&text, |text| sanitizer.text(text).len());
        let in_turn = measured(&text, |text| single.iter().map(|rule| rule.find_iter(text).count()).sum());
        let at_once = measured(&text, |text| one.find_iter(text).count());
        let by_set = measured(&text, |text| set.matches(text).iter().count());
        println!("{name:8} {sanitised:>10.0} {in_turn:>14.0} {at_once:>14.0} {by_set:>14.0}");
    }
}
