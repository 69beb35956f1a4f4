//! The claim behind every arrow `X->prometheus`: Prometheus holds what X says, and says so of late.

use std::time::Duration;

use blueprint::Component;
use jiff::{SignedDuration, Timestamp};

use crate::{
    client::{
        exposition,
        prometheus::{Prometheus, Series},
    },
    context::Context,
    finding::{Finding, Probed},
    poll,
};

/// How many scrape intervals old the newest sample may be.
const INTERVALS: u32 = 3;

/// The value by which a process is recognised in Prometheus: one that no other process of the same program has.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mark {
    /// A metric whose value differs between processes.
    Value(&'static str),
    /// A label of an information metric.
    Label {
        metric: &'static str,
        label: &'static str,
    },
}

impl Mark {
    /// The component's own word.
    fn offered(self, exposition: &str) -> Option<String> {
        match self {
            Self::Value(metric) => {
                exposition::value(exposition, metric).map(|value| value.to_string())
            }
            Self::Label { metric, label } => {
                let sample = exposition::samples(exposition, metric).next()?;
                sample.label(label).map(str::to_owned)
            }
        }
    }

    /// Prometheus' word on one series.
    fn stored(self, series: &Series) -> Option<String> {
        match self {
            Self::Value(_) => Some(series.value.to_string()),
            Self::Label { label, .. } => series.labels.get(label).cloned(),
        }
    }

    fn metric(self) -> &'static str {
        match self {
            Self::Value(metric) | Self::Label { metric, .. } => metric,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Value(metric) => metric,
            Self::Label { label, .. } => label,
        }
    }
}

/// Proves that Prometheus scrapes the component's port of this name, and that what it holds is this process's.
pub(crate) async fn scraped(
    context: &Context<'_>,
    component: Component,
    port: &str,
    mark: Mark,
) -> Probed {
    let prometheus = context.prometheus().await?;
    let own = context.port(component, port).await?;
    let what = format!("Prometheus to hold what {component} says");
    poll::until(&what, context.deadline, async || {
        let age = fresh(&prometheus, component).await?;
        let exposition = own.get("/metrics").text().await?;
        let offered = mark.offered(&exposition).ok_or_else(|| {
            Finding::at(
                component,
                format!("{component} offers no {}", mark.metric()),
            )
        })?;
        let expression = format!("{}{{job=\"{component}\"}}", mark.metric());
        let stored: Vec<_> = prometheus
            .query(&expression, None)
            .await?
            .iter()
            .filter_map(|series| mark.stored(series))
            .collect();
        compare(component, mark, &offered, &stored)?;
        Ok(format!(
            "up, scraped {:.1} s ago, {} {offered} on both sides",
            age.as_secs_f64(),
            mark.name()
        ))
    })
    .await
}

fn compare(
    component: Component,
    mark: Mark,
    offered: &str,
    stored: &[String],
) -> Result<(), Finding> {
    if stored.iter().any(|stored| stored == offered) {
        return Ok(());
    }
    let stored = match stored {
        [] => "none".to_owned(),
        stored => stored.join(", "),
    };
    Err(Finding::new(
        format!(
            "{component} says {} {offered}, Prometheus holds {stored}",
            mark.name()
        ),
        format!(
            "see which address Prometheus scrapes for the job `{component}` on its page /targets"
        ),
    ))
}

/// The series of a selector whose newest sample is no older than three scrapes. Without that, Prometheus answers with
/// samples of up to 5 minutes ago, of targets that it had before it was restarted.
pub(crate) fn recent(selector: &str, interval: Duration) -> String {
    let bound = (interval * INTERVALS).as_secs_f64();
    format!("{selector} and time() - timestamp({selector}) <= {bound}")
}

/// How old the newest sample of `up` is, where it is 1 and no older than three scrapes.
pub(crate) async fn fresh(
    prometheus: &Prometheus,
    component: Component,
) -> Result<SignedDuration, Finding> {
    let job = component.name();
    let targets = prometheus.targets(job).await?;
    let Some(target) = targets.first() else {
        return Err(Finding::new(
            format!("Prometheus has no target of the job `{job}`"),
            "see manifests/prometheus/prometheus.yml and Prometheus' page /service-discovery",
        ));
    };
    let selector = format!("up{{job=\"{job}\"}}");
    let up = prometheus
        .query(&recent(&selector, target.interval()), None)
        .await?;
    let newest = prometheus
        .query(&format!("max(timestamp({selector}))"), None)
        .await?;
    let newest = newest.first().map(|series| series.value);
    judge(component, &up, newest, Timestamp::now())
}

/// The verdict over the recent samples of `up` and the time of the newest one, recent or not.
fn judge(
    component: Component,
    up: &[Series],
    newest_seconds: Option<f64>,
    now: Timestamp,
) -> Result<SignedDuration, Finding> {
    let page = format!("see the job `{component}` on Prometheus' page /targets");
    let Some(newest) = newest_seconds else {
        let reason = format!("Prometheus has not scraped {component} yet");
        return Err(Finding::new(reason, page));
    };
    let age = now.as_duration() - SignedDuration::from_secs_f64(newest);
    if up.is_empty() {
        let reason = format!(
            "the newest sample of {component} is {:.1} s old, more than {INTERVALS} scrapes",
            age.as_secs_f64()
        );
        return Err(Finding::new(reason, page));
    }
    if let Some(down) = up.iter().find(|series| series.value != 1.0) {
        let instance = down.labels.get("instance").map_or("?", String::as_str);
        let value = down.value;
        let reason = format!("Prometheus cannot scrape {component} at {instance}: up is {value}");
        return Err(Finding::new(reason, page));
    }
    Ok(age)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn up(value: f64) -> Series {
        Series {
            labels: BTreeMap::from([("instance".to_owned(), "127.0.0.1:9464".to_owned())]),
            value,
        }
    }

    fn verdict(up: &[Series], newest: Option<f64>) -> Result<SignedDuration, String> {
        let now = Timestamp::from_second(1_000).unwrap();
        judge(Component::Producer, up, newest, now).map_err(|finding| finding.reason)
    }

    #[test]
    fn a_recent_sample_of_a_target_that_is_up_holds() {
        assert_eq!(
            verdict(&[up(1.0)], Some(997.5)),
            Ok(SignedDuration::from_millis(2500))
        );
    }

    #[test]
    fn one_of_two_targets_down_is_told_by_its_instance() {
        let reason = verdict(&[up(1.0), up(0.0)], Some(999.0)).unwrap_err();
        assert_eq!(
            reason,
            "Prometheus cannot scrape producer at 127.0.0.1:9464: up is 0"
        );
    }

    #[test]
    fn an_old_sample_is_not_believed() {
        let reason = verdict(&[], Some(984.0)).unwrap_err();
        assert_eq!(
            reason,
            "the newest sample of producer is 16.0 s old, more than 3 scrapes"
        );
    }

    #[test]
    fn recent_means_three_scrapes() {
        assert_eq!(
            recent("up{job=\"x\"}", Duration::from_secs(5)),
            "up{job=\"x\"} and time() - timestamp(up{job=\"x\"}) <= 15"
        );
    }

    #[test]
    fn no_sample_is_no_proof() {
        assert!(verdict(&[], None).is_err());
        assert!(verdict(&[up(1.0)], None).is_err());
    }

    #[test]
    fn another_process_behind_the_target_is_noticed() {
        let mark = Mark::Value("process_start_time_seconds");
        let exposition = "process_start_time_seconds 1.795476744e+09\n";
        let offered = mark.offered(exposition).unwrap();
        let stored = |value| {
            mark.stored(&Series {
                labels: BTreeMap::new(),
                value,
            })
            .unwrap()
        };
        assert_eq!(
            compare(
                Component::Producer,
                mark,
                &offered,
                &[stored(1_795_476_744.0)]
            ),
            Ok(())
        );
        let told = compare(Component::Producer, mark, &offered, &[stored(1.5)]).unwrap_err();
        assert_eq!(
            told.reason,
            "producer says process_start_time_seconds 1795476744, Prometheus holds 1.5"
        );
    }

    #[test]
    fn a_label_marks_a_program_without_a_start_time() {
        let mark = Mark::Label {
            metric: "rabbitmq_identity_info",
            label: "rabbitmq_cluster_permanent_id",
        };
        let exposition = "rabbitmq_identity_info{rabbitmq_cluster_permanent_id=\"id-7\"} 1\n";
        assert_eq!(mark.offered(exposition).as_deref(), Some("id-7"));
        assert_eq!(mark.offered("other 1\n"), None);
    }
}
