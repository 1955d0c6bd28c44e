//! Ids that hold against recorded requests: they come from the signed text.
//!
//! Twilio signs names and values without anything between them, so one signature fits every body
//! that is cut elsewhere. The signed text is the same in all of them: its hash is the id of a
//! request without one of its own.

use plugin_sdk::contract::{Alert, ProofIdentity, Proved};
use plugin_sdk::signature::sha256;

/// Returns whether this is the Sid of a Debugger event: `NO` and 32 hex digits.
pub fn is_event_sid(text: &str) -> bool {
    is_sid(text, "NO")
}

/// Returns whether this is a Sid of this kind: two letters, and 32 hex digits.
pub fn is_sid(text: &str, kind: &str) -> bool {
    let digits = text.strip_prefix(kind);
    digits.is_some_and(|digits| {
        digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

/// The id of a request: the hash of its signed text, or of its body where nothing is signed.
pub fn of(proof: Option<&ProofIdentity>, body: &[u8]) -> String {
    proof.map_or_else(
        || format!("sha256:{}", sha256(body).hex()),
        |proof| proof.id.clone(),
    )
}

/// Binds an alert to the account whose own key proved it, where keys are set by account. Its id and
/// its key get the account in front, unless the request claims this very account (`claimed`). So
/// one account's requests neither repeat nor close another's alerts. The label `account_sid` is the
/// proved account; another one claimed by the request is `claimed_account_sid`.
pub fn bind(alert: &mut Alert, proved: Option<&Proved>, claimed: Option<&str>) {
    let Some(account) = proved
        .and_then(|proved| proved.account.as_deref())
        .filter(|account| is_sid(account, "AC"))
    else {
        return;
    };
    alert
        .labels
        .insert("account_sid".to_owned(), account.to_owned());
    match claimed {
        Some(claimed) if claimed == account => return,
        Some(claimed) => drop(
            alert
                .labels
                .insert("claimed_account_sid".to_owned(), claimed.to_owned()),
        ),
        None => {}
    }
    prefix(alert, account);
}

/// Binds an alert's id and key to the account whose own key proved it, whatever it claims: for ids
/// known to others.
pub fn bind_always(alert: &mut Alert, proved: Option<&Proved>, claimed: Option<&str>) {
    bind(alert, proved, claimed);
    let account = proved
        .and_then(|proved| proved.account.as_deref())
        .filter(|account| is_sid(account, "AC"));
    if let Some(account) = account.filter(|account| claimed == Some(*account)) {
        prefix(alert, account);
    }
}

fn prefix(alert: &mut Alert, account: &str) {
    alert.event_id = format!("{account} {}", alert.event_id);
    alert.key = alert.key.take().map(|key| format!("{account} {key}"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use plugin_sdk::contract::Priority;

    #[test]
    fn only_two_letters_and_32_hex_digits_are_a_sid() {
        let sid = "NO0123456789abcdef0123456789ABCDEF";
        assert!(is_event_sid(sid));
        for odd in [
            "",
            "NO",
            "NO1",
            &sid[1..],
            &sid.replace('a', "g"),
            &format!("{sid}0"),
            &sid.replace("NO", "SM"),
        ] {
            assert!(!is_event_sid(odd), "{odd}");
        }
    }

    #[test]
    fn alert_is_bound_to_the_account_that_is_proved() {
        let own = format!("AC{}", "a".repeat(32));
        let other = format!("AC{}", "b".repeat(32));
        let proved = |account: &str| Proved {
            secret: String::new(),
            account: Some(account.to_owned()),
            proof: None,
        };
        let bound = |proved: Option<&Proved>, claimed: Option<&str>| {
            let mut alert = Alert {
                key: Some("k".to_owned()),
                ..Alert::new("e", Priority::Low, "t")
            };
            bind(&mut alert, proved, claimed);
            alert
        };
        let of_own = bound(Some(&proved(&own)), Some(&own));
        assert_eq!((&*of_own.event_id, of_own.key()), ("e", "k"));
        for claimed in [Some(&*other), None] {
            let of_other = bound(Some(&proved(&own)), claimed);
            assert_eq!(
                (of_other.event_id.clone(), of_other.key().to_owned()),
                (format!("{own} e"), format!("{own} k"))
            );
            assert_eq!(of_other.labels["account_sid"], own);
            assert_eq!(
                of_other
                    .labels
                    .get("claimed_account_sid")
                    .map(String::as_str),
                claimed
            );
        }
        for unbound in [
            bound(None, Some(&other)),
            bound(Some(&proved("webhooks_sharedkey_1")), Some(&other)),
        ] {
            assert!(unbound.event_id == "e" && unbound.labels.is_empty());
        }
    }
}
