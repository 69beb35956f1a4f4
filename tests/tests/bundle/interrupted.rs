//! A transfer that breaks off is gone on with, and leaves nothing that looks whole.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::Poll,
};

use lab_tests::registry::Registry as Server;
use oci::{Digest, Meter, OciError};

use crate::images::{
    Upstream, Workshop, client, load, logged, noise, nothing_is_named, open, places,
};

/// More than two sockets hold, so that what breaks off has not arrived.
const BIG: usize = 32 << 20;

const MARK: u64 = 1 << 20;

/// Lets a transfer run until the meter shows [`MARK`].
async fn up_to_the_mark<T>(meter: &Meter, mut transfer: Pin<&mut impl Future<Output = T>>) {
    poll_fn(|context| {
        if meter.done() >= MARK {
            return Poll::Ready(());
        }
        // The meter wakes nobody.
        context.waker().wake_by_ref();
        let ended = transfer.as_mut().poll(context).is_ready();
        assert!(!ended, "it ended with {} bytes", meter.done());
        Poll::Pending
    })
    .await;
}

fn is_told_as_unreachable(error: &OciError, server: &Server) {
    assert!(matches!(error, OciError::Unreachable { .. }), "{error:?}");
    let hint = error.hint().unwrap();
    assert!(hint.contains(&server.address()), "{hint}");
}

#[tokio::test]
async fn a_registry_that_goes_away_is_gone_on_with_when_it_is_back() {
    let test = "a_registry_that_goes_away_is_gone_on_with_when_it_is_back";
    let Some(server) = Server::start(test) else {
        return;
    };
    let layer = noise(1, BIG);
    let mut upstream = Upstream::with_layer(server, &layer).await;
    let (workshop, recipe) = (Workshop::new(), upstream.recipe(None));
    {
        let meter = Meter::default();
        let mut create = pin!(workshop.create(&recipe, &meter));
        up_to_the_mark(&meter, create.as_mut()).await;
        upstream.server.end();
        is_told_as_unreachable(&create.await.unwrap_err(), &upstream.server);
    }
    workshop.has_no_bundle();

    upstream.server.restart();
    workshop.bundle(&recipe).await;
    workshop.has_nothing_unfinished();
    let rest = format!("/v2/team/one/blobs/{} 206", Digest::of(&layer));
    logged(&upstream.server, &rest, 1).await;
}

#[tokio::test]
async fn a_load_that_breaks_off_names_nothing_and_is_done_again() {
    let test = "a_load_that_breaks_off_names_nothing_and_is_done_again";
    let (Some(from), Some(mut to)) = (Server::start(test), Server::start(test)) else {
        return;
    };
    let upstream = Upstream::with_layer(from, &noise(1, BIG)).await;
    let workshop = Workshop::new();
    let bundle = workshop.bundle(&upstream.recipe(None)).await;
    let places = places(&bundle, &to, "copy");
    let client = client();

    // Whoever loads it goes away.
    {
        let meter = Meter::default();
        let mut loading = pin!(bundle.load(&client, &places, &meter));
        up_to_the_mark(&meter, loading.as_mut()).await;
    }
    nothing_is_named(&places).await;

    // The registry goes away.
    {
        let meter = Meter::default();
        let mut loading = pin!(bundle.load(&client, &places, &meter));
        up_to_the_mark(&meter, loading.as_mut()).await;
        to.end();
        is_told_as_unreachable(&loading.await.unwrap_err(), &to);
    }
    to.restart();
    nothing_is_named(&places).await;

    let moved = load(&bundle, &places).await.unwrap();
    // The configuration may have arrived before.
    assert!(moved[0].bytes >= BIG as u64, "{moved:?}");
    let again = load(&open(&workshop.target()), &places).await.unwrap();
    assert_eq!(again[0].blobs, 0);
}
