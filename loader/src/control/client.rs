//! [`Client`]: asks a running host. Blocks; needs no runtime.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use serde_json::Value;

use super::PROTOCOL;
use super::socket::try_connect;
use super::wire::Request;
use crate::error::ClientError;

/// A connection to a host's control socket.
///
/// ```no_run
/// use mini_chat_plugin_loader::control::{Client, Request};
///
/// let mut client = Client::connect("/run/my-server/control.sock")?;
/// let status = client.request(&Request::Status)?;
/// println!("{}", status["plugins"]);
/// # Ok::<(), mini_chat_plugin_loader::error::ClientError>(())
/// ```
///
/// A host disconnects a client that has asked nothing for [`PATIENCE`](super::PATIENCE): connect when there is something
/// to ask.
#[derive(Debug)]
pub struct Client {
    path: PathBuf,
    stream: BufReader<UnixStream>,
    limit: Option<Duration>,
}

impl Client {
    /// Connects, without waiting. `path` is the socket of
    /// [`PluginHost::serve_control`](crate::PluginHost::serve_control), or of the program's `run --control`.
    ///
    /// # Errors
    ///
    /// [`ClientError`]: nobody listens there, or not for this user.
    pub fn connect(path: impl Into<PathBuf>) -> Result<Self, ClientError> {
        let path = path.into();
        let stream = match try_connect(&path) {
            Ok(socket) => UnixStream::from(socket),
            Err(Errno::NOENT | Errno::NOTDIR) => return Err(ClientError::NoSocket { path }),
            Err(Errno::CONNREFUSED) => return Err(ClientError::NotListening { path }),
            Err(Errno::ACCESS | Errno::PERM) => return Err(ClientError::Denied { path }),
            Err(Errno::AGAIN) => return Err(ClientError::Overrun { path }),
            Err(errno) => return Err(ClientError::Io { path, what: "connect", error: errno.into() }),
        };
        stream.set_nonblocking(false).map_err(failed(&path, "connect"))?;
        Ok(Self { path, stream: BufReader::new(stream), limit: None })
    }

    /// The same, which waits no longer than this for an answer; without it, as long as the host takes, which for a swap is
    /// as long as the plugin's constructor takes.
    #[must_use]
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Asks, and waits for the answer: what stands in `ok`.
    ///
    /// # Errors
    ///
    /// [`ClientError::Host`] if the host answers with an error; else the connection is of no further use.
    pub fn request(&mut self, request: &Request) -> Result<Value, ClientError> {
        let line = request.line()?;
        self.stream.get_ref().set_write_timeout(self.limit).map_err(failed(&self.path, "write"))?;
        // A host that does not want to hear it says why and closes: that answer is there to be read.
        let written = self.stream.get_ref().write_all(line.as_bytes());
        let mut line = Vec::new();
        let limit = self.limit;
        let deadline = limit.map(|limit| Instant::now() + limit);
        let end = read_line(&mut self.stream, &mut line, deadline).map_err(failed(&self.path, "read the answer"))?;
        match (end, limit, written) {
            (Read::Line, _, _) => answer(&self.path, &line),
            (Read::TimesUp, Some(limit), _) => Err(ClientError::TimedOut { path: self.path.clone(), limit }),
            (_, _, Err(error)) if !is_gone(&error) => Err(failed(&self.path, "write")(error)),
            _ => Err(ClientError::Closed { path: self.path.clone() }),
        }
    }

    /// How the host stands, and everything that happens from then on.
    ///
    /// # Errors
    ///
    /// As [`request`](Self::request).
    pub fn follow(mut self) -> Result<(Value, Following), ClientError> {
        let mut answer = self.request(&Request::Events)?;
        let status = answer["status"].take();
        let Self { path, stream, .. } = self;
        Ok((status, Following { path, stream, partial: Vec::new(), over: false }))
    }
}

/// The events of a host, as JSON: see [`HostEvent`](crate::HostEvent). The last is `{"event":"ended"}`, when the host has
/// ended.
#[derive(Debug)]
pub struct Following {
    path: PathBuf,
    stream: BufReader<UnixStream>,
    /// What came of the next event.
    partial: Vec<u8>,
    over: bool,
}

impl Following {
    /// The next event, waited for no longer than this; none if there is none by then.
    ///
    /// # Errors
    ///
    /// [`ClientError`]: the connection is lost, or the host has ended, which it had said before.
    pub fn next_within(&mut self, limit: Duration) -> Result<Option<Value>, ClientError> {
        self.read(Some(Instant::now() + limit))
    }

    fn read(&mut self, deadline: Option<Instant>) -> Result<Option<Value>, ClientError> {
        let end = read_line(&mut self.stream, &mut self.partial, deadline);
        match end.map_err(failed(&self.path, "read events"))? {
            Read::TimesUp => Ok(None),
            Read::End => Err(ClientError::Closed { path: self.path.clone() }),
            Read::Line => {
                let line = std::mem::take(&mut self.partial);
                serde_json::from_slice(&line).map(Some).map_err(|_| other(&self.path, &line))
            }
        }
    }
}

impl Iterator for Following {
    type Item = Result<Value, ClientError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let event = self.read(None).transpose()?;
        self.over = event.as_ref().map_or(true, |event| event["event"] == "ended");
        Some(event)
    }
}

fn failed<'a>(path: &'a Path, what: &'static str) -> impl FnOnce(io::Error) -> ClientError + use<'a> {
    move |error| ClientError::Io { path: path.to_owned(), what, error }
}

fn other(path: &Path, line: &[u8]) -> ClientError {
    let mut found: String = String::from_utf8_lossy(line).chars().take(80).collect();
    found = format!("{found:?}");
    ClientError::OtherProtocol { path: path.to_owned(), found }
}

fn answer(path: &Path, line: &[u8]) -> Result<Value, ClientError> {
    let mut answer: Value = serde_json::from_slice(line).map_err(|_| other(path, line))?;
    if answer["protocol"] != PROTOCOL {
        return Err(other(path, line));
    }
    if let Some(error) = answer.get("error") {
        let text = |key: &str| error[key].as_str().unwrap_or_default().to_owned();
        return Err(ClientError::Host { kind: text("kind"), message: text("message") });
    }
    answer.get_mut("ok").map(Value::take).ok_or_else(|| other(path, line))
}

/// Whether the other end has closed.
fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

enum Read {
    Line,
    End,
    TimesUp,
}

/// Reads on until the end of a line; what came before a deadline stays in `line`.
fn read_line(stream: &mut BufReader<UnixStream>, line: &mut Vec<u8>, deadline: Option<Instant>) -> io::Result<Read> {
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        if left.is_some_and(|left| left.is_zero()) && stream.buffer().is_empty() {
            return Ok(Read::TimesUp);
        }
        stream.get_ref().set_read_timeout(left.map(|left| left.max(Duration::from_millis(1))))?;
        match stream.read_until(b'\n', line) {
            Ok(_) if line.last() == Some(&b'\n') => return Ok(Read::Line),
            Ok(_) => return Ok(Read::End),
            Err(error) if is_gone(&error) => return Ok(Read::End),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
            Err(error) => return Err(error),
        }
    }
}
