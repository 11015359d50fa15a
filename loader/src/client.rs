//! The handles that a host calls plugins by: async trait objects that point at a slot.
//!
//! [`Call`] is a future written by hand: what a plugin answers at once, which is nearly all, is one poll that keeps nothing in
//! its state and moves arguments once, from the box of the trait object's future into the record that crosses.

use std::future::Future;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_ffi::FfiContext;
use mini_chat_plugin_abi::call::{FfiCall, FfiCallContext, FfiReply, FfiToken};
use mini_chat_plugin_abi::module::{PluginAuditRef, PluginModelPolicyRef};
use mini_chat_plugin_abi::scalar::FfiUuid;
use mini_chat_plugin_sdk::audit_models::{
    TurnAuditEvent, TurnDeleteAuditEvent, TurnEditAuditEvent, TurnRetryAuditEvent,
};
use mini_chat_plugin_sdk::call::monotonic_ns;
#[cfg(mini_chat_abi = "1.2")]
use mini_chat_plugin_sdk::convert::Older;
use mini_chat_plugin_sdk::convert::{Domain, HeapBytes};
use mini_chat_plugin_sdk::error::{MiniChatAuditPluginError, MiniChatModelPolicyPluginError, PublishError};
use mini_chat_plugin_sdk::models::{PolicySnapshot, PolicyVersionInfo, UsageEvent, UserLicenseStatus, UserLimits};
use mini_chat_plugin_sdk::plugin_api::{MiniChatAuditPluginClientV1, MiniChatModelPolicyPluginClientV1};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::call::{self, Failure, Fault, FromFailure, Subject, Waiting};
use crate::cancel::Cancellation;
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
        self.slot.current().map_or(Duration::MAX, |instance| instance.deadline(method))
    }

    /// What a call has come to, once it has its answer.
    fn ended<D, E>(
        &self,
        entered: Entered,
        method: Method,
        answer: Result<D::Record, Fault>,
        took: Took,
    ) -> Result<D, E>
    where
        D: Domain,
        E: FromFailure,
    {
        let outcome = answer.map_err(Failure::Fault).and_then(|record| D::from_record(record).map_err(Failure::Answer));
        let counted = outcome.as_ref().map_or_else(Failure::outcome, |_| Outcome::Ok);
        entered.instance().tally.count(method, counted, took);
        outcome.map_err(|failure| self.failed(entered, method, failure))
    }

    #[cold]
    fn failed<E: FromFailure>(&self, entered: Entered, method: Method, failure: Failure) -> E {
        let instance = Arc::clone(entered.instance());
        // It leaves before it is judged: it would else be both among the calls that have ended and those under way.
        drop(entered);
        let on_trial = instance.failed(failure.class());
        E::from_failure(failure, self.subject(method, on_trial))
    }

    /// A call that never began.
    #[cold]
    fn refused<E: FromFailure>(&self, method: Method, failure: Failure) -> E {
        self.slot.ledger().not_serving(method);
        E::from_failure(failure, self.subject(method, false))
    }

    fn subject(&self, method: Method, on_trial: bool) -> Subject<'_> {
        Subject { plugin: self.slot.name(), method, on_trial }
    }
}

/// A method's future, as `async_trait` has it.
type Answer<'t, D, E> = Pin<Box<dyn Future<Output = Result<D, E>> + Send + 't>>;

/// One call: enter, cross, convert, count, and give every failure in the terms of the trait.
struct Call<'a, D: Domain, E, S> {
    client: &'a SlotClient,
    method: Method,
    token: Option<CancellationToken>,
    /// Makes the crossing call, once.
    start: S,
    stage: Stage<'a, D::Record>,
    _answer: PhantomData<fn() -> Result<D, E>>,
}

enum Stage<'a, R> {
    /// Nothing has happened: it was not polled yet.
    New,
    /// It cannot begin yet.
    Held(Pin<Box<dyn Future<Output = Result<Entered, Failure>> + Send + 'a>>),
    /// It was not answered at once.
    Waiting(Box<UnderWay<R>>),
    /// It has answered, or is about to.
    Over,
}

// Nothing in it is pinned in place: what is polled is boxed.
impl<D: Domain, E, S> Unpin for Call<'_, D, E, S> {}

impl<'a, D, E, S> Call<'a, D, E, S>
where
    D: Domain<Record: HeapBytes>,
    E: FromFailure,
    S: FnMut(&Instance, &FfiCallContext<'_>, &mut FfiContext<'_>, Out<'_, D::Record>),
{
    fn new(client: &'a SlotClient, method: Method, token: Option<CancellationToken>, start: S) -> Self {
        Self { client, method, token, start, stage: Stage::New, _answer: PhantomData }
    }

    /// Makes the crossing call of what was entered; it is over if that answers.
    fn cross(&mut self, entered: Entered, cx: &mut Context<'_>) -> Poll<Result<D, E>> {
        let instance = entered.instance();
        if !instance.serves(self.method.kind()) {
            return Poll::Ready(Err(self.client.refused(self.method, does_not_serve(self.method.kind()))));
        }
        let terms = instance.terms(self.method);
        let cancellation = self.token.as_ref().map(|token| instance.cancellation(token));
        let mirror = cancellation.as_ref().map_or(FfiToken::NONE, Cancellation::mirror);
        let began_ns = monotonic_ns();
        let start = |context: &FfiCallContext<'_>, waker: &mut FfiContext<'_>, out: Out<'_, D::Record>| {
            (self.start)(instance, context, waker, out);
        };
        match call::cross(&terms, mirror, began_ns, start, cx) {
            (FfiCall::Ready(reply), _) => {
                let answer = call::answered(instance.live(), reply);
                drop(cancellation);
                Poll::Ready(self.client.ended(entered, self.method, answer, Took { began_ns, at_once: true }))
            }
            (FfiCall::Pending(future), woken) => {
                let link = cancellation.as_ref().map(|cancellation| Arc::clone(cancellation.link()));
                drop(cancellation);
                let cancelled = self.token.take().zip(link);
                let waiting = Waiting::new(terms, began_ns, (future, woken), cancelled);
                self.wait(entered, waiting, began_ns, cx)
            }
        }
    }

    /// It was not answered at once.
    #[inline(never)]
    fn wait(
        &mut self,
        mut entered: Entered,
        waiting: Waiting<D::Record>,
        began_ns: u64,
        cx: &mut Context<'_>,
    ) -> Poll<Result<D, E>> {
        entered.keep();
        self.stage =
            Stage::Waiting(Box::new(UnderWay { waiting, entered: Some(entered), method: self.method, began_ns }));
        self.again(cx)
    }

    /// It cannot begin at once.
    #[cold]
    fn hold(&mut self, closed: Closed, cx: &mut Context<'_>) -> Poll<Result<D, E>> {
        self.stage = Stage::Held(Box::pin(self.client.wait(self.method, closed)));
        self.again(cx)
    }

    #[inline(never)]
    fn again(&mut self, cx: &mut Context<'_>) -> Poll<Result<D, E>> {
        match &mut self.stage {
            Stage::Held(held) => {
                let entered = ready!(held.as_mut().poll(cx));
                self.stage = Stage::Over;
                match entered {
                    Ok(entered) => self.cross(entered, cx),
                    Err(failure) => Poll::Ready(Err(self.client.refused(self.method, failure))),
                }
            }
            Stage::Waiting(under_way) => {
                let answer = ready!(under_way.poll(cx));
                let took = Took { began_ns: under_way.began_ns, at_once: false };
                let entered = under_way.entered.take().expect("it leaves once it has ended");
                self.stage = Stage::Over;
                Poll::Ready(self.client.ended::<D, E>(entered, self.method, answer, took))
            }
            Stage::New | Stage::Over => panic!("a call is not polled after it has answered"),
        }
    }
}

impl<'a, D, E, S> Future for Call<'a, D, E, S>
where
    D: Domain<Record: HeapBytes>,
    E: FromFailure,
    S: FnMut(&Instance, &FfiCallContext<'_>, &mut FfiContext<'_>, Out<'_, D::Record>),
{
    type Output = Result<D, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if !matches!(this.stage, Stage::New) {
            return this.again(cx);
        }
        this.stage = Stage::Over;
        match this.client.slot.enter() {
            Ok(entered) => this.cross(entered, cx),
            Err(closed) => this.hold(closed, cx),
        }
    }
}

/// A call that was not answered at once: counted also if its caller drops it; then it leaves the instance.
struct UnderWay<R> {
    /// Before `entered`, which keeps open what its drop calls.
    waiting: Waiting<R>,
    /// None once the call has ended.
    entered: Option<Entered>,
    method: Method,
    began_ns: u64,
}

impl<R: HeapBytes> UnderWay<R> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<R, Fault>> {
        let entered = self.entered.as_ref().expect("a call that waits has not left");
        self.waiting.poll(entered.instance().live(), cx)
    }
}

impl<R> Drop for UnderWay<R> {
    fn drop(&mut self) {
        if let Some(entered) = &self.entered {
            self.waiting.let_go();
            entered.instance().tally.count_dropped(self.method);
        }
    }
}

/// Why what was entered cannot answer.
#[cold]
fn does_not_serve(kind: Kind) -> Failure {
    Failure::NotServing(format!("it does not serve {}", kind.name()))
}

type Out<'a, R> = &'a mut MaybeUninit<FfiCall<R>>;

fn ffi_uuid(uuid: Uuid) -> FfiUuid {
    FfiUuid { bytes: uuid.into_bytes() }
}

/// The vtable of a kind that the call found to be served.
fn policy(instance: &Instance) -> PluginModelPolicyRef {
    instance.policy.expect("a call crosses only if the kind is served")
}

/// The vtable of a kind that the call found to be served.
fn audit(instance: &Instance) -> PluginAuditRef {
    instance.audit.expect("a call crosses only if the kind is served")
}

/// An event as its record; its buffers change accounts. The plugin moves it out, always.
#[inline]
fn record<D: Domain<Record: HeapBytes>>(event: &mut Option<D>, instance: &Instance) -> MaybeUninit<D::Record> {
    let record = event.take().expect("a call crosses once").into_record();
    if let Some(account) = instance.account() {
        account.moved_in(record.heap_bytes());
    }
    MaybeUninit::new(record)
}

// By hand what `#[async_trait]` would make of these, but for the future.

impl MiniChatModelPolicyPluginClientV1 for SlotClient {
    fn get_current_policy_version<'s, 't>(
        &'s self,
        user_id: Uuid,
        cancel: CancellationToken,
    ) -> Answer<'t, PolicyVersionInfo, MiniChatModelPolicyPluginError>
    where
        's: 't,
        Self: 't,
    {
        Box::pin(Call::new(
            self,
            Method::GetCurrentPolicyVersion,
            Some(cancel),
            move |instance, context, waker, out| {
                let call = policy(instance).get_current_policy_version();
                call(instance.raw(), context, ffi_uuid(user_id), waker, out);
            },
        ))
    }

    fn get_policy_snapshot<'s, 't>(
        &'s self,
        user_id: Uuid,
        policy_version: u64,
        cancel: CancellationToken,
    ) -> Answer<'t, PolicySnapshot, MiniChatModelPolicyPluginError>
    where
        's: 't,
        Self: 't,
    {
        Box::pin(Call::new(self, Method::GetPolicySnapshot, Some(cancel), move |instance, context, waker, out| {
            let call = policy(instance).get_policy_snapshot();
            call(instance.raw(), context, ffi_uuid(user_id), policy_version, waker, out);
        }))
    }

    fn get_user_limits<'s, 't>(
        &'s self,
        user_id: Uuid,
        policy_version: u64,
        cancel: CancellationToken,
    ) -> Answer<'t, UserLimits, MiniChatModelPolicyPluginError>
    where
        's: 't,
        Self: 't,
    {
        Box::pin(Call::new(self, Method::GetUserLimits, Some(cancel), move |instance, context, waker, out| {
            let call = policy(instance).get_user_limits();
            call(instance.raw(), context, ffi_uuid(user_id), policy_version, waker, out);
        }))
    }

    fn check_user_license<'s, 't>(
        &'s self,
        user_id: Uuid,
        cancel: CancellationToken,
    ) -> Answer<'t, UserLicenseStatus, MiniChatModelPolicyPluginError>
    where
        's: 't,
        Self: 't,
    {
        Box::pin(Call::new(self, Method::CheckUserLicense, Some(cancel), move |instance, context, waker, out| {
            #[cfg(not(mini_chat_abi = "1.0"))]
            if let Some(call) = policy(instance).check_user_license() {
                return call(instance.raw(), context, ffi_uuid(user_id), waker, out);
            }
            // One of the two sides is of ABI 1.0: the default body of the trait.
            let _ = (context, user_id, waker);
            instance.tally.count_default(Method::CheckUserLicense);
            let status = UserLicenseStatus { active: false };
            out.write(FfiCall::Ready(FfiReply::ROk(status.into_record())));
        }))
    }

    fn publish_usage<'s, 't>(&'s self, payload: UsageEvent, cancel: CancellationToken) -> Answer<'t, (), PublishError>
    where
        's: 't,
        Self: 't,
    {
        let mut payload = Some(payload);
        Box::pin(Call::new(self, Method::PublishUsage, Some(cancel), move |instance, context, waker, out| {
            #[cfg(mini_chat_abi = "1.2")]
            if let Some(call) = policy(instance).publish_usage_v2() {
                return call(instance.raw(), context, &mut record(&mut payload, instance), waker, out);
            }
            // To a plugin that knows no more of it: what is newer is dropped.
            #[cfg(mini_chat_abi = "1.2")]
            let mut payload = payload.take().map(Older);
            let call = policy(instance).publish_usage();
            call(instance.raw(), context, &mut record(&mut payload, instance), waker, out);
        }))
    }
}

macro_rules! audit_methods {
    ($($name:ident($event:ty) = $method:expr;)+) => {
        $(fn $name<'s, 't>(
            &'s self,
            event: $event,
            #[cfg(mini_chat_abi = "1.2")] cancel: CancellationToken,
        ) -> Answer<'t, (), MiniChatAuditPluginError>
        where
            's: 't,
            Self: 't,
        {
            #[cfg(not(mini_chat_abi = "1.2"))]
            let token = None;
            // The context carries it: a plugin whose SDK is older does not look there.
            #[cfg(mini_chat_abi = "1.2")]
            let token = Some(cancel);
            let mut event = Some(event);
            Box::pin(Call::new(self, $method, token, move |instance, context, waker, out| {
                let call = audit(instance).$name();
                call(instance.raw(), context, &mut record(&mut event, instance), waker, out);
            }))
        })+
    };
}

impl MiniChatAuditPluginClientV1 for SlotClient {
    audit_methods! {
        emit_turn_audit(TurnAuditEvent) = Method::EmitTurnAudit;
        emit_turn_retry_audit(TurnRetryAuditEvent) = Method::EmitTurnRetryAudit;
        emit_turn_edit_audit(TurnEditAuditEvent) = Method::EmitTurnEditAudit;
        emit_turn_delete_audit(TurnDeleteAuditEvent) = Method::EmitTurnDeleteAudit;
    }
}
