//! Builds of the fixture `stamped`: its library with another stamp, put where a host looks.

use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use crate::AnyError;

/// The plugin's id.
pub(crate) const ID: &str = "tests.stamped._.both.v1";

/// The name of the library in the plugin directory.
const FILE: &str = "libstamped.so";

/// Makes builds, and puts them into one directory.
pub(crate) struct Builds {
    library: Vec<u8>,
    /// Where the stamp is.
    stamp: usize,
    directory: PathBuf,
    /// The number of the last one.
    last: u64,
}

impl Builds {
    /// Of this library, for this directory.
    pub(crate) fn new(library: &Path, directory: &Path) -> Result<Self, AnyError> {
        let bytes = fs::read(library).map_err(|error| format!("{}: {error}", library.display()))?;
        let mark = stamped::MARK.concat();
        let stamp = the_one(&bytes, mark.as_bytes())? + mark.len();
        Ok(Self { library: bytes, stamp, directory: directory.to_owned(), last: 0 })
    }

    /// The next number and the bytes of a build that behaves like this. Numbers, and so contents, never come again.
    pub(crate) fn next(&mut self, behaviour: &str) -> (u64, Vec<u8>) {
        self.last += 1;
        let text = format!("{:010}:{behaviour:<16}", self.last);
        assert_eq!(text.len(), stamped::DIGITS + 1 + stamped::BEHAVIOUR, "{behaviour} fits into a stamp");
        let mut bytes = self.library.clone();
        bytes[self.stamp..self.stamp + text.len()].copy_from_slice(text.as_bytes());
        (self.last, bytes)
    }

    /// A build that says it serves an ABI that this host does not speak.
    pub(crate) fn next_of_another_abi(&mut self) -> Result<Vec<u8>, AnyError> {
        let (_, mut bytes) = self.next("good");
        let (found, wanted) = (b"\"majors\":[1]", b"\"majors\":[9]");
        let place = the_one(&bytes, found)?;
        bytes[place..place + wanted.len()].copy_from_slice(wanted);
        Ok(bytes)
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.join(FILE)
    }

    /// The right way: written beside, renamed into place. `before_rename` is called at the last moment.
    pub(crate) fn rename_into_place(&self, bytes: &[u8], before_rename: impl FnOnce()) -> io::Result<()> {
        let partial = self.directory.join(".partial");
        fs::write(&partial, bytes)?;
        before_rename();
        fs::rename(&partial, self.path())
    }

    /// As a copy over a slow line does it: in pieces, into the file that stands there, cut to nothing before or not.
    pub(crate) fn write_in_place(&self, bytes: &[u8], cut: bool, pieces: usize, pause: Duration) -> io::Result<()> {
        let mut file = File::options().write(true).truncate(cut).open(self.path())?;
        file.seek(SeekFrom::Start(0))?;
        for piece in bytes.chunks(bytes.len().div_ceil(pieces)) {
            file.write_all(piece)?;
            sleep(pause);
        }
        file.set_len(bytes.len() as u64)
    }
}

fn the_one(bytes: &[u8], text: &[u8]) -> Result<usize, AnyError> {
    let mut places = bytes.windows(text.len()).enumerate().filter(|(_, window)| *window == text);
    match (places.next(), places.next()) {
        (Some((place, _)), None) => Ok(place),
        _ => Err(format!("not exactly one {:?} in the library", String::from_utf8_lossy(text)).into()),
    }
}
