//! A process that has no room for another library: refused before it is mapped, where the system would abort.

use std::sync::Mutex;

use futures::executor::block_on;
use mini_chat_plugin_loader::config::PluginEntry;
use mini_chat_plugin_tests::child;
use mini_chat_plugin_tests::plugins;
use mini_chat_plugin_tests::site::{GOOD, Site, assert_good_serves, failure};

crate::cases::cases! {
    two_libraries_and_no_more => "image-budget",
    no_keys_left => "image-budget",
}

fn named(name: &str) -> PluginEntry {
    let mut entry = PluginEntry::new(name);
    entry.library = GOOD.to_owned();
    entry
}

/// Counted per process: in one of its own.
fn two_libraries_and_no_more() -> &'static str {
    if !child::alone("room::case::two_libraries_and_no_more") {
        return "image-budget";
    }
    let site = Site::new();
    let images = plugins::directory();
    let builder =
        site.builder().image_dir(mini_chat_plugin_loader::image_dir::ImageDirChoice::Explicit(images.path().into()));
    let builder = builder.max_images(2).plugin(named("first")).plugin(named("second"));
    let host = block_on(builder.build()).unwrap();
    assert_eq!((host.status().images.images_used, host.status().images.images_limit), (2, 2));
    // Ended plugins stay mapped: another host in this process has no room either, and says so.
    let other = block_on(site.builder().max_images(2).build()).unwrap();
    let (kind, text) = failure(&other, GOOD);
    let expected = "runs short of mapped libraries: 2 of 2 are used; restart the host, or raise max_images of [host]";
    assert!(text.ends_with(expected), "{text}");
    drop(other);
    for name in ["first", "second"] {
        let event = mini_chat_plugin_tests::site::turn_audit_event();
        block_on(host.audit(name).emit_turn_audit(event)).unwrap();
    }
    let folder = std::fs::read_dir(images.path()).unwrap().next().unwrap().unwrap().path();
    let copies = std::fs::read_dir(folder)
        .unwrap()
        .filter(|file| file.as_ref().unwrap().path().extension().is_some_and(|extension| extension == "so"));
    assert_eq!(copies.count(), 2);
    assert!(block_on(host.shutdown()).is_clean());
    let later = block_on(site.builder().max_images(3).build()).unwrap();
    assert_good_serves(&later);
    drop(later);
    kind
}

/// The keys that this process has taken.
static KEYS: Mutex<Vec<libc::pthread_key_t>> = Mutex::new(Vec::new());

fn take_all_keys() {
    let mut keys = KEYS.lock().unwrap();
    loop {
        let mut key = 0;
        // SAFETY: `key` is valid for the call, and there is no destructor.
        if unsafe { libc::pthread_key_create(&raw mut key, None) } != 0 {
            break;
        }
        keys.push(key);
    }
}

fn give_keys_back(count: usize) {
    let mut keys = KEYS.lock().unwrap();
    let kept = keys.len() - count;
    for key in keys.drain(kept..) {
        // SAFETY: created above, and nobody else knows it.
        unsafe { libc::pthread_key_delete(key) };
    }
}

/// A library takes one of the 1024 keys for thread-local values for good; the process is aborted where there is none.
fn no_keys_left() -> &'static str {
    if !child::alone("room::case::no_keys_left") {
        return "image-budget";
    }
    let site = Site::new();
    let serving = site.serve(site.builder());
    take_all_keys();
    give_keys_back(8);
    let host = block_on(site.builder().build()).unwrap();
    let (kind, text) = failure(&host, GOOD);
    assert!(
        text.contains("runs short of keys for thread-local values: 1016 of 1024 are used; restart the host"),
        "{text}"
    );
    assert!(!host.status().images.keys_ok);
    assert_good_serves(&serving);
    block_on(host.shutdown());
    drop(host);
    let all = KEYS.lock().unwrap().len();
    give_keys_back(all);
    assert!(serving.status().images.keys_ok);
    let host = site.serve(site.builder());
    assert!(block_on(host.shutdown()).is_clean());
    assert!(block_on(serving.shutdown()).is_clean());
    kind
}
