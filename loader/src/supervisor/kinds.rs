//! A swap keeps the kinds of what serves, unless the entry says that it need not: with a build that does not serve audit in the
//! place of one that does, every event would be lost from the flip on, and nothing would be wrong.
//!
//! This is between two builds, so nothing is held against one of them: it is looked at anew each time. While nothing serves,
//! the last good build of the state directory is what counts, since it can serve. A rollback may drop a kind in any case.

use super::build::{Build, Code};
use super::seat::Seat;
use crate::error::PluginFailure;
use crate::method::Kind;
use crate::scan::Known;
use crate::status::{BuildStatus, Quarantined};
use crate::verify::Digest;

/// A file that would serve, if it did not lack a kind.
pub(super) struct Narrower {
    digest: Digest,
    lacks: Vec<Kind>,
    pub(super) status: Quarantined,
}

impl Seat {
    /// The kinds that a file lacks to serve. `remembers`: there is a state directory.
    pub(super) fn lacks(&self, known: &Known, remembers: bool) -> Vec<Kind> {
        if self.entry.may_drop_kinds {
            return Vec::new();
        }
        let kept = match self.machine.serving().map(|build| &build.code) {
            Some(Code::File(serving)) => serving.descriptor.served(),
            None if remembers => self.memory.good_kinds(),
            Some(Code::Linked(_)) | None => Vec::new(),
        };
        kept.into_iter().filter(|kind| !known.descriptor.serves(*kind)).collect()
    }

    /// Why a file must not serve: it lacks a kind.
    pub(super) fn too_narrow(&self, known: &Known, remembers: bool) -> Option<PluginFailure> {
        let lacks = self.lacks(known, remembers);
        (!lacks.is_empty()).then(|| self.kinds_dropped(known, &lacks))
    }

    fn kinds_dropped(&self, known: &Known, lacks: &[Kind]) -> PluginFailure {
        PluginFailure::KindsDropped {
            plugin: self.slot.name().to_owned(),
            path: known.path.clone(),
            build: format!("version {} ({})", known.version, known.digest.short()),
            lacks: Kind::list(lacks),
        }
    }

    /// Notes which file is passed over for lack of a kind, if it does. Gives it and why, if that is new.
    pub(super) fn passes_over(
        &mut self,
        known: Option<&Known>,
        remembers: bool,
    ) -> Option<(BuildStatus, PluginFailure)> {
        let before = self.narrower.take();
        let known = known?;
        let lacks = self.lacks(known, remembers);
        if lacks.is_empty() {
            return None;
        }
        let is_new = before.is_none_or(|before| (before.digest, &before.lacks) != (known.digest, &lacks));
        let (build, failure) = (known.status(), self.kinds_dropped(known, &lacks));
        let (kind, message) = (failure.kind().into(), failure.to_string());
        let status = Quarantined { build: build.clone(), kind, message };
        self.narrower = Some(Narrower { digest: known.digest, lacks, status });
        is_new.then_some((build, failure))
    }
}

/// The kinds of a build, for who looks at it once it is gone.
pub(super) fn of(build: &Build) -> Vec<String> {
    match &build.code {
        Code::File(known) => known.descriptor.served().into_iter().map(|kind| kind.name().to_owned()).collect(),
        Code::Linked(_) => Vec::new(),
    }
}

/// The kinds with these names; of a later release's nothing is known.
pub(super) fn by_name(names: &[String]) -> Vec<Kind> {
    Kind::ALL.into_iter().filter(|kind| names.iter().any(|name| name == kind.name())).collect()
}
