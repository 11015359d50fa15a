//! [`Golden`]: the committed texts, and what may be written there.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use crate::compare::{Difference, appends, same};
use crate::text::Layout;

/// What may still become of a minor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Never changes: its text has this checksum.
    Released(&'static str),
    /// Changes only with `--candidate` and a line in the changelog.
    Candidate,
    /// Not promised to anybody; it has no text.
    Draft,
}

/// The minors that there are. A candidate becomes `Released` by an edit here, with the checksum of its text.
const STATES: [(&str, State); 3] =
    [("1.0", State::Released("e577a2658b0c9d73")), ("1.1", State::Candidate), ("1.2", State::Draft)];

impl State {
    /// Of a minor; a draft if it is not known.
    #[must_use]
    pub fn of(minor: &str) -> Self {
        STATES.iter().find(|(own, _)| *own == minor).map_or(Self::Draft, |(_, state)| *state)
    }
}

/// Why nothing was written, or what is wrong with what stands there.
#[derive(Debug)]
#[non_exhaustive]
pub enum Refused {
    /// A text cannot be read or written.
    Io(PathBuf, std::io::Error),
    /// A text is not one.
    Malformed(PathBuf, String),
    /// There is no text of a minor that needs one.
    Missing(PathBuf),
    /// The minor is out: its text was to be written, was edited, or is gone.
    Released(PathBuf),
    /// The text of a candidate stands there already, and `--candidate` was not given.
    Candidate(PathBuf),
    /// A draft has no text.
    Draft(String),
    /// The source and a text, or two texts, differ.
    Differs(String, Vec<Difference>),
    /// The source and the text of a candidate differ.
    DiffersFromCandidate(String, Vec<Difference>, PathBuf),
    /// The changelog does not speak of this text.
    NotInChangelog(PathBuf, String),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Malformed(path, reason) => write!(f, "{}: {reason}", path.display()),
            Self::Missing(path) => {
                write!(f, "{}: expected, and not there: `scripts/layout write` writes it", path.display())
            }
            Self::Released(path) => write!(
                f,
                "{}: this minor is released, its text never changes: have it as it was committed, and append to the next minor \
                 instead (sdk/abi/ABI.md)",
                path.display()
            ),
            Self::Candidate(path) => write!(
                f,
                "{}: this minor is a release candidate: if the change is meant, run `scripts/layout write --candidate` and say \
                 in CHANGELOG.md what changed, with the new checksum",
                path.display()
            ),
            Self::Draft(minor) => write!(f, "ABI {minor} is a draft: it has no text until it is a candidate"),
            Self::Differs(which, differences) | Self::DiffersFromCandidate(which, differences, _) => {
                writeln!(f, "{which}: {} difference(s)", differences.len())?;
                differences.iter().try_for_each(|difference| writeln!(f, "{difference}"))?;
                match self {
                    Self::DiffersFromCandidate(.., path) => Self::Candidate(path.clone()).fmt(f),
                    _ => Ok(()),
                }
            }
            Self::NotInChangelog(path, line) => {
                write!(f, "{}: expected the words `{line}`: a change of the layout is told there", path.display())
            }
        }
    }
}

impl std::error::Error for Refused {}

/// A folder of texts, one per minor.
#[derive(Debug, Clone)]
pub struct Golden {
    folder: PathBuf,
    changelog: PathBuf,
}

/// The texts, the oldest minor first.
pub type Texts = Vec<Layout>;

impl Golden {
    /// The texts in `sdk/abi/golden` of a checkout, which `CHANGELOG.md` speaks of.
    #[must_use]
    pub fn of_checkout(top: &Path) -> Self {
        Self { folder: top.join("sdk/abi/golden"), changelog: top.join("CHANGELOG.md") }
    }

    fn path(&self, minor: &str) -> PathBuf {
        self.folder.join(format!("{minor}.txt"))
    }

    /// The text of a minor.
    ///
    /// # Errors
    ///
    /// If there is none that can be read.
    pub fn read(&self, minor: &str) -> Result<Layout, Refused> {
        let path = self.path(minor);
        match fs::read_to_string(&path) {
            Ok(text) => Layout::parse(&text).map_err(|reason| Refused::Malformed(path, reason)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(match State::of(minor) {
                State::Released(_) => Refused::Released(path),
                State::Candidate | State::Draft => Refused::Missing(path),
            }),
            Err(error) => Err(Refused::Io(path, error)),
        }
    }

    /// The texts of all minors that are out or about to be.
    ///
    /// # Errors
    ///
    /// If one of them cannot be read, or one that is released is another one.
    pub fn texts(&self) -> Result<Texts, Refused> {
        let text = |&(minor, state): &(&str, State)| {
            let text = self.read(minor)?;
            match state {
                State::Released(checksum) if text.checksum() != checksum => Err(Refused::Released(self.path(minor))),
                _ => Ok(text),
            }
        };
        STATES.iter().filter(|(_, state)| *state != State::Draft).map(text).collect()
    }

    /// What is wrong with `current`: it is to be what stands in the text of its minor, or, in a draft, to append to the last
    /// text; each text is to append to the one before, and the changelog is to name each.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong.
    pub fn check(&self, current: &Layout) -> Result<(), Refused> {
        let texts = self.texts()?;
        let differs = |which: String, found: Vec<Difference>| match found.is_empty() {
            true => Ok(()),
            false => Err(Refused::Differs(which, found)),
        };
        let own = texts.iter().find(|text| text.minor() == current.minor());
        match (own, texts.last()) {
            (Some(own), _) => {
                let path = self.path(own.minor());
                let which = format!("the source of ABI {} and {}", current.minor(), path.display());
                let found = same(own, current);
                // What breaks a minor that is out is not to be meant.
                let only_its_own = texts
                    .iter()
                    .filter(|text| matches!(State::of(text.minor()), State::Released(_)))
                    .all(|released| appends(released, current).is_empty());
                if !found.is_empty() && only_its_own && State::of(own.minor()) == State::Candidate {
                    return Err(Refused::DiffersFromCandidate(which, found, path));
                }
                differs(which, found)?;
            }
            (None, Some(last)) => {
                let found = appends(last, current);
                differs(
                    format!("the draft of ABI {} and {}", current.minor(), self.path(last.minor()).display()),
                    found,
                )?;
            }
            (None, None) => {}
        }
        for pair in texts.windows(2) {
            let which = format!("ABI {} after ABI {}", pair[1].minor(), pair[0].minor());
            differs(which, appends(&pair[0], &pair[1]))?;
        }
        let changelog =
            fs::read_to_string(&self.changelog).map_err(|error| Refused::Io(self.changelog.clone(), error))?;
        for text in &texts {
            let words = format!("layout {} {}", text.minor(), text.checksum());
            if !changelog.contains(&words) {
                return Err(Refused::NotInChangelog(self.changelog.clone(), words));
            }
        }
        Ok(())
    }

    /// Writes the text of the minor that `current` is; gives the words for the changelog.
    ///
    /// # Errors
    ///
    /// If it may not be written: it is released, a draft, or a candidate without `candidate`.
    pub fn write(&self, current: &Layout, candidate: bool) -> Result<String, Refused> {
        let path = self.path(current.minor());
        match State::of(current.minor()) {
            State::Draft => return Err(Refused::Draft(current.minor().to_owned())),
            State::Released(_) => return Err(Refused::Released(path)),
            State::Candidate if path.exists() && !candidate => return Err(Refused::Candidate(path)),
            State::Candidate => {}
        }
        fs::create_dir_all(&self.folder).map_err(|error| Refused::Io(self.folder.clone(), error))?;
        fs::write(&path, current.to_string()).map_err(|error| Refused::Io(path, error))?;
        Ok(format!("layout {} {}", current.minor(), current.checksum()))
    }
}
