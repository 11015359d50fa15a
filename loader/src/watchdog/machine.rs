//! What the machine does to the time of a poll: who else wants its processors, and what its own host keeps from it.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

/// What is stolen from a processor is entered at its next tick, at most 10 ms after. So a reading has all of it that was stolen
/// this long before.
const SETTLED: Duration = Duration::from_millis(20);

/// What `/proc/stat` counts in: `USER_HZ` is 100 on all architectures but Alpha (proc_stat(5), time(7)).
const TICK: Duration = Duration::from_millis(10);

/// Between two readings of what is stolen while nothing depends on it.
const SELDOM: Duration = Duration::from_secs(1);

/// The processors, and who wants them.
pub(super) struct Machine {
    processors: usize,
    load: Option<File>,
    stat: Option<File>,
    read: Instant,
    stolen: u64,
}

impl Machine {
    pub(super) fn new() -> Self {
        let mut machine = Self {
            // All of them, as the load is that of all; not only those that this process may use.
            processors: processors(&std::fs::read_to_string("/proc/stat").unwrap_or_default()),
            load: File::open("/proc/loadavg").ok(),
            stat: File::open("/proc/stat").ok(),
            read: Instant::now(),
            stolen: 0,
        };
        machine.read_stolen();
        machine
    }

    /// Whether no thread has to wait for a processor; so it is taken to be where the kernel does not tell.
    pub(super) fn is_at_ease(&self) -> bool {
        self.runnable().is_none_or(|runnable| runnable <= self.processors)
    }

    /// Threads that run or wait for a processor: `0.00 0.00 0.00 RUNNABLE/ALL LAST`.
    fn runnable(&self) -> Option<usize> {
        let mut text = [0_u8; 64];
        let length = self.load.as_ref()?.read_at(&mut text, 0).ok()?;
        let text = std::str::from_utf8(&text[..length]).ok()?;
        text.split_ascii_whitespace().nth(3)?.split_once('/')?.0.parse().ok()
    }

    /// The ticks that were stolen from all processors together, as of the last reading.
    pub(super) fn stolen(&self) -> u64 {
        self.stolen
    }

    /// The most that may have been stolen from one thread since there were so many ticks. That of a machine from which nothing
    /// was ever stolen is nothing; otherwise there may be a part of a tick beside whole ones.
    pub(super) fn stolen_since(&self, before: u64) -> Duration {
        let ticks = if self.stolen == 0 { 0 } else { self.stolen.saturating_sub(before).saturating_add(1) };
        TICK.saturating_mul(u32::try_from(ticks).unwrap_or(u32::MAX))
    }

    /// Whether what was stolen up to this moment is in the last reading.
    pub(super) fn has_settled(&self, moment: Instant) -> bool {
        self.read.saturating_duration_since(moment) >= SETTLED
    }

    /// Reads what is stolen, if that was not done just now, or not wanted and done not long ago. Whether it did.
    pub(super) fn look(&mut self, wanted: bool) -> bool {
        let due = self.read.elapsed() >= if wanted { SETTLED } else { SELDOM };
        if due {
            self.read_stolen();
        }
        due
    }

    fn read_stolen(&mut self) {
        // Before what is read: it is to be at least as new as it is said to be.
        self.read = Instant::now();
        let mut text = [0_u8; 256];
        let Some(Ok(length)) = self.stat.as_ref().map(|stat| stat.read_at(&mut text, 0)) else { return };
        self.stolen = stolen(&String::from_utf8_lossy(&text[..length])).unwrap_or(0);
    }
}

fn processors(stat: &str) -> usize {
    let is_one = |line: &&str| line.strip_prefix("cpu").is_some_and(|rest| !rest.starts_with(' '));
    stat.lines().filter(is_one).count().max(1)
}

/// First line: `cpu USER NICE SYSTEM IDLE IOWAIT IRQ SOFTIRQ STOLEN …`.
fn stolen(stat: &str) -> Option<u64> {
    stat.lines().next()?.strip_prefix("cpu ")?.split_ascii_whitespace().nth(7)?.parse().ok()
}

#[cfg(test)]
impl Machine {
    /// One with a processor for everybody, of which nobody takes anything.
    pub(super) fn at_ease() -> Self {
        let (load, stat) = (None, None);
        Self { processors: usize::MAX, load, stat, read: Instant::now(), stolen: 0 }
    }

    /// The thread that reads its load is runnable, so somebody has to wait.
    pub(super) fn crowded() -> Self {
        Self { processors: 0, load: Some(File::open("/proc/loadavg").unwrap()), ..Self::at_ease() }
    }

    /// What a reading at that moment finds.
    pub(super) fn reads(&mut self, read: Instant, stolen: u64) {
        (self.read, self.stolen) = (read, stolen);
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, Machine, TICK, processors, stolen};

    const STAT: &str = "cpu  6650911 320516 1361477 3066560 51054 0 9953 99373 0 0\ncpu0 1 2\ncpu1 1 2\nintr 9 8\n";

    #[test]
    fn what_the_kernel_tells() {
        assert_eq!((processors(STAT), stolen(STAT)), (2, Some(99_373)));
        assert_eq!((processors(""), stolen("")), (1, None));
        assert_eq!(stolen("cpu  1 2 3"), None, "a kernel before 2.6.11");
    }

    #[test]
    fn this_machine_is_read() {
        let mut machine = Machine::new();
        assert!(machine.stat.is_some());
        let before = machine.stolen();
        machine.read_stolen();
        assert!(machine.stolen() >= before);
        assert!(machine.runnable().is_some_and(|runnable| runnable > 0));
    }

    #[test]
    fn a_part_of_a_tick_may_be_stolen_where_any_was() {
        let mut machine = Machine::at_ease();
        assert_eq!(machine.stolen_since(0), Duration::ZERO);
        machine.reads(machine.read, 7);
        assert_eq!((machine.stolen_since(7), machine.stolen_since(5)), (TICK, TICK * 3));
    }
}
