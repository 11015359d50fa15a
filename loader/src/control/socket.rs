//! [`ControlSocket`]: makes the socket, and removes it.
//!
//! It is bound under a private name in its directory and linked to its own name when it listens: whoever finds it there can
//! connect, and there is no moment in which others than its owner may. Linking fails if something stands there, so two
//! hosts that start at once cannot both believe to have it.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, socket_with};

use super::Bounds;
use super::server::Server;
use crate::error::ControlError;
use crate::handle::Handle;

/// What a path of a socket may have, its final zero not counted.
const LONGEST_PATH: usize = 107;
/// What the private name adds to the directory's.
const PRIVATE_NAME: usize = ".control-0123456789abcdef".len();
/// Connections that may wait to be accepted.
const BACKLOG: i32 = 32;
/// How often it is looked again at what stands at the path, if that changes meanwhile.
const LOOKS: usize = 8;

/// The control socket of a host, until this is dropped: then its connections end, its threads with them, and the socket
/// file is removed, if it is still this one. Dropping blocks for a moment, about a second at most.
#[derive(Debug)]
pub struct ControlSocket {
    path: PathBuf,
    /// Device and inode.
    file: (u64, u64),
    /// None once it is being dropped.
    server: Option<Server>,
}

impl ControlSocket {
    pub(crate) fn serve(path: &Path, handle: Handle) -> Result<Self, ControlError> {
        Self::serve_within(path, handle, Bounds::default())
    }

    pub(super) fn serve_within(path: &Path, handle: Handle, bounds: Bounds) -> Result<Self, ControlError> {
        // What is removed at the end must be found then, wherever the process stands.
        let path = std::path::absolute(path).map_err(failed(path, "find its directory"))?;
        let (listener, file) = listen_at(&path)?;
        // Removes the file should there be no threads.
        let mut socket = Self { path, file, server: None };
        let server = Server::start(listener, handle, bounds).map_err(failed(&socket.path, "start its threads"))?;
        socket.server = Some(server);
        Ok(socket)
    }

    /// Where it is: an absolute path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        // First, so that nobody comes any more.
        if identity(&self.path).ok() == Some(self.file) {
            let _ = std::fs::remove_file(&self.path);
        }
        if let Some(server) = self.server.take() {
            server.stop();
        }
    }
}

fn failed<'a>(path: &'a Path, what: &'static str) -> impl FnOnce(io::Error) -> ControlError + use<'a> {
    move |error| ControlError::Io { path: path.to_owned(), what, error }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let meta = std::fs::symlink_metadata(path)?;
    Ok((meta.dev(), meta.ino()))
}

/// A name that nobody else uses.
fn private(directory: &Path) -> io::Result<PathBuf> {
    let mut random = [0_u8; 8];
    rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())?;
    Ok(directory.join(format!(".control-{:016x}", u64::from_ne_bytes(random))))
}

/// Removes a file that nobody else knows.
struct Private(PathBuf);

impl Drop for Private {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn listen_at(path: &Path) -> Result<(UnixListener, (u64, u64)), ControlError> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    let longest = path.as_os_str().len().max(directory.as_os_str().len() + 1 + PRIVATE_NAME);
    if longest > LONGEST_PATH {
        let (found, limit) = (path.as_os_str().len(), LONGEST_PATH - (longest - path.as_os_str().len()));
        return Err(ControlError::TooLong { path: path.to_owned(), found, limit });
    }
    let made = Private(private(directory).map_err(failed(path, "make a name"))?);
    let listener = bound(&made.0).map_err(failed(path, "make it in its directory"))?;
    let file = identity(&made.0).map_err(failed(path, "find it again"))?;
    for _ in 0..LOOKS {
        match std::fs::hard_link(&made.0, path) {
            Ok(()) => return Ok((listener, file)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => make_way(path, directory)?,
            Err(error) => return Err(failed(path, "give it its name")(error)),
        }
    }
    Err(ControlError::InUse { path: path.to_owned() })
}

/// Listens at a private name. The file of a socket has the mode that the socket has when it is bound: set before, there is
/// no moment with another one, and nothing to be mended afterwards.
fn bound(name: &Path) -> io::Result<UnixListener> {
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    rustix::fs::fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
    bind(&socket, &SocketAddrUnix::new(name)?)?;
    listen(&socket, BACKLOG)?;
    Ok(UnixListener::from(socket))
}

/// Removes the socket of a host that has ended; whatever else stands there is an error.
fn make_way(path: &Path, directory: &Path) -> Result<(), ControlError> {
    let meta = match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(failed(path, "see what stands there"))?,
    };
    let kind = meta.file_type();
    if !kind.is_socket() {
        let found = match () {
            () if kind.is_file() => "regular file",
            () if kind.is_dir() => "directory",
            () if kind.is_symlink() => "symbolic link",
            () => "device or pipe",
        };
        return Err(ControlError::NotASocket { path: path.to_owned(), found });
    }
    match try_connect(path) {
        Err(Errno::CONNREFUSED) => {}
        Err(Errno::NOENT) => return Ok(()),
        // Somebody listens, and has many connections to accept.
        Ok(_) | Err(Errno::AGAIN) => return Err(ControlError::InUse { path: path.to_owned() }),
        Err(errno) => return Err(failed(path, "see whether a host listens there")(errno.into())),
    }
    // Put aside rather than removed: another host may have made its own there since.
    let aside = Private(private(directory).map_err(failed(path, "make a name"))?);
    match std::fs::rename(path, &aside.0) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(failed(path, "remove the socket of a host that has ended"))?,
    }
    if identity(&aside.0).ok() != Some((meta.dev(), meta.ino())) {
        let _ = std::fs::hard_link(&aside.0, path);
    }
    Ok(())
}

/// Connects without waiting for anything.
pub(super) fn try_connect(path: &Path) -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    // A name that is too long, or has a zero in it, is one that nobody listens at.
    let address = SocketAddrUnix::new(path.as_os_str().as_bytes()).map_err(|_| Errno::NOENT)?;
    connect(&socket, &address)?;
    Ok(socket)
}
