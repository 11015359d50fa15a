//! `mini-chat-plugins run`: start, the lines that scripts wait for, signals, exit codes.

use std::fs;
use std::path::Path;
use std::process::Command;

use mini_chat_plugin_tests::plugins;
use mini_chat_plugin_tests::program::{Running, Signal, command, run};
use mini_chat_plugin_tests::stamped::{ID, bad, good};
use serde_json::Value;
use tempfile::TempDir;

const HANGING: &str = "fixture.audit._.hanging.v1";

/// A folder with a plugin directory in it.
struct Site(TempDir);

impl Site {
    fn new(packages: &[&str]) -> Self {
        let site = Self(plugins::directory());
        fs::create_dir(site.plugins()).unwrap();
        for package in packages {
            plugins::drop_in(&site.plugins(), &plugins::built(package), &format!("{package}.so"));
        }
        site
    }

    fn plugins(&self) -> std::path::PathBuf {
        self.0.path().join("plugins")
    }

    /// `run` on it, with this plugins.toml if it is not empty.
    fn command(&self, config: &str, options: &[&str]) -> Command {
        let mut command = command(["run", "--plugins"]);
        command.arg(self.plugins());
        if !config.is_empty() {
            let file = self.0.path().join("plugins.toml");
            fs::write(&file, config).unwrap();
            command.arg("--config").arg(file);
        }
        command.args(options);
        command
    }
}

/// The examples' own configurations, with files inside the site.
fn examples(site: &Site) -> String {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("example-plugins");
    let policy = fs::read_to_string(examples.join("static-policy/plugins.toml")).unwrap();
    let journal = site.0.path().join("audit.jsonl");
    format!("{policy}\n[plugins.\"acme.audit._.jsonl.v1\".config]\npath = \"{}\"\n", journal.display())
}

#[test]
fn serves_until_sigterm_and_ends_every_plugin() {
    let site = Site::new(&["hello", "static-policy-plugin", "jsonl-audit-plugin"]);
    let running = Running::start(site.command(&examples(&site), &["--json"]));
    let ready = running.event();
    assert_eq!((&ready["event"], &ready["serving"]), (&Value::from("ready"), &Value::from(3)), "{ready}");
    assert_eq!(ready["status"]["plugins"][0]["instance"]["id"], "acme.audit._.hello.v1");
    assert!(site.0.path().join("audit.jsonl").exists());
    running.signal(Signal::TERM);
    assert_eq!(running.event(), serde_json::json!({ "event": "ending", "signal": "SIGTERM" }));
    let ended = running.event();
    assert_eq!((&ended["event"], &ended["clean"]), (&Value::from("ended"), &Value::from(true)), "{ended}");
    assert!(ended["plugins"].as_array().unwrap().iter().all(|plugin| plugin["runtime_stopped"] == true), "{ended}");
    let (code, stdout, log) = running.end();
    assert_eq!((code, stdout.len()), (0, 0));
    // What the shutdown hook of static-policy writes.
    assert!(log.iter().any(|line| line.contains("usage: 0 events")), "{log:#?}");
}

#[test]
fn people_get_tables_and_one_ctrl_c_ends_it() {
    let site = Site::new(&["hello"]);
    fs::write(site.plugins().join("bad.so"), "no library").unwrap();
    let running = Running::start(site.command("", &[]));
    let start = running.stdout_until(|line| line.starts_with("ready "));
    assert!(start[0].starts_with("NAME "), "{start:#?}");
    assert!(start.iter().any(|line| line.starts_with("acme.audit._.hello.v1  serving")), "{start:#?}");
    assert!(start.iter().any(|line| line.contains("bad.so  not-elf")), "{start:#?}");
    assert!(start.last().unwrap().ends_with(" serving=1 not_serving=0 refused=1"), "{start:#?}");
    running.signal(Signal::INT);
    let (code, end, _) = running.end();
    assert_eq!((code, end[0].as_str()), (0, "ending signal=SIGINT"));
    assert_eq!(end.last().unwrap(), "ended clean=true");
}

#[test]
fn a_second_signal_leaves_at_once() {
    let site = Site::new(&["fixture-hanging"]);
    for (second, expected) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let running = Running::start(site.command("", &["--json"]));
        assert_eq!(running.event()["event"], "ready");
        running.signal(Signal::INT);
        running.stderr_until(|line| line.contains("the shutdown hook hangs"));
        running.signal(second);
        let (code, stdout, _) = running.end();
        assert_eq!(code, expected);
        assert!(!stdout.iter().any(|line| line.contains("ended")), "{stdout:#?}");
    }
}

#[test]
fn a_shutdown_hook_that_does_not_end_is_exit_1() {
    let site = Site::new(&["fixture-hanging"]);
    let running = Running::start(site.command("[host]\nshutdown = \"300ms\"\n", &["--json"]));
    assert_eq!(running.event()["event"], "ready");
    running.signal(Signal::TERM);
    assert_eq!(running.event()["event"], "ending");
    let ended = running.event();
    assert_eq!((&ended["clean"], &ended["plugins"][0]["name"]), (&Value::from(false), &Value::from(HANGING)));
    assert_eq!(running.end().0, 1);
}

#[test]
fn a_wrong_configuration_is_exit_78() {
    let site = Site::new(&[]);
    let (code, stdout, log) = Running::start(site.command("[host]\nshut_down = \"5s\"\n", &[])).end();
    assert_eq!((code, stdout.len()), (78, 0));
    let error = log.iter().find(|line| line.starts_with("error: ")).unwrap();
    assert!(error.starts_with("error: configuration: ") && error.contains("plugins.toml:2:1: host"), "{error}");
    assert!(error.contains("shutdown"), "the nearest key is named: {error}");

    let ran = run(["run", "--plugins", "/no/such/directory"]);
    assert_eq!(ran.code, 78);
    assert!(ran.stderr.contains("error: plugin directory: /no/such/directory: "), "{}", ran.stderr);
    let ran = run(["run", "--config", "/no/such/plugins.toml", "--plugins", site.plugins().to_str().unwrap()]);
    assert_eq!(ran.code, 78);
    assert!(ran.stderr.contains("cannot read the plugin configuration /no/such/plugins.toml"), "{}", ran.stderr);
    assert_eq!(run(["run"]).code, 2);
}

#[test]
fn a_required_plugin_that_does_not_serve() {
    let site = Site::new(&["hello"]);
    let config = "[plugins.\"acme.audit._.absent.v1\"]\n";
    let (code, stdout, log) = Running::start(site.command(config, &["--on-failure", "fail"])).end();
    assert_eq!((code, stdout.len()), (69, 0));
    let error = log.iter().find(|line| line.starts_with("error: ")).unwrap();
    assert!(error.contains("no usable file with the id acme.audit._.absent.v1"), "{error}");

    let running = Running::start(site.command(config, &["--json"]));
    let ready = running.event();
    let absent = &ready["status"]["plugins"][0];
    assert_eq!((&absent["serving"], &absent["reason"][0]), (&Value::from(false), &Value::from("no-file")), "{ready}");
    assert_eq!(ready["serving"], 1);
    running.signal(Signal::TERM);
    assert_eq!(running.end().0, 0);
}

#[test]
fn the_file_that_list_says_serves_is_served() {
    let site = Site::new(&["hello", "jsonl-audit-plugin", "static-policy-plugin"]);
    plugins::drop_in(&site.plugins(), &plugins::built("hello"), "z-copy-of-hello.so");
    let listed = run(["list", "--json", site.plugins().to_str().unwrap()]).json();
    let files = listed["files"].as_array().unwrap().iter().filter(|file| file["serves"] == true);
    let mut listed: Vec<&str> = files.map(|file| file["file"].as_str().unwrap()).collect();
    let running = Running::start(site.command(&examples(&site), &["--json"]));
    let ready = running.event();
    let plugins = ready["status"]["plugins"].as_array().unwrap();
    let mut served: Vec<&str> = plugins.iter().map(|plugin| plugin["instance"]["file"].as_str().unwrap()).collect();
    listed.sort_unstable();
    served.sort_unstable();
    assert_eq!(served, listed);
    running.signal(Signal::TERM);
    assert_eq!(running.end().0, 0);
}

#[test]
fn the_log_is_filtered_by_the_environment() {
    let site = Site::new(&["hello"]);
    let log_with = |variables: &[(&str, &str)]| {
        let mut command = site.command("", &["--json"]);
        command.envs(variables.iter().copied());
        let running = Running::start(command);
        assert_eq!(running.event()["event"], "ready");
        running.signal(Signal::TERM);
        running.end().2
    };
    let says = |log: &[String]| log.iter().any(|line| line.contains("plugin is serving"));
    assert!(says(&log_with(&[])));
    assert!(!says(&log_with(&[("RUST_LOG", "warn")])));
    assert!(says(&log_with(&[("RUST_LOG", "warn"), ("MINI_CHAT_LOG", "mini_chat_plugin_loader=info")])));
    let mut command = site.command("", &[]);
    command.env("MINI_CHAT_LOG", "loud=very");
    let (code, _, log) = Running::start(command).end();
    assert_eq!(code, 78);
    assert!(log[0].starts_with("error: environment MINI_CHAT_LOG: "), "{log:?}");
}

/// Events that are not of this plugin's swaps are passed over.
fn event_until(running: &Running, event: &str) -> Value {
    loop {
        let found = running.event();
        if found["event"] == event {
            return found;
        }
        assert_ne!(found["event"], "ended", "{event} was waited for");
    }
}

#[test]
fn sighup_swaps_what_has_changed_and_every_event_is_a_line() {
    let site = Site::new(&[]);
    good(1).drop_in(&site.plugins(), "libstamped.so");
    let config = format!("[host]\nwatch = false\n[plugins.\"{ID}\"]\n");
    let running = Running::start(site.command(&config, &["--json"]));
    assert_eq!(event_until(&running, "ready")["serving"], 1);
    good(2).drop_in(&site.plugins(), "libstamped.so");
    running.signal(Signal::HUP);
    let serving = event_until(&running, "serving");
    assert_eq!((&serving["plugin"], &serving["generation"]), (&Value::from(ID), &Value::from(2)), "{serving}");
    // What a trial finds costs the host nothing: this build would have ended it.
    bad(3, "map-crash").drop_in(&site.plugins(), "libstamped.so");
    running.signal(Signal::HUP);
    let refused = event_until(&running, "refused");
    assert_eq!(refused["kind"], "preflight-killed", "{refused}");
    assert!(refused["message"].as_str().unwrap().contains("SIGSEGV"), "{refused}");
    running.signal(Signal::TERM);
    assert_eq!(event_until(&running, "ended")["clean"], true);
    let (code, _, log) = running.end();
    assert_eq!(code, 0);
    assert!(log.iter().any(|line| line.contains("SIGHUP")), "{log:#?}");
}

#[test]
fn a_changed_configuration_is_applied_without_a_signal() {
    let site = Site::new(&[]);
    good(1).drop_in(&site.plugins(), "libstamped.so");
    let with = |models: u32| format!("[plugins.\"{ID}\".config]\nmodels = {models}\n");
    let running = Running::start(site.command(&with(1), &["--json"]));
    assert_eq!(event_until(&running, "ready")["serving"], 1);
    let file = site.0.path().join("plugins.toml");
    fs::write(site.0.path().join("next.toml"), with(2)).unwrap();
    fs::rename(site.0.path().join("next.toml"), &file).unwrap();
    let serving = event_until(&running, "serving");
    assert_eq!((&serving["generation"], &serving["replaces"]), (&Value::from(2), &Value::from(1)), "{serving}");
    // One that is wrong changes nothing.
    fs::write(site.0.path().join("next.toml"), "[plugins.x]\nlibary = \"y\"\n").unwrap();
    fs::rename(site.0.path().join("next.toml"), &file).unwrap();
    let refused = event_until(&running, "config_refused");
    assert!(refused["message"].as_str().unwrap().contains("libary"), "{refused}");
    running.signal(Signal::TERM);
    assert_eq!(running.end().0, 0);
}
