//! Callsites of plugins as callsites of the host: made once, kept until the process ends.
//!
//! Callsites that are alike in everything share one: builds of a plugin that replace each other hardly add any.
//!
//! # Invariants
//!
//! 1. `metadata` is set before anyone but [`make`] sees the site.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard, OnceLock, PoisonError};

use mini_chat_plugin_abi::host::FfiLogLevel;
use mini_chat_plugin_abi::tracing::{FfiTraceCallsite, FfiTraceInterest, FfiTraceKind};
use tracing_core::callsite::{self, Callsite, Identifier};
use tracing_core::field::FieldSet;
use tracing_core::{Interest, Kind, Level, Metadata};

use super::changes;

/// A callsite.
pub(super) struct Site {
    metadata: OnceLock<Metadata<'static>>,
    /// `tracing` knows it, or is about to.
    introduced: AtomicBool,
    /// What the filter says; [`UNKNOWN`] until it was asked.
    interest: AtomicU8,
}

const NEVER: u8 = 0;
const SOMETIMES: u8 = 1;
const ALWAYS: u8 = 2;
const UNKNOWN: u8 = 3;
/// As [`UNKNOWN`], but a plugin has been told to ask each time, and goes on to do so until it is told more.
const ASKED: u8 = 4;

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

/// The host's callsite for one of a plugin's; [`Site::introduce`] is still to be called.
pub(super) fn find_or_make(callsite: &FfiTraceCallsite<'_>) -> &'static Site {
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
    let site: &'static Site = Box::leak(Box::new(Site {
        metadata: OnceLock::new(),
        introduced: AtomicBool::new(false),
        interest: AtomicU8::new(UNKNOWN),
    }));
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

    /// Makes it known to `tracing`, once; to be called where the subscriber is the thread's default, since with a single
    /// subscriber in the process `tracing` asks that one. The subscriber is asked, and it may do anything: no lock is held.
    pub(super) fn introduce(&'static self) {
        if !self.introduced.swap(true, Ordering::Relaxed) {
            callsite::register(self);
        }
    }

    /// Whether `tracing` knows it, or is about to.
    pub(super) fn is_introduced(&self) -> bool {
        self.introduced.load(Ordering::Relaxed)
    }

    /// What the filter says now.
    pub(super) fn interest(&self) -> FfiTraceInterest {
        let unknown = self.interest.compare_exchange(UNKNOWN, ASKED, Ordering::AcqRel, Ordering::Acquire);
        match unknown.unwrap_or_else(|known| known) {
            NEVER => FfiTraceInterest::NEVER,
            ALWAYS => FfiTraceInterest::ALWAYS,
            _ => FfiTraceInterest::SOMETIMES,
        }
    }
}

impl Site {
    /// Whether plugins go by something else.
    fn learn(&self, interest: &Interest) -> bool {
        let now = match () {
            () if interest.is_never() => NEVER,
            () if interest.is_always() => ALWAYS,
            () => SOMETIMES,
        };
        match self.interest.swap(now, Ordering::AcqRel) {
            UNKNOWN => false,
            // That is what they were told.
            ASKED => now != SOMETIMES,
            before => before != now,
        }
    }
}

impl Callsite for Site {
    /// Called under locks of `tracing`: nothing here may trace, or wait for what does.
    fn set_interest(&self, interest: Interest) {
        if self.learn(&interest) {
            changes::announce();
        }
    }

    fn metadata(&self) -> &Metadata<'_> {
        Site::metadata(self)
    }
}

#[cfg(test)]
mod tests;
