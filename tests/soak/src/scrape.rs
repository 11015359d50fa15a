//! The metrics of the host under load, fetched over HTTP as Prometheus does: each documented one is there, and there are no
//! more series after a hundred swaps than after the first.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use mini_chat_plugin_loader::Probe;
use mini_chat_plugin_loader::method::Method;
use mini_chat_plugin_loader::metrics::{ALL, DEFAULT_PREFIX, OUTCOMES, PrometheusRecorder};
use serde::Serialize;

use crate::AnyError;
use crate::site::PATIENCE;

/// Families with a series per kind of fault, from its first on: these may come while faults are injected.
const BY_FAULT: [&str; 3] = ["refusals_total", "rollbacks_total", "file_refusals_total"];
/// How long one exchange may take.
const EXCHANGE: Duration = Duration::from_secs(30);

/// Where the metrics are fetched.
pub(crate) struct Endpoint(SocketAddr);

/// What the fetches of a leg found.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Scrapes {
    fetches: u64,
    /// Series once every method has been called, without those by kind of fault.
    series: BTreeSet<String>,
    /// Series that came later, or went.
    changed: BTreeSet<String>,
    /// Documented metrics that are not there.
    missing: BTreeSet<String>,
    /// Of them, those that the last fetch lacked.
    lacks: BTreeSet<String>,
}

impl Endpoint {
    /// Answers until the process ends.
    pub(crate) fn serve(recorder: PrometheusRecorder, host: Probe) -> Result<Self, AnyError> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        std::thread::Builder::new().name("soak-metrics".to_owned()).spawn(move || {
            for stream in listener.incoming().flatten() {
                host.collect_metrics();
                if let Err(error) = answer(stream, &recorder.render()) {
                    tracing::warn!("metrics were not fetched: {error}");
                }
            }
        })?;
        Ok(Self(address))
    }

    /// All series now, with their labels.
    fn fetch(&self) -> Result<BTreeSet<String>, AnyError> {
        let mut stream = TcpStream::connect_timeout(&self.0, EXCHANGE)?;
        stream.set_read_timeout(Some(EXCHANGE))?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: soak\r\nconnection: close\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let (head, body) = text.split_once("\r\n\r\n").ok_or("an answer without a head")?;
        if !head.starts_with("HTTP/1.1 200 ") {
            return Err(format!("metrics are answered with {head}").into());
        }
        let samples = body.lines().filter(|line| !line.starts_with('#'));
        Ok(samples.filter_map(|line| Some(line.rsplit_once(' ')?.0.to_owned())).collect())
    }
}

fn answer(mut stream: TcpStream, body: &str) -> std::io::Result<()> {
    stream.set_read_timeout(Some(EXCHANGE))?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && head.len() < 4096 {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.extend(byte);
    }
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain; version=0.0.4\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

impl Scrapes {
    /// Waits until every method has been called.
    pub(crate) fn begin(endpoint: &Endpoint) -> Result<Self, AnyError> {
        let limit = Instant::now() + PATIENCE;
        loop {
            let series = endpoint.fetch()?;
            let missing = missing(&series);
            let calls = series.iter().filter(|series| series.contains("_calls_total{")).count();
            if calls == Method::ALL.len() * OUTCOMES.len() && missing.iter().all(|name| is_by_fault(name)) {
                return Ok(Self { fetches: 1, series: lasting(&series), ..Self::default() });
            }
            if Instant::now() > limit {
                return Err(format!("metrics are missing after {PATIENCE:?}: {missing:?}; {series:#?}").into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Fetches once more.
    pub(crate) fn add(&mut self, endpoint: &Endpoint) -> Result<(), AnyError> {
        let series = endpoint.fetch()?;
        self.fetches += 1;
        let now = lasting(&series);
        self.changed.extend(now.symmetric_difference(&self.series).cloned());
        self.lacks = missing(&series).into_iter().collect();
        self.missing.extend(self.lacks.iter().cloned());
        Ok(())
    }

    /// What should not be. Without faults, nothing has been counted by fault.
    pub(crate) fn wrong(&self, with_faults: bool) -> usize {
        // Those by fault come with the faults.
        let missing =
            self.missing.iter().filter(|name| !is_by_fault(name) || (with_faults && self.lacks.contains(*name)));
        self.changed.len() + missing.count()
    }
}

/// Without those by kind of fault, and without the version and digest of the build that serves.
fn lasting(series: &BTreeSet<String>) -> BTreeSet<String> {
    let info = format!("{DEFAULT_PREFIX}_info");
    let lasting = series.iter().filter(|series| !is_by_fault(series));
    lasting.map(|series| if series.starts_with(&info) { info.clone() } else { series.clone() }).collect()
}

fn is_by_fault(series: &str) -> bool {
    BY_FAULT.iter().any(|name| series.starts_with(&format!("{DEFAULT_PREFIX}_{name}")))
}

/// Documented metrics without a series.
fn missing(series: &BTreeSet<String>) -> Vec<String> {
    let names = ALL.iter().map(|metric| metric.full_name(DEFAULT_PREFIX));
    names.filter(|name| !series.iter().any(|series| series.starts_with(&**name))).collect()
}
