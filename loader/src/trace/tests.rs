//! The functions as a plugin calls them, on threads and under subscribers of all kinds.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use tracing::{Subscriber, info_span};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, Registry};

use super::*;
use crate::services::{HostIdentity, Registration};
use mini_chat_plugin_abi::buffer::FfiStr;
use mini_chat_plugin_abi::host::FfiServiceStatus;
use mini_chat_plugin_abi::tracing::FfiTraceKind;

const CURRENT: FfiTraceParent = FfiTraceParent { span: 0, kind: FfiTraceParentKind::CURRENT, reserved: 0 };

/// What a subscriber hears: `event TARGET in SPAN`, `closed SPAN`.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<String>>>);

impl Heard {
    fn all(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.all())
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Heard {
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let within = context.event_span(event).map_or("none", |span| span.name());
        self.all().push(format!("event {} in {within}", event.metadata().target()));
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let span = context.span(&id).expect("it is there until this is over");
        self.all().push(format!("closed {}", span.name()));
    }
}

fn subscriber() -> (Dispatch, Heard) {
    let heard = Heard::default();
    (Dispatch::new(Registry::default().with(heard.clone())), heard)
}

/// An instance that is created by a thread that has this subscriber.
fn instance(subscriber: &Dispatch) -> Registration {
    tracing::dispatcher::with_default(subscriber, registration)
}

fn registration() -> Registration {
    Registration::new(HostIdentity { name: "tests".to_owned(), version: "1".to_owned() }, None)
}

fn callsite<'a>(name: &'a str, target: &'a str, kind: FfiTraceKind) -> FfiTraceCallsite<'a> {
    FfiTraceCallsite {
        name: FfiStr::new(name),
        target: FfiStr::new(target),
        file: FfiStr::new("plugin.rs"),
        module: FfiStr::new("plugin"),
        fields: RSlice::from_slice(&[]),
        level: FfiLogLevel::INFO,
        kind,
        line: 1,
        reserved: 0,
    }
}

fn write(handle: u64, target: &str) {
    let site = register(handle, &callsite("event", target, FfiTraceKind::EVENT));
    if enabled(handle, site) != 0 {
        event(handle, site, CURRENT, RSlice::from_slice(&[]));
    }
}

fn open(handle: u64, name: &str) -> u64 {
    let site = register(handle, &callsite(name, "spans", FfiTraceKind::SPAN));
    new_span(handle, site, CURRENT, RSlice::from_slice(&[]))
}

/// On a thread without a subscriber.
fn elsewhere<R: Send>(act: impl FnOnce() -> R + Send) -> R {
    thread::scope(|scope| scope.spawn(act).join().expect("it does not panic"))
}

#[test]
fn a_span_that_ends_on_another_thread_lets_go_of_its_parent() {
    let (subscriber, heard) = subscriber();
    let instance = instance(&subscriber);
    let handle = instance.handle();
    let child = tracing::dispatcher::with_default(&subscriber, || {
        info_span!("caller").in_scope(|| open(handle, "child that ends elsewhere"))
    });
    assert_ne!(child, 0);
    assert!(heard.take().is_empty(), "both are open");
    assert_eq!(elsewhere(|| close_span(handle, child)), 1);
    assert_eq!(heard.take(), ["closed child that ends elsewhere", "closed caller"]);
}

#[test]
fn spans_of_another_subscriber_are_left_alone() {
    let (subscriber, heard) = subscriber();
    let instance = instance(&subscriber);
    let handle = instance.handle();
    let child = tracing::dispatcher::with_default(&subscriber, || {
        info_span!("caller").in_scope(|| open(handle, "child among others"))
    });
    let (other, of_other) = self::subscriber();
    elsewhere(|| {
        tracing::dispatcher::with_default(&other, || {
            // The numbers of these are those of the first subscriber's spans.
            let (first, second) = (info_span!("first of another"), info_span!("second of another"));
            let of_caller = first.in_scope(|| current_span(handle));
            assert_eq!(of_caller.span, 0, "the thread is in no span of the instance's subscriber");
            enter(handle, child);
            write(handle, "other/inside");
            exit(handle, child);
            close_span(handle, child);
            assert!(of_other.take().is_empty());
            drop((first, second));
            assert_eq!(of_other.take(), ["closed first of another", "closed second of another"]);
        });
    });
    let expected = ["event other/inside in child among others", "closed child among others", "closed caller"];
    assert_eq!(heard.take(), expected);
}

#[test]
fn without_a_subscriber_the_first_one_is_kept() {
    let instance = elsewhere(registration);
    let handle = instance.handle();
    elsewhere(|| write(handle, "late/nobody"));
    let (subscriber, heard) = subscriber();
    let span = tracing::dispatcher::with_default(&subscriber, || {
        write(handle, "late/first");
        open(handle, "late")
    });
    let (other, of_other) = self::subscriber();
    elsewhere(|| {
        tracing::dispatcher::with_default(&other, || {
            enter(handle, span);
            write(handle, "late/inside");
            exit(handle, span);
            close_span(handle, span);
        });
    });
    assert_eq!(heard.take(), ["event late/first in none", "event late/inside in late", "closed late"]);
    assert!(of_other.take().is_empty());
}

/// A subscriber of the host's that has plugins called, which write.
struct Calls(u64);

impl<S: Subscriber> Layer<S> for Calls {
    fn on_event(&self, _: &Event<'_>, _: Context<'_, S>) {
        write(self.0, "calls/of the plugin");
        let span = open(self.0, "opened within");
        assert_eq!(span, 0);
        let status = (crate::services::services().log())(
            self.0,
            FfiLogLevel::INFO,
            FfiStr::new("calls"),
            FfiStr::new("by the service"),
        );
        assert_eq!(status, FfiServiceStatus::OK);
    }
}

#[test]
fn a_subscriber_that_calls_plugins_does_not_hear_of_itself() {
    let instance = elsewhere(registration);
    let handle = instance.handle();
    let heard = Heard::default();
    let subscriber = Dispatch::new(Registry::default().with(heard.clone()).with(Calls(handle)));
    tracing::dispatcher::with_default(&subscriber, || {
        tracing::info!(target: "calls/of the host", "one");
        assert_eq!(heard.take(), ["event calls/of the host in none"]);
        // The callsite that was met within the subscriber is known by now, and so is what its filter says.
        write(handle, "calls/of the plugin");
        assert_eq!(heard.take(), ["event calls/of the plugin in none"]);
    });
    let site = register(handle, &callsite("event", "calls/of the plugin", FfiTraceKind::EVENT));
    let introduced = named(site).expect("it is known").is_introduced();
    assert!(introduced, "`tracing` asks for it again when the filter is reloaded");
}

#[test]
fn a_span_that_outlives_its_instance() {
    let (subscriber, heard) = subscriber();
    let instance = instance(&subscriber);
    let handle = instance.handle();
    let span = open(handle, "outlives");
    enter(handle, span);
    drop(instance);
    assert!(services::client(handle).is_none());

    write(handle, "outlives/event");
    assert_eq!(open(handle, "another"), 0, "nothing new is taken");
    let again = clone_span(handle, span);
    exit(handle, span);
    assert_eq!(close_span(handle, span), 0);
    assert!(heard.take().is_empty(), "there is another reference");
    assert!(services::client_of_spans(handle).is_some());
    assert_eq!(close_span(handle, again), 1);
    assert_eq!(heard.take(), ["closed outlives"]);
    assert!(services::client_of_spans(handle).is_none(), "nothing is kept of the instance");
}

/// A plugin that is `reentrant`: a new instance takes over, and the plugin names the newest one for all its spans.
#[test]
fn instances_of_one_image() {
    let (subscriber, heard) = subscriber();
    let account = crate::heap::table().1;
    let identity = || HostIdentity { name: "tests".to_owned(), version: "1".to_owned() };
    let create = |subscriber: &Dispatch| {
        tracing::dispatcher::with_default(subscriber, || Registration::new(identity(), Some(account)))
    };
    let old = create(&subscriber);
    let old_handle = old.handle();
    let span = open(old_handle, "from one to the other");
    let (other, of_other) = self::subscriber();
    let new = create(&other);
    drop(old);
    assert!(services::client_of_spans(old_handle).is_some(), "its span is open");
    enter(new.handle(), span);
    write(new.handle(), "reentrant/event");
    exit(new.handle(), span);
    assert_eq!(close_span(new.handle(), span), 1);
    assert_eq!(heard.take(), ["event reentrant/event in from one to the other", "closed from one to the other"]);
    assert!(of_other.take().is_empty(), "the numbers of its spans would be others");
    assert!(services::client_of_spans(old_handle).is_none());
    let client = services::client(new.handle()).expect("it is open");
    assert!(!client.recipient.is_awaited(), "closing spans is quick again");
}

#[test]
fn nothing_is_kept_of_an_instance_without_spans() {
    let (subscriber, _) = subscriber();
    let instance = instance(&subscriber);
    let handle = instance.handle();
    let span = open(handle, "ends in time");
    close_span(handle, span);
    drop(instance);
    assert!(services::client_of_spans(handle).is_none());
}

#[test]
fn what_a_plugin_logs_on_its_own_thread() {
    let (subscriber, heard) = subscriber();
    let instance = instance(&subscriber);
    let handle = instance.handle();
    let log = crate::services::services().log();
    elsewhere(|| log(handle, FfiLogLevel::ERROR, FfiStr::new("plugin"), FfiStr::new("it panicked")));
    assert_eq!(heard.take(), ["event mini_chat_plugin in none"]);
}

#[test]
fn callsites_that_are_alike_share_one() {
    let (subscriber, _) = subscriber();
    let (first, second) = (instance(&subscriber), instance(&subscriber));
    let of = |instance: &Registration, kind| register(instance.handle(), &callsite("alike", "alike", kind));
    let event = of(&first, FfiTraceKind::EVENT);
    assert_eq!(of(&second, FfiTraceKind::EVENT), event);
    assert_ne!(of(&second, FfiTraceKind::SPAN), event);
}
