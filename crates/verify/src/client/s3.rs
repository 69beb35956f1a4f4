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
