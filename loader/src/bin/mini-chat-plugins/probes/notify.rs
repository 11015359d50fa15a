//! What systemd is told: `sd_notify(3)`, over the socket that `NOTIFY_SOCKET` names.
//!
//! By hand because the crate for it (sd-notify) knows no abstract socket (`@…`) and waits without limit where nobody reads.
//!
//! | when | what |
//! | --- | --- |
//! | the host has started, with whatever serves | `READY=1`, `STATUS=serving N of M plugins` |
//! | something happens | `STATUS=…` |
//! | SIGHUP | `RELOADING=1`, `MONOTONIC_USEC=…`; `READY=1` once the look at the files has begun |
//! | the first signal | `STOPPING=1`; from then on `EXTEND_TIMEOUT_USEC=…` while the host works on its end |
//! | at half of `WATCHDOG_USEC` | `WATCHDOG=1`, while the host shows that it is at work |

use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::Duration;

use mini_chat_plugin_loader::Probe;
use mini_chat_plugin_sdk::call::monotonic_ns;
use tokio::runtime::Handle;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::Stage;

/// How long systemd may take to take what it is told.
const SEND: Duration = Duration::from_secs(2);
/// How often a host that works on its end asks for more time, and for how much.
const EXTEND: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(15));

/// Why a slot is empty on purpose: it is not among those that are to serve.
const UNLISTED: [&str; 3] = ["unknown-name", "disabled", "removed"];

/// The way to systemd.
#[derive(Debug)]
pub(super) struct Notifier {
    socket: UnixDatagram,
    address: SocketAddr,
    watchdog: Option<Duration>,
}

impl Notifier {
    /// As the environment says; none if systemd does not ask for it.
    pub(super) fn from_environment() -> Option<Self> {
        let name = std::env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty())?;
        let made = address(&name).and_then(|address| {
            let socket = UnixDatagram::unbound()?;
            socket.set_write_timeout(Some(SEND))?;
            Ok(Self { socket, address, watchdog: watchdog() })
        });
        made.inspect_err(|error| tracing::warn!("NOTIFY_SOCKET {}: {error}; systemd is told nothing", name.display()))
            .ok()
    }

    /// Each part is a line.
    fn send(&self, lines: &[&str]) {
        let message = lines.join("\n");
        loop {
            match self.socket.send_to_addr(message.as_bytes(), &self.address) {
                // A signal of ours: a socket with a limit is not tried again by itself.
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return tracing::warn!("systemd could not be told {}: {error}", lines.join(" ")),
                Ok(_) => return,
            }
        }
    }

    /// The host serves what it can. Gives what was said of that.
    pub(super) fn ready(&self, host: &Probe) -> String {
        let status = status(host);
        self.send(&["READY=1", &status]);
        status
    }

    pub(super) fn reloading(&self) {
        self.send(&["RELOADING=1", &format!("MONOTONIC_USEC={}", monotonic_ns() / 1000)]);
    }

    pub(super) fn stopping(&self) {
        self.send(&["STOPPING=1", "STATUS=ending"]);
    }
}

/// A path, or, after `@`, a name in the abstract namespace.
fn address(name: &OsString) -> std::io::Result<SocketAddr> {
    match name.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        [b'/', ..] => SocketAddr::from_pathname(name),
        _ => Err(std::io::Error::other("expected an absolute path, or a name after `@`")),
    }
}

/// How often this process is to show that it is at work.
fn watchdog() -> Option<Duration> {
    let number = |name| std::env::var(name).ok()?.parse::<u64>().ok();
    let whose = number("WATCHDOG_PID");
    if whose.is_some_and(|pid| pid != u64::from(std::process::id())) {
        return None;
    }
    number("WATCHDOG_USEC").filter(|usec| *usec > 0).map(Duration::from_micros)
}

/// `STATUS=` with how things stand, on one line.
fn status(host: &Probe) -> String {
    let plugins = host.status().plugins;
    let listed = |reason: &Option<(&str, String)>| reason.as_ref().is_none_or(|(kind, _)| !UNLISTED.contains(kind));
    let of = plugins.iter().filter(|plugin| listed(&plugin.reason)).count();
    let serving = plugins.iter().filter(|plugin| plugin.serving).count();
    let missing = host.readiness().missing.into_iter().map(|(plugin, _)| plugin).collect::<Vec<_>>().join(", ");
    let missing = if missing.is_empty() { missing } else { format!("; required and not serving: {missing}") };
    format!("STATUS=serving {serving} of {of} plugins{missing}")
}

/// Tells what changes from now on; `told`: the status so far.
pub(super) fn keep_telling(runtime: &Handle, notifier: &Arc<Notifier>, stage: &Arc<Stage>, host: Probe, told: String) {
    if let Some(limit) = notifier.watchdog {
        drop(runtime.spawn(feed_watchdog(Arc::clone(notifier), Arc::clone(stage), limit / 2)));
    }
    drop(runtime.spawn(extend_timeout(Arc::clone(notifier), Arc::clone(stage))));
    drop(runtime.spawn(tell_status(Arc::clone(notifier), Arc::clone(stage), host, told)));
}

async fn feed_watchdog(notifier: Arc<Notifier>, stage: Arc<Stage>, period: Duration) {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match timeout(period, stage.is_alive()).await {
            Ok(true) => notifier.send(&["WATCHDOG=1"]),
            Ok(false) => {}
            Err(_) => tracing::error!(
                "the host has not shown a sign of life within {period:?}: systemd's watchdog is not fed"
            ),
        }
    }
}

async fn extend_timeout(notifier: Arc<Notifier>, stage: Arc<Stage>) {
    let (period, by) = EXTEND;
    loop {
        sleep(period).await;
        if stage.is_ending() && timeout(period, stage.is_alive()).await == Ok(true) {
            notifier.send(&[&format!("EXTEND_TIMEOUT_USEC={}", by.as_micros())]);
        }
    }
}

async fn tell_status(notifier: Arc<Notifier>, stage: Arc<Stage>, host: Probe, mut told: String) {
    let mut events = host.events();
    loop {
        match events.recv().await {
            Err(RecvError::Closed) => return,
            Ok(_) | Err(RecvError::Lagged(_)) if stage.is_ending() => return,
            Ok(_) | Err(RecvError::Lagged(_)) => {}
        }
        let now = status(&host);
        if now != told {
            notifier.send(&[&now]);
            told = now;
        }
    }
}
