//! [`Layout`]: what crosses, written and read as a text with a section per type and a line per member.

use std::fmt;

/// What a section is about; in the order of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Numbers and names; more may come at the end.
    Constants,
    /// A struct of the entry, plain C, frozen for ever.
    CStruct,
    /// A vtable: slots are appended.
    Table,
    /// An open enumeration: values are appended.
    Values,
    /// A struct that crosses.
    Record,
    /// An enumeration with data.
    Variants,
    /// A union.
    Union,
    /// Only size and alignment are known.
    Opaque,
}

impl Kind {
    const ALL: [(Kind, &str); 8] = [
        (Kind::Constants, "constants"),
        (Kind::CStruct, "c-struct"),
        (Kind::Table, "vtable"),
        (Kind::Values, "open-enum"),
        (Kind::Record, "record"),
        (Kind::Variants, "enum"),
        (Kind::Union, "union"),
        (Kind::Opaque, "opaque"),
    ];

    /// The word that its sections begin with.
    #[must_use]
    pub fn word(self) -> &'static str {
        Self::ALL[self as usize].1
    }

    fn of(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, own)| *own == word).map(|(kind, _)| *kind)
    }

    /// What its lines are.
    pub(crate) fn member(self) -> &'static str {
        match self {
            Kind::Table => "slot",
            Kind::Values | Kind::Constants => "value",
            Kind::Variants => "variant",
            Kind::CStruct | Kind::Record | Kind::Union | Kind::Opaque => "field",
        }
    }

    /// Whether a later minor may have more lines at its end.
    pub(crate) fn grows(self) -> bool {
        matches!(self, Kind::Table | Kind::Values | Kind::Constants)
    }
}

/// One type or table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// What it is.
    pub kind: Kind,
    /// Its name, with its parameters.
    pub name: String,
    /// Size and alignment.
    pub facts: String,
    /// `NAME: WHAT` each, in their order.
    pub members: Vec<String>,
}

/// What crosses in one minor of the ABI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// The version of the ABI crate.
    pub abi: String,
    /// In the order of kind and name.
    pub sections: Vec<Section>,
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "abi {}", self.abi)?;
        for Section { kind, name, facts, members } in &self.sections {
            writeln!(f, "\n{} {name} | {facts}", kind.word())?;
            for member in members {
                writeln!(f, "    {member}")?;
            }
        }
        Ok(())
    }
}

impl Layout {
    /// The minor, such as `1.1`.
    #[must_use]
    pub fn minor(&self) -> &str {
        self.abi.rsplit_once('.').map_or(&self.abi, |(minor, _)| minor)
    }

    /// Reads what [`Display`](fmt::Display) writes.
    ///
    /// # Errors
    ///
    /// Names the line that is something else.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let first = lines.next().and_then(|(_, line)| line.strip_prefix("abi "));
        let mut layout = Self { abi: first.ok_or("line 1: expected `abi VERSION`")?.to_owned(), sections: Vec::new() };
        for (at, line) in lines {
            let wrong =
                || format!("line {}: expected `KIND NAME | FACTS` or an indented member, found `{line}`", at + 1);
            if let Some(member) = line.strip_prefix("    ") {
                layout.sections.last_mut().ok_or_else(wrong)?.members.push(member.to_owned());
                continue;
            }
            let (head, facts) = line.split_once(" | ").ok_or_else(wrong)?;
            let (word, name) = head.split_once(' ').ok_or_else(wrong)?;
            let kind = Kind::of(word).ok_or_else(wrong)?;
            layout.sections.push(Section { kind, name: name.to_owned(), facts: facts.to_owned(), members: Vec::new() });
        }
        Ok(layout)
    }

    /// A number that changes with the text: 64 bits of FNV-1a, in hexadecimal. It stands in the changelog.
    #[must_use]
    pub fn checksum(&self) -> String {
        checksum(&self.to_string())
    }
}

/// FNV-1a, 64 bits: tells an edit, not an enemy.
pub(crate) fn checksum(text: &str) -> String {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    format!("{:016x}", text.bytes().fold(0xcbf2_9ce4_8422_2325, step))
}
