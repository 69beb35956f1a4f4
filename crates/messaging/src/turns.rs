//! Turns of the connections that share a thread.
//!
//! A connection that always finds something to do never waits, and whatever waits beside it would wait for ever. The
//! runtime's own budget for that counts in its tasks alone, and a service's messages are carried by none of them.

use std::time::{Duration, Instant};

use tokio::task::yield_now;

/// Short beside what a message may take, and long beside what a change costs.
const TURN: Duration = Duration::from_millis(5);

/// The turns of one connection.
#[derive(Debug)]
pub(crate) struct Turns {
    began: Instant,
}

impl Turns {
    /// The first turn begins.
    pub(crate) fn new(now: Instant) -> Self {
        Self { began: now }
    }

    /// Lets the others go on when the turn is over.
    pub(crate) async fn pass(&mut self, now: Instant) {
        if now.saturating_duration_since(self.began) >= TURN {
            self.began = now;
            yield_now().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use async_io::block_on;
    use futures_util::{FutureExt as _, future::join};

    use super::*;

    #[test]
    fn a_connection_that_never_waits_lets_another_go_on() {
        let others = Cell::new(0_u32);
        let start = Instant::now();
        let busy = async {
            let mut turns = Turns::new(start);
            for tenth in 0..1000 {
                turns.pass(start + TURN * tenth / 10).await;
            }
            others.get()
        };
        let other = async {
            for _ in 0..99 {
                others.set(others.get() + 1);
                yield_now().await;
            }
        };
        let (seen, ()) = block_on(join(busy, other));
        assert_eq!(seen, 99, "a turn of ten steps in a thousand");
    }

    #[test]
    fn a_turn_is_not_given_up_before_it_is_over() {
        let start = Instant::now();
        let mut turns = Turns::new(start);
        assert_eq!(turns.pass(start + TURN / 2).now_or_never(), Some(()));
        assert_eq!(turns.pass(start + TURN).now_or_never(), None);
        assert_eq!(turns.pass(start + TURN * 3 / 2).now_or_never(), Some(()));
    }
}
