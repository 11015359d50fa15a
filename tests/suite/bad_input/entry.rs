//! Libraries that are mapped, and whose entry then answers something else than a plugin does.

use mini_chat_plugin_loader::PluginHost;
use mini_chat_plugin_tests::by_hand::{self, descriptor};
use mini_chat_plugin_tests::plugins;
use mini_chat_plugin_tests::site::{GOOD, Site};
use mini_chat_plugin_tests::stamped;

crate::cases::cases! {
    another_protocol => "wrong-magic",
    a_silent_entry => "wrong-magic",
    it_finds_the_host_too_old => "entry-refused",
    a_status_alone => "entry-refused",
    an_unknown_kind_of_check => "entry-refused",
    no_module_function => "entry-refused",
    no_module => "entry-refused",
    a_misaligned_header => "entry-refused",
    a_foreign_header => "entry-refused",
    a_module_of_another_major => "entry-refused",
    a_header_of_another_release => "entry-refused",
    null_tables => "entry-refused",
    null_functions => "entry-refused",
    a_function_that_nobody_has => "map-failed",
    allocates_before_main => "early-allocation",
    no_layout => "layout-missing",
    open_that_does_not_understand => "create-unsupported",
    a_kind_that_the_descriptor_does_not_have => "kinds-mismatch",
}

/// The text that `entry.c` with this answer is refused with, and the kind.
fn answer(answer: &str) -> (&'static str, String) {
    let site = Site::new();
    let path = site.path("entry.so");
    by_hand::entry(&path, answer, &descriptor().to_string(), &[]);
    let (kind, text) = site.failure(site.builder(), by_hand::ID);
    let text = text.strip_prefix(&format!("{}: ", path.display())).expect("names the file first").to_owned();
    (kind, text)
}

fn refused(how: &str, why: &str) -> &'static str {
    let (kind, text) = answer(how);
    let advice = "build it with the SDK's export_plugin!, or, if it says that the host is too old, update the host";
    assert_eq!(text, format!("its entry and this host do not come together: {why}; {advice}"));
    kind
}

fn another_protocol() -> &'static str {
    let (kind, text) = answer("WRONG_MAGIC");
    let expected = "its entry answers `another protocol`, expected `mini-chat-plugin`; another library has a symbol of \
                    this name";
    assert_eq!(text, expected);
    kind
}

fn a_silent_entry() -> &'static str {
    let (kind, text) = answer("SILENT");
    assert!(text.starts_with("its entry answers `\\x00\\x00"), "{text}");
    kind
}

fn it_finds_the_host_too_old() -> &'static str {
    refused("TOO_OLD", "status 3: the host is too old")
}

fn a_status_alone() -> &'static str {
    refused("STATUS_ONLY", "status 3: no reason given")
}

fn an_unknown_kind_of_check() -> &'static str {
    refused("UNKNOWN_CHECK", "it asks for a kind of check that this host does not know (9)")
}

fn no_module_function() -> &'static str {
    refused("NO_FUNCTION", "its reply has no module function")
}

fn no_module() -> &'static str {
    refused("NO_MODULE", "it gives no module for ABI major 1")
}

fn a_misaligned_header() -> &'static str {
    refused("MISALIGNED", "its library header is not aligned")
}

fn a_foreign_header() -> &'static str {
    let zeros = "\\x00".repeat(32);
    let expected = format!("its library header begins with `{zeros}`, expected `abi stable library for Rust     `");
    refused("FOREIGN_HEADER", &expected)
}

/// The descriptor says major 1.
fn a_module_of_another_major() -> &'static str {
    refused("OTHER_MAJOR", "it gives no module for ABI major 1")
}

fn a_header_of_another_release() -> &'static str {
    refused("OLD_HEADER", "its library header is one of abi_stable 0.7, this host's is one of 0.11")
}

fn null_tables() -> &'static str {
    refused("NULL_TABLES", "its library header has null where its name must stand")
}

fn null_functions() -> &'static str {
    refused("NULL_FUNCTIONS", "its table of test functions has null in it")
}

fn a_function_that_nobody_has() -> &'static str {
    let (kind, text) = answer("UNRESOLVED");
    assert!(text.starts_with("the dynamic linker refuses it: "), "{text}");
    assert!(text.contains("undefined symbol: a_function_that_nobody_has"), "{text}");
    assert!(text.ends_with("; `mini-chat-plugins inspect` shows what it needs"), "{text}");
    kind
}

fn allocates_before_main() -> &'static str {
    let site = Site::new();
    let path = site.put(&plugins::built("allocates-early-plugin"), "early.so");
    let (kind, text) = site.failure(site.builder(), "acme.test._.allocates_early.v1");
    let why = "memory was allocated before the host's heap was installed: look for code that runs when the library is \
               mapped (a `#[ctor]`, a C++ static); move that work into the constructor";
    assert_eq!(text, format!("{}: {why}", path.display()));
    kind
}

/// The plugin by hand does what the name of its host says.
fn by_name_of_host(name: &str) -> (&'static str, String) {
    let site = Site::new();
    site.put(&plugins::built("by-hand-plugin"), "by-hand.so");
    site.failure(site.builder().identity(name, "1"), by_hand::ID)
}

fn no_layout() -> &'static str {
    let (kind, text) = by_name_of_host("no-layout");
    assert!(
        text.ends_with("says nothing of the layout of its types; build it with the SDK's export_plugin!"),
        "{text}"
    );
    kind
}

fn open_that_does_not_understand() -> &'static str {
    let (kind, text) = by_name_of_host("refuses-open");
    let why = "the plugin does not know what this host wants of it; build it with a newer SDK";
    assert_eq!(text, format!("plugin {}: {why}", by_hand::ID));
    kind
}

fn a_kind_that_the_descriptor_does_not_have() -> &'static str {
    let (mut bytes, audit) = (stamped::good(1).bytes(), b",\"audit\":[");
    let start = bytes.windows(audit.len()).position(|window| window == audit).expect("it says what it serves");
    let length = bytes[start..].iter().position(|byte| *byte == b']').expect("the list ends") + 1;
    bytes[start..start + length].fill(b' ');
    let site = Site::new();
    let path = site.put_bytes(&bytes, "stamped.so");
    let (kind, text) = site.failure(site.builder(), stamped::ID);
    let why = "the descriptor says that it serves model_policy, its functions serve model_policy and audit; build the plugin \
               with the SDK's export_plugin!";
    assert_eq!(text, format!("{}: {why}", path.display()));
    kind
}

/// The plugin by hand is not bad by itself.
#[test]
fn the_same_plugin_serves_another_host() {
    let site = Site::new();
    site.put(&plugins::built("by-hand-plugin"), "by-hand.so");
    let host: PluginHost = site.serve(site.builder().identity("any", "1"));
    let status = host.status();
    assert_eq!(status.plugins.iter().map(|plugin| &*plugin.name).collect::<Vec<_>>(), [GOOD, by_hand::ID]);
    assert!(status.plugins.iter().all(|plugin| plugin.serving), "{status:?}");
}
