//! Markdown of plugins, drawn: the setup steps of a source.

use maud::{Markup, PreEscaped};
use pulldown_cmark::{Event, HeadingLevel, LinkType, Options, Parser, Tag, TagEnd, html};

/// Draws a text in Markdown. Markup in it is shown as text, images are left out, and only links to
/// http and https lead anywhere.
pub fn draw(text: &str) -> Markup {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH;
    let events = Parser::new_ext(text, options).filter_map(|event| match event {
        Event::Html(markup) | Event::InlineHtml(markup) => Some(Event::Text(markup)),
        Event::Start(Tag::Link { dest_url, .. }) => Some(Event::Start(link(&dest_url))),
        Event::Start(Tag::Image { .. }) | Event::End(TagEnd::Image) => None,
        // Below the heading of the card.
        Event::Start(Tag::Heading { .. }) => Some(Event::Start(Tag::Heading {
            level: HeadingLevel::H3,
            id: None,
            classes: Vec::new(),
            attrs: Vec::new(),
        })),
        Event::End(TagEnd::Heading(_)) => Some(Event::End(TagEnd::Heading(HeadingLevel::H3))),
        event => Some(event),
    });
    let mut drawn = String::new();
    html::push_html(&mut drawn, events);
    // The writer escapes all text, and no markup is left among the events.
    PreEscaped(drawn)
}

fn link(url: &str) -> Tag<'static> {
    let is_web = url.starts_with("https://") || url.starts_with("http://");
    Tag::Link {
        link_type: LinkType::Inline,
        dest_url: if is_web {
            url.to_owned()
        } else {
            String::new()
        }
        .into(),
        title: "".into(),
        id: "".into(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn drawn(text: &str) -> String {
        draw(text).into_string()
    }

    #[test]
    fn steps_tables_and_code_are_drawn() {
        let text = "# Steps\n1. **Do** `this` at [the console](https://console.example)\n\n| a | b |\n|---|---|\n| 1 | 2 |\n";
        let page = drawn(text);
        for part in [
            "<h3>Steps</h3>",
            "<strong>Do</strong> <code>this</code>",
            "<a href=\"https://console.example\">",
            "<td>2</td>",
        ] {
            assert!(page.contains(part), "{page}");
        }
    }

    #[test]
    fn markup_of_a_plugin_is_text() {
        let text = "<script>alert(1)</script>\n\nx <img src=x onerror=alert(1)> ![i](https://evil.example/i)\n\n\
                    [a](javascript:alert(1)) [b](data:text/html,x)\n\n`<b>`\n\n    <i>\n";
        let page = drawn(text);
        for markup in [
            "<script",
            "<img",
            "javascript:",
            "data:",
            "<b>",
            "<i>",
            "evil.example",
        ] {
            assert!(!page.contains(markup), "{markup}: {page}");
        }
    }

    proptest! {
        #[test]
        fn any_text_has_no_tag_that_can_act(text in "[<>a-z\"'`*_#|()\\[\\]!:/ \n-]{0,80}") {
            let page = drawn(&format!("{text}<script>{text}<img src=x>{text}"));
            prop_assert!(!page.contains("<script") && !page.contains("<img"), "{}", page);
        }
    }
}
