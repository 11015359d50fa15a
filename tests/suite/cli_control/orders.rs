//! The commands that ask a running host.

use mini_chat_plugin_tests::program::{Running, Signal, command, end, run};
use mini_chat_plugin_tests::serving::eventually;
use mini_chat_plugin_tests::stamped::{ID, bad, good};
use serde_json::{Value, json};

use crate::site::{FILE, Site};

fn until_event(running: &Running, event: &str) -> Value {
    loop {
        let found = running.event();
        if found["event"] == event {
            return found;
        }
        assert_ne!(found["event"], "ended", "{event} was waited for");
    }
}

#[test]
fn every_order_reaches_a_running_host() {
    let site = Site::new();
    good(1).drop_in(&site.plugins(), FILE);
    let running = site.run("", "probation.duration = \"1h\"");
    let ran = site.ask(&["status"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let head = ran.stdout.lines().next().unwrap();
    assert!(head.contains(&format!("process {}", running.id())) && head.ends_with(": ready"), "{head}");
    let row = ran.stdout.lines().find(|line| line.starts_with(ID)).unwrap();
    assert!(row.contains("  serving  1           100000.0.0  "), "{row}");
    assert!(ran.stdout.contains("\nlibraries mapped: 1 of 256; left: "), "{}", ran.stdout);

    let other = site.build(good(2));
    // The path is made absolute: the host stands elsewhere.
    let mut swap = command(["swap", FILE, "--control"]);
    swap.arg(site.socket()).current_dir(other.parent().unwrap());
    let ran = end(swap, "");
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.starts_with("swapped ") && ran.stdout.contains(" generation=2 "), "{ran:?}");
    let ran = site.ask(&["status", ID]);
    assert!(ran.stdout.contains("pinned") && ran.stdout.contains("probation"), "{}", ran.stdout);
    let ran = site.ask(&["rollback", ID, "--json"]);
    assert_eq!((ran.code, &ran.json()["generation"]), (0, &json!(1)), "{ran:?}");
    let quarantine = site.plugin()["swap"]["quarantine"].take();
    assert_eq!((quarantine.as_array().map(Vec::len), &quarantine[0]["kind"]), (Some(1), &json!("rolled-back")));
    let ran = site.ask(&["status"]);
    assert!(
        ran.stdout.contains("\nQuarantine ") && ran.stdout.contains("it was rolled back by hand"),
        "{}",
        ran.stdout
    );
    let ran = site.ask(&["unpin", ID]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains(" lifted=1 ") && ran.stdout.contains(" was=100000.0.0"), "{ran:?}");
    let ran = site.ask(&["unquarantine", ID]);
    assert_eq!((ran.code, ran.stdout.trim()), (0, format!("nothing of {ID} was in quarantine").as_str()));
    let ran = site.ask(&["reload", ID]);
    assert!(ran.code == 0 && ran.stdout.starts_with("reloaded ") && ran.stdout.contains(" generation=3 "), "{ran:?}");
    eventually("it has ended", || site.ask(&["status"]).stdout.contains("\nRetired generations\n"));

    let bad = site.build(bad(4, "create-permanent"));
    let ran = site.ask(&["swap", bad.to_str().unwrap()]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.starts_with("error: ") && ran.stderr.contains("this build cannot be created"), "{ran:?}");
    let ran = site.ask(&["unquarantine", ID]);
    assert!(ran.code == 0 && ran.stdout.contains("kind=create-failed"), "{ran:?}");
    for order in ["reload", "rollback", "unpin", "unquarantine", "status"] {
        let ran = site.ask(&[order, "nobody"]);
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(ran.stderr.contains(&format!("error: no plugin is named nobody: there are {ID}")), "{ran:?}");
    }
    let ran = site.ask(&["reload", "nobody", "--json"]);
    assert_eq!((ran.code, &ran.json()["error"]["kind"]), (1, &json!("unknown-name")));
    running.signal(Signal::TERM);
    let (code, _, log) = running.end();
    assert_eq!(code, 0);
    assert!(
        log.iter().any(|line| line.contains("control: swap /") && line.contains("uid=")),
        "orders are logged: {log:#?}"
    );
    assert!(!site.socket().exists(), "it goes with the host");
}

#[test]
fn without_a_host_it_is_said_what_to_do() {
    let site = Site::new();
    let arguments: [&[&str]; 7] = [
        &["status"],
        &["swap", "x.so"],
        &["reload", ID],
        &["rollback", ID],
        &["unpin", ID],
        &["unquarantine", ID],
        &["events", "--follow"],
    ];
    for arguments in arguments {
        let ran = site.ask(arguments);
        assert_eq!(ran.code, 69, "{ran:?}");
        assert!(ran.stderr.contains("is the host running, and does it serve its control socket there?"), "{ran:?}");
        let ran = run(arguments);
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(ran.stderr.contains("error: no control socket: give --control PATH"), "{ran:?}");
    }
    let ran = site.ask(&["status", "--json"]);
    assert_eq!((ran.code, &ran.json()["error"]["kind"]), (69, &json!("no-socket")));
    let ran = site.ask(&["events"]);
    assert_eq!(ran.code, 2, "there are no other events than those to come: {ran:?}");
    let ran = end(site.install(good(1), &["--wait"]), "");
    assert_eq!((ran.code, site.installed().len()), (69, 0), "nothing is installed that nobody can judge: {ran:?}");
}

#[test]
fn the_socket_is_found_by_the_environment() {
    let site = Site::new();
    let ask = |variable: &str, value: &str| {
        let mut status = command(["status", "--json"]);
        status.env(variable, value);
        end(status, "").code
    };
    let directory = site.0.path().to_str().unwrap();
    let mut host = command(["run", "--json", "--plugins"]);
    host.arg(site.plugins()).env("RUNTIME_DIRECTORY", format!("{directory}:/elsewhere"));
    let running = Running::start(host);
    assert_eq!(running.event()["event"], "ready");
    assert_eq!(ask("RUNTIME_DIRECTORY", directory), 0);
    assert_eq!(ask("MINI_CHAT_CONTROL", site.socket().to_str().unwrap()), 0);
    // A second host cannot have it, and does not serve without.
    let mut second = command(["run", "--plugins"]);
    second.arg(site.plugins()).env("MINI_CHAT_CONTROL", site.socket());
    let ran = end(second, "");
    assert_eq!(ran.code, 69, "{ran:?}");
    assert!(ran.stderr.contains("a running process listens there already"), "{ran:?}");
    // Killed, it leaves its socket; the next one takes that place.
    running.signal(Signal::KILL);
    drop(running);
    assert!(site.socket().exists());
    assert_eq!(ask("MINI_CHAT_CONTROL", site.socket().to_str().unwrap()), 69);
    let running = site.run("", "");
    assert_eq!(site.ask(&["status"]).code, 0);
    drop(running);
    let mut without = command(["run", "--plugins"]);
    without.arg(site.plugins());
    let running = Running::start(without);
    running.stderr_until(|line| line.contains("no control socket: with --control PATH"));
}

#[test]
fn a_host_that_is_not_ready_is_exit_1() {
    let site = Site::new();
    let running = site.run("", "");
    let ran = site.ask(&["status"]);
    assert_eq!(ran.code, 0, "nothing is required: {ran:?}");
    assert!(ran.stdout.contains("\nNot serving\n") && ran.stdout.contains("no-file"), "{}", ran.stdout);
    assert_eq!(site.ask(&["status", ID]).code, 1, "this one does not serve");
    drop(running);
}

#[test]
fn events_are_followed_until_the_host_ends() {
    let site = Site::new();
    good(1).drop_in(&site.plugins(), FILE);
    let running = site.run("", "");
    let follow = |json: &[&str]| {
        let mut follow = command(["events", "--follow", "--control"]);
        follow.arg(site.socket()).args(json);
        Running::start(follow)
    };
    let (people, machines) = (follow(&[]), follow(&["--json"]));
    people.stdout_until(|line| line.starts_with("following ") && line.contains(" ready=true"));
    assert_eq!(machines.event()["status"]["plugins"][0]["name"], ID);
    good(2).drop_in(&site.plugins(), FILE);
    people.stdout_until(|line| line.starts_with("serving ") && line.contains(" generation=2 "));
    assert_eq!(until_event(&machines, "serving")["generation"], 2);
    running.signal(Signal::TERM);
    assert_eq!(running.end().0, 0);
    for followed in [people, machines] {
        let (code, lines, _) = followed.end();
        assert_eq!(code, 0);
        assert!(lines.last().unwrap().contains("ended"), "{lines:#?}");
    }
}

#[test]
fn list_says_that_it_asks_no_host() {
    let site = Site::new();
    let ran = run(["list", site.plugins().to_str().unwrap()]);
    assert!(
        ran.stdout.ends_with("\nThese are files. What a running host serves: mini-chat-plugins status\n"),
        "{ran:?}"
    );
    assert!(run(["list", "--help"]).stdout.contains("asks no host"));
}
