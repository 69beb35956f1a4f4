//! What `status` prints, the same for every engine.

mod figures;
pub mod watch;

use anstyle::AnsiColor;
use serde::Serialize;

use crate::table::Rows;

/// `status --json`. Fields may be added; none is removed or renamed.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The version of this object's shape.
    pub schema: u32,
    /// What runs the lab.
    pub engine: &'static str,
    /// The lab's name.
    pub lab: String,
    /// Every component.
    pub components: Vec<Row>,
    /// What is applied on a cluster: revisions and Applications; `null` where nothing is.
    pub gitops: Option<Gitops>,
}

/// One component.
#[derive(Debug, Serialize)]
pub struct Row {
    /// Its name.
    pub name: &'static str,
    /// `ready`, `absent`, `stopped`, or on its way there.
    pub state: String,
    /// The version that runs.
    pub version: Option<String>,
    /// Where its page is.
    pub url: Option<String>,
    /// Why it is not ready.
    pub reason: Option<String>,
}

/// What Argo CD applies, and how far it is.
#[derive(Debug, Serialize)]
pub struct Gitops {
    /// Where the lab's manifests come from.
    pub source: String,
    /// The revision that was asked for.
    pub desired: String,
    /// The revision that the root Application has synced.
    pub live: Option<String>,
    /// Each Application, in the order of the waves.
    pub applications: Vec<Application>,
}

/// One Application.
#[derive(Debug, Serialize)]
pub struct Application {
    /// Its name.
    pub name: String,
    /// Its sync wave.
    pub wave: i32,
    /// Argo CD's word: `Synced`, `OutOfSync`, `Unknown`.
    pub sync: String,
    /// Argo CD's word: `Healthy`, `Progressing`, `Degraded`, `Missing`, `Suspended`, `Unknown`.
    pub health: String,
    /// The revision it has synced.
    pub revision: Option<String>,
    /// What Argo CD says of it when it is not well.
    pub message: Option<String>,
}

impl Report {
    /// The report as a table, and below it the Applications where there are some.
    pub fn to_table(&self) -> String {
        let mut text = components(&self.components);
        if let Some(gitops) = &self.gitops {
            text.push('\n');
            text.push_str(&gitops.to_table());
        }
        text
    }
}

fn components(rows: &[Row]) -> String {
    let mut table = Rows::new(["COMPONENT", "STATE", "VERSION", "URL", "REASON"]);
    for row in rows {
        let color = match row.state.as_str() {
            "ready" => Some(AnsiColor::Green),
            "absent" | "stopped" => None,
            "back-off" | "failed" => Some(AnsiColor::Red),
            _ => Some(AnsiColor::Yellow),
        };
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        let (version, url, reason) = (text(&row.version), text(&row.url), text(&row.reason));
        table.add(color, [&row.name, &row.state, &version, &url, &reason]);
    }
    table.text()
}

impl Gitops {
    fn to_table(&self) -> String {
        let mut table = Rows::new([
            "APPLICATION",
            "WAVE",
            "SYNC",
            "HEALTH",
            "REVISION",
            "MESSAGE",
        ]);
        for application in &self.applications {
            let color = match (application.sync.as_str(), application.health.as_str()) {
                ("Synced", "Healthy") => AnsiColor::Green,
                (_, "Degraded" | "Missing") => AnsiColor::Red,
                _ => AnsiColor::Yellow,
            };
            let revision = application.revision.as_deref().map_or("", short);
            let message = application.message.as_deref().unwrap_or_default();
            table.add(
                Some(color),
                [
                    &application.name,
                    &application.wave,
                    &application.sync,
                    &application.health,
                    &revision,
                    &message,
                ],
            );
        }
        let live = self.live.as_deref().unwrap_or("nothing yet");
        format!(
            "source   {}\ndesired  {}\nlive     {live}\n\n{}",
            self.source,
            self.desired,
            table.text()
        )
    }
}

/// Enough of a revision to recognise it: of a digest the first digits, of anything else all.
fn short(revision: &str) -> &str {
    revision
        .strip_prefix("sha256:")
        .map_or(revision, |digits| &digits[..digits.len().min(12)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(gitops: Option<Gitops>) -> Report {
        Report {
            schema: 1,
            engine: "kind",
            lab: "default".to_owned(),
            components: vec![Row {
                name: "loki",
                state: "ready".to_owned(),
                version: Some("3.6.7".to_owned()),
                url: None,
                reason: None,
            }],
            gitops,
        }
    }

    #[test]
    fn every_engine_prints_the_same_fields() {
        let value = serde_json::to_value(report(None)).unwrap_or_default();
        let fields: Vec<_> = value
            .as_object()
            .into_iter()
            .flatten()
            .map(|(key, _)| key.as_str())
            .collect();
        assert_eq!(fields, ["components", "engine", "gitops", "lab", "schema"]);
        assert!(value["gitops"].is_null());
    }

    #[test]
    fn the_table_shows_both_revisions_and_each_application() {
        let digest = format!("sha256:{}", "0123456789abcdef".repeat(4));
        let table = report(Some(Gitops {
            source: "oci://registry/lab".to_owned(),
            desired: digest.clone(),
            live: None,
            applications: vec![Application {
                name: "loki".to_owned(),
                wave: 2,
                sync: "OutOfSync".to_owned(),
                health: "Missing".to_owned(),
                revision: Some(digest.clone()),
                message: None,
            }],
        }))
        .to_table();
        let plain = anstream::adapter::strip_str(&table).to_string();
        assert!(
            plain.contains(&format!("desired  {digest}\nlive     nothing yet")),
            "{plain}"
        );
        assert!(
            plain.contains("loki         2     OutOfSync  Missing  0123456789ab\n"),
            "{plain}"
        );
    }
}
