//! The ELF skeleton: header, segments and sections, with every range proved to lie inside the file.
//!
//! After [`Elf::parse`] no arithmetic on those ranges can overflow or leave the bytes. A file cut anywhere ends here:
//! mapped, it would kill the process with SIGBUS.
//!
//! All of `verify` looks at each byte a bounded number of times and holds no more than a small multiple of the file: what could
//! make a table be walked once per entry of another has a limit that no linker comes near.

use std::ops::Range;
use std::path::Path;

use object::LittleEndian as LE;
use object::SectionIndex;
use object::elf::{self, FileHeader64};
use object::read::elf::{FileHeader as _, SectionHeader as _};

use super::ident::{self, HOST, machine_name, type_name};
use crate::error::LoadError;

/// `e_phentsize` and `e_shentsize` of a 64-bit file.
const PROGRAM_HEADER: u64 = 56;
const SECTION_HEADER: u64 = 64;

/// Most program headers: a linker makes about a dozen, and every address is looked up among them.
const MOST_SEGMENTS: usize = 128;

/// Most bytes of a section's name.
const MOST_NAME: usize = 256;

/// A program header in plain numbers; `file` lies inside the bytes, `addr + memsz` does not overflow.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    pub(super) kind: elf::ProgramType,
    pub(super) flags: u32,
    pub(super) file: Range<usize>,
    pub(super) addr: u64,
    pub(super) memsz: u64,
}

/// A section header in plain numbers; `file` lies inside the bytes and is empty for NOBITS.
#[derive(Debug, Clone)]
pub(super) struct Section<'a> {
    pub(super) name: &'a [u8],
    pub(super) kind: elf::SectionType,
    pub(super) flags: u64,
    pub(super) addr: u64,
    pub(super) file: Range<usize>,
}

/// A 64-bit little endian shared object of this machine whose ranges all lie inside `bytes`.
pub(super) struct Elf<'a> {
    pub(super) path: &'a Path,
    pub(super) bytes: &'a [u8],
    pub(super) segments: Vec<Segment>,
    pub(super) sections: Vec<Section<'a>>,
}

impl<'a> Elf<'a> {
    pub(super) fn parse(path: &'a Path, bytes: &'a [u8]) -> Result<Self, LoadError> {
        ident::check(path, bytes)?;
        let header = FileHeader64::<LE>::parse(bytes).map_err(|e| malformed(path, e.to_string()))?;
        let machine = header.e_machine(LE);
        if machine != HOST.0 {
            return Err(LoadError::Machine { path: path.into(), found: machine_name(machine), expected: HOST.1 });
        }
        match header.e_type(LE) {
            elf::ET_DYN => {}
            elf::ET_EXEC => {
                return Err(LoadError::Executable { path: path.into(), found: "fixed address" });
            }
            other => {
                return Err(LoadError::NotSharedObject { path: path.into(), found: type_name(other) });
            }
        }
        let (segments, sections) = tables(path, bytes, header)?;
        if segments.iter().any(|segment| segment.kind == elf::PT_INTERP) {
            return Err(LoadError::Executable { path: path.into(), found: "names a program interpreter" });
        }
        let elf = Self { path, bytes, segments, sections };
        elf.check_layout()?;
        Ok(elf)
    }

    /// What glibc relies on when it maps: at least one PT_LOAD, ascending, apart, page congruent.
    fn check_layout(&self) -> Result<(), LoadError> {
        let mut end = 0;
        for load in self.loads() {
            if (load.file.len() as u64) > load.memsz {
                return Err(self.malformed(format!("segment at {:#x} is larger in the file than in memory", load.addr)));
            }
            if load.addr < end {
                return Err(self.malformed(format!("segment at {:#x} is out of order or overlaps", load.addr)));
            }
            if (load.file.start as u64 ^ load.addr) & 0xfff != 0 {
                return Err(self.malformed(format!("segment at {:#x} is not page congruent", load.addr)));
            }
            if load.flags & (elf::PF_W.0 | elf::PF_X.0) == elf::PF_W.0 | elf::PF_X.0 {
                return Err(LoadError::WritableCode { path: self.path.into(), address: load.addr });
            }
            end = load.addr + load.memsz;
        }
        if end == 0 { Err(self.malformed("no loadable segment".into())) } else { Ok(()) }
    }

    pub(super) fn loads(&self) -> impl Iterator<Item = &Segment> {
        self.segments.iter().filter(|segment| segment.kind == elf::PT_LOAD)
    }

    pub(super) fn section(&self, name: &str) -> Option<&Section<'a>> {
        self.sections.iter().find(|section| section.name == name.as_bytes())
    }

    pub(super) fn section_of(&self, kind: elf::SectionType) -> Option<&Section<'a>> {
        self.sections.iter().find(|section| section.kind == kind)
    }

    /// Where `len` bytes at the address stand in the file, if one PT_LOAD holds them all.
    pub(super) fn file_range(&self, addr: u64, len: u64) -> Option<Range<usize>> {
        self.loads().find_map(|load| {
            let skip = usize::try_from(addr.checked_sub(load.addr)?).ok()?;
            let start = load.file.start.checked_add(skip)?;
            let end = start.checked_add(usize::try_from(len).ok()?)?;
            (end <= load.file.end).then_some(start..end)
        })
    }

    pub(super) fn bytes_at(&self, addr: u64, len: u64) -> Option<&'a [u8]> {
        self.file_range(addr, len).map(|range| &self.bytes[range])
    }

    pub(super) fn u64_at(&self, addr: u64) -> Option<u64> {
        self.bytes_at(addr, 8).map(|bytes| u64::from_le_bytes(bytes.try_into().expect("eight bytes")))
    }

    /// Whether `len` bytes at the address will be memory of a segment that has `flag`.
    pub(super) fn is_memory(&self, addr: u64, len: u64, flag: elf::ProgramFlags) -> bool {
        self.loads().any(|load| {
            let inside = addr.checked_sub(load.addr).and_then(|skip| skip.checked_add(len));
            load.flags & flag.0 != 0 && inside.is_some_and(|end| end <= load.memsz)
        })
    }

    pub(super) fn malformed(&self, reason: String) -> LoadError {
        malformed(self.path, reason)
    }

    pub(super) fn hole(&self, offset: usize, place: &str) -> LoadError {
        LoadError::Holes { path: self.path.into(), offset: offset as u64, place: place.into() }
    }
}

/// Both header tables; refuses the file unless all their ranges lie inside it.
fn tables<'a>(
    path: &Path,
    bytes: &'a [u8],
    header: &FileHeader64<LE>,
) -> Result<(Vec<Segment>, Vec<Section<'a>>), LoadError> {
    let bad = |reason: &str| malformed(path, reason.into());
    let end = |offset: u64, size: u64| offset.checked_add(size).ok_or_else(|| bad("a range overflows"));
    let found_len = bytes.len() as u64;
    let truncated = |expected_len| LoadError::Truncated { path: path.into(), expected_len, found_len };

    let (phoff, shoff) = (header.e_phoff(LE), header.e_shoff(LE));
    let mut need = end(phoff, u64::from(header.e_phnum(LE)) * PROGRAM_HEADER)?;
    if shoff != 0 {
        // With e_shnum 0 the true number stands in the first section header.
        need = need.max(end(shoff, u64::from(header.e_shnum(LE).max(1)) * SECTION_HEADER)?);
    }
    if need > found_len {
        return Err(truncated(need));
    }
    let headers = header.program_headers(LE, bytes).map_err(|e| malformed(path, e.to_string()))?;
    if headers.len() > MOST_SEGMENTS {
        return Err(malformed(
            path,
            format!("{} program headers, at most {MOST_SEGMENTS} are expected", headers.len()),
        ));
    }
    let shnum = header.shnum(LE, bytes).map_err(|e| malformed(path, e.to_string()))?;
    need = need.max(end(shoff, u64::from(shnum) * SECTION_HEADER)?);
    for ph in headers {
        need = need.max(end(ph.p_offset.get(LE), ph.p_filesz.get(LE))?);
        end(ph.p_vaddr.get(LE), ph.p_memsz.get(LE))?;
    }
    if need > found_len {
        return Err(truncated(need));
    }
    let table = header.sections(LE, bytes).map_err(|e| malformed(path, e.to_string()))?;
    for sh in table.iter().filter(|sh| has_bytes(sh.sh_type(LE))) {
        need = need.max(end(sh.sh_offset(LE), sh.sh_size(LE))?);
    }
    if need > found_len {
        return Err(truncated(need));
    }
    // All ends are at most the length of the bytes now, so the casts keep every value.
    let range = |offset: u64, size: u64| offset as usize..(offset + size) as usize;
    let segments = headers.iter().map(|ph| Segment {
        kind: ph.p_type.get(LE),
        flags: ph.p_flags.get(LE).0,
        file: range(ph.p_offset.get(LE), ph.p_filesz.get(LE)),
        addr: ph.p_vaddr.get(LE),
        memsz: ph.p_memsz.get(LE),
    });
    let index = header.shstrndx(LE, bytes).ok().map(|index| SectionIndex(index as usize));
    let names = index.and_then(|index| table.section(index).ok()).filter(|sh| has_bytes(sh.sh_type(LE)));
    let names = names.map_or(&[][..], |sh| &bytes[range(sh.sh_offset(LE), sh.sh_size(LE))]);
    let mut sections = Vec::new();
    for sh in table.iter().skip(1) {
        let kind = sh.sh_type(LE);
        sections.push(Section {
            name: name_at(names, sh.sh_name.get(LE)).ok_or_else(|| bad("the name of a section has no end"))?,
            kind,
            flags: sh.sh_flags(LE).0,
            addr: sh.sh_addr(LE),
            file: if has_bytes(kind) { range(sh.sh_offset(LE), sh.sh_size(LE)) } else { 0..0 },
        });
    }
    Ok((segments.collect(), sections))
}

/// The name at an offset, up to its end, which is not looked for further than a name is long.
fn name_at(names: &[u8], offset: u32) -> Option<&[u8]> {
    let rest = names.get(usize::try_from(offset).ok()?..)?;
    let rest = &rest[..rest.len().min(MOST_NAME)];
    Some(&rest[..rest.iter().position(|&b| b == 0)?])
}

fn has_bytes(kind: elf::SectionType) -> bool {
    kind != elf::SHT_NOBITS && kind != elf::SHT_NULL
}

fn malformed(path: &Path, reason: String) -> LoadError {
    LoadError::Malformed { path: path.into(), reason }
}
