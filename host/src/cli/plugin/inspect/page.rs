//! The page of a plugin for its documentation, in Markdown. It leaves out size and hash: they
//! change with the compiler, and the page should change with the plugin only.

use std::fmt::Write as _;

use super::settings::{Row, settings};
use crate::cli::plain;
use crate::cli::plugin::snippet::{Named, snippet};
use alert_gateway_sandbox::Description;
use plugin_sdk::contract::{Fetch, Purpose};

/// The public URL of the page's examples.
const PUBLIC_URL: &str = "https://alerts.example.com";

/// The page.
pub fn page(description: &Description, named: &Named<'_>) -> String {
    let Description {
        name,
        version,
        summary,
        license,
        homepage,
        contract,
        ..
    } = description;
    let mut page = format!("# {name}\n\n{}\n\n", summary.trim());
    let license = match license.as_str() {
        "" => String::new(),
        license => format!(", licence {license}"),
    };
    let homepage = match homepage.as_str() {
        "" => String::new(),
        homepage => format!(" Homepage: <{homepage}>."),
    };
    let _ = writeln!(
        page,
        "Version {version}, contract {contract}{license}.{homepage}\n"
    );
    page += if description.authenticates {
        "The plugin proves the sender by itself: its sources need no `token`.\n"
    } else {
        "Its sources need a `token`, shown by the sender as `Authorization: Bearer …`, or as `?token=…` behind the URL; unless a\n\
         setting below makes the plugin prove the sender by itself.\n"
    };
    let _ = writeln!(
        page,
        "\n## Configuration\n\n```toml\n{}```",
        snippet(description, named)
    );
    if let Named::File(..) = named {
        page += "\nAdd `sha256 = \"…\"` beside the path, as `alert-gateway plugin inspect` prints it, and no other file is run.\n";
    }
    page += "\n## Settings\n\n";
    page += &table(description);
    page += &fetched(&description.fetch);
    let _ = writeln!(page, "\n## Setup\n\n{}", setup(description));
    plain::lines(page.trim_end()) + "\n"
}

/// The addresses that the gateway gets for the plugin.
fn fetched(fetches: &[Fetch]) -> String {
    if fetches.is_empty() {
        return String::new();
    }
    let mut table = String::from(
        "\nThe gateway gets these addresses for the plugin, and no others, where a setting turns it on:\n\n\
         | address | where it stands in a request | setting | for |\n|---|---|---|---|\n",
    );
    for fetch in fetches {
        let what = match fetch.purpose {
            Purpose::Key => "the key of the sender",
            Purpose::Confirmation => "a confirmation",
        };
        let _ = writeln!(
            table,
            "| `{}` | `{}` | `{}` | {what} |",
            cell(&fetch.url),
            cell(&fetch.at),
            cell(&fetch.setting)
        );
    }
    table
}

fn table(description: &Description) -> String {
    let settings = settings(description);
    let mut table = String::new();
    if settings.rows.is_empty() && settings.complete {
        return "There are none.\n".to_owned();
    }
    if !settings.rows.is_empty() {
        table += "| setting | what it is | meaning |\n|---|---|---|\n";
    }
    for row in &settings.rows {
        let Row {
            name,
            kind,
            required,
            secret,
            default,
            description,
        } = row;
        let default = default.as_ref().map_or_else(String::new, |default| {
            format!("; `{default}` where it is not given")
        });
        let marks = match (required, secret) {
            (true, true) => "**required**, secret: ",
            (true, false) => "**required**: ",
            (false, true) => "secret: ",
            (false, false) => "",
        };
        let _ = writeln!(
            table,
            "| `{}` | {marks}{}{} | {} |",
            cell(name),
            cell(kind),
            cell(&default),
            cell(description)
        );
    }
    if settings.rows.iter().any(|row| row.secret) {
        table += "\nA secret is `{ env = \"NAME\" }`, `{ file = \"path\" }` or plain text, and is never printed.\n";
    }
    if !settings.complete {
        let schema = serde_json::to_string_pretty(&description.settings).unwrap_or_default();
        let _ = writeln!(
            table,
            "\n<details><summary>The whole schema, which says more than the table</summary>\n\n```json\n{schema}\n```\n\n\
             </details>"
        );
    }
    table
}

fn setup(description: &Description) -> String {
    let Description {
        name,
        url_suffix,
        setup,
        ..
    } = description;
    let url = format!("{PUBLIC_URL}/in/{name}{url_suffix}");
    match setup.trim() {
        "" => format!("Enter the source's URL at the sender: `{url}`"),
        steps => steps.replace("{url}", &url),
    }
}

/// Text that stays within one cell of a table.
fn cell(text: &str) -> String {
    text.trim().replace(['\n', '\r'], " ").replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn page_has_the_schema_only_if_the_table_cannot_show_it() {
        let page_of = |schema| {
            page(
                &Description::new("bell", "1.0.0", "Rings.", schema),
                &Named::Bundled("bell"),
            )
        };
        let shown = page_of(json!({ "properties": { "a|b": { "enum": ["x|y"] } } }));
        assert!(
            shown.contains("| `a\\|b` | `\"x\\|y\"` |  |") && !shown.contains("<details>"),
            "{shown}"
        );
        assert!(shown.contains("need a `token`"), "{shown}");
        assert!(page_of(json!({ "not": {} })).contains("<details>"));
        assert!(page_of(json!({ "type": "object" })).contains("There are none."));
    }

    #[test]
    fn a_plugin_without_steps_has_at_least_its_url() {
        let description = Description {
            url_suffix: "#x".into(),
            ..Description::new("bell", "1.0.0", "Rings.", json!({}))
        };
        let shown = page(&description, &Named::Bundled("bell"));
        assert!(
            shown.ends_with("at the sender: `https://alerts.example.com/in/bell#x`\n"),
            "{shown}"
        );
    }
}
