//! Logins that are spelled nearly like one that nobody has.

use crate::model::folding::fold_address;

/// How many are named.
const NAMED: usize = 3;
/// The most letters that may differ.
const FARTHEST: usize = 3;

/// Collects the nearest of many logins.
#[derive(Debug)]
pub struct Similar {
    local: String,
    domain: Option<String>,
    farthest: usize,
    nearest: Vec<(usize, String)>,
}

impl Similar {
    /// Looks for logins like this one.
    pub fn new(who: &str) -> Similar {
        let folded = fold_address(who);
        let (local, domain) = match folded.rsplit_once('@') {
            Some((local, domain)) => (local.to_owned(), Some(domain.to_owned())),
            None => (folded, None),
        };
        let farthest = (local.chars().count() / 3).clamp(1, FARTHEST);
        Similar { local, domain, farthest, nearest: Vec::new() }
    }

    /// Looks at one login, in its folded form.
    pub fn look_at(&mut self, login: &str) {
        let (local, domain) = login.rsplit_once('@').unwrap_or((login, ""));
        if local.len().abs_diff(self.local.len()) > 4 * self.farthest {
            return;
        }
        // A name without a domain may be in any.
        let by_domain = match self.domain.as_deref() {
            Some(wanted) if wanted != domain => strsim::osa_distance(wanted, domain),
            Some(_) | None => 0,
        };
        let distance = by_domain + strsim::osa_distance(&self.local, local);
        let known = self.nearest.iter().any(|(_, other)| other == login);
        if distance > self.farthest || known {
            return;
        }
        let place = self.nearest.partition_point(|(nearer, _)| *nearer <= distance);
        self.nearest.insert(place, (distance, login.to_owned()));
        self.nearest.truncate(NAMED);
    }

    /// The nearest first.
    pub fn found(self) -> Vec<String> {
        self.nearest.into_iter().map(|(_, login)| login).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(who: &str, logins: &[&str]) -> Vec<String> {
        let mut similar = Similar::new(who);
        logins.iter().for_each(|login| similar.look_at(login));
        similar.found()
    }

    #[test]
    fn a_letter_too_many_or_two_that_changed_places_are_nearly_the_same() {
        let logins = ["bob@acme.com", "anna@acme.com", "ann@acme.com", "ann@acme.co"];
        assert_eq!(found("Anm@ACME.com", &logins), ["ann@acme.com"]);
        assert_eq!(found("an@acme.com", &logins), ["ann@acme.com"]);
        assert_eq!(found("nan@acme.com", &logins), ["ann@acme.com"]);
        assert_eq!(found("bob@acme.co", &logins), ["bob@acme.com"]);
        for nobody in ["zoe@acme.com", "ann@elsewhere.example", "", "@"] {
            assert_eq!(found(nobody, &logins), Vec::<String>::new(), "{nobody}");
        }
    }

    #[test]
    fn a_name_without_its_domain_is_the_login_before_the_domain() {
        assert_eq!(found("ann", &["ann@acme.com", "bob@acme.com"]), ["ann@acme.com"]);
    }

    #[test]
    fn of_many_the_three_nearest_are_named_the_nearest_first_and_each_once() {
        let logins = ["marias@a.com", "mariaxyz@a.com", "marian@a.com", "marias@a.com", "mariana@a.com"];
        assert_eq!(found("marianne@a.com", &logins), ["marian@a.com", "mariana@a.com"]);
        let near = ["abcdefgxx", "abcdefghx", "abcdefxxx", "abcdefghi", "abcdefghij"]
            .map(|name| format!("{name}@a.com"));
        let near: Vec<&str> = near.iter().map(String::as_str).collect();
        assert_eq!(found("abcdefghi", &near), ["abcdefghi@a.com", "abcdefghx@a.com", "abcdefghij@a.com"]);
    }

    #[test]
    fn letters_of_several_bytes_are_letters() {
        assert_eq!(found("żółć@acme.com", &["zolc@acme.com", "żółw@acme.com"]), ["żółw@acme.com"]);
        assert_eq!(found("ąęłńóś@acme.com", &["ąęłńó@acme.com"]), ["ąęłńó@acme.com"]);
    }
}
