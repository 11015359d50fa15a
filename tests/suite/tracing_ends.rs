//! What plugins trace, where something ends: at the process's stdout and stderr, with an instance, from build to build.

use std::collections::HashSet;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use futures::executor::block_on;
use mini_chat_plugin_loader::config::{ExecutionMode, Limits};
use mini_chat_plugin_sdk::tokio_util::sync::CancellationToken;
use mini_chat_plugin_tests::child;
use mini_chat_plugin_tests::log::Log;
use mini_chat_plugin_tests::probing::{Probing, fixture, key, order};
use mini_chat_plugin_tests::serving::{Way, eventually};
use probe::{Action, leave_when};
use tracing::callsite::Identifier;
use tracing::span::{Attributes, Id};
use tracing::subscriber::Interest;
use tracing::{Instrument, Metadata, Subscriber, info_span};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

/// The spans that are open, by name, and the callsites that there are, by target.
#[derive(Default)]
struct Seen {
    open: Mutex<Vec<&'static str>>,
    callsites: Mutex<HashSet<(Identifier, &'static str)>>,
}

impl Seen {
    fn is_open(&self, name: &str) -> bool {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).contains(&name)
    }

    fn callsites(&self, target: &str) -> usize {
        let callsites = self.callsites.lock().unwrap_or_else(PoisonError::into_inner);
        callsites.iter().filter(|(_, of)| *of == target).count()
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for &'static Seen {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        let callsite = (metadata.callsite(), metadata.target());
        self.callsites.lock().unwrap_or_else(PoisonError::into_inner).insert(callsite);
        Interest::always()
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).push(attributes.metadata().name());
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let name = context.span(&id).expect("it is there until this is over").name();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let place = open.iter().position(|open| *open == name).expect("it was opened");
        open.swap_remove(place);
    }
}

/// What this program's subscriber sees.
fn seen() -> &'static Seen {
    static SEEN: OnceLock<&'static Seen> = OnceLock::new();
    SEEN.get_or_init(|| {
        let seen: &Seen = Box::leak(Box::default());
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(seen)).expect("the only one");
        seen
    })
}

async fn obey(probing: &Probing, action: Action, key: u64) {
    let answer = probing.policy.get_user_limits(order(action, key), 1, CancellationToken::new()).await;
    answer.expect("it only answers");
}

fn loaded() -> impl Iterator<Item = Way> {
    Way::ALL.into_iter().filter(|way| way.loaded)
}

/// What a plugin traces, logs and panics with is in the host's subscriber, or nowhere.
#[test]
fn nothing_is_written_to_stdout_or_stderr() {
    let test = "nothing_is_written_to_stdout_or_stderr";
    for case in ["no subscriber", "a subscriber"] {
        let Some((out, err)) = child::written(test, case, &[fixture().package]) else { return writes(&child::case()) };
        assert_eq!(err, "", "{case}");
        // What runs the test has lines of its own.
        let own = |line: &&str| line.is_empty() || line.starts_with("running ") || line.starts_with("test result: ");
        let other: Vec<&str> = out.lines().filter(|line| !own(line)).collect();
        assert_eq!(other, [format!("test {test} ... ok")], "{case}");
    }
}

fn writes(case: &str) {
    let log = Log::default();
    if case == "a subscriber" {
        tracing::subscriber::set_global_default(log.subscriber()).expect("the only one");
    }
    for (turn, way) in (1..).zip(loaded()) {
        let probing = block_on(Probing::serve(way, Limits::default()));
        let key = key();
        block_on(obey(&probing, Action::Trace, key));
        block_on(obey(&probing, Action::Whisper, key));
        block_on(obey(&probing, Action::PanicInTask, key));
        block_on(probing.policy.get_user_limits(order(Action::PanicFirst, key), 1, CancellationToken::new()))
            .expect_err("it panics");
        if case == "a subscriber" {
            for text in ["first poll", "a record of", "whispered"] {
                assert!(!log.with(text).is_empty(), "{}: {text}", way.name());
            }
            for text in ["a panic at the first poll", "a panic in a task"] {
                let records = || log.with(text).iter().filter(|it| it.text.starts_with("plugin code")).count();
                eventually("the panic is in the log", || records() == turn);
            }
        }
        assert!(block_on(probing.host.shutdown()).is_clean());
    }
}

/// The caller gives up, the instance is closed, and the plugin's thread is still in its span and in the caller's.
#[test]
fn spans_that_outlive_their_instance_are_closed() {
    let seen = seen();
    // Enough for the call to be in its span, however busy the machine is.
    let short = Duration::from_secs(2);
    let limits = Limits {
        policy: short,
        publish_usage: short,
        audit: short,
        grace: short,
        drain: 2 * short,
        ..Limits::default()
    };
    let way = Way { loaded: true, mode: ExecutionMode::Isolated };
    let key = key();
    block_on(async {
        let probing = Probing::serve(way, limits).await;
        let call = probing.policy.get_user_limits(order(Action::Overstay, key), 1, CancellationToken::new());
        call.instrument(info_span!("gives up")).await.expect_err("its deadline passes");
        let ended = probing.host.shutdown().await.plugins.remove(0);
        assert_eq!(ended.runtime_stopped, Some(false), "a thread is in there");
    });
    assert!(seen.is_open("gives up") && seen.is_open("overstays"));
    let leave = leave_when(key);
    std::fs::write(&leave, "").expect("a file");
    eventually("both are closed", || !seen.is_open("gives up") && !seen.is_open("overstays"));
    std::fs::remove_file(leave).expect("it is there");
}

#[test]
fn callsites_do_not_add_up() {
    let seen = seen();
    for way in loaded().chain(loaded()) {
        block_on(async {
            let probing = Probing::serve(way, Limits::default()).await;
            obey(&probing, Action::Trace, key()).await;
            assert!(probing.host.shutdown().await.is_clean());
        });
        assert_eq!(seen.callsites("probe::typed"), 1, "each instance has a mapping of its own, with its own callsites");
    }
}
