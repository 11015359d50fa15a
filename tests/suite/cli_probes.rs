//! What `run` tells those who watch over it: health and readiness over HTTP, and systemd.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixDatagram};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use mini_chat_plugin_tests::fetch::{connect, get, request};
use mini_chat_plugin_tests::plugins;
use mini_chat_plugin_tests::program::{Running, Signal, command, run};
use mini_chat_plugin_tests::serving::eventually;
use mini_chat_plugin_tests::stamped::{ID, bad, good};
use serde_json::{Value, json};
use tempfile::TempDir;

const HELLO: &str = "acme.audit._.hello.v1";

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

    fn plugins(&self) -> PathBuf {
        self.0.path().join("plugins")
    }

    fn config(&self) -> PathBuf {
        self.0.path().join("plugins.toml")
    }

    /// `run --json` on it.
    fn command(&self, options: &[&str]) -> Command {
        let mut command = command(["run", "--json", "--plugins"]);
        command.arg(self.plugins());
        if self.config().exists() {
            command.arg("--config").arg(self.config());
        }
        command.args(options);
        command
    }

    /// The same, listening; with where it does.
    fn listening(&self) -> (Running, SocketAddr) {
        let running = Running::start(self.command(&["--listen", "127.0.0.1:0"]));
        let listening = running.event();
        assert_eq!(listening["event"], "listening", "{listening}");
        let address = listening["addr"].as_str().and_then(|address| address.parse().ok());
        (running, address.expect("an address"))
    }
}

fn ready(address: SocketAddr) -> (u16, Value) {
    let answer = get(address, "/readyz");
    assert!(answer.head.contains("content-type: application/json"), "{answer:?}");
    (answer.status, serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{error}: {answer:?}")))
}

#[test]
fn a_healthy_host_says_so() {
    let site = Site::new(&["hello"]);
    let (running, address) = site.listening();
    assert_eq!(running.event()["event"], "ready");
    let health = get(address, "/healthz");
    assert_eq!((health.status, health.body.as_str()), (200, "alive\n"));
    assert_eq!(ready(address), (200, json!({ "ready": true, "missing": [] })));
    let metrics = get(address, "/metrics");
    let serving = format!("mini_chat_plugin_serving{{plugin=\"{HELLO}\"}} 1\n");
    assert!(metrics.status == 200 && metrics.body.contains(&serving), "{metrics:?}");

    assert_eq!(get(address, "/").status, 404);
    assert_eq!(get(address, "/healthz/x").status, 404);
    assert_eq!(get(address, "/healthz?verbose=1").status, 200);
    let post = request(address, "POST /metrics HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n");
    assert!(post.status == 405 && post.head.contains("allow: get, head"), "{post:?}");
    let head = request(address, "HEAD /healthz HTTP/1.1\r\nhost: x\r\n\r\n");
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    running.signal(Signal::TERM);
    assert_eq!(running.end().0, 0);
}

#[test]
fn the_line_for_people_names_the_address_and_an_option_need_not_be_one() {
    let site = Site::new(&["hello"]);
    let mut command = command(["run", "--plugins"]);
    command.arg(site.plugins()).env("MINI_CHAT_LISTEN", "127.0.0.1:0");
    let running = Running::start(command);
    let listening = running.stdout_until(|line| line.starts_with("listening addr="));
    assert_eq!(listening.len(), 1, "it comes first");
    let address = listening[0].strip_prefix("listening addr=").unwrap().parse().unwrap();
    running.stdout_until(|line| line.starts_with("ready "));
    assert_eq!(get(address, "/healthz").status, 200);
    running.signal(Signal::TERM);
    assert_eq!(running.end().0, 0);

    let running = Running::start(site.command(&[]));
    assert_eq!(running.event()["event"], "ready");
    running.signal(Signal::TERM);
    let (code, _, log) = running.end();
    assert_eq!(code, 0);
    assert!(log.iter().any(|line| line.contains("--listen 127.0.0.1:9464")), "how to get it is said: {log:#?}");
}

#[test]
fn it_is_not_ready_while_it_starts_nor_without_a_required_plugin_nor_while_it_ends() {
    let site = Site::new(&["fixture-hanging"]);
    // The host reads its configuration first: it starts no plugin before that has come.
    let made = Command::new("mkfifo").arg(site.config()).status().unwrap();
    assert!(made.success());
    let (running, address) = site.listening();
    assert_eq!(ready(address), (503, json!({ "ready": false, "starting": true })));
    assert_eq!(get(address, "/healthz").status, 503);
    assert_eq!(get(address, "/metrics").status, 200);
    let mut pipe = fs::File::options().write(true).open(site.config()).unwrap();
    let config = format!("[host]\nwatch = false\nshutdown = \"10m\"\n[plugins.\"{HELLO}\"]\n");
    let file = site.0.path().join("file");
    fs::write(&file, &config).unwrap();
    fs::rename(file, site.config()).unwrap();
    pipe.write_all(config.as_bytes()).unwrap();
    drop(pipe);

    assert_eq!(running.event()["event"], "ready", "degraded");
    let (status, body) = ready(address);
    assert_eq!((status, &body["ready"], &body["missing"][0]["plugin"]), (503, &json!(false), &json!(HELLO)), "{body}");
    assert!(body["missing"][0]["why"].as_str().unwrap().contains("no usable file"), "{body}");
    assert_eq!(get(address, "/healthz").status, 200, "it is alive");

    plugins::drop_in(&site.plugins(), &plugins::built("hello"), "hello.so");
    running.signal(Signal::HUP);
    eventually("it is ready", || ready(address).0 == 200);

    running.signal(Signal::TERM);
    running.stderr_until(|line| line.contains("the shutdown hook hangs"));
    assert_eq!(ready(address), (503, json!({ "ready": false, "ending": true })));
    assert_eq!(get(address, "/healthz").status, 200, "it works on its end");
    running.signal(Signal::INT);
    assert_eq!(running.end().0, 130);
}

#[test]
fn slow_and_greedy_clients_take_nothing_from_others() {
    let site = Site::new(&["hello"]);
    let (running, address) = site.listening();
    assert_eq!(running.event()["event"], "ready");
    // More than there is room for at a time: they have to go before anybody else is heard.
    let silent: Vec<_> = (0..80)
        .map(|number| {
            let mut stream = connect(address);
            if number % 2 == 0 {
                stream.write_all(b"GET /metrics HTTP/1.1\r\nhost:").unwrap();
            }
            stream
        })
        .collect();
    assert_eq!(get(address, "/healthz").status, 200);
    for mut stream in silent {
        let mut rest = Vec::new();
        // An answer that it is late, the end, or a reset: not nothing for ever.
        let end = stream.read_to_end(&mut rest).map_err(|error| error.kind());
        assert!(!matches!(end, Err(std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)), "{end:?}");
    }
    let long = format!("GET /metrics HTTP/1.1\r\nhost: {}\r\n\r\n", "x".repeat(64 << 10));
    let mut stream = connect(address);
    let _ = stream.write_all(long.as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    assert_eq!(get(address, "/readyz").status, 200);
    running.signal(Signal::TERM);
    assert_eq!(running.end().0, 0);
}

#[test]
fn an_address_that_cannot_be_had_is_exit_78_before_any_plugin_is_started() {
    let site = Site::new(&["hello"]);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let in_use = taken.local_addr().unwrap().to_string();
    for (address, why) in [(in_use.as_str(), "in use"), ("nonsense", "invalid"), ("127.0.0.1:99999", "invalid")] {
        let ran = run(["run", "--listen", address, "--plugins", site.plugins().to_str().unwrap()]);
        assert_eq!((ran.code, ran.stdout.as_str()), (78, ""), "{ran:?}");
        let error = ran.stderr.lines().find(|line| line.starts_with("error: ")).unwrap();
        let expected = format!("error: --listen {address}: expected an address that is free, such as 127.0.0.1:9464");
        assert!(error.starts_with(&expected) && error.contains(why), "{error}");
        assert!(!ran.stderr.contains("plugin is serving"), "{ran:?}");
    }
}

/// What stands in for systemd.
struct Manager(UnixDatagram);

impl Manager {
    /// The next message, as its lines.
    fn message(&self) -> Vec<String> {
        let mut bytes = [0; 4096];
        let size = loop {
            match self.0.recv(&mut bytes) {
                // A socket with a limit is not waited for again by itself when the process was stopped meanwhile.
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                received => break received.expect("a message"),
            }
        };
        String::from_utf8_lossy(&bytes[..size]).lines().map(str::to_owned).collect()
    }

    /// Messages up to the one with this line, that one last.
    fn until(&self, line: &str) -> Vec<Vec<String>> {
        let (mut messages, begun) = (Vec::new(), Instant::now());
        loop {
            // Not only each message has a limit: the watchdog is fed for ever.
            assert!(begun.elapsed() < Duration::from_secs(120), "no {line}, but {messages:?}");
            messages.push(self.message());
            if messages.last().is_some_and(|message| message.iter().any(|found| found == line)) {
                return messages;
            }
        }
    }
}

fn manager(socket: UnixDatagram) -> Manager {
    socket.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
    Manager(socket)
}

#[test]
fn systemd_is_told_how_things_stand() {
    let site = Site::new(&[]);
    good(1).drop_in(&site.plugins(), "libstamped.so");
    fs::write(site.config(), format!("[host]\nwatch = false\n[plugins.\"{ID}\"]\n[plugins.\"{HELLO}\"]\n")).unwrap();
    let socket = site.0.path().join("notify");
    let manager = manager(UnixDatagram::bind(&socket).unwrap());
    let mut command = site.command(&[]);
    command.env("NOTIFY_SOCKET", &socket).env("WATCHDOG_USEC", "200000");
    let running = Running::start(command);
    let missing = format!("STATUS=serving 1 of 2 plugins; required and not serving: {HELLO}");
    assert_eq!(manager.message(), ["READY=1", &missing], "also when something is missing");
    manager.until("WATCHDOG=1");
    manager.until("WATCHDOG=1");

    plugins::drop_in(&site.plugins(), &plugins::built("hello"), "hello.so");
    bad(2, "create-permanent").drop_in(&site.plugins(), "libstamped.so");
    running.signal(Signal::HUP);
    let reloading = manager.until("RELOADING=1").pop().unwrap();
    let usec = reloading[1].strip_prefix("MONOTONIC_USEC=").and_then(|usec| usec.parse::<u64>().ok());
    assert!(usec.is_some_and(|usec| usec > 0), "{reloading:?}");
    // In whichever order, or both at once.
    let all = "STATUS=serving 2 of 2 plugins";
    if !manager.until("READY=1").iter().flatten().any(|line| line == all) {
        manager.until(all);
    }
    running.signal(Signal::TERM);
    manager.until("STOPPING=1");
    assert_eq!(running.end().0, 0);
}

#[test]
fn an_abstract_socket_is_told_as_well_and_a_watchdog_for_another_process_is_not_fed() {
    let site = Site::new(&["hello"]);
    let name = format!("mini-chat-test-{}", std::process::id());
    let address = UnixAddr::from_abstract_name(&name).unwrap();
    let manager = manager(UnixDatagram::bind_addr(&address).unwrap());
    let mut command = site.command(&[]);
    // So often that it would be seen between any two messages.
    command.env("NOTIFY_SOCKET", format!("@{name}")).env("WATCHDOG_USEC", "1000").env("WATCHDOG_PID", "1");
    let running = Running::start(command);
    assert_eq!(manager.message(), ["READY=1", "STATUS=serving 1 of 1 plugins"]);
    for _ in 0..20 {
        running.signal(Signal::HUP);
        assert_eq!(manager.message()[0], "RELOADING=1");
        assert_eq!(manager.message()[0], "READY=1");
    }
    running.signal(Signal::TERM);
    assert_eq!(manager.message()[0], "STOPPING=1");
    assert_eq!(running.end().0, 0);
}

#[test]
fn a_socket_that_is_not_there_is_no_reason_not_to_serve() {
    let site = Site::new(&["hello"]);
    for socket in [site.0.path().join("none"), PathBuf::from("relative")] {
        let mut command = site.command(&[]);
        command.env("NOTIFY_SOCKET", socket);
        let running = Running::start(command);
        assert_eq!(running.event()["event"], "ready");
        running.signal(Signal::TERM);
        let (code, _, log) = running.end();
        assert_eq!(code, 0);
        assert!(log.iter().any(|line| line.contains("systemd")), "{log:#?}");
    }
}
