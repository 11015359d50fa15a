//! The relocations and constructors that dlopen will apply and run.
//!
//! glibc trusts these tables: an entry that points outside writable memory, or a constructor slot that stays zero, is
//! a SIGSEGV in the host. Zeroed pages in the middle of a copy show here first.

use std::collections::HashMap;
use std::ops::Range;

use object::elf::{self, PF_W, PF_X};

use super::dynamic::Dynamic;
use super::elf::Elf;
use crate::error::LoadError;

/// Relocation kinds of this machine: base + addend, nothing, and all that a shared library may hold.
#[cfg(target_arch = "x86_64")]
mod kinds {
    pub(super) const RELATIVE: u32 = 8;
    pub(super) const NONE: u32 = 0;
    // 64, GLOB_DAT, JUMP_SLOT, RELATIVE, DTPMOD64, DTPOFF64, TPOFF64, SIZE64, TLSDESC, IRELATIVE, RELATIVE64
    pub(super) const KNOWN: &[u32] = &[0, 1, 6, 7, 8, 16, 17, 18, 33, 36, 37, 38];
}
#[cfg(target_arch = "aarch64")]
mod kinds {
    pub(super) const RELATIVE: u32 = 1027;
    pub(super) const NONE: u32 = 0;
    // NONE (old), ABS64, GLOB_DAT, JUMP_SLOT, RELATIVE, TLS_DTPMOD, TLS_DTPREL, TLS_TPREL, TLSDESC, IRELATIVE
    pub(super) const KNOWN: &[u32] = &[0, 256, 257, 1025, 1026, 1027, 1028, 1029, 1030, 1031, 1032];
}

/// What will stand in a constructor slot.
enum Slot {
    /// Base plus this address.
    Local(u64),
    /// A symbol's address, found while loading.
    Symbol,
}

/// Judges DT_RELA, DT_JMPREL, DT_RELR, DT_INIT, DT_FINI and both arrays.
pub(super) fn check(elf: &Elf<'_>, dynamic: &Dynamic<'_>) -> Result<(), LoadError> {
    let arrays = [
        array(elf, dynamic, elf::DT_INIT_ARRAY, elf::DT_INIT_ARRAYSZ)?,
        array(elf, dynamic, elf::DT_FINI_ARRAY, elf::DT_FINI_ARRAYSZ)?,
    ];
    let mut slots = HashMap::new();
    let mut note = |addr: u64, slot: Slot| {
        if arrays.iter().any(|array| array.contains(&addr)) {
            slots.insert(addr, slot);
        }
    };
    let relative = dynamic.get(elf::DT_RELACOUNT).unwrap_or(0);
    if let Some(table) = dynamic.table(elf, elf::DT_RELA, elf::DT_RELASZ)? {
        rela(elf, dynamic, table, relative, "DT_RELA", &mut note)?;
    }
    if let Some(table) = dynamic.table(elf, elf::DT_JMPREL, elf::DT_PLTRELSZ)? {
        rela(elf, dynamic, table, 0, "DT_JMPREL", &mut note)?;
        if let Some(at) = table.chunks_exact(24).position(|entry| entry.iter().all(|&b| b == 0)) {
            return Err(elf.hole(offset_in(elf, table) + at * 24, "DT_JMPREL"));
        }
    }
    if let Some(table) = dynamic.table(elf, elf::DT_RELR, elf::DT_RELRSZ)? {
        relr(elf, table, &mut note)?;
    }
    for array in arrays {
        for addr in array.step_by(8) {
            let sound = match slots.get(&addr) {
                Some(Slot::Local(target)) => is_code(elf, *target),
                Some(Slot::Symbol) => true,
                None => false,
            };
            if !sound {
                return Err(elf.malformed(format!("the constructor or destructor slot at {addr:#x} leads to no code")));
            }
        }
    }
    for tag in [elf::DT_INIT, elf::DT_FINI] {
        if let Some(addr) = dynamic.get(tag)
            && !is_code(elf, addr)
        {
            return Err(elf.malformed(format!("dynamic tag {:#x} leads to no code", tag.0)));
        }
    }
    Ok(())
}

/// Whether the address lies in an executable segment and something stands there.
pub(super) fn is_code(elf: &Elf<'_>, addr: u64) -> bool {
    elf.is_memory(addr, 1, PF_X) && elf.bytes_at(addr, 4).is_some_and(|code| code.iter().any(|&b| b != 0))
}

fn array(
    elf: &Elf<'_>,
    dynamic: &Dynamic<'_>,
    addr: elf::DynamicTag,
    size: elf::DynamicTag,
) -> Result<Range<u64>, LoadError> {
    match (dynamic.get(addr), dynamic.table(elf, addr, size)?) {
        (Some(start), Some(table)) if table.len() % 8 == 0 => Ok(start..start + table.len() as u64),
        (Some(_), Some(_)) => Err(elf.malformed("a constructor array has half a slot".into())),
        _ => Ok(0..0),
    }
}

fn rela(
    elf: &Elf<'_>,
    dynamic: &Dynamic<'_>,
    table: &[u8],
    relative: u64,
    place: &str,
    note: &mut impl FnMut(u64, Slot),
) -> Result<(), LoadError> {
    if !table.len().is_multiple_of(24) || relative > (table.len() / 24) as u64 {
        return Err(elf.malformed(format!("{place} has an impossible length")));
    }
    if !table.is_empty() && table.iter().all(|&b| b == 0) {
        return Err(elf.hole(offset_in(elf, table), place));
    }
    for (index, entry) in table.chunks_exact(24).enumerate() {
        let word = |at: usize| u64::from_le_bytes(entry[at..at + 8].try_into().expect("eight bytes"));
        let (addr, kind, symbol, addend) = (word(0), word(8) as u32, word(8) >> 32, word(16));
        // glibc does not look at the kind of the first DT_RELACOUNT entries and writes through them.
        if (index as u64) < relative && kind != kinds::RELATIVE {
            return Err(match entry.iter().all(|&b| b == 0) {
                true => elf.hole(offset_in(elf, table) + index * 24, place),
                false => elf.malformed(format!("{place} entry {index} is not relative, DT_RELACOUNT says it is")),
            });
        }
        if !kinds::KNOWN.contains(&kind) || symbol >= dynamic.symbol_count() as u64 {
            return Err(elf.malformed(format!("{place} entry {index} has unknown kind {kind} or symbol {symbol}")));
        }
        if kind == kinds::NONE {
            continue;
        }
        if !elf.is_memory(addr, 8, PF_W) {
            return Err(elf.malformed(format!("{place} entry {index} writes to {addr:#x}, which is not writable")));
        }
        note(addr, if kind == kinds::RELATIVE { Slot::Local(addend) } else { Slot::Symbol });
    }
    Ok(())
}

/// The packed form: an even word is an address, an odd one a bitmap of the 63 words that follow.
fn relr(elf: &Elf<'_>, table: &[u8], note: &mut impl FnMut(u64, Slot)) -> Result<(), LoadError> {
    if !table.len().is_multiple_of(8) {
        return Err(elf.malformed("DT_RELR has an impossible length".into()));
    }
    let mut next: Option<u64> = None;
    for (index, entry) in table.chunks_exact(8).enumerate() {
        let entry = u64::from_le_bytes(entry.try_into().expect("eight bytes"));
        if entry == 0 {
            return Err(elf.hole(offset_in(elf, table) + index * 8, "DT_RELR"));
        }
        let bad = || elf.malformed(format!("DT_RELR entry {index} leads outside writable memory"));
        let mut relocate = |addr: u64| {
            let value = elf.u64_at(addr).filter(|_| elf.is_memory(addr, 8, PF_W)).ok_or_else(bad)?;
            note(addr, Slot::Local(value));
            Ok::<_, LoadError>(())
        };
        if entry & 1 == 0 {
            relocate(entry)?;
            next = Some(entry + 8);
        } else {
            let base = next.ok_or_else(bad)?;
            for bit in (0..63).filter(|bit| entry >> (bit + 1) & 1 == 1) {
                relocate(base.checked_add(bit * 8).ok_or_else(bad)?)?;
            }
            next = Some(base.checked_add(63 * 8).ok_or_else(bad)?);
        }
    }
    Ok(())
}

/// Where a table taken from the file's bytes begins in the file.
fn offset_in(elf: &Elf<'_>, table: &[u8]) -> usize {
    table.as_ptr() as usize - elf.bytes.as_ptr() as usize
}
