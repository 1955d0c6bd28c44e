//! The body of a request: all of it within limits, or the reason why not.

use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::{Body as _, Bytes, Incoming};

/// The most bytes read of a refused body, so that its sender hears the reason.
pub const DISCARD_BYTES: usize = 1024 * 1024;
/// The time that may take.
const DISCARD_TIME: Duration = Duration::from_secs(if cfg!(test) { 30 } else { 1 });

/// The reason why a body was not taken.
#[derive(Debug, PartialEq, Eq)]
pub enum BodyError {
    /// More bytes than the limit.
    TooLarge,
    /// Not all of it in time.
    TooSlow,
    /// The sender went away, or broke the framing.
    Broken,
}

/// The first buffer for a body that does not say its length.
const FIRST_BYTES: usize = 4 * 1024;

/// A whole body of at most `limit` bytes, received within `time`. Before memory is asked for,
/// `room` is told how large the buffer will be, and may refuse. The rest of what is not taken goes
/// to [`discard`].
///
/// # Errors
/// See [`BodyError`]; or what `room` says.
pub async fn read_body<E: From<BodyError>>(
    mut body: Incoming,
    limit: usize,
    time: Duration,
    room: impl FnMut(usize) -> Result<(), E>,
) -> Result<Vec<u8>, E> {
    let taken = tokio::time::timeout(time, collect(&mut body, limit, room)).await;
    let taken = taken.unwrap_or_else(|_| Err(BodyError::TooSlow.into()));
    if taken.is_err() {
        discard(body);
    }
    taken
}

/// Reads and discards a refused body in the background, where it is small. Otherwise the connection
/// would be closed on a sender in mid-write: it would be reset, and the explaining answer lost with
/// it.
pub fn discard(mut body: Incoming) {
    if body.is_end_stream() || announced(&body) > DISCARD_BYTES as u64 {
        return;
    }
    tokio::spawn(tokio::time::timeout(DISCARD_TIME, async move {
        let mut left = DISCARD_BYTES;
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, Bytes::len);
            let Some(rest) = left.checked_sub(length) else {
                return;
            };
            left = rest;
        }
    }));
}

/// Returns the number of bytes a body has at least, by what its head says.
pub fn announced(body: &Incoming) -> u64 {
    body.size_hint().lower()
}

/// Collects a body into one buffer, whatever pieces it comes in. A piece kept as it came would hold
/// the whole buffer with which it was read.
async fn collect<E: From<BodyError>>(
    body: &mut Incoming,
    limit: usize,
    mut room: impl FnMut(usize) -> Result<(), E>,
) -> Result<Vec<u8>, E> {
    let mut bytes = Vec::new();
    let mut capacity = 0;
    let announced = usize::try_from(announced(body)).unwrap_or(usize::MAX);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| BodyError::Broken)?.into_data() else {
            continue;
        };
        let length = bytes.len() + data.len();
        if length > limit {
            return Err(BodyError::TooLarge.into());
        }
        if length > capacity {
            // At once what was announced; otherwise by doubling.
            let wanted = if capacity == 0 && announced > 0 {
                announced
            } else {
                FIRST_BYTES.max(2 * capacity)
            };
            capacity = wanted.max(length).min(limit);
            room(capacity)?;
            bytes.reserve_exact(capacity - bytes.len());
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}
