//! `inspect`: everything about one file.

use mini_chat_plugin_loader::error::LoadError;
use mini_chat_plugin_loader::method::Kind;
use mini_chat_plugin_loader::verify::{Descriptor, Facts, Inspection, Preflight, inspect};
use serde_json::json;

use crate::cli::InspectArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Look, Output};
use crate::table::{Table, cell};

pub(crate) fn run(args: &InspectArgs, output: &Output) -> Result<Exit, Failure> {
    let config = args.files.load()?;
    let (limits, policy) = args.files.accepted(config.as_ref());
    let mut found = inspect(&args.file, &limits, &policy);
    let unread = found.digest.is_none();
    if args.json {
        output.json(&to_json(&found));
    } else if !unread {
        output.print(&report(&found));
    }
    if unread && let Some(refusal) = found.refusals.pop() {
        return Err(Failure::new(Exit::Failed, "plugin file").because(refusal));
    }
    Ok(if found.refusals.is_empty() { Exit::Ok } else { Exit::Failed })
}

fn to_json(found: &Inspection) -> serde_json::Value {
    json!({
        "file": found.path.display().to_string(),
        "digest": found.digest,
        "size": found.size,
        "descriptor": found.descriptor,
        "kinds": kinds(found.descriptor.as_ref()),
        "answered_by_default": found.descriptor.as_ref().map(by_default),
        "facts": found.facts,
        "verdict": if found.refusals.is_empty() { "ok" } else { "refused" },
        "refusals": refusals(&found.refusals),
    })
}

fn report(found: &Inspection) -> String {
    let mut table = Table::bare();
    let mut line = |name: &str, text: &str| table.row([cell(name, Look::Strong), cell(text, Look::Plain)]);
    line("file", &found.path.display().to_string());
    if let Some(descriptor) = &found.descriptor {
        describe(descriptor, &mut line);
    }
    if let Some(facts) = &found.facts {
        structure(facts, &mut line);
    }
    line("size", &found.size.map(|size| format!("{size} bytes")).unwrap_or_default());
    line("sha256", &found.digest.map(|digest| digest.to_string()).unwrap_or_default());
    let verdict = if found.refusals.is_empty() { ("ok", Look::Good) } else { ("refused", Look::Bad) };
    table.row([cell("verdict", Look::Strong), cell(verdict.0, verdict.1)]);
    for refusal in &found.refusals {
        table.row([cell(refusal.kind(), Look::Bad), cell(without_path(refusal), Look::Plain)]);
    }
    table.render()
}

fn describe(descriptor: &Descriptor, line: &mut impl FnMut(&str, &str)) {
    let majors = descriptor.abi.majors.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
    line("id", &descriptor.id);
    line("version", &descriptor.version);
    line("package", &descriptor.package);
    line("vendor", &descriptor.vendor);
    line("priority", &descriptor.priority.to_string());
    line("abi", &format!("{} (majors: {majors})", descriptor.abi.version));
    line("sdk", &descriptor.sdk);
    for kind in Kind::ALL {
        if let Some(methods) = descriptor.methods(kind) {
            line(kind.name(), &methods.join(", "));
        }
    }
    line("answered by default", &or_none(&by_default(descriptor)));
    line("target", &descriptor.target);
    line("compiler", &descriptor.compiler);
    line(
        "profile",
        &format!("{} (opt-level {}, panic {})", descriptor.profile, descriptor.opt_level, descriptor.panic),
    );
    line("heap", &descriptor.heap);
    line("requires", &or_none(&descriptor.requires));
    line("hooks", &or_none(&descriptor.hooks));
    line(
        "preflight",
        match descriptor.preflight {
            Preflight::Open => "open",
            Preflight::Create => "create",
            _ => "another level",
        },
    );
    line("reentrant", yes_no(descriptor.reentrant));
}

fn structure(facts: &Facts, line: &mut impl FnMut(&str, &str)) {
    line("machine", facts.machine);
    line("lowest glibc", facts.lowest_glibc.as_deref().unwrap_or("none needed"));
    line("needed libraries", &or_none(&facts.needed));
    line("soname", facts.soname.as_deref().unwrap_or("none"));
    line("stripped", yes_no(facts.stripped));
    line("debug information", yes_no(facts.has_debug_info));
}

fn by_default(descriptor: &Descriptor) -> Vec<&'static str> {
    descriptor.answered_by_default().into_iter().map(|method| method.name()).collect()
}

fn or_none<S: AsRef<str>>(texts: &[S]) -> String {
    let texts: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
    if texts.is_empty() { "none".to_owned() } else { texts.join(", ") }
}

const fn yes_no(yes: bool) -> &'static str {
    if yes { "yes" } else { "no" }
}

/// The names of the kinds that a plugin serves.
pub(crate) fn kinds(descriptor: Option<&Descriptor>) -> Vec<&'static str> {
    descriptor.into_iter().flat_map(Descriptor::served).map(Kind::name).collect()
}

/// Code and text of each.
pub(crate) fn refusals(errors: &[LoadError]) -> Vec<serde_json::Value> {
    errors.iter().map(|error| json!({ "kind": error.kind(), "message": error.to_string() })).collect()
}

/// The text of a refusal, beside which its file is shown already.
pub(crate) fn without_path(error: &LoadError) -> String {
    let text = error.to_string();
    let path = format!("{}: ", error.path().display());
    text.strip_prefix(&path).unwrap_or(&text).to_owned()
}
