//! No password stands in a file: where one is needed, there is a variable or the path of a file.

use lab_tests::config::{documents, files, text};
use serde_yaml::Value;

/// Endings of keys whose values are secrets.
const SECRETS: [&str; 9] = [
    "password",
    "passwd",
    "password_hash",
    "secret",
    "secret_key",
    "secret_access_key",
    "token",
    "api_key",
    "credentials",
];

fn names_a_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase().replace(['-', '.'], "_");
    SECRETS.iter().any(|secret| key.ends_with(secret))
}

/// Whether a value only says where the secret is.
fn is_reference(value: &str) -> bool {
    value.is_empty() || value.starts_with('$') || value.starts_with('/')
}

/// Every secret that stands in the text of a file, as `key: value`.
fn secrets(file: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    if file.ends_with(".yaml") || file.ends_with(".yml") || file.ends_with(".json") {
        for document in documents(text).unwrap_or_else(|error| panic!("{file}: {error}")) {
            in_tree(&document, &mut found);
        }
    } else {
        for line in text.lines().map(str::trim) {
            if let Some((key, value)) = line.split_once('=')
                && !line.starts_with(['#', ';'])
                && names_a_secret(key.trim())
                && !is_reference(value.trim())
            {
                found.push(line.to_owned());
            }
        }
    }
    found
}

fn in_tree(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Mapping(mapping) => {
            for (key, value) in mapping {
                let key = key.as_str().unwrap_or_default();
                if let Some(text) = value.as_str()
                    && names_a_secret(key)
                    && !is_reference(text)
                {
                    found.push(format!("{key}: {text}"));
                }
                in_tree(value, found);
            }
        }
        Value::Sequence(items) => items.iter().for_each(|item| in_tree(item, found)),
        _ => {}
    }
}

#[test]
fn no_file_under_manifests_contains_a_secret() {
    for file in files("") {
        let found = secrets(&file, &text(&file));
        assert!(found.is_empty(), "{file}: {found:?}");
    }
}

#[test]
fn secrets_are_recognised_in_every_kind_of_file() {
    for (file, text) in [
        ("a.yaml", "s3: {secret_access_key: hunter2}"),
        ("a.json", r#"{"users": [{"password_hash": "xyz"}]}"#),
        ("a.ini", "admin_password = hunter2"),
        ("a.conf", "default_pass_token = hunter2"),
    ] {
        assert_eq!(secrets(file, text).len(), 1, "{file}");
    }
    for (file, text) in [
        ("a.yaml", "s3: {secret_access_key: '${LOKI_S3_SECRET_KEY}'}"),
        ("a.yaml", "authorization: {credentials_file: /run/token}"),
        ("a.ini", "; admin_password = hunter2"),
    ] {
        assert_eq!(secrets(file, text), [""; 0], "{file}");
    }
}
