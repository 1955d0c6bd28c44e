//! Text from outside, made fit to be read.

/// One line of at most `max_chars` characters: runs of white space and control characters become
/// one space, and a cut is shown by `…`. Characters that turn the direction of writing are dropped,
/// because they can make a title read as another.
pub fn line(text: &str, max_chars: usize) -> String {
    if text.len() <= max_chars && is_plain_line(text) {
        return text.to_owned();
    }
    let mut line = String::with_capacity(text.len().min(4 * max_chars));
    let mut chars = 0;
    for word in text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
    {
        let space = (!line.is_empty()).then_some(' ');
        for char in space
            .into_iter()
            .chain(word.chars().filter(|&c| !turns_direction(c)))
        {
            if chars == max_chars {
                line.pop();
                line.push('…');
                return line;
            }
            line.push(char);
            chars += 1;
        }
    }
    line.truncate(line.trim_end().len());
    line
}

/// Returns whether this is printable ASCII with single spaces. Most texts are, and this check is
/// much faster than a reading by character.
fn is_plain_line(text: &str) -> bool {
    let mut before = b' ';
    for byte in text.bytes() {
        if !matches!(byte, b' '..=b'~') || (byte == b' ' && before == b' ') {
            return false;
        }
        before = byte;
    }
    before != b' ' || text.is_empty()
}

/// Unicode's embeddings, overrides, isolates and marks of direction.
fn turns_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_and_control_characters_become_one_space() {
        assert_eq!(
            line("  a\r\n\tb\u{0}\u{1b}[31m c\u{a0}d ", 99),
            "a b [31m c d"
        );
        assert_eq!(line(" \n ", 99), "");
        assert_eq!(line("", 99), "");
        assert_eq!(line(" a  b ", 99), "a b");
        assert_eq!(line("a b", 3), "a b");
    }

    #[test]
    fn a_cut_is_shown_and_counts() {
        assert_eq!(line("äöüß", 4), "äöüß");
        assert_eq!(line("äöüßx", 4), "äöü…");
        assert_eq!(line("ab cd", 3), "ab…");
    }

    #[test]
    fn the_direction_of_writing_cannot_be_turned() {
        assert_eq!(line("safe\u{202e}gpj.exe\u{2069}", 99), "safegpj.exe");
        assert_eq!(line("a \u{202e} ", 99), "a");
    }
}
