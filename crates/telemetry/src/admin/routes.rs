//! `GET /healthz`, `GET /readyz`, `GET /metrics` and `GET /debug/pprof/profile?seconds=N`.

use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus::Registry;
use serde::Deserialize;
use tokio::sync::watch;
use tokio::task::spawn_blocking;

use crate::Readiness;
use crate::metrics::expose;
use crate::profile::{Sampler, gzip};

/// Of a profile that does not say how long it should be.
const DEFAULT_PROFILE_SECONDS: u64 = 10;

/// Of the longest profile: nobody waits for more in front of a terminal.
const MAX_PROFILE_SECONDS: u64 = 120;

/// The routes that each service has.
pub fn routes(
    readiness: watch::Receiver<Readiness>,
    registry: Registry,
    sampler: Sampler,
) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readyz).with_state(readiness))
        .route("/metrics", get(metrics).with_state(registry))
        .route("/debug/pprof/profile", get(profile).with_state(sampler))
}

async fn readyz(State(readiness): State<watch::Receiver<Readiness>>) -> (StatusCode, String) {
    // The channel closes when the part of the service that knows has ended.
    let sender_lives = readiness.has_changed().is_ok();
    answer(&readiness.borrow(), sender_lives, Instant::now())
}

fn answer(readiness: &Readiness, sender_lives: bool, now: Instant) -> (StatusCode, String) {
    match readiness {
        Readiness::NotReady { reason, since } => {
            let elapsed = now.saturating_duration_since(*since).as_secs_f64();
            (
                StatusCode::SERVICE_UNAVAILABLE,
                format!("not ready for {elapsed:.1} s: {reason}\n"),
            )
        }
        Readiness::Ready if sender_lives => (StatusCode::OK, "ready\n".to_owned()),
        Readiness::Ready => (
            StatusCode::SERVICE_UNAVAILABLE,
            "not ready: the service has ended\n".to_owned(),
        ),
    }
}

async fn metrics(State(registry): State<Registry>) -> Response {
    match expose(&registry) {
        Ok(text) => ([(CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("failed to write the metrics: {error}\n"),
        )
            .into_response(),
    }
}

/// Text, so that a bad number is answered in our words.
#[derive(Deserialize)]
struct ProfileQuery {
    seconds: Option<String>,
}

async fn profile(State(sampler): State<Sampler>, Query(query): Query<ProfileQuery>) -> Response {
    let window = match window(query.seconds.as_deref()) {
        Ok(window) => window,
        Err(words) => return (StatusCode::BAD_REQUEST, words).into_response(),
    };
    match record(sampler, window).await {
        Ok(profile) => {
            let headers = [
                (CONTENT_TYPE, "application/octet-stream"),
                (
                    CONTENT_DISPOSITION,
                    "attachment; filename=\"profile.pb.gz\"",
                ),
            ];
            (headers, profile).into_response()
        }
        Err(error) => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("failed to take a profile: {error}\n"),
        )
            .into_response(),
    }
}

fn window(seconds: Option<&str>) -> Result<Duration, String> {
    let Some(text) = seconds else {
        return Ok(Duration::from_secs(DEFAULT_PROFILE_SECONDS));
    };
    match text.parse() {
        Ok(seconds @ 1..=MAX_PROFILE_SECONDS) => Ok(Duration::from_secs(seconds)),
        _ => Err(format!(
            "`seconds` takes a whole number from 1 to {MAX_PROFILE_SECONDS}, not `{text}`\n"
        )),
    }
}

/// Records for `window`. A client that goes away ends the recording with this future.
async fn record(
    sampler: Sampler,
    window: Duration,
) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
    let mut recording = spawn_blocking(move || sampler.record()).await??;
    tokio::time::sleep(window).await;
    let profile =
        spawn_blocking(move || recording.take().map(|profile| profile.to_pprof())).await??;
    Ok(gzip(&profile)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_is_answered_with_the_reason_and_for_how_long() {
        let since = Instant::now();
        let now = since + Duration::from_millis(3_250);
        let waiting = Readiness::NotReady {
            reason: "connection refused".to_owned(),
            since,
        };

        for (readiness, sender_lives, expected) in [
            (&Readiness::Ready, true, (200, "ready\n")),
            (
                &Readiness::Ready,
                false,
                (503, "not ready: the service has ended\n"),
            ),
            (
                &waiting,
                true,
                (503, "not ready for 3.2 s: connection refused\n"),
            ),
            (
                &waiting,
                false,
                (503, "not ready for 3.2 s: connection refused\n"),
            ),
        ] {
            let (status, text) = answer(readiness, sender_lives, now);
            assert_eq!((status.as_u16(), text.as_str()), expected);
        }
    }

    #[test]
    fn a_profile_lasts_from_one_second_to_two_minutes() {
        for (given, seconds) in [
            (None, Some(10)),
            (Some("1"), Some(1)),
            (Some("120"), Some(120)),
        ] {
            assert_eq!(
                window(given).ok(),
                seconds.map(Duration::from_secs),
                "{given:?}"
            );
        }
        for given in ["0", "121", "-1", "1.5", "", "ten", "99999999999999999999"] {
            let words = window(Some(given)).unwrap_err();
            assert_eq!(
                words,
                format!("`seconds` takes a whole number from 1 to 120, not `{given}`\n")
            );
        }
    }
}
