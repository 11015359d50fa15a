//! Rows in, SVG out: what is where on it; and what is said of a file that has no rows.

use super::*;
use crate::contest;

/// A baseline of 100 ns and one way beside it.
fn rows(section: &str, case: &str, way: &str, ratio: f64) -> [Row; 2] {
    let baseline = Row {
        section: section.to_owned(),
        case: case.to_owned(),
        way: "linked".to_owned(),
        baseline: None,
        median_ns: 100.0,
        p99_ns: None,
        ratio: None,
        spread: [90.0, 110.0],
        added_ns: None,
        allocations: None,
        memory: None,
    };
    let way = Row {
        way: way.to_owned(),
        baseline: Some("linked".to_owned()),
        median_ns: 100.0 * ratio,
        ratio: Some(ratio),
        spread: [0.9 * ratio, 1.2 * ratio],
        added_ns: Some(100.0 * (ratio - 1.0)),
        ..baseline.clone()
    };
    [baseline, way]
}

/// Draws rows, and gives the text of each picture that there is.
fn drawn(rows: &[Row]) -> Vec<(String, String)> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bench.json");
    contest::write(&file, rows);
    let outcomes = draw(&file, &folder.path().join("new").join("plots")).unwrap();
    assert_eq!(outcomes.len(), PICTURES.len());
    let name = |file: &Path| file.file_name().unwrap().to_str().unwrap().to_owned();
    let files = outcomes.iter().filter_map(|outcome| match outcome {
        Outcome::Drawn(file) => Some((name(file), std::fs::read_to_string(file).unwrap())),
        Outcome::NoRows(_) => None,
    });
    files.collect()
}

fn only(rows: &[Row], name: &str) -> String {
    let [(drawn, svg)] = <[_; 1]>::try_from(drawn(rows)).unwrap();
    assert_eq!(drawn, name);
    svg
}

/// The elements of a picture: name, attributes, text.
fn elements(svg: &str) -> Vec<(&str, &str, &str)> {
    let elements = svg.split('<').skip(1).filter(|element| !element.starts_with('/'));
    let parts = elements.map(|element| {
        let (tag, text) = element.split_once('>').unwrap();
        let (name, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        (name, attributes, text.trim())
    });
    parts.collect()
}

fn attribute(attributes: &str, name: &str) -> f64 {
    let value = attributes.split_once(&format!("{name}=\"")).and_then(|(_, rest)| rest.split_once('"'));
    value.unwrap_or_else(|| panic!("no {name} in {attributes}")).0.parse().unwrap()
}

/// Where a text stands.
fn label_at(svg: &str, label: &str) -> f64 {
    let found: Vec<_> = elements(svg).into_iter().filter(|(name, _, text)| *name == "text" && *text == label).collect();
    assert_eq!(found.len(), 1, "{label} stands there {} times", found.len());
    attribute(found[0].1, "y")
}

/// The middles of the marks of `inline`, without that of the key, in the order in which they were drawn.
fn circles(svg: &str) -> Vec<(f64, f64)> {
    let all = elements(svg).into_iter().filter(|(name, ..)| *name == "circle");
    let places: Vec<_> = all.map(|(_, at, _)| (attribute(at, "cx"), attribute(at, "cy"))).collect();
    places[1..].to_vec()
}

/// The beginnings and ends of the bars of targets, without that of the key.
fn targets(svg: &str) -> Vec<[(f64, f64); 2]> {
    let bar = |(name, attributes, _): &(&str, &str, &str)| {
        *name == "polyline" && attributes.contains("stroke=\"#000000\"") && attributes.contains("stroke-width=\"3\"")
    };
    let places = elements(svg).into_iter().filter(bar).map(|(_, attributes, _)| {
        let points = attributes.split_once("points=\"").unwrap().1.split_once('"').unwrap().0;
        let numbers: Vec<f64> = points.split([' ', ',']).filter_map(|number| number.parse().ok()).collect();
        [(numbers[0], numbers[1]), (numbers[2], numbers[3])]
    });
    let places: Vec<_> = places.collect();
    places.get(1..).unwrap_or_default().to_vec()
}

#[test]
fn cases_are_named_and_their_ratios_in_order() {
    let all = [
        rows("bare", "slow", "inline", 40.0),
        rows("bare", "quick", "inline", 1.2),
        rows("bare", "less quick", "inline", 8.0),
    ];
    let svg = only(&all.concat(), "bare.svg");
    let labels = ["slow", "quick", "less quick"].map(|case| label_at(&svg, case));
    assert!(labels.is_sorted(), "cases are in the order of the rows: {labels:?}");
    let marks = circles(&svg);
    assert_eq!(marks.iter().map(|(_, y)| *y).collect::<Vec<_>>(), labels, "each mark is beside its label");
    let [slow, quick, less] = [marks[0].0, marks[1].0, marks[2].0];
    assert!(quick < less && less < slow, "{marks:?}");
    // Logarithmic: 8 is 6.7 times 1.2, and 40 is 5 times 8.
    let (first, second) = (less - quick, slow - less);
    assert!((first / second - (8.0_f64 / 1.2).ln() / 5.0_f64.ln()).abs() < 0.02, "{first} and {second}");
}

#[test]
fn a_contest_with_isolated_is_of_the_same_case() {
    let all = [rows("as shipped", "quick", "adaptive", 2.0), rows("as shipped", "quick, isolated", "isolated", 90.0)];
    let svg = only(&all.concat(), "as-shipped.svg");
    label_at(&svg, "quick");
    for way in ["adaptive", "isolated"] {
        label_at(&svg, way);
    }
    assert!(!svg.contains("quick, isolated"));
}

#[test]
fn a_baseline_that_is_not_linked_code_is_named() {
    let mut all = rows("bare", "a hop", "isolated", 1.1);
    all[1].baseline = Some("linked there".to_owned());
    label_at(&only(&all, "bare.svg"), "a hop (to linked there)");
}

#[test]
fn a_target_is_a_bar_at_its_ratio() {
    let all = [rows("bare", "get_user_limits", "inline", 8.0), rows("bare", "quick", "inline", 2.0)].concat();
    let svg = only(&all, "bare.svg");
    let (marks, bars) = (circles(&svg), targets(&svg));
    let [[from, to]] = bars[..] else { panic!("{bars:?}") };
    assert_eq!(from.0, to.0);
    // 2.3: right of 2.0, left of 8.0; in the line of its case.
    assert!(marks[1].0 < from.0 && from.0 < marks[0].0, "{marks:?}, {bars:?}");
    assert_eq!((from.1 + to.1) / 2.0, marks[0].1);
    label_at(&svg, "target");
    let without = only(&rows("bare", "quick", "inline", 2.0), "bare.svg");
    assert!(targets(&without).is_empty() && !without.contains("target"));
}

#[test]
fn sizes_are_in_their_order_whatever_that_of_the_rows() {
    let case = |models: u64, ratio| rows("bare", &format!("get_policy_snapshot, {models} models"), "inline", ratio);
    let all = [case(1, 2.6), case(100, 1.3), case(10, 1.6), case(1000, 1.4)].concat();
    let pictures = drawn(&all);
    assert_eq!(pictures.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["bare.svg", "models.svg"]);
    let svg = &pictures[1].1;
    for size in ["1", "10", "100", "1000", "models of the snapshot", "bare, inline"] {
        label_at(svg, size);
    }
    let marks = circles(svg);
    assert_eq!(marks.len(), 4);
    assert!(marks.is_sorted_by_key(|(x, _)| *x), "{marks:?}");
    // Upwards is less on the sheet: 2.6, 1.6, 1.3, 1.4 by size.
    assert!(marks[0].1 < marks[1].1 && marks[1].1 < marks[3].1 && marks[3].1 < marks[2].1, "{marks:?}");
    let [[from, to]] = targets(svg)[..] else { panic!("one target, that of 100 models") };
    assert_eq!((from.0 + to.0) / 2.0, marks[2].0);
    assert!(from.1 > marks[2].1, "1.12 is below 1.3");
}

#[test]
fn the_alternatives_stand_beside_the_loaded_way() {
    let mut all = rows("alternatives", "quick", "loaded", 8.0).to_vec();
    for (way, ratio) in [("mirror", 3.0), ("postcard", 10.0), ("gRPC", 2800.0)] {
        all.push(rows("alternatives", "quick", way, ratio)[1].clone());
    }
    let svg = only(&all, "alternatives.svg");
    for text in ["loaded", "mirror", "postcard", "gRPC", "quick", "1×", "10×", "1,000×"] {
        label_at(&svg, text);
    }
}

#[test]
fn the_same_rows_give_the_same_picture() {
    let all = rows("bare", "get_user_limits", "inline", 8.0);
    assert_eq!(drawn(&all), drawn(&all));
}

#[test]
fn a_case_may_have_any_name() {
    let svg = only(&rows("bare", "a <b> & c", "inline", 2.0), "bare.svg");
    label_at(&svg, "a &lt;b&gt; &amp; c");
}

#[test]
fn a_file_without_rows_is_named_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bench.json");
    let said = || {
        let error = draw(&file, &folder.path().join("plots")).unwrap_err().to_string();
        assert!(error.starts_with(&file.display().to_string()), "{error}");
        assert!(error.contains("./scripts/bench"), "{error}");
        error
    };
    assert!(said().contains("no rows to draw: No such file"));
    std::fs::write(&file, "{\"rows\": 3}").unwrap();
    assert!(said().contains("expected the rows that ./scripts/bench writes, found invalid type: map"));
    contest::write(&file, &rows("start-up", "quick", "inline", 2.0));
    assert!(said().contains("none of its 2 rows"));
    contest::write(&file, &rows("bare", "quick", "inline", -1.0));
    assert!(said().contains("quick, inline: expected ratios above 0, found -1 (-0.9–-1.2)"));
}

#[test]
fn a_phase_that_takes_no_time_is_not_in_the_way() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bench.json");
    let mut all = Vec::from(rows("lifecycle", "swap by phase", "later: last calls of the old one", 0.0));
    all.extend(rows("bare", "quick", "inline", 2.0));
    contest::write(&file, &all);
    assert!(draw(&file, folder.path()).unwrap().contains(&Outcome::Drawn(folder.path().join("bare.svg"))));
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bench.json");
    contest::write(&file, &rows("bare", "quick", "inline", 2.0));
    let error = draw(&file, &file).unwrap_err();
    assert!(matches!(error, PlotError::NotWritten { .. }), "{error}");
    assert!(error.to_string().starts_with(&file.display().to_string()), "{error}");
}
