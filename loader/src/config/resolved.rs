//! A `config` table with its secrets filled in: what one create of the plugin receives.

use std::fmt;
use std::io::{self, Write};

use serde::Serialize;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// The effective configuration of one create, as JSON. Made by `ConfigTable::resolve`; wiped when dropped.
#[derive(Clone)]
pub struct ResolvedConfig {
    json: Zeroizing<Vec<u8>>,
    fingerprint: [u8; 32],
}

impl ResolvedConfig {
    pub(crate) fn new(value: &impl Serialize) -> Self {
        // Counted first: a buffer that grows would leave copies of the secrets behind.
        let mut length = Count(0);
        write(value, &mut length);
        let mut json = Zeroizing::new(Vec::with_capacity(length.0));
        write(value, &mut *json);
        let fingerprint = Sha256::digest(&*json).into();
        Self { json, fingerprint }
    }

    /// What [`as_json`](Self::as_json) gave in another process.
    pub(crate) fn received(json: Zeroizing<Vec<u8>>) -> Result<Self, std::str::Utf8Error> {
        std::str::from_utf8(&json)?;
        let fingerprint = Sha256::digest(&*json).into();
        Ok(Self { json, fingerprint })
    }

    /// The JSON object: keys sorted, no white space, so that equal configurations give equal bytes.
    ///
    /// It holds secrets in the clear; do not log it.
    pub fn as_json(&self) -> &str {
        std::str::from_utf8(&self.json).expect("serde_json writes UTF-8")
    }

    /// SHA-256 of [`as_json`](Self::as_json): equal exactly for equal effective configurations.
    ///
    /// For comparing, not for showing: a short secret can be found from it by trying.
    pub fn fingerprint(&self) -> [u8; 32] {
        self.fingerprint
    }
}

impl fmt::Debug for ResolvedConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResolvedConfig(..)")
    }
}

fn write(value: &impl Serialize, writer: impl Write) {
    // Neither of the two writers fails, and the tree has only what JSON can hold.
    serde_json::to_writer(writer, value).expect("a config tree can always be written as JSON");
}

struct Count(usize);

impl Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
