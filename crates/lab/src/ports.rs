//! TCP ports of 127.0.0.1 that a lab takes: the preferred one, or the next that is free.

use std::net::{Ipv4Addr, TcpListener};

use crate::LabError;

/// How far from the preferred port a free one is looked for.
const SEARCH: u16 = 1000;

/// The first port from `preferred` on that `is_free`.
///
/// # Errors
/// [`LabError::NoPort`], which names the owner, when there is none within a thousand.
pub fn next_free(
    owner: &str,
    preferred: u16,
    is_free: impl Fn(u16) -> bool,
) -> Result<u16, LabError> {
    let last = preferred.saturating_add(SEARCH);
    (preferred..=last)
        .find(|port| is_free(*port))
        .ok_or_else(|| LabError::NoPort {
            owner: owner.to_owned(),
            first: preferred,
            last,
        })
}

/// Whether a port can be listened on, on loopback and, because some programs bind every address, on all.
pub fn is_free(port: u16) -> bool {
    [Ipv4Addr::LOCALHOST, Ipv4Addr::UNSPECIFIED]
        .into_iter()
        .all(|address| TcpListener::bind((address, port)).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_with_a_listener_is_not_free() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(!is_free(port));
        drop(listener);
        assert!(is_free(port));
    }
}
