//! The nine methods of the two plugin traits, by name: keys of `plugins.toml`, of reports and of metrics.

use std::fmt;

/// Which of the two plugin traits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// `MiniChatModelPolicyPluginClientV1`.
    ModelPolicy,
    /// `MiniChatAuditPluginClientV1`.
    Audit,
}

impl Kind {
    /// Both kinds.
    pub const ALL: [Kind; 2] = [Kind::ModelPolicy, Kind::Audit];

    /// The name used in messages, reports and labels.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::ModelPolicy => "model_policy",
            Kind::Audit => "audit",
        }
    }
}

impl Kind {
    /// Names of kinds, for messages.
    pub(crate) fn list(kinds: &[Self]) -> String {
        if kinds.is_empty() {
            return "nothing".to_owned();
        }
        kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(" and ")
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A method of one of the plugin traits.
///
/// `method as usize` is its place in [`Method::ALL`], for tables with a row per method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Method {
    /// `get_current_policy_version`
    GetCurrentPolicyVersion,
    /// `get_policy_snapshot`
    GetPolicySnapshot,
    /// `get_user_limits`
    GetUserLimits,
    /// `check_user_license`
    CheckUserLicense,
    /// `publish_usage`
    PublishUsage,
    /// `emit_turn_audit`
    EmitTurnAudit,
    /// `emit_turn_retry_audit`
    EmitTurnRetryAudit,
    /// `emit_turn_edit_audit`
    EmitTurnEditAudit,
    /// `emit_turn_delete_audit`
    EmitTurnDeleteAudit,
}

impl Method {
    /// All nine, in the order of the traits.
    pub const ALL: [Method; 9] = [
        Method::GetCurrentPolicyVersion,
        Method::GetPolicySnapshot,
        Method::GetUserLimits,
        Method::CheckUserLicense,
        Method::PublishUsage,
        Method::EmitTurnAudit,
        Method::EmitTurnRetryAudit,
        Method::EmitTurnEditAudit,
        Method::EmitTurnDeleteAudit,
    ];

    /// The names, in the order of [`Method::ALL`].
    pub(crate) const NAMES: [&'static str; 9] = {
        let mut names = [""; 9];
        let mut i = 0;
        while i < names.len() {
            names[i] = Method::ALL[i].name();
            i += 1;
        }
        names
    };

    /// The name of the trait's function.
    pub const fn name(self) -> &'static str {
        match self {
            Method::GetCurrentPolicyVersion => "get_current_policy_version",
            Method::GetPolicySnapshot => "get_policy_snapshot",
            Method::GetUserLimits => "get_user_limits",
            Method::CheckUserLicense => "check_user_license",
            Method::PublishUsage => "publish_usage",
            Method::EmitTurnAudit => "emit_turn_audit",
            Method::EmitTurnRetryAudit => "emit_turn_retry_audit",
            Method::EmitTurnEditAudit => "emit_turn_edit_audit",
            Method::EmitTurnDeleteAudit => "emit_turn_delete_audit",
        }
    }

    /// Whether the trait has a body for it, with which the host answers for a plugin that is older than the method.
    pub(crate) const fn has_default(self) -> bool {
        matches!(self, Method::CheckUserLicense)
    }

    /// The method with this exact name.
    pub fn from_name(name: &str) -> Option<Method> {
        Method::ALL.into_iter().find(|method| method.name() == name)
    }

    /// The trait that the method belongs to.
    pub const fn kind(self) -> Kind {
        match self {
            Method::GetCurrentPolicyVersion
            | Method::GetPolicySnapshot
            | Method::GetUserLimits
            | Method::CheckUserLicense
            | Method::PublishUsage => Kind::ModelPolicy,
            Method::EmitTurnAudit
            | Method::EmitTurnRetryAudit
            | Method::EmitTurnEditAudit
            | Method::EmitTurnDeleteAudit => Kind::Audit,
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_places_agree() {
        for (place, method) in Method::ALL.into_iter().enumerate() {
            assert_eq!(method as usize, place);
            assert_eq!(Method::from_name(method.name()), Some(method));
            assert_eq!(Method::NAMES[place], method.to_string());
        }
        assert_eq!(Method::from_name("GetUserLimits"), None);
    }

    #[test]
    fn five_policy_methods_and_four_audit_methods() {
        let audit = Method::ALL.into_iter().filter(|m| m.kind() == Kind::Audit).count();
        assert_eq!((Method::ALL.len() - audit, audit), (5, 4));
        assert!(Method::ALL.into_iter().all(|m| m.name().ends_with("_audit") == (m.kind() == Kind::Audit)));
    }
}
