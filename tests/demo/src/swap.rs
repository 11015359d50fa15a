//! The end of the demo: builds replace each other under calls, good ones and bad ones.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use mini_chat_plugin_loader::{HostEvent, PluginHost};
use stamped::stamping;
use tokio::sync::broadcast::Receiver;
use tokio_util::sync::CancellationToken;

use crate::AnyError;
use crate::calls::USER;

/// The plugin's id, and the name of its slot.
const ID: &str = "tests.stamped._.both.v1";
/// How long each step may take.
const LIMIT: Duration = Duration::from_secs(60);

/// Two threads that call without pause.
struct Callers {
    stop: Arc<AtomicBool>,
    calls: Arc<AtomicU64>,
    failed: Arc<AtomicU64>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Callers {
    fn start(host: &PluginHost) -> Result<Self, AnyError> {
        let (stop, calls, failed): (Arc<AtomicBool>, Arc<AtomicU64>, Arc<AtomicU64>) = Default::default();
        let mut threads = Vec::new();
        for _ in 0..2 {
            let (policy, runtime) = (host.model_policy(ID), tokio::runtime::Builder::new_current_thread().build()?);
            let (stop, calls, failed) = (Arc::clone(&stop), Arc::clone(&calls), Arc::clone(&failed));
            threads.push(thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let answer = runtime.block_on(policy.get_current_policy_version(USER, CancellationToken::new()));
                    calls.fetch_add(1, Ordering::Relaxed);
                    failed.fetch_add(u64::from(answer.is_err()), Ordering::Relaxed);
                }
            }));
        }
        Ok(Self { stop, calls, failed, threads })
    }

    /// Calls and failed calls since the last time.
    fn count(&self) -> (u64, u64) {
        (self.calls.swap(0, Ordering::Relaxed), self.failed.swap(0, Ordering::Relaxed))
    }

    fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            // A caller does not panic; if it did, its calls would be missing.
            let _ = thread.join();
        }
    }
}

/// Shows it; whether all went as it should.
pub(crate) fn show(host: &PluginHost, work: &Path, library: &Path) -> Result<bool, AnyError> {
    println!("\n== swaps: builds of one plugin replace each other, while two threads call it without pause");
    let library = fs::read(library)?;
    let mut events = host.events();
    let build = |build: u64, behaviour: &str| stamping::stamped(&library, build, behaviour, stamping::VERSION);
    let place = |bytes: &[u8]| rename_into(&work.join("plugins"), bytes);
    let mut well = true;

    place(&build(1, "good")?)?;
    until(&mut events, |event| matches!(event, HostEvent::Serving { plugin, .. } if plugin == ID))?;
    println!("  build 1 was dropped into the directory: served under its id");
    let callers = Callers::start(host)?;
    callers.count();

    for number in 2..=4 {
        place(&build(number, "good")?)?;
        let event = until(&mut events, |event| matches!(event, HostEvent::Serving { plugin, .. } if plugin == ID))?;
        let HostEvent::Serving { generation, phases, .. } = event else { continue };
        let (calls, failed) = callers.count();
        well &= failed == 0;
        println!(
            "  build {number} was dropped in: serves as generation {generation}; {calls} calls meanwhile, {failed} failed \
             (checks {} µs, creation {} µs, flip {} ns)",
            phases.check_us, phases.create_us, phases.flip_ns
        );
    }

    let whole = build(5, "good")?;
    place(&whole[..whole.len() / 2])?;
    let event = until(&mut events, |event| matches!(event, HostEvent::FileRefused { .. }))?;
    well &= tell(&callers, "a file cut in half", &event, 0);

    place(&build(6, "create-permanent")?)?;
    let event = until(&mut events, |event| matches!(event, HostEvent::Refused { .. }))?;
    well &= tell(&callers, "a build that cannot start", &event, 0);

    place(&build(7, "internal")?)?;
    let event = until(&mut events, |event| matches!(event, HostEvent::RolledBack { .. }))?;
    // What it answered until then are the errors that it was rolled back for.
    well &= tell(&callers, "a build that answers nothing but errors", &event, u64::MAX);
    callers.end();
    let (policy, runtime) = (host.model_policy(ID), tokio::runtime::Builder::new_current_thread().build()?);
    let answer = move || runtime.block_on(policy.get_current_policy_version(USER, CancellationToken::new()));
    let serves = thread::spawn(answer).join().map_err(|_| "a caller panicked")??.policy_version;
    println!("  build {serves} serves");
    Ok(well && serves == 4)
}

/// Says what became of a bad build; whether no more calls failed than may.
fn tell(callers: &Callers, what: &str, event: &HostEvent, may_fail: u64) -> bool {
    let (calls, failed) = callers.count();
    let message = match event {
        HostEvent::FileRefused { kind, message, .. } | HostEvent::Refused { kind, message, .. } => {
            format!("refused ({kind}): {message}")
        }
        HostEvent::RolledBack { generation, why, .. } => format!("generation {generation} rolled back: {why}"),
        _ => String::new(),
    };
    println!("  {what} was dropped in; {calls} calls meanwhile, {failed} failed\n      {message}");
    failed <= may_fail
}

/// Written beside, renamed into place.
fn rename_into(directory: &Path, bytes: &[u8]) -> Result<(), AnyError> {
    let beside = directory.join(".partial");
    fs::write(&beside, bytes)?;
    fs::set_permissions(&beside, fs::Permissions::from_mode(0o644))?;
    Ok(fs::rename(beside, directory.join("libstamped.so"))?)
}

/// Waits for an event.
fn until(events: &mut Receiver<HostEvent>, is_it: impl Fn(&HostEvent) -> bool) -> Result<HostEvent, AnyError> {
    let started = Instant::now();
    while started.elapsed() < LIMIT {
        match events.try_recv() {
            Ok(event) if is_it(&event) => return Ok(event),
            Ok(_) => {}
            Err(_) => thread::sleep(Duration::from_millis(1)),
        }
    }
    Err(format!("what should have happened did not, within {LIMIT:?}").into())
}
