//! Rotation: `PATH` becomes `PATH.1`, `PATH.1` becomes `PATH.2`, …; the last one is dropped.

use std::fs;
use std::io;

use super::{Journal, beside, private};

impl Journal {
    /// Puts the file aside if a line of this length would make it too large.
    ///
    /// A failure is only warned of, once: a file that grows too large is better than events that are not recorded.
    pub(super) fn rotate_for(&mut self, line: u64) {
        let Some(rotation) = self.rotation else { return };
        if self.len == 0 || self.len.saturating_add(line) <= rotation.max_bytes {
            return;
        }
        match self.rotate(rotation.keep) {
            Ok(()) => self.rotation_failed = false,
            Err(error) => {
                if !std::mem::replace(&mut self.rotation_failed, true) {
                    self.warn(&format!(
                        "{} could not be put aside and grows on: {error}; check that its directory may be written",
                        self.path.display()
                    ));
                }
            }
        }
    }

    fn rotate(&mut self, keep: u32) -> io::Result<()> {
        self.sync()?;
        let aside = |number: u32| beside(&self.path, number);
        // Up to the first gap only, so that an attempt that fails below and is repeated drops nothing.
        let mut last = 1;
        while last < keep && aside(last).try_exists()? {
            last += 1;
        }
        for number in (1..last).rev() {
            fs::rename(aside(number), aside(number + 1))?;
        }
        fs::rename(&self.path, aside(1))?;
        match private().read(true).append(true).create_new(true).open(&self.path) {
            Ok(file) => {
                self.file = file;
                self.len = 0;
                self.dirty = false;
                self.sync_directory()
            }
            Err(error) => {
                // Go on in the old file. If that fails, too, `refresh` finds the name missing before the next batch.
                let _ = fs::rename(aside(1), &self.path);
                Err(error)
            }
        }
    }
}
