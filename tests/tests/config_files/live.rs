//! What the queries ask of exporters, asked of the exporters of this machine: their next version may call it otherwise.
//!
//! Only those are started that show everything from the first scrape on; the rest show what they counted, once there was
//! something to count.

use std::collections::BTreeSet;

use blueprint::Component;
use lab_tests::{
    config::manifests,
    metric_list::{Metrics, exposed},
    program::{free_ports, page, start},
    promql::{expressions, parse, selections},
    require::any_program,
    scraped::Scraped,
};

/// The kernel decides about the first two, and only a probe that speaks TLS has the last.
const NOT_EVERYWHERE: [&str; 3] = ["node_nf_conntrack_", "node_pressure_", "probe_ssl_"];

/// The series that the queries ask of a component wherever it runs.
fn asked_of(component: Component) -> BTreeSet<String> {
    let scraped = Scraped::read();
    let known = scraped.series_of(component);
    let asked: BTreeSet<String> = expressions()
        .into_iter()
        .flat_map(|(_, text)| selections(&parse(&text).expect("PromQL")))
        .map(|selection| selection.series)
        .filter(|series| known.contains(series.as_str()))
        .filter(|series| {
            !NOT_EVERYWHERE
                .iter()
                .any(|prefix| series.starts_with(prefix))
        })
        .collect();
    assert!(asked.len() > 5, "{asked:?}");
    asked
}

fn assert_offered(component: Component, metrics: &Metrics) {
    let offered: BTreeSet<String> = metrics
        .iter()
        .flat_map(|(name, metric)| metric.series(name))
        .map(|(series, _)| series)
        .collect();
    let asked = asked_of(component);
    let missing: Vec<&String> = asked.difference(&offered).collect();
    assert!(missing.is_empty(), "{component} has no {missing:?}");
}

#[tokio::test]
async fn the_node_exporter_offers_what_the_queries_ask_of_it() {
    let names = &["node_exporter", "prometheus-node-exporter"];
    let test = "the_node_exporter_offers_what_the_queries_ask_of_it";
    let Some(program) = any_program(test, names) else {
        return;
    };
    let [port] = free_ports();
    let listen = format!("--web.listen-address=127.0.0.1:{port}");
    let _exporter = start(&program, &[listen]);
    let text = page(&format!("http://127.0.0.1:{port}/metrics")).await;
    assert_offered(Component::NodeExporter, &exposed(&text));
}

#[tokio::test]
async fn the_blackbox_exporter_offers_what_the_queries_ask_of_it() {
    let names = &["blackbox_exporter", "prometheus-blackbox-exporter"];
    let test = "the_blackbox_exporter_offers_what_the_queries_ask_of_it";
    let Some(program) = any_program(test, names) else {
        return;
    };
    let [port] = free_ports();
    let modules = manifests().join("blackbox/blackbox.yml");
    let _exporter = start(
        &program,
        &[
            format!("--config.file={}", modules.display()),
            format!("--web.listen-address=127.0.0.1:{port}"),
        ],
    );
    let own = format!("http://127.0.0.1:{port}");
    let mut metrics = exposed(&page(&format!("{own}/metrics")).await);
    let probe = format!("{own}/probe?module=http_2xx&target={own}/-/healthy");
    metrics.extend(exposed(&page(&probe).await));
    assert_offered(Component::Blackbox, &metrics);
}
