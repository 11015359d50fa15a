//! What plugins write with `tracing` and `log` is in the host's subscriber, as if the host had written it itself.
//!
//! The subscriber is that of the whole program: `tracing` caches what a callsite is wanted for by the thread that meets it
//! first, while there is only one subscriber.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use futures::executor::block_on;
use mini_chat_plugin_loader::config::Limits;
use mini_chat_plugin_sdk::tokio_util::sync::CancellationToken;
use mini_chat_plugin_tests::probing::{NAME, Probing, key, order};
use mini_chat_plugin_tests::serving::{Way, eventually};
use probe::Action;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Instrument, Level, Subscriber, info_span};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Scope};
use tracing_subscriber::{EnvFilter, Layer, Registry, reload};

/// Values of fields, each as `type:value`.
type Fields = BTreeMap<String, String>;

/// An event, or a span that has been closed.
#[derive(Debug, Clone)]
struct Written {
    name: &'static str,
    target: String,
    level: Level,
    module: Option<String>,
    file: Option<String>,
    line: Option<u32>,
    fields: Fields,
    /// The names of the spans that it is in, from the outermost.
    within: Vec<&'static str>,
    /// The key of the host's span that it is in.
    caller: Option<String>,
}

impl Written {
    fn message(&self) -> &str {
        self.fields.get("message").map_or("", String::as_str)
    }
}

static WRITTEN: Mutex<Vec<Written>> = Mutex::new(Vec::new());

fn written() -> MutexGuard<'static, Vec<Written>> {
    WRITTEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// All so far whose field `key` is this, or whose message ends with it.
fn with_key(key: u64) -> Vec<Written> {
    let (typed, end) = (format!("u64:{key}"), format!(" {key}"));
    let of_key = |it: &&Written| it.fields.get("key") == Some(&typed) || it.message().ends_with(&end);
    written().iter().filter(of_key).cloned().collect()
}

fn with_message(key: u64, message: &str) -> Written {
    let all: Vec<_> = with_key(key).into_iter().filter(|it| it.message() == format!("debug:{message}")).collect();
    assert_eq!(all.len(), 1, "{message}: {all:#?} of {:#?}", with_key(key));
    all[0].clone()
}

impl Visit for Typed<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, "f64", value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, "i64", value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, "u64", value);
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.put(field, "i128", value);
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.put(field, "u128", value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, "bool", value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, "str", value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.put(field, "error", value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.put(field, "debug", format!("{value:?}"));
    }
}

struct Typed<'a>(&'a mut Fields);

impl Typed<'_> {
    fn put(&mut self, field: &Field, kind: &str, value: impl ToString) {
        self.0.insert(field.name().to_owned(), format!("{kind}:{}", value.to_string()));
    }
}

/// Keeps everything that it is given.
struct Keep;

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Keep {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::new();
        attributes.record(&mut Typed(&mut fields));
        context.span(id).expect("it is new").extensions_mut().insert(fields);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let span = context.span(id).expect("it is open");
        let mut extensions = span.extensions_mut();
        values.record(&mut Typed(extensions.get_mut::<Fields>().expect("it has some")));
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::new();
        event.record(&mut Typed(&mut fields));
        keep(event.metadata(), fields, context.event_scope(event));
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let span = context.span(&id).expect("it is there until this is over");
        let fields = span.extensions().get::<Fields>().cloned().unwrap_or_default();
        keep(span.metadata(), fields, span.parent().map(|parent| parent.scope()));
    }
}

fn keep<'a, S>(metadata: &tracing::Metadata<'static>, fields: Fields, scope: Option<Scope<'a, S>>)
where
    S: Subscriber + LookupSpan<'a>,
{
    let (mut within, mut caller) = (Vec::new(), None);
    for span in scope.into_iter().flat_map(Scope::from_root) {
        within.push(span.name());
        if span.name() == "caller" {
            caller = span.extensions().get::<Fields>().and_then(|fields| fields.get("number").cloned());
        }
    }
    written().push(Written {
        name: metadata.name(),
        target: metadata.target().to_owned(),
        level: *metadata.level(),
        module: metadata.module_path().map(str::to_owned),
        file: metadata.file().map(str::to_owned),
        line: metadata.line(),
        fields,
        within,
        caller,
    });
}

/// Without what only `Whisper` writes.
const QUIET: &str = "debug,probe::quiet=off";

/// The filter of this program's subscriber.
fn filter() -> &'static reload::Handle<EnvFilter, Registry> {
    static FILTER: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();
    FILTER.get_or_init(|| {
        let (layer, handle) = reload::Layer::new(EnvFilter::new(QUIET));
        let subscriber = tracing_subscriber::registry().with(layer).with(Keep);
        tracing::subscriber::set_global_default(subscriber).expect("the only one");
        handle
    })
}

/// One test at a time reloads the filter.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn reload(directives: &str) {
    filter().reload(EnvFilter::new(directives)).expect("the subscriber is there");
}

async fn obey(probing: &Probing, action: Action, key: u64) {
    let token = CancellationToken::new();
    let call = probing.policy.get_user_limits(order(action, key), 1, token);
    call.instrument(info_span!("caller", number = key)).await.expect("it only answers");
}

#[test]
fn spans_and_events_in_every_mode() {
    filter();
    for way in Way::ALL {
        block_on(async {
            let probing = Probing::serve(way, Limits::default()).await;
            // Twice: callsites are new the first time.
            for _ in 0..2 {
                let key = key();
                obey(&probing, Action::Trace, key).await;
                check(way, key);
            }
            assert!(probing.host.shutdown().await.is_clean());
        });
    }
}

/// What `Action::Trace` has written by a call of this key.
fn check(way: Way, key: u64) {
    let name = way.name();
    let typed = with_message(key, &format!("a message of {key}"));
    assert_eq!((typed.target.as_str(), typed.level), ("probe::typed", Level::WARN), "{name}");
    assert_eq!(typed.module.as_deref(), Some("probe::actions::traces"), "{name}");
    assert!(typed.file.as_deref().is_some_and(|file| file.ends_with("traces.rs")), "{name}: {typed:?}");
    assert!(typed.line.is_some() && typed.name.starts_with("event "), "{name}: {typed:?}");
    let expected = [
        ("i64", "i64:-7".to_owned()),
        ("u64", format!("u64:{}", u64::MAX)),
        ("i128", format!("i128:{}", i128::MIN)),
        ("u128", format!("u128:{}", u128::MAX)),
        ("f64", "f64:1.5".to_owned()),
        ("bool", "bool:true".to_owned()),
        ("str", "str:a \"text\"".to_owned()),
        ("debug", "debug:Some(1)".to_owned()),
        ("display", "debug:shown".to_owned()),
        ("error", "error:No such file or directory (os error 2)".to_owned()),
    ];
    for (field, value) in expected {
        assert_eq!(typed.fields.get(field), Some(&value), "{name}: {field}");
    }
    assert!(!typed.fields.contains_key("empty"), "{name}");

    for (message, within) in [
        ("first poll", &["caller"][..]),
        ("in outer, first poll", &["caller", "outer"]),
        ("in inner", &["caller", "outer", "inner"]),
        ("in a task", &["caller", "outer"]),
        ("last poll", &["caller"]),
        ("no parent", &[]),
    ] {
        let event = with_message(key, message);
        assert_eq!(event.within, within, "{name}: {message}");
        let caller = (!within.is_empty()).then(|| format!("u64:{key}"));
        assert_eq!(event.caller, caller, "{name}: {message}");
        assert_eq!((event.target.as_str(), event.level), ("probe::actions::traces", Level::INFO), "{name}");
    }

    // A task that has ended lets go of its span a moment after it has answered.
    let closed = || with_key(key).into_iter().filter(|it| it.name == "outer" || it.name == "inner").collect::<Vec<_>>();
    eventually("both spans are closed", || closed().len() == 2);
    let closed = closed();
    assert_eq!((closed[0].name, closed[0].level), ("inner", Level::DEBUG), "{name}");
    assert_eq!(closed[0].within, ["caller", "outer"], "{name}");
    assert_eq!((closed[1].name, closed[1].level), ("outer", Level::INFO), "{name}");
    assert_eq!(closed[1].within, ["caller"], "{name}");
    assert_eq!(closed[1].fields.get("late").map(String::as_str), Some("str:recorded"), "{name}");

    // Linked, the copy of `log` is this program's, which installs nothing in it.
    if way.loaded {
        let record = with_message(key, &format!("a record of {key}"));
        assert_eq!((record.target.as_str(), record.level), ("probe::logged", Level::WARN), "{name}");
        assert_eq!(record.within, ["caller", "outer"], "{name}");
        assert_eq!(record.module.as_deref(), Some("probe::actions::traces"), "{name}");
        assert!(record.line.is_some(), "{name}");
    }
}

#[test]
fn a_reloaded_filter_reaches_the_plugin() {
    let _alone = alone();
    filter();
    for way in Way::ALL {
        let probing = block_on(Probing::serve(way, Limits::default()));
        let whispered = || {
            let key = key();
            block_on(obey(&probing, Action::Whisper, key));
            with_key(key).into_iter().filter(|it| it.target.starts_with("probe::quiet")).count()
        };
        // Linked, `log` is another matter: see above.
        let all = if way.loaded { 2 } else { 1 };
        assert_eq!(whispered(), 0, "{}", way.name());
        for _ in 0..2 {
            reload("debug,probe::quiet=trace");
            eventually("it is heard", || whispered() == all);
            reload(QUIET);
            eventually("it is not heard", || whispered() == 0);
        }
        // Depends on the span that it is in, so the filter is asked each time.
        reload("debug,probe::quiet=off,[caller]=trace");
        eventually("it is heard within the span", || whispered() == all);
        reload("debug,probe::quiet=off,[another]=trace");
        eventually("it is not heard within another", || whispered() == 0);
        reload(QUIET);
        assert!(block_on(probing.host.shutdown()).is_clean());
    }
}

#[test]
fn nothing_is_touched_after_the_end() {
    let _alone = alone();
    filter();
    for way in Way::ALL.into_iter().filter(|way| way.loaded) {
        let key = key();
        block_on(async {
            let probing = Probing::serve(way, Limits::default()).await;
            obey(&probing, Action::KeepTracing, key).await;
            eventually("the thread writes", || with_key(key).len() > 10);
            assert!(
                probing
                    .host
                    .model_policy(NAME)
                    .get_user_limits(order(Action::Answer, 0), 1, CancellationToken::new())
                    .await
                    .is_ok()
            );
            probing.host.shutdown().await;
        });
        // A span that was open at the end is closed.
        let turns = cpu_turns(key);
        eventually("the thread goes on", || cpu_turns(key) > turns + 10);
        let at_the_end = with_key(key).len();
        // The thread is there, and goes on to write. A filter that changes does not bring it back.
        reload("trace");
        let turns = cpu_turns(key);
        eventually("the thread goes on", || cpu_turns(key) > turns + 100);
        assert_eq!(with_key(key).len(), at_the_end, "{}", way.name());
        reload(QUIET);
    }
}

/// How often the thread `tracer-KEY` has gone to sleep so far.
fn cpu_turns(key: u64) -> u64 {
    let name = format!("tracer-{key}\n");
    for task in std::fs::read_dir("/proc/self/task").expect("Linux").flatten() {
        if std::fs::read_to_string(task.path().join("comm")).is_ok_and(|comm| comm == name) {
            let status = std::fs::read_to_string(task.path().join("status")).expect("its status");
            let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            return line.and_then(|count| count.trim().parse().ok()).expect("a number");
        }
    }
    panic!("no thread {name}");
}
