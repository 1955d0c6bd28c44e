//! Ten thousand mutations of real bodies, against the running gateway.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::task::JoinSet;

use crate::harness::{Itoc360, Setup, random, twilio};

const BODIES: usize = 10_000;
const SENDERS: usize = 16;

/// Bytes with a meaning in a form or in JSON, and bytes that are no text.
const STRUCTURE: &[u8] = b"&=%+\"{}[],:\\u0d8\xff";

/// Values that replace those of a form.
const VALUES: [&[u8]; 5] = [
    b"%22%5Cud800",
    b"%00",
    b"%FF%FE",
    b"1e999999",
    b"%5B%5B%5B%5B",
];

const REAL: [&[u8]; 3] = [
    include_bytes!("../plugins/twilio-errors/tests/data/docs_11200.form"),
    include_bytes!("../plugins/twilio-errors/tests/data/google_30007.form"),
    include_bytes!("../plugins/twilio-errors/tests/data/discordsms_11200.form"),
];

fn mutated(random: &mut fastrand::Rng) -> Vec<u8> {
    let mut body = REAL[random.usize(..REAL.len())].to_vec();
    for _ in 0..random.usize(1..8) {
        let at = random.usize(..body.len());
        match random.u8(..6) {
            0 => body[at] = random.u8(..),
            1 => body.truncate(at.max(1)),
            2 => body.insert(at, STRUCTURE[random.usize(..STRUCTURE.len())]),
            3 => drop(body.drain(at..(at + random.usize(..40)).min(body.len() - 1).max(at))),
            4 => body.extend_from_within(at..(at + 60).min(body.len())),
            _ => drop(body.splice(at..at, VALUES[random.usize(..VALUES.len())].iter().copied())),
        }
    }
    body
}

/// Every second body is signed correctly: an authenticated event becomes an alert, however odd it
/// is. The others carry the signature of another body, and are refused.
#[tokio::test]
async fn mutated_bodies_are_alerts_if_signed_and_refused_if_not() {
    let itoc360 = Itoc360::alertmanager().await;
    let (_place, gateway) = Setup::new(&itoc360).start().await;
    let random = Arc::new(Mutex::new((random(), 0)));
    let mut sending = JoinSet::new();
    for _ in 0..SENDERS {
        let sender = gateway.sender();
        let random = Arc::clone(&random);
        sending.spawn(async move {
            let mut answers = BTreeMap::<(bool, u16), usize>::new();
            loop {
                let (body, signed) = {
                    let (random, made) = &mut *random.lock();
                    *made += 1;
                    if *made > BODIES {
                        return answers;
                    }
                    (mutated(random), *made % 2 == 0)
                };
                let token = if signed {
                    twilio::AUTH_TOKEN
                } else {
                    "another"
                };
                let answer = sender
                    .post(&twilio::signed("twilio", token, body.clone()))
                    .await
                    .unwrap();
                let expected = if signed { 200 } else { 403 };
                assert_eq!(
                    answer.status,
                    expected,
                    "{}: {}",
                    body.escape_ascii(),
                    answer.body
                );
                *answers.entry((signed, answer.status)).or_default() += 1;
            }
        });
    }
    let mut answers = BTreeMap::<(bool, u16), usize>::new();
    for (answer, count) in sending.join_all().await.into_iter().flatten() {
        *answers.entry(answer).or_default() += count;
    }
    assert_eq!(
        answers,
        BTreeMap::from([((false, 403), BODIES / 2), ((true, 200), BODIES / 2)])
    );
    gateway
        .accept(&twilio::error(&twilio::sid(1)).to("twilio"))
        .await;
    // All that was taken goes out: nothing odd is refused by ITOC360 or gets stuck.
    gateway
        .metric("alert_gateway_alerts{state=\"pending\"}", |pending| {
            pending == 0.0
        })
        .await;
    gateway
        .metric("alert_gateway_alerts{state=\"dead\"}", |dead| dead == 0.0)
        .await;
    let delivered = gateway.metrics().await["alert_gateway_alerts{state=\"delivered\"}"] as usize;
    itoc360.opens_only(delivered).await;
}
