use super::{TestContext, read_config};
use crate::{LogLevel, NoConfig, Purpose};

#[test]
fn two_contexts_do_not_mix() {
    let (one, two) = (TestContext::new("one"), TestContext::new("two").with_generation(7));
    one.context().log(LogLevel::Warn, "a");
    std::thread::scope(|scope| {
        scope.spawn(|| two.context().log(LogLevel::Error, "b"));
    });
    one.context().log(LogLevel::Trace, "c");
    let text = |test: &TestContext| {
        test.records().iter().map(|r| format!("{:?} {} {}", r.level, r.target, r.message)).collect::<Vec<_>>()
    };
    assert_eq!(text(&one), ["Warn one a", "Trace one c"]);
    assert_eq!(text(&two), ["Error two b"]);
    assert_eq!((one.context().generation(), two.context().generation()), (1, 7));
}

#[test]
fn a_dropped_host_is_gone() {
    let test = TestContext::new("one");
    let context = test.context();
    assert_eq!(context.host_fact("host.pid"), Some(std::process::id().to_string()));
    assert_eq!(context.host_fact("host.colour"), None);
    drop(test);
    context.log(LogLevel::Info, "nobody listens");
    assert_eq!(context.host_name(), "");
}

#[test]
fn the_parts_arrive() {
    let dir = std::env::temp_dir().join(format!("mini-chat-sdk-testing-{}", std::process::id()));
    let test = TestContext::new("one").with_data_dir(&dir).with_purpose(Purpose::Preflight);
    let context = test.context();
    assert_eq!(context.purpose(), Purpose::Preflight);
    assert_eq!(context.data_dir().unwrap(), dir);
    assert!(dir.is_dir());
    std::fs::remove_dir(&dir).unwrap();
    assert!(!context.lifetime().is_cancelled());
    test.retire();
    assert!(context.lifetime().is_cancelled());
    assert!(!TestContext::new("bare").context().data_dir().unwrap_err().is_retryable());
}

#[test]
fn a_handover_arrives_and_is_not_shown() {
    let bare = TestContext::new("one").context();
    assert!(bare.handover().is_none());
    let test = TestContext::new("one").with_handover(*b"secret", true);
    let mut context = test.context();
    let handover = context.handover().unwrap();
    assert_eq!((handover.bytes(), handover.is_exact()), (&b"secret"[..], true));
    let shown = format!("{context:?}");
    // Neither as text nor as a list of numbers.
    assert!(shown.contains("Handover { len: 6, exact: true }"), "{shown}");
    assert!(!shown.contains("secret") && !shown.contains("115"), "{shown}");
    context.forget_handover();
    assert!(context.handover().is_none());
    assert!(!TestContext::new("one").with_handover([], false).context().handover().unwrap().is_exact());
}

#[test]
fn configuration_errors_are_those_of_a_host() {
    assert_eq!(read_config::<NoConfig>("{}"), Ok(NoConfig {}));
    let error = read_config::<NoConfig>("7").unwrap_err();
    assert_eq!(error.message(), "the configuration: expected struct NoConfig, found integer");
}
