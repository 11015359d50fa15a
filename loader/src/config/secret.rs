//! Secret references in `config`: `{ file = … }`, `{ env = … }`, `{ credential = … }`.
//!
//! A reference is checked when the file is parsed and resolved at each create, so that a rotated secret is picked up by
//! the next generation. What is resolved lives in memory that is wiped when it is dropped.

use std::ffi::OsString;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use zeroize::{Zeroize, Zeroizing};

/// The largest secret file that is read, in bytes.
pub const MAX_SECRET: u64 = 1024 * 1024;

/// Where systemd puts the credentials of a service.
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// The keys that make a one-key table a reference.
pub(crate) const KEYS: [&str; 3] = ["file", "env", "credential"];

/// Where secrets come from. Called on the thread that resolves; the calls may block on the file system.
pub trait SecretSource: Send + Sync {
    /// The environment variable `name`, if it is set.
    fn env(&self, name: &str) -> Option<OsString>;

    /// The whole content of a file.
    ///
    /// # Errors
    /// Whatever the system says; the message must not quote the content.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
}

/// The environment and the files of this process.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessSecrets;

impl SecretSource for ProcessSecrets {
    fn env(&self, name: &str) -> Option<OsString> {
        std::env::var_os(name)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        // Asked before opening: the open of a pipe that nobody writes to would block.
        let metadata = std::fs::metadata(path)?;
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        if metadata.len() > MAX_SECRET {
            return Err(too_large());
        }
        // Room for one byte more, so that the buffer does not grow and leave a copy behind.
        let mut content = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0) + 1);
        std::fs::File::open(path)?.take(MAX_SECRET + 1).read_to_end(&mut content)?;
        if content.len() as u64 > MAX_SECRET {
            content.zeroize();
            return Err(too_large());
        }
        Ok(content)
    }
}

fn too_large() -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, "larger than the 1 MiB that a secret may have")
}

/// What a reference points to.
#[derive(Clone, Debug)]
pub(crate) enum SecretRef {
    File(PathBuf),
    Env(String),
    Credential(String),
}

impl SecretRef {
    /// The reference `{ key = name }`.
    ///
    /// Names are held to what can exist, also because a secret that was written here by mistake then does not end up
    /// in a message about a missing one.
    ///
    /// # Errors
    /// What was expected of `name`.
    pub(crate) fn new(key: &str, name: &str, base: &Path) -> Result<Self, &'static str> {
        match key {
            "file" if !name.is_empty() && !name.contains('\0') => Ok(Self::File(base.join(name))),
            "file" => Err("path of a secret file"),
            "env" if is_variable(name) => Ok(Self::Env(name.to_owned())),
            "env" => Err("name of an environment variable (letters, digits and `_`)"),
            _ if is_credential(name) => Ok(Self::Credential(name.to_owned())),
            _ => Err("name of a credential (letters, digits, `.`, `_`, `-` and `@`, no path)"),
        }
    }

    /// The file that holds the secret, when it is one and its place is known.
    pub(crate) fn file(&self, source: &dyn SecretSource) -> Option<PathBuf> {
        match self {
            Self::File(path) => Some(path.clone()),
            Self::Env(_) => None,
            Self::Credential(name) => source.env(CREDENTIALS).map(|directory| PathBuf::from(directory).join(name)),
        }
    }

    /// The secret itself.
    ///
    /// # Errors
    /// What is missing, in words, never with a part of the secret.
    pub(crate) fn resolve(&self, source: &dyn SecretSource) -> Result<Zeroizing<String>, String> {
        match self {
            Self::File(path) => read(source, path),
            Self::Env(name) => match source.env(name).map(OsString::into_string) {
                Some(Ok(value)) => Ok(Zeroizing::new(value)),
                Some(Err(value)) => {
                    value.into_encoded_bytes().zeroize();
                    Err(format!("expected text in environment variable `{name}`, found bytes that are not UTF-8"))
                }
                None => Err(format!("environment variable `{name}` is not set in the host's environment")),
            },
            Self::Credential(name) => match self.file(source) {
                Some(path) => read(source, &path),
                None => Err(format!(
                    "credential `{name}` cannot be looked up: ${CREDENTIALS} is not set; \
                     expected a service started by systemd with LoadCredential={name}:…"
                )),
            },
        }
    }
}

fn read(source: &dyn SecretSource, path: &Path) -> Result<Zeroizing<String>, String> {
    let content = source.read(path).map_err(|error| format!("cannot read secret file {}: {error}", path.display()))?;
    let mut text = match String::from_utf8(content) {
        Ok(text) => Zeroizing::new(text),
        Err(error) => {
            error.into_bytes().zeroize();
            return Err(format!("expected text in secret file {}, found bytes that are not UTF-8", path.display()));
        }
    };
    // Editors and `echo` end a file with one line break, which is not part of the secret.
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

fn is_variable(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn is_credential(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'@');
    (1..=255).contains(&name.len()) && name.bytes().all(allowed) && !matches!(name, "." | "..")
}
