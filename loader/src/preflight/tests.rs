use std::path::Path;
use std::time::Duration;

use super::faults::{CreateFault, LoadFault};
use super::run::Limits;
use super::wire::Line;
use super::{Preflight, Preflighter};
use crate::config::{self, ConfigTable, PluginEntry};
use crate::error::{CreateError, LoadError, PreflightStage, Stage};

fn there_and_back(line: &Line) -> Line {
    serde_json::from_str(&serde_json::to_string(line).unwrap()).unwrap()
}

#[test]
fn what_a_child_refuses_is_what_the_host_would_have_said() {
    let path = || Path::new("/plugins/x.so").to_owned();
    let errors = || {
        [
            LoadError::MapFailed { path: path(), reason: "no symbol".to_owned() },
            LoadError::WrongMagic { path: path(), found: "\\x00".to_owned() },
            LoadError::EarlyAllocation { path: path(), reason: "it allocated".to_owned() },
            LoadError::EntryRefused { path: path(), reason: "status 3".to_owned() },
            LoadError::LayoutMissing { path: path() },
            LoadError::LayoutMismatch { path: path(), mismatches: vec!["a".to_owned(), "b".to_owned()] },
        ]
    };
    for (error, same) in errors().into_iter().zip(errors()) {
        let Line::Load(fault) = there_and_back(&Line::Load(LoadFault::of(error).unwrap())) else { panic!() };
        let back = fault.into_error(&path());
        assert_eq!((back.kind(), back.to_string()), (same.kind(), same.to_string()));
    }
    assert!(LoadFault::of(LoadError::OpenLost { path: path() }).is_err());
}

#[test]
fn what_a_plugin_says_in_a_child_is_what_it_would_have_said_in_the_host() {
    let entry = PluginEntry::new("eu");
    let table = ConfigTable::empty().for_plugin("eu");
    let errors = || {
        let plugin = || "eu".to_owned();
        [
            CreateError::Failed {
                plugin: plugin(),
                stage: Stage::Create,
                retryable: true,
                code: 7,
                retry_after: Some(Duration::from_millis(1500)),
                message: "no".to_owned(),
            },
            CreateError::Panicked {
                plugin: plugin(),
                stage: Stage::Health,
                message: "no".to_owned(),
                location: Some("lib.rs:1:2".to_owned()),
            },
            CreateError::Deadline { plugin: plugin(), stage: Stage::Open, limit: Duration::from_secs(3) },
            CreateError::Unsupported { plugin: plugin(), message: "no".to_owned() },
            CreateError::ThreadLost { plugin: plugin(), stage: Stage::Create },
            CreateError::ConfigRefused {
                plugin: plugin(),
                problem: table.plugin_error("tiers[2].limit", "integer", "string", Some("limits")),
            },
            CreateError::ConfigRefused { plugin: plugin(), problem: table.plugin_error("", "a table", "none", None) },
        ]
    };
    for (error, same) in errors().into_iter().zip(errors()) {
        let Line::Create(fault) = there_and_back(&Line::Create(CreateFault::of(error, &table).unwrap())) else {
            panic!()
        };
        let back = fault.into_error(&entry);
        assert_eq!((back.kind(), back.to_string()), (same.kind(), same.to_string()));
        assert_eq!(back.is_retryable(), same.is_retryable());
    }
}

#[test]
fn the_whole_is_longer_than_every_stage_together() {
    let limits = Limits::of(&config::Limits::default());
    use PreflightStage::{Create, Entry, Health, Map, Open, Shutdown, Start};
    let stages: Duration = [Start, Map, Entry, Open, Create, Health, Shutdown].map(|it| limits.stage(it)).iter().sum();
    assert!(limits.whole() > stages);
    assert!(limits.processor_time() >= limits.whole());
    assert!(limits.stage(Create) > config::Limits::default().create, "the child's own limit comes first");
}

/// A program of tests runs its tests whatever it is told: it must never be started as a trial.
#[test]
fn a_program_that_did_not_offer_itself_is_not_used() {
    assert!(!Preflighter::new(&Preflight::Automatic, 0).is_on());
    assert!(!Preflighter::new(&Preflight::Off, 0).is_on());
    assert!(Preflighter::new(&Preflight::Program("/bin/true".into()), 0).is_on());
    assert_eq!(Preflight::default(), Preflight::Automatic);
}
