//! Diagram 4: CPU profiles of the workload, from the process through Pyroscope to Grafana, joined with its metrics.

use blueprint::Component;
use jiff::{SignedDuration, Timestamp};

use crate::{
    client::{
        prometheus::Series,
        pyroscope::{Profile, Pyroscope},
    },
    context::Context,
    finding::{Finding, Probed},
    poll,
};

/// The time whose profiles are the last ones: the agent pushes every 10 s.
const WINDOW: SignedDuration = SignedDuration::from_secs(120);

/// What a frame of the workload's own code carries in its name.
const OWN_CODE: &str = "messaging::";

pub(crate) async fn producer_to_pyroscope(context: &Context<'_>) -> Probed {
    pushed(context, Component::Producer).await
}

pub(crate) async fn consumer_to_pyroscope(context: &Context<'_>) -> Probed {
    pushed(context, Component::Consumer).await
}

async fn pushed(context: &Context<'_>, service: Component) -> Probed {
    let pyroscope = context.pyroscope().await?;
    let what = format!("a profile of {service}");
    poll::until(&what, context.deadline, async || {
        let labels = [("service_name", service.name())];
        // Under a fault, the profiles of the last minutes still lie there and prove nothing.
        let since = if context.fresh {
            context.started_at
        } else {
            context.started_at - WINDOW
        };
        let profile = pyroscope.profile(&labels, since, Timestamp::now()).await?;
        own_frames(service, &profile)
    })
    .await
}

/// Whether a profile holds CPU time of the service's own code.
fn own_frames(service: Component, profile: &Profile) -> Probed {
    if profile.cpu_ns == 0 {
        return Err(Finding::at(
            service,
            format!("Pyroscope holds no samples of {service}"),
        ));
    }
    let own = profile.frames.iter().filter(|name| name.contains(OWN_CODE));
    // Drop glue and vtables carry its name among others; a plain function is what a reader knows.
    let Some(frame) = own.min_by_key(|name| (!name.starts_with(OWN_CODE), name.len())) else {
        return Err(Finding::new(
            format!(
                "none of {} frames of {service} is of `{OWN_CODE}`",
                profile.frames.len()
            ),
            "see whether the service was built with symbols and frame pointers",
        ));
    };
    Ok(format!(
        "{} ms of CPU in {} functions, {frame} among them",
        profile.cpu_ns / 1_000_000,
        profile.frames.len()
    ))
}

pub(crate) async fn pyroscope_to_grafana(context: &Context<'_>) -> Probed {
    /// A push may be under way for as long.
    const SETTLED: SignedDuration = SignedDuration::from_secs(15);

    let direct = context.pyroscope().await?;
    let through = context.grafana().await?.pyroscope();
    poll::until("Grafana", context.deadline, async || {
        let until = Timestamp::now() - SETTLED;
        let ask = async |pyroscope: &Pyroscope| {
            let labels = [("service_name", Component::Producer.name())];
            pyroscope.profile(&labels, until - WINDOW, until).await
        };
        same_profile(&ask(&direct).await?, &ask(&through).await?)
    })
    .await
}

/// Whether the same profile came back both ways.
fn same_profile(direct: &Profile, through: &Profile) -> Probed {
    if direct.cpu_ns != through.cpu_ns {
        return Err(Finding::at(
            Component::Grafana,
            format!(
                "Pyroscope holds {} ns of CPU, {} ns come through Grafana",
                direct.cpu_ns, through.cpu_ns
            ),
        ));
    }
    own_frames(Component::Producer, through)
}

pub(crate) async fn correlation(context: &Context<'_>) -> Probed {
    let expression = format!(
        "process_cpu_seconds_total{{service_name=\"{}\"}}",
        Component::Producer
    );
    let grafana = context.grafana().await?;
    let pyroscope = grafana.pyroscope();
    let what = "a metric and a profile of one pod";
    poll::until(what, context.deadline, async || {
        let now = Timestamp::now();
        let metrics = grafana.metrics(&expression, now).await?;
        let pod = pod(&metrics)?;
        let labels = [("service_name", Component::Producer.name()), ("pod", pod)];
        let profile = pyroscope.profile(&labels, now - WINDOW, now).await?;
        own_frames(Component::Producer, &profile)
            .map(|profile| format!("pod {pod} has process_cpu_seconds_total and {profile}"))
    })
    .await
}

/// The pod by which the metric's series is joined with a profile.
fn pod(metrics: &[Series]) -> Result<&str, Finding> {
    metrics
        .iter()
        .find_map(|series| series.labels.get("pod"))
        .map(String::as_str)
        .ok_or_else(|| {
            Finding::new(
                format!(
                    "no series of process_cpu_seconds_total has service_name=\"{}\" and a pod",
                    Component::Producer
                ),
                "see the target's labels on Prometheus' page /targets",
            )
        })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn profile(frames: &[&str], cpu_ns: u64) -> Profile {
        Profile {
            frames: frames.iter().copied().map(str::to_owned).collect(),
            cpu_ns,
        }
    }

    #[test]
    fn a_profile_needs_samples_and_frames_of_our_own() {
        let verdict = |profile| own_frames(Component::Producer, &profile);
        let evidence = verdict(profile(
            &["total", "messaging::publisher::publish"],
            30_000_000,
        ));
        assert_eq!(
            evidence.as_deref(),
            Ok("30 ms of CPU in 2 functions, messaging::publisher::publish among them")
        );
        assert!(verdict(profile(&["total"], 0)).is_err(), "empty");
        assert!(
            verdict(profile(&["total", "0x7f00", "epoll_wait"], 10)).is_err(),
            "without symbols"
        );
    }

    #[test]
    fn grafana_must_give_the_very_profile() {
        let own = ["messaging::consumer"];
        assert!(same_profile(&profile(&own, 10), &profile(&own, 10)).is_ok());
        assert!(same_profile(&profile(&own, 10), &profile(&own, 0)).is_err());
        assert!(same_profile(&profile(&[], 0), &profile(&[], 0)).is_err());
    }

    #[test]
    fn a_metric_without_a_pod_cannot_be_joined() {
        let series = |labels: &[(&str, &str)]| Series {
            labels: labels
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect::<BTreeMap<_, _>>(),
            value: 1.0,
        };
        assert_eq!(pod(&[series(&[("pod", "producer-0")])]), Ok("producer-0"));
        assert!(pod(&[series(&[("job", "producer")])]).is_err());
        assert!(pod(&[]).is_err());
    }
}
