//! `/healthz`, `/readyz` and `/metrics`.
//!
//! | path | 200 | 503 |
//! | --- | --- | --- |
//! | `/healthz` | the host has shown within 5 s that it is at work | it has not, or plugins are being started |
//! | `/readyz` | every required plugin serves | one does not, plugins are being started, or the host ends |
//! | `/metrics` | always, in the text format of Prometheus | – |
//!
//! Whoever connects gets one answer, and little time and room for it, so that a slow client takes nothing from others.

use std::convert::Infallible;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use mini_chat_plugin_loader::metrics::PrometheusRecorder;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};

use super::Stage;

/// How long the host may take to show that it is at work.
const ALIVE: Duration = Duration::from_secs(5);
/// How long a client may take to say what it wants.
const HEADERS: Duration = Duration::from_secs(5);
/// How long a connection may last.
const CONNECTION: Duration = Duration::from_secs(20);
/// Connections at a time; more wait.
const CONNECTIONS: usize = 64;
/// Headers of a request.
const MAX_HEADERS: usize = 64;
/// Bytes of a request's head.
const MAX_BYTES: usize = 16 << 10;

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Serves until the program ends.
pub(super) async fn serve(listener: TcpListener, recorder: PrometheusRecorder, stage: Arc<Stage>) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!("probes are not answered: {error}"),
    };
    let seats = Arc::new(Semaphore::new(CONNECTIONS));
    while let Ok(seat) = Arc::clone(&seats).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(connection(stream, recorder.clone(), Arc::clone(&stage), seat));
            }
            Err(error) => {
                // Such as no descriptor left: that may pass.
                tracing::warn!("a probe could not be accepted: {error}");
                sleep(Duration::from_millis(200)).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, recorder: PrometheusRecorder, stage: Arc<Stage>, _seat: OwnedSemaphorePermit) {
    let service = service_fn(|request: Request<Incoming>| {
        let (recorder, stage) = (&recorder, &stage);
        async move { Ok::<_, Infallible>(answer(&request, recorder, stage).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS)
        .keep_alive(false)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    if let Ok(Err(error)) = timeout(CONNECTION, connection).await {
        tracing::debug!("a probe was not answered: {error}");
    }
}

async fn answer<B>(request: &Request<B>, recorder: &PrometheusRecorder, stage: &Stage) -> Response<Full<Bytes>> {
    let path = request.uri().path();
    if !["/healthz", "/readyz", "/metrics"].contains(&path) {
        return respond(StatusCode::NOT_FOUND, TEXT, "there are /healthz, /readyz and /metrics\n");
    }
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        let mut response = respond(StatusCode::METHOD_NOT_ALLOWED, TEXT, "expected GET or HEAD\n");
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match path {
        "/healthz" => health(stage).await,
        "/readyz" => readiness(stage),
        _ => {
            if let Some(host) = stage.host.get() {
                host.collect_metrics();
            }
            respond(StatusCode::OK, PROMETHEUS, recorder.render())
        }
    }
}

async fn health(stage: &Stage) -> Response<Full<Bytes>> {
    if stage.host.get().is_none() {
        return respond(StatusCode::SERVICE_UNAVAILABLE, TEXT, "starting\n");
    }
    match timeout(ALIVE, stage.is_alive()).await {
        Ok(true) => respond(StatusCode::OK, TEXT, "alive\n"),
        Ok(false) => respond(StatusCode::SERVICE_UNAVAILABLE, TEXT, "ended\n"),
        Err(_) => respond(StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("no sign of life within {ALIVE:?}\n")),
    }
}

fn readiness(stage: &Stage) -> Response<Full<Bytes>> {
    let (ready, body) = match stage.host.get() {
        _ if stage.is_ending() => (false, json!({ "ready": false, "ending": true })),
        None => (false, json!({ "ready": false, "starting": true })),
        Some(host) => {
            let readiness = host.readiness();
            let missing = readiness.missing.iter().map(|(plugin, why)| json!({ "plugin": plugin, "why": why }));
            let missing: Vec<Value> = missing.collect();
            (readiness.ready, json!({ "ready": readiness.ready, "missing": missing }))
        }
    };
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    respond(status, JSON, format!("{body}\n"))
}

fn respond(status: StatusCode, content: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
