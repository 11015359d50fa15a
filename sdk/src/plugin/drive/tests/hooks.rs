//! The hooks of an exclusive plugin, and what one instance hands to the next.

use mini_chat_plugin_abi::descriptor::HOOKS;
use mini_chat_plugin_abi::state::{FfiState, FfiStateKind};

use super::*;

/// Which hook panics at its first poll stands in the state that it is opened with.
struct Exclusive {
    context: PluginContext,
    order: std::sync::Mutex<Vec<&'static str>>,
}

impl Exclusive {
    async fn run(&self, hook: &'static str) -> Result<(), PluginError> {
        tokio::time::sleep(Duration::from_millis(1)).await;
        let told = self.context.handover().map_or(&b""[..], Handover::bytes);
        assert!(told != format!("panic in {hook}").as_bytes(), "a panic in {hook}");
        if told == format!("fail in {hook}").as_bytes() {
            return Err(PluginError::retryable("not now").with_code(7));
        }
        self.order.lock().unwrap().push(hook);
        Ok(())
    }

    async fn quiesce(&self) -> Result<(), PluginError> {
        self.run("quiesce").await
    }

    async fn resume(&self) -> Result<(), PluginError> {
        self.run("resume").await
    }

    /// What it was given, and what was run; with more room than content.
    async fn export_state(&self) -> Result<Vec<u8>, PluginError> {
        self.run("export_state").await?;
        let handover = self.context.handover().map(|handover| (handover.bytes().to_vec(), handover.is_exact()));
        let mut state = Vec::with_capacity(4096);
        state.extend_from_slice(format!("{handover:?} {:?}", self.order.lock().unwrap()).as_bytes());
        Ok(state)
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
        id: "acme.test._.exclusive.v1", vendor: "acme", priority: 0, serves: [audit], plugin: Exclusive, config: NoConfig,
        create: |context, _| async { Ok(Exclusive { context, order: Default::default() }) },
        export_state: Exclusive::export_state, resume: Exclusive::resume, quiesce: Exclusive::quiesce,
    }
}

type Slot<R> = extern "C" fn(FfiInstance, &FfiCallContext<'_>, &mut FfiContext<'_>, &mut MaybeUninit<FfiCall<R>>);

struct Opened(PluginModuleRef, FfiInstance);

impl Opened {
    fn with(plugin: InProcessPlugin, state: &[u8], state_kind: FfiStateKind) -> Result<Self, FfiError> {
        let module = plugin.module();
        let handle = module.open()(&FfiOpenArgs {
            name: FfiStr::new("hooks"),
            generation: 2,
            purpose: FfiPurpose::SERVE,
            workers: 1,
            config: FfiStr::new("{}"),
            data_dir: FfiStr::new(""),
            host: 1,
            services: HostServicesRef(NoHost::TABLE.as_prefix()),
            state: FfiBytes::new(state),
            state_kind,
            reserved: 0,
        })
        .into_result()?;
        let this = Self(module, handle);
        this.run(FfiExecutionMode::ISOLATED, module.create()).into_result().map(|()| this)
    }

    fn run<R>(&self, mode: FfiExecutionMode, slot: Slot<R>) -> FfiReply<R> {
        let mut out = MaybeUninit::uninit();
        with_no_waker(|cx| cx.with_ffi_context(|waker| slot(self.1, &context(mode), waker, &mut out)));
        // SAFETY: the slot has written it (rule 5 of `mini_chat_plugin_abi::module`).
        match unsafe { out.assume_init() } {
            FfiCall::Ready(reply) => reply,
            FfiCall::Pending(future) => wait(future),
        }
    }

    fn exports(&self) -> String {
        let state: FfiState =
            self.run(FfiExecutionMode::ISOLATED, self.0.export_state()).into_result().expect("a state");
        String::from_utf8(state.bytes.into()).expect("it is text")
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.0.close()(self.1, 10_000);
    }
}

fn exclusive(state: &[u8], kind: FfiStateKind) -> Opened {
    Opened::with(InProcessPlugin::of::<ExclusivePlugin>(), state, kind).expect("opened and created")
}

fn hooks_of(plugin: InProcessPlugin) -> serde_json::Value {
    serde_json::from_str::<serde_json::Value>(plugin.descriptor()).expect("JSON")["hooks"].take()
}

#[test]
fn the_descriptor_lists_the_hooks_that_are_there() {
    assert_eq!(hooks_of(InProcessPlugin::of::<ExclusivePlugin>()), serde_json::json!(&HOOKS[2..]));
    assert_eq!(HOOKS[2..], ["quiesce", "resume", "export_state"]);
    assert_eq!(hooks_of(InProcessPlugin::of::<TesterPlugin>()), serde_json::json!([]));
}

#[test]
fn hooks_run_in_both_modes() {
    let opened = exclusive(b"", FfiStateKind::NONE);
    for mode in [FfiExecutionMode::INLINE, FfiExecutionMode::ISOLATED] {
        for slot in [opened.0.quiesce(), opened.0.resume()] {
            // The sleep needs the plugin's timers: the waiting runtime has none.
            opened.run(mode, slot).into_result().expect("it runs");
        }
    }
    assert_eq!(opened.exports(), r#"None ["quiesce", "resume", "quiesce", "resume", "export_state"]"#);
}

#[test]
fn without_hooks_there_is_nothing_to_do_and_nothing_to_hand_over() {
    let opened = Opened::with(InProcessPlugin::of::<TesterPlugin>(), b"ignored", FfiStateKind::EXACT).expect("opened");
    for slot in [opened.0.quiesce(), opened.0.resume()] {
        opened.run(FfiExecutionMode::INLINE, slot).into_result().expect("ready");
    }
    assert_eq!(opened.exports(), "");
}

#[test]
fn what_one_exports_the_next_is_told() {
    let first = exclusive(b"", FfiStateKind::NONE).exports();
    assert_eq!(first, r#"None ["export_state"]"#);
    let bytes = b"none".to_vec();
    let given = |exact: bool| format!(r#"Some(({bytes:?}, {exact})) ["export_state"]"#);
    assert_eq!(exclusive(&bytes, FfiStateKind::EXACT).exports(), given(true));
    assert_eq!(exclusive(&bytes, FfiStateKind::HINT).exports(), given(false));
    // An empty state is not the same as none.
    assert_eq!(exclusive(&[], FfiStateKind::HINT).exports(), r#"Some(([], false)) ["export_state"]"#);
}

#[test]
fn a_state_of_an_unknown_kind_is_refused() {
    let refused = Opened::with(InProcessPlugin::of::<ExclusivePlugin>(), b"x", FfiStateKind { value: 77 });
    let error = refused.err().expect("refused");
    assert_eq!(error.origin, FfiErrorOrigin::UNSUPPORTED);
    assert_eq!(error.message.as_str(), "the plugin does not know the kind unknown(77) of a predecessor's state");
}

#[test]
fn the_buffer_of_a_state_crosses_with_its_room() {
    use crate::convert::HeapBytes;
    let opened = exclusive(b"", FfiStateKind::NONE);
    let reply = opened.run(FfiExecutionMode::INLINE, opened.0.export_state());
    assert_eq!(reply.heap_bytes(), 4096);
}

#[test]
fn panics_and_errors_of_hooks_are_answers() {
    for mode in [FfiExecutionMode::INLINE, FfiExecutionMode::ISOLATED] {
        for hook in ["quiesce", "resume", "export_state"] {
            let run = |told: String| {
                let opened = exclusive(told.as_bytes(), FfiStateKind::HINT);
                let reply = match hook {
                    "quiesce" => opened.run(mode, opened.0.quiesce()).into_result(),
                    "resume" => opened.run(mode, opened.0.resume()).into_result(),
                    _ => opened.run(mode, opened.0.export_state()).into_result().map(drop),
                };
                reply.expect_err("it fails")
            };
            let panicked = run(format!("panic in {hook}"));
            assert_eq!((panicked.origin, panicked.kind), (FfiErrorOrigin::PANIC, FfiErrorKind::PERMANENT));
            assert_eq!(panicked.message.as_str(), format!("a panic in {hook}"));
            let failed = run(format!("fail in {hook}"));
            assert_eq!((failed.origin, failed.kind), (FfiErrorOrigin::PLUGIN, FfiErrorKind::TRANSIENT));
            assert_eq!((failed.message.as_str(), failed.code), ("not now", 7));
        }
    }
}
