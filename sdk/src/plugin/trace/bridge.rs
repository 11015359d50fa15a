//! [`Bridge`]: the subscriber of the plugin's copy of `tracing`.
//!
//! A callsite's interest is the host's, cached in the callsite by `tracing` itself: a disabled event costs two loads and two
//! branches and does not come here. There is no hint of a maximum level, on purpose: below a maximum callsites are not even
//! registered, and of a callsite that the host does not know it could not say that its filter wants it now.

use std::collections::HashMap;
use std::sync::{LazyLock, PoisonError, RwLock};

use abi_stable::std_types::RSlice;
use mini_chat_plugin_abi::buffer::FfiStr;
use mini_chat_plugin_abi::host::FfiLogLevel;
use mini_chat_plugin_abi::tracing::{
    FfiTraceCallsite, FfiTraceInterest, FfiTraceKind, FfiTraceParent, FfiTraceParentKind, FfiTraceSite,
};
use tracing_core::callsite::Identifier;
use tracing_core::span::{Attributes, Current, Id, Record};
use tracing_core::{Event, Interest, Kind, Level, Metadata, Subscriber, metadata};

use super::values::Values;
use super::{host, host_of_spans};

/// Forwards everything.
pub(crate) struct Bridge;

/// The number of a span that the host did not make.
const NO_SPAN: u64 = u64::MAX;

/// The callsites of this image that the host knows.
#[derive(Default)]
struct Sites {
    /// The host's name for each.
    of_image: HashMap<Identifier, FfiTraceSite>,
    /// One of those that have this name (its address).
    of_host: HashMap<usize, &'static Metadata<'static>>,
}

static SITES: LazyLock<RwLock<Sites>> = LazyLock::new(RwLock::default);

/// Stands for a span that the host itself has made.
static HOST_SPAN: Metadata<'static> = metadata! {
    name: "host",
    target: "mini_chat_host",
    level: Level::ERROR,
    fields: &[],
    callsite: &HostSpan,
    kind: Kind::SPAN,
};

struct HostSpan;

impl tracing_core::Callsite for HostSpan {
    fn set_interest(&self, _: Interest) {}

    fn metadata(&self) -> &Metadata<'_> {
        &HOST_SPAN
    }
}

/// The host's name for a callsite that it knows.
fn known(callsite: &Identifier) -> Option<FfiTraceSite> {
    SITES.read().unwrap_or_else(PoisonError::into_inner).of_image.get(callsite).copied()
}

/// The host's name for a callsite, which is made known if it is not yet; none while no instance is open.
fn site(metadata: &'static Metadata<'static>) -> Option<FfiTraceSite> {
    let callsite = metadata.callsite();
    if let Some(site) = known(&callsite) {
        return Some(site);
    }
    let (functions, handle) = host()?;
    let fields: Vec<FfiStr<'_>> = metadata.fields().iter().map(|field| FfiStr::new(field.name())).collect();
    let site = functions.register()(
        handle,
        &FfiTraceCallsite {
            name: FfiStr::new(metadata.name()),
            target: FfiStr::new(metadata.target()),
            file: FfiStr::new(metadata.file().unwrap_or_default()),
            module: FfiStr::new(metadata.module_path().unwrap_or_default()),
            fields: RSlice::from_slice(&fields),
            level: level(*metadata.level()),
            kind: if metadata.is_span() { FfiTraceKind::SPAN } else { FfiTraceKind::EVENT },
            line: metadata.line().unwrap_or(0),
            reserved: 0,
        },
    );
    if site == FfiTraceSite::NONE {
        return None;
    }
    let mut sites = SITES.write().unwrap_or_else(PoisonError::into_inner);
    sites.of_image.insert(callsite, site);
    sites.of_host.insert(site.ptr.addr(), metadata);
    Some(site)
}

fn level(level: Level) -> FfiLogLevel {
    match level {
        Level::ERROR => FfiLogLevel::ERROR,
        Level::WARN => FfiLogLevel::WARN,
        Level::INFO => FfiLogLevel::INFO,
        Level::DEBUG => FfiLogLevel::DEBUG,
        Level::TRACE => FfiLogLevel::TRACE,
    }
}

fn parent(contextual: bool, explicit: Option<&Id>) -> FfiTraceParent {
    let of = |kind, span| FfiTraceParent { span, kind, reserved: 0 };
    match explicit.map(Id::into_u64) {
        _ if contextual => of(FfiTraceParentKind::CURRENT, 0),
        None | Some(NO_SPAN) => of(FfiTraceParentKind::ROOT, 0),
        Some(span) => of(FfiTraceParentKind::EXPLICIT, span),
    }
}

/// A span that the host has made.
fn number(id: &Id) -> Option<u64> {
    Some(id.into_u64()).filter(|span| *span != NO_SPAN)
}

impl Subscriber for Bridge {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        let (Some(site), Some((functions, _))) = (site(metadata), host()) else { return Interest::never() };
        match functions.interest()(site) {
            FfiTraceInterest::NEVER => Interest::never(),
            FfiTraceInterest::ALWAYS => Interest::always(),
            _ => Interest::sometimes(),
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let Some((functions, handle)) = host() else { return false };
        // One that another thread is registering at this moment is asked for again, by name, when it comes.
        known(&metadata.callsite()).is_none_or(|site| functions.enabled()(handle, site) != 0)
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let make = || {
            let site = site(span.metadata())?;
            let mut values = Values::new();
            span.record(&mut values);
            let (functions, handle) = host()?;
            let parent = parent(span.is_contextual(), span.parent());
            let number = values.with(|values| functions.new_span()(handle, site, parent, values));
            (number != 0).then_some(number)
        };
        Id::from_u64(make().unwrap_or(NO_SPAN))
    }

    fn record(&self, span: &Id, record: &Record<'_>) {
        let mut values = Values::new();
        record.record(&mut values);
        let known = values.callsite().and_then(|callsite| known(&callsite));
        if let (Some(site), Some((functions, handle)), Some(span)) = (known, host(), number(span)) {
            values.with(|values| functions.record()(handle, span, site, values));
        }
    }

    fn record_follows_from(&self, span: &Id, follows: &Id) {
        if let (Some((functions, handle)), Some(span), Some(from)) = (host(), number(span), number(follows)) {
            functions.follows_from()(handle, span, from);
        }
    }

    fn event(&self, event: &Event<'_>) {
        let Some(site) = site(event.metadata()) else { return };
        let mut values = Values::new();
        event.record(&mut values);
        let parent = parent(event.is_contextual(), event.parent());
        if let Some((functions, handle)) = host() {
            values.with(|values| functions.event()(handle, site, parent, values));
        }
    }

    fn enter(&self, span: &Id) {
        if let (Some((functions, handle)), Some(span)) = (host_of_spans(), number(span)) {
            functions.enter()(handle, span);
        }
    }

    fn exit(&self, span: &Id) {
        if let (Some((functions, handle)), Some(span)) = (host_of_spans(), number(span)) {
            functions.exit()(handle, span);
        }
    }

    /// Where the host gives no reference, what is given is not the span, or else one reference too many would be given back.
    fn clone_span(&self, id: &Id) -> Id {
        let clone = || {
            let (functions, handle) = host_of_spans()?;
            Some(functions.clone_span()(handle, number(id)?)).filter(|span| *span != 0)
        };
        Id::from_u64(clone().unwrap_or(NO_SPAN))
    }

    fn try_close(&self, id: Id) -> bool {
        match (host_of_spans(), number(&id)) {
            (Some((functions, handle)), Some(span)) => functions.close_span()(handle, span) != 0,
            _ => false,
        }
    }

    fn current_span(&self) -> Current {
        let Some((functions, handle)) = host() else { return Current::none() };
        let current = functions.current_span()(handle);
        if current.span == 0 {
            return Current::none();
        }
        let own = SITES.read().unwrap_or_else(PoisonError::into_inner).of_host.get(&current.site.ptr.addr()).copied();
        Current::new(Id::from_u64(current.span), own.unwrap_or(&HOST_SPAN))
    }
}
