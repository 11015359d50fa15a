//! Where a program runs a host, and another one asks it.

use std::fs;
use std::path::PathBuf;

use mini_chat_plugin_tests::plugins;
use mini_chat_plugin_tests::program::{Ran, Running, command, end};
use mini_chat_plugin_tests::stamped::{ID, Stamp};
use serde_json::Value;
use tempfile::TempDir;

/// The name of the library in the directory.
pub(crate) const FILE: &str = "libstamped.so";

/// A folder with a plugin directory, a plugins.toml, a control socket, and builds that are to be installed.
pub(crate) struct Site(pub(crate) TempDir);

impl Site {
    pub(crate) fn new() -> Self {
        let site = Self(plugins::directory());
        fs::create_dir(site.plugins()).unwrap();
        fs::create_dir(site.path("builds")).unwrap();
        site
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn plugins(&self) -> PathBuf {
        self.path("plugins")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.path("control.sock")
    }

    /// A host with this configuration besides the entry of `stamped`, which serves or is to.
    pub(crate) fn run(&self, host: &str, entry: &str) -> Running {
        let config = self.path("plugins.toml");
        let data = self.path("data");
        let entry = format!("[plugins.\"{ID}\"]\ndata_dir = {data:?}\nrequired = false\n{entry}\n");
        fs::write(&config, format!("[host]\n{host}\n{entry}")).unwrap();
        let mut command = command(["run", "--json", "--plugins"]);
        command.arg(self.plugins()).arg("--config").arg(config).arg("--control").arg(self.socket());
        let running = Running::start(command);
        assert_eq!(running.event()["event"], "ready");
        running
    }

    /// A build that is to be installed.
    pub(crate) fn build(&self, stamp: Stamp) -> PathBuf {
        stamp.drop_in(&self.path("builds"), FILE)
    }

    pub(crate) fn ask(&self, arguments: &[&str]) -> Ran {
        let mut command = command(arguments);
        command.arg("--control").arg(self.socket());
        end(command, "")
    }

    pub(crate) fn install(&self, stamp: Stamp, options: &[&str]) -> std::process::Command {
        let mut command = command(["install"]);
        command.arg(self.build(stamp)).arg(self.plugins()).args(options);
        command.arg("--control").arg(self.socket());
        command
    }

    /// The plugin, as `status --json NAME` shows it.
    pub(crate) fn plugin(&self) -> Value {
        self.ask(&["status", "--json", ID]).json()
    }

    pub(crate) fn installed(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(self.plugins())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}
