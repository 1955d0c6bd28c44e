//! Masking of personal and secret data in an alert.
//!
//! What is masked is marked, so that a reader knows that something stood there. Identity survives:
//! where a named pattern matches within a key or an event id, a digest of the match takes its
//! place, so that two keys that differ only in a telephone number stay two.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::ops::Range;
use std::sync::LazyLock;

use plugin_sdk::contract::Alert;
use regex::Regex;
use sha2::{Digest, Sha256};

use super::details::{self, Masks};
use super::texts::hide_texts;
use crate::config::{NamedPattern, REDACTED, Redaction, mark};

/// The digits of the longest card number.
const CARD_DIGITS: usize = 19;

/// The masking of the alerts of one source.
#[derive(Debug, Clone, Default)]
pub struct Redactor {
    redactions: Vec<Redaction>,
}

impl Redactor {
    /// Makes a redactor.
    pub fn new(mut redactions: Vec<Redaction>) -> Self {
        // URLs hold what looks like an address, and card numbers what looks like a telephone
        // number: the order of `NamedPattern::ALL` says which one is looked for first.
        redactions.sort_by_key(|redaction| match redaction {
            Redaction::Named(pattern) => NamedPattern::ALL.iter().position(|one| one == pattern),
            _ => None,
        });
        redactions.dedup();
        Self { redactions }
    }

    /// Returns whether nothing is masked.
    pub fn is_empty(&self) -> bool {
        self.redactions.is_empty()
    }

    /// Returns this redactor with more to mask.
    pub fn with(&self, more: Vec<Redaction>) -> Cow<'_, Self> {
        if more.is_empty() {
            return Cow::Borrowed(self);
        }
        Cow::Owned(Self::new([self.redactions.clone(), more].concat()))
    }

    /// Returns the pointers into details that are masked.
    pub(super) fn pointers(&self) -> impl Iterator<Item = &[String]> {
        self.redactions
            .iter()
            .filter_map(|redaction| match redaction {
                Redaction::Details(pointer) => Some(pointer.as_slice()),
                _ => None,
            })
    }

    fn patterns(&self) -> Vec<NamedPattern> {
        let named = self
            .redactions
            .iter()
            .filter_map(|redaction| match redaction {
                Redaction::Named(pattern) => Some(*pattern),
                _ => None,
            });
        named.collect()
    }

    /// Masks what is found in a text by its form, and returns the number of places.
    pub(super) fn replace(&self, text: &mut String) -> usize {
        replace_in(text, &self.patterns(), |pattern, _| mark(pattern))
    }

    /// Returns the texts that [`Self::redact`] would mask.
    pub(super) fn masked_texts(&self, alert: &Alert) -> Vec<String> {
        let found = RefCell::new(Vec::new());
        let patterns = self.patterns();
        let find = |text: &mut String| {
            replace_in(text, &patterns, |pattern, secret| {
                found.borrow_mut().push(secret.to_owned());
                mark(pattern)
            })
        };
        for redaction in &self.redactions {
            if let Redaction::Label(name) = redaction {
                found.borrow_mut().extend(alert.labels.get(name).cloned());
            }
        }
        let texts = [&alert.title, &alert.event_id].into_iter();
        let texts = texts.chain(
            [&alert.message, &alert.link, &alert.key]
                .into_iter()
                .flatten(),
        );
        for text in texts.chain(alert.labels.values()) {
            find(&mut text.clone());
        }
        if let Some(details) = &alert.details {
            let value = serde_json::from_str(details.get()).unwrap_or_default();
            let pointers: Vec<_> = self.pointers().collect();
            let mut below = BTreeSet::new();
            details::leaves_anywhere(&value, &pointers, &mut below);
            found.borrow_mut().extend(below);
            let masks = Masks {
                pointers: Vec::new(),
                anywhere: None,
                text: find,
            };
            details::masked(details.get(), &masks);
        }
        found.into_inner()
    }

    /// Masks an alert, and returns how many places were masked.
    pub fn redact(&self, alert: &mut Alert) -> usize {
        if self.is_empty() {
            return 0;
        }
        let mut masked = 0;
        let patterns = self.patterns();
        let mut texts = self.below_pointers(alert);
        for redaction in &self.redactions {
            if let Redaction::Label(name) = redaction
                && let Some(value) = alert.labels.get_mut(name)
            {
                texts.push(std::mem::replace(value, REDACTED.to_owned()));
                masked += 1;
            }
        }
        masked += self.redact_details(alert, &patterns);
        // Title, message and labels are made of the details.
        if !texts.is_empty() {
            masked += hide_texts(alert, &texts);
        }
        if !patterns.is_empty() {
            let texts = [Some(&mut alert.title), alert.message.as_mut()];
            for text in texts.into_iter().flatten().chain(alert.labels.values_mut()) {
                masked += replace_in(text, &patterns, |pattern, _| mark(pattern));
            }
            // It stays a URL.
            masked += alert.link.as_mut().map_or(0, |link| {
                replace_in(link, &patterns, |_, _| "redacted".to_owned())
            });
            let texts = [Some(&mut alert.event_id), alert.key.as_mut()];
            for text in texts.into_iter().flatten() {
                masked += replace_in(text, &patterns, |_, found| digest(found));
            }
        }
        masked
    }

    /// Returns the texts and numbers in the details that the pointers name.
    pub(super) fn below_pointers(&self, alert: &Alert) -> Vec<String> {
        let mut found = Vec::new();
        let mut pointers = self.pointers().peekable();
        if let (Some(details), Some(_)) = (&alert.details, pointers.peek()) {
            let value = serde_json::from_str(details.get()).unwrap_or_default();
            pointers.for_each(|pointer| details::leaves(&value, pointer, &mut found));
        }
        found
    }

    fn redact_details(&self, alert: &mut Alert, patterns: &[NamedPattern]) -> usize {
        let text = |text: &mut String| replace_in(text, patterns, |pattern, _| mark(pattern));
        let masks = Masks {
            pointers: self.pointers().collect(),
            anywhere: None,
            text,
        };
        details::mask(alert, &masks)
    }
}

/// Replaces every match of the patterns, and returns how many there were.
fn replace_in(
    text: &mut String,
    patterns: &[NamedPattern],
    replacement: impl Fn(NamedPattern, &str) -> String,
) -> usize {
    let mut masked = 0;
    for pattern in patterns {
        for expression in expressions(*pattern) {
            // A match takes the character behind it, so of two that share one the second is found
            // the second time.
            for _ in 0..2 {
                let narrow = Narrow::of(text);
                let mut written = String::with_capacity(text.len());
                let mut end = 0;
                let found = expression.captures_iter(&narrow.text);
                for secret in found.filter_map(|captures| captures.name("secret")) {
                    for meant in meant(*pattern, secret.as_str()) {
                        let [from, to] =
                            [meant.start, meant.end].map(|at| narrow.place(secret.start() + at));
                        let found = &text[from..to];
                        // A mark of before, which the form may cut at its blank.
                        let is_mark =
                            found.starts_with("[redacted") && mark(*pattern).starts_with(found);
                        if is_mark || found == REDACTED {
                            continue;
                        }
                        written.push_str(&text[end..from]);
                        written.push_str(&replacement(*pattern, &text[from..to]));
                        end = to;
                        masked += 1;
                    }
                }
                if end == 0 {
                    break;
                }
                written.push_str(&text[end..]);
                *text = written;
            }
        }
    }
    masked
}

/// Returns the parts of a text of a pattern's form that are meant by it.
fn meant(pattern: NamedPattern, text: &str) -> Vec<Range<usize>> {
    let is_meant = match pattern {
        NamedPattern::CardNumbers => return card_numbers(text),
        NamedPattern::IpAddresses => text.parse::<std::net::IpAddr>().is_ok(),
        NamedPattern::PhoneNumbers => (7..=15).contains(&digits(text).count()),
        NamedPattern::EmailAddresses | NamedPattern::UrlCredentials => true,
    };
    is_meant.then_some(0..text.len()).into_iter().collect()
}

/// Returns the card numbers among groups of digits. Other groups may stand beside one, as that of its
/// expiry does.
fn card_numbers(text: &str) -> Vec<Range<usize>> {
    let groups = text.match_indices([' ', '-']).map(|(at, _)| at);
    let ends: Vec<_> = groups.chain([text.len()]).collect();
    let mut found = Vec::new();
    let mut start = 0;
    let mut group = 0;
    while group < ends.len() {
        let here = ends[group..].iter().zip(group..);
        // Between two digits stands one character at most.
        let fits = here.take_while(|(end, _)| **end - start < 2 * CARD_DIGITS);
        let card = fits.filter(|(end, _)| luhn(&text[start..**end])).last();
        if let Some((end, last)) = card {
            found.push(start..*end);
            group = last;
        }
        start = ends[group] + 1;
        group += 1;
    }
    found
}

fn digits(text: &str) -> impl DoubleEndedIterator<Item = u32> {
    text.chars().filter_map(|character| character.to_digit(10))
}

/// A text with its full-width digits and marks in ASCII, as Japanese and Chinese keyboards write
/// them. Letters stay, so that a number behind them is found.
struct Narrow<'a> {
    text: Cow<'a, str>,
    /// The places in the text where a character became shorter, and the bytes saved up to each.
    saved: Vec<(usize, usize)>,
}

impl<'a> Narrow<'a> {
    fn of(text: &'a str) -> Self {
        let narrow = |wide: char| match wide {
            '\u{3000}' => Some(' '),
            '０'..='９' | '＋' | '－' | '．' | '（' | '）' | '＠' => {
                char::from_u32(wide as u32 - ('０' as u32 - '0' as u32))
            }
            _ => None,
        };
        let mut saved = Vec::new();
        if text.is_ascii() || !text.contains(|char| narrow(char).is_some()) {
            let text = Cow::Borrowed(text);
            return Self { text, saved };
        }
        let mut plain = String::with_capacity(text.len());
        let mut bytes = 0;
        for char in text.chars() {
            let short = narrow(char).unwrap_or(char);
            plain.push(short);
            if short != char {
                bytes += char.len_utf8() - short.len_utf8();
                saved.push((plain.len(), bytes));
            }
        }
        Self {
            text: Cow::Owned(plain),
            saved,
        }
    }

    /// Returns where a place in the narrow text is in the wide one.
    fn place(&self, at: usize) -> usize {
        let before = self.saved.partition_point(|(end, _)| *end <= at);
        let saved = before.checked_sub(1).map_or(0, |last| self.saved[last].1);
        at + saved
    }
}

/// Returns whether 13 to 19 digits end in the check digit of ISO/IEC 7812.
fn luhn(text: &str) -> bool {
    let doubled = |digit: u32| if digit > 4 { 2 * digit - 9 } else { 2 * digit };
    let sum: u32 = digits(text)
        .rev()
        .enumerate()
        .map(|(at, digit)| if at % 2 == 1 { doubled(digit) } else { digit })
        .sum();
    (13..=CARD_DIGITS).contains(&digits(text).count())
        && sum.is_multiple_of(10)
        && digits(text).any(|digit| digit != 0)
}

/// Returns a digest that keeps what is different different, and tells nothing else apart.
pub(super) fn digest(text: &str) -> String {
    let hash = Sha256::digest(text.as_bytes());
    hash.iter()
        .take(8)
        .fold("redacted-".to_owned(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

/// Returns the forms of a pattern. The group `secret` is what is masked; the engine is linear in
/// the text.
fn expressions(pattern: NamedPattern) -> &'static [Regex] {
    &EXPRESSIONS[pattern as usize]
}

/// The forms of each pattern, in the order of its declaration.
static EXPRESSIONS: LazyLock<[Vec<Regex>; 5]> = LazyLock::new(|| {
    [PHONE, EMAIL, URL, CARD, IP].map(|forms| {
        forms
            .iter()
            .filter_map(|form| Regex::new(form).ok())
            .collect()
    })
});

/// With a plus sign, its percent form or `00`: any grouping. Without: the usual marks of a national
/// number, so that ids, times and prices are left alone.
const PHONE: &[&str] = &[r"(?x) (?: ^ | [^0-9A-Za-z+] ) (?P<secret>
      (?: \+ | (?i:%2B) | 00 ) [1-9] (?: [\ .\-\u{a0}\u{202f}\u{2010}-\u{2015}/()]{0,3} [0-9] ){6,14}
    | \( [0-9]{2,5} \) [\ .\-]{0,2} [0-9]{3,4} [\ .\-]? [0-9]{3,4}
    | (?: 1 [\ .\-] )? [0-9]{3} [\ .\-] [0-9]{3} [\ .\-] [0-9]{4}
    | 0 [1-9] (?: [\ .\-] [0-9]{2} ){4}
    | 0 [0-9]{2} \  [0-9]{3} \  [0-9]{2} \  [0-9]{2}
    | 0 [0-9] [\ \-] [0-9]{4} [\ \-] [0-9]{4}
    | 0 [0-9]{2,4} [\ /\-] [0-9]{3,4} [\ \-]? [0-9]{3,4}
    ) (?: (?-u:\b) | _ )"];

const EMAIL: &[&str] = &[
    r"(?P<secret>[\p{L}\p{N}._%+\-]+(?:@|%40)[\p{L}\p{N}](?:[\p{L}\p{N}.\-]*[\p{L}\p{N}])?\.(?:xn--[0-9A-Za-z\-]+|\p{L}{2,}))",
];

const URL: &[&str] = &[
    r"(?i)[a-z][a-z0-9+.\-]*://(?P<secret>[^\s/?#]+)@",
    r#"(?ix) [?&;\#] (?: [a-z0-9_\-]* (?: token | secret | password | passwd | passphrase | api_?key | auth | signature
       | credential ) [a-z0-9_\-]* | sig | key | pwd ) = (?P<secret> [^\s&\#"'<>]+ )"#,
];

const CARD: &[&str] = &[r"(?:(?-u:\b)|_)(?P<secret>[0-9](?:[ \-]?[0-9]){12,})(?:(?-u:\b)|_)"];

const IP: &[&str] = &[
    r"(?:^|[^0-9A-Za-z.])(?P<secret>[0-9]{1,3}(?:\.[0-9]{1,3}){3})(?:(?-u:\b)|_)",
    r"(?x) (?: ^ | [^0-9A-Za-z:.] )
       (?P<secret> (?: [0-9A-Fa-f]{0,4} : ){2,7} (?: [0-9]{1,3} (?: \. [0-9]{1,3} ){3} | [0-9A-Fa-f]{0,4} ) )",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn redacted(pattern: NamedPattern, text: &str) -> String {
        let mut text = text.to_owned();
        replace_in(&mut text, &[pattern], |_, _| "#".to_owned());
        text
    }

    #[test]
    fn every_expression_compiles() {
        for (forms, compiled) in [PHONE, EMAIL, URL, CARD, IP].iter().zip(EXPRESSIONS.iter()) {
            assert_eq!(forms.len(), compiled.len());
        }
    }

    #[test]
    fn named_patterns_find_their_forms_and_leave_the_rest() {
        use NamedPattern::{
            CardNumbers, EmailAddresses, IpAddresses, PhoneNumbers, UrlCredentials,
        };
        let table = [
            (PhoneNumbers, "to +14155550100 failed", "to # failed"),
            (
                PhoneNumbers,
                "From=%2B14155550100&To=%2B493012345678",
                "From=#&To=#",
            ),
            (PhoneNumbers, "+1 (415) 555-0100, +49 30 1234 5678", "#, #"),
            (
                PhoneNumbers,
                "(415) 555-0100 or 415-555-0100 or 1.415.555.0100",
                "# or # or #",
            ),
            (
                PhoneNumbers,
                "tel 0044 20 7946 0958 and 030/1234 5678",
                "tel # and #",
            ),
            (
                PhoneNumbers,
                "error 30006 at 2026-11-28T10:15:00Z",
                "error 30006 at 2026-11-28T10:15:00Z",
            ),
            (
                PhoneNumbers,
                "NO0123456789abcdef0123456789abcdef",
                "NO0123456789abcdef0123456789abcdef",
            ),
            (
                PhoneNumbers,
                "took 1200 ms, 3.50 USD, +5 items",
                "took 1200 ms, 3.50 USD, +5 items",
            ),
            (PhoneNumbers, "01 23 45 67 89, 01.23.45.67.89", "#, #"),
            (PhoneNumbers, "044 668 18 00 or 03-1234-5678", "# or #"),
            (
                PhoneNumbers,
                "from_+14155550100_to +1\u{2011}415\u{2011}555\u{2011}0100",
                "from_#_to #",
            ),
            (
                PhoneNumbers,
                "＋４９ ３０ １２３４５６、０３－１２３４－５６７８",
                "#、#",
            ),
            (
                PhoneNumbers,
                "ＴＥＬ０３－１２３４－５６７８、（０３）　１２３４－５６７８。",
                "ＴＥＬ#、#。",
            ),
            (
                CardNumbers,
                "card ４１１１ １１１１ １１１１ １１１１",
                "card #",
            ),
            (
                CardNumbers,
                "card ４１１１ １１１１ １１１１ １１１２",
                "card ４１１１ １１１１ １１１１ １１１２",
            ),
            (IpAddresses, "from ２０３.０.１１３.７!", "from #!"),
            // A letter of another script ends a number, as these languages put no blank there.
            (
                PhoneNumbers,
                "番号は+81312345678です、03-1234-5678まで",
                "番号は#です、#まで",
            ),
            (PhoneNumbers, "с +79161234567м на", "с #м на"),
            (CardNumbers, "カード4111111111111111を", "カード#を"),
            (IpAddresses, "サーバー192.0.2.7が", "サーバー#が"),
            (EmailAddresses, "ask ann＠example.com", "ask #"),
            (
                PhoneNumbers,
                "on 01-02-2026 at 01:23:45",
                "on 01-02-2026 at 01:23:45",
            ),
            (EmailAddresses, "ask ann.o+x@example.co.uk.", "ask #."),
            (EmailAddresses, "ann@example.xn--p1ai!", "#!"),
            (EmailAddresses, "user=ann%40example.com&x=1", "user=#&x=1"),
            (EmailAddresses, "a@b and @handle", "a@b and @handle"),
            (
                UrlCredentials,
                "https://user:pa%40ss@host/x",
                "https://#@host/x",
            ),
            (UrlCredentials, "redis://:p@ss@host/0", "redis://#@host/0"),
            (
                UrlCredentials,
                "https://host/x?a=1&api_key=k1&Access-Token=t",
                "https://host/x?a=1&api_key=#&Access-Token=#",
            ),
            (
                UrlCredentials,
                "https://host/x?token=SECRET1&x=2",
                "https://host/x?token=#&x=2",
            ),
            (UrlCredentials, "https://host/x?a=1", "https://host/x?a=1"),
            (CardNumbers, "card 4111 1111 1111 1111 used", "card # used"),
            (CardNumbers, "card_4111-1111-1111-1111_used", "card_#_used"),
            (CardNumbers, "2 4111 1111 1111 1111 12/27", "2 # 12/27"),
            (
                CardNumbers,
                "at 12 30 45 4111-1111-1111-1111 5500000000000004 1",
                "at 12 30 45 # # 1",
            ),
            (CardNumbers, "4111111111111111_5500000000000004", "#_#"),
            (
                CardNumbers,
                "card 4111 1111 1111 1112 used",
                "card 4111 1111 1111 1112 used",
            ),
            (
                IpAddresses,
                "from 203.0.113.7:443 and [2001:db8::1]",
                "from #:443 and [#]",
            ),
            (
                IpAddresses,
                "ip_203.0.113.7_x, ::ffff:192.0.2.1",
                "ip_#_x, ::ffff:#",
            ),
            (IpAddresses, "203.0.113.7_203.0.113.8_203.0.113.9", "#_#_#"),
            (
                IpAddresses,
                "version 1.2.3, 999.1.1.1, at 10:15:00",
                "version 1.2.3, 999.1.1.1, at 10:15:00",
            ),
        ];
        for (pattern, text, expected) in table {
            assert_eq!(redacted(pattern, text), expected, "{}", pattern.as_str());
        }
    }
}
