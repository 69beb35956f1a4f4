//! Makes the list of metrics of an exposition, for `tests/fixtures/metrics/`:
//!
//!     curl -s http://127.0.0.1:9100/metrics | cargo run -p lab-tests --example metric_list

use std::io::{self, Read as _, Write as _};

use lab_tests::metric_list::{exposed, list};

fn main() -> io::Result<()> {
    let mut exposition = String::new();
    io::stdin().read_to_string(&mut exposition)?;
    io::stdout().write_all(list(&exposed(&exposition)).as_bytes())
}
