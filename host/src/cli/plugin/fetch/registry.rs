//! A repository in an OCI registry, as far as plugins need it (OCI distribution specification 1.1).

use std::collections::BTreeSet;

use anyhow::{Context, anyhow, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hyper::header::{ACCEPT, AUTHORIZATION, HeaderValue, LINK, WWW_AUTHENTICATE};
use hyper::{StatusCode, Uri};
use serde::Deserialize;

use super::authorization::{self, Challenge};
use super::web::{Answer, Web, parse_url};
use crate::config::{ContentHash, OciImage};
use crate::sources::fetched::evidence::Evidence;
use crate::sources::fetched::manifest::{Descriptor, Manifest};
use crate::sources::fetched::{Content, LARGEST_MANIFEST, LARGEST_PLUGIN};

/// The kinds of manifests that are understood; an index only to be refused by its name.
const MANIFESTS: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json";
/// The kind of a payload that `cosign` signs before its version 3, and the annotation in which its
/// signature stands.
const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
/// The beginning of the media type of every version of sigstore's bundle.
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle";
/// The most signatures that are fetched, and the most pages of a list of tags.
const SIGNATURES: usize = 16;
const PAGES: usize = 20;

/// A repository, with the client that asks it.
pub struct Registry<'w> {
    web: &'w mut Web,
    image: OciImage,
    base: Uri,
    /// The credential by which it last let this client in.
    authorization: Option<HeaderValue>,
}

#[derive(Deserialize)]
struct Token {
    #[serde(alias = "access_token")]
    token: String,
}

#[derive(Deserialize)]
struct Tags {
    tags: Option<Vec<String>>,
}

impl<'w> Registry<'w> {
    /// Returns the repository of an artifact.
    ///
    /// # Errors
    /// Its address is none.
    pub fn new(web: &'w mut Web, image: &OciImage) -> anyhow::Result<Self> {
        Ok(Self {
            web,
            base: parse_url(&image.base())?,
            image: image.clone(),
            authorization: None,
        })
    }

    /// Fetches the artifact of this digest, or that of the tag.
    ///
    /// # Errors
    /// It is not there, it is no plugin, or its content is not what its digest names.
    pub async fn fetch(
        &mut self,
        digest: Option<ContentHash>,
        signed: bool,
    ) -> anyhow::Result<Content> {
        let reference = match (digest, &self.image.tag) {
            (Some(digest), _) => format!("sha256:{digest}"),
            (None, Some(tag)) => tag.clone(),
            (None, None) => "latest".to_owned(),
        };
        let manifest = self.manifest(&reference).await?;
        let manifest = manifest
            .with_context(|| format!("{} has no artifact {reference}", self.image.registry))?;
        let wasm = Manifest::parse(&manifest)
            .and_then(|manifest| manifest.wasm())
            .map_err(|why| anyhow!("the manifest of {} {why}", self.image))?;
        let digest = ContentHash::of(&manifest);
        let evidence = match signed {
            true => self.signatures(digest).await?,
            false => Vec::new(),
        };
        Ok(Content {
            wasm: self.blob(&wasm, LARGEST_PLUGIN).await?,
            manifest: Some(manifest),
            evidence,
        })
    }

    /// Returns the digest of the artifact that a tag names now.
    ///
    /// # Errors
    /// The registry cannot be asked.
    pub async fn digest_of(&mut self, tag: &str) -> anyhow::Result<Option<ContentHash>> {
        let manifest = self.manifest(tag).await?;
        Ok(manifest.map(|manifest| ContentHash::of(&manifest)))
    }

    /// Returns the tags of the repository.
    ///
    /// # Errors
    /// The registry cannot be asked.
    pub async fn tags(&mut self) -> anyhow::Result<BTreeSet<String>> {
        let mut all = BTreeSet::new();
        let mut next = self.url("tags/list")?;
        for _ in 0..PAGES {
            let answer = self.get(&next, None, LARGEST_MANIFEST).await?;
            if answer.status == StatusCode::NOT_FOUND {
                break;
            }
            let link = answer.headers.get(LINK).and_then(|link| link.to_str().ok());
            let link = link.and_then(|link| Some(link.split_once('<')?.1.split_once('>')?.0));
            let link = link.map(str::to_owned);
            let tags: Tags = serde_json::from_slice(&answer.content()?)
                .with_context(|| format!("the list of tags of {}", self.image))?;
            all.extend(tags.tags.unwrap_or_default());
            // Only its path counts: the list goes on where it began.
            let Some(rest) = link else { break };
            let path = match rest.split_once("://") {
                Some((_, rest)) => rest.find('/').map_or("/", |slash| &rest[slash..]),
                None => &rest,
            };
            let scheme = self.base.scheme_str().unwrap_or_default();
            let host = self.base.authority().map_or("", |host| host.as_str());
            next = parse_url(&format!("{scheme}://{host}{path}"))?;
        }
        Ok(all)
    }

    async fn manifest(&mut self, reference: &str) -> anyhow::Result<Option<Vec<u8>>> {
        let url = self.url(&format!("manifests/{reference}"))?;
        let answer = self.get(&url, Some(MANIFESTS), LARGEST_MANIFEST).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let manifest = answer.content()?;
        let found = format!("sha256:{}", ContentHash::of(&manifest));
        ensure!(
            !reference.starts_with("sha256:") || reference == found,
            "{} answers for {reference} with a manifest of {found}",
            self.image.registry
        );
        Ok(Some(manifest))
    }

    async fn blob(&mut self, descriptor: &Descriptor, limit: u64) -> anyhow::Result<Vec<u8>> {
        let digest = descriptor.digest;
        ensure!(
            descriptor.size <= limit,
            "the content {digest} of {} has {} bytes, and may have {limit}",
            self.image,
            descriptor.size
        );
        let url = self.url(&format!("blobs/sha256:{digest}"))?;
        let content = self.get(&url, None, limit).await?.content()?;
        ensure!(
            ContentHash::of(&content) == digest,
            "{} answers for sha256:{digest} with another content",
            self.image.registry
        );
        Ok(content)
    }

    /// Fetches the signatures of a manifest: from the tag of `cosign`, and, of its version 3 on,
    /// from the artifacts that refer to the manifest.
    async fn signatures(&mut self, digest: ContentHash) -> anyhow::Result<Vec<Evidence>> {
        let mut evidence = Vec::new();
        if let Some(manifest) = self.manifest(&format!("sha256-{digest}.sig")).await? {
            for layer in Manifest::parse(&manifest)?.layers {
                let signature = layer.annotations.get(SIGNATURE);
                let is_known = layer.media_type == SIMPLE_SIGNING;
                let Some(signature) = signature.filter(|_| is_known) else {
                    continue;
                };
                if evidence.len() < SIGNATURES {
                    let payload = self.blob(&layer, LARGEST_MANIFEST).await?;
                    evidence.push(Evidence::SimpleSigning {
                        payload: BASE64.encode(payload),
                        signature: signature.clone(),
                    });
                }
            }
        }
        for referrer in self.referrers(digest).await? {
            let reference = format!("sha256:{}", referrer.digest);
            let Some(manifest) = self.manifest(&reference).await? else {
                continue;
            };
            for layer in Manifest::parse(&manifest)?.layers {
                if layer.media_type.starts_with(BUNDLE) && evidence.len() < SIGNATURES {
                    evidence.push(Evidence::parse(&self.blob(&layer, LARGEST_MANIFEST).await?));
                }
            }
        }
        Ok(evidence)
    }

    /// Returns the bundles that refer to a manifest. A registry without the interface for that has
    /// them in an index under a tag.
    async fn referrers(&mut self, digest: ContentHash) -> anyhow::Result<Vec<Descriptor>> {
        let url = self.url(&format!("referrers/sha256:{digest}"))?;
        let answer = self.get(&url, Some(MANIFESTS), LARGEST_MANIFEST).await?;
        let index = match answer.status {
            StatusCode::OK => Some(answer.body),
            _ => self.manifest(&format!("sha256-{digest}")).await?,
        };
        let Some(index) = index else {
            return Ok(Vec::new());
        };
        // An older registry answers anything to what it does not know.
        let manifests = Manifest::parse(&index).map_or_else(|_| Vec::new(), |it| it.manifests);
        let bundles = manifests
            .into_iter()
            .filter(|one| one.artifact_type.starts_with(BUNDLE) || one.artifact_type.is_empty());
        Ok(bundles.take(SIGNATURES).collect())
    }

    fn url(&self, path: &str) -> anyhow::Result<Uri> {
        parse_url(&format!("{}/{path}", self.base))
    }

    /// Gets a URL, and once more with what the registry asks for.
    async fn get(
        &mut self,
        url: &Uri,
        accept: Option<&'static str>,
        limit: u64,
    ) -> anyhow::Result<Answer> {
        let answer = self.get_once(url, accept, limit).await?;
        if answer.status != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        let challenge = answer.headers.get(WWW_AUTHENTICATE);
        let challenge = challenge.and_then(|value| Challenge::parse(value.to_str().ok()?));
        let registry = &self.image.registry;
        let user = authorization::known(registry);
        self.authorization = match challenge {
            Some(Challenge::Basic) => user,
            Some(Challenge::Bearer { realm }) => Some(self.token(&realm, user).await?),
            None => None,
        };
        let registry = &self.image.registry;
        ensure!(
            self.authorization.is_some(),
            "{registry} wants a user: docker login {registry}"
        );
        let answer = self.get_once(url, accept, limit).await?;
        ensure!(
            answer.status != StatusCode::UNAUTHORIZED,
            "{} does not let this user read {}: docker login {}",
            self.image.registry,
            self.image.repository,
            self.image.registry
        );
        Ok(answer)
    }

    async fn get_once(
        &mut self,
        url: &Uri,
        accept: Option<&'static str>,
        limit: u64,
    ) -> anyhow::Result<Answer> {
        let accept = accept.map(|accept| (ACCEPT, HeaderValue::from_static(accept)));
        let authorization = self.authorization.clone();
        let authorization = authorization.map(|value| (AUTHORIZATION, value));
        let headers: Vec<_> = accept.into_iter().chain(authorization).collect();
        self.web.get(url, &headers, limit).await
    }

    /// Has the registry's server hand out a token, to the user if this machine knows one.
    async fn token(
        &mut self,
        realm: &str,
        user: Option<HeaderValue>,
    ) -> anyhow::Result<HeaderValue> {
        let url = parse_url(realm)?;
        let is_known = user.is_some();
        let headers: Vec<_> = user.map(|user| (AUTHORIZATION, user)).into_iter().collect();
        let asked = self
            .web
            .get_named(&self.base, &url, &headers, LARGEST_MANIFEST);
        let answer = asked.await?;
        if answer.status != StatusCode::OK {
            let registry = &self.image.registry;
            let fix = if is_known {
                "its password may be wrong"
            } else {
                "it may want a user"
            };
            return Err(anyhow!(
                "{} hands out no token for {registry} ({}), {fix}: docker login {registry}",
                url.host().unwrap_or_default(),
                answer.status
            ));
        }
        let token: Token = serde_json::from_slice(&answer.body)
            .map_err(|_| anyhow!("{} answers without a token", url.host().unwrap_or_default()))?;
        authorization::bearer(&token.token)
            .with_context(|| format!("the token for {} is none", self.image.registry))
    }
}
