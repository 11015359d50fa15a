//! The order of the checks: the errors that help most come first.

use std::ops::Range;
use std::path::Path;

use object::elf as consts;

use super::dynamic::Dynamic;
use super::elf::Elf;
use super::{
    DESCRIPTOR_SECTION, Descriptor, ENTRY_SYMBOL, Facts, VerifyPolicy, descriptor, holes, ident, lookup, needed, reloc,
};
use crate::error::LoadError;

/// All that was found out, and every reason for refusal.
#[derive(Default)]
pub(super) struct Examination {
    pub(super) facts: Option<Facts>,
    pub(super) descriptor: Option<Descriptor>,
    pub(super) refusals: Vec<LoadError>,
}

/// All checks in the order in which their errors help most: damage, then "is no plugin", then "is not fit".
///
/// A total function of the bytes: whatever they are, it ends soon and takes little memory; the fuzz targets show it
/// (`scripts/fuzz`). `sparse`: see [`ReadImage::sparse`](super::ReadImage).
pub(super) fn examine(path: &Path, bytes: &[u8], sparse: &[Range<u64>], policy: &VerifyPolicy) -> Examination {
    let mut found = Examination::default();
    let elf = match Elf::parse(path, bytes) {
        Ok(elf) => elf,
        Err(error) => {
            found.refusals.push(error);
            return found;
        }
    };
    let refusals = &mut found.refusals;
    let dynamic = Dynamic::parse(&elf);
    if dynamic.as_ref().is_ok_and(is_program) {
        refusals.push(LoadError::Executable { path: elf.path.into(), found: "position independent" });
    }
    let descriptor = descriptor_content(&elf).map_err(|e| refusals.push(e)).ok();
    holes::check(&elf, sparse).unwrap_or_else(|e| refusals.push(e));
    match dynamic {
        Ok(dynamic) => {
            found.facts = structure(&elf, &dynamic, policy, refusals).map_err(|e| refusals.push(e)).ok();
        }
        Err(error) => refusals.push(error),
    }
    if let Some(content) = descriptor {
        match descriptor::parse(path, content, policy) {
            Ok(descriptor) => {
                refusals.extend(descriptor::judge(path, &descriptor, policy));
                found.descriptor = Some(descriptor);
            }
            Err(error) => refusals.push(error),
        }
    }
    found
}

/// A position independent program looks like a library but for this flag.
fn is_program(dynamic: &Dynamic<'_>) -> bool {
    dynamic.get(consts::DT_FLAGS_1).unwrap_or(0) & consts::DF_1_PIE.0 != 0
}

/// The bytes of the descriptor section.
fn descriptor_content<'a>(elf: &Elf<'a>) -> Result<&'a [u8], LoadError> {
    let section = elf.section(DESCRIPTOR_SECTION);
    let section = section.ok_or(LoadError::NotAPlugin { path: elf.path.into(), section: DESCRIPTOR_SECTION })?;
    let content = &elf.bytes[section.file.clone()];
    if content.iter().all(|&b| b == 0) {
        return Err(elf.hole(section.file.start, DESCRIPTOR_SECTION));
    }
    Ok(content)
}

/// What hangs on the dynamic section. Pushes what is unfit; `Err` is what makes the facts unusable.
fn structure(
    elf: &Elf<'_>,
    dynamic: &Dynamic<'_>,
    policy: &VerifyPolicy,
    refusals: &mut Vec<LoadError>,
) -> Result<Facts, LoadError> {
    let needed = needed::libraries(elf, dynamic)?;
    let lowest_glibc = needed::lowest_glibc(elf, dynamic)?;
    let mut soname = dynamic.strings(elf, consts::DT_SONAME)?;
    entry(elf, dynamic).unwrap_or_else(|e| refusals.push(e));
    // Before the relocations: those of such a file do write to code.
    refusals.extend(needed::text_relocations(elf, dynamic));
    reloc::check(elf, dynamic).unwrap_or_else(|e| refusals.push(e));
    refusals.extend(needed::judge(elf, dynamic, &needed, policy)?);
    Ok(Facts {
        machine: ident::HOST_MACHINE,
        needed,
        soname: soname.pop(),
        lowest_glibc,
        stripped: elf.section_of(consts::SHT_SYMTAB).is_none(),
        has_debug_info: elf.section(".debug_info").is_some(),
    })
}

/// The entry is a function of this library, has code, and dlsym will find it.
fn entry(elf: &Elf<'_>, dynamic: &Dynamic<'_>) -> Result<(), LoadError> {
    let missing = || LoadError::NoEntrySymbol { path: elf.path.into(), symbol: ENTRY_SYMBOL };
    let symbol = dynamic.position(ENTRY_SYMBOL).and_then(|at| dynamic.symbol(at)).ok_or_else(missing)?;
    if symbol.info & 0xf != consts::STT_FUNC.0 || symbol.section >= consts::SHN_LORESERVE {
        return Err(missing());
    }
    if !elf.is_memory(symbol.addr, 1, consts::PF_X) {
        return Err(elf.malformed(format!("`{ENTRY_SYMBOL}` at {:#x} is not in an executable segment", symbol.addr)));
    }
    if !reloc::is_code(elf, symbol.addr) {
        let offset = elf.file_range(symbol.addr, 1).map_or(0, |range| range.start);
        return Err(elf.hole(offset, ENTRY_SYMBOL));
    }
    lookup::find(elf, dynamic, ENTRY_SYMBOL)
        .map(|_| ())
        .ok_or_else(|| elf.malformed(format!("the hash table does not lead to `{ENTRY_SYMBOL}`")))
}
