//! Profiles on demand without Pyroscope: the profiler starts and stops with the requests.

#![expect(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

use std::future::pending;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use futures_util::future::join;
use telemetry::{AdminServer, Readiness, TelemetrySettings};
use tokio::sync::watch;

#[path = "support/pprof.rs"]
mod pprof;

use pprof::{decode, gunzip, nanoseconds_in};

/// A small part of the second for which the CPU is burnt: the machine may be busy with other work.
const SOME_CPU_NS: i64 = 30_000_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn profiles_can_be_fetched_one_after_another_and_at_the_same_time() {
    let telemetry = telemetry::init(TelemetrySettings::for_service("consumer")).unwrap();
    let (_readiness, seen) = watch::channel(Readiness::Ready);
    let admin = AdminServer::bind("127.0.0.1:0".parse().unwrap())
        .await
        .unwrap();
    let url = format!("http://{}/debug/pprof/profile?seconds=1", admin.address());
    tokio::spawn(admin.serve(telemetry.admin_routes(seen), pending()));
    let burning = Arc::new(AtomicBool::new(true));
    let burner = thread::spawn({
        let burning = Arc::clone(&burning);
        move || burn(&burning)
    });

    let first = fetch_nanoseconds(&url).await;
    let (second, third) = join(fetch_nanoseconds(&url), fetch_nanoseconds(&url)).await;
    burning.store(false, Ordering::Relaxed);
    burner.join().unwrap();

    for nanoseconds in [first, second, third] {
        assert!(nanoseconds > SOME_CPU_NS, "{first} {second} {third}");
    }
}

async fn fetch_nanoseconds(url: &str) -> i64 {
    let response = reqwest::get(url).await.unwrap();
    assert_eq!(response.status(), 200);
    let profile = decode(&gunzip(&response.bytes().await.unwrap()));
    nanoseconds_in(&profile, "profile_fetch::burn")
}

#[inline(never)]
fn burn(burning: &AtomicBool) {
    let mut sum: u64 = 1;
    while burning.load(Ordering::Relaxed) {
        sum = black_box(sum.wrapping_mul(31));
    }
}
