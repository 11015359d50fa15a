//! Whether dlsym will find a symbol: the same walk through the GNU hash table that glibc does.
//!
//! Own code, because the `object` crate's walk panics on a table with an impossible shift, and this one is to meet
//! damaged tables.

use object::elf;

use super::dynamic::Dynamic;
use super::elf::Elf;

/// The number of the symbol, if the hash table leads to it. A file that has only the old kind of table passes with the
/// number that a plain search gives.
pub(super) fn find(elf: &Elf<'_>, dynamic: &Dynamic<'_>, name: &str) -> Option<usize> {
    let Some(table) = dynamic.get(elf::DT_GNU_HASH) else {
        return dynamic.position(name);
    };
    let word = |addr: u64| elf.bytes_at(addr, 4).map(|b| u32::from_le_bytes(b.try_into().expect("four bytes")));
    let [buckets, base, masks, shift] = [word(table)?, word(table + 4)?, word(table + 8)?, word(table + 12)?];
    if buckets == 0 || !masks.is_power_of_two() {
        return None;
    }
    let hash = elf::gnu_hash(name.as_bytes());
    let masks_at = table + 16;
    let mask = elf.u64_at(masks_at.checked_add(u64::from((hash / 64) & (masks - 1)) * 8)?)?;
    let bits = 1_u64 << (hash % 64) | 1_u64 << (hash.checked_shr(shift)? % 64);
    if mask & bits != bits {
        return None;
    }
    let buckets_at = masks_at.checked_add(u64::from(masks) * 8)?;
    let chains_at = buckets_at.checked_add(u64::from(buckets) * 4)?;
    let mut index = word(buckets_at.checked_add(u64::from(hash % buckets) * 4)?)?;
    // Ends at the last entry of the chain, or with the symbols.
    while (index as usize) < dynamic.symbol_count() {
        let value = word(chains_at.checked_add(u64::from(index.checked_sub(base)?) * 4)?)?;
        if value | 1 == hash | 1 && dynamic.is_named(index as usize, name) {
            return Some(index as usize);
        }
        if value & 1 != 0 {
            return None;
        }
        index += 1;
    }
    None
}
