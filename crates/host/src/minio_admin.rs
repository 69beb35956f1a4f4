//! Prepares the object store: the buckets of Loki, and a user that may touch nothing else.
//!
//! Buckets are made through S3. Users and policies need MinIO's admin API (`/minio/admin/v3`), whose requests are
//! signed with AWS Signature Version 4 in headers, and whose user records are sealed as `madmin-go`'s `EncryptData`
//! does: `salt | AEAD id | nonce | stream of secure-io/sio-go`, under an Argon2id key of the administrator's password.

use std::{fs, path::Path, time::Duration};

use aes_gcm::{
    Aes256Gcm, KeyInit as _,
    aead::{Aead as _, Payload},
};
use argon2::{Algorithm, Argon2, Params, Version};
use blueprint::Account;
use hmac::{Hmac, Mac as _};
use jiff::Timestamp;
use reqwest::{Client, Method, StatusCode};
use rusty_s3::{Bucket, Credentials, S3Action as _, UrlStyle};
use sha2::{Digest as _, Sha256};

use crate::HostError;

/// MinIO's default region, which signatures name.
const REGION: &str = "us-east-1";

/// How long a signed bucket URL is good for; it is used at once.
const SIGNATURE_LIFE: Duration = Duration::from_secs(60);

/// The name of the policy that Loki's user has.
const POLICY: &str = "loki";

/// Makes buckets, policy and user. Doing it again changes nothing.
///
/// # Errors
/// [`HostError::ObjectStore`] with the step that was refused and the answer.
pub(crate) async fn prepare(
    http: &Client,
    port: u16,
    secrets: &Path,
    buckets: &[String],
    policy: &Path,
) -> Result<(), HostError> {
    let read = |path: &Path| fs::read(path).map_err(HostError::file("read", path));
    let password = |account: Account| {
        read(&secrets.join(account.name()))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    };
    let admin = Admin {
        http,
        port,
        user: Account::MinioRoot.username(),
        password: password(Account::MinioRoot)?,
    };
    for bucket in buckets {
        admin.make_bucket(bucket).await?;
    }
    let query = format!("name={POLICY}");
    admin
        .put("add-canned-policy", &query, read(policy)?)
        .await?;
    let user = Account::MinioLoki.username();
    let record = serde_json::json!({
        "secretKey": password(Account::MinioLoki)?,
        "status": "enabled",
    });
    let sealed = seal(&admin.password, record.to_string().as_bytes())
        .ok_or_else(|| refused("seal Loki's user", "the password cannot be used as a key"))?;
    admin
        .put("add-user", &format!("accessKey={user}"), sealed)
        .await?;
    let query = format!("isGroup=false&policyName={POLICY}&userOrGroup={user}");
    admin
        .put("set-user-or-group-policy", &query, Vec::new())
        .await
}

fn refused(step: impl Into<String>, reason: impl Into<String>) -> HostError {
    HostError::ObjectStore {
        step: step.into(),
        reason: reason.into(),
    }
}

/// What an error of S3 says, or else the first line of the answer: a reason is one line of a table.
fn message(answer: &str) -> &str {
    answer
        .split_once("<Message>")
        .and_then(|(_, rest)| Some(rest.split_once("</Message>")?.0))
        .unwrap_or_else(|| answer.lines().next().unwrap_or_default())
}

struct Admin<'a> {
    http: &'a Client,
    port: u16,
    user: &'static str,
    password: String,
}

impl Admin<'_> {
    async fn make_bucket(&self, name: &str) -> Result<(), HostError> {
        let step = || format!("make bucket {name}");
        let endpoint = format!("http://127.0.0.1:{}", self.port)
            .parse()
            .map_err(|_| refused(step(), "its address is malformed"))?;
        let bucket = Bucket::new(endpoint, UrlStyle::Path, name.to_owned(), REGION)
            .map_err(|error| refused(step(), error.to_string()))?;
        let credentials = Credentials::new(self.user, self.password.as_str());
        let url = bucket.create_bucket(&credentials).sign(SIGNATURE_LIFE);
        let answer = self.http.put(url).send().await;
        let answer = answer.map_err(|error| refused(step(), error.to_string()))?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            // It exists and is ours.
            StatusCode::CONFLICT => Ok(()),
            status => {
                let words = answer.text().await.unwrap_or_default();
                Err(refused(step(), format!("{status}: {}", message(&words))))
            }
        }
    }

    async fn put(&self, call: &str, query: &str, body: Vec<u8>) -> Result<(), HostError> {
        let path = format!("/minio/admin/v3/{call}");
        let host = format!("127.0.0.1:{}", self.port);
        let time = Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
        let digest = hex(&Sha256::digest(&body));
        let authorization = Signature {
            user: self.user,
            password: &self.password,
            host: &host,
            path: &path,
            query,
            time: &time,
            digest: &digest,
        }
        .header();
        let answer = self
            .http
            .request(Method::PUT, format!("http://{host}{path}?{query}"))
            .header("x-amz-date", time)
            .header("x-amz-content-sha256", digest)
            .header("authorization", authorization)
            .body(body)
            .send()
            .await
            .map_err(|error| refused(call, error.to_string()))?;
        if answer.status().is_success() {
            return Ok(());
        }
        let status = answer.status();
        let words = answer.text().await.unwrap_or_default();
        Err(refused(call, format!("{status}: {}", message(&words))))
    }
}

/// The parts of a PUT that AWS Signature Version 4 covers; `query` is sorted and needs no escaping.
struct Signature<'a> {
    user: &'a str,
    password: &'a str,
    host: &'a str,
    path: &'a str,
    query: &'a str,
    /// Basic ISO 8601, UTC.
    time: &'a str,
    /// SHA-256 of the body, in hexadecimal.
    digest: &'a str,
}

impl Signature<'_> {
    /// The `Authorization` header.
    fn header(&self) -> String {
        const SIGNED: &str = "host;x-amz-content-sha256;x-amz-date";
        let Self {
            user,
            host,
            path,
            query,
            time,
            digest,
            ..
        } = self;
        let day = &time[..8];
        let scope = format!("{day}/{REGION}/s3/aws4_request");
        let request = format!(
            "PUT\n{path}\n{query}\nhost:{host}\nx-amz-content-sha256:{digest}\nx-amz-date:{time}\n\n{SIGNED}\n{digest}"
        );
        let request = hex(&Sha256::digest(request));
        let to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{request}");
        let key = format!("AWS4{}", self.password);
        let key = [day, REGION, "s3", "aws4_request"]
            .iter()
            .fold(key.into_bytes(), |key, part| mac(&key, part));
        let signature = hex(&mac(&key, &to_sign));
        format!(
            "AWS4-HMAC-SHA256 Credential={user}/{scope}, SignedHeaders={SIGNED}, Signature={signature}"
        )
    }
}

fn mac(key: &[u8], message: &str) -> Vec<u8> {
    // HMAC takes keys of every length, so the error cannot occur.
    Hmac::<Sha256>::new_from_slice(key).map_or_else(
        |_| Vec::new(),
        |mut mac| {
            mac.update(message.as_bytes());
            mac.finalize().into_bytes().to_vec()
        },
    )
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `madmin-go`'s id of Argon2id with AES-256-GCM.
const ARGON2ID_AES_GCM: u8 = 0x00;

/// Seals a short record as `madmin-go` expects it. `None` when key derivation refuses the password.
fn seal(password: &str, record: &[u8]) -> Option<Vec<u8>> {
    let mut random = [0; 40];
    getrandom::fill(&mut random).ok()?;
    let (salt, nonce) = random.split_at(32);
    seal_with(password, record, salt, nonce)
}

fn seal_with(password: &str, record: &[u8], salt: &[u8], nonce: &[u8]) -> Option<Vec<u8>> {
    // One pass over 64 MiB in four lanes: `argon2idTime`, `argon2idMemory`, `argon2idThreads` of madmin-go.
    let parameters = Params::new(64 * 1024, 1, 4, Some(32)).ok()?;
    let mut key = [0; 32];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters)
        .hash_password_into(password.as_bytes(), salt, &mut key)
        .ok()?;
    let cipher = Aes256Gcm::new(&key.into());
    // sio-go: the nonce of fragment n ends in n, little endian; fragment 0 is empty and only authenticates; the tag
    // of it, behind a byte that marks the last fragment, is the associated data of the others. One fragment takes
    // 16 KiB, so a user record is one fragment, the first and last.
    let seal = |sequence: u32, flagged: &[u8], message: &[u8]| {
        let mut full = [0; 12];
        full[..8].copy_from_slice(nonce);
        full[8..].copy_from_slice(&sequence.to_le_bytes());
        let payload = Payload {
            msg: message,
            aad: flagged,
        };
        cipher.encrypt(&full.into(), payload).ok()
    };
    let tag = seal(0, &[], &[])?;
    let flagged = [&[0x80], tag.as_slice()].concat();
    let sealed = seal(1, &flagged, record)?;
    Some([salt, &[ARGON2ID_AES_GCM], nonce, &sealed].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_in_one_line() {
        let answer = "<?xml version=\"1.0\"?>\n<Error><Code>XMinioServerNotInitialized</Code>\
            <Message>Server not initialized yet.</Message></Error>";
        assert_eq!(message(answer), "Server not initialized yet.");
        assert_eq!(message("first\nsecond"), "first");
        assert_eq!(message(""), "");
    }

    #[test]
    fn a_sealed_record_has_the_layout_that_minio_reads() {
        let sealed = seal("password", b"{}").unwrap();
        // salt 32, id 1, nonce 8, record 2, tag 16
        assert_eq!(sealed.len(), 59);
        assert_eq!(sealed[32], ARGON2ID_AES_GCM);
        assert_ne!(seal("password", b"{}").unwrap(), sealed);
    }

    #[test]
    fn a_signature_depends_on_everything_that_it_covers() {
        let signature = Signature {
            user: "lab-root",
            password: "secret",
            host: "127.0.0.1:9000",
            path: "/minio/admin/v3/add-user",
            query: "accessKey=loki",
            time: "20260102T030405Z",
            digest: "e3b0c442",
        };
        let header = signature.header();
        assert!(header.starts_with(
            "AWS4-HMAC-SHA256 Credential=lab-root/20260102/us-east-1/s3/aws4_request, "
        ));
        let other = Signature {
            query: "accessKey=other",
            ..signature
        };
        assert_ne!(other.header(), header);
    }
}
