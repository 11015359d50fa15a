//! Hosts that serve fixture plugins: the same plugin linked and loaded, in every execution mode.

use std::time::{Duration, Instant};

use mini_chat_plugin_loader::config::{ExecutionMode, Limits, PluginEntry};
use mini_chat_plugin_loader::{InstanceStatus, PluginHost};
use mini_chat_plugin_sdk::InProcessPlugin;

/// How a plugin gets into a process, and where its calls run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Way {
    /// As a `.so`, or linked into the test.
    pub loaded: bool,
    /// Where its calls run.
    pub mode: ExecutionMode,
}

impl Way {
    /// Linked, and loaded in each mode.
    pub const ALL: [Self; 4] = [
        Self { loaded: false, mode: ExecutionMode::Inline },
        Self { loaded: true, mode: ExecutionMode::Inline },
        Self { loaded: true, mode: ExecutionMode::Isolated },
        Self { loaded: true, mode: ExecutionMode::Adaptive },
    ];

    /// A word for it.
    #[must_use]
    pub fn name(self) -> String {
        format!("{}-{}", if self.loaded { "loaded" } else { "linked" }, self.mode.name())
    }
}

/// A plugin of this workspace, in both forms.
#[derive(Debug, Clone, Copy)]
pub struct Fixture {
    /// The package of the loadable library.
    pub package: &'static str,
    /// The plugin's id.
    pub id: &'static str,
    /// The same code, linked.
    pub linked: InProcessPlugin,
}

impl Fixture {
    /// An entry that serves this plugin under `name`, with one worker.
    #[must_use]
    pub fn entry(&self, name: impl Into<String>, way: Way) -> PluginEntry {
        let mut entry = PluginEntry::new(name);
        entry.library = self.id.to_owned();
        entry.mode = way.mode;
        entry.workers = Some(1);
        entry
    }

    /// A host with these entries. The directory of a loaded plugin may go once it serves.
    ///
    /// # Panics
    ///
    /// If not all of them serve.
    pub async fn host(&self, entries: Vec<(Way, PluginEntry)>) -> PluginHost {
        let directory = crate::plugins::directory();
        let mut builder = PluginHost::builder().identity("tests", "1").plugins(directory.path()).watch(false);
        if entries.iter().any(|(way, _)| way.loaded) {
            crate::plugins::drop_in(directory.path(), &crate::plugins::built(self.package), "libfixture.so");
        }
        for (way, entry) in entries {
            if !way.loaded {
                builder = builder.in_process(entry.name.clone(), self.linked);
            }
            builder = builder.plugin(entry);
        }
        let host = builder.build().await.expect("the host starts");
        let status = host.status();
        assert!(status.plugins.iter().all(|plugin| plugin.serving), "{status:#?}");
        host
    }
}

/// Limits that no test reaches by being slow: a deadline of a minute, and this grace period.
#[must_use]
pub fn patient(grace: Duration) -> Limits {
    let minute = Duration::from_secs(60);
    Limits { policy: minute, publish_usage: minute, audit: minute, drain: minute * 2, grace, ..Limits::default() }
}

/// The status of an instance that serves.
///
/// # Panics
///
/// If none serves under the name.
#[must_use]
pub fn status(host: &PluginHost, name: &str) -> InstanceStatus {
    let plugins = host.status().plugins;
    plugins.into_iter().find(|plugin| plugin.name == name).and_then(|plugin| plugin.instance).expect("it serves")
}

/// Waits until `condition` holds.
///
/// # Panics
///
/// If it does not within half a minute.
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let limit = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < limit, "not within half a minute: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Whether this runs under a sanitizer (`scripts/sanitize` says so): slow, and with memory that is not the program's own.
#[must_use]
pub fn sanitized() -> bool {
    std::env::var_os("MINI_CHAT_TESTS_SANITIZED").is_some()
}

/// Bytes of memory that this process has resident.
///
/// # Panics
///
/// If the system does not say.
#[must_use]
pub fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("statm");
    let pages: usize = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("a number of pages");
    pages * 4096
}
