//! HMAC-SHA256 over a time and the body, so that a recorded request is worth nothing a little later.
//!
//! Sources: Slack, "Verifying requests from Slack"; Stripe, "Resolve webhook signature verification errors"; the
//! Standard Webhooks specification.

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::contract::Request;
use crate::time;

use super::{Digest, Proof, hmac_sha256};

/// How far the sender's clock and the time of receipt may be apart, in seconds. All three vendors name five minutes.
pub const TOLERANCE_SECONDS: i64 = 300;

/// `X-Slack-Signature`: `v0=` and the hex digest of `v0:<time>:<body>`.
pub const SLACK: &str = "x-slack-signature";
const SLACK_TIME: &str = "x-slack-request-timestamp";

/// `Stripe-Signature`: `t=<time>,v1=<hex>`, over `<time>.<body>`. Several `v1` while the secret is rotated.
pub const STRIPE: &str = "stripe-signature";

/// `webhook-signature`: `v1,<base64>`, several with spaces between, over `<id>.<time>.<body>`.
pub const STANDARD_WEBHOOKS: &str = "webhook-signature";
const STANDARD_WEBHOOKS_ID: &str = "webhook-id";
const STANDARD_WEBHOOKS_TIME: &str = "webhook-timestamp";

pub fn slack(request: &Request, secret: &str) -> Proof {
    let (Some(given), Some(time)) = (request.header(SLACK), request.header(SLACK_TIME)) else { return Proof::Missing };
    let digest = slack_digest(time, &request.body.bytes(), secret);
    judge(request, time, given.strip_prefix("v0=").is_some_and(|given| digest.is_hex(given)))
}

pub fn sign_slack(request: &mut Request, secret: &str) {
    let time = now(request);
    let digest = slack_digest(&time, &request.body.bytes(), secret);
    request.set_header(SLACK, &format!("v0={}", digest.hex()));
    request.set_header(SLACK_TIME, &time);
}

fn slack_digest(time: &str, body: &[u8], secret: &str) -> Digest<32> {
    hmac_sha256(secret.as_bytes(), &[b"v0:", time.as_bytes(), b":", body])
}

pub fn stripe(request: &Request, secret: &str) -> Proof {
    let Some(given) = request.header(STRIPE) else { return Proof::Missing };
    let fields = || given.split(',').filter_map(|field| field.trim().split_once('='));
    let Some((_, time)) = fields().find(|(name, _)| *name == "t") else { return Proof::Wrong };
    let digest = stripe_digest(time, &request.body.bytes(), secret);
    judge(request, time, fields().any(|(name, given)| name == "v1" && digest.is_hex(given)))
}

pub fn sign_stripe(request: &mut Request, secret: &str) {
    let time = now(request);
    let digest = stripe_digest(&time, &request.body.bytes(), secret);
    request.set_header(STRIPE, &format!("t={time},v1={}", digest.hex()));
}

fn stripe_digest(time: &str, body: &[u8], secret: &str) -> Digest<32> {
    hmac_sha256(secret.as_bytes(), &[time.as_bytes(), b".", body])
}

pub fn standard_webhooks(request: &Request, secret: &str) -> Proof {
    let headers = (
        request.header(STANDARD_WEBHOOKS),
        request.header(STANDARD_WEBHOOKS_ID),
        request.header(STANDARD_WEBHOOKS_TIME),
    );
    let (Some(given), Some(id), Some(time)) = headers else { return Proof::Missing };
    let digest = standard_webhooks_digest(id, time, &request.body.bytes(), secret);
    let mut given = given.split(' ').filter_map(|one| one.strip_prefix("v1,"));
    judge(request, time, given.any(|given| digest.is_base64(given)))
}

/// Keeps the request's `webhook-id`, where it has one.
pub fn sign_standard_webhooks(request: &mut Request, secret: &str) {
    let id = request.header(STANDARD_WEBHOOKS_ID).unwrap_or("msg_test").to_owned();
    let time = now(request);
    let digest = standard_webhooks_digest(&id, &time, &request.body.bytes(), secret);
    request.set_header(STANDARD_WEBHOOKS_ID, &id);
    request.set_header(STANDARD_WEBHOOKS_TIME, &time);
    request.set_header(STANDARD_WEBHOOKS, &format!("v1,{}", digest.base64()));
}

/// The secret is base64 behind `whsec_`; one that is not is taken as the key itself, and so is one with nothing behind
/// it: anybody can sign with an empty key.
fn standard_webhooks_digest(id: &str, time: &str, body: &[u8], secret: &str) -> Digest<32> {
    let key = secret.strip_prefix("whsec_").and_then(|key| STANDARD.decode(key).ok()).filter(|key| !key.is_empty());
    let key = key.as_deref().unwrap_or(secret.as_bytes());
    hmac_sha256(key, &[id.as_bytes(), b".", time.as_bytes(), b".", body])
}

/// A right signature proves that the time is the sender's own; only then is it looked at.
fn judge(request: &Request, time: &str, right: bool) -> Proof {
    if !right {
        return Proof::Wrong;
    }
    match (time.parse::<i64>(), time::seconds(&request.received_at)) {
        (Ok(sent), Some(received)) if received.abs_diff(sent) <= TOLERANCE_SECONDS.unsigned_abs() => Proof::Good,
        _ => Proof::Stale,
    }
}

/// The time at which a request is received, as these schemes write it.
fn now(request: &Request) -> String {
    time::seconds(&request.received_at).unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn a_secret_with_nothing_behind_its_prefix_is_no_empty_key() {
        let mut request = testing::post("https://a.example/in/x").json("{}").build();
        sign_standard_webhooks(&mut request, "whsec_");
        assert_eq!(standard_webhooks(&request, "whsec_"), Proof::Good);
        let time = now(&request);
        let forged = hmac_sha256(b"", &[b"msg_test.", time.as_bytes(), b".", b"{}"]);
        request.set_header(STANDARD_WEBHOOKS, &format!("v1,{}", forged.base64()));
        assert_eq!(standard_webhooks(&request, "whsec_"), Proof::Wrong);
    }
}
