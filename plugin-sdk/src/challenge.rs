//! Challenges: the request by which a sender asks whether an address is the operator's, before it
//! sends anything.
//!
//! Each function returns the answer that the sender demands, or `None` for any request but its
//! challenge. A sender that asks by GET needs `methods: vec!["GET".to_owned()]` in the plugin's
//! description.
//!
//! Sources: Meta, "Getting started with webhooks"; Okta, "Event hooks: one-time verification
//! request"; Netdata, "Webhook agent notifications: challenge"; Azure, "Event Grid: endpoint
//! validation"; Zoom, "Validate your webhook endpoint"; monday.com, "Webhooks: URL verification";
//! Microsoft Graph, "Receive change notifications"; Dropbox, "Webhooks: the verification request";
//! X, "Challenge-response checks"; Trello, "Webhooks: creating"; Mandrill, "Webhook format".

use serde_json::json;

use crate::body;
use crate::contract::{Answer, Body, Request};
use crate::json::Object;
use crate::signature::{hmac_sha256, same};

/// No sender's challenge is longer; what is, would only be a way to have a text of a stranger's
/// sent back.
const MAX_BYTES: usize = 1024;

/// Meta (Facebook, WhatsApp, Instagram): a GET with `hub.challenge`, and with the token that the
/// operator entered there.
pub fn meta(request: &Request, verify_token: &str) -> Option<Answer> {
    let query = request.query();
    let get = |name: &str| query.get(name).map(std::borrow::Cow::into_owned);
    let is_challenge = request.method == "GET" && get("hub.mode")? == "subscribe";
    let right = same(&get("hub.verify_token")?, verify_token);
    let challenge = get("hub.challenge")?;
    (is_challenge && right && !verify_token.is_empty())
        .then(|| text(challenge))
        .flatten()
}

/// Okta's event hooks: a GET with the challenge in a header.
pub fn okta(request: &Request) -> Option<Answer> {
    let challenge = request
        .header("x-okta-verification-challenge")
        .filter(|_| request.method == "GET")?;
    object(json!({ "verification": short(challenge)? }))
}

/// Azure Event Grid: a POST with an event that holds a code. With the schema of CloudEvents it is
/// an OPTIONS request, which does not reach a plugin.
pub fn event_grid(request: &Request) -> Option<Answer> {
    let reading = body::read(request).ok()?;
    let json = reading.json()?;
    let events: Vec<&serde_json::value::RawValue> = serde_json::from_str(&json).ok()?;
    let [event] = events[..] else { return None };
    let event = Object::read(event.get());
    let is_validation =
        event.text("eventType")? == "Microsoft.EventGrid.SubscriptionValidationEvent";
    let code = event
        .object("data")
        .text("validationCode")
        .filter(|_| is_validation)?;
    object(json!({ "validationResponse": short(&code)? }))
}

/// monday.com: a POST with nothing but a challenge, which is sent back.
pub fn monday(request: &Request) -> Option<Answer> {
    let reading = body::read(request).ok()?;
    let json = reading.json()?;
    let body = Object::read(&json);
    let challenge = body
        .text("challenge")
        .filter(|_| body.names().count() == 1)?;
    object(json!({ "challenge": short(&challenge)? }))
}

/// Microsoft Graph: a POST without a body, with the token in the URL.
pub fn microsoft_graph(request: &Request) -> Option<Answer> {
    let token = request.query().get("validationToken")?.into_owned();
    let is_empty = request.body.bytes().iter().all(u8::is_ascii_whitespace);
    is_empty.then(|| text(token)).flatten()
}

/// Netdata Cloud: a GET with a token, of which it wants an HMAC with the challenge secret.
pub fn netdata(request: &Request, secret: &str) -> Option<Answer> {
    crc(request, "token", secret)
}

/// X (Twitter): a GET with a token, of which it wants an HMAC with the consumer secret.
pub fn twitter(request: &Request, secret: &str) -> Option<Answer> {
    crc(request, "crc_token", secret)
}

fn crc(request: &Request, parameter: &str, secret: &str) -> Option<Answer> {
    let token = request
        .query()
        .get(parameter)
        .filter(|_| request.method == "GET")?
        .into_owned();
    let digest = hmac_sha256(secret.as_bytes(), &[short(&token)?.as_bytes()]);
    object(json!({ "response_token": format!("sha256={}", digest.base64()) }))
}

/// Zoom: a POST with a token, of which it wants an HMAC with the secret token.
pub fn zoom(request: &Request, secret: &str) -> Option<Answer> {
    let reading = body::read(request).ok()?;
    let json = reading.json()?;
    let body = Object::read(&json);
    let is_validation = body.text("event")? == "endpoint.url_validation";
    let token = body
        .object("payload")
        .text("plainToken")
        .filter(|_| is_validation)?;
    let digest = hmac_sha256(secret.as_bytes(), &[short(&token)?.as_bytes()]);
    object(json!({ "plainToken": token, "encryptedToken": digest.hex() }))
}

/// Dropbox: a GET with a challenge, which is sent back as text.
pub fn dropbox(request: &Request) -> Option<Answer> {
    text(
        request
            .query()
            .get("challenge")
            .filter(|_| request.method == "GET")?
            .into_owned(),
    )
}

/// Trello and Mandrill: a HEAD, which is answered with 200. The plugin's description has to name
/// the method.
pub fn head(request: &Request) -> Option<Answer> {
    (request.method == "HEAD").then(|| reply("text/plain; charset=utf-8", String::new()))
}

fn short(text: &str) -> Option<&str> {
    Some(text).filter(|text| (1..=MAX_BYTES).contains(&text.len()))
}

/// The text, as text that no browser takes for a page.
fn text(text: String) -> Option<Answer> {
    short(&text)?;
    Some(reply("text/plain; charset=utf-8", text))
}

fn object(object: serde_json::Value) -> Option<Answer> {
    Some(reply("application/json", object.to_string()))
}

fn reply(media_type: &str, body: String) -> Answer {
    // The host adds `nosniff` by itself.
    let headers = [("content-type", media_type)];
    let headers = headers
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec();
    Answer::Reply {
        status: 200,
        headers,
        body: Body::Text(body),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn said(answer: Option<Answer>) -> Option<String> {
        answer.map(|answer| match answer {
            Answer::Reply {
                status: 200,
                body: Body::Text(text),
                ..
            } => text,
            other => panic!("{other:?}"),
        })
    }

    fn get(query: &str) -> Request {
        testing::post(&format!("https://a.example/in/x?{query}"))
            .method("GET")
            .build()
    }

    fn post(body: &str) -> Request {
        testing::post("https://a.example/in/x").json(body).build()
    }

    #[test]
    fn challenges_are_answered_as_the_vendors_ask() {
        let hub = "hub.mode=subscribe&hub.verify_token=t0ken&hub.challenge=1158201444";
        assert_eq!(
            said(meta(&get(hub), "t0ken")).as_deref(),
            Some("1158201444")
        );
        let mut hook = get("");
        hook.set_header("x-okta-verification-challenge", "abc");
        assert_eq!(
            said(okta(&hook)).as_deref(),
            Some(r#"{"verification":"abc"}"#)
        );
        let event = r#"[{"id":"1","eventType":"Microsoft.EventGrid.SubscriptionValidationEvent",
            "data":{"validationCode":"512d38b6","validationUrl":"https://x.example"}}]"#;
        assert_eq!(
            said(event_grid(&post(event))).as_deref(),
            Some(r#"{"validationResponse":"512d38b6"}"#)
        );
        assert_eq!(
            said(monday(&post(r#"{"challenge":"3eZ"}"#))).as_deref(),
            Some(r#"{"challenge":"3eZ"}"#)
        );
        let graph =
            testing::post("https://a.example/in/x?validationToken=Validation%3A+a%20b").build();
        assert_eq!(
            said(microsoft_graph(&graph)).as_deref(),
            Some("Validation: a b")
        );
        assert_eq!(said(dropbox(&get("challenge=abc"))).as_deref(), Some("abc"));
        let mut asks = get("");
        assert!(head(&asks).is_none());
        "HEAD".clone_into(&mut asks.method);
        assert_eq!(said(head(&asks)).as_deref(), Some(""));
        let url_validation =
            post(r#"{"event":"endpoint.url_validation","payload":{"plainToken":"qgg8"}}"#);
        let expected = hmac_sha256(b"s3cret", &[b"qgg8"]);
        let json: serde_json::Value =
            serde_json::from_str(&said(zoom(&url_validation, "s3cret")).unwrap()).unwrap();
        assert_eq!(
            (&json["plainToken"], &json["encryptedToken"]),
            (&json!("qgg8"), &json!(expected.hex()))
        );
        for answer in [
            netdata(&get("token=qgg8"), "s3cret"),
            twitter(&get("crc_token=qgg8"), "s3cret"),
        ] {
            let json: serde_json::Value = serde_json::from_str(&said(answer).unwrap()).unwrap();
            assert_eq!(
                json["response_token"],
                format!("sha256={}", expected.base64())
            );
        }
    }

    #[test]
    fn what_is_no_challenge_is_not_answered() {
        let hub = "hub.mode=subscribe&hub.verify_token=wrong&hub.challenge=1";
        assert!(meta(&get(hub), "t0ken").is_none());
        assert!(
            meta(
                &get("hub.mode=subscribe&hub.verify_token=&hub.challenge=1"),
                ""
            )
            .is_none()
        );
        assert!(meta(&post("{}"), "t0ken").is_none());
        assert!(okta(&get("")).is_none());
        assert!(
            event_grid(&post(
                r#"[{"eventType":"Other","data":{"validationCode":"1"}}]"#
            ))
            .is_none()
        );
        assert!(event_grid(&post("{")).is_none());
        assert!(monday(&post(r#"{"challenge":"1","event":{}}"#)).is_none());
        assert!(
            zoom(
                &post(r#"{"event":"meeting.started","payload":{"plainToken":"1"}}"#),
                "s"
            )
            .is_none()
        );
        assert!(dropbox(&get(&format!("challenge={}", "x".repeat(1_025)))).is_none());
        let mut notification = post(r#"{"value":[]}"#);
        notification.url.push_str("?validationToken=x");
        assert!(microsoft_graph(&notification).is_none());
    }

    #[test]
    fn an_answer_is_no_page() {
        let Some(Answer::Reply { headers, .. }) = dropbox(&get("challenge=%3Cscript%3E")) else {
            panic!()
        };
        assert!(headers.contains(&(
            "content-type".to_owned(),
            "text/plain; charset=utf-8".to_owned()
        )));
    }
}
