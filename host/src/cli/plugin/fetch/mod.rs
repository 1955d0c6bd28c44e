//! Fetches a plugin with its signatures, from a URL or a registry. Only commands do; the gateway
//! that runs never asks for one.

mod authorization;
pub mod registry;
pub mod versions;
pub mod web;

use hyper::StatusCode;

use crate::config::{ContentHash, Fetched, FetchedFrom};
use crate::sources::fetched::evidence::Evidence;
use crate::sources::fetched::{Content, LARGEST_MANIFEST, LARGEST_PLUGIN};
use registry::Registry;
use web::{Web, parse_url};

/// The endings of the files in which the signature of a file is looked for.
const SIGNATURES: [&str; 3] = [".sig", ".sigstore.json", ".bundle"];

/// Fetches what stands at a place now, or, of a registry, what this digest names. Signatures are
/// fetched where `signed` asks for them.
///
/// # Errors
/// The reason why it cannot be had.
pub async fn fetch(
    web: &mut Web,
    from: &FetchedFrom,
    digest: Option<ContentHash>,
    signed: bool,
) -> anyhow::Result<(Fetched, Content)> {
    let content = match from {
        FetchedFrom::Url(url) => of_url(web, url, signed).await?,
        FetchedFrom::Oci(image) => Registry::new(web, image)?.fetch(digest, signed).await?,
    };
    let subject = content.manifest.as_ref().unwrap_or(&content.wasm);
    let fetched = Fetched {
        from: from.clone(),
        digest: digest.unwrap_or_else(|| ContentHash::of(subject)),
    };
    Ok((fetched, content))
}

async fn of_url(web: &mut Web, url: &str, signed: bool) -> anyhow::Result<Content> {
    let answer = web.get(&parse_url(url)?, &[], LARGEST_PLUGIN).await?;
    let wasm = answer.content()?;
    let mut evidence = Vec::new();
    for ending in SIGNATURES.iter().filter(|_| signed) {
        let beside = parse_url(&format!("{url}{ending}"))?;
        let answer = web.get(&beside, &[], LARGEST_MANIFEST).await?;
        // What has another status is not there: a bucket answers 403 for that.
        if answer.status == StatusCode::OK {
            evidence.push(Evidence::parse(&answer.body));
        }
    }
    Ok(Content {
        wasm,
        manifest: None,
        evidence,
    })
}
