//! The Secrets that the manifests refer to by name. The cluster keeps them: what is there is read, what is missing is made.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use blueprint::Account;
use k8s_openapi::{ByteString, api::core::v1};
use kube::{
    Api,
    api::{ObjectMeta, Patch, PatchParams},
};

use crate::{ClusterError, Kube, objects::FIELD_MANAGER};

/// Bytes of randomness in a password: 32 characters when encoded, without any that a URL or shell would escape.
const PASSWORD_BYTES: usize = 24;

/// The Secret by which the broker's nodes trust each other.
const COOKIE: &str = "rabbitmq-erlang-cookie";

/// The key of an account's password.
const PASSWORD: &str = "password";

/// Makes every Secret that is missing or not right, in namespaces that must be there. Returns how many it changed.
///
/// # Errors
/// When the API server refuses, or the system has no randomness.
pub async fn ensure(kube: &Kube) -> Result<usize, ClusterError> {
    let mut passwords = BTreeMap::new();
    let mut made = 0;
    for account in Account::ALL {
        let password = match find(kube, account).await? {
            Some(password) => password,
            None => random()?,
        };
        passwords.insert(account, password);
    }
    for secret in blueprint::Secret::ALL {
        let account = Account::ALL
            .into_iter()
            .find(|account| account.name() == secret.name);
        let data = match account {
            Some(account) => BTreeMap::from([
                ("username".to_owned(), account.username().to_owned()),
                (PASSWORD.to_owned(), passwords[&account].clone()),
            ]),
            None => BTreeMap::from([(secret.keys[0].to_owned(), other(secret.name, &passwords)?)]),
        };
        for namespace in secret.namespaces {
            let namespace = kube.namespaces.named(namespace);
            made += usize::from(make(kube, &namespace, secret.name, &data).await?);
        }
    }
    Ok(made)
}

/// What the Secrets hold that are no account's.
fn other(name: &str, passwords: &BTreeMap<Account, String>) -> Result<String, ClusterError> {
    match name {
        "rabbitmq-users" => lab::broker_users(|account| Ok(passwords[&account].clone())),
        COOKIE => random(),
        _ => Err(ClusterError::malformed(
            format!("the Secret {name}"),
            "nothing says what it holds",
        )),
    }
}

/// The password of an account.
///
/// # Errors
/// When the lab has none, or the API server refuses.
pub async fn password(kube: &Kube, account: Account) -> Result<String, ClusterError> {
    find(kube, account).await?.ok_or_else(|| {
        ClusterError::malformed(
            format!("the Secret {}", account.name()),
            "it is not there, or has no password",
        )
    })
}

async fn find(kube: &Kube, account: Account) -> Result<Option<String>, ClusterError> {
    let Some(secret) = blueprint::Secret::ALL
        .iter()
        .find(|secret| secret.name == account.name())
    else {
        return Ok(None);
    };
    for namespace in secret.namespaces {
        let namespace = kube.namespaces.named(namespace);
        let api: Api<v1::Secret> = Api::namespaced(kube.client.clone(), &namespace);
        let found = api
            .get_opt(secret.name)
            .await
            .map_err(ClusterError::kubernetes(format!(
                "read the Secret {namespace}/{}",
                secret.name
            )))?;
        let password = found
            .and_then(|secret| secret.data)
            .and_then(|mut data| data.remove(PASSWORD))
            .and_then(|ByteString(bytes)| String::from_utf8(bytes).ok());
        if password.is_some() {
            return Ok(password);
        }
    }
    Ok(None)
}

/// Makes a Secret, or makes it right. The broker's nodes must not lose each other, so their cookie is never made anew.
async fn make(
    kube: &Kube,
    namespace: &str,
    name: &str,
    data: &BTreeMap<String, String>,
) -> Result<bool, ClusterError> {
    let api: Api<v1::Secret> = Api::namespaced(kube.client.clone(), namespace);
    let action = format!("make the Secret {namespace}/{name}");
    let before = api
        .get_metadata_opt(name)
        .await
        .map_err(ClusterError::kubernetes(&action))?;
    if before.is_some() && name == COOKIE {
        return Ok(false);
    }
    let secret = v1::Secret {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            labels: Some(BTreeMap::from([(
                "app.kubernetes.io/part-of".to_owned(),
                "lab".to_owned(),
            )])),
            ..ObjectMeta::default()
        },
        string_data: Some(data.clone()),
        ..v1::Secret::default()
    };
    let parameters = PatchParams::apply(FIELD_MANAGER).force();
    let after = api
        .patch(name, &parameters, &Patch::Apply(&secret))
        .await
        .map_err(ClusterError::kubernetes(action))?;
    Ok(before.and_then(|object| object.metadata.resource_version)
        != after.metadata.resource_version)
}

fn random() -> Result<String, ClusterError> {
    let mut bytes = [0; PASSWORD_BYTES];
    getrandom::fill(&mut bytes)
        .map_err(|error| ClusterError::malformed("the system's source of randomness", error))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}
