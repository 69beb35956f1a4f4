//! The admin server as a kubelet, Prometheus and an operator see it.

#![expect(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

use std::future::pending;
use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use telemetry::{
    AdminServer, DRAIN_BOUND, Readiness, TelemetryError, TelemetryGuard, TelemetrySettings,
};
use tokio::sync::{oneshot, watch};

/// Longer than anything that works takes.
const BOUND: Duration = Duration::from_secs(30);

static TELEMETRY: LazyLock<TelemetryGuard> =
    LazyLock::new(|| telemetry::init(TelemetrySettings::for_service("producer")).unwrap());

#[tokio::test]
async fn liveness_never_follows_readiness() {
    let (readiness, seen) = watch::channel(Readiness::not_ready("broker refuses the password"));
    let admin = serve(TELEMETRY.admin_routes(seen)).await;

    let (status, text) = get_text(admin, "/readyz").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(text.contains("broker refuses the password"), "{text}");
    assert_eq!(get_text(admin, "/healthz").await.0, StatusCode::OK);

    readiness.send_replace(Readiness::Ready);
    assert_eq!(get_text(admin, "/readyz").await.0, StatusCode::OK);

    drop(readiness);
    assert_eq!(
        get_text(admin, "/readyz").await.0,
        StatusCode::SERVICE_UNAVAILABLE
    );
    assert_eq!(get_text(admin, "/healthz").await.0, StatusCode::OK);
}

#[tokio::test]
async fn instruments_appear_under_their_prometheus_names_without_scope_labels() {
    let meter = TELEMETRY.meter("messaging");
    meter
        .u64_counter("lab.messages.published")
        .build()
        .add(3, &[]);
    meter
        .u64_gauge("lab.outstanding.confirms")
        .build()
        .record(2, &[]);
    meter
        .f64_histogram("lab.confirm.latency")
        .with_unit("s")
        .with_boundaries(vec![0.0005, 0.001])
        .build()
        .record(0.0007, &[]);
    let (_readiness, seen) = watch::channel(Readiness::Ready);
    let admin = serve(TELEMETRY.admin_routes(seen)).await;

    let (status, text) = get_text(admin, "/metrics").await;

    assert_eq!(status, StatusCode::OK);
    for line in [
        "lab_messages_published_total 3",
        "# TYPE lab_messages_published_total counter",
        "lab_outstanding_confirms 2",
        "lab_confirm_latency_seconds_bucket{le=\"0.0005\"} 0",
        "lab_confirm_latency_seconds_bucket{le=\"0.001\"} 1",
        "lab_confirm_latency_seconds_count 1",
        "# TYPE process_cpu_seconds_total counter",
        "# TYPE process_start_time_seconds gauge",
    ] {
        assert!(
            text.lines().any(|found| found == line),
            "{line} is not in:\n{text}"
        );
    }
    assert!(
        !text.contains("otel_scope") && !text.contains("target_info"),
        "{text}"
    );
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_process_tells_its_memory_and_files_on_linux() {
    let (_readiness, seen) = watch::channel(Readiness::Ready);
    let admin = serve(TELEMETRY.admin_routes(seen)).await;

    let (_, text) = get_text(admin, "/metrics").await;

    let value = |name: &str| -> f64 {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("{name} is not in:\n{text}"))
            .trim()
            .parse()
            .unwrap()
    };
    assert!(value("process_resident_memory_bytes ") > 1_000_000.0);
    assert!(value("process_open_fds ") >= 3.0);
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let age = now.as_secs_f64() - value("process_start_time_seconds ");
    assert!((0.0..600.0).contains(&age), "{age} s old");
}

#[tokio::test]
async fn a_services_own_routes_are_served_beside() {
    let (_readiness, seen) = watch::channel(Readiness::Ready);
    let own = Router::new().route("/tracer", get(async || "mine"));
    let admin = serve(TELEMETRY.admin_routes(seen).merge(own)).await;

    assert_eq!(
        get_text(admin, "/tracer").await,
        (StatusCode::OK, "mine".to_owned())
    );
    assert_eq!(
        get_text(admin, "/healthz").await,
        (StatusCode::OK, "ok\n".to_owned())
    );
}

#[tokio::test]
async fn a_profile_of_a_senseless_length_is_refused_in_words() {
    let (_readiness, seen) = watch::channel(Readiness::Ready);
    let admin = serve(TELEMETRY.admin_routes(seen)).await;

    let (status, text) = get_text(admin, "/debug/pprof/profile?seconds=121").await;

    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(
        text,
        "`seconds` takes a whole number from 1 to 120, not `121`\n"
    );
}

#[tokio::test]
async fn a_taken_port_is_named_in_the_error() {
    let first = AdminServer::bind("127.0.0.1:0".parse().unwrap())
        .await
        .unwrap();

    let error = AdminServer::bind(first.address()).await.unwrap_err();

    assert!(matches!(error, TelemetryError::Bind { address, .. } if address == first.address()));
    assert_eq!(
        error.to_string(),
        format!("listen for admin requests on {}", first.address())
    );
    let hint = error.hint().unwrap();
    assert!(hint.contains(&first.address().port().to_string()), "{hint}");
}

#[tokio::test]
async fn a_second_initialisation_is_an_error() {
    LazyLock::force(&TELEMETRY);

    let second = telemetry::init(TelemetrySettings::for_service("producer"));

    assert!(matches!(
        second,
        Err(TelemetryError::AlreadyInitialised { .. })
    ));
}

#[tokio::test]
async fn the_server_ends_in_time_although_a_request_never_does() {
    let (arrived, has_arrived) = watch::channel(false);
    let stuck = Router::new().route(
        "/stuck",
        get(async move || {
            arrived.send_replace(true);
            pending::<()>().await;
        }),
    );
    let (stop, stopped) = oneshot::channel::<()>();
    let server = AdminServer::bind("127.0.0.1:0".parse().unwrap())
        .await
        .unwrap();
    let address = server.address();
    let serving = tokio::spawn(server.serve(stuck, async move { stopped.await.unwrap() }));
    let request = tokio::spawn(reqwest::get(format!("http://{address}/stuck")));
    has_arrived
        .clone()
        .wait_for(|arrived| *arrived)
        .await
        .unwrap();

    let begun = Instant::now();
    stop.send(()).unwrap();
    tokio::time::timeout(BOUND, serving)
        .await
        .unwrap()
        .unwrap()
        .unwrap();

    assert!(
        begun.elapsed() >= DRAIN_BOUND,
        "the request was not given its time"
    );
    request.abort();
}

#[tokio::test]
async fn the_server_ends_at_once_when_nothing_is_under_way() {
    let (stop, stopped) = oneshot::channel::<()>();
    let server = AdminServer::bind("127.0.0.1:0".parse().unwrap())
        .await
        .unwrap();
    let address = server.address();
    let serving = tokio::spawn(server.serve(Router::new(), async move { stopped.await.unwrap() }));
    // Leaves an idle connection behind, as Prometheus does.
    let client = reqwest::Client::new();
    client
        .get(format!("http://{address}/"))
        .send()
        .await
        .unwrap();

    let begun = Instant::now();
    stop.send(()).unwrap();
    tokio::time::timeout(BOUND, serving)
        .await
        .unwrap()
        .unwrap()
        .unwrap();

    assert!(
        begun.elapsed() < DRAIN_BOUND,
        "an idle connection held the server up"
    );
}

async fn serve(routes: Router) -> SocketAddr {
    let server = AdminServer::bind("127.0.0.1:0".parse().unwrap())
        .await
        .unwrap();
    let address = server.address();
    tokio::spawn(server.serve(routes, pending()));
    address
}

async fn get_text(admin: SocketAddr, path: &str) -> (StatusCode, String) {
    let response = reqwest::get(format!("http://{admin}{path}")).await.unwrap();
    (response.status(), response.text().await.unwrap())
}
