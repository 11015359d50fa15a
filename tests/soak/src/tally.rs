//! Which audit events are in the plugin's files, and how often.
//!
//! A request's id is its caller and a number that counts up, so what was seen is a row of bits per caller and method, of
//! which only the part is kept that has gaps.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::path::Path;

use mini_chat_plugin_sdk::uuid::Uuid;
use serde::Serialize;

/// The methods that write a line.
pub(crate) const METHODS: [&str; 5] =
    ["publish_usage", "emit_turn_audit", "emit_turn_retry_audit", "emit_turn_edit_audit", "emit_turn_delete_audit"];

/// The id of a caller's request.
pub(crate) fn request(caller: u64, number: u64) -> Uuid {
    Uuid::from_u64_pair(caller, number)
}

/// What the files have.
#[derive(Default)]
pub(crate) struct Tally {
    rows: BTreeMap<(u64, usize), Row>,
    duplicated: u64,
    lines: u64,
}

/// What the files should have.
pub(crate) struct Expected {
    pub(crate) caller: u64,
    /// Requests 0 to this were made, of every method.
    pub(crate) turns: u64,
    /// Those that were answered with an error, by method: they may be written or not.
    pub(crate) unacknowledged: BTreeSet<(usize, u64)>,
}

/// How the files differ from the acknowledged events.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Account {
    pub(crate) acknowledged: u64,
    pub(crate) lines: u64,
    pub(crate) lost: u64,
    pub(crate) duplicated: u64,
}

#[derive(Default)]
struct Row {
    /// The number of the first bit.
    first: u64,
    words: VecDeque<u64>,
}

impl Row {
    /// Whether it was not set before.
    fn set(&mut self, number: u64) -> bool {
        let Some(place) = number.checked_sub(self.first) else { return false };
        let (word, bit) = ((place / 64) as usize, 1 << (place % 64));
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        let is_new = self.words[word] & bit == 0;
        self.words[word] |= bit;
        while self.words.front() == Some(&u64::MAX) {
            self.words.pop_front();
            self.first += 64;
        }
        is_new
    }

    fn has(&self, number: u64) -> bool {
        let Some(place) = number.checked_sub(self.first) else { return true };
        self.words.get((place / 64) as usize).is_some_and(|word| word & (1 << (place % 64)) != 0)
    }
}

impl Tally {
    /// Reads a generation's file, which has ended, and removes it.
    pub(crate) fn take(&mut self, directory: &Path, generation: Option<u64>) -> std::io::Result<()> {
        for file in fs::read_dir(directory)? {
            let file = file?;
            let name = file.file_name().to_string_lossy().into_owned();
            let Some(of) = name.strip_prefix(stamped::audit::PREFIX).and_then(|rest| rest.split('-').next()) else {
                continue;
            };
            if generation.is_some_and(|wanted| of != wanted.to_string()) {
                continue;
            }
            for line in fs::read_to_string(file.path())?.lines() {
                self.line(line);
            }
            fs::remove_file(file.path())?;
        }
        Ok(())
    }

    fn line(&mut self, line: &str) {
        self.lines += 1;
        let mut words = line.split(' ').skip(2);
        let method = words.next().and_then(|word| METHODS.iter().position(|method| *method == word));
        let request: Option<Uuid> = words.next().and_then(|word| word.parse().ok());
        let (Some(method), Some(request)) = (method, request) else { panic!("a line that no event makes: {line:?}") };
        let (caller, number) = request.as_u64_pair();
        if !self.rows.entry((caller, method)).or_default().set(number) {
            self.duplicated += 1;
        }
    }

    /// Compares.
    pub(crate) fn account(&self, expected: &[Expected]) -> Account {
        let mut account = Account { lines: self.lines, duplicated: self.duplicated, ..Account::default() };
        for Expected { caller, turns, unacknowledged } in expected {
            for method in 0..METHODS.len() {
                let row = self.rows.get(&(*caller, method));
                let first = row.map_or(0, |row| row.first.min(*turns));
                account.acknowledged += *turns;
                // Before the first gap everything is there.
                for number in first..*turns {
                    if !unacknowledged.contains(&(method, number)) && !row.is_some_and(|row| row.has(number)) {
                        account.lost += 1;
                    }
                }
            }
            account.acknowledged -= unacknowledged.len() as u64;
        }
        account
    }
}
