//! What the system says of this process.

use std::fs;
use std::time::{Duration, Instant};

use serde::Serialize;

/// This process at one moment.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Process {
    pub(crate) resident_kib: i64,
    /// Of it, memory that no file stands behind.
    pub(crate) anonymous_kib: i64,
    pub(crate) threads: i64,
    /// Their names, sorted.
    pub(crate) thread_names: Vec<String>,
    pub(crate) files: i64,
    pub(crate) mappings: i64,
}

/// How long the number of threads must stay the same to count as that of a host at rest.
const REST: Duration = Duration::from_secs(2);
/// No host takes so long to come to rest.
const PATIENCE: Duration = Duration::from_secs(60);

impl Process {
    /// Once the threads that a swap starts have ended.
    pub(crate) fn at_rest() -> Self {
        let limit = Instant::now() + PATIENCE;
        let (mut last, mut since) = (thread_ids(), Instant::now());
        while since.elapsed() < REST && Instant::now() < limit {
            std::thread::sleep(Duration::from_millis(5));
            let now = thread_ids();
            if now != last {
                (last, since) = (now, Instant::now());
            }
        }
        Self::now()
    }

    pub(crate) fn now() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let number = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
            line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(-1)
        };
        let files = fs::read_dir("/proc/self/fd").map_or(0, |files| files.count() as i64 - 1);
        let mappings = fs::read_to_string("/proc/self/maps").unwrap_or_default().lines().count() as i64;
        Self {
            resident_kib: number("VmRSS"),
            anonymous_kib: number("RssAnon"),
            threads: number("Threads"),
            thread_names: thread_names(),
            files,
            mappings,
        }
    }
}

fn thread_ids() -> Vec<String> {
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    tasks.map(|task| task.file_name().to_string_lossy().into_owned()).collect()
}

fn thread_names() -> Vec<String> {
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let name = |task: fs::DirEntry| fs::read_to_string(task.path().join("comm")).ok();
    let mut names: Vec<String> = tasks.filter_map(name).map(|name| name.trim().to_owned()).collect();
    names.sort();
    names
}

/// Lets this process open as many files as it may: an image takes up to two.
pub(crate) fn allow_many_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Where it is refused, fewer images fit: the loader says so.
    let _ = setrlimit(Resource::Nofile, limit);
}
