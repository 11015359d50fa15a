//! What `docs/operating.md` tells operators is so: each key, exit code, command and log line is read from there and tried.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use mini_chat_plugin_tests::plugins;
use mini_chat_plugin_tests::program::{Running, Signal, command, run};
use mini_chat_plugin_tests::stamped::{ID, good};

const HANGING: &str = "fixture.audit._.hanging.v1";

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(path: impl AsRef<Path>) -> String {
    let path = top().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The rows of the tables under this heading, by column.
fn rows(heading: &str) -> Vec<Vec<String>> {
    let text = read("docs/operating.md");
    let section = text.split("\n## ").find(|section| section.starts_with(heading)).expect("the heading");
    let cells = |line: &str| line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let rows: Vec<_> = section.lines().filter(|line| line.starts_with("| ")).map(cells).collect();
    assert!(rows.len() > 1, "a table under {heading}");
    rows.into_iter().filter(|row| !row[0].starts_with("---")).collect()
}

#[test]
fn every_key_is_there_and_no_other() {
    let documented: BTreeSet<String> =
        rows("Every key").iter().skip(1).map(|row| row[0].trim_matches('`').to_owned()).collect();
    // Every key of the example stands on a line of its own.
    let (example, mut there, mut section) = (read("docs/plugins.example.toml"), BTreeSet::new(), String::new());
    for line in example.lines() {
        if let Some(header) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = header
                .replace("plugins.eu", "plugins.NAME")
                .replace("plugins.\"acme.audit._.jsonl.v1\"", "plugins.NAME");
        } else if let Some((key, _)) = line.split_once(" = ").filter(|(key, _)| !key.contains(['#', ' '])) {
            match section.as_str() {
                "plugins.NAME.config" => there.insert("plugins.NAME.config".to_owned()),
                "plugins.NAME.limits.methods" => there.insert("plugins.NAME.limits.methods".to_owned()),
                section => there.insert(format!("{section}.{key}")),
            };
        }
    }
    assert_eq!(documented, there);
}

#[test]
fn every_exit_code_is_what_it_says() {
    let help = run(["--help"]).stdout;
    let in_help: BTreeSet<i32> = help
        .split("Exit codes:")
        .nth(1)
        .expect("a section")
        .lines()
        .filter_map(|line| line.trim_start().split(' ').next()?.parse().ok())
        .collect();
    let mut documented = BTreeSet::new();
    for row in rows("Start and end").iter().skip(1) {
        let code = row[0].parse().expect("a number");
        documented.insert(code);
        assert_eq!(ending_with(code), code, "{row:?}");
    }
    assert_eq!(documented, in_help);
}

/// Does what should end with this code.
fn ending_with(code: i32) -> i32 {
    let place = plugins::directory();
    let at = |name: &str| place.path().join(name).display().to_string();
    match code {
        0 => run(["list", &at("")]).code,
        1 => {
            fs::write(place.path().join("bad.so"), "no library").unwrap();
            run(["list", &at("")]).code
        }
        2 => run(["serve"]).code,
        69 => run(["status", "--control", &at("nobody.sock")]).code,
        75 => no_verdict(),
        78 => {
            fs::write(place.path().join("plugins.toml"), "[plugins\n").unwrap();
            run(["run", "--config", &at("plugins.toml"), "--plugins", &at("")]).code
        }
        130 => twice(Signal::INT),
        143 => twice(Signal::TERM),
        code => panic!("nobody knows how to end with {code}"),
    }
}

/// Waits for a verdict that takes an hour.
fn no_verdict() -> i32 {
    let place = plugins::directory();
    let at = |name: &str| place.path().join(name).display().to_string();
    fs::create_dir(at("plugins")).unwrap();
    good(1).drop_in(Path::new(&at("plugins")), "stamped.so");
    let build = good(2).drop_in(place.path(), "stamped.so").display().to_string();
    let entry = format!("[plugins.\"{ID}\"]\ndata_dir = \"data\"\nprobation = {{ duration = \"1h\" }}\n");
    fs::write(at("plugins.toml"), entry).unwrap();
    let (config, control) = (["--config", &at("plugins.toml")], ["--control", &at("control.sock")]);
    let mut host = command(["run", "--plugins", &at("plugins")]);
    host.args(config).args(control);
    let host = Running::start(host);
    host.stdout_until(|line| line.starts_with("ready "));
    let install = ["install", &build, &at("plugins"), "--wait", "--timeout", "3s"];
    run(install.into_iter().chain(config).chain(control)).code
}

/// Sends a signal twice to a host whose plugin does not end.
fn twice(signal: Signal) -> i32 {
    let place = plugins::directory();
    plugins::drop_in(place.path(), &plugins::built("fixture-hanging"), "hanging.so");
    fs::write(place.path().join("plugins.toml"), format!("[plugins.\"{HANGING}\"]\n")).unwrap();
    let mut command = command(["run", "--plugins"]);
    command.arg(place.path()).arg("--config").arg(place.path().join("plugins.toml"));
    let running = Running::start(command);
    running.stdout_until(|line| line.starts_with("ready "));
    running.signal(signal);
    running.stdout_until(|line| line.starts_with("ending "));
    running.signal(signal);
    running.end().0
}

/// Each `mini-chat-plugins COMMAND … --flag …` of the documentation, with the flags.
fn commands() -> BTreeMap<String, BTreeSet<String>> {
    let mut found = BTreeMap::<_, BTreeSet<String>>::new();
    let docs = fs::read_dir(top().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let texts = docs
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .chain([top().join("README.md")]);
    for text in texts.map(read) {
        let text = text.replace("\\\n", " ").replace("\", \"", " ").replace("\",\n", " ");
        for (place, name) in text.match_indices("mini-chat-plugins ") {
            let line = text[place + name.len()..].split(['\n', '`', '|', '#']).next().unwrap_or_default();
            let mut words = line.split_whitespace().map(|word| word.trim_matches(['"', '[', ']', ',', '.', ';', ')']));
            let Some(subcommand) = words.next().filter(|word| word.chars().all(|c| c.is_ascii_lowercase())) else {
                continue;
            };
            let flags = words.filter(|word| word.starts_with("--")).map(str::to_owned);
            found.entry(subcommand.to_owned()).or_default().extend(flags);
        }
    }
    found
}

#[test]
fn every_command_is_there_with_its_flags() {
    let commands = commands();
    let all = run(["--help"]).stdout;
    for (subcommand, flags) in &commands {
        let help = run([subcommand.as_str(), "--help"]);
        assert_eq!(help.code, 0, "the documentation has the command {subcommand}");
        for flag in flags {
            assert!(
                help.stdout.contains(&format!("{flag} ")) || help.stdout.contains(&format!("{flag}\n")),
                "{subcommand} {flag}"
            );
        }
    }
    let list = all.split("Commands:").nth(1).and_then(|rest| rest.split("Options:").next()).expect("a list");
    let there =
        list.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next()).filter(|name| !name.is_empty());
    for name in there.filter(|name| *name != "help") {
        assert!(commands.contains_key(name), "no documentation shows the command {name}");
    }
}

#[test]
fn every_metric_of_a_rule_is_one() {
    let (operating, metrics) = (read("docs/operating.md"), read("docs/metrics.md"));
    let words = operating.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let named: BTreeSet<&str> = words.filter(|word| word.starts_with("mini_chat_plugin_")).collect();
    assert!(named.len() > 5, "{named:?}");
    for name in named {
        assert!(metrics.contains(&format!("| `{name}` |")), "docs/metrics.md does not have {name}");
    }
}

/// The pieces of each message of a log line, as it stands in the sources, with its level.
fn messages(directory: &Path, found: &mut Vec<(String, Vec<String>)>) {
    for entry in fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            messages(&entry, found);
        } else if entry.extension().is_some_and(|extension| extension == "rs") && !entry.ends_with("tests.rs") {
            let text = fs::read_to_string(&entry).unwrap();
            for level in ["error", "warn", "info"] {
                for (place, _) in text.match_indices(&format!("tracing::{level}!(")) {
                    let call = text[place..].split(");").next().unwrap_or_default();
                    if call.contains("target: ") {
                        continue;
                    }
                    if let Some(pieces) = pieces(call) {
                        found.push((level.to_uppercase(), pieces));
                    }
                }
            }
        }
    }
}

/// What stands between the placeholders of the first literal with more than one word.
fn pieces(call: &str) -> Option<Vec<String>> {
    let literal = call.split('"').skip(1).step_by(2).find(|literal| literal.split_whitespace().count() > 1)?;
    let joined = literal.split("\\\n").map(str::trim_start).collect::<String>();
    let mut pieces = Vec::new();
    for part in joined.split('{') {
        pieces.extend(part.rsplit('}').next().map(|text| text.trim_matches([' ', ':', ';', '.', ',']).to_owned()));
    }
    pieces.retain(|piece| piece.split(' ').count() > 1);
    (!pieces.is_empty()).then_some(pieces)
}

#[test]
fn every_log_line_of_the_host_is_explained() {
    let mut found = Vec::new();
    messages(&top().join("loader/src"), &mut found);
    assert!(found.len() > 30, "{found:#?}");
    let rows = rows("Log lines");
    let missing: Vec<_> = found
        .iter()
        .filter(|(level, pieces)| {
            let begin = |piece: &String| piece.split(' ').take(4).collect::<Vec<_>>().join(" ");
            let explained = |piece: &String| rows.iter().any(|row| row[0] == *level && row[1].contains(&begin(piece)));
            !pieces.iter().any(explained)
        })
        .collect();
    assert!(missing.is_empty(), "docs/operating.md does not explain: {missing:#?}");
}
