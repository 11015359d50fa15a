//! The commands that tell a running host what to do; and the socket by which `run` can be told.

use std::path::Path;
use std::time::Duration;

use futures_executor::block_on;
use mini_chat_plugin_loader::PluginHost;
use mini_chat_plugin_loader::control::{Client, ControlSocket, Following, Request};
use mini_chat_plugin_loader::error::ClientError;
use serde_json::{Value, json};

use crate::cli::{ControlArgs, HostArgs, NameArgs, SwapArgs};
use crate::events::line;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;

/// What a host answers without doing anything that takes time.
const SOON: Duration = Duration::from_secs(30);

/// The control socket of `run`, if one is wanted. A host that cannot have it is ended.
pub(crate) fn serve(host: &PluginHost, args: &ControlArgs) -> Result<Option<ControlSocket>, Failure> {
    let Some(path) = args.socket() else {
        tracing::info!(
            "no control socket: with --control PATH, or MINI_CHAT_CONTROL, `status` and the like can ask this host"
        );
        return Ok(None);
    };
    match host.serve_control(&path) {
        Ok(socket) => {
            tracing::info!(path = %socket.path().display(), "control socket");
            Ok(Some(socket))
        }
        Err(error) => {
            block_on(host.shutdown());
            Err(error.into())
        }
    }
}

/// Asks for what is answered at once.
pub(crate) fn ask(socket: &Path, request: &Request) -> Result<Value, ClientError> {
    Client::connect(socket)?.within(SOON).request(request)
}

/// How a host stands, and what happens from then on.
pub(crate) fn follow(socket: &Path) -> Result<(Value, Following), ClientError> {
    Client::connect(socket)?.within(SOON).follow()
}

/// The answer, with --json also that there is none.
pub(crate) fn answer(
    args: &HostArgs,
    output: &Output,
    ask: impl FnOnce(&Path) -> Result<Value, ClientError>,
) -> Result<Value, Failure> {
    ask(&args.control.required()?).map_err(|error| {
        if args.json {
            output.json(&json!({ "error": { "kind": error.kind(), "message": error.to_string() } }));
        }
        error.into()
    })
}

/// An order that takes as long as it takes.
fn order(args: &HostArgs, output: &Output, request: &Request) -> Result<Value, Failure> {
    answer(args, output, |socket| Client::connect(socket)?.request(request))
}

/// An answer as it came, or a line of each thing in it.
fn print(args: &HostArgs, output: &Output, answer: &Value, word: &str) {
    if args.json {
        return output.json(answer);
    }
    let one = std::slice::from_ref(answer);
    for done in answer.as_array().map_or(one, Vec::as_slice) {
        let mut event = done.clone();
        event["event"] = word.into();
        output.print(&line(&event));
    }
}

pub(crate) fn swap(args: &SwapArgs, output: &Output) -> Result<Exit, Failure> {
    // The host may stand elsewhere.
    let path = std::path::absolute(&args.file).map_err(|error| {
        Failure::new(Exit::Usage, format!("{}: cannot be made absolute", args.file.display())).because(error)
    })?;
    let swapped = order(&args.host, output, &Request::Swap { path })?;
    print(&args.host, output, &swapped, "swapped");
    Ok(Exit::Ok)
}

pub(crate) fn reload(args: NameArgs, output: &Output) -> Result<Exit, Failure> {
    let NameArgs { name, host } = args;
    let swapped = order(&host, output, &Request::Reload { name })?;
    print(&host, output, &swapped, "reloaded");
    Ok(Exit::Ok)
}

pub(crate) fn rollback(args: NameArgs, output: &Output) -> Result<Exit, Failure> {
    let NameArgs { name, host } = args;
    let swapped = order(&host, output, &Request::Rollback { name })?;
    print(&host, output, &swapped, "rolled_back");
    Ok(Exit::Ok)
}

pub(crate) fn unpin(args: NameArgs, output: &Output) -> Result<Exit, Failure> {
    let NameArgs { name, host } = args;
    let unpinned = answer(&host, output, |socket| ask(socket, &Request::Unpin { name: name.clone() }))?;
    if host.json {
        output.json(&unpinned);
    } else {
        let was = &unpinned["was"];
        output.print(&line(&json!({
            "event": "unpinned", "plugin": name, "was": was["version"], "digest": was["digest"],
            "lifted": unpinned["lifted"].as_array().map_or(0, Vec::len),
        })));
    }
    Ok(Exit::Ok)
}

pub(crate) fn unquarantine(args: NameArgs, output: &Output) -> Result<Exit, Failure> {
    let NameArgs { name, host } = args;
    let lifted = answer(&host, output, |socket| ask(socket, &Request::Unquarantine { name: name.clone() }))?;
    print(&host, output, &lifted, "lifted");
    if !host.json && lifted.as_array().is_some_and(Vec::is_empty) {
        output.print(&format!("nothing of {name} was in quarantine\n"));
    }
    Ok(Exit::Ok)
}
