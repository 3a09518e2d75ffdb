//! Lookups: the filter that is sent, and the comparison that decides.
//!
//! What lives here: filter text and verification of hits. What must not: paging (`listing`), the ladder of
//! criteria (the engine's).
//!
//! *Invariant*: a filter only narrows what is read. Whether an account matches is decided by [`matches`] alone:
//! canaille answers everybody to any filter, others to some.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::config::Dialect;
use crate::scim::criterion::Criterion;

/// Everything but RFC 3986's unreserved characters is encoded, in a query value and in a path segment alike.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// One path segment or query value; a space becomes `%20` (`+` is a literal plus to some servers).
pub(crate) fn encode(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// The filter for a criterion: one clause in the one spelling that every server knows; `None` where no filter
/// can be trusted to carry the value. A quotation mark or backslash, escaped as RFC 7644 section 3.4.2.2 says
/// (JSON strings), is understood by two servers of seven.
pub(crate) fn filter(criterion: &Criterion, dialect: Dialect) -> Option<String> {
    let (attribute, value) = match (criterion, dialect) {
        (Criterion::ExternalId(value), Dialect::Generic) => ("externalId", value),
        // Wrike: "Search is supported only by email address", and the login is one.
        (Criterion::ExternalId(_), Dialect::Wrike) => return None,
        (Criterion::UserName(value), _) => ("userName", value),
        (Criterion::Email(value), Dialect::Wrike) => ("userName", value),
        (Criterion::Email(value), Dialect::Generic) => ("emails.value", value),
    };
    let is_plain = !value.is_empty() && !value.chars().any(|c| c == '"' || c == '\\' || c.is_control());
    is_plain.then(|| format!("{attribute} eq \"{value}\""))
}

/// The value of a login or mail criterion in lower case, where that differs: some servers find a stored
/// lower-case name only by itself.
pub(crate) fn in_lower_case(criterion: &Criterion) -> Option<Criterion> {
    let lower = |value: &String| Some(value.to_lowercase()).filter(|lower| lower != value);
    match criterion {
        Criterion::ExternalId(_) => None,
        Criterion::UserName(value) => lower(value).map(Criterion::UserName),
        Criterion::Email(value) => lower(value).map(Criterion::Email),
    }
}

/// The same login with every letter in the other case.
pub(crate) fn in_other_case(login: &str) -> String {
    let turned = |letter: char| match letter.is_ascii_lowercase() {
        true => letter.to_ascii_uppercase(),
        false => letter.to_ascii_lowercase(),
    };
    login.chars().map(turned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_3_the_filter_has_the_one_spelling_that_every_server_knows() {
        let text =
            filter(&Criterion::UserName("ann o'hara+x@acme.com".to_owned()), Dialect::Generic).unwrap();
        assert_eq!(text, "userName eq \"ann o'hara+x@acme.com\"");
        assert_eq!(encode(&text), "userName%20eq%20%22ann%20o%27hara%2Bx%40acme.com%22");
        let text = filter(&Criterion::ExternalId("00u1".to_owned()), Dialect::Generic).unwrap();
        assert_eq!(text, "externalId eq \"00u1\"");
    }

    #[test]
    fn the_filter_parses_by_an_independent_grammar() {
        for criterion in [
            Criterion::UserName("jürgen o'neil@acme.com".to_owned()),
            Criterion::ExternalId("onelogin:7".to_owned()),
            Criterion::Email("a@b.example".to_owned()),
        ] {
            let text = filter(&criterion, Dialect::Generic).unwrap();
            assert!(text.parse::<scim_v2::filter::Filter>().is_ok(), "{text}");
        }
    }

    #[test]
    fn servers_3_a_value_that_needs_escapes_is_listed_for_instead() {
        for value in ["a\"b", "a\\b", "a\nb", ""] {
            assert_eq!(filter(&Criterion::UserName(value.to_owned()), Dialect::Generic), None, "{value:?}");
        }
    }

    #[test]
    fn wrike_is_asked_by_e_mail_only() {
        assert_eq!(filter(&Criterion::ExternalId("x".to_owned()), Dialect::Wrike), None);
        let mail = filter(&Criterion::Email("a@acme.com".to_owned()), Dialect::Wrike);
        assert_eq!(mail.as_deref(), Some("userName eq \"a@acme.com\""));
    }

    #[test]
    fn servers_5_an_id_is_one_path_segment() {
        assert_eq!(encode("ann@acme.com/x?y#z"), "ann%40acme.com%2Fx%3Fy%23z");
    }
}
