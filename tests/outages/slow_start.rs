//! After an outage, ITOC360 is met by a few, and then by more.

use std::sync::Arc;

use itoc360_double::Reply;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::post;
use crate::harness::{Itoc360, Setup, a_moment};

/// The number of alerts that wait when it comes back.
const BACKLOG: usize = 300;
/// The most attempts at once when all is well.
const CONCURRENCY: usize = 8;

/// The requests to ITOC360 since it is back.
#[derive(Debug, Default)]
struct Seen {
    /// Requests that are not answered yet.
    under_way: usize,
    answered: usize,
    /// For each request, how many were answered before it, and how many were under way with it.
    met: Vec<(usize, usize)>,
}

/// How many may be under way when so many were accepted in all, one of which was `probes`: one at
/// first, and one more each time that as many were accepted as may be under way.
fn bound(accepted: usize, probes: usize) -> usize {
    let counted = accepted.saturating_sub(probes);
    (1..=CONCURRENCY)
        .take_while(|limit| limit * (limit - 1) / 2 <= counted)
        .last()
        .unwrap_or(1)
}

/// Holds its answers until as many are under way as may be, so that they must come or nothing goes
/// on; and for a moment more, so that each that comes beyond them is seen.
fn hold(itoc360: &Itoc360, probes: usize) -> Arc<Mutex<Seen>> {
    let seen = Arc::<Mutex<Seen>>::default();
    let told = Arc::clone(&seen);
    let permits = Arc::new(Semaphore::new(0));
    itoc360.answers(move |_| {
        let mut seen = told.lock();
        seen.under_way += 1;
        let met = (seen.answered, seen.under_way);
        seen.met.push(met);
        if seen.under_way == bound(seen.answered, probes) || seen.met.len() == BACKLOG {
            let told = Arc::clone(&told);
            let permits = Arc::clone(&permits);
            tokio::spawn(async move {
                a_moment().await;
                let mut seen = told.lock();
                permits.add_permits(seen.under_way);
                seen.answered += std::mem::take(&mut seen.under_way);
            });
        }
        Reply::OkWhen(Arc::clone(&permits))
    });
    seen
}

fn is_a_ramp(seen: &Seen, probes: usize) {
    for (answered, under_way) in &seen.met {
        assert!(
            *under_way <= bound(*answered, probes),
            "{under_way} at once after {answered}: {:?}",
            seen.met
        );
    }
    // Each step in turn, up to the top.
    let first = |under_way: usize| seen.met.iter().position(|met| met.1 == under_way).unwrap();
    let starts: Vec<_> = (1..=CONCURRENCY).map(first).collect();
    assert!(starts.is_sorted(), "{starts:?}");
    println!("the first of so many at once was request number {starts:?}");
}

#[tokio::test]
async fn backlog_goes_out_in_a_slow_start_after_an_outage() {
    let itoc360 = Itoc360::alertmanager().await;
    itoc360.answers(|_| Reply::error(503, "down"));
    let lines = format!("concurrency = {CONCURRENCY}\ntimeout = \"60s\"");
    let (_place, gateway) = Setup::new(&itoc360).delivery(&lines).start().await;
    post(&gateway, "twilio", 0..BACKLOG).await;
    gateway.destination("itoc360", "failing").await;
    let seen = hold(&itoc360, 1);
    itoc360.opens_only(BACKLOG).await;
    is_a_ramp(&seen.lock(), 1);
}

#[tokio::test]
async fn backlog_goes_out_in_a_slow_start_after_a_restart() {
    let mut itoc360 = Itoc360::alertmanager().await;
    itoc360.down().await;
    let lines = format!("concurrency = {CONCURRENCY}\ntimeout = \"60s\"");
    let (place, gateway) = Setup::new(&itoc360).delivery(&lines).start().await;
    post(&gateway, "twilio", 0..BACKLOG).await;
    gateway.kill().await;
    itoc360.up().await;
    let seen = hold(&itoc360, 0);
    let _gateway = place.start().await;
    itoc360.opens_only(BACKLOG).await;
    is_a_ramp(&seen.lock(), 0);
}
