//! A host that gets no more threads from the system.

use std::sync::atomic::{AtomicBool, Ordering};

use futures::executor::block_on;
use mini_chat_plugin_loader::PluginHost;
use mini_chat_plugin_loader::error::BuildError;
use mini_chat_plugin_tests::child;
use mini_chat_plugin_tests::log::on_record;
use mini_chat_plugin_tests::site::{GOOD, Site, assert_good_serves, failure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

crate::cases::cases! {
    none_to_map_a_library => "open-lost",
    none_to_read_a_configuration => "thread-lost",
}

/// From now on the system gives this process no thread. Root is not held to it.
fn no_more_threads() {
    let maximum = getrlimit(Resource::Nproc).maximum;
    setrlimit(Resource::Nproc, Rlimit { current: Some(0), maximum }).unwrap();
}

/// A host that runs out of threads once it has read its files; one that was there before serves on.
fn runs_out(test: &str, name: &str) -> Option<(&'static str, String)> {
    if !child::as_nobody(test, &["hello"]) {
        return None;
    }
    let site = Site::new();
    let before = site.serve(site.builder());
    site.put_bytes(b"nothing", "nothing.so");
    let done = AtomicBool::new(false);
    let subscriber = on_record(move |record| {
        if record.text.starts_with("plugin file refused") && !done.swap(true, Ordering::Relaxed) {
            no_more_threads();
        }
    });
    let builder = site.builder().in_process("linked", crate::place::linked());
    let host: PluginHost = tracing::subscriber::with_default(subscriber, || block_on(builder.build())).unwrap();
    assert_good_serves(&before);
    drop(block_on(before.shutdown()));
    // Not even a host's first thread can be had now.
    match block_on(site.builder().build()) {
        Err(BuildError::Thread(error)) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock),
        other => panic!("{other:?}"),
    }
    Some(failure(&host, name))
}

fn none_to_map_a_library() -> &'static str {
    let Some((kind, text)) = runs_out("threads::case::none_to_map_a_library", GOOD) else { return "open-lost" };
    assert!(text.ends_with("/good.so: the thread that opens it was lost; the host's log says why"), "{text}");
    kind
}

/// A linked plugin has no library to map, so this is the first thread that it needs.
fn none_to_read_a_configuration() -> &'static str {
    let test = "threads::case::none_to_read_a_configuration";
    let Some((kind, text)) = runs_out(test, "linked") else { return "thread-lost" };
    let expected = "plugin linked: the host could not start a thread for its reading of the configuration";
    assert_eq!(text, expected);
    kind
}
