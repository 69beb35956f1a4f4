//! Reads Prometheus' text format: counters, and quantiles of what a histogram took between two readings.

use std::collections::BTreeMap;

/// One line: a name, its labels as they stand between the braces, a value.
#[derive(Clone, Debug, PartialEq)]
struct Sample {
    name: String,
    labels: String,
    value: f64,
}

/// What a page of metrics says. Lines that are no samples are passed over.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exposition(Vec<Sample>);

/// A histogram: cumulative counts by upper bound.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram(Vec<(f64, f64)>);

impl Exposition {
    /// Reads a page.
    pub fn parse(text: &str) -> Self {
        Self(text.lines().filter_map(sample).collect())
    }

    /// The sum over all series of this name; `None` when there is none.
    pub fn sum(&self, name: &str) -> Option<f64> {
        let mut values = self
            .0
            .iter()
            .filter(|sample| sample.name == name)
            .map(|sample| sample.value)
            .peekable();
        values.peek()?;
        Some(values.sum())
    }

    /// The sum over all series of the histogram `name`.
    pub fn histogram(&self, name: &str) -> Histogram {
        let name = format!("{name}_bucket");
        let mut buckets = Histogram::default();
        for sample in self.0.iter().filter(|sample| sample.name == name) {
            if let Some(bound) = label(&sample.labels, "le").and_then(|le| le.parse().ok()) {
                buckets.add(bound, sample.value);
            }
        }
        buckets
    }
}

impl Histogram {
    fn add(&mut self, bound: f64, count: f64) {
        match self
            .0
            .binary_search_by(|(other, _)| other.total_cmp(&bound))
        {
            Ok(at) => self.0[at].1 += count,
            Err(at) => self.0.insert(at, (bound, count)),
        }
    }

    /// What came since an earlier reading.
    pub fn since(mut self, earlier: &Self) -> Self {
        for &(bound, count) in &earlier.0 {
            self.add(bound, -count);
        }
        self
    }

    /// The value below which the share `q` lies, by a straight line within its bucket, as PromQL's `histogram_quantile`
    /// has it. `None` when nothing was taken. Beyond the last finite bound that bound is all that is known.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let total = self.0.last().map(|&(_, count)| count)?;
        if total.is_nan() || total <= 0.0 {
            return None;
        }
        let wanted = q * total;
        let (mut low, mut below) = (0.0, 0.0);
        for &(bound, count) in &self.0 {
            if count >= wanted {
                if bound.is_infinite() || count <= below {
                    return Some(low);
                }
                return Some(low + (bound - low) * (wanted - below) / (count - below));
            }
            (low, below) = (bound, count);
        }
        Some(low)
    }
}

fn sample(line: &str) -> Option<Sample> {
    let line = line.trim();
    if line.starts_with('#') {
        return None;
    }
    let (name, labels, rest) = match line.split_once('{') {
        Some((name, rest)) => {
            // A value is free of braces, and a label's value is not: the last one closes.
            let (labels, rest) = rest.rsplit_once('}')?;
            (name, labels, rest)
        }
        None => {
            let (name, rest) = line.split_once(char::is_whitespace)?;
            (name, "", rest)
        }
    };
    let value = rest.split_whitespace().next()?.parse().ok()?;
    Some(Sample {
        name: name.to_owned(),
        labels: labels.to_owned(),
        value,
    })
}

/// The value of a label without escapes, which bounds of buckets are.
fn label<'a>(labels: &'a str, name: &str) -> Option<&'a str> {
    let pairs: BTreeMap<&str, &str> = labels
        .split(',')
        .filter_map(|pair| pair.split_once('='))
        .collect();
    pairs.get(name)?.strip_prefix('"')?.strip_suffix('"')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PAGE: &str = "# HELP x_seconds Help.\n\
        # TYPE x_seconds histogram\n\
        x_seconds_bucket{otel_scope_name=\"messaging\",le=\"0.125\"} 0\n\
        x_seconds_bucket{otel_scope_name=\"messaging\",le=\"0.25\"} 50\n\
        x_seconds_bucket{otel_scope_name=\"messaging\",le=\"0.5\"} 100\n\
        x_seconds_bucket{otel_scope_name=\"messaging\",le=\"+Inf\"} 100\n\
        messages_total{protocol=\"amqp091\",queue_type=\"a}b\"} 3\n\
        messages_total{protocol=\"amqp091\",queue_type=\"b\"} 4e0\n\
        plain 7 1700000000\n";

    #[test]
    fn series_of_one_name_are_added() {
        let page = Exposition::parse(PAGE);
        assert_eq!(page.sum("messages_total"), Some(7.0));
        assert_eq!(page.sum("plain"), Some(7.0));
        assert_eq!(page.sum("absent"), None);
    }

    #[test]
    fn quantiles_lie_within_their_bucket() {
        let histogram = Exposition::parse(PAGE).histogram("x_seconds");
        assert_eq!(histogram.quantile(0.5), Some(0.25));
        assert_eq!(histogram.quantile(0.75), Some(0.375));
        let twice = Exposition::parse(&format!("{PAGE}{PAGE}")).histogram("x_seconds");
        assert_eq!(twice.quantile(0.5), histogram.quantile(0.5));
        assert_eq!(twice.since(&histogram), histogram);
        assert_eq!(histogram.clone().since(&histogram).quantile(0.5), None);
    }

    #[test]
    fn beyond_the_last_bound_nothing_more_is_known() {
        let text = "x_bucket{le=\"60\"} 1\nx_bucket{le=\"+Inf\"} 100\n";
        assert_eq!(
            Exposition::parse(text).histogram("x").quantile(0.99),
            Some(60.0)
        );
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(text in "(?s)\\PC*", noise in "x_bucket\\{[le=\",0-9.]{0,12}\\}? [0-9eE+.naN-]{0,6}") {
            for text in [text, noise] {
                let page = Exposition::parse(&text);
                let _ = page.sum("x");
                let histogram = page.histogram("x");
                let _ = histogram.clone().since(&histogram).quantile(0.5);
                let _ = histogram.quantile(0.99);
            }
        }

        #[test]
        fn a_quantile_grows_with_its_share(counts in proptest::collection::vec(0_u32..1000, 1..12)) {
            let mut histogram = Histogram::default();
            let mut sum = 0;
            for (index, count) in counts.iter().enumerate() {
                sum += count;
                histogram.add(f64::from(u32::try_from(index).unwrap()) + 1.0, f64::from(sum));
            }
            let values: Vec<_> = [0.1, 0.5, 0.9, 0.99].iter().map(|q| histogram.quantile(*q)).collect();
            prop_assert!(values.windows(2).all(|pair| pair[0] <= pair[1]), "{values:?}");
        }
    }
}
