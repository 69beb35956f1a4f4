//! The object store by S3: which objects a bucket holds, and what is in one.
//!
//! Requests are pre-signed (AWS Signature Version 4 in the query) by rusty-s3 and sent by the common client.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::{Method, StatusCode, Url};
use rusty_s3::{
    Bucket, Credentials, S3Action as _, UrlStyle,
    actions::{ListObjectsV2, list_objects_v2::ListObjectsV2Response},
};

use super::{Answer, ClientError, Endpoint};

/// The region that MinIO has when none is set; it is part of every signature.
pub(crate) const REGION: &str = "us-east-1";

/// How long a signature is good for; each is used at once.
const SIGNATURE_LIFE: Duration = Duration::from_secs(60);

/// A bucket of the object store.
#[derive(Clone, Debug)]
pub(crate) struct S3 {
    endpoint: Endpoint,
    bucket: Bucket,
    credentials: Credentials,
}

/// An object as its listing tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Object {
    pub(crate) key: String,
    pub(crate) modified_at: Timestamp,
    pub(crate) bytes: u64,
}

impl S3 {
    /// # Panics
    /// When the endpoint's base is no URL of a host, which an address cannot give.
    pub(crate) fn new(
        endpoint: Endpoint,
        bucket: &'static str,
        user: &str,
        password: &str,
    ) -> Self {
        let base: Url = endpoint.base.parse().expect("an address makes a URL");
        Self {
            bucket: Bucket::new(base, UrlStyle::Path, bucket, REGION)
                .expect("a URL with a host makes a bucket's URL"),
            credentials: Credentials::new(user, password),
            endpoint,
        }
    }

    pub(crate) fn name(&self) -> &str {
        self.bucket.name()
    }

    /// The objects below a prefix; with `after`, those whose keys sort behind it.
    pub(crate) async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
    ) -> Result<Vec<Object>, ClientError> {
        let mut objects = Vec::new();
        let mut next: Option<String> = None;
        loop {
            let mut action = self.bucket.list_objects_v2(Some(&self.credentials));
            action.with_prefix(prefix);
            if let Some(after) = after {
                action.with_start_after(after);
            }
            if let Some(token) = next {
                action.with_continuation_token(token);
            }
            let (answer, page) = self.page(&action).await?;
            for object in page.contents {
                let time = object.last_modified.unwrap_or_default();
                let modified_at = time
                    .parse()
                    .map_err(|_| answer.unexpected(format!("the time `{time}`")))?;
                objects.push(Object {
                    key: object.key,
                    modified_at,
                    bytes: object.size.unwrap_or_default(),
                });
            }
            next = page.next_continuation_token;
            if next.is_none() {
                return Ok(objects);
            }
        }
    }

    /// The folders right below a prefix, each with the prefix and a slash at its end; at most a thousand.
    pub(crate) async fn folders(&self, prefix: &str) -> Result<Vec<String>, ClientError> {
        let mut action = self.bucket.list_objects_v2(Some(&self.credentials));
        action.with_prefix(prefix);
        action.with_delimiter("/");
        let (_, page) = self.page(&action).await?;
        Ok(page
            .common_prefixes
            .into_iter()
            .map(|folder| folder.prefix)
            .collect())
    }

    async fn page(
        &self,
        action: &ListObjectsV2<'_>,
    ) -> Result<(Answer, ListObjectsV2Response), ClientError> {
        let url = action.sign(SIGNATURE_LIFE);
        let answer = self.send(Method::GET, &url, Vec::new()).await?.success()?;
        let page = ListObjectsV2::parse_response(&answer.text())
            .map_err(|error| answer.unexpected(error.to_string()))?;
        Ok((answer, page))
    }

    /// An object's content, or nothing where there is no such object.
    pub(crate) async fn read(&self, key: &str) -> Result<Option<Vec<u8>>, ClientError> {
        let action = self.bucket.get_object(Some(&self.credentials), key);
        let answer = self
            .send(Method::GET, &action.sign(SIGNATURE_LIFE), Vec::new())
            .await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        Ok(Some(answer.success()?.body))
    }

    pub(crate) async fn write(&self, key: &str, content: Vec<u8>) -> Result<(), ClientError> {
        let action = self.bucket.put_object(Some(&self.credentials), key);
        let url = action.sign(SIGNATURE_LIFE);
        self.send(Method::PUT, &url, content).await?.success()?;
        Ok(())
    }

    pub(crate) async fn remove(&self, key: &str) -> Result<(), ClientError> {
        let action = self.bucket.delete_object(Some(&self.credentials), key);
        let url = action.sign(SIGNATURE_LIFE);
        self.send(Method::DELETE, &url, Vec::new())
            .await?
            .success()?;
        Ok(())
    }

    async fn send(&self, method: Method, url: &Url, body: Vec<u8>) -> Result<Answer, ClientError> {
        let path = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        let request = self.endpoint.request(method, &path);
        request.with(|request| request.body(body)).answer().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::canned::{serve, success};

    fn bucket(endpoint: Endpoint) -> S3 {
        S3::new(endpoint, "loki-chunks", "root", "secret")
    }

    #[tokio::test]
    async fn a_listing_tells_keys_sizes_and_times() {
        let body = r#"<?xml version="1.0" encoding="UTF-8"?>
            <ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>loki-chunks</Name><Prefix>fake/</Prefix>
            <KeyCount>1</KeyCount><MaxKeys>1000</MaxKeys><EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>
            <Contents><Key>fake%2F15%2F1a20%3A1a21%3Ad0</Key><LastModified>2026-11-23T23:28:38.705Z</LastModified>
            <ETag>&#34;x&#34;</ETag><Size>404</Size><StorageClass>STANDARD</StorageClass></Contents></ListBucketResult>"#;
        let (endpoint, requests) = serve("200 OK", body);
        let objects = bucket(endpoint)
            .list("fake/", Some("fake/1"))
            .await
            .unwrap();
        assert_eq!(objects[0].key, "fake/15/1a20:1a21:d0");
        assert_eq!(objects[0].bytes, 404);
        assert_eq!(
            objects[0].modified_at,
            "2026-11-23T23:28:38.705Z".parse().unwrap()
        );
        let asked = requests.recv().unwrap();
        assert!(
            asked.starts_with("GET /loki-chunks") && asked.contains("start-after=fake%2F1"),
            "{asked}"
        );
    }

    #[tokio::test]
    async fn folders_are_the_common_prefixes() {
        let body = r#"<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name><EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>
            <MaxKeys>1000</MaxKeys><CommonPrefixes><Prefix>fake%2F15%2F</Prefix></CommonPrefixes>
            <CommonPrefixes><Prefix>fake%2F16%2F</Prefix></CommonPrefixes></ListBucketResult>"#;
        let folders = bucket(success(body)).folders("fake/").await.unwrap();
        assert_eq!(folders, ["fake/15/", "fake/16/"]);
    }

    #[tokio::test]
    async fn an_object_that_is_not_there_is_nothing() {
        let (endpoint, _requests) = serve("404 Not Found", "<Error><Code>NoSuchKey</Code></Error>");
        assert_eq!(bucket(endpoint).read("x").await.unwrap(), None);
        let (endpoint, _requests) =
            serve("403 Forbidden", "<Error><Code>AccessDenied</Code></Error>");
        let told = bucket(endpoint).read("x").await.unwrap_err().to_string();
        assert!(
            told.contains("AccessDenied") && !told.contains("Signature"),
            "{told}"
        );
    }
}
