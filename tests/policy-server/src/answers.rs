//! The endpoints.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, Request as HttpRequest, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use serde_json::{Value, json};

use crate::record::{Outcome, Request};
use crate::script::{Behaviour, Endpoint};
use crate::{Policy, Shared};

/// No event is larger.
const MAX_EVENT: usize = 1 << 20;

/// No batch is larger.
const MAX_BATCH: usize = 32 << 20;

pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/v1/users/{user}/policy-version", get(version))
        .route("/v1/users/{user}/policies/{version}", get(snapshot))
        .route("/v1/users/{user}/policies/{version}/limits", get(limits))
        .route("/v1/users/{user}/license", get(license))
        .route("/v1/usage", post(usage))
        .route("/v1/audit", post(audit))
        .route("/healthz", get(async || "ok"))
        .fallback(async || StatusCode::NOT_FOUND)
        .layer(from_fn_with_state(Arc::clone(&shared), watched))
        .with_state(shared)
}

/// A request under way. Dropped without an answer, it was aborted: axum drops the handler when the connection closes.
struct UnderWay {
    shared: Arc<Shared>,
    place: usize,
    answered: bool,
}

impl UnderWay {
    fn answered(mut self, status: StatusCode) {
        self.answered = true;
        self.shared.record.ended(self.place, Outcome::Answered(status.as_u16()));
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if !self.answered {
            self.shared.record.ended(self.place, Outcome::Aborted(Instant::now()));
        }
    }
}

/// Records every request, and treats it as the endpoint is told to.
async fn watched(State(shared): State<Arc<Shared>>, request: HttpRequest, next: Next) -> Response {
    let endpoint = endpoint(request.uri().path());
    let text = |value: &header::HeaderValue| value.to_str().unwrap_or_default().to_owned();
    let place = shared.record.arrived(Request {
        method: request.method().to_string(),
        path: request.uri().to_string(),
        endpoint,
        headers: request.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
        at: Instant::now(),
        outcome: Outcome::UnderWay,
    });
    let under_way = UnderWay { shared: Arc::clone(&shared), place, answered: false };
    let behaviour = endpoint.map(|endpoint| shared.behaviours.take(endpoint)).unwrap_or_default();
    let response = match behaviour {
        _ if !authorised(&shared, &request) => StatusCode::UNAUTHORIZED.into_response(),
        Behaviour::Answer => next.run(request).await,
        Behaviour::Delay(wait) => {
            tokio::time::sleep(wait).await;
            next.run(request).await
        }
        Behaviour::Hang => std::future::pending().await,
        Behaviour::Fail { status, retry_after, .. } => {
            let headers = retry_after.map(|value| ("retry-after", value)).into_iter().collect::<Vec<_>>();
            raw(status, &headers, Body::from("told to fail"))
        }
        Behaviour::Raw { status, headers, body } => raw(status, &headers, Body::from(body)),
        Behaviour::Chunked(bytes) => raw(200, &[], chunked(bytes, false)),
        Behaviour::Cut(_) => raw(200, &[], chunked(16, true)),
    };
    under_way.answered(response.status());
    response
}

fn endpoint(path: &str) -> Option<Endpoint> {
    match path.split('/').collect::<Vec<_>>()[..] {
        ["", "v1", "users", _, "policy-version"] => Some(Endpoint::Version),
        ["", "v1", "users", _, "policies", _] => Some(Endpoint::Snapshot),
        ["", "v1", "users", _, "policies", _, "limits"] => Some(Endpoint::Limits),
        ["", "v1", "users", _, "license"] => Some(Endpoint::License),
        ["", "v1", "usage"] => Some(Endpoint::Usage),
        ["", "v1", "audit"] => Some(Endpoint::Audit),
        ["", "healthz"] => Some(Endpoint::Health),
        _ => None,
    }
}

fn authorised(shared: &Shared, request: &HttpRequest) -> bool {
    let Some(token) = &shared.script.token else { return true };
    let given = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    request.uri().path() == "/healthz" || given == Some(&format!("Bearer {token}"))
}

fn raw(status: u16, headers: &[(&'static str, String)], body: Body) -> Response {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, value);
    }
    response.body(body).expect("a test gives a valid status and headers")
}

/// A body whose length is not told before; with `cut`, the connection is closed after it.
fn chunked(bytes: usize, cut: bool) -> Body {
    const CHUNK: usize = 64 * 1024;
    let whole = (0..bytes).step_by(CHUNK).map(move |at| Ok(Bytes::from(vec![b' '; CHUNK.min(bytes - at)])));
    let end = cut.then(|| Err(std::io::Error::other("told to cut the connection")));
    Body::from_stream(futures_util::stream::iter(whole.chain(end)))
}

type Shares = State<Arc<Shared>>;

async fn version(State(shared): Shares) -> Response {
    let script = &shared.script;
    answer(&json!({"policy_version": script.policy_version, "generated_at": script.generated_at}))
}

async fn snapshot(State(shared): Shares, Path((_, version)): Path<(String, u64)>) -> Response {
    let Some(Policy { model_catalog, kill_switches, .. }) = shared.script.policies.get(&version) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    answer(&json!({"policy_version": version, "model_catalog": model_catalog, "kill_switches": kill_switches}))
}

async fn limits(State(shared): Shares, Path((user, version)): Path<(String, u64)>) -> Response {
    let Some(Policy { standard, premium, .. }) = shared.script.policies.get(&version) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    answer(&json!({"user_id": user, "policy_version": version, "standard": standard, "premium": premium}))
}

async fn license(State(shared): Shares, Path(user): Path<String>) -> Response {
    if !shared.script.licensed.contains(&user) {
        return StatusCode::NOT_FOUND.into_response();
    }
    answer(&json!({"active": true}))
}

async fn usage(State(shared): Shares, headers: HeaderMap, body: Body) -> StatusCode {
    let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok());
    let body = to_bytes(body, MAX_EVENT).await;
    match (key, body.ok().and_then(|body| serde_json::from_slice::<Value>(&body).ok())) {
        (Some(key), Some(event)) => {
            shared.record.event(key.to_owned(), event);
            StatusCode::ACCEPTED
        }
        _ => StatusCode::BAD_REQUEST,
    }
}

async fn audit(State(shared): Shares, headers: HeaderMap, body: Body) -> StatusCode {
    let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok());
    match (key, to_bytes(body, MAX_BATCH).await) {
        (Some(key), Ok(body)) => {
            shared.record.batch(key.to_owned(), body.into());
            StatusCode::OK
        }
        _ => StatusCode::BAD_REQUEST,
    }
}

fn answer(value: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}
