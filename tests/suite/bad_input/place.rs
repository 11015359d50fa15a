//! The place of the private copies: unusable from the start, or later.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::executor::block_on;
use mini_chat_plugin_loader::error::BuildError;
use mini_chat_plugin_loader::image_dir::ImageDirChoice;
use mini_chat_plugin_loader::{PluginHost, PluginHostBuilder};
use mini_chat_plugin_sdk::prelude::*;
use mini_chat_plugin_tests::by_hand::{self, descriptor};
use mini_chat_plugin_tests::child::{in_mount_namespace, mount};
use mini_chat_plugin_tests::log::on_record;
use mini_chat_plugin_tests::site::{GOOD, Site, failure};

crate::cases::cases! {
    full_for_one_plugin => "image-dir-full",
    read_only_while_the_host_starts => "image-dir-read-only",
    gone_while_the_host_starts => "image-dir-io",
}

fn explicit(directory: &Path) -> ImageDirChoice {
    ImageDirChoice::Explicit(directory.to_owned())
}

/// Why there is no host at all. A second one, which was there before, serves on.
fn no_host(directory: &Path) -> String {
    let site = Site::new();
    let before = site.serve(site.builder());
    let error = match block_on(site.builder().image_dir(explicit(directory)).build()) {
        Err(BuildError::ImageDir(error)) => error.to_string(),
        other => panic!("{other:?}"),
    };
    mini_chat_plugin_tests::site::assert_good_serves(&before);
    let advice = "; correct it or name another image_dir";
    let start = format!("image directory {}: ", directory.display());
    error.strip_prefix(&start).and_then(|text| text.strip_suffix(advice)).expect(&error).to_owned()
}

#[test]
fn absent() {
    assert_eq!(no_host(Path::new("/no/such/directory")), "does not exist");
}

#[test]
fn a_file() {
    assert_eq!(no_host(Path::new("/dev/null")), "is not a directory");
}

#[test]
fn noexec() {
    if in_mount_namespace("place::noexec") {
        let base = tempfile::tempdir().unwrap();
        mount(&["-t", "tmpfs", "-o", "size=1m,noexec,mode=700", "none"], base.path());
        let expected = "is on a file system mounted noexec (or a security policy forbids executing from it)";
        assert_eq!(no_host(base.path()), expected);
    }
}

#[test]
fn read_only() {
    if in_mount_namespace("place::read_only") {
        let base = tempfile::tempdir().unwrap();
        mount(&["-t", "tmpfs", "-o", "size=1m,ro,mode=700", "none"], base.path());
        assert_eq!(no_host(base.path()), "is on a read-only file system");
    }
}

#[test]
fn full() {
    if in_mount_namespace("place::full") {
        let base = tempfile::tempdir().unwrap();
        mount(&["-t", "tmpfs", "-o", "size=64k,mode=700", "none"], base.path());
        fs::write(base.path().join("ballast"), vec![1; 65536]).unwrap();
        assert_eq!(no_host(base.path()), "is full (0 bytes free)");
    }
}

/// There is room for the good plugin, but not for a large one.
fn full_for_one_plugin() -> &'static str {
    if !in_mount_namespace("place::case::full_for_one_plugin") {
        return "image-dir-full";
    }
    let (site, base) = (Site::new(), tempfile::tempdir().unwrap());
    let large = site.path("large.so");
    by_hand::entry(&large, "NO_MODULE", &descriptor().to_string(), &[]);
    // Behind the tables, where it changes nothing.
    let size = fs::metadata(site.path("good.so")).unwrap().len() * 2 + (1 << 20);
    fs::OpenOptions::new().write(true).open(&large).unwrap().set_len(size).unwrap();
    mount(&["-t", "tmpfs", "-o", &format!("size={},mode=700", size - (1 << 19)), "none"], base.path());
    let (kind, text) = site.failure(site.builder().image_dir(explicit(base.path())), by_hand::ID);
    assert!(text.starts_with(&format!("{}: image directory {}/", large.display(), base.path().display())), "{text}");
    assert!(text.contains(&format!(" is full: {size} bytes needed, ")), "{text}");
    assert!(text.ends_with(" free; free some space or set image_dir"), "{text}");
    kind
}

struct Linked;

#[async_trait]
#[rustfmt::skip]
impl MiniChatAuditPluginClientV1 for Linked {
    async fn emit_turn_audit(&self, _: TurnAuditEvent) -> Result<(), MiniChatAuditPluginError> { Ok(()) }
    async fn emit_turn_retry_audit(&self, _: TurnRetryAuditEvent) -> Result<(), MiniChatAuditPluginError> { Ok(()) }
    async fn emit_turn_edit_audit(&self, _: TurnEditAuditEvent) -> Result<(), MiniChatAuditPluginError> { Ok(()) }
    async fn emit_turn_delete_audit(&self, _: TurnDeleteAuditEvent) -> Result<(), MiniChatAuditPluginError> { Ok(()) }
}

define_plugin! {
    LinkedPlugin {
        id: "acme.test._.linked.v1", vendor: "acme", priority: 100,
        serves: [audit], plugin: Linked, config: NoConfig,
        create: |_context, _config| async { Ok(Linked) },
    }
}

/// A plugin without a file.
pub(crate) fn linked() -> InProcessPlugin {
    InProcessPlugin::of::<LinkedPlugin>()
}

/// Builds a host and does something between its reading of the files and its writing of the private copies: when it logs
/// that it refuses a file. A plugin without a file serves in any case.
fn with_something_between(builder: PluginHostBuilder, act: impl Fn() + Send + Sync + 'static) -> PluginHost {
    let builder = builder.in_process("linked", linked());
    let done = AtomicBool::new(false);
    let subscriber = on_record(move |record| {
        if record.text.starts_with("plugin file refused") && !done.swap(true, Ordering::Relaxed) {
            act();
        }
    });
    let host = tracing::subscriber::with_default(subscriber, || block_on(builder.build())).unwrap();
    let event = mini_chat_plugin_tests::site::turn_audit_event();
    block_on(host.audit("linked").emit_turn_audit(event)).unwrap();
    host
}

/// The folder that the host made in `base`.
fn folder(base: &Path) -> std::path::PathBuf {
    fs::read_dir(base).unwrap().next().unwrap().unwrap().path()
}

fn read_only_while_the_host_starts() -> &'static str {
    if !in_mount_namespace("place::case::read_only_while_the_host_starts") {
        return "image-dir-read-only";
    }
    let (site, base) = (Site::new(), tempfile::tempdir().unwrap());
    site.put_bytes(b"nothing", "nothing.so");
    let within = base.path().to_owned();
    let host = with_something_between(site.builder().image_dir(explicit(base.path())), move || {
        let folder = folder(&within);
        mount(&["--bind", folder.to_str().unwrap()], &folder);
        mount(&["-o", "remount,bind,ro"], &folder);
    });
    let (kind, text) = failure(&host, GOOD);
    let (file, folder) = (site.path("good.so"), folder(base.path()));
    let why = format!("image directory {} is read-only; remount it writable or set image_dir", folder.display());
    assert_eq!(text, format!("{}: {why}", file.display()));
    kind
}

fn gone_while_the_host_starts() -> &'static str {
    let (site, base) = (Site::new(), tempfile::tempdir().unwrap());
    site.put_bytes(b"nothing", "nothing.so");
    let within = base.path().to_owned();
    let host = with_something_between(site.builder().image_dir(explicit(base.path())), move || {
        fs::remove_dir_all(folder(&within)).unwrap();
    });
    let (kind, text) = failure(&host, GOOD);
    assert!(text.contains(": cannot write the private copy into "), "{text}");
    assert!(text.ends_with("(os error 2); set image_dir to a usable directory"), "{text}");
    kind
}
