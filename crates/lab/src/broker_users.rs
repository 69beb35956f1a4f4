//! The definitions file with RabbitMQ's users. It holds hashes of passwords, never a password.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use blueprint::Account;
use serde_json::json;
use sha2::{Digest as _, Sha256};

/// The broker's accounts and their tags.
const ACCOUNTS: [(Account, &[&str]); 3] = [
    (Account::RabbitmqOperator, &["administrator"]),
    (Account::RabbitmqProducer, &[]),
    (Account::RabbitmqConsumer, &[]),
];

/// The definitions of the broker's users, as JSON, with the passwords that `password` gives.
///
/// # Errors
/// The first error of `password`.
pub fn broker_users<E>(password: impl Fn(Account) -> Result<String, E>) -> Result<String, E> {
    let users = ACCOUNTS
        .iter()
        .map(|&(account, tags)| {
            Ok(json!({
                "name": account.username(),
                "password_hash": password_hash(account, &password(account)?),
                "hashing_algorithm": "rabbit_password_hashing_sha256",
                "tags": tags,
            }))
        })
        .collect::<Result<Vec<_>, E>>()?;
    Ok(json!({ "users": users }).to_string())
}

/// RabbitMQ's salted hash: base64 of a 4-byte salt and SHA-256 of salt and password
/// (rabbitmq.com, "Credentials and Passwords"). The salt follows from the random password, so that the same password
/// gives the same file and a second bootstrap changes nothing.
fn password_hash(account: Account, password: &str) -> String {
    let digest = Sha256::digest(format!("{}:{password}", account.name()));
    let salt = &digest[..4];
    let hash = Sha256::new()
        .chain_update(salt)
        .chain_update(password)
        .finalize();
    STANDARD.encode([salt, hash.as_slice()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_hash_is_a_salt_and_the_digest_of_salt_and_password() {
        let hash = STANDARD
            .decode(password_hash(Account::RabbitmqProducer, "secret"))
            .unwrap();
        assert_eq!(hash.len(), 36);
        let digest = Sha256::digest([&hash[..4], b"secret"].concat());
        assert_eq!(hash[4..], digest[..]);
    }

    #[test]
    fn the_file_names_three_users_and_no_password() {
        let file =
            broker_users(|account| Ok::<_, ()>(format!("secret-of-{}", account.name()))).unwrap();
        let value: serde_json::Value = serde_json::from_str(&file).unwrap();
        assert_eq!(value["users"].as_array().map(Vec::len), Some(3));
        assert!(!file.contains("secret-of"), "{file}");
    }
}
