//! The descriptor: what a library says of itself, readable without executing it.
//!
//! One JSON object in the link section [`SECTION`]. Rationale: a foreign, truncated or incompatible file can be refused,
//! and a person can look at it, before any of its code runs.
//!
//! Keys of format 1 (all required): `format`, `requires`, `id`, `version`, `package`, `vendor`, `priority`, `abi`
//! (`version`, `majors`), `sdk`, `kinds` (method names per kind), `target`, `compiler`, `profile`, `opt_level`, `panic`,
//! `heap`, `preflight`, `reentrant`, `hooks` (those of [`HOOKS`] that the author supplied). A host ignores keys that it does
//! not know; what it must not ignore stands in `requires`, and a host refuses a file that requires what it does not know.

/// Name of the ELF section.
pub const SECTION: &str = ".mini_chat_plugin";

/// Number of the format described here.
pub const FORMAT: u32 = 1;

/// The ABI major of this crate.
pub const ABI_MAJOR: u32 = 1;

/// The ABI version: the version of this crate; tests also build its neighbours (`ABI.md`).
pub const ABI_VERSION: &str = if cfg!(mini_chat_abi = "1.0") {
    "1.0.0"
} else if cfg!(mini_chat_abi = "1.2") {
    "1.2.0"
} else {
    env!("CARGO_PKG_VERSION")
};

/// Kind and methods of the model-policy trait, in the order of the vtable.
pub const MODEL_POLICY: (&str, &[&str]) = (
    "model_policy",
    &[
        "get_current_policy_version",
        "get_policy_snapshot",
        "get_user_limits",
        "publish_usage",
        #[cfg(not(mini_chat_abi = "1.0"))]
        "check_user_license",
        #[cfg(mini_chat_abi = "1.2")]
        "publish_usage_v2",
    ],
);

/// Kind and methods of the audit trait, in the order of the vtable.
pub const AUDIT: (&str, &[&str]) =
    ("audit", &["emit_turn_audit", "emit_turn_retry_audit", "emit_turn_edit_audit", "emit_turn_delete_audit"]);

/// What a descriptor's `requires` may name and this release understands: nothing yet.
pub const KNOWN_REQUIREMENTS: &[&str] = &[];

/// What `hooks` may name: functions of [`PluginModule`](crate::module::PluginModule) that do nothing unless the author
/// supplied them. A plugin with `quiesce` has `resume` as well, and is exclusive: it never runs beside its successor.
pub const HOOKS: &[&str] = &["health", "shutdown", "quiesce", "resume", "export_state"];
