//! A policy service to test against: it answers from a [`Script`], can be told to misbehave, and keeps a record of what
//! it saw, which is the other end's view of cancellation: a request whose connection was closed before its answer is
//! [`Outcome::Aborted`].
//!
//! | request | answer |
//! | --- | --- |
//! | `GET /v1/users/{user}/policy-version` | `{"policy_version": 7, "generated_at": "…"}` |
//! | `GET /v1/users/{user}/policies/{version}` | `{"policy_version": 7, "model_catalog": […], "kill_switches": {…}}` |
//! | `GET /v1/users/{user}/policies/{version}/limits` | `{"user_id": "…", "policy_version": 7, "standard": {…}, "premium": {…}}` |
//! | `GET /v1/users/{user}/license` | `{"active": true}` |
//! | `POST /v1/usage`, a usage event, `Idempotency-Key` | 202; one event per key is kept |
//! | `POST /v1/audit`, anything, `Idempotency-Key` | 200; each body is kept |
//! | `GET /healthz` | 200 |
//!
//! The server has a thread and a runtime of its own, so that nothing a test does to its runtime reaches it, and speaks
//! plain HTTP/1.1 or TLS on a free port of 127.0.0.1. It ends when it is dropped.
//!
//! ```
//! use policy_server::{Behaviour, Endpoint, PolicyServer, Script};
//! let server = PolicyServer::start(Script::default());
//! server.set(Endpoint::License, Behaviour::fail(2, 503));
//! assert!(server.base_url().starts_with("http://127.0.0.1:"));
//! assert_eq!(server.requests().len(), 0);
//! ```

mod answers;
mod listener;
mod record;
mod script;

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

pub use record::{Outcome, Request};
pub use script::{Behaviour, Endpoint, Policy, Script};

use listener::{Counted, Tls};
use record::Record;
use script::Behaviours;

/// What the server's tasks and its owner share.
struct Shared {
    script: Script,
    behaviours: Behaviours,
    record: Record,
}

/// A running server. Dropping it closes its connections and ends its thread.
pub struct PolicyServer {
    /// Where it listens.
    pub addr: SocketAddr,
    ca_pem: Option<String>,
    shared: Arc<Shared>,
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl PolicyServer {
    /// Starts a server that speaks plain HTTP.
    ///
    /// # Panics
    ///
    /// If the system gives no port or thread.
    #[must_use]
    pub fn start(script: Script) -> Self {
        Self::start_on(script, None)
    }

    /// Starts a server that speaks TLS, with a certificate for `localhost` that is made now; see
    /// [`ca_pem`](Self::ca_pem).
    ///
    /// # Panics
    ///
    /// If the system gives no port or thread.
    #[must_use]
    pub fn start_tls(script: Script) -> Self {
        Self::start_on(script, Some(Tls::new()))
    }

    fn start_on(script: Script, tls: Option<Tls>) -> Self {
        let shared = Arc::new(Shared { script, behaviours: Behaviours::default(), record: Record::default() });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("a non-blocking socket");
        let addr = listener.local_addr().expect("the port");
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let ca_pem = tls.as_ref().map(|tls| tls.ca_pem.clone());
        let serving = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("policy-server".to_owned())
            .spawn(move || {
                runtime.block_on(async move {
                    let listener = tokio::net::TcpListener::from_std(listener).expect("a socket of this runtime");
                    let listener = Counted::new(listener, tls, Arc::clone(&serving));
                    let serve = axum::serve(listener, answers::router(serving));
                    tokio::select! {
                        result = serve => result.expect("axum serves until it is dropped"),
                        _ = stopped => {}
                    }
                });
                // Drops the runtime, and with it every connection and hanging answer.
            })
            .expect("a thread");
        Self { addr, ca_pem, shared, handle, stop: Some(stop), thread: Some(thread) }
    }

    /// The URL that a client is configured with: without a slash at the end.
    #[must_use]
    pub fn base_url(&self) -> String {
        match self.ca_pem {
            None => format!("http://{}", self.addr),
            Some(_) => format!("https://localhost:{}", self.addr.port()),
        }
    }

    /// The certificate that a client must trust, in PEM. None: the server speaks plain HTTP.
    #[must_use]
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca_pem.as_deref()
    }

    /// From now on this endpoint behaves like that.
    pub fn set(&self, endpoint: Endpoint, behaviour: Behaviour) {
        self.shared.behaviours.set(endpoint, behaviour);
    }

    /// Every request so far, in the order of their arrival.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.shared.record.requests()
    }

    /// The requests of one endpoint.
    #[must_use]
    pub fn requests_to(&self, endpoint: Endpoint) -> Vec<Request> {
        self.requests().into_iter().filter(|request| request.endpoint == Some(endpoint)).collect()
    }

    /// Usage events by idempotency key, each key once.
    #[must_use]
    pub fn usage(&self) -> Vec<(String, Value)> {
        self.shared.record.usage()
    }

    /// Accepted batches with their idempotency keys and bodies as they came, in order.
    #[must_use]
    pub fn batches(&self) -> Vec<(String, Vec<u8>)> {
        self.shared.record.batches()
    }

    /// Connections that are open now.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        self.shared.record.connections().0
    }

    /// Connections accepted so far.
    #[must_use]
    pub fn accepted_connections(&self) -> usize {
        self.shared.record.connections().1
    }

    /// Waits until `done` is true of the requests; false if it is not within `limit`. The waiting is the server's, so
    /// that any executor can await it.
    pub async fn until(&self, limit: Duration, done: impl Fn(&[Request]) -> bool + Send + 'static) -> bool {
        let shared = Arc::clone(&self.shared);
        let waiting = self.handle.spawn(async move { tokio::time::timeout(limit, shared.record.until(done)).await });
        matches!(waiting.await, Ok(Ok(())))
    }
}

impl Drop for PolicyServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the server has been printed; a drop is no place for a second one.
            let _ = thread.join();
        }
    }
}
