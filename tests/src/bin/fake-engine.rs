//! `docker` and `kind` of a test: hands its command line and input to the container engine that the test plays, and says
//! what that answers. Under which of the two names it was called stands in the question.

use std::{
    env,
    error::Error,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    os::unix::net::UnixStream,
    path::Path,
    process::ExitCode,
};

use lab_tests::kind_lab::{Answer, Question, SOCKET};

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut arguments = env::args();
    let called = arguments.next().unwrap_or_default();
    let name = Path::new(&called).file_name().unwrap_or_default();
    let mut input = String::new();
    std::io::stdin().read_to_string(&mut input)?;
    let question = Question {
        program: name.to_string_lossy().into_owned(),
        arguments: arguments.collect(),
        input,
        network: env::var("KIND_EXPERIMENTAL_DOCKER_NETWORK").ok(),
        provider: env::var("KIND_EXPERIMENTAL_PROVIDER").ok(),
    };
    let mut stream = UnixStream::connect(env::var(SOCKET)?)?;
    stream.write_all(format!("{}\n", serde_json::to_string(&question)?).as_bytes())?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    let answer: Answer = serde_json::from_str(&line)?;
    std::io::stdout().write_all(answer.stdout.as_bytes())?;
    std::io::stderr().write_all(answer.stderr.as_bytes())?;
    Ok(answer.code.into())
}
