//! The dynamic section: the only tables that the system's loader goes by.
//!
//! Section headers can say anything, so whatever decides (needed libraries, rpath, relocations) is read through
//! PT_DYNAMIC, as dlopen does it.

use object::elf::{self, DynamicTag};

use super::elf::Elf;
use crate::error::LoadError;

/// PT_DYNAMIC up to DT_NULL, and the string table that it names.
pub(super) struct Dynamic<'a> {
    entries: Vec<(DynamicTag, u64)>,
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
            entries.push((tag, u64::from_le_bytes(entry[8..].try_into().expect("eight bytes"))));
        }
        if !closed {
            return Err(elf.malformed("the dynamic section has no end".into()));
        }
        let mut dynamic = Self { entries, strings: &[], symbols: &[] };
        dynamic.strings = dynamic.table(elf, elf::DT_STRTAB, elf::DT_STRSZ)?.unwrap_or_default();
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
        let loaded = |s: &&super::elf::Section| s.flags & elf::SHF_ALLOC.0 != 0 && !s.file.is_empty();
        for section in elf.sections.iter().filter(loaded) {
            let named = match section.kind {
                elf::SHT_RELA => self.get(elf::DT_RELA).is_some() || self.get(elf::DT_JMPREL).is_some(),
                elf::SHT_GNU_VERNEED => self.get(elf::DT_VERNEED).is_some(),
                elf::SHT_INIT_ARRAY => self.get(elf::DT_INIT_ARRAY).is_some(),
                elf::SHT_GNU_HASH => self.get(elf::DT_GNU_HASH).is_some(),
                _ => true,
            };
            if !named {
                return Err(elf.malformed(format!("section {} is not in the dynamic section", section.name)));
            }
        }
        Ok(())
    }

    /// A symbol that has a name has one of at least a character: else the strings have a hole.
    fn check_names(&self, elf: &Elf<'a>) -> Result<(), LoadError> {
        for index in 0..self.symbol_count() {
            let name = self.symbol(index).map_or(0, |symbol| u64::from(symbol.name));
            match self.raw_string(name) {
                _ if name == 0 => {}
                Some(b"") => {
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

    /// The string at an offset, lossy; `None` outside the table or without an end.
    pub(super) fn string(&self, offset: u64) -> Option<String> {
        self.raw_string(offset).map(|s| String::from_utf8_lossy(s).into_owned())
    }

    fn raw_string(&self, offset: u64) -> Option<&'a [u8]> {
        let rest = self.strings.get(usize::try_from(offset).ok()?..)?;
        Some(&rest[..rest.iter().position(|&b| b == 0)?])
    }

    /// The strings of a tag that may occur several times.
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
        self.symbol(index)
            .is_some_and(|symbol| symbol.section != 0 && self.raw_string(symbol.name.into()) == Some(name.as_bytes()))
    }

    /// The number of the symbol of that name that this library itself defines.
    pub(super) fn position(&self, name: &str) -> Option<usize> {
        (0..self.symbol_count()).find(|&index| self.is_named(index, name))
    }
}
