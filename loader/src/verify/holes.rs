//! Zeros where none can be: a copy of the right size whose middle never arrived passes every header check and then
//! crashes the host.
//!
//! What can be told cheaply is told here. A zeroed page of `.rodata` or `.data` looks like data that is zero; only a
//! digest given by the author, or a trial load in another process, finds that.

use std::ops::Range;

use object::elf;

use super::elf::Elf;
use crate::error::LoadError;

/// The unit in which a copy loses bytes.
const PAGE: usize = 4096;

/// Tables in which no whole page, nor the part of a page longer than this, is zero in a sound file.
const TABLES: &[(&str, usize)] = &[
    (".dynsym", 64),
    // A tool that removed an rpath leaves its length in zeros; shorter holes show as nameless symbols.
    (".dynstr", 1024),
    (".gnu.hash", 1024),
    // A linker may leave a few empty entries at the end.
    (".rela.dyn", 192),
    (".rela.plt", 64),
    (".eh_frame", 64),
    (".eh_frame_hdr", 64),
];

/// Code has no run of zeros of this length (padding is not zero, or shorter).
const CODE: usize = 64;

/// Looks for pages of zeros in code and in [`TABLES`], and for ranges of code that the file system holds no data for.
pub(super) fn check(elf: &Elf<'_>, sparse: &[Range<u64>]) -> Result<(), LoadError> {
    let mut looked_at = 0;
    for section in &elf.sections {
        let code = section.flags & elf::SHF_EXECINSTR.0 != 0;
        let table = TABLES.iter().find(|(name, _)| name.as_bytes() == section.name).map(|(_, least)| *least);
        let Some(least) = table.or(code.then_some(CODE)) else { continue };
        looked_at += section.file.len();
        if looked_at > elf.bytes.len() {
            return Err(elf.malformed("sections of code and tables overlap".into()));
        }
        if let Some(offset) = zero_page(elf.bytes, section.file.clone(), least) {
            return Err(elf.hole(offset, &String::from_utf8_lossy(section.name)));
        }
    }
    for segment in elf.loads().filter(|segment| segment.flags & elf::PF_X.0 != 0) {
        let code = segment.file.start as u64..segment.file.end as u64;
        // The hint counts only while the bytes read are zero: the file may have been filled in since.
        let inside = |hole: &&Range<u64>| code.start <= hole.start && hole.end <= code.end;
        let empty = |hole: &&Range<u64>| elf.bytes[hole.start as usize..hole.end as usize].iter().all(|&b| b == 0);
        if let Some(hole) = sparse.iter().filter(inside).find(empty) {
            return Err(elf.hole(hole.start as usize, "an executable segment (sparse file)"));
        }
    }
    Ok(())
}

/// The first offset in `range` from which all bytes up to the end of a page (or of the range) are zero, for a stretch
/// of at least `least` bytes.
fn zero_page(bytes: &[u8], range: Range<usize>, least: usize) -> Option<usize> {
    let mut at = range.start;
    while at < range.end {
        let end = ((at / PAGE + 1) * PAGE).min(range.end);
        if end - at >= least && bytes[at..end].iter().all(|&b| b == 0) {
            return Some(at);
        }
        at = end;
    }
    None
}
