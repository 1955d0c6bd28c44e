//! The network, inwards: listeners, TLS, connections with limits, bodies with limits, who sends,
//! and the one shape of every error.
//!
//! # What is bounded, and by whom
//!
//! hyper parses HTTP/1 and h2 parses HTTP/2; their own defences are used, and those that have no
//! good default are set in [`serve::connection_builder`]. `tests/hostile_http.rs` and the tests
//! here try each with real sockets.
//!
//! | what a stranger may try | what happens | whose defence |
//! |---|---|---|
//! | thousands of connections | [`connections`]: the longest idle are evicted, and the oldest where all are in use | ours |
//! | a connection that says nothing, or says its head byte by byte | closed after [`serve::IDLE`], sooner where room is needed | hyper's `header_read_timeout`, and ours for all that has no complete request |
//! | a head of too many bytes or headers, or one line without end | 431, closed: [`serve::HEAD_BYTES`], [`serve::HEADERS`] | hyper's `max_buf_size`, `max_headers` |
//! | a body that is too large, too slow or broken | 413, 408, 400, closed | [`read_body`] |
//! | a body that was refused, and is sent on | read for a second and thrown away, closed | [`discard`] |
//! | a body in very many small pieces | one buffer, grown as it fills: a piece costs nothing | [`read_body`]; h2's budget for small DATA frames |
//! | chunk sizes that overflow, extensions or trailers without end | 400, closed: 16 KiB of either | hyper's decoder |
//! | a length written twice, in two ways, or with odd spaces | 400, closed; an equal one twice counts once | hyper, httparse |
//! | `Transfer-Encoding` beside `Content-Length` | the former counts, and the connection ends with the answer, so that nothing that follows is read as a request (RFC 9112, 6.1) | hyper; [`serve()`] ends it |
//! | no `Host`, two of them, or one that is no host | 400, closed (RFC 9112, 3.2) | [`host`] |
//! | a client that never reads | hyper stops reading from it; then it is idle | hyper, h2 |
//! | rapid reset (CVE-2023-44487) | connection closed after 20 streams that were reset before they were accepted | h2's `max_pending_accept_reset_streams`, by default |
//! | streams made to fail (CVE-2025-8671) | connection closed after 1024 | h2's `max_local_error_reset_streams`, by default |
//! | `CONTINUATION` without end (CVE-2024-27316) | connection closed after 5 of them that do not end the head | h2, from `max_header_list_size` |
//! | an HPACK bomb | 431 above [`serve::HEADER_LIST`], closed above four times that | h2's `max_header_list_size` |
//! | `SETTINGS` or `PING` without end | h2 answers one before it reads the next, so a client that does not read its answers is not read | h2 |
//! | too many streams | refused beyond [`serve::STREAMS`] | h2's `max_concurrent_streams` |
//! | empty or tiny `DATA` frames | connection closed after 100 empty ones, or when a budget is used up | h2, by default |
//!
//! # The most that strangers can make the gateway hold
//!
//! The operator grants `memory` ([`crate::config::MEMORY`] by default). There is one connection for
//! each [`CONNECTION_MEMORY`] of it, or fewer where the system grants too few file descriptors, so
//! that:
//!
//! - a sixth is for requests: heads, bodies and what is made of them until the disk has it, as
//!   `intake::admission` charges them. What waits for the plugin's turn or in the store's queue is
//!   charged until it is done;
//! - the rest is for connections, 160 KiB for each. In HTTP/1 the worst is an endless head: its
//!   read buffer grows in steps to at most twice [`serve::HEAD_BYTES`], measured with all else at
//!   50 KiB. In HTTP/2 it is [`serve::STREAMS`] answers that are not read, while a head of
//!   [`serve::HEADER_LIST`] or a frame of 16 KiB is being put together: 127 KiB. Bytes that come in
//!   before they are read ([`serve::WINDOW`]) go into a body, which is charged, or are thrown away.
//!   The rest is for TLS: an endless handshake was measured at 75 KiB in all, and its remains at 17
//!   KiB.
//!
//! Beside it, and not in a stranger's hands: for each source the memory of its two plugin calls
//! with their input and output, and what the gateway holds without a request. The operating
//! system's socket buffers are its own.

mod answer;
mod body;
mod client;
mod connections;
mod descriptors;
mod host;
mod listener;
mod serve;
mod tls;

#[cfg(test)]
mod tests;

pub use answer::{Answer, AnswerBody, answer, json, problem};
pub use body::{BodyError, DISCARD_BYTES, announced, discard, read_body};
pub use client::{Client, Peer, bearer};
pub use descriptors::connections_beside;
pub use listener::{Listener, Socket, UnixSocket};
pub use serve::serve;
pub use tls::{Following, Tls, TlsError};

/// The share of a connection in the memory of senders: a sixth for a request, the rest its own.
pub const CONNECTION_MEMORY: usize = 192 * 1024;
/// The number of connections of a listener for few clients.
pub const FEW: usize = 64;
/// The number of connections of the admin listener: monitoring, and some hundred people who look at
/// pages, each with one connection that stays open.
pub const ADMIN: usize = 256;

/// Returns the number of connections for which the memory of senders has room.
pub fn connections_within(memory: usize) -> usize {
    (memory / CONNECTION_MEMORY).max(1)
}
