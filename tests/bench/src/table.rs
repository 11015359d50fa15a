//! The rows as a table for people.

use std::fmt::Write;

use crate::contest::Row;

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
        let p99 = row.p99_ns.map_or(String::new(), |p99| format!("{p99:.0} ns"));
        let allocations = row.allocations.map_or(String::new(), |allocations| format!("{allocations:.1}"));
        let added = row.added_ns.map_or(String::new(), |added| format!("{added:.0} ns"));
        let _ = writeln!(
            text,
            "    {:48} {:>9.0} ns {p99:>12} {ratio:>7} {spread:>13} {added:>11} {allocations:>7}",
            row.way, row.median_ns
        );
    }
    text
}
