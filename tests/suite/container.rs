//! The host as it runs in a container: a read-only root, a user that is not root, a `/tmp` without exec, plugins from an init
//! container, `plugins.toml` and secrets as a ConfigMap and a Secret bring them.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use mini_chat_plugin_tests::program::{Ran, Running, Signal, end};
use mini_chat_plugin_tests::stamped::{ID, Stamp, bad, good};
use mini_chat_plugin_tests::{child, plugins};
use serde_json::Value;

/// The user of the container.
const USER: u32 = 1000;
/// What outlives the root, and the volumes.
const NODE: &str = "/mnt";

/// A container's file systems.
struct Container {
    /// The user of the test can become another one.
    other_user: bool,
    /// Where private copies may be, if anywhere.
    images: bool,
}

impl Container {
    /// To be called in a mount namespace of one's own.
    fn new(images: bool) -> Self {
        let program = plugins::program();
        let builds = [(good(1), "1"), (good(2), "2"), (bad(3, "create-permanent"), "3")];
        let builds = builds.map(|(stamp, name): (Stamp, _)| (stamp.bytes(), name));
        child::mount(&["-t", "tmpfs", "none"], Path::new(NODE));
        fs::set_permissions(NODE, PermissionsExt::from_mode(0o755)).unwrap();
        let root = has_other_users();
        for volume in ["bin", "builds", "plugins", "config", "secrets", "images", "state"] {
            fs::create_dir(at(volume)).unwrap();
            if root && ["plugins", "images", "state"].contains(&volume) {
                chown(at(volume), Some(USER), Some(USER)).unwrap();
            }
        }
        fs::copy(program, at("bin/mini-chat-plugins")).unwrap();
        for (bytes, name) in builds {
            fs::write(at("builds").join(name), bytes).unwrap();
        }
        child::mount(&["-t", "tmpfs", "-o", "noexec,mode=1777", "none"], Path::new("/tmp"));
        child::mount(&["-o", "remount,bind,ro"], Path::new("/"));
        assert!(fs::write("/file", "").is_err(), "the root is read-only");
        let container = Self { other_user: root, images };
        publish("secrets", "1", &[("token", "one")]);
        publish("config", "1", &[("plugins.toml", &config("../secrets/token"))]);
        container
    }

    /// A command as the container's user.
    fn command(&self, program: &str) -> Command {
        let mut command = if self.other_user {
            let mut command = Command::new("setpriv");
            command.args([&format!("--reuid={USER}"), &format!("--regid={USER}"), "--clear-groups", "--no-new-privs"]);
            command.arg(program);
            command
        } else {
            Command::new(program)
        };
        command.current_dir("/").env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        if self.images {
            command.env("TMPDIR", at("images"));
        }
        command
    }

    /// What an init container does: puts a build into the volume.
    fn copy(&self, build: &str) {
        let (from, to) = (at("builds").join(build), at("plugins"));
        let script = format!("install -m 644 {0} {1}/.new && mv {1}/.new {1}/stamped.so", from.display(), to.display());
        let copied = self.command("sh").args(["-c", &script]).output().unwrap();
        assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
    }

    fn plugins(&self, subcommand: &[&str]) -> Command {
        let mut command = self.command(&at("bin/mini-chat-plugins").display().to_string());
        command.args(subcommand).arg("--config").arg(at("config/plugins.toml"));
        command
    }

    fn check(&self) -> Ran {
        let mut command = self.plugins(&["check", "--json"]);
        command.arg(at("plugins"));
        end(command, "")
    }

    /// Serving, with what it said then.
    fn run(&self) -> (Running, Value) {
        let mut command = self.plugins(&["run", "--json"]);
        command.arg("--plugins").arg(at("plugins")).arg("--state-dir").arg(at("state/host"));
        let running = Running::start(command);
        let lines = running.stdout_until(|line| line.contains("\"ready\""));
        let ready = serde_json::from_str(lines.last().unwrap()).unwrap();
        (running, ready)
    }
}

fn at(volume: &str) -> PathBuf {
    Path::new(NODE).join(volume)
}

/// Whether other users exist here: not in a user namespace with one user.
fn has_other_users() -> bool {
    let become_user = ["--reuid=1000", "--regid=1000", "--clear-groups", "true"];
    Command::new("setpriv").args(become_user).output().is_ok_and(|run| run.status.success())
}

fn config(secret: &str) -> String {
    format!(
        "[plugins.\"{ID}\"]\ndata_dir = \"{NODE}/state/data\"\n[plugins.\"{ID}\".probation]\nduration = \"10ms\"\n\
         [plugins.\"{ID}\".config]\nsecret = {{ file = \"{secret}\" }}\n"
    )
}

/// What the kubelet does: a folder of its own for each version, and a link that is swapped by a rename.
fn publish(volume: &str, version: &str, files: &[(&str, &str)]) {
    let volume = at(volume);
    let before = fs::read_link(volume.join("..data")).ok();
    let folder = volume.join(format!("..{version}"));
    fs::create_dir(&folder).unwrap();
    for (name, text) in files {
        fs::write(folder.join(name), text).unwrap();
        if before.is_none() {
            symlink(Path::new("..data").join(name), volume.join(name)).unwrap();
        }
    }
    symlink(format!("..{version}"), volume.join("..data_tmp")).unwrap();
    fs::rename(volume.join("..data_tmp"), volume.join("..data")).unwrap();
    if let Some(before) = before {
        fs::remove_dir_all(volume.join(before)).unwrap();
    }
}

/// Waits for an event and gives it.
fn event(running: &Running, name: &str) -> Value {
    let lines = running.stdout_until(|line| line.contains(&format!("\"event\":\"{name}\"")));
    serde_json::from_str(lines.last().unwrap()).unwrap()
}

fn end_in_order(running: Running) {
    running.signal(Signal::TERM);
    assert_eq!(event(&running, "ended")["clean"], true);
    assert_eq!(running.end().0, 0);
}

#[test]
fn a_day_in_a_container() {
    if !child::in_mount_namespace("a_day_in_a_container") {
        return;
    }
    let container = Container::new(true);
    container.copy("1");
    let checked = container.check();
    assert_eq!(checked.code, 0, "{checked:?}");
    let (running, ready) = container.run();
    let plugin = &ready["status"]["plugins"][0];
    assert_eq!((&plugin["serving"], &plugin["instance"]["generation"]), (&true.into(), &1.into()), "{ready}");
    assert_eq!(ready["status"]["state"]["problem"], Value::Null, "{ready}");

    publish("secrets", "2", &[("token", "two")]);
    assert_eq!(event(&running, "serving")["generation"], 2);
    event(&running, "proven");
    publish("config", "2", &[("plugins.toml", "[plugins\n")]);
    assert!(event(&running, "config_refused")["message"].as_str().unwrap().contains("plugins.toml"));
    let mended = config("../secrets/token").replace("10ms", "20ms");
    publish("config", "3", &[("plugins.toml", &mended)]);
    assert_eq!(event(&running, "serving")["generation"], 3);
    event(&running, "proven");
    container.copy("2");
    assert_eq!(event(&running, "serving")["generation"], 4);
    event(&running, "proven");
    container.copy("3");
    event(&running, "refused");
    running.signal(Signal::KILL);
    drop(running);

    // The next one is scheduled with the bad build in place.
    assert_eq!(container.check().code, 1);
    let (running, ready) = container.run();
    let plugin = &ready["status"]["plugins"][0];
    assert_eq!(plugin["serving"], true, "{ready}");
    assert!(plugin["swap"]["last_good"].as_str().is_some_and(|why| why.contains("cannot be created")), "{ready}");
    end_in_order(running);
}

#[test]
fn nowhere_to_execute_from() {
    if !child::in_mount_namespace("nowhere_to_execute_from") {
        return;
    }
    let container = Container::new(false);
    container.copy("1");
    let (running, ready) = container.run();
    assert_eq!(ready["serving"], 1, "{ready}");
    running.stderr_until(|line| line.contains("plugin images are held in memory"));
    container.copy("2");
    assert_eq!(event(&running, "serving")["generation"], 2);
    end_in_order(running);
}

/// As on a network file system: nothing tells that something has changed.
#[test]
fn folders_without_events() {
    let allowed = "echo 0 > /proc/sys/user/max_inotify_instances && exec \"$0\" \"$@\"";
    let unheard = |program: &Path| {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "sh", "-c", allowed]).arg(program);
        command
    };
    if !unheard(Path::new("true")).output().is_ok_and(|run| run.status.success()) {
        eprintln!("NOT RUN: folders_without_events needs a user namespace with a limit of its own for inotify");
        return;
    }
    let place = plugins::directory();
    fs::create_dir(place.path().join("plugins")).unwrap();
    good(1).drop_in(&place.path().join("plugins"), "stamped.so");
    fs::write(place.path().join("plugins.toml"), "[host]\nrescan = \"200ms\"\n").unwrap();
    let mut command = unheard(&plugins::program());
    command.args(["run", "--json", "--plugins"]).arg(place.path().join("plugins"));
    command.arg("--config").arg(place.path().join("plugins.toml"));
    let running = Running::start(command);
    event(&running, "ready");
    running.stderr_until(|line| line.contains("cannot be watched"));
    good(2).drop_in(&place.path().join("plugins"), "stamped.so");
    assert_eq!(event(&running, "serving")["generation"], 2);
    end_in_order(running);
}
