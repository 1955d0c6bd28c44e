//! Masking of known texts, wherever they stand in an alert.

use std::collections::BTreeSet;

use plugin_sdk::contract::Alert;

use super::details::{self, Masks};
use crate::config::REDACTED;
use crate::mask::{MOST_BYTES, Mask};

/// A value that is shorter than this stands in any text: it is masked by its place alone.
pub(super) const SHORTEST: usize = 4;

/// Masks texts wherever they stand in an alert but for its key and its event id, and returns the
/// number of places.
pub(super) fn hide_texts(alert: &mut Alert, masked: &[String]) -> usize {
    let values = masked.iter().map(String::as_str);
    let values: BTreeSet<_> = values.filter(|text| text.len() >= SHORTEST).collect();
    if values.iter().map(|text| text.len()).sum::<usize>() > MOST_BYTES {
        return hide_all(alert);
    }
    let mask = Mask::new(values);
    let by_value = |text: &mut String| match mask.replace(text.as_bytes(), REDACTED.as_bytes()) {
        Some((hidden, places)) => {
            *text = String::from_utf8_lossy(&hidden).into_owned();
            places
        }
        None => 0,
    };
    let mut places = 0;
    let texts = [
        Some(&mut alert.title),
        alert.message.as_mut(),
        alert.link.as_mut(),
    ];
    for text in texts.into_iter().flatten().chain(alert.labels.values_mut()) {
        places += by_value(text);
    }
    let masks = Masks {
        pointers: Vec::new(),
        anywhere: None,
        text: by_value,
    };
    places + details::mask(alert, &masks)
}

/// Masks the texts that are made of the details, whole, where more is masked than can be looked for.
fn hide_all(alert: &mut Alert) -> usize {
    let mut places = 1;
    REDACTED.clone_into(&mut alert.title);
    for text in alert.message.iter_mut().chain(alert.labels.values_mut()) {
        REDACTED.clone_into(text);
        places += 1;
    }
    places + usize::from(alert.link.take().is_some())
}
