//! The proof that a plugin demands of its sender, in words.

use alert_gateway_sandbox::Description;
use plugin_sdk::contract::Scheme;

use crate::config::listed;

/// Returns the ways in which a plugin's sender may prove itself.
pub fn words(description: &Description) -> String {
    let ways = description.proof.iter().flat_map(|demand| &demand.any);
    let mut words: Vec<String> = Vec::new();
    for way in ways {
        let one = scheme(&way.scheme);
        if !words.contains(&one) {
            words.push(one);
        }
    }
    if words.is_empty() {
        return match (description.authenticates, description.secrets.is_empty()) {
            (true, _) => "checked by the plugin".to_owned(),
            (false, true) => "the source's token".to_owned(),
            (false, false) => "as the settings say, or the source's token".to_owned(),
        };
    }
    if !description.authenticates {
        words.push("the source's token".to_owned());
    }
    listed(words.iter().map(String::as_str), "or")
}

fn scheme(scheme: &Scheme) -> String {
    match scheme {
        Scheme::Bearer => "a bearer token".to_owned(),
        Scheme::Basic { .. } | Scheme::Login => "a login".to_owned(),
        Scheme::Header { header } => format!("a secret in `{header}`"),
        Scheme::Signed(signed) => format!("a signature in `{}`", signed.header),
        Scheme::Slack => "Slack's signature".to_owned(),
        Scheme::Stripe => "Stripe's signature".to_owned(),
        Scheme::StandardWebhooks => "a signature by Standard Webhooks".to_owned(),
        Scheme::AwsSns => "Amazon's signature".to_owned(),
        Scheme::Twilio | Scheme::TwilioSharedKey => "Twilio's signature".to_owned(),
    }
}
