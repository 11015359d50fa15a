//! The first 64 bytes: is this an ELF file of our class, byte order and processor at all.

use std::path::{Path, PathBuf};

use object::elf;

use crate::error::LoadError;

#[cfg(target_arch = "x86_64")]
pub(super) const HOST: (elf::Machine, &str) = (elf::EM_X86_64, "x86_64");
#[cfg(target_arch = "aarch64")]
pub(super) const HOST: (elf::Machine, &str) = (elf::EM_AARCH64, "aarch64");
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
compile_error!("the loader knows the relocations of x86_64 and aarch64 only");

/// The host's machine in words, as in [`LoadError::Machine`].
pub(super) const HOST_MACHINE: &str = HOST.1;

/// `e_ehsize` of a 64-bit file.
const HEADER: u64 = 64;

/// The first bytes: ELF, 64-bit, little endian, a whole header.
pub(super) fn check(path: &Path, bytes: &[u8]) -> Result<(), LoadError> {
    let path = || PathBuf::from(path);
    let head = &bytes[..bytes.len().min(4)];
    if !elf::ELFMAG.starts_with(head) || head.is_empty() {
        return Err(LoadError::NotElf { path: path(), found: format!("{head:02x?}") });
    }
    if (bytes.len() as u64) < HEADER {
        return Err(LoadError::Truncated { path: path(), expected_len: HEADER, found_len: bytes.len() as u64 });
    }
    match elf::FileClass(bytes[4]) {
        elf::ELFCLASS64 => {}
        elf::ELFCLASS32 => {
            return Err(LoadError::NotElf64 { path: path(), found: "32-bit".into(), expected: HOST.1 });
        }
        class => {
            return Err(LoadError::NotElf64 { path: path(), found: format!("class {}", class.0), expected: HOST.1 });
        }
    }
    match elf::DataEncoding(bytes[5]) {
        elf::ELFDATA2LSB => Ok(()),
        elf::ELFDATA2MSB => Err(LoadError::ByteOrder { path: path(), found: "big endian".into(), expected: HOST.1 }),
        order => Err(LoadError::ByteOrder { path: path(), found: format!("{}", order.0), expected: HOST.1 }),
    }
}

/// The processor in words.
pub(super) fn machine_name(machine: elf::Machine) -> String {
    match machine {
        elf::EM_X86_64 => "x86_64".into(),
        elf::EM_AARCH64 => "aarch64".into(),
        elf::EM_386 => "x86 (32-bit)".into(),
        elf::EM_ARM => "arm (32-bit)".into(),
        elf::EM_RISCV => "riscv".into(),
        elf::EM_PPC64 => "powerpc64".into(),
        elf::EM_S390 => "s390x".into(),
        elf::EM_LOONGARCH => "loongarch".into(),
        other => format!("machine number {}", other.0),
    }
}

/// What kind of ELF file it is, in words.
pub(super) fn type_name(kind: elf::FileType) -> String {
    match kind {
        elf::ET_REL => "relocatable object file".into(),
        elf::ET_CORE => "core dump".into(),
        other => format!("file of ELF type {}", other.0),
    }
}
