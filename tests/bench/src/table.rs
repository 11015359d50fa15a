//! The rows as a table for people.

use std::fmt::Write;

use crate::contest::Row;
use crate::lifecycle::Memory;

/// All of it, by section and case.
pub fn of(rows: &[Row]) -> String {
    let mut text = String::new();
    let (mut section, mut case) = ("", "");
    for row in rows {
        if row.section != section {
            (section, case) = (&row.section, "");
            let _ = writeln!(
                text,
                "\n{section:52} {:>12} {:>12} {:>7} {:>13} {:>11} {:>7}",
                "median", "p99", "ratio", "quartiles", "added", "allocs"
            );
        }
        if row.case != case {
            case = &row.case;
            let _ = writeln!(text, "{case}");
        }
        let ratio = row.ratio.map_or(String::new(), |ratio| format!("{ratio:.2}"));
        let spread = row.ratio.map_or(String::new(), |_| format!("{:.2}–{:.2}", row.spread[0], row.spread[1]));
        let p99 = row.p99_ns.map_or(String::new(), time);
        let allocations = row.allocations.map_or(String::new(), |allocations| format!("{allocations:.1}"));
        let added = row.added_ns.map_or(String::new(), time);
        let memory = row.memory.map_or(String::new(), memory);
        let _ = writeln!(
            text,
            "    {:48} {:>12} {p99:>12} {ratio:>7} {spread:>13} {added:>11} {allocations:>7}{memory}",
            row.way,
            time(row.median_ns)
        );
    }
    text
}

/// What takes long is no call.
fn time(ns: f64) -> String {
    if ns.abs() < 1e7 { format!("{ns:.0} ns") } else { format!("{:.2} ms", ns / 1e6) }
}

fn memory(memory: Memory) -> String {
    let [image, image_own, process, process_own] =
        [memory.image_bytes, memory.image_own_bytes, memory.process_bytes, memory.process_own_bytes]
            .map(|bytes| format!("{:.0} KiB", bytes / 1024.0));
    format!("  image {image} (own {image_own}), process {process} (own {process_own})")
}
