//! The project's own Rust files as tokens: their doc comments and the names of their tests. Macro
//! bodies are read like all else, so a test within `proptest!` is seen.

use std::fs;
use std::path::Path;

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// The parts of a file that a reader sees first.
#[derive(Debug, Default)]
pub struct Code {
    /// One for each documented item, in order.
    pub docs: Vec<Doc>,
    /// The names of the tests, in order.
    pub tests: Vec<String>,
}

/// The doc comment of one item.
#[derive(Debug)]
pub struct Doc {
    /// The line at which it begins, from 1.
    pub line: usize,
    /// Its lines, without `///`.
    pub text: String,
    inner: bool,
    last_line: usize,
}

/// Reads a file.
pub fn read(path: &Path) -> Code {
    parse(&fs::read_to_string(path).unwrap())
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Reads a text.
pub fn parse(text: &str) -> Result<Code, proc_macro2::LexError> {
    let mut code = Code::default();
    code.walk(text.parse()?);
    Ok(code)
}

impl Code {
    fn walk(&mut self, tokens: TokenStream) {
        let mut tokens = tokens.into_iter().peekable();
        let mut is_test = false;
        while let Some(token) = tokens.next() {
            match token {
                TokenTree::Punct(punct) if punct.as_char() == '#' => {
                    let inner = tokens.next_if(|next| is_punct(next, '!')).is_some();
                    if let Some(TokenTree::Group(attribute)) = tokens.next_if(is_bracket) {
                        is_test |= marks_test(&attribute);
                        self.document(&attribute, inner);
                    }
                }
                TokenTree::Ident(ident) if ident == "fn" => {
                    if let Some(TokenTree::Ident(name)) = tokens.peek() {
                        self.tests.extend(is_test.then(|| name.to_string()));
                        is_test = false;
                    }
                }
                TokenTree::Group(group) => self.walk(group.stream()),
                _ => {}
            }
        }
    }

    /// Takes up the line of a doc comment. Adjacent lines of one kind belong to one item.
    fn document(&mut self, attribute: &Group, inner: bool) {
        let mut tokens = attribute.stream().into_iter();
        let (
            Some(TokenTree::Ident(doc)),
            Some(TokenTree::Punct(_)),
            Some(TokenTree::Literal(text)),
        ) = (tokens.next(), tokens.next(), tokens.next())
        else {
            return;
        };
        if doc != "doc" {
            return;
        }
        let line = attribute.span_open().start().line;
        let text = unescaped(&text.to_string());
        match self
            .docs
            .last_mut()
            .filter(|last| last.inner == inner && last.last_line + 1 == line)
        {
            Some(last) => {
                last.text += &format!("\n{text}");
                last.last_line = line;
            }
            None => self.docs.push(Doc {
                line,
                text,
                inner,
                last_line: line,
            }),
        }
    }
}

fn is_punct(token: &TokenTree, character: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == character)
}

fn is_bracket(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Bracket)
}

/// Returns whether the attribute is `test` or ends so, as `tokio::test(…)` does.
fn marks_test(attribute: &Group) -> bool {
    let path = attribute
        .stream()
        .into_iter()
        .take_while(|token| !matches!(token, TokenTree::Group(_)));
    path.last()
        .is_some_and(|token| matches!(token, TokenTree::Ident(last) if last == "test"))
}

/// Returns the text of a string literal as a doc comment becomes one: quotes and backslashes are
/// all that is escaped.
fn unescaped(literal: &str) -> String {
    let text = literal
        .trim_start_matches(['r', '#'])
        .trim_end_matches('#')
        .trim_matches('"');
    let text = text
        .replace("\\\"", "\"")
        .replace("\\'", "'")
        .replace("\\\\", "\\");
    text.strip_prefix(' ').unwrap_or(&text).to_owned()
}

#[test]
fn doc_comments_and_tests_are_found_in_any_place() {
    let text = r#"
        //! The module,
        //! in two lines.

        /// A struct that is "quoted".
        struct A {
            /// A field.
            b: u8,
        }
        #[tokio::test(flavor = "multi_thread")]
        async fn first() {}
        proptest! {
            /// A property.
            #[test]
            fn second(x in 0..3) {}
        }
        // fn third() and #[test] in a comment
        #[cfg(test)]
        fn helper() { let text = "/// no comment"; }
    "#;
    let code = parse(text).unwrap();
    let docs: Vec<_> = code.docs.iter().map(|doc| (doc.line, &*doc.text)).collect();
    let expected = [
        (2, "The module,\nin two lines."),
        (5, "A struct that is \"quoted\"."),
        (7, "A field."),
        (13, "A property."),
    ];
    assert_eq!(docs, expected);
    assert_eq!(code.tests, ["first", "second"]);
}
