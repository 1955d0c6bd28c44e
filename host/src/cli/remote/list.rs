//! Lists of the API, read page after page.

use std::collections::BTreeMap;

use anyhow::anyhow;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::super::Failure;
use super::Client;

/// The most rows of a page.
const PAGE: usize = 200;

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
    // One more than is wanted, to know whether there are more.
    while rows.len() <= limit {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("limit", &(limit + 1 - rows.len()).min(PAGE).to_string());
        query.extend_pairs(parameters);
        if let Some(cursor) = &cursor {
            query.append_pair("cursor", cursor);
        }
        let mut page: BTreeMap<String, Box<RawValue>> = client
            .get(&format!("/{}?{}", name.replace('_', "-"), query.finish()))
            .await?;
        let list = page.remove(name);
        let list = list.ok_or_else(|| anyhow!("the answer of {} has no {name}", client.host()))?;
        let list: Vec<T> = serde_json::from_str(list.get())?;
        rows.extend(list.into_iter().filter(|row| is_wanted(row)));
        cursor = match page.remove("next") {
            Some(next) => serde_json::from_str(next.get())?,
            None => None,
        };
        if cursor.is_none() {
            break;
        }
    }
    let is_cut = rows.len() > limit;
    rows.truncate(limit);
    Ok((rows, is_cut))
}
