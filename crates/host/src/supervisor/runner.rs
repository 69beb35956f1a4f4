//! One unit's life: wait for what it needs, run it, watch it, end it, start it again.

use std::{process::Stdio, sync::Arc, time::Duration};

use jiff::Timestamp;
use rustix::process::{Pid, Signal};
use tokio::{
    process::{Child, Command},
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::{Instant, sleep},
};
use uuid::Uuid;

use super::{
    back_off::BackOff,
    board::Board,
    group,
    output::{LastWords, carry},
};
use crate::{
    Unit, UnitState, UnitStatus,
    cri::{CriLog, Stream},
    leftovers::MARK,
    readiness,
    unit::Readiness,
};

/// How often a starting unit is asked whether it is ready.
const READINESS_INTERVAL: Duration = Duration::from_millis(100);

/// How often a ready unit is asked whether it still is.
const LIVENESS_INTERVAL: Duration = Duration::from_secs(2);

enum Order {
    Start,
    Stop(oneshot::Sender<()>),
    Reload,
    Retire,
}

/// The handle of a unit's task.
pub(super) struct Runner {
    unit: Unit,
    orders: mpsc::Sender<Order>,
    task: JoinHandle<()>,
}

impl Runner {
    pub(super) fn spawn(unit: Unit, board: Board, instance: Uuid, http: reqwest::Client) -> Self {
        let (orders, inbox) = mpsc::channel(8);
        board.put(UnitStatus {
            unit: unit.clone(),
            state: UnitState::Waiting,
            pid: None,
            restarts: 0,
            reason: None,
            started_at: None,
            ready_at: None,
        });
        let life = Life {
            unit: unit.clone(),
            board,
            instance,
            inbox,
            http,
        };
        Self {
            unit,
            orders,
            task: tokio::spawn(life.run()),
        }
    }

    pub(super) fn unit(&self) -> &Unit {
        &self.unit
    }

    // The task takes orders for as long as its handle exists, so none of these can fail to arrive.

    pub(super) async fn start(&self) {
        let _ = self.orders.send(Order::Start).await;
    }

    pub(super) async fn reload(&self) {
        let _ = self.orders.send(Order::Reload).await;
    }

    /// Returns when the unit's processes are gone.
    pub(super) async fn stop(&self) {
        let (done, stopped) = oneshot::channel();
        let _ = self.orders.send(Order::Stop(done)).await;
        let _ = stopped.await;
    }

    /// Ends the unit and its task; returns when its processes are gone.
    pub(super) async fn retire(self) {
        let _ = self.orders.send(Order::Retire).await;
        let _ = self.task.await;
    }
}

/// How one run of the unit's process came to its end.
enum End {
    /// By itself.
    Exited { reason: String, life: Duration },
    /// On request; the unit stays stopped.
    Stopped,
    /// On request; the unit is no longer wanted.
    Retired,
}

struct Life {
    unit: Unit,
    board: Board,
    instance: Uuid,
    inbox: mpsc::Receiver<Order>,
    http: reqwest::Client,
}

impl Life {
    async fn run(mut self) {
        let mut back_off = BackOff::default();
        loop {
            let end = match self.wait_for_dependencies().await {
                None => self.live().await,
                Some(end) => end,
            };
            let next = match end {
                End::Retired => return,
                End::Stopped => self.stay_stopped().await,
                End::Exited { reason, life } => {
                    let pause = back_off.after(life);
                    self.pause(reason, pause).await
                }
            };
            if matches!(next, Some(End::Retired)) {
                return;
            }
        }
    }

    fn update(&self, change: impl FnOnce(&mut UnitStatus)) {
        self.board.update(&self.unit.name, change);
    }

    async fn wait_for_dependencies(&mut self) -> Option<End> {
        let missing = self.board.not_ready(&self.unit.after);
        if missing.is_empty() {
            return None;
        }
        self.update(|status| {
            status.state = UnitState::Waiting;
            status.reason = Some(format!("waits for {}", missing.join(", ")));
        });
        loop {
            tokio::select! {
                () = self.board.ready(&self.unit.after) => return None,
                order = self.inbox.recv() => match order {
                    Some(Order::Start | Order::Reload) => {}
                    Some(Order::Stop(done)) => {
                        let _ = done.send(());
                        return Some(End::Stopped);
                    }
                    Some(Order::Retire) | None => return Some(End::Retired),
                },
            }
        }
    }

    async fn stay_stopped(&mut self) -> Option<End> {
        self.update(|status| {
            status.state = UnitState::Stopped;
            status.pid = None;
            status.reason = Some("stopped on request".to_owned());
        });
        loop {
            match self.inbox.recv().await {
                Some(Order::Start) => return None,
                Some(Order::Reload) => {}
                // Whoever asks twice is told at once.
                Some(Order::Stop(done)) => drop(done),
                Some(Order::Retire) | None => return Some(End::Retired),
            }
        }
    }

    async fn pause(&mut self, reason: String, pause: Duration) -> Option<End> {
        self.update(|status| {
            status.state = UnitState::BackOff;
            status.pid = None;
            status.restarts += 1;
            status.reason = Some(reason);
        });
        let until = Instant::now() + pause;
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(until) => return None,
                order = self.inbox.recv() => match order {
                    Some(Order::Start) => return None,
                    Some(Order::Reload) => {}
                    Some(Order::Stop(done)) => {
                        let _ = done.send(());
                        return self.stay_stopped().await;
                    }
                    Some(Order::Retire) | None => return Some(End::Retired),
                },
            }
        }
    }

    /// Starts the process and stays with it to its end.
    async fn live(&mut self) -> End {
        let born = Instant::now();
        let last_words = LastWords::default();
        let (mut child, group) = match self.start(&last_words) {
            Ok(started) => started,
            Err(reason) => {
                return End::Exited {
                    reason,
                    life: Duration::ZERO,
                };
            }
        };
        self.update(|status| {
            status.state = UnitState::Starting;
            status.pid = Some(group.as_raw_nonzero().get());
            status.reason = Some("not asked yet".to_owned());
            status.started_at = Some(Timestamp::now());
            status.ready_at = None;
        });
        let watching = watch(&self.unit, &self.board, &self.http);
        tokio::pin!(watching);
        let end = loop {
            tokio::select! {
                status = child.wait() => {
                    let words = last_words.get();
                    let how = status.map_or_else(|error| error.to_string(), |status| status.to_string());
                    let reason = if words.is_empty() { how } else { format!("{how}; it said: {words}") };
                    break End::Exited { reason, life: born.elapsed() };
                }
                order = self.inbox.recv() => match order {
                    Some(Order::Start) => {}
                    Some(Order::Reload) => group::signal(group, Signal::HUP),
                    Some(Order::Stop(done)) => {
                        self.end(&mut child, group).await;
                        let _ = done.send(());
                        return End::Stopped;
                    }
                    Some(Order::Retire) | None => {
                        self.end(&mut child, group).await;
                        return End::Retired;
                    }
                },
                // Never completes: a unit is watched for as long as it lives.
                () = &mut watching => {}
            }
        };
        // The leader is gone; whatever it left behind in its group goes too before a successor starts.
        group::end(group, self.unit.stop_grace).await;
        end
    }

    fn start(&self, last_words: &LastWords) -> Result<(Child, Pid), String> {
        let unit = &self.unit;
        let log = CriLog::open(&unit.log_directory)
            .map_err(|error| format!("cannot write {}: {error}", unit.log_directory.display()))?;
        let log = Arc::new(log);
        let mut child = Command::new(&unit.program)
            .args(&unit.arguments)
            .envs(&unit.environment)
            .env(MARK, self.instance.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(|error| format!("cannot start {}: {error}", unit.program.display()))?;
        let group = child
            .id()
            .and_then(|id| Pid::from_raw(id.cast_signed()))
            .ok_or("it ended before it was seen")?;
        let failed = {
            let (board, name) = (self.board.clone(), unit.name.clone());
            move |error: std::io::Error| {
                board.update(&name, |status| {
                    status.reason = Some(format!("its log cannot be written: {error}"));
                });
            }
        };
        if let Some(pipe) = child.stdout.take() {
            carry(
                pipe,
                Stream::Stdout,
                log.clone(),
                last_words.clone(),
                failed.clone(),
            );
        }
        if let Some(pipe) = child.stderr.take() {
            carry(pipe, Stream::Stderr, log, last_words.clone(), failed);
        }
        Ok((child, group))
    }

    async fn end(&self, child: &mut Child, group: Pid) {
        let reap = async {
            // The status of a process that was told to end says nothing new.
            let _ = child.wait().await;
        };
        tokio::join!(reap, group::end(group, self.unit.stop_grace));
    }
}

/// Asks a unit again and again whether it is ready and writes the answers on the board.
async fn watch(unit: &Unit, board: &Board, http: &reqwest::Client) {
    loop {
        match readiness::ask(unit, http).await {
            Ok(()) => break,
            Err(reason) => board.update(&unit.name, |status| status.reason = Some(reason)),
        }
        sleep(READINESS_INTERVAL).await;
    }
    board.update(&unit.name, |status| {
        status.state = UnitState::Ready;
        status.reason = None;
        status.ready_at = Some(Timestamp::now());
    });
    let question = still_ready(unit);
    loop {
        sleep(LIVENESS_INTERVAL).await;
        let answer = readiness::ask(&question, http).await;
        board.update(&unit.name, |status| match answer {
            Ok(()) => {
                status.state = UnitState::Ready;
                status.reason = None;
            }
            Err(reason) => {
                status.state = UnitState::Starting;
                status.reason = Some(reason);
            }
        });
    }
}

/// The unit with a question that is cheap enough to be asked every few seconds.
fn still_ready(unit: &Unit) -> Unit {
    let readiness = match &unit.readiness {
        Readiness::Command { port, .. } => Readiness::Tcp(*port),
        Readiness::ObjectStore { port, .. } => {
            Readiness::Http(format!("http://127.0.0.1:{port}/minio/health/ready"))
        }
        cheap => cheap.clone(),
    };
    Unit {
        readiness,
        ..unit.clone()
    }
}
