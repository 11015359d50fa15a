//! The program `mini-chat-plugins` as its users meet it: arguments, streams, signals, exit codes.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

pub use rustix::process::Signal;
use serde_json::Value;

use crate::plugins;

/// Longer than anything here takes; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(120);

/// The program with an environment that says nothing.
pub fn command<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(plugins::program());
    command.args(arguments);
    let log = ["MINI_CHAT_LOG", "RUST_LOG", "NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"];
    let places = ["STATE_DIRECTORY", "MINI_CHAT_STATE_DIR", "MINI_CHAT_CONTROL", "RUNTIME_DIRECTORY"];
    let probes = ["MINI_CHAT_LISTEN", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"];
    for variable in log.into_iter().chain(places).chain(probes) {
        command.env_remove(variable);
    }
    command
}

/// What a command did.
#[derive(Debug)]
pub struct Ran {
    /// Its exit code.
    pub code: i32,
    /// All that it wrote to stdout.
    pub stdout: String,
    /// All that it wrote to stderr.
    pub stderr: String,
}

impl Ran {
    /// Its stdout, which is one JSON value.
    ///
    /// # Panics
    ///
    /// If it is not.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Runs the program to its end.
pub fn run<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Ran {
    end(command(arguments), "")
}

/// Runs a command to its end, with a text on its stdin.
///
/// # Panics
///
/// If a signal ends it, or it writes something that is not UTF-8.
pub fn end(mut command: Command, stdin: &str) -> Ran {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let mut input = child.stdin.take().expect("piped");
    // It may have refused its arguments without reading.
    let _ = input.write_all(stdin.as_bytes());
    drop(input);
    let output = child.wait_with_output().expect("it ends");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Ran { code: code(output.status), stdout: text(output.stdout), stderr: text(output.stderr) }
}

fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| panic!("ended by signal {:?}", status.signal()))
}

/// The program while it runs. Killed when dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
}

impl Running {
    /// Starts a command.
    ///
    /// # Panics
    ///
    /// If it cannot be started.
    #[must_use]
    pub fn start(mut command: Command) -> Self {
        command.stdin(Stdio::null());
        Self::start_as_is(command)
    }

    /// Starts a command whose stdin ends with [`end`](Self::end).
    ///
    /// # Panics
    ///
    /// If it cannot be started.
    #[must_use]
    pub fn start_with_input(mut command: Command) -> Self {
        command.stdin(Stdio::piped());
        Self::start_as_is(command)
    }

    fn start_as_is(mut command: Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let stdout = lines(child.stdout.take().expect("piped"));
        let stderr = lines(child.stderr.take().expect("piped"));
        Self { child, stdout, stderr }
    }

    /// The lines of stdout up to the first that `wanted` likes, that one last.
    pub fn stdout_until(&self, wanted: impl Fn(&str) -> bool) -> Vec<String> {
        until(&self.stdout, wanted)
    }

    /// The same with stderr.
    pub fn stderr_until(&self, wanted: impl Fn(&str) -> bool) -> Vec<String> {
        until(&self.stderr, wanted)
    }

    /// The next line of stdout, which is JSON.
    ///
    /// # Panics
    ///
    /// If there is none.
    #[must_use]
    pub fn event(&self) -> Value {
        let line = self.stdout_until(|_| true).remove(0);
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    /// The number of its process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    ///
    /// # Panics
    ///
    /// If the program has ended.
    pub fn signal(&self, signal: Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).expect("the program runs");
    }

    /// Waits for the end: exit code, and the lines of stdout and stderr that nobody has read.
    ///
    /// # Panics
    ///
    /// If a signal ends it.
    pub fn end(self) -> (i32, Vec<String>, Vec<String>) {
        let (status, stdout, stderr) = self.rest();
        (code(status), stdout, stderr)
    }

    /// Waits until a signal has ended it: the signal, and the lines of stderr that nobody has read.
    ///
    /// # Panics
    ///
    /// If it ends otherwise.
    #[must_use]
    pub fn until_killed(self) -> (i32, Vec<String>) {
        let (status, _, stderr) = self.rest();
        (status.signal().unwrap_or_else(|| panic!("{status}: {stderr:#?}")), stderr)
    }

    fn rest(mut self) -> (ExitStatus, Vec<String>, Vec<String>) {
        drop(self.child.stdin.take());
        let rest = |receiver: &Receiver<String>| {
            let mut lines = Vec::new();
            loop {
                match receiver.recv_timeout(PATIENCE) {
                    Ok(line) => lines.push(line),
                    Err(mpsc::RecvTimeoutError::Disconnected) => return lines,
                    Err(mpsc::RecvTimeoutError::Timeout) => panic!("it goes on, after {lines:?}"),
                }
            }
        };
        let (stdout, stderr) = (rest(&self.stdout), rest(&self.stderr));
        (self.child.wait().expect("it ends"), stdout, stderr)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Fails when it has ended, as it should have.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn until(receiver: &Receiver<String>, wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let mut lines = Vec::new();
    loop {
        let line = receiver.recv_timeout(PATIENCE).unwrap_or_else(|error| panic!("{error}, after {lines:#?}"));
        lines.push(line);
        if lines.last().is_some_and(|line| wanted(line)) {
            return lines;
        }
    }
}

fn lines(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}
