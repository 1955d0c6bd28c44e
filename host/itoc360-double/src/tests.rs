use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::header::AUTHORIZATION;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::*;

const SOON: Duration = Duration::from_secs(10);

async fn post(double: &Double, authorization: &str, body: &str) -> (u16, Value) {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let mut request = Request::post(double.url());
    if !authorization.is_empty() {
        request = request.header(AUTHORIZATION, authorization);
    }
    let answer = client
        .request(
            request
                .body(Full::new(Bytes::from(body.to_owned())))
                .unwrap(),
        )
        .await
        .unwrap();
    let status = answer.status().as_u16();
    (
        status,
        serde_json::from_slice(&answer.into_body().collect().await.unwrap().to_bytes())
            .unwrap_or_default(),
    )
}

fn event(status: &str, fingerprint: &str) -> String {
    json!({"status": status, "alerts": [{"fingerprint": fingerprint}]}).to_string()
}

async fn tell(double: &Double, status: &str, fingerprint: &str) -> (u16, Value) {
    post(double, "Bearer double-token", &event(status, fingerprint)).await
}

#[tokio::test]
async fn an_open_alert_is_updated_and_a_closed_one_opens_again() {
    let double = Double::start(Setup::default()).await.unwrap();
    for status in ["resolved", "firing", "firing", "resolved", "firing"] {
        assert_eq!(tell(&double, status, "f").await.0, 200);
    }
    let expected = Tally {
        connections: 5,
        requests: 5,
        opened: 2,
        updated: 1,
        resolved: 1,
        open: 1,
    };
    assert_eq!(double.tally(), expected);
    assert_eq!((double.times_opened("f"), double.is_open("f")), (2, true));
    assert_eq!((double.times_opened("g"), double.is_open("g")), (0, false));
}

#[tokio::test]
async fn the_answer_is_the_documented_one() {
    let double = Double::start(Setup::default()).await.unwrap();
    let (status, answer) = tell(&double, "firing", "f\"").await;
    assert_eq!(status, 200);
    assert_eq!(
        (&answer["type"], &answer["fingerprint"]),
        (&json!("ALERT"), &json!("f\""))
    );
    assert_eq!(
        answer["payload"],
        json!({"status": "firing", "alerts": [{"fingerprint": "f\""}]})
    );
    for field in ["id", "tenant_id", "source_id", "created_at"] {
        assert!(answer[field].is_string(), "{field}");
    }
    assert_eq!(tell(&double, "resolved", "f\"").await.1["type"], "RESOLVE");
}

#[tokio::test]
async fn what_itoc360_would_not_take_is_answered_as_there() {
    let double = Double::start(Setup::default()).await.unwrap();
    let good = event("firing", "f");
    let bearer = "Bearer double-token";
    assert_eq!(
        post(&double, "", &good).await,
        (401, json!({"error": "Unauthorized"}))
    );
    assert_eq!(
        post(&double, "Bearer other", &good).await,
        (404, json!({"error": "Source not found"}))
    );
    assert_eq!(
        post(&double, bearer, "{").await,
        (400, json!({"error": "Invalid payload"}))
    );
    assert_eq!(post(&double, bearer, &event("trigger", "f")).await.0, 500);
    assert_eq!(double.opened(), 0);
    let answered: Vec<_> = double
        .received()
        .iter()
        .map(|received| received.answered)
        .collect();
    assert_eq!(answered, [401, 404, 400, 500]);
}

#[tokio::test]
async fn a_script_sees_the_number_and_the_body_and_can_be_changed() {
    let double = Double::start(Setup::default()).await.unwrap();
    double.script(|n, body| Reply::error(500 + u16::try_from(n).unwrap(), &body.len().to_string()));
    let body = event("firing", "f");
    assert_eq!(
        tell(&double, "firing", "f").await,
        (501, json!({"error": body.len().to_string()}))
    );
    assert_eq!(tell(&double, "firing", "f").await.0, 502);
    double.script(|_, _| Reply::Garbage);
    assert_eq!(tell(&double, "firing", "f").await, (200, Value::Null));
    assert_eq!(double.opened(), 1);
}

#[tokio::test]
async fn answer_waits_for_its_permit_after_the_event_is_taken() {
    let double = Double::start(Setup::default()).await.unwrap();
    let permits = Arc::new(Semaphore::new(0));
    let asked = Arc::clone(&permits);
    double.script(move |_, _| Reply::OkWhen(Arc::clone(&asked)));
    let answered = tell(&double, "firing", "f");
    let permitted = async {
        assert!(double.wait_until(SOON, |tally| tally.opened == 1).await);
        permits.add_permits(1);
    };
    let ((status, _), ()) = tokio::join!(answered, permitted);
    assert_eq!((status, permits.available_permits()), (200, 0));
}

#[tokio::test]
async fn unbound_double_speaks_on_given_connections() {
    let double = Double::unbound(Setup::default());
    let (ours, theirs) = tokio::io::duplex(4096);
    let serving = tokio::spawn(double.converse(theirs));
    let (mut client, speaking) = hyper::client::conn::http1::handshake(TokioIo::new(ours))
        .await
        .unwrap();
    let speaking = tokio::spawn(speaking);
    let request = Request::post(PATH).header(AUTHORIZATION, "Bearer double-token");
    let body = Full::new(Bytes::from(event("firing", "f")));
    assert_eq!(
        client
            .send_request(request.body(body).unwrap())
            .await
            .unwrap()
            .status(),
        200
    );
    drop(client);
    speaking.await.unwrap().unwrap();
    serving.await.unwrap();
    assert_eq!(
        double.tally(),
        Tally {
            connections: 1,
            requests: 1,
            opened: 1,
            open: 1,
            ..Tally::default()
        }
    );
}

#[tokio::test]
async fn it_remembers_no_more_than_it_was_told_to() {
    let double = Double::start(Setup {
        remember: 2,
        ..Setup::default()
    })
    .await
    .unwrap();
    for fingerprint in ["a", "b", "c"] {
        tell(&double, "firing", fingerprint).await;
    }
    let bodies: Vec<_> = double
        .received()
        .iter()
        .map(|r| r.json()["alerts"][0]["fingerprint"].clone())
        .collect();
    assert_eq!(bodies, ["b", "c"]);
}

#[tokio::test]
async fn waiting_ends_when_enough_came_and_when_time_is_up() {
    let double = Double::start(Setup::default()).await.unwrap();
    assert!(!double.wait_for(1, Duration::from_millis(20)).await);
    let (enough, _) = tokio::join!(double.wait_for(1, SOON), tell(&double, "firing", "f"));
    assert!(enough && double.wait_until(SOON, |tally| tally.opened == 1).await);
}

#[tokio::test]
async fn a_port_is_free_again_when_its_double_has_stopped() {
    let double = Double::start(Setup::default()).await.unwrap();
    let listen = double.address();
    double.stop().await;
    Double::start(Setup {
        listen,
        ..Setup::default()
    })
    .await
    .unwrap();
}
