//! Candidates that would take their host with them, met by real hosts: the program, and one that embeds the loader. Their
//! trial processes are seen from outside: what they show of themselves, and that none is left.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use mini_chat_plugin_tests::by_hand::{self, descriptor_with};
use mini_chat_plugin_tests::plugins;
use mini_chat_plugin_tests::program::{self, Running, Signal};
use mini_chat_plugin_tests::serving::eventually;
use mini_chat_plugin_tests::site::{GOOD, MISBEHAVING, Site};
use serde_json::Value;

/// What each library does while it is mapped, and what is said of it.
const BAD: [(&str, &str); 4] = [
    ("crashes", "preflight-killed"),
    ("exits", "preflight-exited"),
    ("hangs", "preflight-timed-out"),
    ("eats", "preflight-out-of-memory"),
];

fn id(name: &str) -> String {
    format!("acme.test._.{name}.v1")
}

/// A directory with a good plugin and all bad ones, and the plugins.toml for it.
fn all_bad() -> (Site, PathBuf) {
    let site = Site::with_misbehaving();
    let mut text = "[host]\npreflight_memory = 256\n".to_owned();
    text.push_str(&format!("[plugins.\"{MISBEHAVING}\".config]\ncreate = \"exit\"\n"));
    for (name, _) in BAD {
        let descriptor = descriptor_with("id", id(name)).to_string();
        by_hand::entry(&site.path(&format!("{name}.so")), &name.to_uppercase(), &descriptor, &[]);
        let limit = if name == "hangs" { "5s" } else { "60s" };
        text.push_str(&format!("[plugins.\"{}\".limits]\ncreate = \"{limit}\"\n", id(name)));
    }
    let config = site.path("plugins.toml");
    fs::write(&config, text).unwrap();
    (site, config)
}

fn assert_only_good_serves(status: &Value) {
    for plugin in status["plugins"].as_array().unwrap() {
        let name = plugin["name"].as_str().unwrap();
        let bad = BAD.iter().find(|(bad, _)| id(bad) == name).map(|(_, kind)| *kind);
        let expected = bad.or_else(|| (name == MISBEHAVING).then_some("preflight-exited"));
        assert_eq!(plugin["serving"], expected.is_none(), "{plugin}");
        assert_eq!(plugin["reason"][0].as_str(), expected, "{plugin}");
    }
    let names: Vec<&str> = status["plugins"].as_array().unwrap().iter().filter_map(|it| it["name"].as_str()).collect();
    assert!(names.len() == BAD.len() + 2 && names.contains(&GOOD), "{names:?}");
    assert_eq!(status["images"]["images_used"], 1, "only what is good is mapped: {status}");
}

/// The children of a process.
fn children(of: u32) -> Vec<u32> {
    let stat = |pid: u32| fs::read_to_string(format!("/proc/{pid}/stat")).ok();
    // After the name, in parentheses, which may have blanks: state, parent.
    let parent = |stat: String| stat.rsplit(')').next()?.split_whitespace().nth(1)?.parse::<u32>().ok();
    let numbers = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers.filter(|pid| stat(*pid).and_then(parent) == Some(of)).collect()
}

fn embedding(directory: &Path, config: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_embedding"));
    command.arg(directory).arg(config);
    command
}

#[test]
fn a_host_that_embeds_the_loader() {
    let (site, config) = all_bad();
    let running = Running::start_with_input(embedding(site.directory(), &config));
    assert_only_good_serves(&running.event());
    assert_eq!(children(running.id()), [0; 0], "trial processes are gone");
    let (code, stdout, stderr) = running.end();
    assert_eq!((code, stdout), (0, vec!["ended cleanly".to_owned()]), "{stderr:#?}");
}

#[test]
fn the_program() {
    let (site, config) = all_bad();
    let mut command = program::command(["run", "--json", "--plugins"]);
    command.arg(site.directory()).arg("--config").arg(&config);
    let running = Running::start(command);
    let ready = running.event();
    assert_eq!(ready["event"], "ready");
    assert_only_good_serves(&ready["status"]);
    assert_eq!(children(running.id()), [0; 0], "trial processes are gone");
    running.signal(Signal::TERM);
    assert_eq!(running.end().0, 0);
}

/// The trial process of a host, as soon as it is there.
fn trial_of(host: u32) -> u32 {
    let mut found = None;
    eventually("a plugin is tried", || {
        let is_trial = |pid: &u32| {
            fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.ends_with(b"\0mini-chat-plugin-preflight\0"))
        };
        found = children(host).into_iter().find(is_trial);
        found.is_some()
    });
    found.unwrap()
}

/// The secret goes through a pipe. Whoever may list processes sees their arguments; many may see the environment.
#[test]
fn a_trial_process_shows_no_secret() {
    const SECRET: &str = "correct horse battery staple";
    let site = Site::with_misbehaving();
    let (config, go) = (site.path("plugins.toml"), site.path("go"));
    fs::write(site.path("password"), SECRET).unwrap();
    let text = format!(
        "[plugins.\"{MISBEHAVING}\"]\nlimits = {{ create = \"60s\", health = \"60s\" }}\n[plugins.\"{MISBEHAVING}\".config]\n\
         wait_for = {go:?}\nstrict = {{ limit = 1, password = {{ file = \"password\" }} }}\n"
    );
    fs::write(&config, text).unwrap();
    let mut command = program::command(["run", "--json", "--plugins"]);
    command.arg(site.directory()).arg("--config").arg(&config);
    let running = Running::start(command);
    // The one that stays is that of the plugin that waits for the file.
    let mut trial = 0;
    eventually("the configuration is being read", || {
        trial = trial_of(running.id());
        let maps = fs::read_to_string(format!("/proc/{trial}/maps")).unwrap_or_default();
        maps.contains("acme.test._.misbehaving.v1-")
    });
    for file in ["cmdline", "environ"] {
        let bytes = fs::read(format!("/proc/{trial}/{file}")).unwrap();
        assert!(!bytes.is_empty());
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains("battery"), "{file}: {text}");
    }
    let oom = fs::read_to_string(format!("/proc/{trial}/oom_score_adj")).unwrap();
    assert_eq!(oom.trim(), "1000");
    fs::write(go, "").unwrap();
    let ready = running.event();
    assert_eq!(ready["serving"], 2, "{ready}");
    running.signal(Signal::TERM);
    assert_eq!(running.end().0, 0);
}

/// A host that dies takes its trial processes with it.
#[test]
fn a_host_that_is_killed_leaves_no_trial_process() {
    let site = Site::new();
    by_hand::entry(&site.path("hangs.so"), "HANGS", &by_hand::descriptor().to_string(), &[]);
    let config = site.path("plugins.toml");
    fs::write(&config, format!("[plugins.\"{}\".limits]\ncreate = \"10m\"\n", by_hand::ID)).unwrap();
    let running = Running::start(embedding(site.directory(), &config));
    let mut trial = 0;
    eventually("the library is being mapped", || {
        trial = trial_of(running.id());
        fs::read_to_string(format!("/proc/{trial}/maps")).is_ok_and(|maps| maps.contains("acme.test._.by_hand.v1-"))
    });
    running.signal(Signal::KILL);
    let alive = || fs::read_to_string(format!("/proc/{trial}/maps")).is_ok_and(|maps| maps.contains("by_hand"));
    eventually("the trial process is gone, too", || !alive());
}

/// The variable is none for people: a program that is started with it by mistake does nothing, and says why.
#[test]
fn no_trial_by_accident() {
    for (value, why) in [("1", "its parent is not process 1"), ("yes", "its value is no process id")] {
        let mut command = program::command(["list", "/"]);
        command.env("MINI_CHAT_PLUGIN_PREFLIGHT", value);
        let ran = program::end(command, "nothing that a host would say");
        assert_eq!((ran.code, ran.stdout.as_str()), (70, ""));
        let expected = format!("no plugin host started this process to try a plugin ({why}); unset it\n");
        assert!(ran.stderr.ends_with(&expected), "{}", ran.stderr);
    }
    for input in ["", "{}\n", "nothing that a host would say\n"] {
        let mut command = Command::new(plugins::program());
        command.env("MINI_CHAT_PLUGIN_PREFLIGHT", std::process::id().to_string());
        let ran = program::end(command, input);
        assert!(ran.code == 70 && ran.stderr.contains("no plugin host started this process"), "{ran:?}");
        assert!(!ran.stdout.contains("stage"), "{ran:?}");
    }
}
