//! Logins that are spelled nearly like one that nobody has.

use crate::core::normalize::fold_address;

/// How many are named.
const NAMED: usize = 3;
/// The most letters that may differ.
const FARTHEST: usize = 3;

/// Collects the nearest of many logins.
#[derive(Debug)]
pub struct Similar {
    wanted: String,
    farthest: usize,
    nearest: Vec<(usize, String)>,
}

impl Similar {
    /// Looks for logins like this one.
    pub fn new(who: &str) -> Similar {
        let wanted = fold_address(who);
        let farthest = (wanted.chars().count() / 4).clamp(1, FARTHEST);
        Similar { wanted, farthest, nearest: Vec::new() }
    }

    /// Looks at one login, in its folded form.
    pub fn look_at(&mut self, login: &str) {
        // A name without a domain is compared with the part before the domain.
        let part = match (self.wanted.contains('@'), login.split_once('@')) {
            (false, Some((local, _))) => local,
            (false, None) | (true, _) => login,
        };
        if part.len().abs_diff(self.wanted.len()) > 4 * self.farthest {
            return;
        }
        let distance = strsim::osa_distance(&self.wanted, part);
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
        assert_eq!(found("Anm@ACME.com", &logins), ["ann@acme.com", "anna@acme.com", "ann@acme.co"]);
        assert_eq!(found("nan@acme.com", &logins)[0], "ann@acme.com");
        assert_eq!(found("zoe@elsewhere.example", &logins), Vec::<String>::new());
    }

    #[test]
    fn a_name_without_its_domain_is_the_login_before_the_domain() {
        assert_eq!(found("ann", &["ann@acme.com", "bob@acme.com"]), ["ann@acme.com"]);
    }
}
