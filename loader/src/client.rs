//! The handles that a host calls plugins by: async trait objects that point at a slot.

use std::mem::MaybeUninit;
use std::sync::Arc;
use std::time::Duration;

use async_ffi::FfiContext;
use async_trait::async_trait;
use mini_chat_plugin_abi::call::{FfiCall, FfiCallContext, FfiReply};
use mini_chat_plugin_abi::module::{PluginAuditRef, PluginModelPolicyRef};
use mini_chat_plugin_abi::scalar::FfiUuid;
use mini_chat_plugin_sdk::audit_models::{
    TurnAuditEvent, TurnDeleteAuditEvent, TurnEditAuditEvent, TurnRetryAuditEvent,
};
use mini_chat_plugin_sdk::convert::{Domain, HeapBytes};
use mini_chat_plugin_sdk::error::{MiniChatAuditPluginError, MiniChatModelPolicyPluginError, PublishError};
use mini_chat_plugin_sdk::models::{PolicySnapshot, PolicyVersionInfo, UsageEvent, UserLicenseStatus, UserLimits};
use mini_chat_plugin_sdk::plugin_api::{MiniChatAuditPluginClientV1, MiniChatModelPolicyPluginClientV1};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::call::{self, Ended, Failure, FromFailure, Subject};
use crate::instance::{Entered, Instance};
use crate::method::{Kind, Method};
use crate::metrics::{Outcome, Took};
use crate::slot::{Closed, Slot};

/// Serves both traits from whatever instance the slot has.
pub(crate) struct SlotClient {
    slot: Arc<Slot>,
}

impl SlotClient {
    pub(crate) fn new(slot: Arc<Slot>) -> Self {
        Self { slot }
    }

    /// Begins a call that could not begin at once.
    async fn wait(&self, method: Method, mut closed: Closed) -> Result<Entered, Failure> {
        loop {
            match closed {
                Closed::Empty(reason) => return Err(Failure::NotServing(reason.text)),
                Closed::Held(hold) => hold.released(self.deadline(method)).await.map_err(Failure::NotServing)?,
            }
            match self.slot.enter() {
                Ok(entered) => return Ok(entered),
                Err(again) => closed = again,
            }
        }
    }

    /// How long a call of what serves may take.
    fn deadline(&self, method: Method) -> Duration {
        self.slot.current().map_or(Duration::MAX, |instance| instance.settings.limits.deadline(method))
    }

    /// One call: enter, cross, convert, count, and give every failure in the terms of the trait.
    async fn call<D, E, S>(&self, method: Method, token: Option<CancellationToken>, start: S) -> Result<D, E>
    where
        D: Domain<Record: HeapBytes>,
        E: FromFailure,
        S: FnOnce(&Instance, &FfiCallContext<'_>, &mut FfiContext<'_>, Out<'_, D::Record>),
    {
        let entered = match self.slot.enter() {
            Ok(entered) => Ok(entered),
            Err(closed) => self.wait(method, closed).await,
        };
        let entered = match entered.and_then(|entered| serving(entered, method.kind())) {
            Ok(entered) => entered,
            Err(failure) => {
                self.slot.ledger().not_serving(method);
                return Err(self.failed(failure, method, false));
            }
        };
        let mut under_way = UnderWay { entered, method, ended: false };
        let instance = under_way.entered.instance();
        let cancellation = token.map(|token| instance.cancellation(token));
        let terms = instance.terms(method);
        let start = |context: &FfiCallContext<'_>, waker: &mut FfiContext<'_>, out: Out<'_, D::Record>| {
            start(instance, context, waker, out);
        };
        let Ended { answer, took } = call::call(instance.live(), &terms, cancellation, start).await;
        let outcome = answer.map_err(Failure::Fault).and_then(|record| D::from_record(record).map_err(Failure::Answer));
        under_way.ended(outcome.as_ref().map_or_else(Failure::outcome, |_| Outcome::Ok), took);
        outcome.map_err(|failure| {
            let instance = Arc::clone(under_way.entered.instance());
            // It leaves before it is judged: it would else be both among the calls that have ended and those under way.
            drop(under_way);
            let on_trial = instance.failed(failure.class());
            self.failed(failure, method, on_trial)
        })
    }

    fn failed<E: FromFailure>(&self, failure: Failure, method: Method, on_trial: bool) -> E {
        E::from_failure(failure, Subject { plugin: self.slot.name(), method, on_trial })
    }
}

/// A call that is counted when it has ended, also if its caller drops it; then it leaves the instance.
struct UnderWay {
    entered: Entered,
    method: Method,
    ended: bool,
}

impl UnderWay {
    fn ended(&mut self, outcome: Outcome, took: Took) {
        self.ended = true;
        self.entered.instance().tally.count(self.method, outcome, took);
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if !self.ended {
            self.entered.instance().tally.count_dropped(self.method);
        }
    }
}

/// What was entered, if it serves the kind.
fn serving(entered: Entered, kind: Kind) -> Result<Entered, Failure> {
    if entered.instance().serves(kind) {
        Ok(entered)
    } else {
        Err(Failure::NotServing(format!("it does not serve {}", kind.name())))
    }
}

type Out<'a, R> = &'a mut MaybeUninit<FfiCall<R>>;

fn ffi_uuid(uuid: Uuid) -> FfiUuid {
    FfiUuid { bytes: uuid.into_bytes() }
}

/// The vtable of a kind that [`serving`] found to be served.
fn policy(instance: &Instance) -> PluginModelPolicyRef {
    instance.policy.expect("`serving` checked that the kind is served")
}

/// The vtable of a kind that [`serving`] found to be served.
fn audit(instance: &Instance) -> PluginAuditRef {
    instance.audit.expect("`serving` checked that the kind is served")
}

/// An event as its record; its buffers change accounts. The plugin moves it out, always.
fn record<D: Domain<Record: HeapBytes>>(event: D, instance: &Instance) -> MaybeUninit<D::Record> {
    let record = event.into_record();
    if let Some(account) = instance.account() {
        account.moved_in(record.heap_bytes());
    }
    MaybeUninit::new(record)
}

#[async_trait]
impl MiniChatModelPolicyPluginClientV1 for SlotClient {
    async fn get_current_policy_version(
        &self,
        user_id: Uuid,
        cancel: CancellationToken,
    ) -> Result<PolicyVersionInfo, MiniChatModelPolicyPluginError> {
        self.call(Method::GetCurrentPolicyVersion, Some(cancel), |instance, context, waker, out| {
            let call = policy(instance).get_current_policy_version();
            call(instance.raw(), context, ffi_uuid(user_id), waker, out);
        })
        .await
    }

    async fn get_policy_snapshot(
        &self,
        user_id: Uuid,
        policy_version: u64,
        cancel: CancellationToken,
    ) -> Result<PolicySnapshot, MiniChatModelPolicyPluginError> {
        self.call(Method::GetPolicySnapshot, Some(cancel), |instance, context, waker, out| {
            let call = policy(instance).get_policy_snapshot();
            call(instance.raw(), context, ffi_uuid(user_id), policy_version, waker, out);
        })
        .await
    }

    async fn get_user_limits(
        &self,
        user_id: Uuid,
        policy_version: u64,
        cancel: CancellationToken,
    ) -> Result<UserLimits, MiniChatModelPolicyPluginError> {
        self.call(Method::GetUserLimits, Some(cancel), |instance, context, waker, out| {
            let call = policy(instance).get_user_limits();
            call(instance.raw(), context, ffi_uuid(user_id), policy_version, waker, out);
        })
        .await
    }

    async fn check_user_license(
        &self,
        user_id: Uuid,
        cancel: CancellationToken,
    ) -> Result<UserLicenseStatus, MiniChatModelPolicyPluginError> {
        self.call(Method::CheckUserLicense, Some(cancel), |instance, context, waker, out| {
            match policy(instance).check_user_license() {
                Some(call) => call(instance.raw(), context, ffi_uuid(user_id), waker, out),
                // A plugin of ABI 1.0: the default body of the trait.
                None => {
                    let status = UserLicenseStatus { active: false };
                    out.write(FfiCall::Ready(FfiReply::ROk(status.into_record())));
                }
            }
        })
        .await
    }

    async fn publish_usage(&self, payload: UsageEvent, cancel: CancellationToken) -> Result<(), PublishError> {
        self.call(Method::PublishUsage, Some(cancel), |instance, context, waker, out| {
            let call = policy(instance).publish_usage();
            call(instance.raw(), context, &mut record(payload, instance), waker, out);
        })
        .await
    }
}

#[async_trait]
impl MiniChatAuditPluginClientV1 for SlotClient {
    async fn emit_turn_audit(&self, event: TurnAuditEvent) -> Result<(), MiniChatAuditPluginError> {
        self.call(Method::EmitTurnAudit, None, |instance, context, waker, out| {
            let call = audit(instance).emit_turn_audit();
            call(instance.raw(), context, &mut record(event, instance), waker, out);
        })
        .await
    }

    async fn emit_turn_retry_audit(&self, event: TurnRetryAuditEvent) -> Result<(), MiniChatAuditPluginError> {
        self.call(Method::EmitTurnRetryAudit, None, |instance, context, waker, out| {
            let call = audit(instance).emit_turn_retry_audit();
            call(instance.raw(), context, &mut record(event, instance), waker, out);
        })
        .await
    }

    async fn emit_turn_edit_audit(&self, event: TurnEditAuditEvent) -> Result<(), MiniChatAuditPluginError> {
        self.call(Method::EmitTurnEditAudit, None, |instance, context, waker, out| {
            let call = audit(instance).emit_turn_edit_audit();
            call(instance.raw(), context, &mut record(event, instance), waker, out);
        })
        .await
    }

    async fn emit_turn_delete_audit(&self, event: TurnDeleteAuditEvent) -> Result<(), MiniChatAuditPluginError> {
        self.call(Method::EmitTurnDeleteAudit, None, |instance, context, waker, out| {
            let call = audit(instance).emit_turn_delete_audit();
            call(instance.raw(), context, &mut record(event, instance), waker, out);
        })
        .await
    }
}
