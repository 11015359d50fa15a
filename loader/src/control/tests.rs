//! What does not depend on plugins: the socket itself, connections, their limits. The supervisor is played by the test.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::mpsc;

use super::{Bounds, Client, ControlSocket, LONGEST_REQUEST, MOST_CONNECTIONS, Request};
use crate::error::{ClientError, ControlError};
use crate::events::{Events, HostEvent};
use crate::handle::Handle;
use crate::services::HostIdentity;
use crate::supervisor::{Command, Shared};

mod socket;

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(60);

/// A host without plugins, whose supervisor is the test.
struct Host {
    handle: Handle,
    commands: mpsc::UnboundedReceiver<Command>,
    events: Events,
    directory: TempDir,
}

impl Host {
    fn new() -> Self {
        let (sender, commands) = mpsc::unbounded_channel();
        let (events, directory) = (Events::new(), tempfile::tempdir().unwrap());
        let identity = HostIdentity { name: "tests".to_owned(), version: "1".to_owned() };
        let handle = Handle::new(sender, Arc::new(Shared::new(8, identity)), events.clone());
        Self { handle, commands, events, directory }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("control.sock")
    }

    fn serve(&self) -> ControlSocket {
        self.serve_within(Bounds { patience: LONG, stalled: LONG })
    }

    fn serve_within(&self, bounds: Bounds) -> ControlSocket {
        ControlSocket::serve_within(&self.path(), self.handle.clone(), bounds).expect("a socket")
    }

    fn refusal(&self) -> ControlError {
        ControlSocket::serve(&self.path(), self.handle.clone()).expect_err("it cannot be had")
    }

    fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(self.path()).expect("it listens");
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream
    }

    fn ask(&self) -> Result<Value, ClientError> {
        Client::connect(self.path())?.within(LONG).request(&Request::Status)
    }

    fn happens(&self, plugin: &str) {
        self.events.send(HostEvent::Disabled { plugin: plugin.to_owned() });
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.directory.path()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

/// The lines that come until the host closes the connection.
fn lines(stream: UnixStream) -> impl Iterator<Item = Value> {
    BufReader::new(stream).lines().map_while(Result::ok).map(|line| serde_json::from_str(&line).expect("JSON"))
}

fn line(stream: &UnixStream) -> Value {
    lines(stream.try_clone().unwrap()).next().expect("an answer")
}

fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let limit = Instant::now() + LONG;
    while !condition() {
        assert!(Instant::now() < limit, "{what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn requests_that_are_none_are_told_so_and_the_connection_goes_on() {
    let host = Host::new();
    let _socket = host.serve();
    let stream = host.connect();
    let mut answers = lines(stream.try_clone().unwrap());
    for (request, kind, says) in [
        ("{", "bad-request", "expected a line with a JSON object"),
        ("", "bad-request", "expected a line with a JSON object"),
        ("\u{0}\u{1}", "bad-request", "expected a line with a JSON object"),
        ("[1]", "bad-request", "expected a JSON object such as {\"command\":\"status\"}"),
        ("{}", "bad-request", "expected a field \"command\""),
        ("{\"command\":7}", "bad-request", "command: expected a string, found 7"),
        ("{\"command\":\"stop\"}", "unknown-command", "one of status, swap, reload,"),
        ("{\"command\":\"status\",\"nmae\":\"x\"}", "bad-request", "the command status has no field \"nmae\""),
        ("{\"command\":\"reload\"}", "bad-request", "expected a field \"name\""),
        ("{\"command\":\"swap\",\"path\":\"x.so\"}", "bad-request", "expected an absolute path"),
    ] {
        (&stream).write_all(format!("{request}\n").as_bytes()).unwrap();
        let answer = answers.next().expect("an answer");
        assert_eq!((&answer["protocol"], &answer["error"]["kind"]), (&json!(1), &json!(kind)), "{request}: {answer}");
        assert!(answer["error"]["message"].as_str().unwrap().contains(says), "{request}: {answer}");
    }
    // Two at once, the last without an end.
    (&stream).write_all(b"{\"command\":\"status\"}\n{\"command\":\"status\"}").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let answers: Vec<_> = answers.collect();
    assert_eq!(answers.len(), 2);
    assert!(answers.iter().all(|answer| answer["ok"]["images"].is_object()), "{answers:?}");
}

#[test]
fn a_line_without_end_is_cut_off() {
    let host = Host::new();
    let _socket = host.serve();
    let stream = host.connect();
    let longest = format!("{{\"command\":\"{}\"}}\n", "x".repeat(LONGEST_REQUEST - 14));
    (&stream).write_all(longest.as_bytes()).unwrap();
    assert_eq!(line(&stream)["error"]["kind"], "unknown-command", "as long as it may be");
    // The host stops reading half-way.
    let _ = (&stream).write_all(&vec![b'x'; 4 * LONGEST_REQUEST]);
    let rest: Vec<_> = lines(stream).collect();
    assert_eq!((rest.len(), &rest[0]["error"]["kind"]), (1, &json!("too-long")));
}

#[test]
fn a_silent_client_is_told_and_let_go() {
    let host = Host::new();
    let _socket = host.serve_within(Bounds { patience: Duration::from_millis(20), stalled: LONG });
    let silent = host.connect();
    let slow = host.connect();
    // It may have been let go by now.
    let _ = (&slow).write_all(b"{\"command\"");
    for stream in [silent, slow] {
        let rest: Vec<_> = lines(stream).collect();
        assert_eq!((rest.len(), &rest[0]["error"]["kind"]), (1, &json!("timeout")));
    }
}

#[test]
fn silent_clients_block_nobody_until_there_are_too_many() {
    let host = Host::new();
    let _socket = host.serve();
    let mut silent: Vec<_> = (1..MOST_CONNECTIONS).map(|_| host.connect()).collect();
    host.ask().expect("there is one place");
    eventually("the last place is free again", || {
        silent.push(host.connect());
        let stream = silent.last().unwrap();
        (&*stream).write_all(b"{\"command\":\"status\"}\n").is_ok() && line(stream)["ok"].is_object()
    });
    let busy = host.ask().expect_err("there is no place");
    assert_eq!((busy.kind(), busy.is_unreachable()), ("busy", true));
    assert!(busy.to_string().contains("16 connections"), "{busy}");
    drop(silent);
    eventually("there are places again", || host.ask().is_ok());
}

#[test]
fn events_come_as_they_happen_and_the_last_is_the_end() {
    let host = Host::new();
    let _socket = host.serve();
    let (status, mut events) = Client::connect(host.path()).unwrap().follow().expect("events");
    assert!(status["plugins"].is_array());
    assert_eq!(events.next_within(Duration::from_millis(1)).expect("it goes on"), None);
    host.happens("one");
    assert_eq!(events.next().unwrap().unwrap(), json!({ "event": "disabled", "plugin": "one" }));
    host.happens("two");
    drop(host.commands);
    assert_eq!(events.next_within(LONG).unwrap().unwrap()["plugin"], "two", "what happened before is told");
    assert_eq!(events.next().unwrap().unwrap(), json!({ "event": "ended" }));
    assert!(events.next().is_none());
}

#[test]
fn a_follower_may_close_its_writing_half_and_one_that_goes_frees_its_place() {
    let host = Host::new();
    let _socket = host.serve();
    let stream = host.connect();
    (&stream).write_all(b"{\"command\":\"events\"}").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answers = lines(stream);
    assert_eq!(answers.next().unwrap()["ok"]["following"], true);
    host.happens("one");
    assert_eq!(answers.next().unwrap()["plugin"], "one");
    let others: Vec<_> =
        (1..MOST_CONNECTIONS).map(|_| Client::connect(host.path()).unwrap().follow().unwrap()).collect();
    assert_eq!(host.ask().expect_err("there is no place").kind(), "busy");
    drop(others);
    // Nothing happens meanwhile that would show that they have gone.
    eventually("there are places again", || host.ask().is_ok());
    host.happens("two");
    assert_eq!(answers.next().unwrap()["plugin"], "two");
}

#[test]
fn a_follower_that_does_not_read_misses_some_and_holds_up_nobody() {
    let host = Host::new();
    let _socket = host.serve();
    let stream = host.connect();
    (&stream).write_all(b"{\"command\":\"events\"}\n").unwrap();
    let mut answers = lines(stream);
    assert_eq!(answers.next().unwrap()["ok"]["following"], true);
    let name = "x".repeat(1_000);
    for _ in 0..10_000 {
        host.happens(&name);
    }
    host.ask().expect("nobody waits for the follower");
    host.happens("last");
    let mut missed = 0;
    let mut read = 0;
    for event in answers {
        match event["event"].as_str() {
            Some("missed") => missed += event["events"].as_u64().unwrap(),
            _ if event["plugin"] == "last" => break,
            _ => read += 1,
        }
    }
    assert!(missed > 0 && read > 0, "{missed} and {read}");
    assert_eq!(missed + read, 10_000);
}

#[test]
fn a_follower_that_never_reads_is_let_go() {
    let host = Host::new();
    let socket = host.serve_within(Bounds { patience: LONG, stalled: Duration::from_millis(20) });
    let mut stream = host.connect();
    stream.write_all(b"{\"command\":\"events\"}\n").unwrap();
    assert_eq!(line(&stream)["ok"]["following"], true);
    let name = "x".repeat(10_000);
    for _ in 0..1_000 {
        host.happens(&name);
    }
    // It is not read from before the host has given up.
    let minute = Timespec { tv_sec: 60, tv_nsec: 0 };
    let hung_up = poll(&mut [PollFd::new(&stream, PollFlags::empty())], Some(&minute));
    assert_eq!(hung_up, Ok(1), "the host has closed it");
    let mut all = Vec::new();
    stream.read_to_end(&mut all).expect("the end comes though the host lives");
    assert!(all.len() < 10_000_000, "{}", all.len());
    drop(socket);
}

#[test]
fn after_the_end_of_the_host_every_answer_is_an_error() {
    let host = Host::new();
    let _socket = host.serve();
    let before = Client::connect(host.path()).unwrap();
    let Host { commands, directory, .. } = host;
    drop(commands);
    let path = directory.path().join("control.sock");
    let name = || "p".to_owned();
    let after = || Client::connect(&path).unwrap().within(LONG);
    for request in [
        Request::Status,
        Request::Swap { path: "/x.so".into() },
        Request::Reload { name: name() },
        Request::Rollback { name: name() },
        Request::Unpin { name: name() },
        Request::Unquarantine { name: name() },
        Request::Rescan,
    ] {
        let error = after().request(&request).expect_err("nobody is there to ask");
        assert_eq!((error.kind(), error.is_unreachable()), ("shutting-down", true), "{request:?}: {error}");
    }
    assert_eq!(after().follow().expect_err("there is nothing to follow").kind(), "shutting-down");
    assert_eq!(before.follow().expect_err("likewise").kind(), "shutting-down");
}

#[test]
fn an_order_that_takes_long_does_not_hold_up_the_end_of_the_socket() {
    let mut host = Host::new();
    let socket = host.serve();
    let path = host.path();
    let asking = std::thread::spawn(move || {
        let mut client = Client::connect(path).unwrap();
        client.request(&Request::Reload { name: "p".to_owned() })
    });
    let order = futures_executor::block_on(host.commands.recv()).expect("an order");
    assert!(matches!(&order, Command::Reload { name, .. } if name == "p"));
    drop(socket);
    let outcome = asking.join().unwrap();
    assert!(matches!(outcome, Err(ClientError::Closed { .. })), "{outcome:?}");
    drop(order);
}

#[test]
fn a_client_says_what_is_wrong() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("control.sock");
    let absent = Client::connect(&path).expect_err("there is none").to_string();
    assert!(absent.contains("control.sock: there is no such socket; is the host running"), "{absent}");
    std::fs::write(&path, "").unwrap();
    assert!(matches!(Client::connect(&path), Err(ClientError::NotListening { .. })));
    std::fs::remove_file(&path).unwrap();
    // Something that answers otherwise, and something that does not.
    let other = UnixListener::bind(&path).unwrap();
    let mut client = Client::connect(&path).unwrap();
    let (mut theirs, _) = other.accept().unwrap();
    theirs.write_all(b"220 hello\n").unwrap();
    let error = client.request(&Request::Status).expect_err("no answer of ours");
    assert!(error.to_string().contains("version 1, found \"220 hello\\n\""), "{error}");
    let error = client.within(Duration::from_millis(10)).request(&Request::Status).expect_err("no answer");
    assert!(matches!(error, ClientError::TimedOut { .. }), "{error}");
    let mut client = Client::connect(&path).unwrap();
    drop(other.accept().unwrap());
    assert!(matches!(client.request(&Request::Status), Err(ClientError::Closed { .. })));
    let path = PathBuf::from(OsString::from_vec(b"/x\xff.so".to_vec()));
    let mut client = Client::connect(directory.path().join("control.sock")).unwrap();
    let error = client.request(&Request::Swap { path }).expect_err("no JSON");
    assert_eq!((error.kind(), error.is_unreachable()), ("not-expressible", false));
}
