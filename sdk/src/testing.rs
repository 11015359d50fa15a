//! Help for an author's tests: a [`PluginContext`] without a host.
//!
//! A test makes a [`TestContext`], gives its [`context`](TestContext::context) to the constructor and calls the trait's
//! methods on what comes back; what the plugin logged stands in [`records`](TestContext::records). The services behind
//! it keep to the rules of a real host: they answer from any thread, and once the `TestContext` is dropped they refuse
//! politely.
//!
//! ```
//! use mini_chat_plugin_sdk::prelude::*;
//! use mini_chat_plugin_sdk::testing::TestContext;
//!
//! let test = TestContext::new("hello");
//! let context = test.context();
//! context.log(LogLevel::Info, "hello");
//! assert_eq!(context.host_name(), "test");
//! assert_eq!(test.records()[0].message, "hello");
//! ```

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use abi_stable::prefix_type::WithMetadata;
use abi_stable::staticref;
use mini_chat_plugin_abi::buffer::{FfiStr, FfiString};
use mini_chat_plugin_abi::host::{FfiLogLevel, FfiServiceStatus, HostServices, HostServicesRef};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use crate::config;
use crate::context::{Handover, LogLevel, PluginContext, Purpose};
use crate::plugin::host::Host;
#[cfg(not(mini_chat_abi = "1.0"))]
use crate::plugin::trace::nowhere;
use crate::plugin_error::PluginError;

/// One record that a plugin wrote to the log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogRecord {
    /// How severe it is.
    pub level: LogLevel,
    /// The instance's name.
    pub target: String,
    /// What it says.
    pub message: String,
}

/// A stand-in for the host of one instance. Its services end when it is dropped.
#[derive(Debug)]
pub struct TestContext {
    context: PluginContext,
}

impl TestContext {
    /// For an instance of this name: generation 1, to serve, without a data directory or a handover.
    #[must_use]
    pub fn new(instance_name: &str) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let handle = NEXT.fetch_add(1, Ordering::Relaxed);
        hosts().insert(handle, Vec::new());
        let context = PluginContext {
            instance_name: instance_name.to_owned(),
            generation: 1,
            purpose: Purpose::Serve,
            lifetime: CancellationToken::new(),
            data_dir: None,
            handover: None,
            host: Host { handle, services: HostServicesRef(Services::TABLE.as_prefix()) },
        };
        Self { context }
    }

    /// Gives the instance a data directory, which is created when the plugin asks for it.
    #[must_use]
    pub fn with_data_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.context.data_dir = Some(path.into());
        self
    }

    /// Sets what the instance is created for.
    #[must_use]
    pub fn with_purpose(mut self, purpose: Purpose) -> Self {
        self.context.purpose = purpose;
        self
    }

    /// Sets the number of the generation.
    #[must_use]
    pub fn with_generation(mut self, generation: u64) -> Self {
        self.context.generation = generation;
        self
    }

    /// Gives the instance what its predecessor exported; `exact`: after it was quiesced.
    #[must_use]
    pub fn with_handover(mut self, bytes: impl Into<Vec<u8>>, exact: bool) -> Self {
        self.context.handover = Some(Handover { bytes: Arc::from(bytes.into()), exact });
        self
    }

    /// What to give to the constructor.
    #[must_use]
    pub fn context(&self) -> PluginContext {
        self.context.clone()
    }

    /// Cancels the lifetime token, as a host does that retires the instance.
    pub fn retire(&self) {
        self.context.lifetime.cancel();
    }

    /// What the instance has logged so far, oldest first.
    #[must_use]
    pub fn records(&self) -> Vec<LogRecord> {
        hosts().get(&self.context.host.handle).cloned().unwrap_or_default()
    }
}

impl Drop for TestContext {
    fn drop(&mut self) {
        hosts().remove(&self.context.host.handle);
    }
}

/// Reads a configuration from JSON as a host does, with the host's error texts: they name the key path and the types,
/// never a value.
///
/// ```
/// # use mini_chat_plugin_sdk::NoConfig;
/// let error = mini_chat_plugin_sdk::testing::read_config::<NoConfig>(r#"{"port": 80}"#).unwrap_err();
/// assert_eq!(error.message(), "port: expected no key, found an unknown key");
/// ```
///
/// # Errors
///
/// Permanent if the text is not JSON or `C` does not accept it.
pub fn read_config<C: DeserializeOwned>(json: &str) -> Result<C, PluginError> {
    config::read(json).map_err(|fault| PluginError::permanent(fault.to_string()))
}

/// Records by host handle; a handle that is not here is gone.
static HOSTS: Mutex<BTreeMap<u64, Vec<LogRecord>>> = Mutex::new(BTreeMap::new());

fn hosts() -> MutexGuard<'static, BTreeMap<u64, Vec<LogRecord>>> {
    HOSTS.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Services;

impl Services {
    staticref! {const TABLE: WithMetadata<HostServices> = WithMetadata::new(HostServices {
        log: Self::log,
        metric: Self::metric,
        fact: Self::fact,
        #[cfg(not(mini_chat_abi = "1.0"))]
        tracing: nowhere::functions(),
    });}

    extern "C" fn log(handle: u64, level: FfiLogLevel, target: FfiStr<'_>, message: FfiStr<'_>) -> FfiServiceStatus {
        let level = match level {
            FfiLogLevel::ERROR => LogLevel::Error,
            FfiLogLevel::WARN => LogLevel::Warn,
            FfiLogLevel::INFO => LogLevel::Info,
            FfiLogLevel::DEBUG => LogLevel::Debug,
            _ => LogLevel::Trace,
        };
        let record = LogRecord { level, target: target.as_str().to_owned(), message: message.as_str().to_owned() };
        match hosts().get_mut(&handle) {
            Some(records) => {
                records.push(record);
                FfiServiceStatus::OK
            }
            None => FfiServiceStatus::GONE,
        }
    }

    extern "C" fn metric(_: u64, _: FfiStr<'_>, _: f64, _: FfiStr<'_>) -> FfiServiceStatus {
        FfiServiceStatus::UNSUPPORTED
    }

    extern "C" fn fact(handle: u64, name: FfiStr<'_>, out: &mut FfiString) -> FfiServiceStatus {
        if !hosts().contains_key(&handle) {
            return FfiServiceStatus::GONE;
        }
        let fact = match name.as_str() {
            "host.name" => "test".to_owned(),
            "host.version" | "loader.version" => env!("CARGO_PKG_VERSION").to_owned(),
            "host.pid" => std::process::id().to_string(),
            _ => return FfiServiceStatus::NOT_FOUND,
        };
        *out = fact.into();
        FfiServiceStatus::OK
    }
}

#[cfg(test)]
mod tests;
