//! The file: its mode, what it replaces, when it goes.

use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;

use serde_json::json;

use super::Host;
use crate::control::ControlSocket;
use crate::error::{ClientError, ControlError};

#[test]
fn only_its_owner_may_use_it_and_it_goes_with_the_host() {
    let host = Host::new();
    let socket = host.serve();
    let meta = std::fs::symlink_metadata(socket.path()).unwrap();
    assert!(meta.file_type().is_socket());
    // Nothing sets it after the socket was bound, so it was this from the first moment.
    assert_eq!(meta.permissions().mode() & 0o7777, 0o600);
    assert_eq!(host.names(), ["control.sock"], "the private name is gone");
    let status = host.ask().expect("a status");
    assert_eq!((&status["host"]["name"], &status["host"]["pid"]), (&json!("tests"), &json!(std::process::id())));
    drop(socket);
    assert!(host.names().is_empty());
    assert!(matches!(host.ask(), Err(ClientError::NoSocket { .. })));
}

#[test]
fn a_socket_that_was_left_behind_is_replaced_and_a_live_one_is_not() {
    let host = Host::new();
    drop(UnixListener::bind(host.path()).unwrap());
    assert!(matches!(host.ask(), Err(ClientError::NotListening { .. })));
    let socket = host.serve();
    assert!(host.ask().is_ok());
    let refusal = host.refusal();
    assert!(matches!(refusal, ControlError::InUse { .. }), "{refusal}");
    assert!(refusal.to_string().contains("control.sock: a running process listens there already"), "{refusal}");
    assert!(host.ask().is_ok(), "it was only looked at");
    assert_eq!(host.names(), ["control.sock"]);
    drop(socket);
}

#[test]
fn what_is_no_socket_is_left_alone() {
    let host = Host::new();
    let refused = |found: &str| {
        let refusal = host.refusal().to_string();
        assert!(refusal.contains(found) && refusal.contains("choose another path"), "{refusal}");
        assert_eq!(host.names(), ["control.sock"], "{found}");
    };
    std::fs::write(host.path(), "mine").unwrap();
    refused("found a regular file");
    assert_eq!(std::fs::read(host.path()).unwrap(), b"mine");
    std::fs::remove_file(host.path()).unwrap();
    std::fs::create_dir(host.path()).unwrap();
    refused("found a directory");
    std::fs::remove_dir(host.path()).unwrap();
    symlink("elsewhere", host.path()).unwrap();
    refused("found a symbolic link");
    std::fs::remove_file(host.path()).unwrap();
    // Of another kind, and alive.
    let other = UnixDatagram::bind(host.path()).unwrap();
    assert!(matches!(host.refusal(), ControlError::Io { what: "see whether a host listens there", .. }));
    drop(other);
}

#[test]
fn a_path_that_cannot_be_one_is_an_error_that_says_why() {
    let host = Host::new();
    let serve =
        |path: &Path| ControlSocket::serve(path, host.handle.clone()).expect_err("it cannot be had").to_string();
    let long = serve(&host.directory.path().join("x".repeat(120)));
    assert!(long.contains("expected a path of at most 107 bytes, found "), "{long}");
    let absent = serve(&host.directory.path().join("absent/control.sock"));
    assert!(absent.contains("cannot make it in its directory: No such file"), "{absent}");
}

#[test]
fn a_socket_that_somebody_else_has_put_there_is_left() {
    let host = Host::new();
    let socket = host.serve();
    std::fs::remove_file(host.path()).unwrap();
    let other = UnixListener::bind(host.path()).unwrap();
    drop(socket);
    assert_eq!(host.names(), ["control.sock"]);
    drop(other);
}
