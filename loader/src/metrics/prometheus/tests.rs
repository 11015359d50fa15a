use super::PrometheusRecorder;
use crate::metrics::{RETIRED, TARGET};
use ::metrics::{Key, Label, Level, Metadata, Recorder as _};

const LIVE: Metadata<'static> = Metadata::new(TARGET, Level::INFO, None);
const LAST: Metadata<'static> = Metadata::new(RETIRED, Level::INFO, None);

#[test]
fn what_is_registered_is_rendered_as_prometheus_reads_it() {
    let recorder = PrometheusRecorder::default();
    recorder.describe_gauge("a_gauge".into(), None, "what \\ it\nmeans".into());
    let key = Key::from_parts("a_gauge", vec![Label::new("plugin", "a \"b\" \\ c\nd"), Label::new("x", "1")]);
    recorder.register_gauge(&key, &LIVE).set(2.5);
    recorder.register_counter(&Key::from_name("a.counter"), &LIVE).absolute(7);
    let expected = "# HELP a_counter \n# TYPE a_counter counter\na_counter 7\n\
                    # HELP a_gauge what \\\\ it\\nmeans\n# TYPE a_gauge gauge\n\
                    a_gauge{plugin=\"a \\\"b\\\" \\\\ c\\nd\",x=\"1\"} 2.5\n";
    assert_eq!(recorder.render(), expected);
}

#[test]
fn a_histogram_counts_up_to_each_bound() {
    let recorder = PrometheusRecorder::default();
    let key = Key::from_parts("seconds", vec![Label::new("plugin", "p")]);
    let histogram = recorder.register_histogram(&key, &LIVE);
    histogram.record(0.001);
    histogram.record_many(0.002, 10);
    histogram.record_many(100.0, 2);
    let text = recorder.render();
    for line in [
        "seconds_bucket{plugin=\"p\",le=\"0.0005\"} 0",
        "seconds_bucket{plugin=\"p\",le=\"0.001\"} 1",
        "seconds_bucket{plugin=\"p\",le=\"0.0025\"} 11",
        "seconds_bucket{plugin=\"p\",le=\"30\"} 11",
        "seconds_bucket{plugin=\"p\",le=\"+Inf\"} 13",
        "seconds_count{plugin=\"p\"} 13",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    let sum: f64 =
        text.lines().find_map(|line| line.strip_prefix("seconds_sum{plugin=\"p\"} ")).unwrap().parse().unwrap();
    assert!((sum - 200.021).abs() < 1e-9, "{sum}");
}

#[test]
fn a_retired_series_is_gone_and_may_come_back() {
    let recorder = PrometheusRecorder::default();
    let key = |digest: &'static str| Key::from_parts("info", vec![Label::new("digest", digest)]);
    recorder.register_gauge(&key("1"), &LIVE).set(1.0);
    recorder.register_gauge(&key("2"), &LIVE).set(1.0);
    recorder.register_gauge(&key("1"), &LAST).set(0.0);
    assert_eq!(recorder.render().lines().skip(2).collect::<Vec<_>>(), ["info{digest=\"2\"} 1"]);
    recorder.register_gauge(&key("2"), &LAST).set(0.0);
    assert_eq!(recorder.render(), "");
    recorder.register_gauge(&key("1"), &LIVE).set(1.0);
    assert!(recorder.render().ends_with("info{digest=\"1\"} 1\n"));
}
