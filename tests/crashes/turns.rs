//! Alerts that fire, resolve and fire again while the gateway is killed. A repeated delivery of an
//! alert that only opens is an update; here it would open once too often.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{a_moment, kills};
use crate::harness::{Gateway, Itoc360, PATIENCE, Post, Setup, plugin, random};

const KEYS: usize = 8;

/// The progress of the senders, one for each key.
struct Turns {
    /// The number of the next event of each key.
    next: [AtomicUsize; KEYS],
    /// The number of the last one.
    last: AtomicUsize,
    accepted: watch::Sender<usize>,
}

/// Each event with an even number opens the alert of its key, and the next one ends it.
fn event(key: usize, number: usize) -> Post {
    let mut alert = plugin::alert(&format!("{key}-{number}"));
    alert["key"] = format!("key {key}").into();
    alert["status"] = if number.is_multiple_of(2) {
        "trigger"
    } else {
        "resolve"
    }
    .into();
    plugin::alerts("parrot", &[alert])
}

/// Sends, for each key, one event after the other until the gateway is gone.
fn send(gateway: &Gateway, turns: &Arc<Turns>) -> JoinSet<()> {
    let sending = (0..KEYS).map(|key| {
        let sender = gateway.sender();
        let turns = Arc::clone(turns);
        async move {
            let mut number = turns.next[key].load(Ordering::Relaxed);
            while number <= turns.last.load(Ordering::Relaxed) {
                // Where no answer comes, nobody knows whether it was kept, and it is sent again.
                let Ok(answer) = sender.post(&event(key, number)).await else {
                    return;
                };
                assert_eq!(answer.status, 200, "{}", answer.body);
                number += 1;
                turns.next[key].store(number, Ordering::Relaxed);
                turns.accepted.send_modify(|accepted| *accepted += 1);
            }
        }
    });
    sending.collect()
}

/// Returns the fingerprints under which the alert of a key was delivered.
fn fingerprints(itoc360: &Itoc360, key: usize) -> BTreeSet<String> {
    let of_the_key = |event_id: &str| event_id.starts_with(&format!("{key}-"));
    let said = itoc360.received().into_iter().map(|one| one.json());
    said.filter(|said| of_the_key(said["commonAnnotations"]["event_id"].as_str().unwrap()))
        .map(|said| {
            said["alerts"][0]["fingerprint"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect()
}

#[tokio::test]
async fn killed_while_alerts_reopen_it_opens_each_exactly_as_fired() {
    let mut random = random();
    let kills = kills().div_ceil(2);
    let itoc360 = Itoc360::alertmanager().await;
    let place = Setup::new(&itoc360)
        .plugin("parrot", &plugin::parrot(), "")
        .place();
    let next = std::array::from_fn(|_| AtomicUsize::new(0));
    let turns = Arc::new(Turns {
        next,
        last: AtomicUsize::new(usize::MAX),
        accepted: watch::Sender::new(0),
    });
    for _ in 0..kills {
        let gateway = place.start().await;
        let sending = send(&gateway, &turns);
        let mut accepted = turns.accepted.subscribe();
        let enough = *accepted.borrow() + random.usize(1..100);
        let reached = timeout(PATIENCE, accepted.wait_for(|accepted| *accepted >= enough))
            .await
            .is_ok();
        assert!(reached, "nothing is accepted any more");
        a_moment(&mut random).await;
        gateway.kill().await;
        sending.join_all().await;
    }
    // All of them come to the same end, which is an alert that is open.
    let furthest = turns
        .next
        .iter()
        .map(|next| next.load(Ordering::Relaxed))
        .max()
        .unwrap();
    let last = furthest.next_multiple_of(2);
    turns.last.store(last, Ordering::Relaxed);
    let gateway = place.start().await;
    send(&gateway, &turns).join_all().await;
    gateway
        .metric("alert_gateway_alerts{state=\"pending\"}", |pending| {
            pending == 0.0
        })
        .await;
    let told_to = last / 2 + 1;
    for key in 0..KEYS {
        let fingerprints = Vec::from_iter(fingerprints(&itoc360, key));
        assert_eq!(fingerprints.len(), 1, "{fingerprints:?}");
        assert_eq!(itoc360.times_opened(&fingerprints[0]), told_to, "key {key}");
    }
    let tally = itoc360.tally();
    println!("{kills} kills, {KEYS} alerts opened {told_to} times each: {tally:?}");
    assert_eq!(
        (tally.opened, tally.open),
        (KEYS * told_to, KEYS),
        "{tally:?}"
    );
    place.is_whole().await;
}
