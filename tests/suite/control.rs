//! A host's control socket, met through the library: what it answers about real plugins, whom, and until when.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use futures::executor::block_on;
use mini_chat_plugin_loader::config::{ExecutionMode, PluginEntry};
use mini_chat_plugin_loader::control::{Client, ControlSocket, Request};
use mini_chat_plugin_loader::error::{ClientError, ControlError};
use mini_chat_plugin_loader::{HostStatus, PluginHost};
use mini_chat_plugin_sdk::tokio_util::sync::CancellationToken;
use mini_chat_plugin_sdk::uuid::Uuid;
use mini_chat_plugin_tests::program::{command, end};
use mini_chat_plugin_tests::serving::eventually;
use mini_chat_plugin_tests::stamped::{ID, bad, good};
use mini_chat_plugin_tests::{child, plugins};
use serde_json::{Value, json};
use tempfile::TempDir;

const FILE: &str = "libstamped.so";

/// A host that serves `stamped`, does not look by itself, and can be asked.
struct World {
    host: PluginHost,
    socket: ControlSocket,
    directory: TempDir,
}

impl World {
    fn new() -> Self {
        let directory = plugins::directory();
        good(1).drop_in(directory.path(), FILE);
        let mut entry = PluginEntry::new(ID);
        entry.mode = ExecutionMode::Inline;
        entry.data_dir = Some(directory.path().join("data"));
        entry.probation.duration = Duration::from_secs(3600);
        let builder = PluginHost::builder().identity("tests", "1").plugins(directory.path()).watch(false);
        let host = block_on(builder.plugin(entry).build()).expect("the host starts");
        let socket = host.serve_control(directory.path().join("control.sock")).expect("a socket");
        Self { host, socket, directory }
    }

    fn path(&self) -> PathBuf {
        self.socket.path().to_owned()
    }

    fn ask(&self, request: &Request) -> Result<Value, ClientError> {
        Client::connect(self.path())?.request(request)
    }

    fn plugin(&self) -> Value {
        self.ask(&Request::Status).expect("a status")["plugins"][0].take()
    }

    fn build(&self) -> u64 {
        let policy = self.host.model_policy(ID);
        let version = block_on(policy.get_current_policy_version(Uuid::nil(), CancellationToken::new()));
        version.expect("a version").policy_version
    }
}

fn name() -> String {
    ID.to_owned()
}

#[test]
fn a_status_has_what_an_operator_asks_for() {
    let world = World::new();
    world.build();
    let elsewhere = tempfile::tempdir().unwrap();
    let path = bad(2, "create-permanent").drop_in(elsewhere.path(), "bad.so");
    assert_eq!(world.ask(&Request::Swap { path }).expect_err("refused").kind(), "create-failed");
    let status = world.ask(&Request::Status).expect("a status");
    let host = &status["host"];
    assert_eq!((&host["name"], &host["version"], &host["ready"]), (&json!("tests"), &json!("1"), &json!(true)));
    assert_eq!(host["pid"], std::process::id());
    assert!(host["since"].as_u64().is_some_and(|since| since > 1_700_000_000), "{host}");
    assert!(status["images"]["images_limit"].is_u64() && status["images"]["keys_ok"] == true, "{status}");
    let plugin = &status["plugins"][0];
    assert_eq!((&plugin["name"], &plugin["library"], &plugin["serving"]), (&json!(ID), &json!(ID), &json!(true)));
    let instance = &plugin["instance"];
    for (key, expected) in [
        ("generation", json!(1)),
        ("version", json!("100000.0.0")),
        ("mode", json!("inline")),
        ("isolated", json!(false)),
        ("in_flight", json!(0)),
        ("calls", json!(1)),
        ("failures", json!(0)),
    ] {
        assert_eq!(instance[key], expected, "{key}: {instance}");
    }
    assert_eq!(instance["digest"].as_str().map(str::len), Some(64));
    assert!(instance["since"].as_u64() >= host["since"].as_u64() && instance["live_heap_bytes"].as_i64() > Some(0));
    let swap = &plugin["swap"];
    assert_eq!((&swap["state"], &swap["refusals"]), (&json!("serving"), &json!(1)));
    let given_up = &swap["quarantine"][0];
    assert_eq!(given_up["kind"], "create-failed");
    assert!(given_up["message"].as_str().unwrap().contains("this build cannot be created"), "{given_up}");
    // What the library says of itself is the same.
    let of_host: HostStatus = world.host.status();
    assert_eq!(serde_json::to_value(of_host.plugins).unwrap()[0]["swap"], *swap);
}

#[test]
fn orders_are_those_of_the_library() {
    let world = World::new();
    let elsewhere = tempfile::tempdir().unwrap();
    let path = good(2).drop_in(elsewhere.path(), "other.so");
    let swapped = world.ask(&Request::Swap { path }).expect("it serves");
    assert_eq!((&swapped[0]["plugin"], &swapped[0]["generation"]), (&json!(ID), &json!(2)));
    assert_eq!((world.build(), world.plugin()["swap"]["pinned"].is_object()), (2, true));
    let back = world.ask(&Request::Rollback { name: name() }).expect("the first stands by");
    assert_eq!((&back["generation"], world.build()), (&json!(1), 1));
    eventually("it has ended", || world.plugin()["swap"]["retired"][0]["generation"] == 2);
    let retired = world.plugin()["swap"]["retired"][0].take();
    assert!(retired["heap_growth_bytes"].is_i64() && retired["abandoned_calls"] == 0, "{retired}");
    let unpinned = world.ask(&Request::Unpin { name: name() }).expect("there is such a plugin");
    assert_eq!((unpinned["was"].is_object(), &unpinned["lifted"][0]["kind"]), (true, &json!("rolled-back")));
    assert_eq!(world.ask(&Request::Reload { name: name() }).expect("created anew")["generation"], 3);
    good(4).drop_in(world.directory.path(), FILE);
    assert_eq!(world.ask(&Request::Rescan).expect("it looks"), json!({ "rescan": true }));
    eventually("it is found", || world.build() == 4);
    let path = bad(5, "create-permanent").drop_in(elsewhere.path(), "bad.so");
    world.ask(&Request::Swap { path }).expect_err("refused");
    let lifted = world.ask(&Request::Unquarantine { name: name() }).expect("there is such a plugin");
    assert_eq!(lifted[0]["kind"], "create-failed");
    for request in [Request::Reload { name: "nobody".into() }, Request::Unpin { name: "nobody".into() }] {
        let error = world.ask(&request).expect_err("nobody has that name");
        assert_eq!((error.kind(), error.is_unreachable()), ("unknown-name", false));
        assert!(error.to_string().contains(ID), "the names there are: {error}");
    }
    assert!(block_on(world.host.shutdown()).is_clean());
}

#[test]
fn the_last_eight_generations_that_ended_are_remembered() {
    let world = World::new();
    for generation in 2..=11 {
        let reloaded = world.ask(&Request::Reload { name: name() }).expect("created anew");
        assert_eq!(reloaded["generation"], generation);
    }
    block_on(world.host.shutdown());
    let retired = world.host.status().plugins[0].swap.retired.clone();
    let generations: Vec<u64> = retired.iter().map(|ended| ended.generation).collect();
    assert_eq!((generations.len(), generations.iter().max()), (8, Some(&11)), "{generations:?}");
}

#[test]
fn events_tell_of_a_swap_until_the_host_ends() {
    let world = World::new();
    let (status, events) = Client::connect(world.path()).unwrap().follow().expect("events");
    assert_eq!(status["plugins"][0]["instance"]["generation"], 1);
    world.ask(&Request::Reload { name: name() }).expect("created anew");
    world.ask(&Request::Rollback { name: name() }).expect("the first stands by");
    assert!(block_on(world.host.shutdown()).is_clean());
    let told: Vec<String> = events.map(|event| event.unwrap()["event"].as_str().unwrap().to_owned()).collect();
    assert_eq!(told.last().unwrap(), "ended");
    for event in ["serving", "rolled_back", "retired"] {
        assert!(told.contains(&event.to_owned()), "{event}: {told:?}");
    }
}

#[test]
fn a_host_that_is_gone_is_not_kept_by_its_socket() {
    let World { host, socket, directory } = World::new();
    let path = socket.path().to_owned();
    drop(host);
    let mut client = Client::connect(&path).expect("the socket is there still");
    assert_eq!(client.request(&Request::Status).expect_err("the host is not").kind(), "shutting-down");
    // One socket per path, also within a process.
    let other = block_on(PluginHost::builder().plugins(directory.path()).watch(false).build()).unwrap();
    assert!(matches!(other.serve_control(&path), Err(ControlError::InUse { .. })));
    drop(socket);
    let socket = other.serve_control(&path).expect("it is free");
    assert_eq!(std::fs::symlink_metadata(socket.path()).unwrap().permissions().mode() & 0o7777, 0o600);
    assert!(Client::connect(&path).unwrap().request(&Request::Status).is_ok());
    block_on(other.shutdown());
}

#[test]
fn another_user_is_refused_even_where_the_mode_lets_him() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("NOT RUN: only root can become another user");
        return;
    }
    let world = World::new();
    let public = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("chmod");
    };
    public(world.directory.path(), 0o755);
    // Where that user can go, too.
    let program = world.directory.path().join("program");
    child::bring_program(&plugins::program(), &program);
    public(&program, 0o755);
    let as_nobody = || {
        let mut as_nobody = std::process::Command::new("setpriv");
        as_nobody
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(&program)
            .args(["status", "--control"]);
        as_nobody.arg(world.path()).current_dir("/");
        end(as_nobody, "")
    };
    let ran = as_nobody();
    assert_eq!(ran.code, 69, "{ran:?}");
    assert!(ran.stderr.contains("permission denied; a host answers root and the user that it runs as"), "{ran:?}");
    public(&world.path(), 0o666);
    let ran = as_nobody();
    assert_eq!(ran.code, 69, "{ran:?}");
    assert!(ran.stderr.contains("this host answers root and its own user only; you are user 65534"), "{ran:?}");
    let mut status = command(["status", "--control"]);
    status.arg(world.path());
    assert_eq!(end(status, "").code, 0);
}

/// What a shell with `nc -U` sees.
#[test]
fn the_protocol_is_lines_of_json() {
    let world = World::new();
    let mut stream = UnixStream::connect(world.path()).unwrap();
    stream.write_all(b"{\"command\":\"rescan\"}\n{\"command\":\"reload\",\"name\":\"nobody\"}\n").unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answers = String::new();
    stream.read_to_string(&mut answers).unwrap();
    let expected = format!(
        "{{\"protocol\":1,\"ok\":{{\"rescan\":true}}}}\n\
         {{\"protocol\":1,\"error\":{{\"kind\":\"unknown-name\",\"message\":\"no plugin is named nobody: there are {ID}\"}}}}\n"
    );
    assert_eq!(answers, expected);
}
