//! From a verified image to checked functions: the only place that maps a library and calls its entry.
//!
//! 1. [`MappedImage::map`]: the verified bytes, from their private file, by `dlopen`, if the process has room for them.
//! 2. [`MappedImage::open`]: the entry symbol gets the host's heap and answers; then the layouts of everything that crosses
//!    are compared, both ways ([`layout`]).
//!
//! An image stays mapped until the process ends: there is no sound way to unload a library with thread-local destructors
//! (rust-lang/rust#59629, #88737).
//!
//! # Invariants
//!
//! 1. A mapped library is never closed, so its symbols, statics and vtables are valid for `'static`.
//! 2. The entry is called once per image, right after mapping, before anything else of it.
//! 3. The file has the entry symbol as a function (verified), and its descriptor says an ABI major that this host knows.

mod header;
mod layout;
pub(crate) mod turn;

use std::ffi::c_void;
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use abi_stable::library::LibHeader;
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use mini_chat_plugin_abi::descriptor::ABI_MAJOR;
use mini_chat_plugin_abi::entry::{
    CHECK_ABI_STABLE, ENTRY_SYMBOL, EntryArgs, EntryFn, EntryReply, MAGIC, STATUS_EARLY_ALLOCATION, STATUS_OK,
};
use mini_chat_plugin_abi::module::PluginModuleRef;
use mini_chat_plugin_sdk::InProcessPlugin;

use crate::budget::Room;
use crate::error::LoadError;
use crate::heap::{self, Account};
use crate::image_dir::StoredImage;
use crate::method::Kind;
use crate::services::HostIdentity;
use crate::verify::{Descriptor, Digest, VerifiedImage};

/// Where the functions of a plugin come from.
#[derive(Debug, Clone)]
pub(crate) enum Origin {
    /// A file.
    File {
        /// The file in the plugin directory.
        path: PathBuf,
        /// Digest of its bytes; none in a process that only tries it.
        digest: Option<Digest>,
        /// The private copy that is mapped.
        copy: PathBuf,
    },
    /// Linked into this program.
    InProcess,
}

/// A plugin's functions, checked, with what they came from.
pub(crate) struct OpenedImage {
    /// The functions.
    pub(crate) module: PluginModuleRef,
    /// What the plugin says of itself.
    pub(crate) descriptor: Arc<Descriptor>,
    /// Where it comes from.
    pub(crate) origin: Origin,
    /// Live bytes of its heap; none when it is linked statically.
    pub(crate) account: Option<&'static Account>,
}

impl OpenedImage {
    /// The private copy that is mapped.
    pub(crate) fn private_copy(&self) -> Option<&Path> {
        match &self.origin {
            Origin::File { copy, .. } => Some(copy),
            Origin::InProcess => None,
        }
    }

    /// A plugin that is linked into this program.
    pub(crate) fn in_process(plugin: InProcessPlugin) -> Result<Self, LoadError> {
        let descriptor = Descriptor::of_linked(plugin.descriptor())?;
        Ok(Self { module: plugin.module(), descriptor: Arc::new(descriptor), origin: Origin::InProcess, account: None })
    }
}

/// A library mapped into this process, whose entry has not been called.
pub(crate) struct MappedImage {
    library: ManuallyDrop<Library>,
    path: PathBuf,
    /// None in a process that only tries it.
    digest: Option<Digest>,
    descriptor: Arc<Descriptor>,
    /// The private copy that is mapped.
    copy: PathBuf,
}

impl MappedImage {
    /// Maps the private copy of the verified bytes, which stays, so that debuggers and profilers find its symbols. ELF
    /// constructors of the library run here, so this may hang: call it on a thread that may be lost.
    pub(crate) fn map(image: &VerifiedImage, copy: StoredImage, room: Room) -> Result<Self, LoadError> {
        let mapped = Self::map_file(copy.path(), image.path().to_owned(), image.descriptor().clone())?;
        // Invariant 1: it takes its room until the process ends.
        room.keep();
        copy.keep();
        Ok(Self { digest: Some(image.digest()), ..mapped })
    }

    /// Maps `copy`, a private copy of verified bytes with this descriptor. `path` is for messages.
    pub(crate) fn map_file(copy: &Path, path: PathBuf, descriptor: Descriptor) -> Result<Self, LoadError> {
        // SAFETY: running the initialisers of a plugin is what the operator asked for by putting it there: its owner, mode
        // and structure were checked on these very bytes, and it is never closed (invariant 1).
        let library = turn::take(&path, || unsafe { Library::open(Some(copy), RTLD_NOW | RTLD_LOCAL) })
            .map_err(|error| LoadError::MapFailed { path: path.clone(), reason: chain(&error) })?;
        let (library, descriptor, copy) = (ManuallyDrop::new(library), Arc::new(descriptor), copy.to_owned());
        Ok(Self { library, path, digest: None, descriptor, copy })
    }

    /// Calls the entry and checks what it gives.
    pub(crate) fn open(self, identity: &HostIdentity) -> Result<OpenedImage, LoadError> {
        let Self { library, path, digest, descriptor, copy } = self;
        let (table, account) = heap::table();
        let args = EntryArgs {
            size: size_of::<EntryArgs>(),
            heap: table,
            image: next_image(),
            host_name: identity.name.as_ptr(),
            host_name_len: identity.name.len(),
            host_version: identity.version.as_ptr(),
            host_version_len: identity.version.len(),
        };
        let mut reply = EntryReply {
            size: size_of::<EntryReply>(),
            magic: [0; 16],
            status: u32::MAX,
            check: 0,
            message: std::ptr::null(),
            message_len: 0,
            module: None,
        };
        // SAFETY: invariant 3: the symbol is a function, of the type that every plugin of this project exports.
        let entry = unsafe { library.get::<EntryFn>(ENTRY_SYMBOL) }
            .map_err(|error| LoadError::MapFailed { path: path.clone(), reason: chain(&error) })?;
        // SAFETY: invariant 2; `args` and `reply` are valid for the call and say their sizes.
        unsafe { entry(&raw const args, &raw mut reply) };

        let header = answered(&reply, &path)?;
        let layout = header.layout().ok_or_else(|| LoadError::LayoutMissing { path: path.clone() })?;
        layout::check(layout).map_err(|mismatches| LoadError::LayoutMismatch { path: path.clone(), mismatches })?;
        // SAFETY: the layout was checked just now, in a direction that makes the use sound.
        let module = unsafe { header.init_root_module_with_unchecked_layout::<PluginModuleRef>() }
            .map_err(|error| LoadError::EntryRefused { path: path.clone(), reason: first_line(&error.to_string()) })?;
        let found = served(module);
        let declared = descriptor.served();
        if declared != found {
            let (declared, found) = (Kind::list(&declared), Kind::list(&found));
            return Err(LoadError::KindsMismatch { path, declared, found });
        }
        Ok(OpenedImage { module, descriptor, origin: Origin::File { path, digest, copy }, account: Some(account) })
    }
}

/// The kinds that a module has functions of, in the order of [`Kind::ALL`].
fn served(module: PluginModuleRef) -> Vec<Kind> {
    let kinds = [(Kind::ModelPolicy, module.model_policy().is_some()), (Kind::Audit, module.audit().is_some())];
    kinds.into_iter().filter(|(_, served)| *served).map(|(kind, _)| kind).collect()
}

/// The library header that the entry's reply leads to.
fn answered(reply: &EntryReply, path: &Path) -> Result<&'static LibHeader, LoadError> {
    let refused = |reason: String| LoadError::EntryRefused { path: path.to_owned(), reason };
    if reply.magic != MAGIC {
        return Err(LoadError::WrongMagic { path: path.to_owned(), found: printable(&reply.magic) });
    }
    if reply.status != STATUS_OK {
        let message = message(reply);
        return Err(if reply.status == STATUS_EARLY_ALLOCATION {
            LoadError::EarlyAllocation { path: path.to_owned(), reason: message }
        } else {
            refused(format!("status {}: {message}", reply.status))
        });
    }
    if reply.check != CHECK_ABI_STABLE {
        return Err(refused(format!("it asks for a kind of check that this host does not know ({})", reply.check)));
    }
    let Some(module) = reply.module else {
        return Err(refused("its reply has no module function".to_owned()));
    };
    // SAFETY: the contract of `EntryReply::module`: any thread, any number of times.
    let header: *const c_void = unsafe { module(ABI_MAJOR) };
    if header.is_null() {
        return Err(refused(format!("it gives no module for ABI major {ABI_MAJOR}")));
    }
    // SAFETY: with CHECK_ABI_STABLE the pointer is one to an abi_stable header, valid for 'static (invariant 1).
    unsafe { header::read(header) }.map_err(refused)
}

fn message(reply: &EntryReply) -> String {
    if reply.message.is_null() {
        return "no reason given".to_owned();
    }
    // SAFETY: the contract of the reply: `message` is static text of `message_len` bytes.
    let bytes = unsafe { std::slice::from_raw_parts(reply.message, reply.message_len.min(4096)) };
    String::from_utf8_lossy(bytes).into_owned()
}

fn printable(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

/// Everything that an error and its sources say: libloading's own text is only "dlopen failed".
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        source = inner.source();
    }
    text
}

fn first_line(text: &str) -> String {
    text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("no reason given").to_owned()
}

fn next_image() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
