//! Expressions: compiled once at load, mistakes shown at their place inside the string.

use std::ops::Range;

use crate::config::raw::{At, Finding, Section};

/// An optional expression under a key.
pub(super) fn check_key(section: &Section<'_>, key: &str) -> Option<String> {
    let written = section.text(key, "user.title")?;
    check(section, &written)
}

/// Compiles an expression; `None` after a finding.
pub(super) fn check(section: &Section<'_>, written: &At<&str>) -> Option<String> {
    if written.value.trim().is_empty() {
        let finding = Finding::new(written.span.clone(), "the expression is empty");
        section.report(finding.help("write an expression such as user.title, or remove the key"));
        return None;
    }
    let mut environment = minijinja::Environment::new();
    environment.set_debug(true);
    let Err(error) = environment.compile_expression(written.value) else {
        return Some(written.value.to_owned());
    };
    let detail = error.detail().unwrap_or("it cannot be read").to_owned();
    let span = place(section.reading.text, written, error.range());
    let mut finding = Finding::new(span, format!("this is not a valid expression: {detail}"));
    finding = if written.value.contains("{{") || written.value.contains("{%") {
        finding.help("write the expression by itself, without {{ }}: user.title")
    } else if has_single_equals(written.value) {
        finding.help("equality is written ==")
    } else {
        finding.help("expressions are Jinja's, such as user.givenName ~ ' ' ~ user.familyName")
    };
    section.report(finding);
    None
}

fn has_single_equals(expression: &str) -> bool {
    let bytes = expression.as_bytes();
    bytes.iter().enumerate().any(|(at, byte)| {
        let before = at.checked_sub(1).and_then(|at| bytes.get(at));
        let beside = [before, bytes.get(at + 1)];
        *byte == b'=' && !beside.into_iter().flatten().any(|byte| b"=!<>".contains(byte))
    })
}

/// Bytes of the file for bytes of the expression; the whole string where the place is not known.
fn place(text: &str, written: &At<&str>, range: Option<Range<usize>>) -> Range<usize> {
    let literal = text.get(written.span.clone()).unwrap_or_default();
    let Some(range) = range.filter(|range| range.start <= written.value.len()) else {
        return written.span.clone();
    };
    let start = offset_in_literal(literal, range.start);
    let end = offset_in_literal(literal, range.end.min(written.value.len())).max(start);
    // An error at the end points at the closing quote.
    written.span.start + start..written.span.start + end.max(start + 1).min(literal.len())
}

/// Where in a TOML string, quotes included, the content's byte `wanted` was written.
fn offset_in_literal(literal: &str, wanted: usize) -> usize {
    let basic = literal.starts_with('"');
    let quotes = if literal.starts_with("\"\"\"") || literal.starts_with("'''") { 3 } else { 1 };
    let mut at = quotes.min(literal.len());
    if quotes == 3 {
        // The line end right after the opening quotes is not content.
        let rest = literal.get(at..).unwrap_or_default();
        at += if rest.starts_with("\r\n") { 2 } else { usize::from(rest.starts_with('\n')) };
    }
    let mut content = 0;
    while content < wanted {
        let Some(rest) = literal.get(at..).filter(|rest| !rest.is_empty()) else { break };
        let (written, decoded) = if basic && rest.starts_with('\\') { escape(rest) } else { plain(rest) };
        at += written;
        content += decoded;
    }
    at
}

fn plain(rest: &str) -> (usize, usize) {
    let length = rest.chars().next().map_or(1, char::len_utf8);
    (length, length)
}

/// How long an escape is in the file and in the content.
fn escape(rest: &str) -> (usize, usize) {
    let digits = match rest.as_bytes().get(1) {
        Some(b'u') => 4,
        Some(b'U') => 8,
        Some(b'x') => 2,
        Some(letter) if letter.is_ascii_whitespace() => {
            let skipped = rest.len() - rest.trim_start_matches('\\').trim_start().len();
            return (skipped.max(1), 0);
        }
        _ => return (2, 1),
    };
    let code = rest.get(2..2 + digits).and_then(|code| u32::from_str_radix(code, 16).ok());
    (2 + digits, code.and_then(char::from_u32).map_or(1, char::len_utf8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_the_content_is_found_in_the_literal() {
        let cases = [
            ("'a b'", 2, 3),
            ("\"a b\"", 2, 3),
            (r#""\"a\" b""#, 4, 7),
            (r#""\u00e9 b""#, 3, 8),
            ("'''\na b'''", 2, 6),
            ("\"\"\"\na \\\n   b\"\"\"", 2, 10),
            ("'é b'", 3, 4),
        ];
        for (literal, wanted, expected) in cases {
            let found = offset_in_literal(literal, wanted);
            // A line-ending backslash belongs to what follows it or to what precedes: both point well.
            assert!(found == expected || literal[found..expected].starts_with('\\'), "{literal}: {found}");
        }
        assert_eq!(offset_in_literal("'abc", 99), 4);
        assert_eq!(offset_in_literal("", 5), 0);
    }

    #[test]
    fn a_lone_equals_sign_is_noticed() {
        assert!(has_single_equals("user.title = 'x'"));
        for fine in ["a == b", "a != b", "a <= b", "a >= b", "a"] {
            assert!(!has_single_equals(fine), "{fine}");
        }
    }
}
