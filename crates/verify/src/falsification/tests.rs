//! Falsification on a lab of stubs: every path ends healed.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use blueprint::{Account, Component};
use futures_util::future::BoxFuture;

use super::*;
use crate::engine::{EngineError, Fault, NodeFacts, Presence};

/// An engine whose node-exporter tells the truth, lies under a fault that takes effect, or ignores the fault.
struct Stub {
    exporter: SocketAddr,
    lies: Arc<AtomicBool>,
    effective: bool,
    refuses: bool,
    log: Mutex<Vec<&'static str>>,
}

impl Stub {
    fn new(effective: bool, refuses: bool) -> Self {
        let lies = Arc::new(AtomicBool::new(false));
        Self {
            exporter: exporter(Arc::clone(&lies)),
            lies,
            effective,
            refuses,
            log: Mutex::default(),
        }
    }

    fn log(&self) -> Vec<&'static str> {
        self.log.lock().unwrap().clone()
    }
}

/// Serves a node-exporter's metrics until the process ends.
fn exporter(lies: Arc<AtomicBool>) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 1024];
            let _ = stream.read(&mut request);
            let memory = if lies.load(Ordering::SeqCst) { 1 } else { 1024 };
            let body = format!("node_memory_MemTotal_bytes {memory}\n");
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
        }
    });
    address
}

impl Engine for Stub {
    fn name(&self) -> &'static str {
        "stub"
    }

    fn lab(&self) -> &str {
        "test"
    }

    fn presence(&self, component: Component) -> Presence {
        if component == Component::NodeExporter {
            return Presence::Present;
        }
        Presence::Absent {
            reason: format!("no {component} in the stub"),
            remedy: "none".to_owned(),
        }
    }

    fn address(
        &self,
        component: Component,
        port: &str,
    ) -> BoxFuture<'_, Result<SocketAddr, EngineError>> {
        let port = port.to_owned();
        Box::pin(async move { Err(EngineError::UnknownPort { component, port }) })
    }

    fn password(&self, account: Account) -> Result<String, EngineError> {
        Err(EngineError::Password {
            account,
            source: "stub".into(),
        })
    }

    fn nodes(&self) -> BoxFuture<'_, Result<Vec<NodeFacts>, EngineError>> {
        Box::pin(async {
            Ok(vec![NodeFacts {
                name: "node".to_owned(),
                memory_bytes: 1024,
                booted_at_seconds: None,
                exporter: self.exporter,
            }])
        })
    }

    fn inject(&self, fault: Fault) -> BoxFuture<'_, Result<(), EngineError>> {
        Box::pin(async move {
            self.log.lock().unwrap().push("inject");
            self.lies.store(self.effective, Ordering::SeqCst);
            if self.refuses {
                return Err(EngineError::Unsupported { fault });
            }
            Ok(())
        })
    }

    fn heal(&self, _fault: Fault) -> BoxFuture<'_, Result<(), EngineError>> {
        Box::pin(async {
            self.log.lock().unwrap().push("heal");
            self.lies.store(false, Ordering::SeqCst);
            Ok(())
        })
    }
}

const ARROWS: [Arrow; 2] = [Arrow::NodesToNodeExporter, Arrow::NodeExporterToPrometheus];

/// Falsifies with a short patience; a red probe is waited for all the same.
async fn run(stub: &Stub) -> Report {
    let options = Options {
        deadline: Some(Duration::from_millis(500)),
    };
    falsify(stub, &ARROWS, options, &()).await
}

#[tokio::test]
async fn a_probe_that_notices_is_falsified_and_everything_is_healed() {
    let stub = Stub::new(true, false);
    let report = run(&stub).await;
    assert_eq!(
        report.arrows[0].falsification,
        Some(Falsification::Falsified),
        "{report:?}"
    );
    assert!(matches!(report.arrows[0].outcome, Outcome::Proven { .. }));
    assert_eq!(stub.log(), ["inject", "heal"]);
    assert!(report.all_hold());
}

#[tokio::test]
async fn an_absent_arrow_is_left_alone_and_not_falsified() {
    let stub = Stub::new(true, false);
    let report = falsify(&stub, &ARROWS[1..], Options::default(), &()).await;
    let arrow = &report.arrows[0];
    assert!(matches!(arrow.outcome, Outcome::Absent { .. }));
    assert_eq!(arrow.falsification, Some(not_falsified("it is absent")));
    assert!(stub.log().is_empty());
}

#[tokio::test]
async fn a_fault_that_cannot_be_injected_is_healed_all_the_same() {
    let stub = Stub::new(true, true);
    let report = run(&stub).await;
    let Some(Falsification::NotFalsified { reason }) = &report.arrows[0].falsification else {
        panic!("{report:?}");
    };
    assert!(
        reason.starts_with("`node-exporter stopped` could not be injected: "),
        "{reason}"
    );
    assert_eq!(stub.log(), ["inject", "heal"]);
    assert!(!report.all_hold());
}

#[tokio::test]
async fn an_arrow_that_is_broken_from_the_start_is_not_touched() {
    let stub = Stub::new(true, false);
    stub.lies.store(true, Ordering::SeqCst);
    let report = run(&stub).await;
    assert!(matches!(report.arrows[0].outcome, Outcome::Broken { .. }));
    assert!(stub.log().is_empty());
}

/// Drops itself the moment the fault is in place, as Ctrl-C does.
async fn dropped_under_the_fault(stub: &Stub) {
    struct Watch(tokio::sync::Notify);
    impl Observer for Watch {
        fn phase(&self, _arrow: Arrow, phase: Phase, _what: &str) {
            if phase == Phase::WaitingForRed {
                self.0.notify_one();
            }
        }
    }
    let watch = Watch(tokio::sync::Notify::new());
    tokio::select! {
        report = falsify(stub, &ARROWS[..1], Options::default(), &watch) => panic!("{report:?}"),
        () = watch.0.notified() => {}
    }
}

#[tokio::test]
async fn a_dropped_falsification_has_healed_when_the_drop_returns() {
    let stub = Stub::new(true, false);
    dropped_under_the_fault(&stub).await;
    assert_eq!(stub.log(), ["inject", "heal"]);
    assert!(!stub.lies.load(Ordering::SeqCst));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_dropped_falsification_heals_on_a_runtime_with_threads_too() {
    let stub = Stub::new(true, false);
    dropped_under_the_fault(&stub).await;
    assert_eq!(stub.log(), ["inject", "heal"]);
}

#[test]
fn a_panic_under_the_fault_heals() {
    struct Panics;
    impl Observer for Panics {
        fn phase(&self, _arrow: Arrow, phase: Phase, _what: &str) {
            assert!(phase != Phase::WaitingForRed, "on purpose");
        }
    }
    let stub = Stub::new(true, false);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        runtime.block_on(falsify(&stub, &ARROWS[..1], Options::default(), &Panics))
    }));
    assert!(unwound.is_err());
    assert_eq!(stub.log(), ["inject", "heal"]);
}

#[test]
fn the_verdict_tells_red_green_and_neither() {
    let sabotage = Sabotage::of(Arrow::NodesToNodeExporter);
    let green = || Ok("seen".to_owned());
    let broken = || Err(Finding::new("nothing", "look"));

    let (outcome, falsification) = judge(sabotage, Ok(true), green());
    assert!(matches!(outcome, Outcome::Proven { .. }));
    assert_eq!(falsification, Falsification::Falsified);

    let (outcome, falsification) = judge(sabotage, Ok(false), green());
    assert!(matches!(outcome, Outcome::Proven { .. }));
    assert_eq!(
        falsification,
        not_falsified("the probe stayed green for 60 s under `node-exporter stopped`")
    );

    let (outcome, falsification) = judge(sabotage, Ok(true), broken());
    assert_eq!(
        outcome,
        Outcome::Broken {
            reason: "not whole again 120 s after `node-exporter stopped`: nothing".to_owned(),
            remedy: "look".to_owned(),
        }
    );
    assert!(matches!(falsification, Falsification::NotFalsified { .. }));
}

#[test]
fn a_red_probe_has_waited_for_what_comes_only_every_so_often() {
    let seconds = Duration::from_secs;
    let pushed = Arrow::ProducerToPyroscope;
    assert!(red_patience(pushed, seconds(1)) > seconds(10), "one push");
    assert_eq!(red_patience(pushed, seconds(30)), seconds(60));
    let scraped = Arrow::ProducerToPrometheus;
    assert!(
        red_patience(scraped, Duration::ZERO) > seconds(5),
        "one scrape"
    );
}
