//! MinIO's admin API, as far as falsification needs it: a bucket's quota, a user's status.
//!
//! Requests carry AWS Signature Version 4 in headers; the API takes no pre-signed ones.
//! Source: minio/madmin-go, `quota-commands.go` and `user-commands.go`.

use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use reqwest::Method;
use sha2::{Digest as _, Sha256};

use super::{ClientError, Endpoint, s3::REGION};

/// The object store's administration.
#[derive(Clone, Debug)]
pub(crate) struct MinioAdmin {
    endpoint: Endpoint,
    user: &'static str,
    password: String,
}

impl MinioAdmin {
    pub(crate) fn new(endpoint: Endpoint, user: &'static str, password: String) -> Self {
        Self {
            endpoint,
            user,
            password,
        }
    }

    /// Limits the bytes of a bucket; 0 lifts the limit. With a limit of 1 byte the bucket takes no object with content.
    pub(crate) async fn set_quota(&self, bucket: &str, bytes: u64) -> Result<(), ClientError> {
        let body = serde_json::json!({
            "quota": bytes, "size": bytes, "rate": 0, "requests": 0, "quotatype": "hard",
        });
        self.put(
            "set-bucket-quota",
            &format!("bucket={bucket}"),
            body.to_string(),
        )
        .await
    }

    /// Lets a user in, or keeps it out.
    pub(crate) async fn enable_user(&self, user: &str, enabled: bool) -> Result<(), ClientError> {
        let status = if enabled { "enabled" } else { "disabled" };
        let query = format!("accessKey={user}&status={status}");
        self.put("set-user-status", &query, String::new()).await
    }

    /// `query` is sorted by name and needs no escaping.
    async fn put(&self, call: &str, query: &str, body: String) -> Result<(), ClientError> {
        let path = format!("/minio/admin/v3/{call}");
        let time = Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
        let digest = hex(&Sha256::digest(&body));
        let host = self.endpoint.base.trim_start_matches("http://").to_owned();
        let authorization = authorization(&Signed {
            user: self.user,
            password: &self.password,
            host: &host,
            path: &path,
            query,
            time: &time,
            digest: &digest,
        });
        let request = self
            .endpoint
            .request(Method::PUT, &format!("{path}?{query}"));
        request
            .with(|request| {
                request
                    .header("x-amz-date", time)
                    .header("x-amz-content-sha256", digest)
                    .header("authorization", authorization)
                    .body(body)
            })
            .success()
            .await?;
        Ok(())
    }
}

/// What the signature of a PUT covers.
struct Signed<'a> {
    user: &'a str,
    password: &'a str,
    host: &'a str,
    path: &'a str,
    query: &'a str,
    time: &'a str,
    digest: &'a str,
}

/// The `authorization` header of AWS Signature Version 4.
fn authorization(signed: &Signed<'_>) -> String {
    const HEADERS: &str = "host;x-amz-content-sha256;x-amz-date";
    let Signed {
        user,
        password,
        host,
        path,
        query,
        time,
        digest,
    } = signed;
    let date = &time[..8];
    let scope = format!("{date}/{REGION}/s3/aws4_request");
    let request = format!(
        "PUT\n{path}\n{query}\nhost:{host}\nx-amz-content-sha256:{digest}\nx-amz-date:{time}\n\n{HEADERS}\n{digest}"
    );
    let request = hex(&Sha256::digest(request));
    let to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{request}");
    let key = [date, REGION, "s3", "aws4_request"]
        .into_iter()
        .fold(format!("AWS4{password}").into_bytes(), |key, part| {
            hmac(&key, part)
        });
    let signature = hex(&hmac(&key, &to_sign));
    format!(
        "AWS4-HMAC-SHA256 Credential={user}/{scope}, SignedHeaders={HEADERS}, Signature={signature}"
    )
}

fn hmac(key: &[u8], message: &str) -> Vec<u8> {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length (RFC 2104)");
    mac.update(message.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signing_key_is_that_of_the_specification() {
        // AWS, "Deriving the signing key": the example for 2012-02-15, us-east-1, iam.
        let key = ["20120215", "us-east-1", "iam", "aws4_request"]
            .into_iter()
            .fold(
                b"AWS4wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_vec(),
                |key, part| hmac(&key, part),
            );
        assert_eq!(
            hex(&key),
            "f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d"
        );
    }
}
