//! Signing with the secrets of a source: for a test of its way in, by a request like its sender's.

use super::verifier::{Verifier, Way};
use super::{View, over_url, sha256};
use crate::contract::{Algorithm, Body, Request, Scheme};

/// The parameter of the URL for the hash of a body other than a form.
const BODY_HASH: &str = "bodySHA256";

/// The reason why a request cannot be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unsigned {
    /// The setting holds a public key.
    #[error("its sender signs with a private key that nobody else has")]
    PrivateKey,
    /// The setting holds nothing.
    #[error("the setting of the proof holds no secret")]
    NoSecret,
}

impl Verifier {
    /// Puts each proof that is demanded into the request, as its sender would at the time of
    /// receipt, and returns the places of the secrets in the settings.
    ///
    /// The request is changed where it has to be: its URL gets the hash of a body other than a form,
    /// and a form names the account whose secret is known.
    ///
    /// # Errors
    /// A proof that only the sender can make. The others may stand in the request by then.
    pub fn sign(&self, request: &mut Request) -> Result<Vec<String>, Unsigned> {
        let mut places = Vec::new();
        for demanded in &self.demands {
            let mut refused = Unsigned::NoSecret;
            let place = demanded
                .ways
                .iter()
                .find_map(|way| sign(way, request).map_err(|error| refused = error).ok());
            places.push(place.ok_or(refused)?);
        }
        Ok(places)
    }
}

/// Signs by the first secret of a way, and returns its place.
fn sign(way: &Way, request: &mut Request) -> Result<String, Unsigned> {
    let is_private = match &way.scheme {
        Scheme::Signed(signed) => matches!(
            signed.algorithm,
            Algorithm::Ed25519 | Algorithm::EcdsaP256 | Algorithm::RsaSha256
        ),
        scheme => matches!(scheme, Scheme::AwsSns),
    };
    if is_private {
        return Err(Unsigned::PrivateKey);
    }
    let (account, secret) = way.secrets.all().next().ok_or(Unsigned::NoSecret)?;
    match (&way.scheme, account) {
        (Scheme::Twilio, account) => {
            if let Some(account) = account.filter(|account| !account.is_empty()) {
                name_account(request, account);
            }
            cover_body(request);
        }
        (Scheme::TwilioSharedKey, key) => {
            let key = key.unwrap_or("webhooks_sharedkey_test");
            let settings = format!("key={key},algorithm=HMAC_SHA256");
            request.set_header(over_url::SETTINGS_HEADER, &settings);
            cover_body(request);
        }
        _ => {}
    }
    way.scheme.sign(request, &secret.text);
    Ok(secret.at.clone())
}

/// Has a form, and the URL, name this account in place of the one that the form names.
fn name_account(request: &mut Request, account: &str) {
    let named = {
        let view = View::from(&*request);
        let form = over_url::form(&view);
        let named = form.as_ref().and_then(|form| form.get("AccountSid"));
        named.map(|named| named.trim().to_owned())
    };
    if let (Some(named), Body::Text(text)) = (named, &request.body)
        && !named.is_empty()
    {
        request.body = Body::Text(text.replace(&named, account));
        request.url = request.url.replace(&named, account);
    }
}

/// Puts the hash of a body that is no form into the URL.
fn cover_body(request: &mut Request) {
    let hash = {
        let view = View::from(&*request);
        if over_url::form(&view).is_some() {
            return;
        }
        sha256(&view.body).hex()
    };
    let (address, query) = request.url.split_once('?').unwrap_or((&request.url, ""));
    let mut pairs: Vec<&str> = query.split('&').collect();
    pairs.retain(|pair| !pair.is_empty() && pair.split('=').next() != Some(BODY_HASH));
    let covered = format!("{BODY_HASH}={hash}");
    pairs.push(&covered);
    request.url = format!("{address}?{}", pairs.join("&"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{Demand, Signed, Way};
    use crate::testing;

    fn form(account: &str) -> Request {
        testing::post("https://a.example/in/x")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(format!("AccountSid={account}&Sid=NO1"))
            .build()
    }

    fn either() -> [Demand; 1] {
        [Demand::any([
            Way::new(Scheme::Twilio, "auth_token"),
            Way::new(Scheme::TwilioSharedKey, "shared_keys"),
        ])]
    }

    #[test]
    fn signed_request_meets_the_demands_of_every_setting() {
        for settings in [
            r#"{"auth_token": "s"}"#,
            r#"{"auth_token": ["new", "old"]}"#,
            r#"{"auth_token": {"AC2": "s"}}"#,
            r#"{"shared_keys": {"webhooks_sharedkey_1": "s"}}"#,
            r#"{"auth_token": {"AC2": ["s", "t"]}, "shared_keys": {"k": "u"}}"#,
        ] {
            let verifier = Verifier::new(&either(), settings);
            let json = testing::post("https://a.example/in/x?bodySHA256=00&b=1")
                .header("content-type", "application/json")
                .body("[]")
                .build();
            for mut request in [form("AC1"), json] {
                let places = verifier.sign(&mut request).unwrap();
                let proved = verifier.verify(&View::from(&request));
                assert_eq!(proved.unwrap().unwrap().secret, places[0], "{settings}");
            }
        }
    }

    #[test]
    fn every_demand_is_met_and_each_other_scheme_signs() {
        let demands = [
            Demand::any([Way::new(Scheme::github(), "secret")]),
            Demand::any([Way::new(Scheme::Login, "basic")]),
        ];
        let settings = r#"{"secret": "s", "basic": {"user": "u", "password": "p"}}"#;
        let verifier = Verifier::new(&demands, settings);
        let mut request = form("AC1");
        let places = verifier.sign(&mut request).unwrap();
        assert_eq!(places, ["/secret", "/basic"]);
        assert!(verifier.verify(&View::from(&request)).is_ok());
    }

    #[test]
    fn private_key_of_a_sender_signs_nothing() {
        let demand = |scheme| [Demand::any([Way::new(scheme, "secret")])];
        let sign =
            |scheme, settings| Verifier::new(&demand(scheme), settings).sign(&mut form("AC1"));
        let key = r#"{"secret": "MCowBQYDK2VwAyEA"}"#;
        assert_eq!(sign(Scheme::discord(), key), Err(Unsigned::PrivateKey));
        assert_eq!(
            sign(Scheme::Slack, r#"{"secret": []}"#),
            Err(Unsigned::NoSecret)
        );
        let rsa = Signed {
            algorithm: Algorithm::RsaSha256,
            ..Signed::new("x")
        };
        assert_eq!(sign(Scheme::Signed(rsa), key), Err(Unsigned::PrivateKey));
    }
}
