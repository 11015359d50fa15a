//! What is known of one path, and whether what stands there is complete.
//!
//! A file renamed into place is complete the moment it is there; one that is written in place is not, and nothing about
//! it says when it will be. What counts as complete:
//!
//! 1. The watcher saw somebody close it after writing, or rename it to this path, and no write since.
//! 2. Its times say that nobody has written to it for [`SETTLE`]. Asked only where this machine's clock makes the times,
//!    or if they are older than any clock is wrong. The time of its last change must be old as well, for times can be set,
//!    unless the file itself is new under the path: a rename changes that time, not that of the last write.
//! 3. It looked the same for [`SETTLE`]; where times cannot be believed, its bytes must have been the same, too, in two
//!    reads so far apart.
//!
//! Until then nothing is said about it, neither good nor bad: a file that is half there is no error yet.

use std::path::Path;
use std::time::Duration;

use super::known::Known;
use super::world::{Moment, World};
use crate::error::LoadError;
use crate::find::Candidate;
use crate::status::RefusedFile;
use crate::verify::{Digest, ReadLimits, Stamp, VerifyPolicy};

/// How long a file must be the same to count as complete.
pub(crate) const SETTLE: Duration = Duration::from_millis(500);

/// No clock is wrong by more.
const BEYOND_DOUBT: Duration = Duration::from_secs(24 * 60 * 60);

/// What it takes to judge a file.
pub(super) struct Judge<'a> {
    pub(super) limits: &'a ReadLimits,
    pub(super) policy: &'a VerifyPolicy,
    pub(super) world: &'a dyn World,
    /// Files read so far.
    pub(super) reads: &'a mut u64,
}

/// What is known of one path.
#[derive(Debug)]
pub(super) struct Seen {
    stamp: Option<Stamp>,
    /// When it was first seen like that.
    since: Moment,
    /// Since when it has not been complete.
    waiting_since: Moment,
    /// Rule 3, where times are not believed: the first of the two reads.
    first_read: Option<(Digest, Moment)>,
    /// What was found of the file that stands there, once it is complete.
    verdict: Option<Verdict>,
    /// The id of what was last usable under this path, also if another file stands there by now.
    last_id: Option<String>,
}

#[derive(Debug)]
pub(super) enum Verdict {
    Usable(Known),
    /// Its bytes were judged: they stay refused.
    Refused(RefusedFile),
    /// It could not be read, which may heal without the file changing.
    Unreadable(RefusedFile),
}

/// Whether the bytes may be judged.
enum Rule {
    /// Rule 1 or 2, or it has settled.
    Complete,
    /// The second part of rule 3: complete if these bytes were read before.
    IfReadBefore,
    /// Not yet: ask again after this time.
    NotYet(Duration),
}

enum Read {
    Judged {
        digest: Option<Digest>,
        verdict: Verdict,
    },
    /// It became another file while it was read.
    Changed,
}

impl Seen {
    pub(super) fn new(now: Moment, last_id: Option<String>) -> Self {
        Self { stamp: None, since: now, waiting_since: now, first_read: None, verdict: None, last_id }
    }

    /// Nothing that was judged counts any more: it is read at the next look, or once it has settled.
    pub(super) fn forget(&mut self, now: Moment) {
        self.restart(None, now);
    }

    /// What was found, if the file is complete.
    pub(super) fn verdict(&self) -> Option<&Verdict> {
        self.verdict.as_ref()
    }

    /// The id of what was last usable under this path.
    pub(super) fn last_id(&self) -> Option<String> {
        self.last_id.clone()
    }

    /// How long it has not been complete.
    pub(super) fn waiting(&self, now: Moment) -> Duration {
        now.steady.saturating_duration_since(self.waiting_since.steady)
    }

    /// Looks at the path. `told`: rule 1. `running`: a file that was not there before came while the scanner was looking
    /// (rule 2). Gives nothing if there is a verdict now, else when to ask again.
    pub(super) fn look(&mut self, path: &Path, told: bool, running: bool, judge: &mut Judge<'_>) -> Option<Duration> {
        let stamp = Stamp::look(path);
        let now = judge.world.now();
        let another = self.stamp.map(|before| before.file) != stamp.map(|found| found.file);
        if stamp != self.stamp {
            self.restart(stamp, now);
        }
        let rule = match &self.verdict {
            _ if told => Rule::Complete,
            Some(Verdict::Usable(_) | Verdict::Refused(_)) => return None,
            Some(Verdict::Unreadable(_)) => Rule::Complete,
            None => self.rule(path, now, another && running, judge.world),
        };
        let twice = match rule {
            Rule::NotYet(left) => return Some(left),
            Rule::Complete => false,
            Rule::IfReadBefore => true,
        };
        let Read::Judged { digest, verdict } = self.read(path, judge) else {
            let now = judge.world.now();
            self.restart(Stamp::look(path), now);
            return Some(SETTLE);
        };
        match digest {
            Some(digest) if twice && self.first_read.is_none_or(|(before, _)| before != digest) => {
                self.first_read = Some((digest, judge.world.now()));
                return Some(SETTLE);
            }
            _ => {}
        }
        if let Verdict::Usable(known) = &verdict {
            self.last_id = Some(known.descriptor.id.clone());
        }
        self.verdict = Some(verdict);
        None
    }

    fn rule(&self, path: &Path, now: Moment, is_new: bool, world: &dyn World) -> Rule {
        let ours = world.stamps_by_our_clock(path);
        if self.stamp.is_some_and(|stamp| is_old(&stamp, now.wall, ours, is_new)) {
            return Rule::Complete;
        }
        let since = self.first_read.map_or(self.since, |(_, at)| at);
        let left = SETTLE.saturating_sub(now.steady.saturating_duration_since(since.steady));
        match (left, ours) {
            (Duration::ZERO, true) => Rule::Complete,
            (Duration::ZERO, false) => Rule::IfReadBefore,
            (left, _) => Rule::NotYet(left),
        }
    }

    fn restart(&mut self, stamp: Option<Stamp>, now: Moment) {
        if self.verdict.take().is_some() {
            self.waiting_since = now;
        }
        (self.stamp, self.since, self.first_read) = (stamp, now, None);
    }

    fn read(&self, path: &Path, judge: &mut Judge<'_>) -> Read {
        *judge.reads += 1;
        let image = match Candidate::from_path(path).read(judge.limits) {
            Ok(image) => image,
            Err(LoadError::ChangedWhileReading { .. }) => return Read::Changed,
            Err(LoadError::Missing { .. }) if self.stamp.is_some() => return Read::Changed,
            Err(error) => {
                return Read::Judged { digest: None, verdict: Verdict::Unreadable(RefusedFile::new(&error)) };
            }
        };
        if Some(image.stamp()) != self.stamp {
            return Read::Changed;
        }
        let digest = image.digest();
        let verdict = match image.verify(judge.policy).and_then(|image| Known::new(&image)) {
            Ok(known) => Verdict::Usable(known),
            Err(error) => Verdict::Refused(RefusedFile::new(&error)),
        };
        Read::Judged { digest: Some(digest), verdict }
    }
}

/// Rule 2.
fn is_old(stamp: &Stamp, now: i128, ours: bool, is_new: bool) -> bool {
    let least = if ours { SETTLE } else { BEYOND_DOUBT }.as_nanos() as i128;
    let old = |time: i128| now.saturating_sub(time) >= least;
    old(stamp.modified) && (ours && is_new || old(stamp.changed))
}
