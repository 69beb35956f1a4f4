//! Generated passwords, one file an account, readable only by the lab's owner.

use std::{fs, path::PathBuf};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use blueprint::Account;

use crate::{Lab, LabError, write::write_atomically};

/// Bytes of randomness in a password: 32 characters when encoded, without any that a URL or shell would escape.
const PASSWORD_BYTES: usize = 24;

/// The file that holds an account's password.
pub fn path(lab: &Lab, account: Account) -> PathBuf {
    lab.secrets().join(account.name())
}

/// Reads an account's password, making it first when the lab has none.
///
/// # Errors
/// When the file cannot be read or written, or the system has no randomness.
pub fn ensure(lab: &Lab, account: Account) -> Result<String, LabError> {
    let path = path(lab, account);
    match fs::read_to_string(&path) {
        Ok(password) if !password.is_empty() => return Ok(password),
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(LabError::file("read", path)(error)),
    }
    renew(lab, account)
}

/// Gives an account a new password. Whoever logs in with it must be told, the system that checks it too.
///
/// # Errors
/// When the file cannot be written, or the system has no randomness.
pub fn renew(lab: &Lab, account: Account) -> Result<String, LabError> {
    let path = path(lab, account);
    let mut bytes = [0; PASSWORD_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| {
        LabError::file("find randomness for", &path)(std::io::Error::other(error))
    })?;
    let password = URL_SAFE_NO_PAD.encode(bytes);
    write_atomically(&path, password.as_bytes(), 0o600)?;
    Ok(password)
}

/// Reads an account's password.
///
/// # Errors
/// When the lab has none, or it cannot be read.
pub fn read(lab: &Lab, account: Account) -> Result<String, LabError> {
    let path = path(lab, account);
    fs::read_to_string(&path).map_err(LabError::file("read", path))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_renewed_password_is_another_one() {
        let state = tempfile::tempdir().unwrap();
        let lab = Lab::at(state.path(), "default");
        let made = ensure(&lab, Account::RabbitmqOperator).unwrap();
        let renewed = renew(&lab, Account::RabbitmqOperator).unwrap();
        assert_ne!(made, renewed);
        assert_eq!(read(&lab, Account::RabbitmqOperator).unwrap(), renewed);
    }

    #[test]
    fn a_password_is_made_once_and_only_its_owner_reads_it() {
        let state = tempfile::tempdir().unwrap();
        let lab = Lab::at(state.path(), "default");
        let made = ensure(&lab, Account::RabbitmqOperator).unwrap();
        assert_eq!(made.len(), 32);
        assert_eq!(ensure(&lab, Account::RabbitmqOperator).unwrap(), made);
        assert_ne!(ensure(&lab, Account::RabbitmqProducer).unwrap(), made);
        let mode = fs::metadata(path(&lab, Account::RabbitmqOperator))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
