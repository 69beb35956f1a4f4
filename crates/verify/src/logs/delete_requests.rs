//! `minio->loki-admin`: a delete request stands in the object in which Loki's compactor keeps all of them.
//!
//! Loki keeps its delete requests in a database of its own and uploads it every 5 minutes, counted from its start, and
//! when it stops; no setting changes that (`pkg/compactor/deletion/delete_requests_db_sqlite.go`, 3.6). So a
//! verification looks for a request that an earlier one has left, and leaves one for the next. Only the first after a
//! lab's creation has to wait, unless [`leave_delete_request`] and a restart of Loki came before it.

use std::io::Read as _;

use blueprint::{Component, Node};
use flate2::read::GzDecoder;
use jiff::{SignedDuration, Timestamp};

use crate::{
    client::{
        exposition, http,
        loki::{DeleteRequest, Loki},
        s3::{Object, S3},
    },
    context::Context,
    engine::Engine,
    finding::{Finding, Probed},
    poll,
};

/// Where Loki keeps the database within the bucket.
pub(crate) const PREFIX: &str = "index/delete_requests/";

/// What verification's requests ask for: a stream that does not exist.
const QUERY: &str = "{service_name=\"lab-verify-nothing\"}";

/// Loki's interval between two uploads, and half a minute for the upload itself.
const UPLOAD_BOUND: SignedDuration = SignedDuration::from_secs(330);

/// Stores a delete request for [`verify`](crate::verify) to find. Followed by an orderly restart of Loki, which uploads
/// its requests when it stops, it saves the first verification of a lab from waiting up to 5 minutes.
///
/// # Errors
/// When Loki does not take it; the words are for a log.
pub async fn leave_delete_request(engine: &dyn Engine) -> Result<(), String> {
    let component = Component::Loki;
    let address = engine
        .address(component, component.ports()[0].name)
        .await
        .map_err(|error| Finding::from(error).reason)?;
    let loki = Loki(crate::client::Endpoint::new(component, http(), address));
    leave(&loki).await.map_err(|finding| finding.reason)
}

async fn leave(loki: &Loki) -> Result<(), Finding> {
    let now = Timestamp::now();
    loki.request_deletion(QUERY, now - SignedDuration::from_mins(1), now)
        .await?;
    Ok(())
}

pub(crate) async fn minio_to_loki_admin(context: &Context<'_>) -> Probed {
    let loki = context.loki().await?;
    let bucket = context.bucket(Node::LokiAdmin.name()).await?;
    let what = "the delete request's object";
    poll::until(what, context.deadline, async || {
        let mut requests = loki.delete_requests().await?;
        requests.retain(|request| request.query == QUERY);
        if requests.is_empty() {
            leave(&loki).await?;
        }
        let loki_started_at = started_at(&loki.metrics().await?);
        let stored = stored(&bucket).await?;
        let content = stored.as_ref().map(|(_, content)| content.as_slice());
        let found = judge(&requests, content, loki_started_at, Timestamp::now())?;
        tidy(&loki, &requests, found, content).await?;
        let (key, modified_at) = stored
            .as_ref()
            .map_or(("", Timestamp::UNIX_EPOCH), |(object, _)| {
                (object.key.as_str(), object.modified_at)
            });
        Ok::<_, Finding>(format!(
            "delete request {} of {:.0} stands in {}/{key} of {modified_at:.0}",
            found.id,
            found.created_at(),
            bucket.name(),
        ))
    })
    .await
}

/// The database as the bucket holds it, and its content unpacked.
async fn stored(bucket: &S3) -> Result<Option<(Object, Vec<u8>)>, Finding> {
    let objects = bucket.list(PREFIX, None).await?;
    let Some(object) = objects.into_iter().max_by_key(|object| object.modified_at) else {
        return Ok(None);
    };
    let Some(packed) = bucket.read(&object.key).await? else {
        return Ok(None);
    };
    let mut content = Vec::new();
    GzDecoder::new(packed.as_slice())
        .read_to_end(&mut content)
        .map_err(|error| {
            Finding::at(
                Component::Loki,
                format!(
                    "{}/{} cannot be unpacked: {error}",
                    bucket.name(),
                    object.key
                ),
            )
        })?;
    Ok(Some((object, content)))
}

/// When Loki was started, by its own metrics.
fn started_at(exposition: &str) -> Timestamp {
    let seconds = exposition::value(exposition, "process_start_time_seconds").unwrap_or_default();
    SignedDuration::try_from_secs_f64(seconds)
        .ok()
        .and_then(|since| Timestamp::UNIX_EPOCH.checked_add(since).ok())
        .unwrap_or_default()
}

fn stands(request: &DeleteRequest, content: Option<&[u8]>) -> bool {
    let id = request.id.as_bytes();
    content.is_some_and(|content| content.windows(id.len()).any(|window| window == id))
}

/// The newest request that stands in the database of the bucket. A request that should have been uploaded by `now` and
/// is not there is a finding, whatever older ones stand.
fn judge<'a>(
    requests: &'a [DeleteRequest],
    content: Option<&[u8]>,
    loki_started_at: Timestamp,
    now: Timestamp,
) -> Result<&'a DeleteRequest, Finding> {
    // What was not uploaded before a crash is uploaded at the first tick after the start.
    let due_at = |request: &DeleteRequest| request.created_at().max(loki_started_at) + UPLOAD_BOUND;
    let missing = |request: &&DeleteRequest| !stands(request, content);
    if let Some(late) = requests
        .iter()
        .filter(missing)
        .find(|request| due_at(request) < now)
    {
        return Err(Finding::at(
            Component::Loki,
            format!(
                "delete request {} of {:.0} is not in the bucket; Loki uploads every 5 minutes",
                late.id,
                late.created_at()
            ),
        ));
    }
    let newest = requests
        .iter()
        .filter(|request| stands(request, content))
        .max_by_key(|request| request.created_at());
    newest.ok_or_else(|| {
        let due_at = requests
            .iter()
            .map(due_at)
            .min()
            .unwrap_or(now + UPLOAD_BOUND);
        Finding::new(
            format!("Loki has uploaded no delete request yet; it does so by {due_at:.0}"),
            "verify again then, or have Loki upload by stopping it in an orderly way",
        )
    })
}

/// Leaves a request for the next verification where none is on its way, and takes back those that nobody needs.
async fn tidy(
    loki: &Loki,
    requests: &[DeleteRequest],
    found: &DeleteRequest,
    content: Option<&[u8]>,
) -> Result<(), Finding> {
    if requests.iter().all(|request| stands(request, content)) {
        leave(loki).await?;
    }
    for request in requests {
        // One that was carried out cannot be taken back.
        if request.created_at() < found.created_at() && request.status == "received" {
            loki.cancel_deletion(&request.id).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: i64 = 10_000;

    fn requests(all: &[(&str, i64)]) -> Vec<DeleteRequest> {
        let request = |(id, created_at): &(&str, i64)| {
            json!({
                "request_id": id, "query": QUERY, "status": "received",
                "start_time": 0, "end_time": 1, "created_at": *created_at as f64 + 0.699,
            })
        };
        let all: Vec<_> = all.iter().map(request).collect();
        serde_json::from_value(all.into()).unwrap()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn verdict(all: &[(&str, i64)], content: Option<&[u8]>, start: i64) -> Result<String, String> {
        judge(&requests(all), content, at(start), at(NOW))
            .map(|found| found.id.clone())
            .map_err(|finding| finding.reason)
    }

    #[test]
    fn the_newest_request_in_the_object_is_the_evidence() {
        let all = [
            ("aaaa1111", NOW - 900),
            ("bbbb2222", NOW - 600),
            ("cccc3333", NOW - 10),
        ];
        let content = b"..bbbb2222..aaaa1111..";
        assert_eq!(verdict(&all, Some(content), 0), Ok("bbbb2222".to_owned()));
    }

    #[test]
    fn a_request_that_is_overdue_breaks_the_arrow_although_an_older_one_stands() {
        let all = [("aaaa1111", NOW - 900), ("bbbb2222", NOW - 600)];
        let told = verdict(&all, Some(b"aaaa1111"), 0).unwrap_err();
        assert!(told.starts_with("delete request bbbb2222 of "), "{told}");
    }

    #[test]
    fn a_restart_of_loki_gives_it_its_interval_again() {
        let all = [("aaaa1111", NOW - 900), ("bbbb2222", NOW - 600)];
        assert_eq!(
            verdict(&all, Some(b"aaaa1111"), NOW - 60),
            Ok("aaaa1111".to_owned())
        );
    }

    #[test]
    fn without_object_there_is_no_proof_but_a_time_to_wait_for() {
        let told = verdict(&[("aaaa1111", NOW - 10)], None, 0).unwrap_err();
        assert!(
            told.contains("has uploaded no delete request yet"),
            "{told}"
        );
        // The database that Loki writes at its first start, empty.
        assert!(verdict(&[("aaaa1111", NOW - 10)], Some(b"SQLite format 3"), 0).is_err());
        assert!(verdict(&[], Some(b"SQLite format 3"), 0).is_err());
    }

    #[test]
    fn lokis_start_is_read_from_its_metrics() {
        assert_eq!(
            started_at("process_start_time_seconds 1.5e+03\n"),
            at(1_500)
        );
        assert_eq!(started_at(""), Timestamp::UNIX_EPOCH);
    }
}
