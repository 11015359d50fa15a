//! HTTP as simple as it gets: one request, one answer, the end of the connection.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Longer than any answer takes.
const PATIENCE: Duration = Duration::from_secs(120);

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The status line and the headers, in lower case.
    pub head: String,
    /// The body.
    pub body: String,
}

/// A connection that waits patiently.
///
/// # Panics
///
/// If there is nobody.
#[must_use]
pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, PATIENCE).expect("somebody listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
    stream
}

/// Asks for `path`.
///
/// # Panics
///
/// If there is no answer.
#[must_use]
pub fn get(address: SocketAddr, path: &str) -> Answer {
    request(address, &format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n"))
}

/// Sends these bytes.
///
/// # Panics
///
/// If there is no answer.
#[must_use]
pub fn request(address: SocketAddr, bytes: &str) -> Answer {
    let mut stream = connect(address);
    stream.write_all(bytes.as_bytes()).expect("it is taken");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer, and the end");
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head: {text:?}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.unwrap_or_else(|| panic!("no status: {head:?}"));
    Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
}
