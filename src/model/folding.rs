//! Folding of names for comparison. What is sent is never folded.

use super::attributes::{AttributePath, Scalar};

/// A login or e-mail address as it is compared: RFC 7643 says both ignore case; the domain part compares by its
/// IDNA A-labels, so that `bücher.example` and `xn--bcher-kva.example` are one domain.
pub fn fold_address(text: &str) -> String {
    let text = text.trim();
    match text.rsplit_once('@') {
        Some((local, domain)) => format!("{}@{}", fold_case(local), fold_domain(domain)),
        None => fold_case(text),
    }
}

/// Lower case, except that no foreign letter becomes an ASCII one: the Kelvin sign is not a `k`.
fn fold_case(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for character in text.chars() {
        let turns_ascii = !character.is_ascii() && character.to_lowercase().all(|lower| lower.is_ascii());
        if turns_ascii { folded.push(character) } else { folded.extend(character.to_lowercase()) }
    }
    folded
}

/// A domain as lower-case A-labels; a text that is no domain is only lower-cased.
pub fn fold_domain(domain: &str) -> String {
    idna::domain_to_ascii(domain.trim_end_matches('.')).unwrap_or_else(|_| domain.to_lowercase())
}

/// The folded domain of an address.
pub fn domain_of(address: &str) -> Option<String> {
    address.rsplit_once('@').map(|(_, domain)| fold_domain(domain.trim()))
}

/// Whether two values at `path` are the same as far as the attribute's own rules go.
pub fn same_value(path: &AttributePath, left: &Scalar, right: &Scalar) -> bool {
    left == right || (path.ignores_case() && fold_address(&left.as_text()) == fold_address(&right.as_text()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_compare_without_case_and_domains_by_idna() {
        assert_eq!(fold_address(" Ann@Bücher.Example "), "ann@xn--bcher-kva.example");
        assert_eq!(fold_address("Ann"), "ann");
        assert_eq!(domain_of("a@ACME.com"), Some("acme.com".into()));
    }

    #[test]
    fn look_alikes_are_not_the_same_address() {
        assert_ne!(fold_address("mıke@acme.com"), fold_address("mike@acme.com"));
        assert_ne!(fold_address("mi\u{212A}e@acme.com"), fold_address("mike@acme.com"));
    }
}
