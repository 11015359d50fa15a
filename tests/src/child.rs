//! Tests that need a process of their own: the test runs its own program again, for itself alone.
//!
//! Each function gives `true` in that process, where the test goes on, and `false` in the first one, once the other has
//! passed (or cannot be had here, which is said on stderr).

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::plugins;

const MARK: &str = "MINI_CHAT_TEST_CHILD";
const CASE: &str = "MINI_CHAT_TEST_CASE";

/// How long such a process may take. A process that hangs is a failure, and this is when it is called one.
const LIMIT: Duration = Duration::from_secs(120);

/// A process of its own. It must also end: one that hangs at its exit fails the test.
///
/// # Panics
///
/// If the other process fails or hangs.
#[must_use]
pub fn alone(test: &str) -> bool {
    is_child() || pass(this_program(), test)
}

/// As the user `nobody`, who has no privileges. `needed`: the packages that the test wants built.
///
/// # Panics
///
/// If the other process fails or hangs.
#[must_use]
pub fn as_nobody(test: &str, needed: &[&str]) -> bool {
    if is_child() {
        return true;
    }
    if !rustix::process::geteuid().is_root() {
        return pass(this_program(), test);
    }
    // The program of the test may stand where `nobody` cannot go.
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o755)).expect("chmod");
    let program = directory.path().join("test-program");
    bring_program(&std::env::current_exe().expect("this program"), &program);
    bring(needed, directory.path());
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&program).current_dir("/");
    command.env(plugins::BUILT_ELSEWHERE, directory.path()).env_remove("TMPDIR");
    pass(command, test)
}

/// Puts a program elsewhere, to be run there.
///
/// # Panics
///
/// If that fails.
pub fn bring_program(program: &Path, to: &Path) {
    // Not by a copy that this process writes: one that a thread forks in the middle of cannot be run (ETXTBSY).
    if std::fs::hard_link(program, to).is_err() {
        let copied = Command::new("cp").arg(program).arg(to).status();
        assert!(copied.is_ok_and(|status| status.success()), "cp {} {}", program.display(), to.display());
    }
}

/// In a mount namespace of its own, where it may mount what it likes.
///
/// # Panics
///
/// If the other process fails or hangs.
#[must_use]
pub fn in_mount_namespace(test: &str) -> bool {
    if is_child() {
        return true;
    }
    for flags in [&["--mount"][..], &["--user", "--map-root-user", "--mount"][..]] {
        let probe = Command::new("unshare").args(flags).args(["mount", "-t", "tmpfs", "none", "/mnt"]).output();
        if probe.is_ok_and(|run| run.status.success()) {
            let mut command = Command::new("unshare");
            command.args(flags).arg(std::env::current_exe().expect("this program"));
            return pass(command, test);
        }
    }
    eprintln!("NOT RUN: {test} needs `unshare --mount` and a tmpfs, neither root nor a user namespace gives it here");
    false
}

/// Runs `mount` with these arguments; only [`in_mount_namespace`].
///
/// # Panics
///
/// If it fails.
pub fn mount(arguments: &[&str], at: &Path) {
    let run = Command::new("mount").args(arguments).arg(at).output().expect("run mount");
    assert!(run.status.success(), "mount {arguments:?}: {}", String::from_utf8_lossy(&run.stderr));
}

/// A process of its own that is killed as soon as it has written `line`: for what cannot end by itself.
///
/// # Panics
///
/// If the other process ends or hangs before.
#[must_use]
pub fn until_killed(test: &str, line: &str) -> bool {
    if is_child() {
        return true;
    }
    let mut child = start(this_program(), test);
    let out = child.stdout.take().expect("piped");
    let wanted = line.to_owned();
    let (said, hears) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut all = String::new();
        for line in std::io::BufRead::lines(std::io::BufReader::new(out)).map_while(Result::ok) {
            all.push_str(&line);
            all.push('\n');
            if line.contains(&wanted) {
                let _ = said.send(Ok(()));
            }
        }
        let _ = said.send(Err(all));
    });
    let answer = hears.recv_timeout(LIMIT);
    child.kill().expect("kill");
    child.wait().expect("wait");
    match answer {
        Ok(Ok(())) => false,
        Ok(Err(out)) => panic!("{test} ended by itself:\n{out}\n{}", stderr(&mut child)),
        Err(_) => panic!("{test} had not said `{line}` after {LIMIT:?}\n{}", stderr(&mut child)),
    }
}

/// A process of its own, whose stdout and stderr come back; nothing in that process. `case` is what [`case`] gives there,
/// `needed` the packages that the test wants built: whoever builds writes.
///
/// # Panics
///
/// If the other process fails or hangs.
#[must_use]
pub fn written(test: &str, case: &str, needed: &[&str]) -> Option<(String, String)> {
    if is_child() {
        return None;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let mut command = this_program();
    command.env(CASE, case).env(plugins::BUILT_ELSEWHERE, directory.path());
    bring(needed, directory.path());
    Some(finish(command, test))
}

/// What [`written`] was told.
///
/// # Panics
///
/// In another process.
#[must_use]
pub fn case() -> String {
    std::env::var(CASE).expect("`written` has started this process")
}

/// Builds packages for a process that cannot, or should not.
fn bring(needed: &[&str], to: &Path) {
    for package in needed {
        std::fs::copy(plugins::built(package), to.join(format!("{package}.so"))).expect("copy");
    }
}

fn is_child() -> bool {
    std::env::var_os(MARK).is_some()
}

fn this_program() -> Command {
    Command::new(std::env::current_exe().expect("this program"))
}

fn start(mut command: Command, test: &str) -> Child {
    command.args(["--exact", test, "--nocapture"]).env(MARK, "1").envs(plugins::made());
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("run the test again")
}

fn pass(command: Command, test: &str) -> bool {
    finish(command, test);
    false
}

/// Waits for the end, and gives what was written.
fn finish(command: Command, test: &str) -> (String, String) {
    let mut child = start(command, test);
    let begin = Instant::now();
    // Few lines are written, so no pipe fills while nobody reads.
    while child.try_wait().expect("wait").is_none() {
        if begin.elapsed() > LIMIT {
            child.kill().expect("kill");
            child.wait().expect("wait");
            panic!("{test} had not ended after {LIMIT:?}\n{}\n{}", stdout(&mut child), stderr(&mut child));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let passed = child.wait().expect("wait").success();
    let (out, err) = (stdout(&mut child), stderr(&mut child));
    assert!(passed && out.contains("1 passed"), "{test}, in a process of its own:\n{out}\n{err}");
    (out, err)
}

fn stdout(child: &mut Child) -> String {
    read(child.stdout.take())
}

fn stderr(child: &mut Child) -> String {
    read(child.stderr.take())
}

fn read(pipe: Option<impl Read>) -> String {
    let mut text = String::new();
    pipe.map(|mut pipe| pipe.read_to_string(&mut text));
    text
}
