//! Text from outside, safe for a terminal.

/// On one line: control characters become spaces.
pub fn line(text: &str) -> String {
    lines(text).replace('\n', " ")
}

/// Line ends stay, and other control characters become spaces.
pub fn lines(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_controls_become_spaces_and_meant_line_ends_stay() {
        let text = "a\x1b[2Jb\r\u{9b}c\nd\te";
        assert_eq!([line(text), lines(text)], ["a [2Jb  c d e", "a [2Jb  c\nd e"]);
    }
}
