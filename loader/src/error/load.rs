//! [`LoadError`]: the file (or its place) is at fault and is not loaded. The host serves on.
//!
//! Adding a variant: give it a `path`, a message that names file, expectation, finding and remedy, a code in
//! [`LoadError::kind`] and an arm in [`LoadError::path`]; both matches are exhaustive, so the compiler asks for them.

use std::io;
use std::path::{Path, PathBuf};

/// Why a plugin file was not loaded.
// The fields say what the message says; a line for each would only repeat it.
#[allow(missing_docs)]
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    // --- finding and reading -----------------------------------------------------------------------------------
    /// A plugin directory is absent or cannot be listed.
    #[error("{path}: cannot list this plugin directory: {error}; create it or correct the configured path")]
    DirectoryUnreadable { path: PathBuf, error: io::Error },
    /// Nothing stands at the path.
    #[error("{path}: no such file; check the path, or drop the plugin there")]
    Missing { path: PathBuf },
    /// A symbolic link whose target does not exist.
    #[error("{path}: dangling link to {target}; restore the target or remove the link")]
    DanglingLink { path: PathBuf, target: PathBuf },
    /// The operating system refuses to open or read the file.
    #[error("{path}: cannot be read: {error}; make it readable for the host's user")]
    Unreadable { path: PathBuf, error: io::Error },
    /// A directory, pipe, socket or device stands where a file was expected.
    #[error("{path}: expected a regular file, found a {found}; remove it or rename it so that it does not end in .so")]
    NotRegular { path: PathBuf, found: &'static str },
    /// The file or its directory belongs to a user that is not trusted.
    #[error(
        "{path}: {what} is owned by uid {uid}, expected root or uid {euid}; change the owner, or add the uid to trusted_uids"
    )]
    UntrustedOwner { path: PathBuf, what: String, uid: u32, euid: u32 },
    /// Group or others may write to the file.
    #[error("{path}: mode {mode:04o} lets others than its owner write; run chmod go-w on it")]
    WritableByOthers { path: PathBuf, mode: u32 },
    /// Group or others may exchange files in the file's directory.
    #[error("{path}: its directory {dir} has mode {mode:04o}, so others may exchange the file; run chmod go-w on it")]
    DirectoryWritableByOthers { path: PathBuf, dir: PathBuf, mode: u32 },
    /// The file is larger than the limit.
    #[error("{path}: {size} bytes, the limit is {limit}; strip the file or raise the limit")]
    TooLarge { path: PathBuf, size: u64, limit: u64 },
    /// Somebody wrote to the file while it was read.
    #[error("{path}: changed while it was read ({before} bytes, then {after}); put files in place with a rename")]
    ChangedWhileReading { path: PathBuf, before: u64, after: u64 },
    /// Somebody was still writing to the file when patience ended.
    #[error(
        "{path}: still being written; it is used once nobody has written to it for {quiet:?}: put files in place with a \
         rename"
    )]
    Unsettled { path: PathBuf, quiet: std::time::Duration },
    /// Between being judged and being loaded the file became another one.
    #[error(
        "{path}: has other bytes (sha256 {found}) than when it was judged ({judged}); put files in place with a rename, and \
         let the host look again"
    )]
    Exchanged { path: PathBuf, judged: String, found: String },
    /// The file has no bytes.
    #[error("{path}: zero bytes, expected a shared library; copy the file again")]
    Empty { path: PathBuf },

    // --- structure ---------------------------------------------------------------------------------------------
    /// The first bytes are not those of an ELF file.
    #[error("{path}: not an ELF file (it begins with {found}), expected a shared library for Linux")]
    NotElf { path: PathBuf, found: String },
    /// Not a 64-bit file.
    #[error("{path}: a {found} ELF file, expected 64-bit; build the plugin for {expected}")]
    NotElf64 { path: PathBuf, found: String, expected: &'static str },
    /// Not a little endian file.
    #[error("{path}: byte order {found}, expected little endian; build the plugin for {expected}")]
    ByteOrder { path: PathBuf, found: String, expected: &'static str },
    /// Built for another processor.
    #[error("{path}: built for {found}, this host runs on {expected}; build the plugin for {expected}")]
    Machine { path: PathBuf, found: String, expected: &'static str },
    /// A program, not a library.
    #[error("{path}: an executable ({found}), expected a shared library; build with crate-type cdylib")]
    Executable { path: PathBuf, found: &'static str },
    /// An object file, a core dump and the like.
    #[error("{path}: a {found}, expected a shared library; build with crate-type cdylib")]
    NotSharedObject { path: PathBuf, found: String },
    /// The headers speak of bytes that the file does not have.
    #[error(
        "{path}: truncated: its headers need {expected_len} bytes, found {found_len}; copy the file again, with a rename"
    )]
    Truncated { path: PathBuf, expected_len: u64, found_len: u64 },
    /// The headers contradict themselves.
    #[error("{path}: malformed ELF file: {reason}; build or copy the file again")]
    Malformed { path: PathBuf, reason: String },
    /// Zeros stand where code or tables must be, as after an interrupted copy.
    #[error("{path}: a hole (only zeros) at byte {offset} in {place}; copy the file again, with a rename")]
    Holes { path: PathBuf, offset: u64, place: String },
    /// A segment is writable and executable at once.
    #[error("{path}: the segment at {address:#x} is writable and executable; link without that")]
    WritableCode { path: PathBuf, address: u64 },
    /// The code would have to be patched while loading.
    #[error("{path}: has text relocations (DT_TEXTREL); build it as position independent code")]
    TextRelocations { path: PathBuf },
    /// DT_RPATH or DT_RUNPATH: libraries from places that nobody verified.
    #[error("{path}: has {tag} `{value}`, and what is found there is not verified; link without rpath")]
    RunPath { path: PathBuf, tag: &'static str, value: String },
    /// Needs a library that is not on the allow-list.
    #[error(
        "{path}: needs library `{library}`, which is not on the allow-list; link it statically, or add it to \
         allow_needed if the host's system provides it"
    )]
    NeededNotAllowed { path: PathBuf, library: String },

    // --- descriptor --------------------------------------------------------------------------------------------
    /// The entry symbol is missing.
    #[error("{path}: not a mini-chat plugin: no function `{symbol}`; use export_plugin! exactly once")]
    NoEntrySymbol { path: PathBuf, symbol: &'static str },
    /// The descriptor section is missing.
    #[error("{path}: not a mini-chat plugin: no section `{section}`; use export_plugin! exactly once")]
    NotAPlugin { path: PathBuf, section: &'static str },
    /// The descriptor does not say what it must.
    #[error("{path}: invalid plugin descriptor: {reason}; build the plugin with the SDK's export_plugin!")]
    DescriptorInvalid { path: PathBuf, reason: String },
    /// A descriptor of a later release.
    #[error("{path}: descriptor format {found}, this host knows {known}; update the host, or use an older SDK")]
    DescriptorFormat { path: PathBuf, found: u64, known: u64 },
    /// The plugin insists on something that this host does not know.
    #[error("{path}: requires {unknown:?}, this host knows {known:?}; update the host")]
    UnknownRequires { path: PathBuf, unknown: Vec<String>, known: Vec<String> },
    /// A panic of this plugin would end the host.
    #[error("{path}: built with panic = \"{found}\", expected \"unwind\"; a panic would end the host")]
    PanicAbort { path: PathBuf, found: String },
    /// Allocations do not go to the host's heap.
    #[error("{path}: heap `{found}`, expected `host`; remove the plugin's own global allocator")]
    ForeignHeap { path: PathBuf, found: String },
    /// No common major of the ABI.
    #[error("{path}: serves ABI majors {file:?}, this host speaks {host:?}; build with a matching SDK")]
    AbiMajor { path: PathBuf, file: Vec<u32>, host: Vec<u32> },
    /// Built for another target triple.
    #[error("{path}: built for target {found}, expected {expected}; build the plugin for {expected}")]
    TargetMismatch { path: PathBuf, found: String, expected: String },

    // --- the private copy --------------------------------------------------------------------------------------
    /// The image directory has no room for the private copy.
    #[error(
        "{path}: image directory {dir} is full: {needed} bytes needed, {free} free; free some space or set image_dir"
    )]
    ImageDirFull { path: PathBuf, dir: PathBuf, needed: u64, free: u64 },
    /// The image directory has become read-only.
    #[error("{path}: image directory {dir} is read-only; remount it writable or set image_dir")]
    ImageDirReadOnly { path: PathBuf, dir: PathBuf },
    /// Any other failure to write the private copy.
    #[error("{path}: cannot write the private copy into {dir}: {error}; set image_dir to a usable directory")]
    ImageDirIo { path: PathBuf, dir: PathBuf, error: io::Error },

    /// The process has no room for another library: they are never unmapped, and the process would be aborted.
    #[error(
        "{path}: not mapped, because libraries stay mapped and this process runs short of {short}: {used} of {limit} are \
         used; restart the host{remedy}"
    )]
    ImageBudget { path: PathBuf, short: &'static str, used: u64, limit: u64, remedy: &'static str },

    // --- mapping and opening -----------------------------------------------------------------------------------
    /// The dynamic linker refuses the private copy.
    #[error("{path}: the dynamic linker refuses it: {reason}; `mini-chat-plugins inspect` shows what it needs")]
    MapFailed { path: PathBuf, reason: String },
    /// Copying the library, mapping it, or asking it who it is, did not end. While code of it runs in the dynamic linker, the process
    /// can neither map another library, nor start a thread, nor exit: it has to be killed.
    #[error(
        "{path}: copying, mapping and opening it did not end within {limit:?}; raise limits.create, or, if code that runs \
         while it is mapped hangs, remove the file and restart the host, which may have to be killed"
    )]
    OpenHangs { path: PathBuf, limit: std::time::Duration },
    /// Nothing is known against the file: another one hangs in the dynamic linker.
    #[error(
        "{path}: not started within {limit:?}, because {other} hangs while it is mapped and holds up the dynamic linker; \
         remove that file and restart the host, which may have to be killed"
    )]
    LinkerHeldUp { path: PathBuf, other: PathBuf, limit: std::time::Duration },
    /// Mapping the library panicked, or the thread for it could not be started.
    #[error("{path}: the thread that opens it was lost; the host's log says why")]
    OpenLost { path: PathBuf },
    /// The entry symbol is not that of a mini-chat plugin.
    #[error(
        "{path}: its entry answers `{found}`, expected `mini-chat-plugin`; another library has a symbol of this name"
    )]
    WrongMagic { path: PathBuf, found: String },
    /// Something of the plugin allocated before the host's heap was there.
    #[error("{path}: {reason}; move that work into the constructor")]
    EarlyAllocation { path: PathBuf, reason: String },
    /// The entry refuses this host, or gives nothing to use.
    #[error(
        "{path}: its entry and this host do not come together: {reason}; build it with the SDK's export_plugin!, or, if it says that \
         the host is too old, update the host"
    )]
    EntryRefused { path: PathBuf, reason: String },
    /// The descriptor says another thing than the functions that are there.
    #[error(
        "{path}: the descriptor says that it serves {declared}, its functions serve {found}; build the plugin with the SDK's \
         export_plugin!"
    )]
    KindsMismatch { path: PathBuf, declared: String, found: String },
    /// The library was built without the layout of what crosses.
    #[error("{path}: says nothing of the layout of its types; build it with the SDK's export_plugin!")]
    LayoutMissing { path: PathBuf },
    /// The two sides mean different things by what crosses.
    #[error(
        "{path}: its ABI differs from this host's by more than minors may: {}; build it with an unmodified SDK",
        mismatches.join("; ")
    )]
    LayoutMismatch { path: PathBuf, mismatches: Vec<String> },
    /// Two files say the same id and version but have other bytes.
    #[error(
        "{path}: has the id {id} and version {version} of {other}, but other bytes; keep one of them, or give one a new \
         version"
    )]
    SameVersion { path: PathBuf, other: PathBuf, id: String, version: String },
}

impl LoadError {
    /// A stable code per variant, for JSON output, metric labels and tests.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::DirectoryUnreadable { .. } => "directory-unreadable",
            Self::Missing { .. } => "missing",
            Self::DanglingLink { .. } => "dangling-link",
            Self::Unreadable { .. } => "unreadable",
            Self::NotRegular { .. } => "not-regular",
            Self::UntrustedOwner { .. } => "untrusted-owner",
            Self::WritableByOthers { .. } => "writable-by-others",
            Self::DirectoryWritableByOthers { .. } => "directory-writable-by-others",
            Self::TooLarge { .. } => "too-large",
            Self::ChangedWhileReading { .. } => "changed-while-reading",
            Self::Unsettled { .. } => "unsettled",
            Self::Exchanged { .. } => "exchanged",
            Self::Empty { .. } => "empty",
            Self::NotElf { .. } => "not-elf",
            Self::NotElf64 { .. } => "not-elf64",
            Self::ByteOrder { .. } => "byte-order",
            Self::Machine { .. } => "machine",
            Self::Executable { .. } => "executable",
            Self::NotSharedObject { .. } => "not-shared-object",
            Self::Truncated { .. } => "truncated",
            Self::Malformed { .. } => "malformed",
            Self::Holes { .. } => "holes",
            Self::WritableCode { .. } => "writable-code",
            Self::TextRelocations { .. } => "text-relocations",
            Self::RunPath { .. } => "run-path",
            Self::NeededNotAllowed { .. } => "needed-not-allowed",
            Self::NoEntrySymbol { .. } => "no-entry-symbol",
            Self::NotAPlugin { .. } => "not-a-plugin",
            Self::DescriptorInvalid { .. } => "descriptor-invalid",
            Self::DescriptorFormat { .. } => "descriptor-format",
            Self::UnknownRequires { .. } => "unknown-requires",
            Self::PanicAbort { .. } => "panic-abort",
            Self::ForeignHeap { .. } => "foreign-heap",
            Self::AbiMajor { .. } => "abi-major",
            Self::TargetMismatch { .. } => "target-mismatch",
            Self::ImageDirFull { .. } => "image-dir-full",
            Self::ImageDirReadOnly { .. } => "image-dir-read-only",
            Self::ImageDirIo { .. } => "image-dir-io",
            Self::ImageBudget { .. } => "image-budget",
            Self::MapFailed { .. } => "map-failed",
            Self::OpenHangs { .. } => "open-hangs",
            Self::LinkerHeldUp { .. } => "linker-held-up",
            Self::OpenLost { .. } => "open-lost",
            Self::WrongMagic { .. } => "wrong-magic",
            Self::EarlyAllocation { .. } => "early-allocation",
            Self::EntryRefused { .. } => "entry-refused",
            Self::KindsMismatch { .. } => "kinds-mismatch",
            Self::LayoutMissing { .. } => "layout-missing",
            Self::LayoutMismatch { .. } => "layout-mismatch",
            Self::SameVersion { .. } => "same-version",
        }
    }

    /// Whether the same bytes may be loaded later: nothing is known against the file itself.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::ImageDirFull { .. }
                | Self::ImageDirReadOnly { .. }
                | Self::ImageDirIo { .. }
                | Self::ImageBudget { .. }
                | Self::LinkerHeldUp { .. }
                | Self::OpenLost { .. }
                | Self::Missing { .. }
                | Self::Unreadable { .. }
                | Self::ChangedWhileReading { .. }
                | Self::Exchanged { .. }
        )
    }

    /// The file (or, for `directory-unreadable`, the directory) that the error is about, as the operator named it.
    pub fn path(&self) -> &Path {
        match self {
            Self::DirectoryUnreadable { path, .. }
            | Self::Missing { path }
            | Self::DanglingLink { path, .. }
            | Self::Unreadable { path, .. }
            | Self::NotRegular { path, .. }
            | Self::UntrustedOwner { path, .. }
            | Self::WritableByOthers { path, .. }
            | Self::DirectoryWritableByOthers { path, .. }
            | Self::TooLarge { path, .. }
            | Self::ChangedWhileReading { path, .. }
            | Self::Unsettled { path, .. }
            | Self::Exchanged { path, .. }
            | Self::Empty { path }
            | Self::NotElf { path, .. }
            | Self::NotElf64 { path, .. }
            | Self::ByteOrder { path, .. }
            | Self::Machine { path, .. }
            | Self::Executable { path, .. }
            | Self::NotSharedObject { path, .. }
            | Self::Truncated { path, .. }
            | Self::Malformed { path, .. }
            | Self::Holes { path, .. }
            | Self::WritableCode { path, .. }
            | Self::TextRelocations { path }
            | Self::RunPath { path, .. }
            | Self::NeededNotAllowed { path, .. }
            | Self::NoEntrySymbol { path, .. }
            | Self::NotAPlugin { path, .. }
            | Self::DescriptorInvalid { path, .. }
            | Self::DescriptorFormat { path, .. }
            | Self::UnknownRequires { path, .. }
            | Self::PanicAbort { path, .. }
            | Self::ForeignHeap { path, .. }
            | Self::AbiMajor { path, .. }
            | Self::TargetMismatch { path, .. }
            | Self::ImageDirFull { path, .. }
            | Self::ImageDirReadOnly { path, .. }
            | Self::ImageDirIo { path, .. }
            | Self::ImageBudget { path, .. }
            | Self::MapFailed { path, .. }
            | Self::OpenHangs { path, .. }
            | Self::LinkerHeldUp { path, .. }
            | Self::OpenLost { path }
            | Self::WrongMagic { path, .. }
            | Self::EarlyAllocation { path, .. }
            | Self::EntryRefused { path, .. }
            | Self::KindsMismatch { path, .. }
            | Self::LayoutMissing { path }
            | Self::LayoutMismatch { path, .. }
            | Self::SameVersion { path, .. } => path,
        }
    }
}
