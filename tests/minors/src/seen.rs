//! [`Seen`]: what the host has logged and counted.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use mini_chat_plugin_loader::metrics::PrometheusRecorder;

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The log and the metrics of this process.
pub(crate) struct Seen {
    lines: Lines,
    recorder: PrometheusRecorder,
}

impl Seen {
    pub(crate) fn install() -> Self {
        let (lines, recorder) = (Lines::default(), PrometheusRecorder::default());
        let writer = lines.clone();
        tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).init();
        metrics::set_global_recorder(recorder.clone()).expect("the first recorder");
        Self { lines, recorder }
    }

    /// Whether there is a warning with this text.
    pub(crate) fn logged(&self, text: &str) -> bool {
        let lines = self.lines.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&lines).lines().any(|line| line.contains("WARN") && line.contains(text))
    }

    /// The value of a series of the loader's, named without the prefix.
    pub(crate) fn counted(&self, series: &str) -> Option<String> {
        let text = self.recorder.render();
        let series = format!("mini_chat_plugin_{series} ");
        text.lines().find_map(|line| line.strip_prefix(&series)).map(str::to_owned)
    }
}
