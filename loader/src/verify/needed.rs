//! What a library would bring along: other libraries, places to search them, versions of glibc.

use object::elf;

use super::VerifyPolicy;
use super::dynamic::Dynamic;
use super::elf::Elf;
use crate::error::LoadError;

/// The glibc family and the compiler's support library: what every Rust library may need.
pub const ALWAYS_ALLOWED: &[&str] = &[
    "libc.so.6",
    "libm.so.6",
    "libdl.so.2",
    "libpthread.so.0",
    "librt.so.1",
    "libutil.so.1",
    "libresolv.so.2",
    "libgcc_s.so.1",
    "ld-linux-x86-64.so.2",
    "ld-linux-aarch64.so.1",
];

/// Most records of needed versions: a library that needs all of glibc's has a few hundred.
const MOST_RECORDS: u32 = 16_384;

/// DT_NEEDED, and the filter tags, which load a library just the same.
pub(super) fn libraries(elf: &Elf<'_>, dynamic: &Dynamic<'_>) -> Result<Vec<String>, LoadError> {
    let mut all = dynamic.strings(elf, elf::DT_NEEDED)?;
    for tag in [elf::DT_AUXILIARY, elf::DT_FILTER, elf::DT_AUDIT, elf::DT_DEPAUDIT] {
        all.extend(dynamic.strings(elf, tag)?);
    }
    Ok(all)
}

/// Every reason why the host should not load what this library brings along.
pub(super) fn judge(
    elf: &Elf<'_>,
    dynamic: &Dynamic<'_>,
    libraries: &[String],
    policy: &VerifyPolicy,
) -> Result<Vec<LoadError>, LoadError> {
    let path = || elf.path.to_path_buf();
    let mut refusals = Vec::new();
    for (tag, name) in [(elf::DT_RPATH, "DT_RPATH"), (elf::DT_RUNPATH, "DT_RUNPATH")] {
        for value in dynamic.strings(elf, tag)? {
            refusals.push(LoadError::RunPath { path: path(), tag: name, value });
        }
    }
    for library in libraries {
        if !ALWAYS_ALLOWED.contains(&library.as_str()) && !policy.allow_needed.contains(library) {
            refusals.push(LoadError::NeededNotAllowed { path: path(), library: library.clone() });
        }
    }
    Ok(refusals)
}

/// Whether the library says that its code is to be patched while loading.
pub(super) fn text_relocations(elf: &Elf<'_>, dynamic: &Dynamic<'_>) -> Option<LoadError> {
    let flags = dynamic.get(elf::DT_FLAGS).unwrap_or(0);
    let told = dynamic.get(elf::DT_TEXTREL).is_some() || flags & elf::DF_TEXTREL.0 != 0;
    told.then(|| LoadError::TextRelocations { path: elf.path.to_path_buf() })
}

/// The highest `GLIBC_x.y` that a symbol needs: the lowest glibc that can load the file.
pub(super) fn lowest_glibc(elf: &Elf<'_>, dynamic: &Dynamic<'_>) -> Result<Option<String>, LoadError> {
    let Some(mut at) = dynamic.get(elf::DT_VERNEED) else {
        return Ok(None);
    };
    let outside = || elf.malformed("the table of needed versions lies outside the file".into());
    let number = |bytes: &[u8], at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    let mut highest: Option<Vec<u32>> = None;
    // A record that leads to itself cannot keep us.
    let mut records = 0_u32;
    let mut one_more = || {
        records += 1;
        if records > MOST_RECORDS {
            Err(elf.malformed(format!("needs more than {MOST_RECORDS} versions")))
        } else {
            Ok(())
        }
    };
    for _ in 0..dynamic.get(elf::DT_VERNEEDNUM).unwrap_or(0) {
        one_more()?;
        let need = elf.bytes_at(at, 16).ok_or_else(outside)?;
        if need[..2] != [1, 0] {
            let offset = elf.file_range(at, 16).map_or(0, |range| range.start);
            return Err(match need.iter().all(|&b| b == 0) {
                true => elf.hole(offset, ".gnu.version_r"),
                false => elf.malformed("a record of needed versions is of unknown format".into()),
            });
        }
        let mut aux_at = at.checked_add(number(need, 8).into()).ok_or_else(outside)?;
        for _ in 0..u16::from_le_bytes([need[2], need[3]]) {
            one_more()?;
            let aux = elf.bytes_at(aux_at, 16).ok_or_else(outside)?;
            let name = dynamic.string(number(aux, 8).into()).ok_or_else(outside)?;
            let numbers = name.strip_prefix("GLIBC_").map(|v| v.split('.').map(str::parse).collect());
            if let Some(Ok(numbers)) = numbers {
                highest = highest.max(Some(numbers));
            }
            aux_at = aux_at.checked_add(number(aux, 12).into()).ok_or_else(outside)?;
        }
        match number(need, 12) {
            0 => break,
            next => at = at.checked_add(next.into()).ok_or_else(outside)?,
        }
    }
    Ok(highest.map(|numbers| numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(".")))
}
