//! Spans and events of a plugin's `tracing` in the host's subscriber: [`HostTracing`].
//!
//! Implemented by: host. Called by: plugin, from any thread, at any time until the process ends; the functions never unwind.
//!
//! A plugin has a copy of `tracing` of its own. In that copy a subscriber of the SDK's forwards everything here, and the host
//! gives it to its own subscriber as if a callsite of the host's had made it: with the same name, target, level, place and
//! fields, and with the types of the values.
//!
//! # Rules
//!
//! 1. The first argument of most functions is the handle of an open instance, as for
//!    [`HostServices`](crate::host::HostServices). Once the instance is closed they do nothing; only `enter`, `exit`,
//!    `clone_span` and `close_span` go on for spans that were open then.
//! 2. A [`FfiTraceSite`] comes from [`HostTracing::register`], is immortal, and is good for every handle.
//! 3. Spans are named by numbers of the host's subscriber. A number is only looked up there: one that is stale or was made
//!    up finds nothing, or another span.
//! 4. What the host's filter says of a site may change at any time. The host then calls
//!    `PluginModule::tracing_changed`, and the plugin asks [`HostTracing::interest`] again for each of its sites.

use core::ffi::c_void;

use abi_stable::StableAbi;
use abi_stable::std_types::RSlice;

use crate::buffer::FfiStr;
use crate::host::FfiLogLevel;
use crate::open_enum::open_enum;
use crate::records::layout::assert_layout;

open_enum! {
    /// What stands at a callsite. A value that the host does not know is an event.
    FfiTraceKind {
        /// An event.
        EVENT = 0,
        /// A span.
        SPAN = 1,
    }
}

open_enum! {
    /// What the host's filter says of a callsite. A value that the plugin does not know is `SOMETIMES`.
    FfiTraceInterest {
        /// Nothing of it is wanted.
        NEVER = 0,
        /// Ask [`HostTracing::enabled`] each time.
        SOMETIMES = 1,
        /// All of it is wanted.
        ALWAYS = 2,
    }
}

open_enum! {
    /// The type of a value. One that the host does not know is text to be shown as it is.
    FfiTraceType {
        /// `low` is 0 or 1.
        BOOL = 0,
        /// `low` is the number's bits.
        I64 = 1,
        /// `low` is the number.
        U64 = 2,
        /// `low` and `high` are the number's bits.
        I128 = 3,
        /// `low` and `high` are the number.
        U128 = 4,
        /// `low` is the number's bits.
        F64 = 5,
        /// `text` is a string.
        STR = 6,
        /// `text` is what `Debug` or `Display` wrote.
        DEBUG = 7,
        /// `text` is what an error says.
        ERROR = 8,
    }
}

open_enum! {
    /// Which span something belongs to. A value that the host does not know is `CURRENT`.
    FfiTraceParentKind {
        /// The one that the calling thread is in, if any.
        CURRENT = 0,
        /// None.
        ROOT = 1,
        /// The one that is named.
        EXPLICIT = 2,
    }
}

/// A place in a plugin's code where spans or events are made. Borrowed for the call.
#[repr(C)]
#[derive(StableAbi)]
pub struct FfiTraceCallsite<'a> {
    /// The span's name; `event …` for an event.
    pub name: FfiStr<'a>,
    /// What filters go by, as a rule the module's path.
    pub target: FfiStr<'a>,
    /// The source file; empty: not known.
    pub file: FfiStr<'a>,
    /// The module's path; empty: not known.
    pub module: FfiStr<'a>,
    /// The names of the fields, in their order.
    pub fields: RSlice<'a, FfiStr<'a>>,
    /// The level.
    pub level: FfiLogLevel,
    /// Span or event.
    pub kind: FfiTraceKind,
    /// The line in the source file; 0: not known.
    pub line: u32,
    /// 0; reserved so that the record has no padding.
    pub reserved: u32,
}

/// A callsite that the host knows. Made by the host, immortal; null: the host refused it.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug, PartialEq, Eq)]
pub struct FfiTraceSite {
    /// Meaningful to the host only.
    pub ptr: *const c_void,
}

const _: () = assert!(size_of::<FfiTraceSite>() == size_of::<usize>());

// SAFETY: the pointer is only passed back to the host's functions, which may be called from any thread.
unsafe impl Send for FfiTraceSite {}
// SAFETY: as above.
unsafe impl Sync for FfiTraceSite {}

impl FfiTraceSite {
    /// No callsite.
    pub const NONE: Self = Self { ptr: core::ptr::null() };
}

/// The value of one field. Borrowed for the call.
#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub struct FfiTraceValue<'a> {
    /// Which field of the callsite, counted from 0. A value for a field that there is not is passed over.
    pub field: u32,
    /// What the others mean.
    pub kind: FfiTraceType,
    /// The number, or its lower half.
    pub low: u64,
    /// The upper half of a number of 128 bits.
    pub high: u64,
    /// The text.
    pub text: FfiStr<'a>,
}

assert_layout!(FfiTraceCallsite: size 96, align 8 {
    name: 0, target: 16, file: 32, module: 48, fields: 64, level: 80, kind: 84, line: 88,
    reserved: 92,
});
assert_layout!(FfiTraceValue: size 40, align 8 { field: 0, kind: 4, low: 8, high: 16, text: 24 });

/// Which span something belongs to.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug, PartialEq, Eq)]
pub struct FfiTraceParent {
    /// The number of the span, with `EXPLICIT`.
    pub span: u64,
    /// Which kind.
    pub kind: FfiTraceParentKind,
    /// 0; reserved so that the record has no padding.
    pub reserved: u32,
}

assert_layout!(FfiTraceParent: size 16, align 8 { span: 0, kind: 8, reserved: 12 });

/// The span that a thread is in.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug, PartialEq, Eq)]
pub struct FfiTraceCurrent {
    /// Its number; 0: none.
    pub span: u64,
    /// Its callsite, if it is one that a plugin registered, maybe another plugin; else null.
    pub site: FfiTraceSite,
}

assert_layout!(FfiTraceCurrent: size 16, align 8 { span: 0, site: 8 });

/// The functions. A prefix type: new slots are appended.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = HostTracingRef)))]
#[sabi(missing_field(option))]
pub struct HostTracing {
    /// `register(handle, callsite)`: makes a callsite known. Once per callsite and image will do; the same again gives the
    /// same. The host copies what it keeps.
    pub register: extern "C" fn(u64, &FfiTraceCallsite<'_>) -> FfiTraceSite,
    /// `interest(site)`: what the filter says of it now.
    pub interest: extern "C" fn(FfiTraceSite) -> FfiTraceInterest,
    /// `enabled(handle, site)`: 1 if what is about to be made there is wanted, else 0. To be followed by the event or span,
    /// on the same thread.
    pub enabled: extern "C" fn(u64, FfiTraceSite) -> u32,
    /// `max_level()`: the most verbose level that the host's filter lets through anywhere; 0: none.
    pub max_level: extern "C" fn() -> FfiLogLevel,
    /// `event(handle, site, parent, values)`: an event.
    pub event: extern "C" fn(u64, FfiTraceSite, FfiTraceParent, RSlice<'_, FfiTraceValue<'_>>),
    /// `new_span(handle, site, parent, values)`: a span; its number, with one reference; 0: none was made.
    pub new_span: extern "C" fn(u64, FfiTraceSite, FfiTraceParent, RSlice<'_, FfiTraceValue<'_>>) -> u64,
    /// `record(handle, span, site, values)`: values for fields of a span made at `site`.
    pub record: extern "C" fn(u64, u64, FfiTraceSite, RSlice<'_, FfiTraceValue<'_>>),
    /// `follows_from(handle, span, from)`: one span is a consequence of another.
    pub follows_from: extern "C" fn(u64, u64, u64),
    /// `enter(handle, span)`: the calling thread is in the span from now on.
    pub enter: extern "C" fn(u64, u64),
    /// `exit(handle, span)`: the calling thread leaves the span.
    pub exit: extern "C" fn(u64, u64),
    /// `clone_span(handle, span)`: one reference more; the number to use for it; 0: the span is not there any more.
    pub clone_span: extern "C" fn(u64, u64) -> u64,
    /// `close_span(handle, span)`: one reference less; 1 if it was the last one, else 0.
    pub close_span: extern "C" fn(u64, u64) -> u32,
    /// `current_span(handle)`: the span that the calling thread is in, without a reference.
    #[sabi(last_prefix_field)]
    pub current_span: extern "C" fn(u64) -> FfiTraceCurrent,
}
