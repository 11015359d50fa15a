//! The dynamic section: the only tables that the system's loader goes by.
//!
//! Section headers can say anything, so whatever decides (needed libraries, rpath, relocations) is read through
//! PT_DYNAMIC, as dlopen does it.

use object::elf::{self, DynamicTag};

use super::elf::{Elf, Section};
use crate::error::LoadError;

/// Most entries of the dynamic section: a linker makes about thirty, and one for each needed library.
const MOST_ENTRIES: usize = 4096;

/// Most bytes of a string that is copied: of a path, or the name of a library or version.
const MOST_STRING: usize = 4096;

/// PT_DYNAMIC up to DT_NULL, and the string table that it names.
pub(super) struct Dynamic<'a> {
    entries: Vec<(DynamicTag, u64)>,
    /// Up to the last one that has an end, so that each that begins here has one.
    strings: &'a [u8],
    /// Symbols, 24 bytes each.
    symbols: &'a [u8],
}

/// One dynamic symbol in plain numbers.
pub(super) struct Symbol {
    name: u32,
    pub(super) info: u8,
    pub(super) section: u16,
    pub(super) addr: u64,
}

impl<'a> Dynamic<'a> {
    pub(super) fn parse(elf: &Elf<'a>) -> Result<Self, LoadError> {
        let segment = elf.segments.iter().find(|s| s.kind == elf::PT_DYNAMIC);
        let segment = segment.ok_or_else(|| elf.malformed("no dynamic section".into()))?;
        let bytes = &elf.bytes[segment.file.clone()];
        if bytes.iter().all(|&b| b == 0) {
            return Err(elf.hole(segment.file.start, ".dynamic"));
        }
        let mut entries = Vec::new();
        let mut closed = false;
        for entry in bytes.chunks_exact(16) {
            let tag = DynamicTag(i64::from_le_bytes(entry[..8].try_into().expect("eight bytes")));
            if tag == elf::DT_NULL {
                closed = true;
                break;
            }
            if entries.len() == MOST_ENTRIES {
                return Err(elf.malformed(format!("more than {MOST_ENTRIES} entries in the dynamic section")));
            }
            entries.push((tag, u64::from_le_bytes(entry[8..].try_into().expect("eight bytes"))));
        }
        if !closed {
            return Err(elf.malformed("the dynamic section has no end".into()));
        }
        let mut dynamic = Self { entries, strings: &[], symbols: &[] };
        let strings = dynamic.table(elf, elf::DT_STRTAB, elf::DT_STRSZ)?.unwrap_or_default();
        dynamic.strings = &strings[..strings.iter().rposition(|&b| b == 0).map_or(0, |last| last + 1)];
        dynamic.symbols = dynamic.symbol_table(elf)?;
        if dynamic.strings.is_empty() || dynamic.symbols.is_empty() {
            return Err(elf.malformed("no dynamic strings or symbols".into()));
        }
        dynamic.check_against_sections(elf)?;
        dynamic.check_names(elf)?;
        Ok(dynamic)
    }

    /// The bytes of the table at `addr` with the length of `size`, if the section names one.
    pub(super) fn table(
        &self,
        elf: &Elf<'a>,
        addr: DynamicTag,
        size: DynamicTag,
    ) -> Result<Option<&'a [u8]>, LoadError> {
        let Some(at) = self.get(addr) else {
            return Ok(None);
        };
        let len = self.get(size).ok_or_else(|| elf.malformed(format!("dynamic tag {:#x} is missing", size.0)))?;
        match elf.bytes_at(at, len) {
            Some(bytes) => Ok(Some(bytes)),
            None => Err(elf.malformed(format!("the table of dynamic tag {:#x} lies outside the file", addr.0))),
        }
    }

    /// The dynamic section gives no length for the symbols; the section header does, and must name the same table.
    fn symbol_table(&self, elf: &Elf<'a>) -> Result<&'a [u8], LoadError> {
        let section = elf.section_of(elf::SHT_DYNSYM).ok_or_else(|| elf.malformed("no section of symbols".into()))?;
        if self.get(elf::DT_SYMTAB) != Some(section.addr) || elf.file_range(section.addr, 1).is_none() {
            return Err(elf.malformed("the symbols' section is not the table that is loaded".into()));
        }
        Ok(&elf.bytes[section.file.clone()])
    }

    /// Half a dynamic section (its second page is a hole) reads as a short one: what the sections have, it must name.
    fn check_against_sections(&self, elf: &Elf<'a>) -> Result<(), LoadError> {
        let kinds: [(_, &[DynamicTag]); 4] = [
            (elf::SHT_RELA, &[elf::DT_RELA, elf::DT_JMPREL]),
            (elf::SHT_GNU_VERNEED, &[elf::DT_VERNEED]),
            (elf::SHT_INIT_ARRAY, &[elf::DT_INIT_ARRAY]),
            (elf::SHT_GNU_HASH, &[elf::DT_GNU_HASH]),
        ];
        for (kind, tags) in kinds {
            let loaded = |s: &&Section<'_>| s.kind == kind && s.flags & elf::SHF_ALLOC.0 != 0 && !s.file.is_empty();
            if let Some(section) = elf.sections.iter().find(loaded)
                && tags.iter().all(|tag| self.get(*tag).is_none())
            {
                let name = String::from_utf8_lossy(section.name);
                return Err(elf.malformed(format!("section {name} is not in the dynamic section")));
            }
        }
        Ok(())
    }

    /// A symbol that has a name has one of at least a character: else the strings have a hole.
    fn check_names(&self, elf: &Elf<'a>) -> Result<(), LoadError> {
        for index in 0..self.symbol_count() {
            let name = self.symbol(index).map_or(0, |symbol| u64::from(symbol.name));
            match usize::try_from(name).ok().and_then(|name| self.strings.get(name)) {
                _ if name == 0 => {}
                Some(0) => {
                    let at = self.get(elf::DT_STRTAB).and_then(|start| start.checked_add(name));
                    let range = at.and_then(|at| elf.file_range(at, 1));
                    return Err(elf.hole(range.map_or(0, |range| range.start), ".dynstr"));
                }
                Some(_) => {}
                None => return Err(elf.malformed(format!("the name of symbol {index} has no end"))),
            }
        }
        Ok(())
    }

    pub(super) fn get(&self, tag: DynamicTag) -> Option<u64> {
        self.all(tag).next()
    }

    pub(super) fn all(&self, tag: DynamicTag) -> impl Iterator<Item = u64> {
        self.entries.iter().filter(move |entry| entry.0 == tag).map(|entry| entry.1)
    }

    /// The string at an offset, lossy; `None` outside the table, without an end, or of more than [`MOST_STRING`] bytes.
    pub(super) fn string(&self, offset: u64) -> Option<String> {
        self.raw_string(offset).map(|s| String::from_utf8_lossy(s).into_owned())
    }

    fn raw_string(&self, offset: u64) -> Option<&'a [u8]> {
        let rest = self.strings.get(usize::try_from(offset).ok()?..)?;
        let rest = &rest[..rest.len().min(MOST_STRING)];
        Some(&rest[..rest.iter().position(|&b| b == 0)?])
    }

    /// The strings of a tag that may occur several times, at most [`MOST_ENTRIES`] of at most [`MOST_STRING`] bytes: 16 MiB.
    pub(super) fn strings(&self, elf: &Elf<'a>, tag: DynamicTag) -> Result<Vec<String>, LoadError> {
        let outside = || elf.malformed(format!("a string of dynamic tag {:#x} lies outside its table", tag.0));
        self.all(tag).map(|offset| self.string(offset).ok_or_else(outside)).collect()
    }

    pub(super) fn symbol_count(&self) -> usize {
        self.symbols.len() / 24
    }

    pub(super) fn symbol(&self, index: usize) -> Option<Symbol> {
        let s = self.symbols.get(index.checked_mul(24)?..)?.get(..24)?;
        Some(Symbol {
            name: u32::from_le_bytes(s[..4].try_into().expect("four bytes")),
            info: s[4],
            section: u16::from_le_bytes(s[6..8].try_into().expect("two bytes")),
            addr: u64::from_le_bytes(s[8..16].try_into().expect("eight bytes")),
        })
    }

    /// Whether the symbol is defined by this library itself and has that name.
    pub(super) fn is_named(&self, index: usize, name: &str) -> bool {
        let is_it = |at: u32| {
            let rest = usize::try_from(at).ok().and_then(|at| self.strings.get(at..));
            rest.and_then(|rest| rest.strip_prefix(name.as_bytes())).is_some_and(|rest| rest.first() == Some(&0))
        };
        self.symbol(index).is_some_and(|symbol| symbol.section != 0 && is_it(symbol.name))
    }

    /// The number of the symbol of that name that this library itself defines.
    pub(super) fn position(&self, name: &str) -> Option<usize> {
        (0..self.symbol_count()).find(|&index| self.is_named(index, name))
    }
}
