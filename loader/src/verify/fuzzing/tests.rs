//! The fuzz targets on stable, in each run of the tests: the seeds of `tests/fuzz/corpus`, among which are the inputs that once
//! were trouble, and changes of them that are the same in each run.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::verify::VerifyPolicy;
use crate::verify::examine::{Examination, examine};

/// Changed inputs per target.
const CHANGED: usize = 250_000;

fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/corpus").join(target);
    let files = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut seeds: Vec<_> = files
        .map(|file| file.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read(&path).unwrap()))
        .collect();
    seeds.sort();
    assert!(seeds.len() > 5, "{}", folder.display());
    seeds
}

/// Numbers that look random and are the same each time: SplitMix64.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
}

/// Words that lie at the end of some range.
const WORDS: [u64; 10] =
    [0, 1, 0xff, 0xfff, 0xffff, 0x1_0000, u32::MAX as u64, i64::MAX as u64, u64::MAX - 7, u64::MAX];

/// Does up to four things to the bytes.
fn change(bytes: &mut Vec<u8>, other: &[u8], numbers: &mut Numbers) {
    for _ in 0..=numbers.below(4) {
        if bytes.is_empty() {
            return;
        }
        let at = numbers.below(bytes.len());
        match numbers.below(8) {
            0 => bytes[at] ^= 1 << numbers.below(8),
            1 => bytes[at] = numbers.next() as u8,
            // A word or half of one where such stand: on a boundary.
            2 | 3 => {
                let (word, size) = (WORDS[numbers.below(WORDS.len())], [2, 4, 8][numbers.below(3)]);
                let at = at / size * size;
                let end = (at + size).min(bytes.len());
                bytes[at..end].copy_from_slice(&word.to_le_bytes()[..end - at]);
            }
            4 => {
                let at = at / 8 * 8;
                let end = (at + 8).min(bytes.len());
                let near = numbers.below(64) as u8;
                bytes[at] =
                    if numbers.below(2) == 0 { bytes[at].wrapping_add(near) } else { bytes[at].wrapping_sub(near) };
                bytes[at + 1..end].rotate_left(usize::from(near % 2 == 1 && end > at + 2));
            }
            5 => bytes.truncate(at),
            6 => {
                let end = at + numbers.below(bytes.len() - at);
                bytes[at..end].fill(0);
            }
            // From another seed.
            _ => {
                let from = numbers.below(other.len());
                let length = numbers.below((other.len() - from).min(bytes.len() - at).min(64));
                bytes[at..at + length].copy_from_slice(&other[from..from + length]);
            }
        }
    }
}

fn survives(target: &str, feed: fn(&[u8])) {
    let seeds = seeds(target);
    seeds.iter().for_each(|(_, seed)| feed(seed));
    let mut numbers = Numbers(8);
    for _ in 0..CHANGED {
        let mut bytes = seeds[numbers.below(seeds.len())].1.clone();
        change(&mut bytes, &seeds[numbers.below(seeds.len())].1, &mut numbers);
        let shown = std::panic::catch_unwind(|| feed(&bytes));
        if shown.is_err() {
            let kept = std::env::temp_dir().join(format!("{target}-that-panics"));
            std::fs::write(&kept, &bytes).unwrap();
            panic!("a changed seed panics: {}; put it into tests/fuzz/corpus/{target}", kept.display());
        }
    }
}

#[test]
fn changed_libraries() {
    survives("elf", super::elf);
}

#[test]
fn changed_descriptors() {
    survives("descriptor", super::descriptor);
}

fn verdict(bytes: &[u8]) -> Examination {
    examine("candidate.so".as_ref(), bytes, &[], &VerifyPolicy::default())
}

fn first_reason(bytes: &[u8]) -> String {
    verdict(bytes).refusals.first().expect("it is refused").to_string()
}

fn seed(name: &str) -> Vec<u8> {
    seeds("elf").into_iter().find(|(seed, _)| seed == name).expect("a seed").1
}

/// They would show nothing if each was refused for its first bytes.
#[test]
#[cfg(target_arch = "x86_64")]
fn seeds_reach_all_checks() {
    let mut kinds = std::collections::BTreeSet::new();
    for (name, bytes) in seeds("elf") {
        let found = verdict(&bytes);
        let good = ["least", "full", "full-relr", "full-now", "tls"].contains(&name.as_str());
        assert_eq!(found.refusals.is_empty(), good, "{name}: {:?}", found.refusals);
        kinds.extend(found.refusals.iter().map(crate::error::LoadError::kind));
    }
    let expected = ["executable", "not-elf", "not-shared-object", "run-path", "truncated"];
    for kind in expected {
        assert!(kinds.contains(kind), "{kind}: {kinds:?}");
    }
}

/// Where a section's bytes stand in the file.
fn section(bytes: &[u8], name: &str) -> usize {
    use object::{Object, ObjectSection};
    let file = object::File::parse(bytes).unwrap();
    file.section_by_name(name).unwrap().file_range().unwrap().0 as usize
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
}

/// The place of the value of a dynamic tag.
fn tag(bytes: &[u8], tag: u64) -> usize {
    let start = section(bytes, ".dynamic");
    let place = (start..).step_by(16).find(|&at| bytes[at..at + 8] == tag.to_le_bytes()).expect("the tag");
    place + 8
}

/// Records of needed versions that lead back to themselves: 65,535 in each of 2⁶⁴.
#[test]
#[cfg(target_arch = "x86_64")]
fn versions_without_end() {
    const VERNEEDNUM: u64 = 0x6fff_ffff;
    let mut bytes = seed("full");
    let count = tag(&bytes, VERNEEDNUM);
    put(&mut bytes, count, &u64::MAX.to_le_bytes());
    let need = section(&bytes, ".gnu.version_r");
    put(&mut bytes, need + 2, &u16::MAX.to_le_bytes());
    // The record behind the first one, its first detail: each leads to itself or on to where it stands.
    let details = need + 16;
    put(&mut bytes, details + 12, &0_u32.to_le_bytes());
    put(&mut bytes, need + 12, &0_u32.to_le_bytes());
    let start = Instant::now();
    let reasons = verdict(&bytes).refusals;
    assert!(reasons.iter().any(|reason| reason.to_string().contains("needs more than 16384 versions")), "{reasons:?}");
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

#[test]
#[cfg(target_arch = "x86_64")]
fn more_program_headers_than_any_linker_makes() {
    let mut bytes = seed("least");
    // All of them in bytes that are there.
    bytes.resize(64 + 56 * 200, 0);
    put(&mut bytes, 32, &64_u64.to_le_bytes());
    put(&mut bytes, 56, &200_u16.to_le_bytes());
    assert!(first_reason(&bytes).contains("200 program headers, at most 128 are expected"), "{}", first_reason(&bytes));
}

/// One code section after the other, all of the same bytes.
#[test]
#[cfg(target_arch = "x86_64")]
fn sections_of_the_same_bytes() {
    let mut bytes = seed("least");
    let table = u64::from_le_bytes(bytes[40..48].try_into().unwrap()) as usize;
    let count = usize::from(u16::from_le_bytes(bytes[60..62].try_into().unwrap()));
    let names = usize::from(u16::from_le_bytes(bytes[62..64].try_into().unwrap()));
    let text = section(&bytes, ".text") as u64;
    let header = |n: usize| table + n * 64;
    let code = (1..count).find(|&n| bytes[header(n) + 24..header(n) + 32] == text.to_le_bytes()).expect("code");
    let (code, names) =
        (bytes[header(code)..header(code) + 64].to_vec(), bytes[header(names)..header(names) + 64].to_vec());
    // A table of its own at the end: nothing, the names, and code again and again.
    let new = bytes.len();
    bytes.extend([0; 64]);
    bytes.extend(names);
    for _ in 0..1000 {
        bytes.extend(&code);
        let at = bytes.len() - 64;
        put(&mut bytes, at + 24, &64_u64.to_le_bytes());
        put(&mut bytes, at + 32, &(new as u64 - 64).to_le_bytes());
    }
    put(&mut bytes, 40, &(new as u64).to_le_bytes());
    put(&mut bytes, 60, &1002_u16.to_le_bytes());
    put(&mut bytes, 62, &1_u16.to_le_bytes());
    let reasons = verdict(&bytes).refusals;
    assert!(reasons.iter().any(|reason| reason.to_string().contains("overlap")), "{reasons:?}");
}

#[test]
fn a_descriptor_of_many_bytes() {
    let path = std::path::Path::new("candidate.so");
    let bytes = vec![b'['; (64 << 10) + 1];
    let error = crate::verify::descriptor::parse(path, &bytes, &VerifyPolicy::default()).unwrap_err();
    assert!(error.to_string().contains("65537 bytes, the limit is 65536"), "{error}");
}
