//! The messages' own way over a connection, past lapin.
//!
//! lapin opens the connection and the channel, declares, consumes, cancels, sends heartbeats and says why something ended.
//! What comes by the million does not go through it: publishes and their confirms, deliveries and their acknowledgements.
//! Each of these costs it promises, copies and wake-ups of three threads, which is several times what the bytes cost. The
//! lane writes and reads these frames itself on the task that makes and handles the messages, over the socket that it
//! shares with lapin.

use std::{sync::Arc, time::Duration};

use lapin::Channel;

use end::LaneEnd;
use socket::SharedSocket;

pub use headers::Headers;
pub(crate) use incoming::{Answer, Arrival, Content, Delivery};
pub(crate) use outgoing::Publish;
pub(super) use stream::LapinStream;

mod end;
mod fields;
mod frame;
pub(crate) mod headers;
mod inbound;
mod incoming;
mod moderation;
mod outbound;
mod outgoing;
pub(super) mod socket;
mod stream;

/// The messages of one channel. Dropping it leaves the socket to lapin and closes the channel.
pub(crate) struct Lane {
    end: LaneEnd,
    channel: Channel,
    frame_max: usize,
}

impl Lane {
    /// Takes over the messages of a channel that lapin has opened, before any was published or delivered. What the broker
    /// sends within `pause` of a read is read together.
    pub(super) fn open(
        socket: Arc<SharedSocket>,
        channel: Channel,
        frame_max: usize,
        pause: Duration,
    ) -> Self {
        Self {
            end: LaneEnd::open(socket, channel.id(), pause),
            channel,
            frame_max,
        }
    }

    /// The channel, for what is not a message.
    pub(crate) fn channel(&self) -> &Channel {
        &self.channel
    }

    /// Queues a message; it is written by the next [`arrivals`](Self::arrivals).
    pub(crate) fn publish(&self, publish: &Publish<'_>) {
        self.end
            .queue(|out| publish.append(out, self.channel.id(), self.frame_max));
    }

    /// Queues the acknowledgement of a delivery, or of all up to it.
    pub(crate) fn ack(&self, tag: u64, multiple: bool) {
        self.end
            .queue(|out| outgoing::ack(out, self.channel.id(), tag, multiple));
    }

    /// Queues the rejection of a delivery.
    pub(crate) fn reject(&self, tag: u64, requeue: bool) {
        self.end
            .queue(|out| outgoing::reject(out, self.channel.id(), tag, requeue));
    }

    /// How many bytes of messages may be queued now; 0 until most of what is queued was written.
    pub(crate) fn room_bytes(&self) -> usize {
        self.end.room_bytes()
    }

    /// Writes what is queued, and waits until something has arrived, or until there is room again if `wants_room`. Cancel
    /// safe. Brings nothing more once the connection has ended, of which lapin tells.
    pub(crate) async fn arrivals(&mut self, wants_room: bool) -> Vec<Arrival> {
        std::future::poll_fn(|cx| self.end.poll_arrivals(wants_room, cx)).await
    }
}
