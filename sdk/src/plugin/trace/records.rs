//! Records of the crate `log`, as events with their level, target and place.
//!
//! The maximum level of `log` is left at its highest, and the host is asked for its own: it has no way to say at which moment
//! its maximum changes. A record that nobody wants takes 10 ns.

use std::collections::HashMap;
use std::fmt::Write;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{LazyLock, PoisonError, RwLock};

use abi_stable::std_types::RSlice;
use log::{Level, Log, Metadata, Record};
use mini_chat_plugin_abi::buffer::FfiStr;
use mini_chat_plugin_abi::host::FfiLogLevel;
use mini_chat_plugin_abi::tracing::{
    FfiTraceCallsite, FfiTraceInterest, FfiTraceKind, FfiTraceParent, FfiTraceParentKind, FfiTraceSite, FfiTraceType,
    FfiTraceValue,
};

use super::host;

struct Logger;

/// Callsites are never forgotten, and a target may be made up at run time: records of targets beyond this are told from each
/// other by level only.
const MOST_SITES: usize = 4096;

/// By the hash of all that tells one from another.
static SITES: LazyLock<RwLock<HashMap<u64, FfiTraceSite>>> = LazyLock::new(RwLock::default);

pub(super) fn install() {
    if log::set_logger(&Logger).is_ok() {
        log::set_max_level(log::LevelFilter::Trace);
    }
}

/// What is known of where a record comes from.
#[derive(Hash)]
struct Place<'a> {
    level: Level,
    target: &'a str,
    file: &'a str,
    module: &'a str,
    line: u32,
}

impl Place<'_> {
    /// The host's name for it; none while no instance is open.
    fn site(&self) -> Option<FfiTraceSite> {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        let hash = hasher.finish();
        let sites = SITES.read().unwrap_or_else(PoisonError::into_inner);
        let (known, full) = (sites.get(&hash).copied(), sites.len() >= MOST_SITES);
        drop(sites);
        let other = Place { level: self.level, target: "log", file: "", module: "", line: 0 };
        match known {
            Some(site) => Some(site),
            None if full && self.target != other.target => other.site(),
            None => self.register(hash),
        }
    }

    fn register(&self, hash: u64) -> Option<FfiTraceSite> {
        let (functions, handle) = host()?;
        let fields = [FfiStr::new("message")];
        let callsite = FfiTraceCallsite {
            name: FfiStr::new("log record"),
            target: FfiStr::new(self.target),
            file: FfiStr::new(self.file),
            module: FfiStr::new(self.module),
            fields: RSlice::from_slice(&fields),
            level: level(self.level),
            kind: FfiTraceKind::EVENT,
            line: self.line,
            reserved: 0,
        };
        let site = functions.register()(handle, &callsite);
        if site == FfiTraceSite::NONE {
            return None;
        }
        SITES.write().unwrap_or_else(PoisonError::into_inner).insert(hash, site);
        Some(site)
    }

    fn enabled(&self) -> Option<FfiTraceSite> {
        let (functions, handle) = host()?;
        if level(self.level).value > functions.max_level()().value {
            return None;
        }
        let site = self.site()?;
        let enabled = match functions.interest()(site) {
            FfiTraceInterest::NEVER => false,
            FfiTraceInterest::ALWAYS => true,
            _ => functions.enabled()(handle, site) != 0,
        };
        enabled.then_some(site)
    }
}

fn level(level: Level) -> FfiLogLevel {
    match level {
        Level::Error => FfiLogLevel::ERROR,
        Level::Warn => FfiLogLevel::WARN,
        Level::Info => FfiLogLevel::INFO,
        Level::Debug => FfiLogLevel::DEBUG,
        Level::Trace => FfiLogLevel::TRACE,
    }
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let place = Place { level: metadata.level(), target: metadata.target(), file: "", module: "", line: 0 };
        place.enabled().is_some()
    }

    fn log(&self, record: &Record<'_>) {
        let place = Place {
            level: record.level(),
            target: record.target(),
            file: record.file().unwrap_or_default(),
            module: record.module_path().unwrap_or_default(),
            line: record.line().unwrap_or(0),
        };
        let Some(site) = place.enabled() else { return };
        let mut text = String::with_capacity(128);
        let _ = write!(text, "{}", record.args());
        let message = FfiTraceValue { field: 0, kind: FfiTraceType::DEBUG, low: 0, high: 0, text: FfiStr::new(&text) };
        let parent = FfiTraceParent { span: 0, kind: FfiTraceParentKind::CURRENT, reserved: 0 };
        if let Some((functions, handle)) = host() {
            functions.event()(handle, site, parent, RSlice::from_slice(&[message]));
        }
    }

    fn flush(&self) {}
}
