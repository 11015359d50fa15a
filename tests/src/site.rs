//! A plugin directory in which a good plugin stands beside whatever a test puts there, and hosts on it.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::executor::block_on;
use mini_chat_plugin_loader::{PluginHost, PluginHostBuilder, RefusedFile};
use mini_chat_plugin_sdk::audit_models::TurnAuditEvent;

use crate::plugins;

/// The id of the good plugin.
pub const GOOD: &str = "acme.audit._.hello.v1";

/// The id of the plugin that misbehaves as its configuration says.
pub const MISBEHAVING: &str = "acme.test._.misbehaving.v1";

/// A plugin directory with the good plugin in it.
#[derive(Debug)]
pub struct Site {
    directory: tempfile::TempDir,
}

impl Site {
    /// With the good plugin alone.
    ///
    /// # Panics
    ///
    /// If the system gives no directory.
    #[must_use]
    pub fn new() -> Self {
        let directory = plugins::directory();
        // For tests that look at it as another user.
        std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o755)).expect("chmod");
        plugins::drop_in(directory.path(), &plugins::built("hello"), "good.so");
        Self { directory }
    }

    /// With the plugin that misbehaves as well.
    #[must_use]
    pub fn with_misbehaving() -> Self {
        let site = Self::new();
        site.put(&plugins::built("misbehaving-plugin"), "misbehaving.so");
        site
    }

    /// The directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The path of a file in it.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory().join(name)
    }

    /// A copy of a file, put there as an operator should.
    pub fn put(&self, file: &Path, name: &str) -> PathBuf {
        plugins::drop_in(self.directory(), file, name)
    }

    /// A file of these bytes, put there as an operator should.
    ///
    /// # Panics
    ///
    /// If the system refuses.
    pub fn put_bytes(&self, bytes: &[u8], name: &str) -> PathBuf {
        let partial = self.path(".partial");
        std::fs::write(&partial, bytes).expect("write");
        self.put(&partial, name)
    }

    /// A builder on the directory, which is looked at once.
    pub fn builder(&self) -> PluginHostBuilder {
        PluginHost::builder().identity("tests", "1").plugins(self.directory()).watch(false)
    }

    /// The host that a builder makes, in which the good plugin serves.
    ///
    /// # Panics
    ///
    /// If there is none, or the good plugin does not serve in it.
    #[must_use]
    pub fn serve(&self, builder: PluginHostBuilder) -> PluginHost {
        let host = block_on(builder.build()).expect("a host");
        assert_good_serves(&host);
        host
    }

    /// Why the host refuses the file, which must be the only one that it refuses. The good plugin serves meanwhile, and
    /// the host ends cleanly afterwards.
    ///
    /// # Panics
    ///
    /// If it does not refuse just this file.
    #[must_use]
    pub fn refusal(&self, path: &Path) -> RefusedFile {
        self.refusal_of(self.builder(), path)
    }

    /// [`refusal`](Self::refusal) by another host.
    ///
    /// # Panics
    ///
    /// If it does not refuse just this file.
    #[must_use]
    pub fn refusal_of(&self, builder: PluginHostBuilder, path: &Path) -> RefusedFile {
        let host = self.serve(builder);
        let mut refused = host.status().refused_files;
        assert_eq!(refused.len(), 1, "{refused:?}");
        assert!(block_on(host.shutdown()).is_clean());
        let refused = refused.remove(0);
        assert_eq!(refused.path, path);
        assert!(refused.message.starts_with(&path.display().to_string()), "names the file first: {}", refused.message);
        refused
    }

    /// Code and text of why the plugin `name` does not serve. The good plugin serves meanwhile.
    ///
    /// # Panics
    ///
    /// If it serves.
    #[must_use]
    pub fn failure(&self, builder: PluginHostBuilder, name: &str) -> (&'static str, String) {
        let host = self.serve(builder);
        let reason = failure(&host, name);
        assert!(block_on(host.shutdown()).is_clean());
        reason
    }
}

impl Default for Site {
    fn default() -> Self {
        Self::new()
    }
}

/// Code and text of why the plugin `name` does not serve.
///
/// # Panics
///
/// If it serves.
#[must_use]
pub fn failure(host: &PluginHost, name: &str) -> (&'static str, String) {
    let status = host.status();
    let plugin = status.plugins.iter().find(|plugin| plugin.name == name).unwrap_or_else(|| panic!("{status:?}"));
    assert!(!plugin.serving, "{plugin:?}");
    plugin.reason.clone().expect("a reason")
}

/// The good plugin answers a call.
///
/// # Panics
///
/// If it does not.
pub fn assert_good_serves(host: &PluginHost) {
    let answer = block_on(host.audit(GOOD).emit_turn_audit(turn_audit_event()));
    assert!(answer.is_ok(), "{answer:?}, {:?}", host.status());
}

/// Tries with ever longer limits, until one was not too short for this machine at this moment: for tests of what never
/// ends, which would otherwise have to wait as long as a good start may take. An attempt gives what it shows, or why it
/// shows nothing.
///
/// # Panics
///
/// If the longest limit shows nothing either.
pub fn with_a_short_limit<R>(attempt: impl Fn(Duration) -> Result<R, String>) -> R {
    let mut last = String::new();
    for limit in [500, 2_000, 8_000, 30_000].map(Duration::from_millis) {
        match attempt(limit) {
            Ok(shown) => return shown,
            Err(why) => last = why,
        }
    }
    panic!("{last}");
}

/// An event.
///
/// # Panics
///
/// Never: the fixture is one.
#[must_use]
pub fn turn_audit_event() -> TurnAuditEvent {
    let fixture = include_str!("../fixtures/mini-chat/full/TurnAuditEvent.json");
    serde_json::from_str(fixture).expect("the fixture is an event")
}
