//! The figures of a run, each with its name, its unit, and which way is better.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

/// What a figure tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Figure {
    /// Messages that the broker confirmed, a second.
    Confirmed,
    /// Messages that the broker took acknowledgements for, a second.
    Acknowledged,
    /// From a publish to its confirm, the median.
    ConfirmP50,
    /// From a publish to its confirm, 99 of 100.
    ConfirmP99,
    /// From a publish to its consumer, the median.
    EndToEndP50,
    /// From a publish to its consumer, 99 of 100.
    EndToEndP99,
    /// CPU time of publishing and consuming processes together.
    ClientCpu,
    /// Peak resident memory of publishing and consuming processes together.
    ClientMemory,
    /// CPU time of the broker.
    BrokerCpu,
}

impl Figure {
    /// Every figure, in the order of the table.
    pub const ALL: [Self; 9] = [
        Self::Confirmed,
        Self::Acknowledged,
        Self::ConfirmP50,
        Self::ConfirmP99,
        Self::EndToEndP50,
        Self::EndToEndP99,
        Self::ClientCpu,
        Self::ClientMemory,
        Self::BrokerCpu,
    ];

    /// The name in JSON, with the unit.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed_per_second",
            Self::Acknowledged => "acknowledged_per_second",
            Self::ConfirmP50 => "confirm_latency_p50_ms",
            Self::ConfirmP99 => "confirm_latency_p99_ms",
            Self::EndToEndP50 => "end_to_end_latency_p50_ms",
            Self::EndToEndP99 => "end_to_end_latency_p99_ms",
            Self::ClientCpu => "client_cpu_seconds_per_million",
            Self::ClientMemory => "client_peak_memory_bytes",
            Self::BrokerCpu => "broker_cpu_seconds_per_million",
        }
    }

    /// The value as the table shows it.
    pub fn show(self, value: f64) -> String {
        match self {
            Self::Confirmed | Self::Acknowledged => format!("{value:.0}"),
            Self::ConfirmP50 | Self::ConfirmP99 | Self::EndToEndP50 | Self::EndToEndP99
                if value < 10.0 =>
            {
                format!("{value:.2}")
            }
            Self::ConfirmP50
            | Self::ConfirmP99
            | Self::EndToEndP50
            | Self::EndToEndP99
            | Self::ClientCpu
            | Self::BrokerCpu => format!("{value:.1}"),
            Self::ClientMemory => format!("{:.0}", value / f64::from(1 << 20)),
        }
    }
}

impl Serialize for Figure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// The figures of one run; one that could not be had is not in it.
pub type Figures = BTreeMap<Figure, f64>;

/// A figure over all runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// The middle one, or the mean of the two in the middle.
    pub median: f64,
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
    /// All, in the order of the runs.
    pub runs: Vec<f64>,
}

impl Spread {
    /// The spread of these values; `None` without any.
    pub fn of(runs: Vec<f64>) -> Option<Self> {
        let mut sorted = runs.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let (&min, &max) = (sorted.first()?, sorted.last()?);
        let median = if sorted.len() % 2 == 1 {
            sorted[middle]
        } else {
            f64::midpoint(sorted[middle - 1], sorted[middle])
        };
        Some(Self {
            median,
            min,
            max,
            runs,
        })
    }

    /// Half of what lies between the least and the greatest, in hundredths of the median.
    pub fn percent(&self) -> Option<f64> {
        (self.runs.len() > 1 && self.median > 0.0)
            .then(|| 50.0 * (self.max - self.min) / self.median)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        let spread = Spread::of(vec![3.0, 1.0, 2.0]).unwrap();
        assert_eq!((spread.min, spread.median, spread.max), (1.0, 2.0, 3.0));
        assert_eq!(spread.percent(), Some(50.0));
        assert_eq!(
            Spread::of(vec![4.0, 1.0]).unwrap().median.to_string(),
            "2.5"
        );
        assert_eq!(Spread::of(Vec::new()), None);
        assert_eq!(Spread::of(vec![1.0]).unwrap().percent(), None);
    }

    #[test]
    fn every_figure_has_a_name_of_its_own() {
        let names: std::collections::BTreeSet<_> =
            Figure::ALL.iter().map(|figure| figure.name()).collect();
        assert_eq!(names.len(), Figure::ALL.len());
    }
}
