//! The socket between the programs `docker` and `kind` and the engine that the test plays.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    os::unix::net::{UnixListener, UnixStream},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use serde::{Deserialize, Serialize};

use super::Engine;

/// The environment variable that names the socket.
pub const SOCKET: &str = "FAKE_ENGINE_SOCKET";

/// A command line of `docker` or `kind`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Question {
    /// Which of the two.
    pub program: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Its standard input.
    pub input: String,
    /// The network that kind is told to use.
    pub network: Option<String>,
    /// The container engine that kind is told to use.
    pub provider: Option<String>,
}

/// What the program says and how it ends.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Answer {
    /// Its exit code.
    pub code: u8,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Question {
    /// The command as it could be typed.
    pub fn line(&self) -> String {
        format!("{} {}", self.program, self.arguments.join(" "))
    }
}

/// Answers on the socket. Dropping it drops the engine with all that it has started.
pub(super) struct Server {
    engine: Arc<Mutex<Option<Engine>>>,
}

impl Server {
    pub(super) fn start(socket: &Path, engine: Engine) -> Self {
        let listener = UnixListener::bind(socket).expect("a socket");
        let engine = Arc::new(Mutex::new(Some(engine)));
        let shared = Arc::clone(&engine);
        // The threads wait for as long as the test's process runs; what they could start is taken from them at the end.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                thread::spawn(move || answer(stream, &shared));
            }
        });
        Self { engine }
    }

    pub(super) fn engine<T>(&self, look: impl FnOnce(&mut Engine) -> T) -> T {
        let mut engine = self.engine.lock().unwrap_or_else(PoisonError::into_inner);
        look(engine.as_mut().expect("it is taken at the end only"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let engine = self
            .engine
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        drop(engine);
    }
}

/// A program that was killed meanwhile does not hear the answer, and what it asked for is done all the same; but a question
/// that should take for ever ends with the program.
fn answer(mut stream: UnixStream, engine: &Mutex<Option<Engine>>) {
    let mut line = String::new();
    let reader = stream.try_clone().expect("a second handle");
    if BufReader::new(reader).read_line(&mut line).is_err() {
        return;
    }
    let question: Question = serde_json::from_str(&line).expect("a question");
    let answer = match engine
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .as_mut()
    {
        Some(engine) => engine.answer(&question),
        None => return,
    };
    match answer {
        Some(answer) => {
            let answer = serde_json::to_string(&answer).expect("an answer");
            let _ = stream.write_all(format!("{answer}\n").as_bytes());
        }
        None => {
            let _ = stream.read_to_end(&mut Vec::new());
        }
    }
}
