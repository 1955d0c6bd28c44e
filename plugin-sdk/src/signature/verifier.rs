//! Declarative proof: the demands of a plugin, checked with the secrets of a source's settings.
//!
//! The host does it before it starts a sandbox, and a plugin does it where its host is older; both
//! by this code.

use std::fmt;

use serde_json::value::RawValue;

use crate::contract::{Demand, ProofIdentity, Proved, Rejection, RejectionKind, Request, Scheme};
use crate::json::Object;

use super::{Proof, View, twilio};

/// Demands with the secrets that meet them, read once for a source.
pub struct Verifier {
    pub(super) demands: Vec<Demanded>,
}

/// A proof that meets the demands, and the scheme that it is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Met<'v> {
    /// The proof.
    pub proved: Proved,
    /// Its scheme.
    pub scheme: &'v Scheme,
}

/// A demand with its secrets.
pub(super) struct Demanded {
    pub(super) ways: Vec<Way>,
    /// The demand's own words, to follow those of the scheme.
    help: String,
}

/// A scheme, and the secrets of its setting.
pub(super) struct Way {
    pub(super) scheme: Scheme,
    pub(super) secrets: Secrets,
}

/// The secrets of a setting.
pub(super) enum Secrets {
    /// One or several, of which any may have been used.
    List(Vec<Secret>),
    /// The same for each account or key.
    Table(Vec<(String, Vec<Secret>)>),
}

/// A secret, and where it stands in the settings.
pub(super) struct Secret {
    pub(super) at: String,
    pub(super) text: String,
}

/// Never prints a secret.
impl fmt::Debug for Verifier {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let schemes = self.demands.iter().map(|demanded| {
            demanded
                .ways
                .iter()
                .map(|way| &way.scheme)
                .collect::<Vec<_>>()
        });
        out.debug_struct("Verifier")
            .field("demands", &schemes.collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// Checks the demands of a plugin against a request, with the secrets of the settings (JSON text).
/// `None` where no demand is made with these settings. For many requests, [`Verifier`] reads the
/// settings once.
///
/// # Errors
/// The rejection that sender and operator read. Its `reason` is the same for an unknown account and
/// a wrong signature; its `help`, which only the operator sees, tells them apart.
pub fn verify(
    demands: &[Demand],
    settings: &str,
    request: &Request,
) -> Result<Option<Proved>, Rejection> {
    verify_by(demands, settings, request, Scheme::check)
}

/// Checks one secret of a scheme: [`Scheme::check`], or [`Scheme::check_shown`] for a plugin that
/// needs no more.
pub type Check = fn(&Scheme, &View<'_>, &str) -> (Proof, Option<ProofIdentity>);

/// As [`verify`], where Twilio's schemes are checked as always and all others by `check`.
///
/// # Errors
/// As [`verify`].
pub fn verify_by(
    demands: &[Demand],
    settings: &str,
    request: &Request,
    check: Check,
) -> Result<Option<Proved>, Rejection> {
    Verifier::new(demands, settings).verify_by(&View::from(request), check)
}

impl Verifier {
    /// Demands with the secrets of these settings (JSON text). A way whose setting is absent is
    /// left out, and so is a demand without ways.
    pub fn new(demands: &[Demand], settings: &str) -> Self {
        let settings = Object::read(settings);
        let ways = |demand: &Demand| {
            let set = demand.any.iter().filter_map(|way| {
                let value = settings.get(&way.secret).filter(|value| *value != "null")?;
                let secrets = Secrets::read(&way.scheme, &format!("/{}", way.secret), value);
                Some(Way {
                    scheme: way.scheme.clone(),
                    secrets,
                })
            });
            set.collect::<Vec<_>>()
        };
        let demanded = demands.iter().map(|demand| {
            let help = if demand.help.is_empty() {
                String::new()
            } else {
                format!(" {}", demand.help)
            };
            Demanded {
                ways: ways(demand),
                help,
            }
        });
        Self {
            demands: demanded
                .filter(|demanded| !demanded.ways.is_empty())
                .collect(),
        }
    }

    /// Returns whether there is nothing to check with these settings.
    pub fn is_empty(&self) -> bool {
        self.demands.is_empty()
    }

    /// Checks a request. `None` where there is nothing to check.
    ///
    /// # Errors
    /// As [`verify`].
    pub fn verify(&self, view: &View<'_>) -> Result<Option<Proved>, Rejection> {
        self.verify_by(view, Scheme::check)
    }

    /// As [`Verifier::verify`], with the scheme that proves the sender.
    ///
    /// # Errors
    /// As [`verify`].
    pub fn meet(&self, view: &View<'_>) -> Result<Option<Met<'_>>, Rejection> {
        self.meet_by(view, Scheme::check)
    }

    /// Returns whether the head of a request proves its sender by itself, for a request whose body
    /// is not read: each demand is met by what the sender shows, or by a signature over the URL.
    pub fn is_met_by_head(&self, view: &View<'_>) -> bool {
        let is_met = |demanded: &Demanded| {
            let mut ways = demanded.ways.iter();
            ways.any(|way| way.is_met_by_head(view))
        };
        !self.is_empty() && self.demands.iter().all(is_met)
    }

    fn verify_by(&self, view: &View<'_>, check: Check) -> Result<Option<Proved>, Rejection> {
        let met = self.meet_by(view, check)?;
        Ok(met.map(|met| met.proved))
    }

    fn meet_by(&self, view: &View<'_>, check: Check) -> Result<Option<Met<'_>>, Rejection> {
        let mut first = None;
        for Demanded { ways, help } in &self.demands {
            let met = meet(ways, view, check).map_err(|rejection| {
                let help = format!("{}{help}", rejection.help).trim_start().to_owned();
                Rejection { help, ..rejection }
            })?;
            // The first demand is the sender's own proof, and the others stand beside it.
            first.get_or_insert(met);
        }
        Ok(first)
    }
}

/// The rank of a refusal by its value as advice: the refusal of a method not chosen by the sender
/// is worth nothing beside that of the chosen one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// The request is proved in another way.
    NotThis,
    /// There is no proof.
    Missing,
    /// There is one, and it is wrong.
    Wrong,
}

fn meet<'v>(ways: &'v [Way], view: &View<'_>, check: Check) -> Result<Met<'v>, Rejection> {
    let mut refused: Option<(Rank, Rejection)> = None;
    for way in ways {
        let (rank, rejection) = match way.check(view, check) {
            Ok(proved) => {
                return Ok(Met {
                    proved,
                    scheme: &way.scheme,
                });
            }
            Err(refused) => refused,
        };
        match &mut refused {
            Some((known, first)) if *known == rank && rank == Rank::Missing => {
                // None of several: the sender may bring any.
                if first.reason != rejection.reason {
                    first.reason = format!("{}, and {}", first.reason, rejection.reason);
                }
                first.challenge = match (first.challenge.take(), rejection.challenge) {
                    (Some(one), Some(other)) => Some(format!("{one}, {other}")),
                    (one, other) => one.or(other),
                };
            }
            Some((known, _)) if *known >= rank => {}
            refused => *refused = Some((rank, rejection)),
        }
    }
    // A demand without ways is left out when it is read.
    Err(refused.map_or_else(
        || Rejection::new(RejectionKind::Forbidden, "there is no proof", ""),
        |(_, refused)| refused,
    ))
}

impl Way {
    fn check(&self, view: &View<'_>, check: Check) -> Result<Proved, (Rank, Rejection)> {
        if matches!(self.scheme, Scheme::Twilio | Scheme::TwilioSharedKey) {
            return twilio::check(self, view);
        }
        let mut proof = Proof::Missing;
        for (account, secret) in self.secrets.all() {
            match check(&self.scheme, view, &secret.text) {
                (Proof::Good, identity) => {
                    let identity = identity.map(|identity| of_account(identity, account));
                    return Ok(secret.proves(account, identity));
                }
                (Proof::Wrong, _) if proof == Proof::Stale => {}
                (other, _) => proof = other,
            }
        }
        let rank = if proof == Proof::Missing {
            Rank::Missing
        } else {
            Rank::Wrong
        };
        Err((rank, self.scheme.rejection(proof, view)))
    }
}

impl Way {
    fn is_met_by_head(&self, view: &View<'_>) -> bool {
        if matches!(self.scheme, Scheme::Twilio | Scheme::TwilioSharedKey) {
            return twilio::signs_url(self, view);
        }
        let mut secrets = self.secrets.all();
        secrets.any(|(_, secret)| self.scheme.check_shown(view, &secret.text).0.is_good())
    }
}

/// Binds a proof to the account whose secret made it. Two accounts can sign the same text, and the
/// one that comes first must not make the other's a repeat.
pub(super) fn of_account(proof: ProofIdentity, account: Option<&str>) -> ProofIdentity {
    let Some(account) = account else {
        return proof;
    };
    let both = [account, "\0", &proof.id];
    ProofIdentity {
        id: format!("sha256:{}", super::sha256_of(&both).hex()),
        ..proof
    }
}

impl Secret {
    /// The result for this secret.
    pub(super) fn proves(&self, account: Option<&str>, proof: Option<ProofIdentity>) -> Proved {
        Proved {
            secret: self.at.clone(),
            account: account.map(str::to_owned),
            proof,
        }
    }
}

impl Secrets {
    /// The schema lets nothing else through; what it should not have let through is no secret.
    fn read(scheme: &Scheme, at: &str, json: &str) -> Self {
        let is_login = matches!(scheme, Scheme::Login);
        if !json.starts_with('{') || (is_login && Object::read(json).get("password").is_some()) {
            return Self::List(one_or_several(is_login, at, json));
        }
        let table = Object::read(json);
        let accounts = table.members().map(|(account, secrets)| {
            let at = format!("{at}/{}", account.replace('~', "~0").replace('/', "~1"));
            (account.to_owned(), one_or_several(is_login, &at, secrets))
        });
        Self::Table(accounts.collect())
    }

    /// Every secret, with the account that it is of.
    pub(super) fn all(&self) -> impl Iterator<Item = (Option<&str>, &Secret)> {
        let (list, table) = match self {
            Self::List(list) => (&list[..], &[][..]),
            Self::Table(table) => (&[][..], &table[..]),
        };
        let of_accounts = table
            .iter()
            .flat_map(|(account, secrets)| secrets.iter().map(|secret| (Some(&**account), secret)));
        list.iter().map(|secret| (None, secret)).chain(of_accounts)
    }

    /// The secrets of an account or a key; all of a list. `None` where it has none.
    pub(super) fn of<'s>(&'s self, account: &str) -> Option<(Option<&'s str>, &'s [Secret])> {
        match self {
            Self::List(list) => Some((None, list)),
            Self::Table(table) => table
                .iter()
                .find(|(name, _)| name == account)
                .map(|(name, secrets)| (Some(&**name), &**secrets)),
        }
    }
}

fn one_or_several(is_login: bool, at: &str, json: &str) -> Vec<Secret> {
    let secret = |at: String, json: &str| {
        let text: String = if is_login {
            let login = Object::read(json);
            let part = |name| serde_json::from_str::<String>(login.get(name)?).ok();
            format!("{}:{}", part("user")?, part("password")?)
        } else {
            serde_json::from_str(json).ok()?
        };
        Some(Secret { at, text })
    };
    match serde_json::from_str::<Vec<&RawValue>>(json) {
        Ok(list) => list
            .iter()
            .enumerate()
            .filter_map(|(index, json)| secret(format!("{at}/{index}"), json.get()))
            .collect(),
        Err(_) => secret(at.to_owned(), json).into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Way;
    use crate::testing::{self, RequestBuilder};

    fn post() -> RequestBuilder {
        testing::post("https://a.example/in/x").body("a=1")
    }

    fn either() -> [Demand; 1] {
        [Demand::any([
            Way::new(Scheme::Bearer, "token"),
            Way::new(Scheme::Login, "basic"),
        ])]
    }

    #[test]
    fn any_way_of_a_demand_will_do() {
        let settings = r#"{"token": ["a", "b"], "basic": {"user": "u", "password": "p"}}"#;
        let at = |request: RequestBuilder| {
            verify(&either(), settings, &request.build())
                .unwrap()
                .unwrap()
                .secret
        };
        assert_eq!(at(post().signed(&Scheme::Bearer, "b")), "/token/1");
        assert_eq!(at(post().signed(&Scheme::Login, "u:p")), "/basic");
        let verifier = Verifier::new(&either(), settings);
        let by_login = post().signed(&Scheme::Login, "u:p").build();
        let met = verifier.meet(&View::from(&by_login)).unwrap().unwrap();
        assert_eq!(
            (&*met.proved.secret, met.scheme),
            ("/basic", &Scheme::Login)
        );
    }

    #[test]
    fn missing_proof_names_every_way_and_challenges_for_each() {
        let settings = r#"{"token": "a", "basic": [{"user": "u", "password": "p"}]}"#;
        let rejection = verify(&either(), settings, &post().build()).unwrap_err();
        assert_eq!(rejection.kind, RejectionKind::Unauthenticated);
        assert!(
            rejection.reason.contains("bearer token") && rejection.reason.contains("password"),
            "{rejection:?}"
        );
        let challenge = rejection.challenge.unwrap();
        assert!(
            challenge.starts_with("Bearer realm=") && challenge.contains(", Basic realm="),
            "{challenge}"
        );
        let wrong = verify(
            &either(),
            settings,
            &post().signed(&Scheme::Bearer, "c").build(),
        )
        .unwrap_err();
        assert_eq!(
            (wrong.kind, wrong.challenge),
            (RejectionKind::Forbidden, None)
        );
    }

    #[test]
    fn way_without_its_setting_is_left_out_and_so_is_its_demand() {
        for settings in ["{}", r#"{"token": null}"#, ""] {
            assert_eq!(
                verify(&either(), settings, &post().build()),
                Ok(None),
                "{settings}"
            );
            assert!(Verifier::new(&either(), settings).is_empty());
        }
        let only_basic = r#"{"basic": {"user": "u", "password": "p"}}"#;
        assert!(
            verify(
                &either(),
                only_basic,
                &post().signed(&Scheme::Bearer, "a").build()
            )
            .is_err()
        );
    }

    #[test]
    fn setting_of_another_shape_lets_nobody_in() {
        for settings in [
            r#"{"token": 7}"#,
            r#"{"token": []}"#,
            r#"{"token": {}}"#,
            r#"{"token": {"a": {}}}"#,
        ] {
            assert!(
                verify(
                    &either(),
                    settings,
                    &post().signed(&Scheme::Bearer, "").build()
                )
                .is_err(),
                "{settings}"
            );
        }
    }

    #[test]
    fn all_demands_must_be_met_and_the_first_is_the_proof() {
        let demands = [
            Demand::any([Way::new(Scheme::github(), "secret")]),
            Demand::any([Way::new(Scheme::Bearer, "token")]),
        ];
        let settings = r#"{"secret": {"one": "s", "two/~": ["t", "u"]}, "token": "a"}"#;
        let signed = post().signed(&Scheme::github(), "u");
        assert!(verify(&demands, settings, &signed.clone().build()).is_err());
        let proved = verify(
            &demands,
            settings,
            &signed.signed(&Scheme::Bearer, "a").build(),
        )
        .unwrap()
        .unwrap();
        assert_eq!(
            (&*proved.secret, proved.account.as_deref()),
            ("/secret/two~1~0/1", Some("two/~"))
        );
        assert!(proved.proof.unwrap().id.starts_with("sha256:"));
    }

    #[test]
    fn accounts_that_sign_the_same_text_have_a_proof_each() {
        let url = format!(
            "https://a.example/in/x?bodySHA256={}",
            super::super::sha256(b"{}").hex()
        );
        let settings = r#"{"secret": {"one": ["s", "t"], "two": "u"}}"#;
        for scheme in [Scheme::Twilio, Scheme::github()] {
            let demands = [Demand::any([Way::new(scheme.clone(), "secret")])];
            let id = |secret: &str| {
                let signed = testing::post(&url).json("{}").signed(&scheme, secret);
                let proved = verify(&demands, settings, &signed.build()).unwrap();
                proved.unwrap().proof.unwrap().id
            };
            assert_eq!(id("s"), id("t"), "{scheme:?}: a secret is exchanged");
            assert_ne!(id("s"), id("u"), "{scheme:?}");
        }
    }

    #[test]
    fn head_alone_proves_what_signs_no_body() {
        let demands = |scheme| [Demand::any([Way::new(scheme, "secret")])];
        let url = "https://a.example/in/x?bodySHA256=00";
        let json = || testing::post(url).header("content-type", "application/json");
        let form =
            || testing::post(url).header("content-type", "application/x-www-form-urlencoded");
        let header = Scheme::Header {
            header: "x-token".to_owned(),
        };
        for (scheme, request, secret, is_met) in [
            (Scheme::Bearer, json(), "s", true),
            (Scheme::Bearer, json(), "t", false),
            (Scheme::Login, form(), "u:p", true),
            (header, form(), "s", true),
            (Scheme::github(), json(), "s", false),
            (Scheme::Twilio, form(), "s", false),
        ] {
            let settings = r#"{"secret": ["s", "x"]}"#;
            let login = r#"{"secret": {"user": "u", "password": "p"}}"#;
            let settings = if scheme == Scheme::Login {
                login
            } else {
                settings
            };
            let request = request.signed(&scheme, secret).build();
            let verifier = Verifier::new(&demands(scheme.clone()), settings);
            assert_eq!(
                verifier.is_met_by_head(&View::from(&request)),
                is_met,
                "{scheme:?} {secret}"
            );
        }
        assert!(!Verifier::new(&[], "{}").is_met_by_head(&View::from(&json().build())));
    }

    #[test]
    fn signed_url_proves_a_body_that_is_not_read() {
        let body = r#"{"a":1}"#;
        let url = format!(
            "https://a.example/in/x?bodySHA256={}",
            super::super::sha256(body.as_bytes()).hex()
        );
        for scheme in [Scheme::Twilio, Scheme::TwilioSharedKey] {
            let mut request = testing::post(&url)
                .header("content-type", "application/json")
                .body(body)
                .build();
            scheme.sign(&mut request, "s");
            request.body = crate::contract::Body::Text(String::new());
            let demands = [Demand::any([Way::new(scheme, "secret")])];
            for (settings, is_met) in [
                (r#"{"secret": ["t", "s"]}"#, true),
                (r#"{"secret": {"webhooks_sharedkey_test": "s"}}"#, true),
                (r#"{"secret": ["t"]}"#, false),
            ] {
                let verifier = Verifier::new(&demands, settings);
                assert_eq!(
                    verifier.is_met_by_head(&View::from(&request)),
                    is_met,
                    "{demands:?} {settings}"
                );
            }
        }
    }

    #[test]
    fn secret_is_never_printed() {
        let verifier = Verifier::new(&either(), r#"{"token": "s3cret"}"#);
        assert!(!format!("{verifier:?}").contains("s3cret"));
    }
}
