//! `loki->minio`, `minio->loki-chunks`, `minio->loki-ruler`: what Loki writes is found as objects in the buckets.

use base64::{Engine as _, engine::general_purpose::URL_SAFE};
use blueprint::{Component, Node};
use jiff::{SignedDuration, Timestamp};
use messaging::envelope;

use crate::{
    client::{
        exposition,
        loki::Loki,
        s3::{Object, S3},
    },
    context::Context,
    finding::{Finding, Probed},
    poll,
};

/// The stream of verification's own lines; one for ever, so that Loki keeps no index entry a run.
const OWN_STREAM: [(&str, &str); 1] = [("service_name", "lab-verify")];

pub(crate) async fn loki_to_minio(context: &Context<'_>) -> Probed {
    let loki = context.loki().await?;
    let uploads = async || Ok::<_, Finding>(Uploads::read(&loki.metrics().await?)?);
    let before = poll::until("Loki", context.deadline, uploads).await?;
    write_own_line(&loki).await?;
    poll::until("Loki to upload a chunk", context.deadline, async || {
        // Asked each time: a flush takes only what had arrived by then.
        loki.flush().await?;
        before.succeeded(&uploads().await?)
    })
    .await
}

/// Loki's own count of its uploads to the object store.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Uploads {
    chunks: f64,
    uploads: f64,
    failures: f64,
}

impl Uploads {
    fn read(exposition: &str) -> Result<Self, Finding> {
        let uploads = |metric: &'static str| {
            let mut all = exposition::samples(exposition, metric)
                .filter(|sample| sample.label("operation") == Some("upload"))
                .map(|sample| sample.value)
                .peekable();
            all.peek()?;
            Some(all.sum())
        };
        let read = || {
            Some(Self {
                // The counter appears with the first chunk.
                chunks: exposition::samples(exposition, "loki_chunk_store_stored_chunks_total")
                    .map(|sample| sample.value)
                    .sum(),
                uploads: uploads("loki_objstore_bucket_operations_total")?,
                failures: uploads("loki_objstore_bucket_operation_failures_total")?,
            })
        };
        read().ok_or_else(|| {
            Finding::new(
                "Loki counts no uploads",
                "see `use_thanos_objstore` in manifests/loki/loki.yaml: the older S3 client counts otherwise",
            )
        })
    }

    fn succeeded(&self, after: &Self) -> Probed {
        let chunks = after.chunks - self.chunks;
        let failures = after.failures - self.failures;
        let uploads = after.uploads - self.uploads - failures;
        if failures > 0.0 || uploads < 1.0 || chunks < 1.0 {
            return Err(Finding::at(
                Component::Loki,
                format!(
                    "since the flush {chunks} chunks, {uploads} uploads, {failures} of them failed"
                ),
            ));
        }
        Ok(format!(
            "{uploads} uploads without a failure, {chunks} of them chunks"
        ))
    }
}

/// Writes a line of verification's own into Loki and returns its time.
async fn write_own_line(loki: &Loki) -> Result<Timestamp, Finding> {
    let time = Timestamp::now();
    loki.push(&OWN_STREAM, time, &format!("verification of {time}"))
        .await?;
    Ok(time)
}

/// Loki's name for the only tenant of an installation without tenants, before every chunk's key.
const TENANT: &str = "fake/";

/// No chunk begins longer before its last line: `max_chunk_age` is an hour.
const CHUNK_AGE: SignedDuration = SignedDuration::from_hours(2);

pub(crate) async fn minio_to_loki_chunks(context: &Context<'_>) -> Probed {
    let loki = context.loki().await?;
    let bucket = context.bucket(Node::LokiChunks.name()).await?;
    let written = poll::until("Loki", context.deadline, async || {
        write_own_line(&loki).await
    })
    .await?;
    let chunk = poll::until("a chunk of now", context.deadline, async || {
        loki.flush().await?;
        chunk_of(&bucket, written).await
    })
    .await?;
    Ok(format!(
        "{}/{}, {} bytes, holds a line of {written:.3}",
        bucket.name(),
        chunk.key,
        chunk.bytes
    ))
}

/// Finds a chunk that holds a line of this time. A bucket of weeks has many thousand chunks: only the recent ones of
/// each stream are listed.
async fn chunk_of(bucket: &S3, written: Timestamp) -> Result<Object, Finding> {
    let mut seen = 0;
    for stream in bucket.folders(TENANT).await? {
        let after = format!("{stream}{:x}", (written - CHUNK_AGE).as_millisecond());
        for object in bucket.list(&stream, Some(&after)).await? {
            seen += 1;
            if Chunk::parse(&object.key).is_some_and(|chunk| chunk.covers(written)) {
                return Ok(object);
            }
        }
    }
    Err(Finding::at(
        Component::Loki,
        format!(
            "none of {seen} recent objects in {} is a chunk of {written:.3}",
            bucket.name()
        ),
    ))
}

/// The times of a chunk, as its key tells: `tenant/fingerprint/from:through:checksum`, hexadecimal milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Chunk {
    from_ms: i64,
    through_ms: i64,
}

impl Chunk {
    fn parse(key: &str) -> Option<Self> {
        let (_fingerprint, times) = key.strip_prefix(TENANT)?.split_once('/')?;
        let mut parts = times.split(':').map(|part| i64::from_str_radix(part, 16));
        Some(Self {
            from_ms: parts.next()?.ok()?,
            through_ms: parts.next()?.ok()?,
        })
    }

    fn covers(self, time: Timestamp) -> bool {
        (self.from_ms..=self.through_ms).contains(&time.as_millisecond())
    }
}

/// The ruler's namespace for verification's groups.
const RULE_NAMESPACE: &str = "lab-verify";

pub(crate) async fn minio_to_loki_ruler(context: &Context<'_>) -> Probed {
    let loki = context.loki().await?;
    let bucket = context.bucket(Node::LokiRuler.name()).await?;
    let group = format!("tracer-{}", envelope::new_id(Timestamp::now()));
    let encoded = URL_SAFE.encode(&group);
    let found = poll::until("the rule group's object", context.deadline, async || {
        // Stored each time: another verification removes the whole namespace at its end.
        loki.store_rules(RULE_NAMESPACE, rule_group(&group)).await?;
        let mut objects = bucket.list("rules/", None).await?.into_iter();
        objects
            .find(|object| object.key.ends_with(&encoded))
            .ok_or_else(|| {
                Finding::at(
                    Component::Loki,
                    format!("no object in {} is of rule group {group}", bucket.name()),
                )
            })
    })
    .await;
    let removed = loki.remove_rules(RULE_NAMESPACE).await;
    let object = found?;
    removed?;
    Ok(format!(
        "rule group stored as {}/{}, {} bytes, and removed",
        bucket.name(),
        object.key,
        object.bytes
    ))
}

/// A group that selects nothing, for the moments in which it exists.
fn rule_group(name: &str) -> String {
    format!(
        "name: {name}\nrules:\n  - record: lab_verify:nothing\n    \
         expr: sum(count_over_time({{service_name=\"lab-verify-nothing\"}}[1m]))\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exposition(chunks: u32, uploads: u32, failures: u32) -> String {
        format!(
            "loki_chunk_store_stored_chunks_total{{user=\"fake\"}} {chunks}\n\
             loki_objstore_bucket_operations_total{{bucket=\"\",operation=\"get\"}} 99\n\
             loki_objstore_bucket_operations_total{{bucket=\"\",operation=\"upload\"}} {uploads}\n\
             loki_objstore_bucket_operation_failures_total{{bucket=\"\",operation=\"get\"}} 98\n\
             loki_objstore_bucket_operation_failures_total{{bucket=\"\",operation=\"upload\"}} {failures}\n"
        )
    }

    #[test]
    fn an_upload_counts_when_it_is_of_a_chunk_and_none_failed() {
        let before = Uploads::read(&exposition(1, 5, 2)).unwrap();
        let verdict = |chunks, uploads, failures| {
            before.succeeded(&Uploads::read(&exposition(chunks, uploads, failures)).unwrap())
        };
        assert_eq!(
            verdict(2, 6, 2),
            Ok("1 uploads without a failure, 1 of them chunks".to_owned())
        );
        assert!(verdict(1, 5, 2).is_err(), "nothing happened");
        assert!(verdict(1, 6, 2).is_err(), "an index, no chunk");
        assert!(verdict(1, 6, 3).is_err(), "it was tried and failed");
        assert!(verdict(2, 7, 3).is_err(), "one of two failed");
    }

    #[test]
    fn a_loki_that_counts_no_uploads_is_told_apart_from_one_without_any() {
        assert!(Uploads::read("loki_s3_request_duration_seconds_count 3\n").is_err());
        assert!(Uploads::read(&exposition(0, 0, 0)).is_ok());
    }

    #[test]
    fn a_chunk_tells_its_times_in_its_key() {
        // As Loki 3.6 wrote it.
        let chunk = Chunk::parse("fake/157ea397c2769383/1a20ac1858d:1a20ac1858e:d0598138").unwrap();
        let time = |ms: i64| Timestamp::from_millisecond(ms).unwrap();
        assert!(chunk.covers(time(0x01a2_0ac1_858d)));
        assert!(chunk.covers(time(0x01a2_0ac1_858e)));
        assert!(!chunk.covers(time(0x01a2_0ac1_858f)));
        assert!(!chunk.covers(time(0x01a2_0ac1_858c)));
    }

    #[test]
    fn what_is_no_chunk_is_passed_over() {
        for key in [
            "index/index_20780/1795476478-vm-1795476478773594948.tsdb.gz",
            "fake/157ea397c2769383",
            "fake/157ea397c2769383/words:1a20ac1858e:d0598138",
            "",
        ] {
            assert_eq!(Chunk::parse(key), None, "{key}");
        }
    }
}
