//! The shadow check: a changed plugin, or changed rules, are tried on the newest stored requests of
//! their sources before they are in use, and the differences are summed up. Nothing is sent or
//! stored.

use std::time::{Duration, Instant};

use anyhow::anyhow;

use crate::intake::Intake;
pub use crate::intake::shadow::Summary;
use crate::intake::shadow::{Kept, NEWEST, Reader};
use crate::sources::Source;
use crate::store::{History, Newest, StoreError};

/// The time for the check of a reload. The requests that are left then are not read.
const TIME: Duration = Duration::from_secs(10);

/// Compares the readings of stored requests by the sources in use and by changed ones of the same
/// names. New sources are left out.
///
/// # Errors
/// What the disk said.
pub async fn changes(
    intake: &Intake,
    history: History,
    sources: &[Source],
) -> Result<Vec<Summary>, StoreError> {
    let until = Instant::now() + TIME;
    let changed: Vec<&Source> = sources
        .iter()
        .filter(|source| intake.is_changed(source))
        .collect();
    let mut summaries = Vec::new();
    if changed.is_empty() {
        return Ok(summaries);
    }
    let mut kept = Kept::new(history);
    let names = changed.iter().map(|source| source.name.to_string());
    let newest = Newest::of(names.collect(), NEWEST);
    let mut chosen = kept.look(move |history| history.newest(&newest)).await?;
    for source in changed {
        let reader = Reader::new(source);
        let mut summary = Summary::of(&source.name);
        let seqs = chosen.remove(&*source.name).unwrap_or_default();
        for (place, seq) in seqs.iter().copied().enumerate() {
            if Instant::now() > until {
                summary.unread += seqs.len() - place;
                break;
            }
            if let Some(request) = kept.look(move |history| history.request(seq)).await? {
                let compared = intake.compare(&reader, &request).await;
                summary.count(&request, compared.as_ref());
            }
        }
        summaries.push(summary);
    }
    Ok(summaries)
}

/// Compares the newest stored requests of each source with their readings now.
///
/// # Errors
/// What the disk said.
pub async fn against_store(
    history: &History,
    sources: &[Source],
) -> Result<Vec<Summary>, StoreError> {
    let names = sources.iter().map(|source| source.name.to_string());
    let mut chosen = history.newest(&Newest::of(names.collect(), NEWEST))?;
    let mut summaries = Vec::new();
    for source in sources {
        let reader = Reader::new(source);
        let mut summary = Summary::of(&source.name);
        for seq in chosen.remove(&*source.name).unwrap_or_default() {
            if let Some(request) = history.chain(seq)? {
                let compared = reader.against_stored(history, &request).await?;
                summary.count(&request, compared.as_ref());
            }
        }
        summaries.push(summary);
    }
    Ok(summaries)
}

/// Logs what differs, and returns it in words for the operator.
///
/// # Errors
/// With `strict`, the plugins that fail now.
pub fn judge(summaries: &[Summary], strict: bool) -> anyhow::Result<Vec<String>> {
    let mut told = Vec::new();
    let mut failing = Vec::new();
    for summary in summaries {
        let text = summary.to_string();
        if summary.fails > 0 {
            tracing::warn!("{text}");
            failing.push(text.clone());
        } else if summary.rejected > 0 {
            tracing::warn!("{text}");
        } else {
            tracing::info!("{text}");
        }
        if summary.differs() {
            told.push(text);
        }
    }
    if strict && !failing.is_empty() {
        return Err(anyhow!(
            "{}; reload = \"strict\" refuses a plugin that fails where the one in use does not",
            failing.join("; ")
        ));
    }
    Ok(told)
}
