//! The text format in which exporters offer their metrics, as far as a probe reads it.
//!
//! Source: Prometheus, "Exposition formats", text-based format 0.0.4.

/// A sample of an exposition.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample<'a> {
    pub(crate) name: &'a str,
    pub(crate) labels: Vec<(&'a str, String)>,
    pub(crate) value: f64,
}

impl Sample<'_> {
    pub(crate) fn label(&self, name: &str) -> Option<&str> {
        let (_, value) = self.labels.iter().find(|(key, _)| *key == name)?;
        Some(value)
    }
}

/// The samples of one metric. Lines that are no samples are passed over: comments, and whatever a later version adds.
pub(crate) fn samples<'a>(text: &'a str, name: &str) -> impl Iterator<Item = Sample<'a>> {
    text.lines()
        .filter_map(sample)
        .filter(move |sample| sample.name == name)
}

/// The value of the first sample of a metric.
pub(crate) fn value(text: &str, name: &str) -> Option<f64> {
    samples(text, name).next().map(|sample| sample.value)
}

fn sample(line: &str) -> Option<Sample<'_>> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let end = line.find(|c: char| c == '{' || c.is_whitespace())?;
    let (name, rest) = line.split_at(end);
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None => (Vec::new(), rest),
    };
    // A timestamp may follow the value.
    let value = rest.split_whitespace().next()?.parse().ok()?;
    Some(Sample {
        name,
        labels,
        value,
    })
}

/// Reads the labels behind an opening brace; returns them and what follows the closing one.
fn labels(mut rest: &str) -> Option<(Vec<(&str, String)>, &str)> {
    let mut labels = Vec::new();
    loop {
        rest = rest.trim_start_matches([',', ' ']);
        if let Some(rest) = rest.strip_prefix('}') {
            return Some((labels, rest));
        }
        let (name, quoted) = rest.split_once("=\"")?;
        let mut value = String::new();
        let mut chars = quoted.char_indices();
        rest = loop {
            match chars.next()? {
                (at, '"') => break &quoted[at + 1..],
                (_, '\\') => value.push(match chars.next()? {
                    (_, 'n') => '\n',
                    (_, other) => other,
                }),
                (_, other) => value.push(other),
            }
        };
        labels.push((name.trim(), value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
# HELP up Whether.
# TYPE up gauge
node_memory_MemTotal_bytes 2.5223790592e+10
promtail_read_bytes_total{path="/var/log/pods/a_b_c/d/0.log"} 512
promtail_read_bytes_total{path="with \"quotes\", a } and a \\"} 7 1395066363000
rabbitmq_identity_info{rabbitmq_node="rabbit@lab",rabbitmq_cluster="lab",} 1
empty{} NaN
broken{path="no end
broken_too{x="1"} words
"#;

    #[test]
    fn a_plain_value_is_read_with_its_exponent() {
        assert_eq!(
            value(TEXT, "node_memory_MemTotal_bytes"),
            Some(25_223_790_592.0)
        );
    }

    #[test]
    fn labels_are_read_with_their_escapes_and_the_timestamp_is_left() {
        let read: Vec<_> = samples(TEXT, "promtail_read_bytes_total").collect();
        assert_eq!(read[0].label("path"), Some("/var/log/pods/a_b_c/d/0.log"));
        assert_eq!(read[1].label("path"), Some(r#"with "quotes", a } and a \"#));
        assert_eq!((read[0].value, read[1].value), (512.0, 7.0));
        assert_eq!(read[0].label("other"), None);
    }

    #[test]
    fn a_comma_may_end_the_labels() {
        let read = samples(TEXT, "rabbitmq_identity_info").next().unwrap();
        assert_eq!(read.label("rabbitmq_cluster"), Some("lab"));
    }

    #[test]
    fn what_is_no_sample_is_passed_over() {
        assert!(value(TEXT, "empty").unwrap().is_nan());
        for name in ["broken", "broken_too", "up", "#", "absent"] {
            assert_eq!(value(TEXT, name), None, "{name}");
        }
    }
}
