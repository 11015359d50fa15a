//! Memory of this process, as the kernel counts it.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::contest::median;

/// Memory in bytes, more than before what is measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// Of the files of the images, what is mapped and resident (`Pss`): code and tables, most of which the kernel can drop and read
    /// again. A `.bss` is not a part of the file, and counts for the process only.
    pub image_bytes: f64,
    /// Of that, what is in no file (`Anonymous`): relocated tables and changed data. (`Private_Dirty` has the pages of a file that
    /// was written a moment ago, too.)
    pub image_own_bytes: f64,
    /// Everything that the process has (`Pss`): images, heap, stacks of threads.
    pub process_bytes: f64,
    /// Of that `Anonymous`.
    pub process_own_bytes: f64,
}

impl Memory {
    /// What this process has now. Images are the files that are mapped from somewhere under `images`.
    pub(super) fn now(images: &Path) -> Self {
        let maps = std::fs::read_to_string("/proc/self/smaps").expect("the kernel shows the mappings of a process");
        Self::of(&maps, images)
    }

    fn of(maps: &str, images: &Path) -> Self {
        let (mut memory, mut of_image) = (Self::default(), false);
        for line in maps.lines() {
            let bytes = |name| line.strip_prefix(name).and_then(kibibytes).map(|kibibytes: f64| kibibytes * 1024.0);
            if let Some(bytes) = bytes("Pss:") {
                memory.process_bytes += bytes;
                memory.image_bytes += if of_image { bytes } else { 0.0 };
            } else if let Some(bytes) = bytes("Anonymous:") {
                memory.process_own_bytes += bytes;
                memory.image_own_bytes += if of_image { bytes } else { 0.0 };
            } else if line.split_whitespace().next().is_some_and(|first| !first.ends_with(':')) {
                // ADDRESSES MODE OFFSET DEVICE INODE, and a path, if it is a file.
                of_image = line.find('/').is_some_and(|path| Path::new(&line[path..]).starts_with(images));
            }
        }
        memory
    }

    /// Each figure by itself.
    fn with(self, other: Self, what: impl Fn(f64, f64) -> f64) -> Self {
        Self {
            image_bytes: what(self.image_bytes, other.image_bytes),
            image_own_bytes: what(self.image_own_bytes, other.image_own_bytes),
            process_bytes: what(self.process_bytes, other.process_bytes),
            process_own_bytes: what(self.process_own_bytes, other.process_own_bytes),
        }
    }

    /// What it is more than that.
    pub(super) fn beyond(self, before: Self) -> Self {
        self.with(before, |now, before| now - before)
    }

    /// The share of each of so many.
    pub(super) fn each_of(self, count: usize) -> Self {
        self.with(self, |all, _| all / count as f64)
    }

    /// The median of each figure.
    pub(super) fn median(all: &[Self]) -> Self {
        let of = |figure: fn(&Self) -> f64| median(all.iter().map(figure).collect());
        Self {
            image_bytes: of(|memory| memory.image_bytes),
            image_own_bytes: of(|memory| memory.image_own_bytes),
            process_bytes: of(|memory| memory.process_bytes),
            process_own_bytes: of(|memory| memory.process_own_bytes),
        }
    }
}

/// `   12 kB`.
fn kibibytes(text: &str) -> Option<f64> {
    text.trim().strip_suffix(" kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_mapped_from_the_images_is_told_apart() {
        let maps = "\
7f00-7f01 r-xp 00000000 fe:00 1234                       /var/images/one two.so
Rss:                  64 kB
Pss:                  32 kB
Pss_Dirty:             8 kB
Anonymous:         4 kB
VmFlags: rd ex mr mw me
7f02-7f03 rw-p 00000000 00:00 0
Pss:                 100 kB
Anonymous:       100 kB
7f04-7f05 r--p 00000000 fe:00 99                         /var/images-elsewhere/three.so
Pss:                   1 kB
Anonymous:         0 kB
";
        let memory = Memory::of(maps, Path::new("/var/images"));
        let kib = |kib: f64| kib * 1024.0;
        let expected = Memory {
            image_bytes: kib(32.0),
            image_own_bytes: kib(4.0),
            process_bytes: kib(133.0),
            process_own_bytes: kib(104.0),
        };
        assert_eq!(memory, expected);
        assert_eq!(memory.beyond(memory), Memory::default());
        assert_eq!(memory.each_of(4).image_bytes, kib(8.0));
    }

    #[test]
    fn the_kernel_writes_what_is_read() {
        let none = Memory::now(Path::new("/nothing-is-mapped-from-here"));
        assert!(none.process_bytes > 0.0 && none.process_own_bytes > 0.0 && none.image_bytes == 0.0, "{none:?}");
        let all = Memory::now(Path::new("/"));
        assert!(all.image_bytes > 0.0, "this program is a file: {all:?}");
    }
}
