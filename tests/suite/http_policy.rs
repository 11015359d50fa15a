//! The example plugin that asks a policy service, against a real server: one test body, four ways. Linked code is the
//! yardstick: loaded, in any mode, the plugin asks the same, answers the same, and ends its requests as promptly.
//!
//! What is measured here is what the server sees. The host's executor is not tokio: nothing of the plugin may need one.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::executor::block_on;
use futures::future::{BoxFuture, Either, select};
use http_policy::HttpPolicyPlugin;
use mini_chat_plugin_loader::PluginHost;
use mini_chat_plugin_sdk::InProcessPlugin;
use mini_chat_plugin_sdk::plugin_api::MiniChatModelPolicyPluginClientV1;
use mini_chat_plugin_sdk::tokio_util::sync::CancellationToken;
use mini_chat_plugin_tests::probing::usage;
use mini_chat_plugin_tests::serving::{Fixture, Way, eventually, patient, status};
use policy_server::{Behaviour, Endpoint, PolicyServer, Script};
use serde_json::{Value, json};
use uuid::Uuid;

const NAME: &str = "http";

/// Licensed, by the server's script; nobody else is.
const USER: Uuid = Uuid::from_u128(0x018f_0000_0000_7000_8000_0000_0000_0002);

/// One per method of the trait.
const ENDPOINTS: [Endpoint; 5] =
    [Endpoint::Version, Endpoint::Snapshot, Endpoint::Limits, Endpoint::License, Endpoint::Usage];

/// How soon the server sees that a request was ended.
const PROMISED: Duration = Duration::from_millis(100);

/// Of so many tries one keeps to it: the machine may be busy with something else, but not each time.
const TRIES: u32 = 10;

/// Longer than anything takes on a busy machine, and less than any limit of host and plugin: none of these ends a request
/// before what is tested does.
const LONG: Duration = Duration::from_secs(30);

/// A host that serves the plugin in one way, and the server that this plugin asks.
struct Asking {
    way: Way,
    server: PolicyServer,
    host: PluginHost,
    policy: Arc<dyn MiniChatModelPolicyPluginClientV1>,
}

impl Asking {
    async fn start(way: Way) -> Self {
        let linked = InProcessPlugin::of::<HttpPolicyPlugin>();
        let plugin = Fixture { package: "http-policy-plugin", id: "acme.policy._.http.v1", linked };
        let server = PolicyServer::start(Script::default());
        let config = json!({
            "base_url": server.base_url(),
            "connect_timeout_ms": 120_000, "try_timeout_ms": 120_000, "call_timeout_ms": 120_000,
        });
        let mut entry = plugin.entry(NAME, way).with_config(config).expect("a configuration");
        entry.limits = patient(LONG * 2);
        let host = plugin.host(vec![(way, entry)]).await;
        let policy = host.model_policy(NAME);
        Self { way, server, host, policy }
    }

    /// What the method that asks this endpoint gives: its own future, and the answer as text.
    fn call(&self, endpoint: Endpoint, user: Uuid, version: u64, token: CancellationToken) -> BoxFuture<'_, String> {
        fn text<T: Debug>(answer: T) -> String {
            format!("{answer:?}")
        }
        match endpoint {
            Endpoint::Version => self.policy.get_current_policy_version(user, token).map(text).boxed(),
            Endpoint::Snapshot => self.policy.get_policy_snapshot(user, version, token).map(text).boxed(),
            Endpoint::Limits => self.policy.get_user_limits(user, version, token).map(text).boxed(),
            Endpoint::License => self.policy.check_user_license(user, token).map(text).boxed(),
            _ => self.policy.publish_usage(usage(user), token).map(text).boxed(),
        }
    }

    /// A call whose request the server has and will not answer, and the request's place in the server's record.
    async fn hanging(&self, endpoint: Endpoint, token: &CancellationToken) -> (BoxFuture<'_, String>, usize) {
        self.server.set(endpoint, Behaviour::Hang);
        let place = self.server.requests().len();
        let arrived = self.server.until(LONG, move |requests| requests.len() > place);
        match select(self.call(endpoint, USER, 7, token.clone()), arrived.boxed()).await {
            Either::Left((answer, _)) => panic!("{}: a request that hangs was answered: {answer}", self.way.name()),
            Either::Right((arrived, call)) => {
                assert!(arrived, "{}: no request within {LONG:?}", self.way.name());
                (call, place)
            }
        }
    }

    /// When the server noticed that the connection of this request was closed before there was an answer.
    async fn aborted(&self, place: usize) -> Instant {
        let seen = self.server.until(LONG, move |requests| requests[place].outcome.aborted().is_some()).await;
        let request = self.server.requests().swap_remove(place);
        assert!(seen, "{}: not aborted within {LONG:?}: {request:?}", self.way.name());
        request.outcome.aborted().expect("it has been seen")
    }

    /// The requests of calls so far, as `GET /v1/…`.
    fn asked(&self) -> Vec<String> {
        let requests = self.server.requests().into_iter();
        let of_calls = requests.filter(|request| request.endpoint != Some(Endpoint::Health));
        of_calls.map(|request| format!("{} {}", request.method, request.path)).collect()
    }
}

/// Runs a test body once per way; gives what it gave for each.
fn in_each_way<T>(body: impl AsyncFn(&Asking) -> T) -> Vec<(Way, T)> {
    let one = |way: Way| {
        block_on(async {
            let asking = Asking::start(way).await;
            let given = body(&asking).await;
            let report = asking.host.shutdown().await;
            assert!(report.is_clean(), "{report:?}");
            (way, given)
        })
    };
    Way::ALL.into_iter().map(one).collect()
}

/// Ends hanging requests of every method by `end`, which gives the moment before it did so. The server sees each of them
/// closed, and of each method one within [`PROMISED`].
fn ends_promptly(how: &str, end: impl AsyncFn(BoxFuture<'_, String>, CancellationToken) -> Instant) {
    in_each_way(async |asking| {
        for endpoint in ENDPOINTS {
            let mut best = LONG;
            for _ in 0..TRIES {
                let token = CancellationToken::new();
                let (call, place) = asking.hanging(endpoint, &token).await;
                let began = end(call, token).await;
                best = best.min(asking.aborted(place).await - began);
                if best < PROMISED {
                    break;
                }
            }
            println!("{}, {endpoint:?}: closed {best:?} after {how}", asking.way.name());
            assert!(best < PROMISED, "{}, {endpoint:?}: {best:?} after {how}", asking.way.name());
        }
        assert_eq!(status(&asking.host, NAME).in_flight, 0);
    });
}

#[test]
fn cancelling_the_token_closes_the_connection() {
    ends_promptly("the token was cancelled", async |call, token| {
        let began = Instant::now();
        token.cancel();
        let answer = call.await;
        assert!(answer.ends_with(": the caller cancelled\"))"), "{answer}");
        began
    });
}

#[test]
fn dropping_the_future_closes_the_connection() {
    ends_promptly("the future was dropped", async |call, token| {
        let began = Instant::now();
        drop(call);
        assert!(!token.is_cancelled(), "others share the token");
        began
    });
}

#[test]
fn created_and_dropped_unpolled_the_server_saw_nothing() {
    in_each_way(async |asking| {
        for endpoint in ENDPOINTS {
            drop(asking.call(endpoint, USER, 7, CancellationToken::new()));
        }
        // By the time this is answered the server has seen whatever those may have begun.
        let later = Uuid::from_u128(9);
        let answer = asking.call(Endpoint::Version, later, 7, CancellationToken::new()).await;
        assert!(answer.starts_with("Ok("), "{answer}");
        let expected = [format!("GET /v1/users/{later}/policy-version")];
        assert_eq!(asking.asked(), expected, "{}", asking.way.name());
        // And nothing came of them later, until the plugin's runtime and its connections were gone.
        assert!(asking.host.shutdown().await.is_clean());
        eventually("the plugin has gone", || asking.server.open_connections() == 0);
        assert_eq!(asking.asked(), expected, "{}", asking.way.name());
    });
}

/// How the service behaves, and how the answers of each method then begin, in the order of [`ENDPOINTS`].
fn services() -> Vec<(Behaviour, [&'static str; 5])> {
    let refused = "Err(Internal(";
    let fails = |status, answers| (Behaviour::fail(1, status), answers);
    vec![
        (Behaviour::Answer, ["Ok(", "Ok(", "Ok(", "Ok(", "Ok("]),
        fails(404, ["Err(NotFound)", "Err(NotFound)", "Err(NotFound)", "Ok(", "Err(Transient("]),
        fails(401, [refused, refused, refused, refused, "Err(Transient("]),
        fails(422, [refused, refused, refused, refused, "Err(Permanent("]),
        fails(500, [refused, refused, refused, refused, "Err(Transient("]),
        // Passes: asked again.
        fails(503, ["Ok(", "Ok(", "Ok(", "Ok(", "Ok("]),
        (Behaviour::body("no JSON"), [refused, refused, refused, refused, "Ok("]),
        (Behaviour::body(json!({"active": 1}).to_string()), [refused, refused, refused, refused, "Ok("]),
    ]
}

/// Everything that can be seen of a run, at either end.
#[derive(Debug, PartialEq)]
struct Seen {
    answers: Vec<String>,
    asked: Vec<String>,
    published: Vec<(String, Value)>,
}

#[test]
fn answers_and_requests_are_those_of_linked_code() {
    let seen = in_each_way(async |asking| {
        let mut answers = Vec::new();
        for (number, (behaviour, expected)) in (0..).zip(services()) {
            // A user each: snapshots are kept.
            for user in [USER, Uuid::from_u128(number)] {
                for (endpoint, expected) in ENDPOINTS.into_iter().zip(expected) {
                    asking.server.set(endpoint, behaviour.clone());
                    let answer = asking.call(endpoint, user, 7, CancellationToken::new()).await;
                    let is_kept = endpoint == Endpoint::Snapshot && user == USER && number > 0;
                    let expected = if is_kept { "Ok(" } else { expected };
                    let context = format!("{}, {behaviour:?}, {endpoint:?}", asking.way.name());
                    assert!(answer.starts_with(expected), "{context}: expected {expected}…, found {answer}");
                    answers.push(answer);
                    asking.server.set(endpoint, Behaviour::Answer);
                }
            }
        }
        for (endpoint, version) in [(Endpoint::Snapshot, 6), (Endpoint::Snapshot, 8), (Endpoint::Limits, u64::MAX)] {
            answers.push(asking.call(endpoint, USER, version, CancellationToken::new()).await);
        }
        assert_eq!(answers[answers.len() - 2..], ["Err(NotFound)", "Err(NotFound)"]);
        Seen { answers, asked: asking.asked(), published: asking.server.usage() }
    });
    let (_, linked) = &seen[0];
    assert_eq!(linked.published.len(), 1, "one event per key: {:?}", linked.published);
    println!("{} answers, {} requests, the same four ways", linked.answers.len(), linked.asked.len());
    for (way, seen) in &seen[1..] {
        assert_eq!(seen, linked, "{}", way.name());
    }
}
