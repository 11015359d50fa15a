//! How long the program `mini-chat-plugins run` takes from the start of its process until it says that it is ready.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::sections::Part;

/// With how many plugins, and whether they are tried first.
const STARTS: [(&str, usize, bool); 3] =
    [("1 plugin", 1, true), ("8 plugins", 8, true), ("8 plugins, preflight = false", 8, false)];

/// The least that a process can take: the same program, with nothing to do.
const BASELINE: &str = "--version, to its end";

pub(super) fn measure(part: &mut Part<'_>) {
    let case = "start of `run`, to `ready`";
    let ways: Vec<&str> = [BASELINE].into_iter().chain(STARTS.map(|(name, ..)| name)).collect();
    if !part.wants(case, &ways) {
        return;
    }
    let (program, directory) = (part.beside("mini-chat-plugins"), tempfile::tempdir().expect("a directory"));
    put(part.library, directory.path());
    let round = || {
        let starts = STARTS.map(|(_, plugins, preflight)| start(&program, directory.path(), plugins, preflight));
        [version(&program)].into_iter().chain(starts).map(|took| took.as_nanos() as f64).collect()
    };
    part.rounds(case, &ways, round);
}

fn version(program: &Path) -> Duration {
    let begun = Instant::now();
    let output = Command::new(program).arg("--version").stdin(Stdio::null()).output().expect("it starts");
    let took = begun.elapsed();
    assert!(output.status.success(), "{}", output.status);
    took
}

/// Puts the library there. What was written a moment ago may not be complete, and a start waits for it: it is there for longer.
fn put(library: &Path, directory: &Path) {
    let file = directory.join("libmeasured_plugin.so");
    fs::copy(library, &file).expect("a copy");
    fs::set_permissions(&file, Permissions::from_mode(0o644)).expect("its mode can be set");
    std::thread::sleep(Duration::from_secs(2));
}

/// Each instance has a library of its own mapped, and threads of its own.
fn start(program: &Path, directory: &Path, plugins: usize, preflight: bool) -> Duration {
    let place = tempfile::tempdir().expect("a directory");
    let (config, images) = (place.path().join("plugins.toml"), place.path().join("images"));
    fs::create_dir(&images).expect("a directory");
    let entry = |number: usize| {
        let id = measured::ID;
        format!("[plugins.plugin{number}]\nlibrary = \"{id}\"\ninstance = \"tests.measured._.plugin{number}.v1\"\n")
    };
    let host = format!("[host]\npreflight = {preflight}\n");
    fs::write(&config, [host].into_iter().chain((1..=plugins).map(entry)).collect::<String>()).expect("a file");

    let mut command = Command::new(program);
    command.arg("run").arg("--config").arg(&config).arg("--plugins").arg(directory);
    // What this process was told is not meant for it.
    let told = ["MINI_CHAT_LOG", "RUST_LOG", "MINI_CHAT_STATE_DIR", "MINI_CHAT_CONTROL", "MINI_CHAT_LISTEN"];
    let by_systemd = ["CACHE_DIRECTORY", "STATE_DIRECTORY", "RUNTIME_DIRECTORY", "NOTIFY_SOCKET", "WATCHDOG_USEC"];
    told.into_iter().chain(by_systemd).for_each(|variable| _ = command.env_remove(variable));
    command.env("TMPDIR", &images).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let begun = Instant::now();
    let mut running = Running(command.spawn().expect("it starts"));
    let stdout = BufReader::new(running.0.stdout.take().expect("piped"));
    let ready = stdout.lines().map_while(Result::ok).find(|line| line.starts_with("ready "));
    let took = begun.elapsed();
    let ready = ready.expect("it gets ready");
    assert!(ready.contains(&format!(" serving={plugins} ")), "{ready}");
    took
}

/// Ended when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
