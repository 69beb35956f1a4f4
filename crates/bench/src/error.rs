//! What can go wrong in a measurement, and what to do about it.

use std::{io, path::PathBuf, time::Duration};

use host::HostError;
use lab::LabError;

/// A failure of a measurement. Each message speaks for its own level; [`BenchError::hint`] says what to do next.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// No case has a name like this.
    #[error("no case matches `{pattern}`; there are {names}")]
    NoCase {
        /// What was asked for.
        pattern: String,
        /// The names that there are.
        names: String,
    },
    /// RabbitMQ is not on this machine.
    #[error("the program `rabbitmq-server` is missing, which a broker of its own needs")]
    NoBroker,
    /// The broker's URL is none.
    #[error("the broker's URL is not of the form http://USER:PASSWORD@HOST:PORT")]
    BrokerUrl,
    /// The broker listens to nobody on a protocol.
    #[error("the broker has no listener for {protocol}")]
    NoListener {
        /// The protocol, as RabbitMQ calls it.
        protocol: &'static str,
    },
    /// A page of the broker or of a service cannot be had.
    #[error("cannot ask {what}")]
    Ask {
        /// Whose page.
        what: String,
        /// Why, without the URL, which has a password.
        source: reqwest::Error,
    },
    /// A page says something else than it should.
    #[error("{what} does not say {missing}")]
    Silent {
        /// Whose page.
        what: String,
        /// What is not in it.
        missing: String,
    },
    /// The broker of its own could not be prepared or run.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The directory of the broker of its own cannot be used.
    #[error(transparent)]
    Lab(#[from] LabError),
    /// A journal cannot be read.
    #[error(transparent)]
    Journal(#[from] messaging::journal::JournalError),
    /// PerfTest is not where it was said to be.
    #[error("there is no PerfTest at {path}")]
    NoPerfTest {
        /// The path that was given.
        path: PathBuf,
    },
    /// A program cannot be started.
    #[error("cannot start {program}")]
    Start {
        /// The program.
        program: String,
        /// What the system says.
        source: io::Error,
    },
    /// A program ended early or badly.
    #[error("{program} ended with {status}; it wrote last: {words}")]
    Ended {
        /// The program.
        program: String,
        /// How.
        status: String,
        /// The end of its output.
        words: String,
    },
    /// What was waited for did not come.
    #[error("waited {} s for {what}: {last}", waited.as_secs())]
    GaveUp {
        /// What was waited for.
        what: String,
        /// How long.
        waited: Duration,
        /// What was seen last.
        last: String,
    },
    /// Messages are gone.
    #[error("{competitor} lost messages in {case}: {account}")]
    Lost {
        /// Whose messages.
        competitor: &'static str,
        /// In which case.
        case: String,
        /// The numbers.
        account: String,
    },
    /// The kernel's page about a process cannot be understood.
    #[error("cannot understand {path}")]
    Kernel {
        /// The page.
        path: String,
    },
    /// A file cannot be used.
    #[error("cannot {action} {path}")]
    File {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl BenchError {
    pub(crate) fn file(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File {
            action,
            path,
            source,
        }
    }

    pub(crate) fn ask(what: impl Into<String>) -> impl FnOnce(reqwest::Error) -> Self {
        let what = what.into();
        move |source| Self::Ask {
            what,
            source: source.without_url(),
        }
    }

    /// What to do next, where there is something.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NoCase { .. } => "give a part of a name; `*` stands for anything",
            Self::NoBroker => {
                "`sudo apt-get install rabbitmq-server`, or name a broker that does nothing else with --broker"
            }
            Self::BrokerUrl => {
                "the management plugin answers there; http://guest:guest@127.0.0.1:15672 after a plain installation"
            }
            Self::NoListener { .. } => {
                "`rabbitmq-plugins enable rabbitmq_prometheus` on the broker, whose counters judge every run"
            }
            Self::NoPerfTest { .. } => crate::perf_test::REMEDY,
            Self::Lost { .. } => {
                "nothing of this run counts; a broker that others use at the same time cannot be judged by its counters"
            }
            Self::Host(error) => return error.hint(),
            Self::Lab(error) => return error.hint(),
            Self::Journal(error) => return Some(error.hint()),
            _ => return None,
        };
        Some(hint.to_owned())
    }
}
