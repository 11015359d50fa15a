//! [`Server`]: accepts connections, on a thread of its own.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::sync::watch;

use super::connection::Connection;
use super::{Bounds, MOST_CONNECTIONS, peer, wire};
use crate::handle::Handle;

/// How long connections get to send what they have, when the socket is dropped.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// How long to wait when no connection can be accepted, for want of descriptors.
const BREATH: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// The thread that accepts.
#[derive(Debug)]
pub(super) struct Server {
    connections: Arc<Connections>,
    stopping: watch::Sender<bool>,
    /// Closed to wake the thread.
    wake: UnixStream,
    /// Gives the threads of the connections.
    thread: JoinHandle<Vec<JoinHandle<()>>>,
}

/// The connections that there are.
#[derive(Debug, Default)]
struct Connections {
    open: Mutex<BTreeMap<u64, Arc<UnixStream>>>,
    fewer: Condvar,
}

/// One of them.
struct Entry {
    connections: Arc<Connections>,
    number: u64,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.connections.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.number);
        self.connections.fewer.notify_all();
    }
}

impl Server {
    pub(super) fn start(listener: UnixListener, handle: Handle, bounds: Bounds) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let (wake, woken) = UnixStream::pair()?;
        let (stopping, stop) = watch::channel(false);
        let connections = Arc::new(Connections::default());
        let of_thread = Arc::clone(&connections);
        let dispatch = tracing::dispatcher::get_default(Clone::clone);
        let accept = move || {
            let accepting = Accepting { connections: of_thread, stop, handle, bounds, threads: Vec::new(), last: 0 };
            tracing::dispatcher::with_default(&dispatch, || accepting.run(&listener, &woken))
        };
        let thread = thread::Builder::new().name("mini-chat-control".to_owned()).spawn(accept)?;
        Ok(Self { connections, stopping, wake, thread })
    }

    /// Ends all connections and threads.
    pub(super) fn stop(self) {
        let Self { connections, stopping, wake, thread } = self;
        stopping.send_replace(true);
        drop(wake);
        let threads = thread.join().unwrap_or_default();
        let mut open = connections.open.lock().unwrap_or_else(PoisonError::into_inner);
        // Nothing is asked any more; what is being answered may be answered.
        open.values().for_each(|stream| drop(stream.shutdown(Shutdown::Read)));
        let waited = connections.fewer.wait_timeout_while(open, LAST_WORDS, |open| !open.is_empty());
        open = waited.unwrap_or_else(PoisonError::into_inner).0;
        open.values().for_each(|stream| drop(stream.shutdown(Shutdown::Both)));
        drop(open);
        for thread in threads {
            // A panic in it has been reported.
            let _ = thread.join();
        }
    }
}

/// What the thread works with.
struct Accepting {
    connections: Arc<Connections>,
    stop: watch::Receiver<bool>,
    handle: Handle,
    bounds: Bounds,
    threads: Vec<JoinHandle<()>>,
    last: u64,
}

impl Accepting {
    fn run(mut self, listener: &UnixListener, woken: &UnixStream) -> Vec<JoinHandle<()>> {
        let mut complained = false;
        loop {
            let mut fds = [PollFd::new(listener, PollFlags::IN), PollFd::new(woken, PollFlags::IN)];
            // Interrupted or not: what is to be done is seen below.
            let _ = poll(&mut fds, None);
            if *self.stop.borrow() {
                return self.threads;
            }
            match listener.accept() {
                Ok((stream, _)) => self.accepted(stream),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => {
                    if !std::mem::replace(&mut complained, true) {
                        tracing::warn!("the control socket accepts no connection now: {error}");
                    }
                    let _ = poll(&mut [PollFd::new(woken, PollFlags::IN)], Some(&BREATH));
                }
            }
        }
    }

    /// A thread for it, or why not.
    fn accepted(&mut self, stream: UnixStream) {
        self.threads.retain(|thread| !thread.is_finished());
        let uid = match peer::uid(&stream) {
            Ok(uid) if peer::is_allowed(uid) => uid,
            Ok(uid) => {
                tracing::warn!(uid, "control: refused, this user is neither root nor the one that the host runs as");
                let message = format!("this host answers root and its own user only; you are user {uid}");
                return dismiss(&stream, "forbidden", &message);
            }
            Err(error) => return dismiss(&stream, "forbidden", &format!("it cannot be seen who you are: {error}")),
        };
        let stream = Arc::new(stream);
        self.last += 1;
        let entry = Entry { connections: Arc::clone(&self.connections), number: self.last };
        {
            let mut open = self.connections.open.lock().unwrap_or_else(PoisonError::into_inner);
            if open.len() >= MOST_CONNECTIONS {
                let message =
                    format!("{MOST_CONNECTIONS} connections are open already, which is all that there may be");
                drop(open);
                return dismiss(&stream, "busy", &message);
            }
            open.insert(self.last, Arc::clone(&stream));
        }
        let connection = Connection {
            stream: Arc::clone(&stream),
            handle: self.handle.clone(),
            stop: self.stop.clone(),
            uid,
            bounds: self.bounds,
        };
        let dispatch = tracing::dispatcher::get_default(Clone::clone);
        let serve = move || {
            tracing::dispatcher::with_default(&dispatch, || connection.serve());
            // The client sees the end when the other holders of the stream are gone, too.
            drop(entry);
        };
        match thread::Builder::new().name("mini-chat-control".to_owned()).spawn(serve) {
            Ok(thread) => self.threads.push(thread),
            Err(error) => dismiss(&stream, "busy", &format!("no thread can be started to answer: {error}")),
        }
    }
}

/// Says why, and ends the connection, without waiting.
fn dismiss(mut stream: &UnixStream, kind: &str, message: &str) {
    // One short line, the first: there is room for it.
    let _ = stream.set_nonblocking(true);
    let _ = stream.write_all(wire::error(kind, message).as_bytes());
    let _ = stream.shutdown(Shutdown::Both);
}
