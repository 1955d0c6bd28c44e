//! The place of an error in the script, out of the engine's stack.

/// The name of the script in the engine's messages.
#[cfg(target_family = "wasm")]
pub(crate) const SCRIPT: &str = "script";

/// Returns line and column of the innermost frame of the script: `at read (script:3:12)`.
pub(crate) fn in_script(stack: &str) -> Option<(u32, u32)> {
    stack.lines().find_map(|frame| {
        let (_, place) = frame.rsplit_once("script:")?;
        let (line, column) = place.trim_end_matches(')').split_once(':')?;
        Some((line.parse().ok()?, column.parse().ok()?))
    })
}

/// Returns the message with its place, as an author reads it.
pub(crate) fn told(message: &str, stack: &str) -> String {
    match in_script(stack) {
        // There was no room for an error.
        None if message == "null" => "the script threw null, as it does without memory".to_owned(),
        Some((line, column)) => format!("{message} (line {line}, column {column} of the script)"),
        None => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn innermost_frame_of_the_script_is_the_place() {
        let stack = "    at JSON.parse (native)\n    at inner (script:3:12)\n    at read (script:9:1)\n    at prelude:5:2\n";
        assert_eq!(in_script(stack), Some((3, 12)));
        assert_eq!(in_script("    at script:7:5"), Some((7, 5)));
        assert_eq!(in_script("    at prelude:5:2"), None);
        assert_eq!(told("Error: x", ""), "Error: x");
        assert!(told("null", "").contains("without memory"));
        assert_eq!(
            told("Error: x", stack),
            "Error: x (line 3, column 12 of the script)"
        );
    }
}
