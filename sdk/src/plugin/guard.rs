//! The panic guard: what the author's code panics with becomes data, inside the plugin.
//!
//! In a loaded library the guard also has the library's panic hook (its copy of std is its own), which notes the location
//! and writes one record to the host's log instead of text to stderr. Linked statically nothing is installed: the hook is
//! the host's, and the location is not known.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};

use mini_chat_plugin_abi::error::{FfiError, FfiErrorKind, FfiErrorOrigin};

/// A caught panic.
#[derive(Debug)]
pub(crate) struct Caught {
    /// What it said.
    pub(crate) message: String,
    /// `file:line:column`, where known.
    pub(crate) location: Option<String>,
}

impl Caught {
    pub(crate) fn into_ffi(self, kind: FfiErrorKind) -> FfiError {
        let mut error = FfiError::new(FfiErrorOrigin::PANIC, kind, self.message);
        error.detail = self.location.unwrap_or_default().into();
        error
    }
}

thread_local! {
    /// Whether `LOCATION` has something: without a destructor, so that asking costs next to nothing.
    static LOCATED: Cell<bool> = const { Cell::new(false) };
    static LOCATION: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Where the last panic of this thread was, once.
#[cold]
fn take_location() -> Option<String> {
    LOCATED.set(false);
    LOCATION.try_with(|cell| cell.borrow_mut().take()).ok().flatten()
}

/// Runs `f`; a panic comes back as data. Never unwinds, also if dropping the payload panics.
pub(crate) fn catch<R>(f: impl FnOnce() -> R) -> Result<R, Caught> {
    // A panic that somebody else caught left its place here; what is caught below is not it. A nested guard has taken its own.
    if LOCATED.get() {
        take_location();
    }
    catch_unwind(AssertUnwindSafe(f)).map_err(caught)
}

/// What a payload says; the payload is dropped under a guard of its own.
pub(crate) fn caught(payload: Box<dyn Any + Send>) -> Caught {
    let message = text(payload.as_ref()).to_owned();
    let location = take_location();
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        // The payload's drop panicked. What that panic carries may do the same: leak it.
        std::mem::forget(second);
    }
    Caught { message, location }
}

fn text(payload: &(dyn Any + Send)) -> &str {
    match (payload.downcast_ref::<&'static str>(), payload.downcast_ref::<String>()) {
        (Some(text), _) => text,
        (_, Some(text)) => text,
        _ => "a value that is not text",
    }
}

/// Makes the library's panics known to the guard and to the host's log. Only for a loaded library.
#[cfg(mini_chat_elf)]
pub(crate) fn install_hook() {
    std::panic::set_hook(Box::new(|info| {
        let location = info.location().map(ToString::to_string);
        let thread = std::thread::current();
        let text = text(info.payload());
        super::host::log_from_image(
            mini_chat_plugin_abi::host::FfiLogLevel::ERROR,
            &format!(
                "plugin code (image {}) panicked at {} on thread {}: {text}",
                super::entry::loaded().map_or(0, |loaded| loaded.image),
                location.as_deref().unwrap_or("an unknown place"),
                thread.name().unwrap_or("without a name"),
            ),
        );
        LOCATED.set(LOCATION.try_with(|cell| *cell.borrow_mut() = location).is_ok());
    }));
}
