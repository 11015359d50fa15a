use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use mini_chat_plugin_sdk::prelude::*;

use super::super::{OpenedInstance, Settings};
use super::Handover as Told;
use super::*;
use crate::config::{ConfigTable, ExecutionMode, Limits, ProcessSecrets};
use crate::events::Events;
use crate::housekeeping::{Housekeeping, after};
use crate::open::OpenedImage;
use crate::services::{HostIdentity, Registration};

/// No test reaches it by being slow.
const PATIENT: Duration = Duration::from_secs(60);

/// What it is told in its handover is an order: `fail`, `panic`, `hang`, `large`; anything else is kept.
struct Exclusive {
    told: Option<Vec<u8>>,
    exact: bool,
    held: AtomicBool,
    ran: Mutex<Vec<&'static str>>,
}

impl Exclusive {
    async fn create(context: PluginContext, _: NoConfig) -> Result<Self, PluginError> {
        let told = context.handover().map(|handover| handover.bytes().to_vec());
        let exact = context.handover().is_some_and(|handover| handover.is_exact());
        Ok(Self { told, exact, held: AtomicBool::new(true), ran: Mutex::default() })
    }

    async fn run(&self, hook: &'static str) -> Result<(), PluginError> {
        match self.told.as_deref() {
            Some(b"fail") => return Err(PluginError::retryable(format!("{hook} does not work now"))),
            Some(b"panic") => panic!("a panic in {hook}"),
            Some(b"hang") => std::future::pending().await,
            _ => self.ran.lock().unwrap().push(hook),
        }
        Ok(())
    }

    async fn quiesce(&self) -> Result<(), PluginError> {
        self.run("quiesce").await?;
        self.held.store(false, Ordering::SeqCst);
        Ok(())
    }

    async fn resume(&self) -> Result<(), PluginError> {
        self.run("resume").await?;
        self.held.store(true, Ordering::SeqCst);
        Ok(())
    }

    async fn export_state(&self) -> Result<Vec<u8>, PluginError> {
        self.run("export_state").await?;
        if let Some(large) = self.told.as_deref().and_then(|told| told.strip_prefix(b"large ")) {
            return Ok(vec![7; std::str::from_utf8(large).unwrap().parse().unwrap()]);
        }
        let (held, ran) = (self.held.load(Ordering::SeqCst), self.ran.lock().unwrap());
        let told = self.told.as_deref().map(String::from_utf8_lossy);
        Ok(format!("{told:?} exact={} held={held} {ran:?}", self.exact).into_bytes())
    }
}

#[async_trait]
#[rustfmt::skip]
impl MiniChatAuditPluginClientV1 for Exclusive {
    async fn emit_turn_audit(&self, _: TurnAuditEvent) -> Result<(), MiniChatAuditPluginError> { Ok(()) }
    async fn emit_turn_retry_audit(&self, _: TurnRetryAuditEvent) -> Result<(), MiniChatAuditPluginError> { Ok(()) }
    async fn emit_turn_edit_audit(&self, _: TurnEditAuditEvent) -> Result<(), MiniChatAuditPluginError> { Ok(()) }
    async fn emit_turn_delete_audit(&self, _: TurnDeleteAuditEvent) -> Result<(), MiniChatAuditPluginError> { Ok(()) }
}

define_plugin! {
    ExclusivePlugin {
        id: "tests.handover._.exclusive.v1", vendor: "tests", priority: 0, serves: [audit], plugin: Exclusive,
        config: NoConfig, create: Exclusive::create, quiesce: Exclusive::quiesce, resume: Exclusive::resume,
        export_state: Exclusive::export_state,
    }
}

/// Has the functions, but does not say so: a host must not call them.
mod plain {
    use super::*;

    define_plugin! {
        pub(super) PlainPlugin {
            id: "tests.handover._.plain.v1", vendor: "tests", priority: 0, serves: [audit], plugin: Exclusive,
            config: NoConfig, create: Exclusive::create,
        }
    }
}

async fn instance(plugin: InProcessPlugin, handover: Option<(&[u8], bool)>) -> Arc<Instance> {
    let image = OpenedImage::in_process(plugin).expect("its descriptor is good");
    let identity = HostIdentity { name: "tests".to_owned(), version: "1".to_owned() };
    let settings = Settings {
        purpose: mini_chat_plugin_abi::instance::FfiPurpose::SERVE,
        name: "one".into(),
        generation: 1,
        mode: ExecutionMode::Inline,
        workers: 1,
        data_dir: String::new(),
        limits: Limits { create: PATIENT, health: PATIENT, ..Limits::default() },
        vendor: None,
        instance: None,
        priority: None,
        config: ConfigTable::default(),
        registration: Arc::new(Registration::new(identity, None)),
        handover: handover.map(|(bytes, exact)| Told { bytes: bytes.into(), exact }),
    };
    let config = settings.config.resolve(&ProcessSecrets).expect("an empty configuration");
    let housekeeping = Housekeeping::start().expect("a thread");
    let opened = OpenedInstance::open(image, settings, config, housekeeping).await.expect("it opens");
    Arc::new(opened.create(Events::new(), |_| ()).await.expect("it is created"))
}

async fn exclusive(told: &str) -> Arc<Instance> {
    instance(InProcessPlugin::of::<ExclusivePlugin>(), Some((told.as_bytes(), false))).await
}

async fn exported(instance: &Instance) -> String {
    String::from_utf8(instance.export_state(PATIENT).await.expect("exported").expect("a state")).expect("text")
}

#[test]
fn the_hooks_run_in_the_order_in_which_they_are_called() {
    block_on(async {
        let instance = instance(InProcessPlugin::of::<ExclusivePlugin>(), None).await;
        assert!(instance.has_hook("quiesce"));
        assert_eq!(exported(&instance).await, r#"None exact=false held=true ["export_state"]"#);
        instance.quiesce(PATIENT).await.expect("quiesced");
        let exact = exported(&instance).await;
        assert_eq!(exact, r#"None exact=false held=false ["export_state", "quiesce", "export_state"]"#);
        instance.resume(PATIENT).await.expect("resumed");
        assert!(exported(&instance).await.contains("held=true"));
        instance.end(after(PATIENT), after(PATIENT), |_| ()).await;
    });
}

#[test]
fn the_successor_is_told_and_the_host_keeps_nothing() {
    block_on(async {
        for exact in [true, false] {
            let told = Some((&b"seven"[..], exact));
            let instance = instance(InProcessPlugin::of::<ExclusivePlugin>(), told).await;
            assert_eq!(exported(&instance).await, format!(r#"Some("seven") exact={exact} held=true ["export_state"]"#));
            assert!(instance.settings.handover.is_none(), "the host keeps the state of a predecessor");
        }
    });
}

#[test]
fn a_plugin_without_the_hooks_is_not_asked() {
    block_on(async {
        let instance = instance(InProcessPlugin::of::<plain::PlainPlugin>(), Some((b"panic", true))).await;
        assert!(!instance.has_hook("quiesce"));
        instance.quiesce(PATIENT).await.expect("nothing to do");
        instance.resume(PATIENT).await.expect("nothing to do");
        assert_eq!(instance.export_state(PATIENT).await.expect("nothing to tell"), None);
    });
}

#[test]
fn what_goes_wrong_in_a_hook_is_said_in_its_words() {
    block_on(async {
        let stages = [(Stage::Quiesce, "quiesce"), (Stage::Resume, "resume"), (Stage::ExportState, "export_state")];
        for (stage, hook) in stages {
            let failing = async |told: &str, limit: Duration| {
                let instance = exclusive(told).await;
                let result = match stage {
                    Stage::Quiesce => instance.quiesce(limit).await,
                    Stage::Resume => instance.resume(limit).await,
                    _ => instance.export_state(limit).await.map(drop),
                };
                result.expect_err("it goes wrong")
            };
            let failed = failing("fail", PATIENT).await;
            assert!(failed.is_retryable());
            let text = format!("plugin one: its hook {hook} failed: {hook} does not work now (may be tried again)");
            assert_eq!(failed.to_string(), text);

            let panicked = failing("panic", PATIENT).await;
            assert!(matches!(panicked, CreateError::Panicked { stage: found, .. } if found == stage), "{panicked}");
            assert!(panicked.to_string().contains(&format!("a panic in {hook}; this is a bug")), "{panicked}");

            let late = failing("hang", Duration::from_millis(20)).await;
            let text =
                format!("plugin one: its hook {hook} did not end within 20ms; raise limits.hold or mend the plugin");
            assert_eq!(late.to_string(), text);
        }
    });
}

#[test]
fn a_state_has_a_limit() {
    block_on(async {
        let most = exclusive(&format!("large {MAX_STATE_BYTES}")).await;
        let state = most.export_state(PATIENT).await.expect("exported").expect("a state");
        assert_eq!(state.len(), MAX_STATE_BYTES);
        let beyond = exclusive(&format!("large {}", MAX_STATE_BYTES + 1)).await;
        assert_eq!(beyond.export_state(PATIENT).await.expect("exported, but discarded"), None);
    });
}

#[test]
fn a_handover_is_not_shown() {
    let handover = Told { bytes: (*b"secret").into(), exact: true };
    assert_eq!(format!("{handover:?}"), "Handover { len: 6, exact: true }");
}

/// The loader needs no runtime: any executor does.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    futures_executor::block_on(future)
}
