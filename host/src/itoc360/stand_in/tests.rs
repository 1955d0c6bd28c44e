use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::header::AUTHORIZATION;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::*;

const SOON: Duration = Duration::from_secs(10);

async fn post(stand_in: &StandIn, authorization: &str, body: &str) -> (u16, Value) {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let mut request = Request::post(stand_in.url());
    if !authorization.is_empty() {
        request = request.header(AUTHORIZATION, authorization);
    }
    let answer = client.request(request.body(Full::new(Bytes::from(body.to_owned()))).unwrap()).await.unwrap();
    let status = answer.status().as_u16();
    (status, serde_json::from_slice(&answer.into_body().collect().await.unwrap().to_bytes()).unwrap_or_default())
}

fn event(status: &str, fingerprint: &str) -> String {
    json!({"status": status, "alerts": [{"fingerprint": fingerprint}]}).to_string()
}

async fn tell(stand_in: &StandIn, status: &str, fingerprint: &str) -> (u16, Value) {
    post(stand_in, "Bearer stand-in-token", &event(status, fingerprint)).await
}

#[tokio::test]
async fn an_open_alert_is_updated_and_a_closed_one_opens_again() {
    let stand_in = StandIn::start(Setup::default()).await.unwrap();
    for status in ["resolved", "firing", "firing", "resolved", "firing"] {
        assert_eq!(tell(&stand_in, status, "f").await.0, 200);
    }
    let expected = Tally { connections: 5, requests: 5, opened: 2, updated: 1, resolved: 1, open: 1 };
    assert_eq!(stand_in.tally(), expected);
    assert_eq!((stand_in.times_opened("f"), stand_in.is_open("f")), (2, true));
    assert_eq!((stand_in.times_opened("g"), stand_in.is_open("g")), (0, false));
}

#[tokio::test]
async fn the_answer_is_the_documented_one() {
    let stand_in = StandIn::start(Setup::default()).await.unwrap();
    let (status, answer) = tell(&stand_in, "firing", "f\"").await;
    assert_eq!(status, 200);
    assert_eq!((&answer["type"], &answer["fingerprint"]), (&json!("ALERT"), &json!("f\"")));
    assert_eq!(answer["payload"], json!({"status": "firing", "alerts": [{"fingerprint": "f\""}]}));
    for field in ["id", "tenant_id", "source_id", "created_at"] {
        assert!(answer[field].is_string(), "{field}");
    }
    assert_eq!(tell(&stand_in, "resolved", "f\"").await.1["type"], "RESOLVE");
}

#[tokio::test]
async fn what_itoc360_would_not_take_is_answered_as_there() {
    let stand_in = StandIn::start(Setup::default()).await.unwrap();
    let good = event("firing", "f");
    let bearer = "Bearer stand-in-token";
    assert_eq!(post(&stand_in, "", &good).await, (401, json!({"error": "Unauthorized"})));
    assert_eq!(post(&stand_in, "Bearer other", &good).await, (404, json!({"error": "Source not found"})));
    assert_eq!(post(&stand_in, bearer, "{").await, (400, json!({"error": "Invalid payload"})));
    assert_eq!(post(&stand_in, bearer, &event("trigger", "f")).await.0, 500);
    assert_eq!(stand_in.opened(), 0);
    let answered: Vec<_> = stand_in.received().iter().map(|received| received.answered).collect();
    assert_eq!(answered, [401, 404, 400, 500]);
}

#[tokio::test]
async fn a_script_sees_the_number_and_the_body_and_can_be_changed() {
    let stand_in = StandIn::start(Setup::default()).await.unwrap();
    stand_in.script(|n, body| Reply::error(500 + u16::try_from(n).unwrap(), &body.len().to_string()));
    let body = event("firing", "f");
    assert_eq!(tell(&stand_in, "firing", "f").await, (501, json!({"error": body.len().to_string()})));
    assert_eq!(tell(&stand_in, "firing", "f").await.0, 502);
    stand_in.script(|_, _| Reply::Garbage);
    assert_eq!(tell(&stand_in, "firing", "f").await, (200, Value::Null));
    assert_eq!(stand_in.opened(), 1);
}

#[tokio::test]
async fn an_answer_that_needs_a_permit_comes_with_it_and_its_event_is_taken_before() {
    let stand_in = StandIn::start(Setup::default()).await.unwrap();
    let permits = Arc::new(Semaphore::new(0));
    let asked = Arc::clone(&permits);
    stand_in.script(move |_, _| Reply::OkWhen(Arc::clone(&asked)));
    let answered = tell(&stand_in, "firing", "f");
    let permitted = async {
        assert!(stand_in.wait_until(SOON, |tally| tally.opened == 1).await);
        permits.add_permits(1);
    };
    let ((status, _), ()) = tokio::join!(answered, permitted);
    assert_eq!((status, permits.available_permits()), (200, 0));
}

#[tokio::test]
async fn one_that_is_unbound_speaks_on_the_connections_that_it_is_given() {
    let stand_in = StandIn::unbound(Setup::default());
    let (ours, theirs) = tokio::io::duplex(4096);
    let serving = tokio::spawn(stand_in.converse(theirs));
    let (mut client, speaking) = hyper::client::conn::http1::handshake(TokioIo::new(ours)).await.unwrap();
    let speaking = tokio::spawn(speaking);
    let request = Request::post(PATH).header(AUTHORIZATION, "Bearer stand-in-token");
    let body = Full::new(Bytes::from(event("firing", "f")));
    assert_eq!(client.send_request(request.body(body).unwrap()).await.unwrap().status(), 200);
    drop(client);
    speaking.await.unwrap().unwrap();
    serving.await.unwrap();
    assert_eq!(stand_in.tally(), Tally { connections: 1, requests: 1, opened: 1, open: 1, ..Tally::default() });
}

#[tokio::test]
async fn it_remembers_no_more_than_it_was_told_to() {
    let stand_in = StandIn::start(Setup { remember: 2, ..Setup::default() }).await.unwrap();
    for fingerprint in ["a", "b", "c"] {
        tell(&stand_in, "firing", fingerprint).await;
    }
    let bodies: Vec<_> = stand_in.received().iter().map(|r| r.json()["alerts"][0]["fingerprint"].clone()).collect();
    assert_eq!(bodies, ["b", "c"]);
}

#[tokio::test]
async fn waiting_ends_when_enough_came_and_when_time_is_up() {
    let stand_in = StandIn::start(Setup::default()).await.unwrap();
    assert!(!stand_in.wait_for(1, Duration::from_millis(20)).await);
    let (enough, _) = tokio::join!(stand_in.wait_for(1, SOON), tell(&stand_in, "firing", "f"));
    assert!(enough && stand_in.wait_until(SOON, |tally| tally.opened == 1).await);
}

#[tokio::test]
async fn a_port_is_free_again_when_its_stand_in_has_stopped() {
    let stand_in = StandIn::start(Setup::default()).await.unwrap();
    let listen = stand_in.address();
    stand_in.stop().await;
    StandIn::start(Setup { listen, ..Setup::default() }).await.unwrap();
}
