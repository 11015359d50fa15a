//! Spans and events of plugins, given to the host's subscriber as if callsites of the host's had made them.
//!
//! A plugin's callsite becomes one of the host's ([`site`]), which `tracing` registers as any other: the host's filter judges
//! it by name, target, level and fields, and judges it again when it is reloaded. What the filter says then is brought to the
//! plugins by a thread ([`changes`]).
//!
//! The subscriber is that of the thread that created the instance, as for all that the loader itself logs of it, on whatever
//! thread the plugin runs ([`recipient`]). One subscriber per instance, and not the one that each thread happens to have,
//! because spans are named by numbers that mean something to the subscriber only that gave them.
//!
//! Once the instance is closed nothing new is taken from what is left of the plugin. Spans that are open then can still be
//! left and closed: one of them may be the caller's, in whose name a call was given up that holds a thread of the plugin's.
//!
//! # Invariants
//!
//! 1. An `FfiTraceSite` that is not null is a `&'static Site` made by [`site::register`]: a plugin gets it from there only, and
//!    passes it back as it is (rule 2 of `mini_chat_plugin_abi::tracing`).

mod changes;
mod recipient;
mod site;
#[cfg(test)]
mod tests;
mod values;

use std::num::NonZeroU64;
use std::sync::Arc;

use abi_stable::prefix_type::WithMetadata;
use abi_stable::staticref;
use abi_stable::std_types::RSlice;
use mini_chat_plugin_abi::host::FfiLogLevel;
use mini_chat_plugin_abi::tracing::{
    FfiTraceCallsite, FfiTraceCurrent, FfiTraceInterest, FfiTraceParent, FfiTraceParentKind, FfiTraceSite,
    FfiTraceValue, HostTracing, HostTracingRef,
};
use tracing_core::span::{Attributes, Id, Record};
use tracing_core::{Dispatch, Event, LevelFilter};

pub(crate) use changes::{forget, listen};
pub(crate) use recipient::Recipient;
use site::Site;
use values::Values;

use crate::contain::quietly;
use crate::services::{self, Client};

struct Table;

impl Table {
    staticref! {const FUNCTIONS: WithMetadata<HostTracing> = WithMetadata::new(HostTracing {
        register,
        interest,
        enabled,
        max_level,
        event,
        new_span,
        record,
        follows_from,
        enter,
        exit,
        clone_span,
        close_span,
        current_span,
    });}
}

/// The functions, for `open`.
pub(crate) const fn functions() -> HostTracingRef {
    HostTracingRef(Table::FUNCTIONS.as_prefix())
}

/// Runs `act` with the subscriber of an open instance, for something new. The subscriber is code of the host: a panic in it must
/// not reach the plugin, nor one of its drop, if the instance has been the last to hold it.
fn with<R>(handle: u64, act: impl FnOnce(&Dispatch) -> R) -> Option<R> {
    let client = services::client(handle)?;
    quietly(move || client.recipient.write(act)).ok().flatten()
}

/// The same for a span that there is, also once the instance is closed.
fn with_span<R>(handle: u64, act: impl FnOnce(&Dispatch) -> R) -> Option<R> {
    let client = services::client_of_spans(handle)?;
    quietly(move || client.recipient.go_on(act)).ok().flatten()
}

/// The number of a span to which `act` makes a reference for the plugin; 0 if it makes none.
fn referred(client: Option<Arc<Client>>, act: impl FnOnce(&Recipient) -> Option<Id>) -> u64 {
    let Some(client) = client else { return 0 };
    let number = quietly(move || {
        // Counted before: should the instance be closed in between, it is known that there may be a reference.
        client.recipient.given();
        let made = quietly(|| act(&client.recipient)).ok().flatten();
        if made.is_none() {
            give_back(&client.recipient);
        }
        made
    });
    number.ok().flatten().map_or(0, |id| id.into_u64())
}

fn give_back(recipient: &Arc<Recipient>) {
    if recipient.taken_back() {
        services::forget_closed(recipient);
    }
}

/// The callsite that a plugin names.
fn named(site: FfiTraceSite) -> Option<&'static Site> {
    // SAFETY: invariant 1.
    unsafe { site.ptr.cast::<Site>().as_ref() }
}

fn id(number: u64) -> Option<Id> {
    NonZeroU64::new(number).map(Id::from_non_zero_u64)
}

fn introduce(handle: u64, site: &'static Site) {
    if !site.is_introduced()
        && let Some(client) = services::client(handle)
    {
        let _ = quietly(move || client.recipient.as_default(|| site.introduce()));
    }
}

extern "C" fn register(handle: u64, callsite: &FfiTraceCallsite<'_>) -> FfiTraceSite {
    if services::client(handle).is_none() {
        return FfiTraceSite::NONE;
    }
    let site = site::find_or_make(callsite);
    introduce(handle, site);
    FfiTraceSite { ptr: std::ptr::from_ref(site).cast() }
}

extern "C" fn interest(site: FfiTraceSite) -> FfiTraceInterest {
    named(site).map_or(FfiTraceInterest::NEVER, Site::interest)
}

extern "C" fn enabled(handle: u64, site: FfiTraceSite) -> u32 {
    let enabled = named(site).and_then(|site| {
        // The plugin may have met it within the subscriber.
        introduce(handle, site);
        with(handle, |subscriber| subscriber.enabled(site.metadata()))
    });
    u32::from(enabled.unwrap_or(false))
}

extern "C" fn max_level() -> FfiLogLevel {
    LevelFilter::current().into_level().map_or(FfiLogLevel { value: 0 }, site::number)
}

extern "C" fn event(handle: u64, site: FfiTraceSite, parent: FfiTraceParent, values: RSlice<'_, FfiTraceValue<'_>>) {
    let Some(site) = named(site) else { return };
    // What the plugin knows of the filter may be out of date by some microseconds.
    if site.interest() == FfiTraceInterest::NEVER {
        return;
    }
    with(handle, |subscriber| {
        let metadata = site.metadata();
        let values = Values::of(metadata, values.as_slice());
        let values = values.by_field();
        let values = metadata.fields().value_set_all(&values);
        subscriber.event(&match parent.kind {
            FfiTraceParentKind::ROOT => Event::new_child_of(None, metadata, &values),
            FfiTraceParentKind::EXPLICIT => Event::new_child_of(id(parent.span), metadata, &values),
            _ => Event::new(metadata, &values),
        });
    });
}

extern "C" fn new_span(
    handle: u64,
    site: FfiTraceSite,
    parent: FfiTraceParent,
    values: RSlice<'_, FfiTraceValue<'_>>,
) -> u64 {
    let Some(site) = named(site) else { return 0 };
    let make = |subscriber: &Dispatch| {
        let metadata = site.metadata();
        let values = Values::of(metadata, values.as_slice());
        let values = values.by_field();
        let values = metadata.fields().value_set_all(&values);
        subscriber.new_span(&match (parent.kind, id(parent.span)) {
            (FfiTraceParentKind::EXPLICIT, Some(parent)) => Attributes::child_of(parent, metadata, &values),
            (FfiTraceParentKind::EXPLICIT | FfiTraceParentKind::ROOT, _) => Attributes::new_root(metadata, &values),
            _ => Attributes::new(metadata, &values),
        })
    };
    referred(services::client(handle), |recipient| recipient.write(make))
}

extern "C" fn record(handle: u64, span: u64, site: FfiTraceSite, values: RSlice<'_, FfiTraceValue<'_>>) {
    let (Some(site), Some(span)) = (named(site), id(span)) else { return };
    with(handle, |subscriber| {
        let metadata = site.metadata();
        let values = Values::of(metadata, values.as_slice());
        let values = values.by_field();
        subscriber.record(&span, &Record::new(&metadata.fields().value_set_all(&values)));
    });
}

extern "C" fn follows_from(handle: u64, span: u64, from: u64) {
    if let (Some(span), Some(from)) = (id(span), id(from)) {
        with(handle, |subscriber| subscriber.record_follows_from(&span, &from));
    }
}

extern "C" fn enter(handle: u64, span: u64) {
    if let Some(span) = id(span) {
        with_span(handle, |subscriber| subscriber.enter(&span));
    }
}

extern "C" fn exit(handle: u64, span: u64) {
    if let Some(span) = id(span) {
        with_span(handle, |subscriber| subscriber.exit(&span));
    }
}

extern "C" fn clone_span(handle: u64, span: u64) -> u64 {
    let Some(span) = id(span) else { return 0 };
    referred(services::client_of_spans(handle), |recipient| recipient.go_on(|subscriber| subscriber.clone_span(&span)))
}

extern "C" fn close_span(handle: u64, span: u64) -> u32 {
    let (Some(span), Some(client)) = (id(span), services::client_of_spans(handle)) else { return 0 };
    let closed = quietly(move || {
        let closed = client.recipient.go_on(|subscriber| subscriber.try_close(span))?;
        give_back(&client.recipient);
        Some(closed)
    });
    u32::from(closed.ok().flatten().unwrap_or(false))
}

extern "C" fn current_span(handle: u64) -> FfiTraceCurrent {
    let current = with_span(handle, |subscriber| {
        let (id, metadata) = subscriber.current_span().into_inner()?;
        let site =
            site::of(metadata).map_or(FfiTraceSite::NONE, |site| FfiTraceSite { ptr: std::ptr::from_ref(site).cast() });
        Some(FfiTraceCurrent { span: id.into_u64(), site })
    });
    current.flatten().unwrap_or(FfiTraceCurrent { span: 0, site: FfiTraceSite::NONE })
}
