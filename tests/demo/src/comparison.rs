//! What a loaded plugin answers beside what linked code answers.

use std::fmt::Debug;

/// Compares and tells.
#[derive(Default)]
pub(crate) struct Comparison {
    /// How many there were.
    pub(crate) differences: usize,
}

impl Comparison {
    /// Shows what a loaded plugin answered, and whether linked code answers the same.
    pub(crate) fn show<T: Debug, E: Debug>(&mut self, method: &str, loaded: &Result<T, E>, linked: &Result<T, E>) {
        let (loaded, linked) = (format!("{loaded:?}"), format!("{linked:?}"));
        let equal = loaded == linked;
        println!("  {method:<28}{}", if equal { "equal to linked code" } else { "DIFFERS FROM LINKED CODE" });
        println!("      {}", shortened(&loaded));
        if !equal {
            self.differences += 1;
            println!("      linked: {linked}");
        }
    }

    /// Shows something that must be so.
    pub(crate) fn must(&mut self, holds: bool, text: &str) {
        println!("  {text}{}", if holds { "" } else { ": NO" });
        self.differences += usize::from(!holds);
    }
}

pub(crate) fn shortened(text: &str) -> String {
    const WIDTH: usize = 150;
    let count = text.chars().count();
    if count <= WIDTH {
        return text.to_owned();
    }
    let start: String = text.chars().take(WIDTH).collect();
    format!("{start}… ({count} characters)")
}
