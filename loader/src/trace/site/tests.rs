//! When plugins are to be told what a filter says.

use super::*;

fn site(name: &str) -> &'static Site {
    make(&Description {
        name: name.to_owned(),
        target: String::new(),
        file: String::new(),
        module: String::new(),
        fields: Vec::new(),
        level: FfiLogLevel::INFO.value,
        is_span: false,
        line: 0,
    })
}

#[test]
fn plugins_are_told_of_what_changes() {
    let site = site("changes");
    assert!(!site.learn(&Interest::never()), "nobody has asked before");
    assert_eq!(site.interest(), FfiTraceInterest::NEVER);
    assert!(!site.learn(&Interest::never()));
    assert!(site.learn(&Interest::always()));
    assert_eq!(site.interest(), FfiTraceInterest::ALWAYS);
    assert!(site.learn(&Interest::sometimes()));
    assert_eq!(site.interest(), FfiTraceInterest::SOMETIMES);
}

/// Two threads meet a callsite at once: the second asks before the first has heard.
#[test]
fn who_asked_too_early_is_told() {
    for (interest, told) in [(Interest::never(), true), (Interest::always(), true), (Interest::sometimes(), false)] {
        let site = site("too early");
        assert_eq!(site.interest(), FfiTraceInterest::SOMETIMES);
        assert_eq!(site.learn(&interest), told, "{interest:?}");
    }
}
