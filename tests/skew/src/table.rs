//! The matrix as Markdown.

use std::fmt::Write as _;

use serde_json::Value;

/// A row per plugin compiler and set of dependencies, a column per host and profile.
pub(crate) fn of(lines: &str) -> String {
    let cells: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    let hosts = names(&cells, "host");
    let profiles = names(&cells, "profile");

    let mut text = String::from("| plugin by | dependencies |");
    let mut rule = String::from("\n| --- | --- |");
    for host in &hosts {
        for profile in &profiles {
            let _ = write!(text, " {host} ← {profile} |");
            rule.push_str(" --- |");
        }
    }
    text.push_str(&rule);
    for plugin in names(&cells, "plugin") {
        for dependencies in names(&cells, "dependencies") {
            let _ = write!(text, "\n| {plugin} | {dependencies} |");
            for host in &hosts {
                for profile in &profiles {
                    let here = [host, &plugin, profile, &dependencies];
                    let _ = write!(text, " {} |", outcome(&cells, here));
                }
            }
        }
    }
    text.push('\n');
    text
}

fn outcome(cells: &[Value], here: [&String; 4]) -> String {
    let is_here = |cell: &&Value| {
        ["host", "plugin", "profile", "dependencies"].iter().zip(here).all(|(key, name)| cell[*key] == name.as_str())
    };
    let Some(cell) = cells.iter().find(is_here) else { return "not run".to_owned() };
    match (cell["outcome"].as_str(), cell["layouts"].as_str()) {
        (Some("equal"), Some("others")) => "equal ≠".to_owned(),
        (Some("equal"), _) => "equal".to_owned(),
        (Some("cannot be had"), _) => "–".to_owned(),
        _ => "**wrong**".to_owned(),
    }
}

/// In the order in which they come.
fn names(cells: &[Value], key: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in cells.iter().filter_map(|cell| cell[key].as_str()) {
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    names
}
