//! Who is at the other end of a connection.
//!
//! Invariant 1 (for `unsafe`): the kernel writes at most the length that it is given, and a `ucred` is three integers, of
//! which every pattern is valid.

use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

/// The user that made the connection, as the kernel noted it then.
///
/// Not by rustix: its type has a process number that is never 0, and the kernel gives 0 for a process of a namespace that
/// cannot be seen from here, such as another container of the same pod.
pub(super) fn uid(stream: &UnixStream) -> io::Result<u32> {
    let mut found = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let expected = size_of::<libc::ucred>() as libc::socklen_t;
    let mut length = expected;
    // SAFETY: `found` and `length` live until the call returns, and `length` is the size of `found` (invariant 1).
    let status = unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut found).cast(),
            &raw mut length,
        )
    };
    match (status, length == expected) {
        (0, true) => Ok(found.uid),
        (0, false) => Err(io::Error::other("the system does not say who is at the other end")),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Whether a host of this process answers that user.
pub(super) fn is_allowed(uid: u32) -> bool {
    uid == 0 || uid == rustix::process::geteuid().as_raw()
}
