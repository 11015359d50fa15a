//! Callsites of plugins as callsites of the host: made once, kept until the process ends.
//!
//! Callsites that are alike in everything share one: builds of a plugin that replace each other hardly add any.
//!
//! # Invariants
//!
//! 1. `metadata` is set before anyone but [`make`] sees the site.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard, OnceLock, PoisonError};

use mini_chat_plugin_abi::host::FfiLogLevel;
use mini_chat_plugin_abi::tracing::{FfiTraceCallsite, FfiTraceInterest, FfiTraceKind};
use tracing_core::callsite::{self, Callsite, Identifier};
use tracing_core::field::FieldSet;
use tracing_core::subscriber::NoSubscriber;
use tracing_core::{Dispatch, Interest, Kind, Level, Metadata, dispatcher};

use super::changes;

/// A callsite.
pub(super) struct Site {
    metadata: OnceLock<Metadata<'static>>,
    /// What the filter says; [`UNKNOWN`] until it was asked.
    interest: AtomicU8,
}

const NEVER: u8 = 0;
const SOMETIMES: u8 = 1;
const ALWAYS: u8 = 2;
const UNKNOWN: u8 = 3;

/// What makes a callsite.
#[derive(PartialEq, Eq, Hash)]
struct Description {
    name: String,
    target: String,
    file: String,
    module: String,
    fields: Vec<String>,
    level: u32,
    is_span: bool,
    line: u32,
}

#[derive(Default)]
struct Sites {
    by_description: HashMap<Description, &'static Site>,
    by_callsite: HashMap<Identifier, &'static Site>,
}

static SITES: LazyLock<Mutex<Sites>> = LazyLock::new(Mutex::default);

fn sites() -> MutexGuard<'static, Sites> {
    SITES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The host's callsite for one of a plugin's.
pub(super) fn register(callsite: &FfiTraceCallsite<'_>, subscriber: &Dispatch) -> &'static Site {
    let description = Description {
        name: callsite.name.as_str().to_owned(),
        target: callsite.target.as_str().to_owned(),
        file: callsite.file.as_str().to_owned(),
        module: callsite.module.as_str().to_owned(),
        fields: callsite.fields.iter().map(|name| name.as_str().to_owned()).collect(),
        level: callsite.level.value,
        is_span: callsite.kind == FfiTraceKind::SPAN,
        line: callsite.line,
    };
    let mut sites = sites();
    if let Some(site) = sites.by_description.get(&description) {
        return site;
    }
    let site = make(&description);
    sites.by_callsite.insert(site.metadata().callsite(), site);
    sites.by_description.insert(description, site);
    // The subscriber is about to be asked, and it may do anything.
    drop(sites);
    // With a single subscriber in the process, `tracing` asks that of the calling thread, which may be a plugin's with none.
    if dispatcher::get_default(Dispatch::is::<NoSubscriber>) {
        dispatcher::with_default(subscriber, || callsite::register(site));
    } else {
        callsite::register(site);
    }
    site
}

/// The callsite of a plugin that has this metadata, if it is one of a plugin.
pub(super) fn of(metadata: &Metadata<'_>) -> Option<&'static Site> {
    sites().by_callsite.get(&metadata.callsite()).copied()
}

fn make(description: &Description) -> &'static Site {
    fn keep(text: &str) -> &'static str {
        String::leak(text.to_owned())
    }
    let site: &'static Site = Box::leak(Box::new(Site { metadata: OnceLock::new(), interest: AtomicU8::new(UNKNOWN) }));
    let fields: Vec<&'static str> = description.fields.iter().map(|name| keep(name)).collect();
    let known = |text: &str| (!text.is_empty()).then(|| keep(text));
    let metadata = Metadata::new(
        keep(&description.name),
        keep(&description.target),
        level(FfiLogLevel { value: description.level }),
        known(&description.file),
        (description.line != 0).then_some(description.line),
        known(&description.module),
        FieldSet::new(Vec::leak(fields), tracing_core::identify_callsite!(site)),
        if description.is_span { Kind::SPAN } else { Kind::EVENT },
    );
    // Invariant 1.
    let _ = site.metadata.set(metadata);
    site
}

fn level(level: FfiLogLevel) -> Level {
    match level {
        FfiLogLevel::ERROR => Level::ERROR,
        FfiLogLevel::WARN => Level::WARN,
        FfiLogLevel::DEBUG => Level::DEBUG,
        FfiLogLevel::TRACE => Level::TRACE,
        // A level of a newer plugin is information.
        _ => Level::INFO,
    }
}

/// A level as it crosses.
pub(super) fn number(level: Level) -> FfiLogLevel {
    match level {
        Level::ERROR => FfiLogLevel::ERROR,
        Level::WARN => FfiLogLevel::WARN,
        Level::INFO => FfiLogLevel::INFO,
        Level::DEBUG => FfiLogLevel::DEBUG,
        Level::TRACE => FfiLogLevel::TRACE,
    }
}

impl Site {
    pub(super) fn metadata(&self) -> &Metadata<'static> {
        self.metadata.get().expect("invariant 1")
    }

    /// What the filter says now.
    pub(super) fn interest(&self) -> FfiTraceInterest {
        match self.interest.load(Ordering::Acquire) {
            NEVER => FfiTraceInterest::NEVER,
            ALWAYS => FfiTraceInterest::ALWAYS,
            _ => FfiTraceInterest::SOMETIMES,
        }
    }
}

impl Callsite for Site {
    /// Called under locks of `tracing`: nothing here may trace, or wait for what does.
    fn set_interest(&self, interest: Interest) {
        let now = match () {
            () if interest.is_never() => NEVER,
            () if interest.is_always() => ALWAYS,
            () => SOMETIMES,
        };
        let before = self.interest.swap(now, Ordering::AcqRel);
        if before != now && before != UNKNOWN {
            changes::announce();
        }
    }

    fn metadata(&self) -> &Metadata<'_> {
        Site::metadata(self)
    }
}
