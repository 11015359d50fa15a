//! The library header behind a reply's module function, looked at before abi_stable follows what it points at.
//!
//! abi_stable compares magic and version, and then calls functions by way of tables that it takes for granted. A library made by
//! hand may have nothing there; what is null is found here, and the host says so instead of ending with it. What is not null
//! and leads nowhere cannot be found: preflight is for that.
//!
//! # Invariants
//!
//! 1. With abi_stable's magic and version, the header is a [`LibHeader`] of this release, so its words stand where ours do;
//!    [`WORDS`] says where, and a test compares it with a header that abi_stable makes.

use std::ffi::c_void;

use abi_stable::library::{AbiHeader, AbiHeaderRef, CAbiTestingFns, LibHeader, RootModuleConsts};

use super::{first_line, printable};

const WORD: usize = size_of::<usize>();

/// Where the constants of the root module begin, behind magic and version.
const CONSTS: usize = size_of::<AbiHeader>().next_multiple_of(align_of::<RootModuleConsts>());

/// The table of functions by which abi_stable compares calling conventions.
const TESTING: usize = CONSTS + size_of::<RootModuleConsts>() - WORD;

/// What must not be null, and where it stands in a [`LibHeader`].
const WORDS: [(&str, usize); 6] = [
    ("its name", CONSTS),
    ("its name for messages", CONSTS + 2 * WORD),
    ("its version", CONSTS + 4 * WORD),
    ("its table of test functions", TESTING),
    ("its function for globals", CONSTS + size_of::<RootModuleConsts>()),
    ("its constructor", size_of::<LibHeader>() - WORD),
];

/// The header at this address, which is not null. An error says in words what is wrong with it.
///
/// # Safety
///
/// Something of the size of a [`LibHeader`] stands there, for `'static`, if it has abi_stable's magic and version; else at least
/// magic and version do.
pub(super) unsafe fn read(header: *const c_void) -> Result<&'static LibHeader, String> {
    if !header.cast::<LibHeader>().is_aligned() {
        return Err("its library header is not aligned".to_owned());
    }
    // SAFETY: aligned, and by the caller's promise; an AbiHeaderRef is a transparent pointer to it.
    let front = unsafe { std::mem::transmute::<*const c_void, AbiHeaderRef>(header) };
    let ours = AbiHeader::VALUE;
    if front.magic_string != ours.magic_string {
        let (found, expected) = (printable(&front.magic_string), printable(&ours.magic_string));
        return Err(format!("its library header begins with `{found}`, expected `{expected}`"));
    }
    if !front.is_valid() {
        let (found, expected) = ((front.abi_major, front.abi_minor), (ours.abi_major, ours.abi_minor));
        return Err(format!(
            "its library header is one of abi_stable {}.{}, this host's is one of {}.{}",
            found.0, found.1, expected.0, expected.1
        ));
    }
    for (what, at) in WORDS {
        // SAFETY: by the caller's promise, with the magic and version that were just compared (invariant 1).
        if unsafe { word(header, at) }.is_null() {
            return Err(format!("its library header has null where {what} must stand"));
        }
    }
    // SAFETY: as above.
    let testing = unsafe { word(header, TESTING) };
    for at in (0..size_of::<CAbiTestingFns>()).step_by(WORD) {
        // SAFETY: invariant 1: a table of nothing but functions stands there, by the library's word, and it is not null.
        if unsafe { word(testing, at) }.is_null() {
            return Err("its table of test functions has null in it".to_owned());
        }
    }
    front.upgrade().map_err(|error| first_line(&error.to_string()))
}

/// The pointer that stands so many bytes behind `start`, null or not.
///
/// # Safety
///
/// One stands there, aligned.
unsafe fn word(start: *const c_void, at: usize) -> *const c_void {
    // SAFETY: by the caller.
    unsafe { start.byte_add(at).cast::<*const c_void>().read() }
}

#[cfg(test)]
mod tests {
    use abi_stable::library::{CheckTypeLayout, LibHeader, RootModuleResult};
    use mini_chat_plugin_abi::module::PluginModuleRef;

    use super::*;

    extern "C" fn constructor() -> RootModuleResult {
        unreachable!("it is not called")
    }

    /// [`WORDS`] is what abi_stable has there.
    #[test]
    fn words_stand_where_they_are_said_to() {
        // SAFETY: the constructor is never called.
        let header = unsafe { LibHeader::from_constructor::<PluginModuleRef>(constructor, CheckTypeLayout::Yes) };
        let header: &'static LibHeader = Box::leak(Box::new(header));
        // SAFETY: pointers stand at all of these places, which the comparison below shows.
        let word = |at: usize| unsafe { super::word(std::ptr::from_ref(header).cast(), at) } as usize;
        let consts = header.root_mod_consts();
        let expected = [
            consts.base_name().as_ptr() as usize,
            consts.name().as_ptr() as usize,
            consts.version_strings().version.as_ptr() as usize,
            std::ptr::from_ref(consts.c_abi_testing_fns()) as usize,
            word(WORDS[4].1),
            constructor as *const () as usize,
        ];
        assert_eq!(WORDS.map(|(_, at)| word(at)), expected);
        // Private; it stands between two that were compared.
        assert_ne!(word(WORDS[4].1), 0);
        assert_eq!(WORDS[4].1, WORDS[3].1 + WORD);
        // SAFETY: it lives for ever.
        let read = unsafe { read(std::ptr::from_ref(header).cast()) };
        assert!(std::ptr::eq(read.expect("a good header"), header));
    }
}
