//! A server that gives one answer, for the tests of the clients: the answers are those of real programs.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpListener},
    sync::mpsc::{self, Receiver},
    thread,
};

use blueprint::Component;

use super::{Endpoint, http};

/// Serves this status and body to every request; the request lines come out of the receiver.
pub(crate) fn serve(status: &'static str, body: impl Into<String>) -> (Endpoint, Receiver<String>) {
    let body = body.into();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 4096];
            let length = stream.read(&mut request).unwrap_or_default();
            let request = String::from_utf8_lossy(&request[..length]).into_owned();
            let line = request.lines().next().unwrap_or_default().to_owned();
            // Not every test looks at what was asked.
            let _ = sender.send(line);
            let _ = write!(
                stream,
                "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
        }
    });
    (
        Endpoint::new(Component::Prometheus, http(), address),
        receiver,
    )
}

/// Serves this body as a success.
pub(crate) fn success(body: impl Into<String>) -> Endpoint {
    serve("200 OK", body).0
}
