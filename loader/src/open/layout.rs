//! Do both sides mean the same by everything that crosses?
//!
//! abi_stable compares the layouts of all types reachable from the module. A newer plugin's tables are longer, an older
//! one's shorter: either is fine, so the check is made in one direction and then in the other. Each check gets globals of
//! its own: abi_stable's process-wide map refuses valid plugins depending on the order they come in.

use std::fmt::Display;

use abi_stable::StableAbi;
use abi_stable::abi_stability::abi_checking::ExpectedFound;
use abi_stable::abi_stability::abi_checking::{
    AbiInstability, AbiInstabilityErrors, CheckingGlobals, check_layout_compatibility_with_globals,
};
use abi_stable::type_layout::{TLField, TLFieldOrFunction, TypeLayout};
use mini_chat_plugin_abi::module::PluginModuleRef;

/// Most mismatches reported: one edit can show in many places.
const MOST_REPORTED: usize = 12;

/// Compares a plugin's module with this host's. An error has a line per mismatch.
pub(super) fn check(plugin: &'static TypeLayout) -> Result<(), Vec<String>> {
    let host = <PluginModuleRef as StableAbi>::LAYOUT;
    let one_way = |interface, implementation| {
        check_layout_compatibility_with_globals(interface, implementation, &CheckingGlobals::new())
    };
    let Err(newer) = one_way(host, plugin) else { return Ok(()) };
    let Err(older) = one_way(plugin, host) else { return Ok(()) };
    // The direction with fewer complaints is the one that was meant.
    let fewer = if count(&older) < count(&newer) { older } else { newer };
    Err(lines(&fewer))
}

fn count(errors: &AbiInstabilityErrors) -> usize {
    errors.errors.iter().map(|error| error.errs.len()).sum()
}

fn lines(errors: &AbiInstabilityErrors) -> Vec<String> {
    let mut lines = Vec::new();
    for error in &errors.errors {
        let steps = error.stack_trace.iter().map(|step| step_name(&step.expected)).collect::<Vec<_>>();
        // The path through the types is long; its end says which field it is.
        let place = steps[steps.len().saturating_sub(3)..].join(" > ");
        for problem in &error.errs {
            let line = format!("{place} -- {}", describe(problem));
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
    }
    if lines.is_empty() {
        lines.push("the layouts differ".to_owned());
    }
    if lines.len() > MOST_REPORTED {
        let more = lines.len() - MOST_REPORTED;
        lines.truncate(MOST_REPORTED);
        lines.push(format!("… and {more} more"));
    }
    lines
}

/// One step of the path: `field: Type`, or the name of a function. The fields of containers have names that say nothing.
fn step_name(step: &TLFieldOrFunction) -> String {
    match step {
        TLFieldOrFunction::Field(field) => field_name(field),
        TLFieldOrFunction::Function(function) => one_line(function),
    }
}

fn field_name(field: &TLField) -> String {
    let (name, type_name) = (field.name(), one_line(&field.full_type()));
    let says_nothing = name == "ptr" || name.trim_start_matches("field_").bytes().all(|byte| byte.is_ascii_digit());
    if says_nothing { type_name } else { format!("{name}: {type_name}") }
}

/// One mismatch: what this host has, and what the plugin has.
fn describe(problem: &AbiInstability) -> String {
    use AbiInstability as A;
    match problem {
        A::Name(v) => pair("type", v),
        A::Package(v) => pair("crate", v),
        A::PackageVersion(v) => pair("crate version", v),
        A::MismatchedPrefixSize(v) => pair("fields of the first release", v),
        A::Size(v) => pair("size", v),
        A::Alignment(v) => pair("alignment", v),
        A::GenericParamCount(v) => pair("generic parameters", v),
        A::FieldCountMismatch(v) => pair("number of fields", v),
        A::UnexpectedField(v) => pair("field", &fields(v)),
        A::FieldLifetimeMismatch(v) => pair("lifetimes of field", &fields(v)),
        A::FnLifetimeMismatch(v) => pair("lifetimes of function", v),
        A::FnQualifierMismatch(v) => pair("kind of function", v),
        A::TooManyVariants(v) => pair("number of variants", v),
        A::UnexpectedVariant(v) => pair("variant", v),
        A::ReprAttr(v) => pair(
            "representation",
            &ExpectedFound { expected: format!("{:?}", v.expected), found: format!("{:?}", v.found) },
        ),
        other => {
            let text = format!("{other:?}");
            let end = text.find(['(', '{', ' ']).unwrap_or(text.len());
            format!("mismatch of kind {}", &text[..end])
        }
    }
}

fn fields(values: &ExpectedFound<TLField>) -> ExpectedFound<String> {
    ExpectedFound { expected: field_name(&values.expected), found: field_name(&values.found) }
}

fn pair<T: Display>(what: &str, values: &ExpectedFound<T>) -> String {
    format!("{what}: {} here, {} in the plugin", one_line(&values.expected), one_line(&values.found))
}

/// abi_stable writes a field over several lines.
fn one_line(value: &impl Display) -> String {
    const LONGEST: usize = 120;
    let text = value.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
    if text.chars().count() <= LONGEST { text } else { text.chars().take(LONGEST).chain("…".chars()).collect() }
}
