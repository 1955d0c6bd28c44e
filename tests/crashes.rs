//! Killed at any moment, started again in the same place: what was accepted is delivered, and nothing is opened twice.

use serde_json::Value;

use crate::harness::{Gateway, Itoc360, Load, Place, Setup, each_opened_once, events, random, twilio};

#[tokio::test]
async fn killed_under_load_thirty_times_it_loses_nothing_and_opens_nothing_twice() {
    let mut random = random();
    let itoc360 = Itoc360::alertmanager().await;
    let place = Setup::new(&itoc360).place();
    // More than can be accepted before the last kill.
    let count = 2_000;
    let waiting = events(count);
    for _ in 0..25 {
        let gateway = place.start().await;
        let mut load = Load::on(&gateway, &waiting);
        load.accepted(random.usize(1..60)).await;
        // From an answer on, to any moment between two answers.
        for _ in 0..random.usize(..200) {
            tokio::task::yield_now().await;
        }
        gateway.kill().await;
        assert!(!load.end().await, "all was sent before the last kill");
    }
    for _ in 0..5 {
        let mut starting = place.launch(&["run"]);
        starting.wait_for_lines(random.usize(..4)).await;
        starting.kill().await;
    }
    let gateway = place.start().await;
    let load = Load::on(&gateway, &waiting);
    assert!(load.end().await);
    each_opened_once(&itoc360, &place, count).await;
}

#[tokio::test]
async fn stopped_under_load_it_finishes_what_is_under_way_and_exits_in_order() {
    let itoc360 = Itoc360::alertmanager().await;
    let place = Setup::new(&itoc360).place();
    let (count, waiting) = (600, events(600));
    for _ in 0..3 {
        let gateway = place.start().await;
        let mut load = Load::on(&gateway, &waiting);
        load.accepted(50).await;
        let ended = gateway.stop().await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert!(ended.stderr.contains("all that was accepted is on disk"), "{}", ended.stderr);
        assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
        load.end().await;
    }
    let gateway = place.start().await;
    assert!(Load::on(&gateway, &waiting).end().await);
    each_opened_once(&itoc360, &place, count).await;
    // In order means that whatever was delivered was also written down, so nothing was sent again.
    assert_eq!(itoc360.tally().updated, 0);
}

#[tokio::test]
async fn a_backlog_outlives_the_gateway_and_goes_out_when_itoc360_is_back() {
    let mut itoc360 = Itoc360::alertmanager().await;
    let place = Setup::new(&itoc360).place();
    itoc360.down().await;
    let gateway = place.start().await;
    let waiting = events(200);
    assert!(Load::on(&gateway, &waiting).end().await);
    assert_eq!(place.list(&["--state", "pending"]).await.len(), 200);
    assert_eq!(gateway.stop().await.code, Some(0));
    let gateway = place.start().await;
    gateway.metric("gateway_alerts{state=\"pending\"}", |count| count == 200.0).await;
    itoc360.up().await;
    each_opened_once(&itoc360, &place, 200).await;
    gateway.metric("gateway_alerts{state=\"delivered\"}", |count| count == 200.0).await;
}

#[tokio::test]
async fn an_event_that_was_kept_before_a_crash_is_a_duplicate_after_it() {
    let itoc360 = Itoc360::alertmanager().await;
    let place = Setup::new(&itoc360).place();
    let gateway = place.start().await;
    let post = twilio::error(&twilio::sid(0)).to("twilio");
    gateway.accept(&post).await;
    gateway.kill().await;
    // It goes on, to deliver what the first one kept.
    let gateway = place.start().await;
    let answer = gateway.post(&post).await.json();
    assert_eq!((&answer["accepted"], &answer["duplicates"]), (&0.into(), &1.into()));
    each_opened_once(&itoc360, &place, 1).await;
}

#[tokio::test]
async fn a_sender_that_hangs_up_leaves_a_whole_event_or_none() {
    use tokio::io::AsyncWriteExt;

    let itoc360 = Itoc360::alertmanager().await;
    let (place, gateway) = Setup::new(&itoc360).start().await;
    let mut random = random();
    for number in 0..50 {
        let post = twilio::error(&twilio::sid(number)).to("twilio");
        let wire = post.wire(&format!("Content-Length: {}\r\n", post.body.len()));
        let cut = if random.bool() { wire.len() } else { random.usize(1..wire.len()) };
        let mut connection = gateway.connect().await;
        connection.write_all(&wire[..cut]).await.unwrap();
    }
    let waiting = events(50);
    assert!(Load::on(&gateway, &waiting).end().await);
    each_opened_once(&itoc360, &place, 50).await;
}

#[tokio::test]
async fn a_disk_that_takes_no_more_is_told_to_the_sender_and_nothing_accepted_is_lost() {
    let itoc360 = Itoc360::alertmanager().await;
    let place = Setup::new(&itoc360).place();
    let mut gateway = place.start_on_a_small_disk().await;
    let post = |number: usize| twilio::error(&twilio::sid(number)).to("twilio");
    let mut accepted = 0;
    let refused = loop {
        let answer = gateway.post(&post(accepted)).await;
        if answer.status != 200 {
            break answer;
        }
        accepted += 1;
        assert!(accepted < 20_000, "the disk is never full");
    };
    refused.is_problem(503);
    assert_eq!(refused.header("retry-after"), "30");
    gateway.log("why", |line| (line["message"] == "not accepted").then_some(())).await;
    assert_eq!(gateway.admin(hyper::Method::GET, "/healthz").await.status, 200);
    let board = gateway.admin(hyper::Method::GET, "/readyz").await;
    assert!(board.status == 200 && board.json()["note"].is_string(), "{}", board.body);
    gateway.kill().await;
    let gateway = place.start().await;
    // The one that was refused was not kept.
    gateway.accept(&post(accepted)).await;
    each_opened_once(&itoc360, &place, accepted + 1).await;
}
