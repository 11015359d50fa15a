//! `policy-server [SCRIPT.json]`: serves a script (default: the fixtures' policy), prints the base URL as its one line of
//! output, and ends when its standard input is closed, so that it cannot outlive the script that started it.

use std::io::Write;
use std::process::ExitCode;

use policy_server::{PolicyServer, Script};

fn main() -> ExitCode {
    let script = match std::env::args_os().nth(1) {
        None => Script::default(),
        Some(path) => {
            let text = std::fs::read_to_string(&path).map_err(|error| error.to_string());
            match text.and_then(|text| serde_json::from_str(&text).map_err(|error| error.to_string())) {
                Ok(script) => script,
                Err(error) => {
                    eprintln!("policy-server: {}: {error}", path.display());
                    return ExitCode::FAILURE;
                }
            }
        }
    };
    let server = PolicyServer::start(script);
    // A reader that has gone closes standard input as well.
    let _ = writeln!(std::io::stdout(), "{}", server.base_url());
    let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
    for request in server.requests() {
        eprintln!("policy-server: {} {} {:?}", request.method, request.path, request.outcome);
    }
    ExitCode::SUCCESS
}
