//! What `./scripts/night` needs besides the program `mini-chat-plugins`:
//!
//! - `night host PLACE`: a host as a server has it, with callers all the time, on the files in PLACE (`plugins.toml`,
//!   `plugins/`, `state/`, `control.sock`). Ends at SIGTERM. How many calls there were, and how many of them failed, stands in
//!   `PLACE/calls`.
//! - `night build LIBRARY NUMBER BEHAVIOUR FILE`: a build of the fixture `stamped`, see there.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use futures_executor::block_on;
use mini_chat_plugin_loader::{PluginHost, StateDirChoice};
use mini_chat_plugin_sdk::prelude::*;
use signal_hook::consts::SIGTERM;

/// The plugin's id.
const ID: &str = "tests.stamped._.both.v1";
/// Between two turns of a caller. The night is quiet.
const PAUSE: Duration = Duration::from_millis(2);

fn main() -> Result<ExitCode, Box<dyn Error>> {
    // Before everything else: this program also tries builds, in processes of their own.
    mini_chat_plugin_loader::preflight_child();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["host", place] => host(Path::new(place)),
        ["build", library, number, behaviour, file] => {
            let library = fs::read(library)?;
            let version = stamped::stamping::VERSION;
            fs::write(file, stamped::stamping::stamped(&library, number.parse()?, behaviour, version)?)?;
            Ok(ExitCode::SUCCESS)
        }
        _ => Err("usage: night host PLACE | night build LIBRARY NUMBER BEHAVIOUR FILE (run ./scripts/night)".into()),
    }
}

fn host(place: &Path) -> Result<ExitCode, Box<dyn Error>> {
    tracing_subscriber::fmt().with_ansi(false).with_writer(std::io::stderr).init();
    let ending = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SIGTERM, Arc::clone(&ending))?;
    let builder = PluginHost::builder()
        .identity("night", env!("CARGO_PKG_VERSION"))
        .config_file(place.join("plugins.toml"))
        .plugins(place.join("plugins"))
        .state_dir(StateDirChoice::At(place.join("state")));
    let host = block_on(builder.build())?;
    let control = host.serve_control(place.join("control.sock"))?;
    let tally = Arc::new(Tally::default());
    let callers = [0, 1].map(|_| {
        let caller = Caller { policy: host.model_policy(ID), audit: host.audit(ID), tally: Arc::clone(&tally) };
        let ending = Arc::clone(&ending);
        thread::spawn(move || caller.run(&ending))
    });
    while !ending.load(Ordering::Relaxed) {
        tally.write(&place.join("calls"))?;
        thread::sleep(Duration::from_millis(50));
    }
    for caller in callers {
        caller.join().map_err(|_| "a caller panicked")?;
    }
    tally.write(&place.join("calls"))?;
    drop(control);
    let report = block_on(host.shutdown());
    println!("ended, clean: {}", report.is_clean());
    Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What callers saw.
#[derive(Default)]
struct Tally {
    calls: AtomicU64,
    failed: AtomicU64,
}

impl Tally {
    fn write(&self, path: &Path) -> std::io::Result<()> {
        let beside = path.with_extension("new");
        let (calls, failed) = (self.calls.load(Ordering::Relaxed), self.failed.load(Ordering::Relaxed));
        fs::write(&beside, format!("{calls} calls, {failed} failed\n"))?;
        fs::rename(beside, path)
    }

    fn count<T, E>(&self, outcome: Result<T, E>) -> Option<T> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.failed.fetch_add(u64::from(outcome.is_err()), Ordering::Relaxed);
        outcome.ok()
    }
}

struct Caller {
    policy: Arc<dyn MiniChatModelPolicyPluginClientV1>,
    audit: Arc<dyn MiniChatAuditPluginClientV1>,
    tally: Arc<Tally>,
}

impl Caller {
    /// Turns, until the host ends.
    fn run(&self, ending: &AtomicBool) {
        let event: TurnAuditEvent =
            serde_json::from_str(include_str!("../../fixtures/mini-chat/full/TurnAuditEvent.json"))
                .expect("the fixture is one");
        let (user, token) = (Uuid::from_u128(7), CancellationToken::new());
        while !ending.load(Ordering::Relaxed) {
            let version = block_on(self.policy.get_current_policy_version(user, token.clone()));
            if let Some(info) = self.tally.count(version) {
                let limits = block_on(self.policy.get_user_limits(user, info.policy_version, token.clone()));
                self.tally.count(limits);
            }
            let event = TurnAuditEvent { request_id: Uuid::from_u128(1), ..event.clone() };
            self.tally.count(block_on(self.audit.emit_turn_audit(event)));
            thread::sleep(PAUSE);
        }
    }
}
