//! What the end of a trial means for the candidate.

use super::process::End;
use super::run::{Ended, How};
use super::wire::Line;
use super::{PreflightReport, Trial};
use crate::error::{PluginFailure, PreflightError, PreflightStage};
use crate::process_state;

/// What Rust's standard library writes before it gives up.
const ALLOCATION_FAILED: &str = "memory allocation of ";

pub(super) fn judge(ended: Ended, trial: &Trial, memory: u64) -> Result<PreflightReport, PluginFailure> {
    let Ended { stage, how, said, short_of_memory, took } = ended;
    let path = trial.image.path().to_owned();
    if !said.trim().is_empty() {
        tracing::debug!(plugin = trial.entry.name, "the trial of {} wrote: {}", path.display(), said.trim_end());
    }
    // Before it has begun, nothing of the candidate has run.
    if stage == PreflightStage::Start && !matches!(how, How::Answered(_)) {
        return Err(PreflightError::NotStarted { path, reason: before_it_began(&how, &said) }.into());
    }
    let out_of_memory = short_of_memory || said.contains(ALLOCATION_FAILED);
    Err(match how {
        How::Answered(Line::Done { shutdown_error }) => {
            if let Some(error) = &shutdown_error {
                tracing::warn!(plugin = trial.entry.name, "in its trial: {error}");
            }
            return Ok(PreflightReport { level: trial.level, took, shutdown_error, wrote: said });
        }
        How::Answered(Line::Load(fault)) => fault.into_error(&path).into(),
        How::Answered(Line::Create(fault)) => fault.into_error(&trial.entry).into(),
        How::Answered(Line::Unfit(reason)) | How::NotStarted(reason) => {
            PreflightError::NotStarted { path, reason }.into()
        }
        How::Answered(Line::Begun { .. } | Line::Stage(_)) | How::Cancelled | How::Ended(End::Unknown) => {
            let reason = "it was taken away while it ran".to_owned();
            PreflightError::NotStarted { path, reason }.into()
        }
        How::TimedOut(limit) => PreflightError::TimedOut { path, stage, limit, said }.into(),
        How::Garbled(reason) => PreflightError::Garbled { path, stage, reason, said }.into(),
        How::Ended(_) if out_of_memory => PreflightError::OutOfMemory { path, stage, limit: Some(memory), said }.into(),
        How::Ended(End::Signal(libc::SIGKILL)) => PreflightError::OutOfMemory { path, stage, limit: None, said }.into(),
        How::Ended(End::Signal(signal)) => {
            PreflightError::Killed { path, stage, signal: process_state::name(signal), said }.into()
        }
        How::Ended(End::Exit(code)) => PreflightError::Exited { path, stage, code, said }.into(),
    })
}

fn before_it_began(how: &How, said: &str) -> String {
    let what = match how {
        How::NotStarted(reason) => return reason.clone(),
        How::Ended(End::Exit(code)) => format!(
            "it exited with code {code} before it began; does its program call preflight_child() at the top of main?"
        ),
        How::Ended(End::Signal(signal)) => format!("{} ended it before it began", process_state::name(*signal)),
        How::TimedOut(limit) => {
            format!("it had not begun after {limit:?}; does its program call preflight_child() at the top of main?")
        }
        How::Garbled(reason) => format!("its program does not speak as one that calls preflight_child(): {reason}"),
        How::Ended(End::Unknown) | How::Cancelled | How::Answered(_) => "it was taken away".to_owned(),
    };
    let said: String = said.trim().chars().take(400).collect();
    if said.is_empty() { what } else { format!("{what} (it wrote: {said})") }
}
