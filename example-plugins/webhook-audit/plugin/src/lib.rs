//! The loadable library of the plugin [`webhook_audit`]: `libwebhook_audit_plugin.so`.
//!
//! All of the plugin is in that crate, which tests, benches and hosts may link; this one only adds what a loadable
//! library has on top: entry symbol, descriptor, allocator.

mini_chat_plugin_sdk::export_plugin!(webhook_audit::WebhookAuditPlugin);
