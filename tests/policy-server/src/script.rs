//! What the server answers, and how it can be told to misbehave.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

/// What the server answers. JSON is kept as it is written, so that the server knows nothing of the plugin's types.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// Number of the current version, for every user.
    pub policy_version: u64,
    /// When it was made, in RFC 3339.
    pub generated_at: String,
    /// The versions that are answered; 404 for any other.
    pub policies: BTreeMap<u64, Policy>,
    /// Licensed users, by UUID; 404 for any other.
    #[serde(default)]
    pub licensed: Vec<String>,
    /// The bearer token that `/v1` asks for. Default: none.
    #[serde(default)]
    pub token: Option<String>,
}

/// One version, the same for every user.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// A list of models.
    pub model_catalog: Value,
    /// The switches.
    pub kill_switches: Value,
    /// `{"limit_daily_credits_micro": …, "limit_monthly_credits_micro": …}`
    pub standard: Value,
    /// The same for the premium tier.
    pub premium: Value,
}

impl Default for Script {
    /// Versions 6 (no models) and 7 (the two models of the fixtures), current 7; one licensed user.
    fn default() -> Self {
        let fixture = |text: &str| serde_json::from_str::<Value>(text).expect("a fixture is JSON");
        let limits =
            |daily: i64| json!({"limit_daily_credits_micro": daily, "limit_monthly_credits_micro": daily * 20});
        let policy = |model_catalog| Policy {
            model_catalog,
            kill_switches: fixture(include_str!("../../fixtures/mini-chat/full/KillSwitches.json")),
            standard: limits(50_000_000),
            premium: limits(5_000_000),
        };
        let models = json!([
            fixture(include_str!("../../fixtures/mini-chat/full/ModelCatalogEntry.json")),
            fixture(include_str!("../../fixtures/mini-chat/minimal/ModelCatalogEntry.json")),
        ]);
        Self {
            policy_version: 7,
            generated_at: "2026-03-01T12:34:56.789+05:30".to_owned(),
            policies: BTreeMap::from([(6, policy(json!([]))), (7, policy(models))]),
            licensed: vec!["018f0000-0000-7000-8000-000000000002".to_owned()],
            token: None,
        }
    }
}

/// What can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// The current version.
    Version,
    /// A snapshot.
    Snapshot,
    /// Limits.
    Limits,
    /// A licence.
    License,
    /// A usage event.
    Usage,
    /// A batch of audit events.
    Audit,
    /// The health check.
    Health,
}

/// How an endpoint behaves.
#[derive(Debug, Clone, Default)]
pub enum Behaviour {
    /// It answers from the script.
    #[default]
    Answer,
    /// It answers from the script, this much later.
    Delay(Duration),
    /// It never answers.
    Hang,
    /// It fails `times` times with `status`, then answers.
    Fail {
        /// How often.
        times: usize,
        /// With what.
        status: u16,
        /// A `Retry-After` of the failures.
        retry_after: Option<String>,
    },
    /// It answers this.
    Raw {
        /// The status.
        status: u16,
        /// Headers: names and values.
        headers: Vec<(&'static str, String)>,
        /// The body.
        body: Vec<u8>,
    },
    /// It answers 200 and this many bytes, without saying before how many.
    Chunked(usize),
    /// It answers 200 and the start of a body, then closes the connection; as often as said, then it answers.
    Cut(usize),
}

impl Behaviour {
    /// [`Behaviour::Fail`] without a `Retry-After`.
    #[must_use]
    pub fn fail(times: usize, status: u16) -> Self {
        Self::Fail { times, status, retry_after: None }
    }

    /// [`Behaviour::Raw`]: 200 with this body.
    #[must_use]
    pub fn body(body: impl Into<Vec<u8>>) -> Self {
        Self::Raw { status: 200, headers: Vec::new(), body: body.into() }
    }
}

/// The behaviours in force.
#[derive(Default)]
pub(crate) struct Behaviours(Mutex<HashMap<Endpoint, Behaviour>>);

impl Behaviours {
    pub(crate) fn set(&self, endpoint: Endpoint, behaviour: Behaviour) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(endpoint, behaviour);
    }

    /// How the request that has just arrived is to be treated; counts the failures down.
    pub(crate) fn take(&self, endpoint: Endpoint) -> Behaviour {
        let mut behaviours = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let behaviour = behaviours.entry(endpoint).or_default();
        let now = behaviour.clone();
        if let Behaviour::Fail { times: left, .. } | Behaviour::Cut(left) = behaviour {
            if *left == 0 {
                *behaviour = Behaviour::Answer;
                return Behaviour::Answer;
            }
            *left -= 1;
        }
        now
    }
}
