//! [`Connection`]: one client's requests, one after the other; or the events that it follows.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use futures_executor::block_on;
use futures_util::future::{Either, select};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::watch;

use super::wire::Request;
use super::{Bounds, LONGEST_REQUEST, wire};
use crate::error::SwapError;
use crate::events::HostEvent;
use crate::handle::Handle;

/// One client.
pub(super) struct Connection {
    pub(super) stream: Arc<UnixStream>,
    pub(super) handle: Handle,
    /// True when the socket is being dropped.
    pub(super) stop: watch::Receiver<bool>,
    pub(super) uid: u32,
    pub(super) bounds: Bounds,
}

/// What came instead of a request, or as one.
enum Line {
    Text(Vec<u8>),
    /// The client has gone.
    End,
    TooLong,
    TimedOut,
}

impl Connection {
    /// Until the client goes, or the socket is dropped.
    pub(super) fn serve(mut self) {
        // Both fail for a zero alone.
        let _ = self.stream.set_write_timeout(Some(self.bounds.stalled));
        let mut unread = Vec::new();
        loop {
            let line = match next_line(&self.stream, &mut unread, self.bounds.patience) {
                Ok(Line::Text(line)) => line,
                Ok(Line::TooLong) => {
                    let text = format!("expected a request of at most {LONGEST_REQUEST} bytes in one line");
                    return self.last(&wire::error("too-long", &text));
                }
                Ok(Line::TimedOut) => {
                    let text = format!("no request within {:?}: connect again to ask", self.bounds.patience);
                    return self.last(&wire::error("timeout", &text));
                }
                Ok(Line::End) | Err(_) => return,
            };
            let answer = match Request::parse(&line) {
                Ok(Request::Events) => return self.follow(),
                Ok(request) => match self.answer(request) {
                    Some(answer) => answer,
                    None => return,
                },
                Err((kind, text)) => wire::error(kind, &text),
            };
            if write(&self.stream, &answer).is_err() {
                return;
            }
        }
    }

    /// None if the socket is dropped meanwhile.
    fn answer(&mut self, request: Request) -> Option<String> {
        let (command, subject) = (request.command(), request.subject());
        if request.is_an_order() {
            tracing::info!(uid = self.uid, "control: {command} {subject}");
        }
        let answered = pin!(answer(&self.handle, request));
        let stopped = pin!(self.stop.wait_for(|stop| *stop));
        match block_on(select(answered, stopped)) {
            Either::Left((answer, _)) => Some(answer),
            Either::Right(_) => None,
        }
    }

    /// Events, until the client goes, the host has ended, or the socket is dropped.
    fn follow(mut self) {
        // Before the status: what happens in between is told.
        let events = self.handle.events();
        if self.handle.has_ended() {
            return self.last(&ended());
        }
        let status = self.handle.status();
        if write(&self.stream, &wire::ok(&json!({ "following": true, "status": json_of(&status) }))).is_err() {
            return;
        }
        let (gone, leaves) = tokio::sync::oneshot::channel();
        let stream = Arc::clone(&self.stream);
        let watch = move || {
            until_hung_up(&stream);
            let _ = gone.send(());
        };
        // Without it a client that goes would be noticed at the next event only, and count as connected until then.
        let watcher = match thread::Builder::new().name("mini-chat-control".to_owned()).spawn(watch) {
            Ok(watcher) => watcher,
            Err(error) => return tracing::warn!("no thread to see when a client goes: {error}"),
        };
        let over = async {
            let stopped = pin!(self.stop.wait_for(|stop| *stop));
            select(pin!(self.handle.ended()), select(pin!(leaves), stopped)).await;
        };
        let told = tell(events, &self.stream, over);
        if told.is_ok() && self.handle.has_ended() {
            let _ = write(&self.stream, &format!("{}\n", json!({ "event": "ended" })));
        }
        let _ = self.stream.shutdown(Shutdown::Both);
        // It has seen that.
        let _ = watcher.join();
    }

    fn last(&self, text: &str) {
        let _ = write(&self.stream, text);
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

/// Writes events until `over`, and then those that happened before.
fn tell(mut events: Receiver<HostEvent>, stream: &UnixStream, over: impl Future<Output = ()>) -> io::Result<()> {
    let mut over = pin!(over);
    while let Either::Left((event, _)) = block_on(select(pin!(events.recv()), over.as_mut())) {
        match event {
            Ok(event) => write(stream, &line(&event))?,
            Err(RecvError::Lagged(missed)) => write(stream, &missing(missed))?,
            Err(RecvError::Closed) => return Ok(()),
        }
    }
    loop {
        match events.try_recv() {
            Ok(event) => write(stream, &line(&event))?,
            Err(TryRecvError::Lagged(missed)) => write(stream, &missing(missed))?,
            Err(TryRecvError::Empty | TryRecvError::Closed) => return Ok(()),
        }
    }
}

fn line(event: &HostEvent) -> String {
    format!("{}\n", json_of(event))
}

fn missing(events: u64) -> String {
    format!("{}\n", json!({ "event": "missed", "events": events }))
}

/// A path that is not UTF-8 cannot be said; that there is something can.
fn json_of(value: &impl Serialize) -> Value {
    serde_json::to_value(value)
        .unwrap_or_else(|error| json!({ "event": "not_expressible", "message": error.to_string() }))
}

fn ended() -> String {
    let ended = SwapError::ShuttingDown;
    wire::error(ended.kind(), "the host has ended")
}

async fn answer(handle: &Handle, request: Request) -> String {
    if handle.has_ended() {
        return ended();
    }
    match request {
        Request::Status => wire::ok(&handle.status()),
        Request::Swap { path } => outcome(handle.swap(path).await),
        Request::Reload { name } => outcome(handle.reload(&name).await),
        Request::Rollback { name } => outcome(handle.rollback(&name).await),
        Request::Unpin { name } => outcome(handle.unpin(&name).await),
        Request::Unquarantine { name } => outcome(handle.unquarantine(&name).await),
        Request::Rescan => {
            handle.rescan();
            wire::ok(&json!({ "rescan": true }))
        }
        Request::Events => unreachable!("events are not answered, they are followed"),
    }
}

fn outcome(outcome: Result<impl Serialize, SwapError>) -> String {
    match outcome {
        Ok(value) => wire::ok(&value),
        Err(error) => wire::error(error.kind(), &error.to_string()),
    }
}

fn write(mut stream: &UnixStream, text: &str) -> io::Result<()> {
    stream.write_all(text.as_bytes())
}

/// The next line. `unread` is what was read beyond the last one.
fn next_line(mut stream: &UnixStream, unread: &mut Vec<u8>, patience: Duration) -> io::Result<Line> {
    let deadline = Instant::now() + patience;
    let mut chunk = [0; 4096];
    let mut looked = 0;
    loop {
        if let Some(end) = unread[looked..].iter().position(|byte| *byte == b'\n').map(|end| looked + end) {
            let rest = unread.split_off(end + 1);
            let mut line = std::mem::replace(unread, rest);
            line.pop();
            return Ok(if line.len() > LONGEST_REQUEST { Line::TooLong } else { Line::Text(line) });
        }
        looked = unread.len();
        if looked > LONGEST_REQUEST {
            return Ok(Line::TooLong);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(Line::TimedOut);
        }
        stream.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
        match stream.read(&mut chunk) {
            // A last line without an end is one.
            Ok(0) if unread.is_empty() => return Ok(Line::End),
            Ok(0) => return Ok(Line::Text(std::mem::take(unread))),
            Ok(read) => unread.extend_from_slice(&chunk[..read]),
            Err(error) => match error.kind() {
                io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {}
                _ => return Err(error),
            },
        }
    }
}

/// Waits until the connection is closed, at either end. That the client has closed its writing half only (as `nc` does at
/// the end of its input) is not that.
fn until_hung_up(stream: &UnixStream) {
    loop {
        let mut fds = [PollFd::new(stream, PollFlags::empty())];
        match poll(&mut fds, None) {
            Err(Errno::INTR) => {}
            Err(_) => return,
            Ok(_) if fds[0].revents().is_empty() => {}
            Ok(_) => return,
        }
    }
}
