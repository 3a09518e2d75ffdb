//! Making foreign text safe to show: names, titles and error messages come from elsewhere.

use std::borrow::Cow;

/// `text` with everything that could steer a terminal or reorder a line written as `\u{…}`: control characters,
/// line and paragraph separators, and bidirectional controls (Unicode TR 36). Letters of every script stay.
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_steering) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if is_steering(character) {
            safe.extend(character.escape_unicode());
        } else {
            safe.push(character);
        }
    }
    Cow::Owned(safe)
}

/// Whether a character does something else than being shown.
pub(super) fn is_steering(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{200E}' | '\u{200F}' | '\u{061C}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{2028}'
                | '\u{2029}' | '\u{FEFF}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_newlines_and_bidi_controls_never_reach_the_terminal() {
        assert_eq!(visible("a\u{1b}[31mb\n\u{202e}c"), "a\\u{1b}[31mb\\u{a}\\u{202e}c");
    }

    #[test]
    fn letters_of_every_script_stay_as_they_are() {
        for name in ["Ærøskøbing", "אנה כהן", "محمد", "李小龍", "Zoë 👩‍💻"] {
            assert_eq!(visible(name), name);
        }
    }
}
