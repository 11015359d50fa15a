//! What can go wrong with a deployment, each once, under load: what is good serves on.

use std::fs;
use std::time::{Duration, Instant};

use mini_chat_plugin_loader::HostEvent;
use serde::Serialize;

use crate::AnyError;
use crate::site::Site;

/// What goes wrong, and what the host must say of it.
#[derive(Debug, Clone, Copy)]
enum Fault {
    /// A file that is cut in half.
    Truncated,
    /// A file with zeros in its middle.
    Hole,
    /// A file that says it was built for another ABI.
    WrongAbi,
    /// A build that must be refused with one of these codes, and whether it must be tried again.
    Refused(&'static str, &'static [&'static str], Option<bool>),
    /// A build that must be rolled back.
    RolledBack(&'static str),
    /// Removed, then copied to the same place.
    DeleteThenCopy,
    /// The directory goes away and comes back.
    Unmounted,
    /// Written over the file that stands there; cut to nothing before or not.
    InPlace(bool),
}

use Fault::*;

/// Each once.
const FAULTS: &[(&str, Fault)] = &[
    ("truncated file", Truncated),
    ("file with a hole", Hole),
    ("build of another ABI", WrongAbi),
    ("create fails, permanent", Refused("create-permanent", &["create-failed"], Some(false))),
    ("create fails, retryable", Refused("create-retry", &["create-failed"], Some(true))),
    ("panic in the health check", Refused("health-panic", &["create-panicked"], None)),
    ("segfault in an ELF constructor", Refused("map-crash", &["preflight-killed"], None)),
    ("hang in an ELF constructor", Refused("map-hang", &["preflight-timed-out"], None)),
    ("exit in an ELF constructor", Refused("map-exit", &["preflight-exited"], None)),
    ("eats memory", Refused("memory", &["preflight-out-of-memory", "preflight-killed"], None)),
    ("answers Internal to everything", RolledBack("internal")),
    ("panics at every tenth call", RolledBack("tenth-panic")),
    ("deleted, then copied", DeleteThenCopy),
    ("unmounted directory", Unmounted),
    ("rsync --inplace", InPlace(false)),
    ("copied over in place, slowly", InPlace(true)),
];

/// How many there are.
pub(crate) const COUNT: usize = FAULTS.len();

/// What became of one.
#[derive(Debug, Serialize)]
pub(crate) struct FaultReport {
    pub(crate) fault: &'static str,
    /// It was reported as it must be, and the good generation served on.
    pub(crate) ok: bool,
    /// What the host said: code and text.
    pub(crate) reported: Vec<(String, String)>,
    /// The build that answered afterwards, and the one that had to.
    pub(crate) answers: u64,
    pub(crate) good: u64,
    pub(crate) took_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) failure: Option<String>,
}

/// Pauses between the pieces of a file that is written in place; longer in sum than a file must rest to count as whole.
const PIECES: (usize, Duration) = (12, Duration::from_millis(100));
/// Bytes of zeros.
const HOLE: usize = 16 << 10;

/// Injects one.
pub(crate) fn inject(site: &mut Site, number: usize) -> Result<FaultReport, AnyError> {
    let (name, fault) = FAULTS[number];
    site.listen()?;
    site.said.clear();
    let begin = Instant::now();
    let failure = carry_out(site, fault).err().map(|error| error.to_string());
    site.listen()?;
    let answers = site.answers()?;
    let reported = site.said.iter().filter_map(reported).collect();
    let took_ms = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
    let ok = failure.is_none() && answers == site.good;
    Ok(FaultReport { fault: name, ok, reported, answers, good: site.good, took_ms, failure })
}

fn carry_out(site: &mut Site, fault: Fault) -> Result<(), AnyError> {
    match fault {
        Truncated => {
            let (_, bytes) = site.builds.next("good");
            site.builds.rename_into_place(&bytes[..bytes.len() / 2], || ())?;
            file_refused(site, &["truncated"])
        }
        Hole => {
            let (_, mut bytes) = site.builds.next("good");
            let middle = bytes.len() / 2 / HOLE * HOLE;
            bytes[middle..middle + HOLE].fill(0);
            site.builds.rename_into_place(&bytes, || ())?;
            file_refused(site, &["holes"])
        }
        WrongAbi => {
            let bytes = site.builds.next_of_another_abi()?;
            site.builds.rename_into_place(&bytes, || ())?;
            file_refused(site, &["abi-major"])
        }
        Refused(behaviour, kinds, retried) => {
            let (_, bytes) = site.builds.next(behaviour);
            site.builds.rename_into_place(&bytes, || ())?;
            let event = site.until("it is refused", |event| matches!(event, HostEvent::Refused { .. }))?.1;
            let HostEvent::Refused { kind, retry_in_ms, .. } = event else { unreachable!("it was waited for") };
            if !kinds.contains(&kind) || retried.is_some_and(|wanted| wanted != retry_in_ms.is_some()) {
                return Err(format!("refused with {kind}, tried again in {retry_in_ms:?} ms").into());
            }
            Ok(())
        }
        RolledBack(behaviour) => {
            let (_, bytes) = site.builds.next(behaviour);
            site.callers.shared.expect_a_bad_one();
            site.builds.rename_into_place(&bytes, || ())?;
            site.until("it is rolled back", |event| matches!(event, HostEvent::RolledBack { .. }))?;
            site.callers.shared.it_is_gone();
            Ok(())
        }
        DeleteThenCopy => {
            let (build, bytes) = site.builds.next("good");
            fs::remove_file(site.builds.path())?;
            fs::write(site.builds.path(), &bytes)?;
            serves(site, build)
        }
        Unmounted => {
            let (there, away) = (site.directory().to_owned(), site.directory().with_extension("away"));
            fs::rename(&there, &away)?;
            let said = file_refused(site, &["directory-unreadable"]);
            fs::rename(&away, &there)?;
            said
        }
        InPlace(cut) => {
            let (build, bytes) = site.builds.next("good");
            site.builds.write_in_place(&bytes, cut, PIECES.0, PIECES.1)?;
            serves(site, build)
        }
    }
}

fn file_refused(site: &mut Site, kinds: &[&str]) -> Result<(), AnyError> {
    let event = site.until("the file is refused", |event| matches!(event, HostEvent::FileRefused { .. }))?.1;
    match event {
        HostEvent::FileRefused { kind, .. } if kinds.contains(&kind) => Ok(()),
        other => Err(format!("expected {kinds:?}, found {other:?}").into()),
    }
}

/// The build is good in the end.
fn serves(site: &mut Site, build: u64) -> Result<(), AnyError> {
    site.until(&format!("build {build} serves"), |event| matches!(event, HostEvent::Serving { .. }))?;
    site.until_answers(build)?;
    site.good = build;
    Ok(())
}

/// Code and text of what concerns a fault.
fn reported(event: &HostEvent) -> Option<(String, String)> {
    Some(match event {
        HostEvent::Refused { kind, message, .. } | HostEvent::FileRefused { kind, message, .. } => {
            ((*kind).to_owned(), message.clone())
        }
        HostEvent::RolledBack { generation, why, .. } => {
            ("rolled-back".to_owned(), format!("generation {generation}: {why}"))
        }
        HostEvent::Orphaned { .. } => ("orphaned".to_owned(), "the file of what serves has vanished".to_owned()),
        HostEvent::Serving { generation, .. } => ("serving".to_owned(), format!("generation {generation}")),
        HostEvent::Zombie { generation, calls, .. } => {
            ("zombie".to_owned(), format!("generation {generation}, {calls} calls"))
        }
        HostEvent::ModeChanged { why, .. } => ("mode-changed".to_owned(), why.clone()),
        _ => return None,
    })
}
