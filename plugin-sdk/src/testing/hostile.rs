//! Hostile requests: mutations of real ones, as from a stranger, a broken proxy or the next version
//! of a sender. A plugin answers each, and never panics.
//!
//! ```no_run
//! # use plugin_sdk::contract::{Answer, Description, Request};
//! # struct DoorBell;
//! # impl plugin_sdk::Plugin for DoorBell {
//! #     type Settings = ();
//! #     fn describe() -> Description { unimplemented!() }
//! #     fn read(_: &Request, _: ()) -> Answer { unimplemented!() }
//! # }
//! # use plugin_sdk::{signature::Scheme, testing::hostile};
//! #[test]
//! fn it_never_panics() {
//!     hostile::survives::<DoorBell>("cases", 1_000, |request| Scheme::Bearer.sign(request, "0123456789abcdef"));
//! }
//! ```
//!
//! It needs the feature `proptest` of this crate, as a development dependency:
//! `alert-gateway-plugin-sdk = { …, features = ["proptest"] }`.

use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestRunner};

use crate::contract::{Body, Request};
use crate::{Plugin, case};

/// Bytes with a meaning in forms, JSON and headers, and bytes that are no text.
const PIECES: [&[u8]; 24] = [
    b"&",
    b"=",
    b"%",
    b"+",
    b"\"",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\\",
    b"\\ud800",
    b"\0",
    b"\xff\xfe",
    b"null",
    b"1e999",
    b"-0",
    b"%00",
    b"%22%5Cud800",
    b"[[[[[[[[",
    b"{\"\":{\"\":{\"\":",
    b"\xe2\x80\xae",
    b"\r\n",
];

/// One change of a request.
#[derive(Debug, Clone)]
enum Change {
    Byte(Index, u8),
    Cut(Index),
    Insert(Index, &'static [u8]),
    Remove(Index, u8),
    Repeat(Index, u8),
    DropHeader(Index),
    Header(Index, &'static [u8]),
    Url(Index, &'static [u8]),
    Method,
}

fn change() -> impl Strategy<Value = Change> {
    let at = any::<Index>;
    let piece = || select(&PIECES[..]);
    prop_oneof![
        4 => (at(), any::<u8>()).prop_map(|(at, byte)| Change::Byte(at, byte)),
        2 => at().prop_map(Change::Cut),
        6 => (at(), piece()).prop_map(|(at, piece)| Change::Insert(at, piece)),
        4 => (at(), 1..60_u8).prop_map(|(at, length)| Change::Remove(at, length)),
        3 => (at(), 1..60_u8).prop_map(|(at, length)| Change::Repeat(at, length)),
        1 => at().prop_map(Change::DropHeader),
        1 => (at(), piece()).prop_map(|(at, piece)| Change::Header(at, piece)),
        1 => (at(), piece()).prop_map(|(at, piece)| Change::Url(at, piece)),
        1 => Just(Change::Method),
    ]
}

impl Change {
    fn apply(&self, request: &mut Request) {
        let mut body = request.body.bytes().into_owned();
        let place = |at: &Index, length: usize| at.index(length + 1);
        match self {
            Self::Byte(at, byte) => match body.len() {
                0 => body.push(*byte),
                length => body[at.index(length)] = *byte,
            },
            Self::Cut(at) => body.truncate(place(at, body.len())),
            Self::Insert(at, piece) => {
                let at = place(at, body.len());
                body.splice(at..at, piece.iter().copied());
            }
            Self::Remove(at, length) => {
                let at = place(at, body.len());
                body.drain(at..(at + usize::from(*length)).min(body.len()));
            }
            Self::Repeat(at, length) => {
                let at = place(at, body.len());
                body.extend_from_within(at..(at + usize::from(*length)).min(body.len()));
            }
            Self::DropHeader(at) if !request.headers.is_empty() => {
                drop(request.headers.remove(at.index(request.headers.len())));
            }
            Self::Header(at, piece) if !request.headers.is_empty() => {
                let at = at.index(request.headers.len());
                // As the host reads it: Latin-1.
                request.headers[at]
                    .1
                    .extend(piece.iter().copied().map(char::from));
            }
            Self::Url(at, piece) => {
                let at = request
                    .url
                    .floor_char_boundary(place(at, request.url.len()));
                request.url.insert_str(at, &String::from_utf8_lossy(piece));
            }
            Self::DropHeader(_) | Self::Header(..) | Self::Method => {
                request.method = "PUT".to_owned()
            }
        }
        request.body = Body::from_bytes(body);
    }
}

/// One of these requests with up to eight changes: of its body mostly, and of its headers, URL and
/// method.
///
/// # Panics
/// Where there is none.
pub fn requests(real: Vec<Request>) -> impl Strategy<Value = Request> {
    assert!(
        !real.is_empty(),
        "there is no request to make hostile ones of"
    );
    (select(real), vec(change(), 1..8)).prop_map(|(mut request, changes)| {
        changes.iter().for_each(|change| change.apply(&mut request));
        request
    })
}

/// Makes `count` hostile requests of a folder's cases, and has the plugin read each twice: as it
/// is, and signed by `sign`, so that it gets past the proof of the sender.
///
/// # Panics
/// The plugin panics, or its answer is none that the host can use; the message has the smallest
/// such request.
pub fn survives<P: Plugin>(folder: impl AsRef<Path>, count: u32, sign: impl Fn(&mut Request)) {
    let cases = case::load(folder.as_ref()).unwrap_or_else(|error| panic!("{error}"));
    let requests = requests(cases.into_iter().map(|case| case.request).collect());
    // Nothing is written down for the next run: the request that is shown can be made a case.
    let config = Config {
        cases: count,
        failure_persistence: None,
        ..Config::default()
    };
    let outcome = TestRunner::new(config).run(&requests, |mut request| {
        let flaw = |request: &Request| super::read::<P>(request).flaw();
        prop_assert_eq!(flaw(&request), None);
        sign(&mut request);
        prop_assert_eq!(flaw(&request), None);
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}
