//! Lists of the API, read page after page.

use std::collections::{BTreeMap, HashSet};

use anyhow::anyhow;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::super::Failure;
use super::Client;

/// The most rows of a page.
const PAGE: usize = 200;
/// The most pages in a row without anything wanted. A search for something rare comes in short
/// pages, each some hundredths of a second's worth: so many go through a hundred million events.
const IN_VAIN: usize = 10_000;

/// Returns the first rows of a list that are wanted, at most `limit` of them, and whether there are
/// more. `name` is what the API calls both the list and its rows.
///
/// # Errors
/// The reason why there is no answer, and what to do.
pub async fn rows<T: DeserializeOwned>(
    client: &Client,
    name: &str,
    parameters: &[(&str, String)],
    limit: usize,
    is_wanted: impl Fn(&T) -> bool,
) -> Result<(Vec<T>, bool), Failure> {
    let mut rows = Vec::new();
    let mut cursor: Option<String> = None;
    let mut cursors = HashSet::new();
    let mut in_vain = 0;
    // One more than is wanted, to know whether there are more.
    while rows.len() <= limit {
        let most = (limit + 1 - rows.len()).min(PAGE);
        let (list, next) = page(client, name, parameters, most, cursor.as_deref()).await?;
        let before = rows.len();
        rows.extend(list.into_iter().filter(|row| is_wanted(row)));
        in_vain = if rows.len() > before { 0 } else { in_vain + 1 };
        cursor = next;
        let Some(next) = &cursor else {
            break;
        };
        if !cursors.insert(next.clone()) {
            let host = client.host();
            return Err(anyhow!(
                "{host} goes round in a circle: a page of its {name} leads back to one before"
            )
            .into());
        }
        if in_vain == IN_VAIN {
            let host = client.host();
            return Err(anyhow!(
                "{host} has answered {IN_VAIN} pages of {name} without one that is wanted; ask for less, as by --since"
            )
            .into());
        }
    }
    let is_cut = rows.len() > limit;
    rows.truncate(limit);
    Ok((rows, is_cut))
}

/// Returns the first page of a list, at most `limit` rows, and whether more may follow.
///
/// # Errors
/// As [`rows`].
pub async fn first<T: DeserializeOwned>(
    client: &Client,
    name: &str,
    parameters: &[(&str, String)],
    limit: usize,
) -> Result<(Vec<T>, bool), Failure> {
    let (rows, next) = page(client, name, parameters, limit.min(PAGE), None).await?;
    Ok((rows, next.is_some()))
}

/// Returns a page of a list, and the cursor of the next.
async fn page<T: DeserializeOwned>(
    client: &Client,
    name: &str,
    parameters: &[(&str, String)],
    limit: usize,
    cursor: Option<&str>,
) -> Result<(Vec<T>, Option<String>), Failure> {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("limit", &limit.to_string());
    query.extend_pairs(parameters);
    if let Some(cursor) = cursor {
        query.append_pair("cursor", cursor);
    }
    let mut page: BTreeMap<String, Box<RawValue>> = client
        .get(&format!("/{}?{}", name.replace('_', "-"), query.finish()))
        .await?;
    let list = page.remove(name);
    let list = list.ok_or_else(|| anyhow!("the answer of {} has no {name}", client.host()))?;
    let next = match page.remove("next") {
        Some(next) => serde_json::from_str(next.get())?,
        None => None,
    };
    Ok((serde_json::from_str(list.get())?, next))
}
