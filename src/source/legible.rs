//! Answers with text that is no text: one person's odd name must not make a page of five hundred unreadable.
//!
//! What lives here: replacing what no JSON reader takes, in all answers alike, so that a list and a point read show the
//! same. What must not: what an answer means.

use bytes::Bytes;

use crate::http::Answer;

/// The answer with U+FFFD for bytes that are no UTF-8 and for escaped surrogates that pair with nothing.
pub(super) fn legible(mut answer: Answer) -> Answer {
    if let Err(odd) = std::str::from_utf8(&answer.body) {
        tracing::debug!(at = odd.valid_up_to(), "an answer has bytes that are no text");
        answer.body = Bytes::from(String::from_utf8_lossy(&answer.body).into_owned());
    }
    if let Some(paired) = without_lone_surrogates(&answer.body) {
        answer.body = Bytes::from(paired);
    }
    answer
}

/// `None` where there is nothing to replace. Outside of texts JSON has no backslash.
fn without_lone_surrogates(body: &[u8]) -> Option<Vec<u8>> {
    let mut replaced: Option<Vec<u8>> = None;
    let mut at = 0;
    while let Some(next) = body.get(at..).and_then(|rest| rest.iter().position(|byte| *byte == b'\\')) {
        at += next;
        at += match (escaped_unit(body, at), escaped_unit(body, at + ESCAPE)) {
            (Some(0xD800..0xDC00), Some(0xDC00..0xE000)) => 2 * ESCAPE,
            (Some(0xD800..0xE000), _) => {
                let text = replaced.get_or_insert_with(|| body.to_vec());
                if let Some(place) = text.get_mut(at..at + ESCAPE) {
                    place.copy_from_slice(b"\\ufffd");
                }
                ESCAPE
            }
            (Some(_), _) => ESCAPE,
            // Another escape: a backslash and what it stands before.
            (None, _) => 2,
        };
    }
    replaced
}

/// The length of `\uD83D`.
const ESCAPE: usize = 6;

/// The UTF-16 unit that is escaped here.
fn escaped_unit(body: &[u8], at: usize) -> Option<u16> {
    let digits = body.get(at..at + ESCAPE)?.strip_prefix(b"\\u")?;
    let digits =
        std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|b| b.is_ascii_hexdigit()))?;
    u16::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderMap;

    use super::*;
    use crate::model::order::Observation;

    fn read(body: &[u8]) -> String {
        let body = Bytes::copy_from_slice(body);
        let (headers, observation) = (HeaderMap::new(), Observation::now());
        let answer = legible(Answer { status: 200, headers, body, observation, attempts: 1 });
        serde_json::from_slice(&answer.body).unwrap()
    }

    #[test]
    fn what_is_no_text_becomes_the_replacement_character_and_all_else_stays() {
        let cases: [(&[u8], &str); 9] = [
            (b"\"Ann\"", "Ann"),
            (b"\"\\ud83d\\ude00\"", "\u{1F600}"),
            (b"\"a\\ud83d\"", "a\u{FFFD}"),
            (b"\"\\uDE00b\"", "\u{FFFD}b"),
            (b"\"\\ud83d\\ud83d\\ude00\"", "\u{FFFD}\u{1F600}"),
            (b"\"\\\\ud83d\"", "\\ud83d"),
            (b"\"\\u00e9\\n\"", "é\n"),
            (b"\"M\xfcller\"", "M\u{FFFD}ller"),
            ("\"Müller\"".as_bytes(), "Müller"),
        ];
        for (body, expected) in cases {
            assert_eq!(read(body), expected, "{}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn a_body_that_ends_in_an_escape_is_left_as_it_is() {
        for body in [&b"\"\\"[..], b"\"\\u", b"\"\\ud8", b"\"\\u+123\""] {
            assert_eq!(without_lone_surrogates(body), None);
        }
    }
}
