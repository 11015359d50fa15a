//! [`Output`]: stdout and stderr, coloured where somebody sees it.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use anstream::AutoStream;
use anstyle::{AnsiColor, Style};
use clap::ColorChoice;
use serde::Serialize;

/// How a text is meant; on a terminal its colour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Look {
    /// No meaning beyond the words.
    #[default]
    Plain,
    /// What one reads first.
    Strong,
    /// What one may skip.
    Dim,
    /// All is well.
    Good,
    /// Worth a look.
    Odd,
    /// Not well.
    Bad,
}

impl Look {
    fn style(self) -> Style {
        let color = |color: AnsiColor| color.on_default();
        match self {
            Self::Plain => Style::new(),
            Self::Strong => Style::new().bold(),
            Self::Dim => Style::new().dimmed(),
            Self::Good => color(AnsiColor::Green),
            Self::Odd => color(AnsiColor::Yellow),
            Self::Bad => color(AnsiColor::Red).bold(),
        }
    }

    /// `text` with the codes for this look around it. [`Output`] takes them out where they are of no use.
    pub(crate) fn paint(self, text: impl Display) -> String {
        let style = self.style();
        format!("{style}{text}{style:#}")
    }
}

/// The program's own streams.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    choice: anstream::ColorChoice,
}

impl Output {
    pub(crate) fn new(choice: ColorChoice) -> Self {
        let choice = match choice {
            ColorChoice::Auto => anstream::ColorChoice::Auto,
            ColorChoice::Always => anstream::ColorChoice::AlwaysAnsi,
            ColorChoice::Never => anstream::ColorChoice::Never,
        };
        Self { choice }
    }

    /// Writes `text` to stdout and flushes it: whoever waits for a line gets it now. A reader that has gone away is no
    /// error: a host serves on without it.
    pub(crate) fn print(&self, text: &str) {
        let mut stdout = AutoStream::new(io::stdout().lock(), self.choice);
        let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    }

    /// The same for one line of a stream; false if the reader has gone away, for who has nothing to do but to write.
    pub(crate) fn stream(&self, line: &str) -> bool {
        let mut stdout = AutoStream::new(io::stdout().lock(), self.choice);
        stdout.write_all(line.as_bytes()).and_then(|()| stdout.flush()).is_ok()
    }

    /// A value as JSON: for people on a terminal, else in one line.
    pub(crate) fn json(&self, value: &impl Serialize) {
        let text =
            if io::stdout().is_terminal() { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) };
        self.print(&format!("{}\n", text.unwrap_or_else(|error| unserializable(&error))));
    }

    /// A value as one line of JSON, also on a terminal: one event of a stream.
    pub(crate) fn json_line(&self, value: &impl Serialize) {
        let text = serde_json::to_string(value).unwrap_or_else(|error| unserializable(&error));
        self.print(&format!("{text}\n"));
    }

    /// `error: …` on stderr.
    pub(crate) fn error(&self, error: &impl Display) {
        let mut stderr = AutoStream::new(io::stderr().lock(), self.choice);
        let _ = writeln!(stderr, "{} {}", Look::Bad.paint("error:"), lines(&error.to_string()));
    }

    /// Whether stderr is coloured.
    pub(crate) fn colors_stderr(&self) -> bool {
        let chosen = AutoStream::new(io::stderr(), self.choice).current_choice();
        !matches!(chosen, anstream::ColorChoice::Never)
    }
}

/// What a status says that has no JSON (a path that is not UTF-8): a line nevertheless.
fn unserializable(error: &serde_json::Error) -> String {
    serde_json::json!({ "error": { "kind": "not-expressible", "message": error.to_string() } }).to_string()
}

/// `text` without what would steer the terminal: names and messages come from files.
pub(crate) fn plain(text: &str) -> String {
    let one_line = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ");
    escape(&one_line)
}

/// The same, with its lines.
fn lines(text: &str) -> String {
    text.lines().map(escape).collect::<Vec<_>>().join("\n")
}

fn escape(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for char in text.chars() {
        if char.is_control() { clean.extend(char.escape_default()) } else { clean.push(char) }
    }
    clean
}
