//! [`Pair`]: what becomes of calls between two minors. The table in `sdk/abi/ABI.md` says the same.

use std::fmt;

/// The minor of a host and that of a plugin.
pub(crate) struct Pair {
    host: u32,
    plugin: u32,
}

impl Pair {
    pub(crate) fn new(host: &str, plugin: &str) -> Self {
        let minor = |version: &str| {
            let minor = version.strip_prefix("1.").and_then(|rest| rest.split('.').next()?.parse().ok());
            minor.unwrap_or_else(|| panic!("{version} is no minor of ABI 1"))
        };
        Self { host: minor(host), plugin: minor(plugin) }
    }

    pub(crate) fn license_is_newer_than_the_plugin(&self) -> bool {
        self.plugin < 1
    }

    /// One of the two lacks the slot.
    pub(crate) fn license_by_default(&self) -> bool {
        self.host < 1 || self.plugin < 1
    }

    /// What `check_user_license` answers.
    pub(crate) fn license(&self, own: &str) -> String {
        let by_default = "Ok(UserLicenseStatus { active: false })";
        if self.license_by_default() { by_default } else { own }.to_owned()
    }

    pub(crate) fn host_has_tokens(&self) -> bool {
        self.host >= 2
    }

    pub(crate) fn plugin_has_tokens(&self) -> bool {
        self.plugin >= 2
    }

    /// How the plugin describes a usage event that the host describes so.
    pub(crate) fn usage(&self, hosts: &str) -> String {
        const FIRST: &str = "web_search_calls: ";
        const NEXT: &str = "timestamp: ";
        let mut text = hosts.to_owned();
        // Texts of the event may look like fields: those stand before.
        let next = text.rfind(NEXT).expect("every minor has it");
        match (self.host >= 2, self.plugin >= 2) {
            (true, false) => {
                let first = text.rfind(FIRST).expect("this host has it");
                text.replace_range(first..next, "");
            }
            (false, true) => text.insert_str(next, "web_search_calls: 0, code_interpreter_calls: 0, "),
            _ => {}
        }
        text
    }
}

impl fmt::Display for Pair {
    /// One cell of the table.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = Vec::new();
        if self.license_by_default() {
            said.push("license: default");
        }
        match (self.host >= 2, self.plugin >= 2) {
            (true, false) => said.push("usage: 2 fields dropped, audit: token dropped"),
            (false, true) => said.push("usage: 2 fields 0, audit: token never cancelled"),
            _ => {}
        }
        f.write_str(&if said.is_empty() { "exact".to_owned() } else { said.join("; ") })
    }
}
