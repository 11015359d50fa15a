//! A library whose mapping never ends.
//!
//! glibc maps one library at a time, and a thread that is started meanwhile waits as well. So this happens in processes of
//! their own, which cannot even end by themselves: their exit would wait, too.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use futures::executor::block_on;
use mini_chat_plugin_loader::PluginHost;
use mini_chat_plugin_loader::config::PluginEntry;
use mini_chat_plugin_loader::error::BuildError;
use mini_chat_plugin_tests::by_hand::{self, descriptor};
use mini_chat_plugin_tests::child;
use mini_chat_plugin_tests::site::{GOOD, MISBEHAVING, Site, assert_good_serves, failure};

crate::cases::cases! {
    a_constructor_of_the_library_hangs => "open-hangs",
    what_waits_behind_it => "linker-held-up",
}

/// Long beside what copying, mapping and opening good plugins take, one after the other, on a machine whose disk and cores are
/// kept busy by others: only what hangs shall reach it, and half of it shall not pass before that one's turn.
const LIMIT: Duration = Duration::from_secs(30);
const DONE: &str = "all of it was seen";

/// A directory with a plugin that hangs, and the path of that.
fn hanging() -> (Site, PathBuf) {
    let site = Site::with_misbehaving();
    let path = site.path("hangs.so");
    by_hand::entry(&path, "HANGS", &descriptor().to_string(), &[]);
    (site, path)
}

fn build(site: &Site, names: &[&str]) -> Result<PluginHost, BuildError> {
    let entries = [GOOD, MISBEHAVING, by_hand::ID].map(|name| {
        let mut entry = PluginEntry::new(name);
        entry.limits.create = LIMIT;
        entry.enabled = names.contains(&name);
        entry
    });
    block_on(entries.into_iter().fold(site.builder(), |builder, entry| builder.plugin(entry)).build())
}

/// The parent kills this process when it reads the line.
fn done() -> ! {
    println!("{DONE}");
    std::io::stdout().flush().unwrap();
    loop {
        std::thread::park();
    }
}

/// The host that was there before serves on, and can be ended; the host that met the bad file says so in time.
fn a_constructor_of_the_library_hangs() -> &'static str {
    if !child::until_killed("hanging::case::a_constructor_of_the_library_hangs", DONE) {
        return "open-hangs";
    }
    let good = Site::with_misbehaving();
    let serving = good.serve(good.builder());
    let (site, path) = hanging();
    let host = build(&site, &[by_hand::ID]).unwrap();
    let (kind, text) = failure(&host, by_hand::ID);
    assert_eq!(kind, "open-hangs");
    let why = "copying, mapping and opening it did not end within 30s; raise limits.create, or, if code that runs while \
               it is mapped hangs, remove the file and restart the host, which may have to be killed";
    assert_eq!(text, format!("{}: {why}", path.display()));
    assert_good_serves(&serving);
    assert!(block_on(host.shutdown()).plugins.is_empty());
    // It ends. Whether its hooks could run is up to glibc: a thread of a plugin that touches a thread-local for the first
    // time waits for the linker, too.
    assert!(!block_on(serving.shutdown()).plugins.is_empty());

    // It could have no thread, and so no timer: another host is not even tried.
    let error = build(&site, &[]).unwrap_err().to_string();
    assert!(error.starts_with(&format!("no host can be built in this process: {} hangs", path.display())), "{error}");
    done();
}

/// A plugin that could not be mapped because of another one is not called bad: the other one is.
fn what_waits_behind_it() -> &'static str {
    if !child::until_killed("hanging::case::what_waits_behind_it", DONE) {
        return "linker-held-up";
    }
    let (site, path) = hanging();
    let host = build(&site, &[GOOD, MISBEHAVING, by_hand::ID]).unwrap();
    assert_eq!(failure(&host, by_hand::ID).0, "open-hangs");
    let why = format!("because {} hangs while it is mapped and holds up the dynamic linker", path.display());
    for plugin in host.status().plugins.iter().filter(|plugin| plugin.name != by_hand::ID) {
        // Those that were mapped before it serve.
        if let Some((kind, text)) = &plugin.reason {
            assert_eq!(*kind, "linker-held-up", "{text}");
            assert!(text.contains(&why), "{text}");
        }
    }
    block_on(host.shutdown());
    done();
}
