//! A profile is fetched over HTTP while profiles are pushed: one profiler, two readers, nothing taken from either.

#![expect(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

use std::future::pending;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use prost::Message;
use pyroscope::encode::r#gen::push::PushRequest;
use telemetry::{AdminServer, Readiness, TelemetrySettings};
use tokio::sync::watch;

#[path = "support/pprof.rs"]
mod pprof;
#[path = "support/sink.rs"]
mod sink;

use pprof::{decode, gunzip, nanoseconds_in};
use sink::Sink;

/// A small part of the second for which the CPU is burnt: the machine may be busy with other work.
const SOME_CPU_NS: i64 = 30_000_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fetched_profile_and_the_push_both_see_the_same_work() {
    let pyroscope = Sink::start().await;
    let telemetry = telemetry::init(TelemetrySettings {
        pyroscope_url: Some(format!("http://{}", pyroscope.address).parse().unwrap()),
        ..TelemetrySettings::for_service("producer")
    })
    .unwrap();
    let (_readiness, seen) = watch::channel(Readiness::Ready);
    let admin = AdminServer::bind("127.0.0.1:0".parse().unwrap())
        .await
        .unwrap();
    let url = format!("http://{}/debug/pprof/profile?seconds=1", admin.address());
    tokio::spawn(admin.serve(telemetry.admin_routes(seen), pending()));

    let during = Burner::start(burn_during_the_fetch);
    let response = reqwest::get(&url).await.unwrap();
    assert_eq!(response.status(), 200);
    let fetched = decode(&gunzip(&response.bytes().await.unwrap()));
    during.stop();

    // The end of the fetched profile must leave the timer and the signal to the push.
    let after = Burner::start(burn_after_the_fetch);
    let second = decode(&gunzip(
        &reqwest::get(&url).await.unwrap().bytes().await.unwrap(),
    ));
    after.stop();
    tokio::task::spawn_blocking(move || telemetry.shutdown())
        .await
        .unwrap();

    assert!(
        nanoseconds_in(&fetched, "profile_push::burn_during_the_fetch") > SOME_CPU_NS,
        "{fetched:?}"
    );
    assert_eq!(
        nanoseconds_in(&fetched, "profile_push::burn_after_the_fetch"),
        0
    );
    assert!(
        nanoseconds_in(&second, "profile_push::burn_after_the_fetch") > SOME_CPU_NS,
        "{second:?}"
    );
    let seconds = fetched.duration_nanos as f64 / 1e9;
    assert!((1.0..10.0).contains(&seconds), "{seconds} s");

    let mut pushed_during = 0;
    let mut pushed_after = 0;
    while pushed_after < SOME_CPU_NS {
        let (path, body) = pyroscope.next();
        assert_eq!(path, "/push.v1.PusherService/Push");
        let push = PushRequest::decode(gunzip(&body).as_slice()).unwrap();
        let labels = push.series[0].labels.iter();
        let labels: Vec<_> = labels
            .map(|label| (label.name.as_str(), label.value.as_str()))
            .collect();
        assert_eq!(
            labels,
            [
                ("__name__", "process_cpu"),
                ("service_name", "producer"),
                ("namespace", "default"),
                ("pod", "producer-0"),
            ]
        );
        let profile = decode(&push.series[0].samples[0].raw_profile);
        pushed_during += nanoseconds_in(&profile, "profile_push::burn_during_the_fetch");
        pushed_after += nanoseconds_in(&profile, "profile_push::burn_after_the_fetch");
    }
    let fetched_during = nanoseconds_in(&fetched, "profile_push::burn_during_the_fetch");
    assert!(
        pushed_during >= fetched_during,
        "the fetch took {fetched_during} ns, the push has {pushed_during} ns"
    );
}

/// Burns CPU on a thread of its own until it is stopped.
struct Burner {
    thread: thread::JoinHandle<()>,
}

static BURNING: AtomicBool = AtomicBool::new(false);

impl Burner {
    fn start(burn: fn()) -> Self {
        BURNING.store(true, Ordering::Relaxed);
        Self {
            thread: thread::spawn(burn),
        }
    }

    fn stop(self) {
        BURNING.store(false, Ordering::Relaxed);
        self.thread.join().unwrap();
    }
}

#[inline(never)]
fn burn_during_the_fetch() {
    let mut sum: u64 = 1;
    while BURNING.load(Ordering::Relaxed) {
        sum = black_box(sum.wrapping_mul(31));
    }
}

#[inline(never)]
fn burn_after_the_fetch() {
    let mut sum: u64 = 1;
    while BURNING.load(Ordering::Relaxed) {
        sum = black_box(sum.wrapping_mul(37));
    }
}
