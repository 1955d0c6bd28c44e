//! A server of plugins: a small OCI registry, and a web server of files, whose owner signs what is
//! there as `cosign` does.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// The repository.
pub const REPOSITORY: &str = "acme/bell";
/// The credential of its user, in base64.
pub const USER: &str = "a2ltOmNhbmFyeS1wYXNzd29yZA==";
/// The token that it hands out.
const TOKEN: &str = "canary-token";

/// A server that is up until it is dropped.
pub struct Registry {
    address: SocketAddr,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    files: Mutex<BTreeMap<String, File>>,
    tags: Mutex<BTreeSet<String>>,
    is_private: Mutex<bool>,
    asked: Mutex<Vec<(String, String)>>,
}

#[derive(Clone)]
struct File {
    status: u16,
    location: Option<String>,
    content: Bytes,
}

/// A key of `cosign`.
pub struct SigningKey(EcdsaKeyPair);

impl Registry {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let serving = tokio::spawn(accept(listener, Arc::clone(&shared), address));
        Self {
            address,
            shared,
            serving,
        }
    }

    /// Returns the name of the artifact with a tag.
    pub fn artifact(&self, tag: &str) -> String {
        format!("{}/{REPOSITORY}:{tag}", self.address)
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Serves a file from now on.
    pub fn put(&self, path: &str, content: impl Into<Bytes>) {
        let file = File {
            status: 200,
            location: None,
            content: content.into(),
        };
        self.shared.files.lock().insert(path.to_owned(), file);
    }

    /// Redirects from a path from now on.
    pub fn redirect(&self, path: &str, to: &str) {
        let file = File {
            status: 307,
            location: Some(to.to_owned()),
            content: Bytes::new(),
        };
        self.shared.files.lock().insert(path.to_owned(), file);
    }

    /// Lets only its user in from now on.
    pub fn is_private(&self) {
        *self.shared.is_private.lock() = true;
    }

    /// Pushes a plugin, and returns its digest.
    pub fn push(&self, tag: &str, wasm: &[u8]) -> String {
        self.shared.tags.lock().insert(tag.to_owned());
        self.push_layers(tag, &[("application/wasm", wasm, json!({}))])
    }

    fn push_layers(&self, tag: &str, layers: &[(&str, &[u8], Value)]) -> String {
        let layers: Vec<_> = layers
            .iter()
            .map(|(kind, content, annotations)| {
                let digest = sha256(content);
                self.put(
                    &format!("/v2/{REPOSITORY}/blobs/sha256:{digest}"),
                    content.to_vec(),
                );
                json!({ "mediaType": kind, "digest": format!("sha256:{digest}"), "size": content.len(),
                    "annotations": annotations })
            })
            .collect();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": { "mediaType": "application/vnd.oci.empty.v1+json", "digest": format!("sha256:{}", sha256(b"{}")), "size": 2 },
            "layers": layers,
        });
        self.put_manifest(tag, &manifest)
    }

    fn put_manifest(&self, tag: &str, manifest: &Value) -> String {
        let manifest = manifest.to_string();
        let digest = sha256(manifest.as_bytes());
        for reference in [tag, &format!("sha256:{digest}")] {
            self.put(
                &format!("/v2/{REPOSITORY}/manifests/{reference}"),
                manifest.clone(),
            );
        }
        digest
    }

    /// Signs an artifact, as `cosign sign --key` does before its version 3.
    pub fn sign(&self, digest: &str, key: &SigningKey) {
        let payload = json!({
            "critical": {
                "identity": { "docker-reference": REPOSITORY },
                "image": { "docker-manifest-digest": format!("sha256:{digest}") },
                "type": "cosign container image signature",
            },
            "optional": null,
        });
        let payload = payload.to_string().into_bytes();
        let annotations = json!({ "dev.cosignproject.cosign/signature": key.sign(&payload) });
        let kind = "application/vnd.dev.cosign.simplesigning.v1+json";
        self.push_layers(
            &format!("sha256-{digest}.sig"),
            &[(kind, &payload, annotations)],
        );
    }

    /// Signs an artifact, as `cosign sign --key` does from its version 3 on.
    pub fn sign_with_a_bundle(&self, digest: &str, key: &SigningKey) {
        let statement = json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{ "digest": { "sha256": digest } }],
            "predicateType": "https://sigstore.dev/cosign/sign/v1",
            "predicate": {},
        });
        let statement = statement.to_string();
        let kind = "application/vnd.in-toto+json";
        let message = format!(
            "DSSEv1 {} {kind} {} {statement}",
            kind.len(),
            statement.len()
        );
        let bundle = json!({ "dsseEnvelope": {
            "payload": BASE64.encode(&statement),
            "payloadType": kind,
            "signatures": [{ "sig": key.sign(message.as_bytes()) }],
        } });
        let kind = "application/vnd.dev.sigstore.bundle.v0.3+json";
        let bundle = bundle.to_string().into_bytes();
        let referrer = self.push_layers("bundle", &[(kind, &bundle, Value::Null)]);
        let index = json!({ "schemaVersion": 2, "manifests": [
            { "artifactType": kind, "digest": format!("sha256:{referrer}"), "size": 1 },
        ] });
        let path = format!("/v2/{REPOSITORY}/referrers/sha256:{digest}");
        self.put(&path, index.to_string());
    }

    /// Returns the paths that were asked for, each with its `Authorization`.
    pub fn asked(&self) -> Vec<(String, String)> {
        self.shared.asked.lock().clone()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl SigningKey {
    pub fn new() -> Self {
        let random = SystemRandom::new();
        let kind = &ECDSA_P256_SHA256_ASN1_SIGNING;
        let key = EcdsaKeyPair::generate_pkcs8(kind, &random).unwrap();
        Self(EcdsaKeyPair::from_pkcs8(kind, key.as_ref(), &random).unwrap())
    }

    /// Returns its public part, as `cosign.pub` has it.
    pub fn public(&self) -> String {
        let der = self.der();
        format!("-----BEGIN PUBLIC KEY-----\n{der}\n-----END PUBLIC KEY-----\n")
    }

    /// Returns its public part in base64.
    pub fn der(&self) -> String {
        let header = "3059301306072a8648ce3d020106082a8648ce3d030107034200";
        let header: Vec<u8> = (0..header.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&header[at..at + 2], 16).unwrap())
            .collect();
        BASE64.encode([&header, self.0.public_key().as_ref()].concat())
    }

    /// Signs as `cosign sign-blob --key` does.
    pub fn sign(&self, message: &[u8]) -> String {
        BASE64.encode(self.0.sign(&SystemRandom::new(), message).unwrap())
    }
}

/// Returns the SHA-256 of a content in hex.
pub fn sha256(content: &[u8]) -> String {
    plugin_sdk::signature::sha256(content).hex()
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, address: SocketAddr) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        tokio::spawn(converse(stream, Arc::clone(&shared), address));
    }
}

async fn converse(stream: TcpStream, shared: Arc<Shared>, address: SocketAddr) {
    let service = service_fn(|request: Request<Incoming>| {
        let answer = shared.answer(&request, address);
        async { Ok::<_, Infallible>(answer) }
    });
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

impl Shared {
    fn answer(&self, request: &Request<Incoming>, address: SocketAddr) -> Response<Full<Bytes>> {
        let path = request.uri().path().to_owned();
        let authorization = request.headers().get("authorization");
        let authorization = authorization.map_or("", |value| value.to_str().unwrap());
        let entry = (path.clone(), authorization.to_owned());
        self.asked.lock().push(entry);
        let response = Response::builder();
        if path == "/token" {
            let is_known = authorization == format!("Basic {USER}");
            let scope = "service=test&scope=repository%3Aacme%2Fbell%3Apull";
            let is_right = is_known && request.uri().query() == Some(scope);
            let token = json!({ "token": TOKEN }).to_string();
            let status = if is_right { 200 } else { 401 };
            return response.status(status).body(token.into()).unwrap();
        }
        let is_let_in = !*self.is_private.lock() || authorization == format!("Bearer {TOKEN}");
        if path.starts_with("/v2/") && !is_let_in {
            let challenge = format!(
                "Bearer realm=\"http://{address}/token\",service=\"test\",scope=\"repository:{REPOSITORY}:pull\""
            );
            let response = response.status(401).header("www-authenticate", challenge);
            return response.body(Full::default()).unwrap();
        }
        if path == format!("/v2/{REPOSITORY}/tags/list") {
            let tags = json!({ "name": REPOSITORY, "tags": *self.tags.lock() });
            return response.body(tags.to_string().into()).unwrap();
        }
        match self.files.lock().get(&path).cloned() {
            Some(file) => {
                let response = response.status(file.status);
                let response = match file.location {
                    Some(to) => response.header("location", to),
                    None => response,
                };
                response.body(Full::from(file.content)).unwrap()
            }
            None => response.status(404).body(Full::default()).unwrap(),
        }
    }
}
