//! One run: start, warm up, measure, end, settle the account.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::{
    BenchError,
    case::{Case, Competitor},
    clients::{Clients, Equipment},
    figure::{Figure, Figures},
    latency::Latencies,
    ledger::{Account, agrees},
    management::Counters,
    proc,
};

/// How long the account may stay as it is without balancing. The broker looks at a queue's length every 5 seconds.
const PATIENCE: Duration = Duration::from_secs(20);

const INTERVAL: Duration = Duration::from_millis(200);

/// What a run has shown.
#[derive(Clone, Debug)]
pub struct Run {
    /// The figures of the measured interval.
    pub figures: Figures,
    /// The account of the whole run.
    pub account: Account,
}

/// A reading of everything that counts up.
struct Reading {
    at: Instant,
    counters: Counters,
    client_cpu: Duration,
    broker_cpu: Option<Duration>,
}

/// Runs a competitor once on a virtual host of its own; `None` when it is absent.
///
/// # Errors
///
/// Something does not start, ends early, or lost messages.
pub async fn run(
    equipment: &Equipment,
    case: &Case,
    competitor: Competitor,
) -> Result<Option<Run>, BenchError> {
    let broker = &equipment.broker;
    broker.management.make_vhost(case.queue).await?;
    let folder = tempfile::tempdir().map_err(BenchError::file("create", std::env::temp_dir()))?;
    let begun = broker.management.counters(&broker.overview).await?;
    let clients = Clients::start(equipment, case, competitor, folder.path()).await?;
    let Some(mut clients) = clients else {
        return Ok(None);
    };
    let pids = clients.pids();
    clients.warm_up().await?;
    let before = read(equipment, &pids).await?;
    let latencies = clients.work().await?;
    let after = read(equipment, &pids).await?;
    let memory = proc::peak_memory_bytes(&pids)?;
    let lost = |account| BenchError::Lost {
        competitor: competitor.name(),
        case: case.to_string(),
        account,
    };
    let account = match clients {
        // Ends without draining what lies in the queue, which therefore counts.
        Clients::PerfTest(clients) => {
            drop(clients);
            settle(equipment, begun, true).await?
        }
        Clients::Lab(mut clients) => {
            clients.stop_producer().await?;
            let account = settle(equipment, begun, false).await?;
            let ledger = clients.stop_consumer().await?;
            agrees(&ledger, &account).map_err(lost)?;
            account
        }
    };
    if !account.keeps_what_was_confirmed() {
        return Err(lost(format!(
            "{} received, {} confirmed, {} acknowledged, {} left",
            account.received, account.confirmed, account.acknowledged, account.left
        )));
    }
    broker.management.remove_vhost().await?;
    Ok(Some(Run {
        figures: figures(&before, &after, latencies, memory),
        account,
    }))
}

async fn read(equipment: &Equipment, pids: &[i32]) -> Result<Reading, BenchError> {
    let broker = &equipment.broker;
    let counters = broker.management.counters(&broker.overview).await?;
    Ok(Reading {
        at: Instant::now(),
        counters,
        client_cpu: proc::cpu(pids)?,
        broker_cpu: broker.cpu()?,
    })
}

/// Waits until the account balances, for as long as it moves. What lies in the queue counts only when nobody consumes it:
/// otherwise it may have been acknowledged since the broker looked.
async fn settle(
    equipment: &Equipment,
    begun: Counters,
    with_queue: bool,
) -> Result<Account, BenchError> {
    let management = &equipment.broker.management;
    let mut moved_at = Instant::now();
    let mut last = None;
    loop {
        let counters = management.counters(&equipment.broker.overview).await?;
        let left = if with_queue {
            management.messages_left().await?
        } else {
            0
        };
        let account = Account::of(counters.since(begun), left);
        if last != Some(account) {
            moved_at = Instant::now();
        }
        last = Some(account);
        if account.balances() || moved_at.elapsed() >= PATIENCE {
            return Ok(account);
        }
        sleep(INTERVAL).await;
    }
}

fn figures(before: &Reading, after: &Reading, latencies: Latencies, memory: u64) -> Figures {
    let seconds = (after.at - before.at).as_secs_f64();
    let counted = after.counters.since(before.counters);
    let (confirmed, acknowledged) = (counted.confirmed as f64, counted.acknowledged as f64);
    // Publishing is half of a message's way, consuming the other half.
    let millions = f64::midpoint(confirmed, acknowledged) / 1e6;
    let per_million = |cpu: Duration| (millions > 0.0).then(|| cpu.as_secs_f64() / millions);
    let broker_cpu = Option::zip(after.broker_cpu, before.broker_cpu)
        .map(|(after, before)| after.saturating_sub(before));
    let (confirm, end_to_end) = (latencies.confirm, latencies.end_to_end);
    let figures = [
        (Figure::Confirmed, Some(confirmed / seconds)),
        (Figure::Acknowledged, Some(acknowledged / seconds)),
        (Figure::ConfirmP50, confirm.map(|latency| latency.p50_ms)),
        (Figure::ConfirmP99, confirm.map(|latency| latency.p99_ms)),
        (
            Figure::EndToEndP50,
            end_to_end.map(|latency| latency.p50_ms),
        ),
        (
            Figure::EndToEndP99,
            end_to_end.map(|latency| latency.p99_ms),
        ),
        (
            Figure::ClientCpu,
            per_million(after.client_cpu.saturating_sub(before.client_cpu)),
        ),
        (Figure::ClientMemory, Some(memory as f64)),
        (Figure::BrokerCpu, broker_cpu.and_then(per_million)),
    ];
    figures
        .into_iter()
        .filter_map(|(figure, value)| Some((figure, value?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::latency::Latency;

    #[test]
    fn figures_are_of_what_came_between_two_readings() {
        let at = Instant::now();
        let reading = |seconds: u64, messages: u64, cpu: u64| Reading {
            at: at + Duration::from_secs(seconds),
            counters: Counters {
                received: messages,
                confirmed: messages,
                acknowledged: messages / 2,
            },
            client_cpu: Duration::from_secs(cpu),
            broker_cpu: None,
        };
        let latencies = Latencies {
            confirm: Some(Latency {
                p50_ms: 1.0,
                p99_ms: 2.0,
            }),
            end_to_end: None,
        };
        let figures = figures(
            &reading(0, 1000, 5),
            &reading(10, 201_000, 8),
            latencies,
            77,
        );
        assert_eq!(figures[&Figure::Confirmed], 20_000.0);
        assert_eq!(figures[&Figure::Acknowledged], 10_000.0);
        assert_eq!(figures[&Figure::ClientCpu], 20.0);
        assert_eq!(figures[&Figure::ConfirmP99], 2.0);
        assert_eq!(figures[&Figure::ClientMemory], 77.0);
        assert!(!figures.contains_key(&Figure::EndToEndP50));
        assert!(!figures.contains_key(&Figure::BrokerCpu));
    }
}
