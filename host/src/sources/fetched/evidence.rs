//! Signatures of a plugin, as `cosign` makes them with a key, and their verification offline.
//!
//! | made by | what is signed |
//! |---|---|
//! | `cosign sign-blob` | the file itself; as a detached signature or in a bundle |
//! | `cosign sign`, before version 3 | a payload of "simple signing", which names the manifest's digest |
//! | `cosign sign`, from version 3 on | an in-toto statement in a DSSE envelope, which names it as its subject |
//!
//! A certificate of sigstore's own authority is not looked at: only the configured keys count.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::signature::{ECDSA_P256_SHA256_ASN1, ED25519, UnparsedPublicKey, VerificationAlgorithm};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::{ContentHash, KeyAlgorithm, PluginKey};

/// The kind of statement that is a signature, and no other attestation about the same artifact.
const SIGN: &str = "https://sigstore.dev/cosign/sign/v1";
/// The kind of a payload of "simple signing".
const SIMPLE_SIGNING: &str = "cosign container image signature";
/// The kind of payload in an envelope.
const IN_TOTO: &str = "application/vnd.in-toto+json";

/// A signature as it was fetched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Evidence {
    /// A signature of the content itself.
    Detached {
        /// The signature, in base64.
        signature: String,
    },
    /// A signature of a payload that names the content.
    SimpleSigning {
        /// The payload, in base64.
        payload: String,
        /// The signature, in base64.
        signature: String,
    },
    /// A bundle of sigstore or of `cosign`.
    Bundle {
        /// The bundle.
        bundle: Value,
    },
}

/// The reason why a plugin does not count as signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unsigned {
    /// There is no signature.
    #[error("it has no signature, and plugin_keys in [gateway] asks for one")]
    None,
    /// There are signatures, and none is of a configured key.
    #[error(
        "none of its {0} signatures is one of this content by a key of plugin_keys in [gateway]"
    )]
    Stranger(usize),
}

/// Returns the key by which one of the signatures signs `content` of this digest.
///
/// # Errors
/// There is none.
pub fn verify<'k>(
    evidence: &[Evidence],
    content: &[u8],
    digest: ContentHash,
    keys: &'k [PluginKey],
) -> Result<&'k PluginKey, Unsigned> {
    if evidence.is_empty() {
        return Err(Unsigned::None);
    }
    let signed = evidence
        .iter()
        .filter_map(|one| one.signed(content, digest));
    signed
        .flat_map(|(message, signatures)| {
            keys.iter().find(|key| {
                signatures
                    .iter()
                    .any(|signature| key.has_signed(&message, signature))
            })
        })
        .next()
        .ok_or(Unsigned::Stranger(evidence.len()))
}

impl Evidence {
    /// Reads what stands in a file beside the content: a bundle, or a signature in base64 or as it
    /// is.
    pub fn parse(bytes: &[u8]) -> Self {
        match serde_json::from_slice(bytes) {
            Ok(bundle @ Value::Object(_)) => Self::Bundle { bundle },
            _ => {
                let text = str::from_utf8(bytes).map(str::trim).ok();
                let text = text.filter(|text| BASE64.decode(text).is_ok());
                Self::Detached {
                    signature: text.map_or_else(|| BASE64.encode(bytes), str::to_owned),
                }
            }
        }
    }

    /// Returns the bytes that were signed, and their signatures. `None` where these do not mean the
    /// content.
    fn signed(&self, content: &[u8], digest: ContentHash) -> Option<(Vec<u8>, Vec<Vec<u8>>)> {
        match self {
            Self::Detached { signature } => Some((content.to_vec(), vec![decoded(signature)?])),
            Self::SimpleSigning { payload, signature } => {
                let payload = decoded(payload)?;
                let means = is_simple_signing_of(&payload, digest);
                means.then_some((payload, vec![decoded(signature)?]))
            }
            Self::Bundle { bundle } => {
                let text = |pointer: &str| bundle.pointer(pointer).and_then(Value::as_str);
                let of_content = text("/messageSignature/signature").or(text("/base64Signature"));
                match of_content {
                    Some(signature) => Some((content.to_vec(), vec![decoded(signature)?])),
                    None => envelope(bundle.get("dsseEnvelope")?, digest),
                }
            }
        }
    }
}

/// Returns the signed bytes of an envelope of DSSE whose statement is a signature of the content.
fn envelope(envelope: &Value, digest: ContentHash) -> Option<(Vec<u8>, Vec<Vec<u8>>)> {
    let kind = envelope.get("payloadType")?.as_str()?;
    let payload = decoded(envelope.get("payload")?.as_str()?)?;
    let statement: Value = serde_json::from_slice(&payload).ok()?;
    let subjects = statement.get("subject")?.as_array()?;
    let hex = digest.to_string();
    let means = subjects.iter().any(|subject| {
        let named = subject.pointer("/digest/sha256").and_then(Value::as_str);
        named.is_some_and(|named| named.eq_ignore_ascii_case(&hex))
    });
    let is_signature = statement.get("predicateType").and_then(Value::as_str) == Some(SIGN);
    if kind != IN_TOTO || !means || !is_signature {
        return None;
    }
    let signatures = envelope.get("signatures")?.as_array()?;
    let signatures = signatures
        .iter()
        .filter_map(|one| decoded(one.get("sig")?.as_str()?))
        .collect();
    let mut message = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len()).into_bytes();
    message.extend(payload);
    Some((message, signatures))
}

fn is_simple_signing_of(payload: &[u8], digest: ContentHash) -> bool {
    let Ok(payload) = serde_json::from_slice::<Value>(payload) else {
        return false;
    };
    let text = |pointer: &str| payload.pointer(pointer).and_then(Value::as_str);
    // The specification's example begins with a capital letter.
    let named = text("/critical/image/docker-manifest-digest")
        .or(text("/critical/image/Docker-manifest-digest"));
    text("/critical/type") == Some(SIMPLE_SIGNING)
        && named.is_some_and(|named| named.eq_ignore_ascii_case(&format!("sha256:{digest}")))
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    BASE64.decode(text.trim()).ok()
}

impl PluginKey {
    fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        let algorithm: &'static dyn VerificationAlgorithm = match self.algorithm {
            KeyAlgorithm::EcdsaP256 => &ECDSA_P256_SHA256_ASN1,
            KeyAlgorithm::Ed25519 => &ED25519,
        };
        UnparsedPublicKey::new(algorithm, &self.point)
            .verify(message, signature)
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use ring::rand::SystemRandom;
    use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
    use serde_json::json;

    use super::*;

    const CONTENT: &[u8] = b"\0asm and so on";

    /// Signs as a key of `cosign` does.
    enum Signer {
        EcdsaP256(EcdsaKeyPair),
        Ed25519(Ed25519KeyPair),
    }

    impl Signer {
        fn p256() -> Self {
            let random = SystemRandom::new();
            let kind = &ECDSA_P256_SHA256_ASN1_SIGNING;
            let key = EcdsaKeyPair::generate_pkcs8(kind, &random).unwrap();
            Self::EcdsaP256(EcdsaKeyPair::from_pkcs8(kind, key.as_ref(), &random).unwrap())
        }

        fn ed25519() -> Self {
            let key = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
            Self::Ed25519(Ed25519KeyPair::from_pkcs8(key.as_ref()).unwrap())
        }

        fn sign(&self, message: &[u8]) -> String {
            BASE64.encode(match self {
                Self::EcdsaP256(key) => key
                    .sign(&SystemRandom::new(), message)
                    .unwrap()
                    .as_ref()
                    .to_vec(),
                Self::Ed25519(key) => key.sign(message).as_ref().to_vec(),
            })
        }

        fn public(&self) -> PluginKey {
            let (algorithm, point) = match self {
                Self::EcdsaP256(key) => (KeyAlgorithm::EcdsaP256, key.public_key().as_ref()),
                Self::Ed25519(key) => (KeyAlgorithm::Ed25519, key.public_key().as_ref()),
            };
            PluginKey {
                file: "cosign.pub".to_owned(),
                algorithm,
                point: point.to_vec(),
            }
        }
    }

    fn simple_signing(digest: &str, kind: &str) -> Vec<u8> {
        let image = json!({ "docker-manifest-digest": digest });
        let identity = json!({ "docker-reference": "ghcr.io/acme/bell" });
        json!({ "critical": { "identity": identity, "image": image, "type": kind }, "optional": null })
            .to_string()
            .into_bytes()
    }

    fn signed_payload(signer: &Signer, payload: &[u8]) -> Evidence {
        Evidence::SimpleSigning {
            payload: BASE64.encode(payload),
            signature: signer.sign(payload),
        }
    }

    fn enveloped(signer: &Signer, digest: &str, predicate: &str) -> Evidence {
        let statement = json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{ "digest": { "sha256": digest } }],
            "predicateType": predicate,
            "predicate": {},
        });
        let payload = statement.to_string();
        let message = format!("DSSEv1 28 {IN_TOTO} {} {payload}", payload.len());
        let envelope = json!({
            "payload": BASE64.encode(&payload),
            "payloadType": IN_TOTO,
            "signatures": [{ "sig": signer.sign(message.as_bytes()) }],
        });
        Evidence::Bundle {
            bundle: json!({ "dsseEnvelope": envelope }),
        }
    }

    /// Each way in which `cosign` signs the content of this digest.
    fn each_way(signer: &Signer, content: &[u8]) -> Vec<Evidence> {
        let digest = ContentHash::of(content).to_string();
        let signature = signer.sign(content);
        let bundle = |bundle: Value| Evidence::parse(bundle.to_string().as_bytes());
        vec![
            Evidence::parse(signature.as_bytes()),
            Evidence::parse(format!("{signature}\n").as_bytes()),
            Evidence::parse(&BASE64.decode(&signature).unwrap()),
            bundle(json!({ "base64Signature": signature, "cert": "" })),
            bundle(json!({ "messageSignature": { "signature": signature } })),
            signed_payload(
                signer,
                &simple_signing(&format!("sha256:{digest}"), SIMPLE_SIGNING),
            ),
            enveloped(signer, &digest, SIGN),
        ]
    }

    #[test]
    fn each_kind_of_signature_is_believed_by_its_key_alone() {
        let digest = ContentHash::of(CONTENT);
        for signer in [Signer::p256(), Signer::ed25519()] {
            let keys = [Signer::p256().public(), signer.public()];
            for evidence in each_way(&signer, CONTENT) {
                let found = verify(std::slice::from_ref(&evidence), CONTENT, digest, &keys);
                assert_eq!(found, Ok(&keys[1]), "{evidence:?}");
                let stranger = [Signer::p256().public(), Signer::ed25519().public()];
                let found = verify(&[evidence], CONTENT, digest, &stranger);
                assert_eq!(found, Err(Unsigned::Stranger(1)));
            }
        }
        assert_eq!(verify(&[], CONTENT, digest, &[]), Err(Unsigned::None));
    }

    #[test]
    fn signature_of_another_content_is_not_believed() {
        let signer = Signer::p256();
        let keys = [signer.public()];
        let digest = ContentHash::of(CONTENT);
        let others = each_way(&signer, b"\0asm of another");
        let count = others.len();
        let found = verify(&others, CONTENT, digest, &keys);
        assert_eq!(found, Err(Unsigned::Stranger(count)));
    }

    #[test]
    fn statement_that_is_no_signature_is_not_believed() {
        let signer = Signer::p256();
        let keys = [signer.public()];
        let digest = ContentHash::of(CONTENT);
        let hex = digest.to_string();
        let named = format!("sha256:{hex}");
        for evidence in [
            enveloped(
                &signer,
                &hex,
                "https://cosign.sigstore.dev/attestation/vuln/v1",
            ),
            signed_payload(
                &signer,
                &simple_signing(&named, "atomic container signature"),
            ),
            signed_payload(&signer, b"{}"),
            signed_payload(&signer, b"no JSON"),
        ] {
            let found = verify(std::slice::from_ref(&evidence), CONTENT, digest, &keys);
            assert_eq!(found, Err(Unsigned::Stranger(1)), "{evidence:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_are_a_signature(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let keys = [Signer::p256().public()];
            let found = verify(&[Evidence::parse(&bytes)], CONTENT, ContentHash::of(CONTENT), &keys);
            prop_assert_eq!(found, Err(Unsigned::Stranger(1)));
        }
    }
}
