//! [`Events`]: what happens in the host, one line each; `events`, the same of another process's host.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_executor::block_on;
use mini_chat_plugin_loader::PluginHost;
use serde_json::Value;
use tokio::sync::broadcast::error::RecvError;

use crate::cli::EventsArgs;
use crate::control;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;

/// `events --follow`: until the host ends, or nobody reads.
pub(crate) fn follow(args: &EventsArgs, output: &Output) -> Result<Exit, Failure> {
    let json = args.host.json;
    let print = |event: &Value| output.stream(&if json { format!("{event}\n") } else { line(event) });
    let (status, events) = control::follow(&args.host.control.required()?)?;
    let first = if json {
        serde_json::json!({ "event": "following", "status": status })
    } else {
        serde_json::json!({ "event": "following", "pid": status["host"]["pid"], "ready": status["host"]["ready"] })
    };
    if !print(&first) {
        return Ok(Exit::Ok);
    }
    for event in events {
        if !print(&event?) {
            break;
        }
    }
    Ok(Exit::Ok)
}

/// Printed by a thread, which ends with the host.
pub(crate) struct Events {
    stopped: Arc<AtomicBool>,
}

impl Events {
    /// From now on.
    pub(crate) fn print(host: &PluginHost, json: bool, output: Output) -> Self {
        let (mut events, stopped) = (host.events(), Arc::new(AtomicBool::new(false)));
        let stop = Arc::clone(&stopped);
        let print = move || {
            loop {
                let event = match block_on(events.recv()) {
                    Ok(event) => serde_json::to_value(event).unwrap_or_default(),
                    Err(RecvError::Lagged(missed)) => serde_json::json!({ "event": "missed", "events": missed }),
                    Err(RecvError::Closed) => return,
                };
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                if json { output.json_line(&event) } else { output.print(&line(&event)) }
            }
        };
        if let Err(error) = std::thread::Builder::new().name("events".to_owned()).spawn(print) {
            tracing::warn!("no thread to print events: {error}");
        }
        Self { stopped }
    }

    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }
}

/// `EVENT KEY=VALUE …`; what there is nothing of is left out.
pub(crate) fn line(event: &Value) -> String {
    let mut line = event["event"].as_str().unwrap_or("event").to_owned();
    for (key, value) in event.as_object().into_iter().flatten() {
        match value {
            _ if key == "event" => Ok(()),
            Value::Null => Ok(()),
            Value::String(text) if !text.is_empty() && !text.contains([' ', '"', '\n']) => {
                write!(line, " {key}={text}")
            }
            value => write!(line, " {key}={value}"),
        }
        .expect("a String takes it");
    }
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn a_line_has_what_there_is() {
        let event =
            json!({ "event": "refused", "plugin": "a.b._.c.v1", "file": null, "message": "it \"is\" bad", "n": 2 });
        let line = super::line(&event);
        assert!(line.starts_with("refused ") && line.ends_with('\n'), "{line}");
        for part in [" plugin=a.b._.c.v1", " message=\"it \\\"is\\\" bad\"", " n=2"] {
            assert!(line.contains(part), "{line}");
        }
        assert!(!line.contains("file"), "{line}");
    }
}
