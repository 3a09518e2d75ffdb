//! Protected logins: `guard.protected`, compiled once.
//!
//! What lives here: whether a login is one of them. What must not: the account of the token, and what protection keeps
//! from being done (`core::protection`).
//!
//! Matching an account to a person is strict, because a wrong match gives access away. Protection is generous, because a
//! spelling that looks the same must not get round it: it compares compatibility forms (NFKC) without case, and a domain in
//! Unicode as well as in its A-labels.

use std::iter;

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};
use unicode_normalization::UnicodeNormalization;

use super::folding::fold_address;

/// Logins and glob patterns (`*`, `?` and `[…]` as in a shell).
#[derive(Debug, Clone, Default)]
pub struct ProtectedLogins {
    /// As written.
    written: Vec<String>,
    patterns: GlobSet,
}

/// A pattern that cannot be compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadPattern {
    /// Its place in the list.
    pub index: usize,
    /// What is wrong with it.
    pub problem: String,
}

impl ProtectedLogins {
    /// Compiles a list.
    ///
    /// # Errors
    /// Every pattern that cannot be compiled. There is no list that protects only some of what was asked for.
    pub fn new(written: &[String]) -> Result<ProtectedLogins, Vec<BadPattern>> {
        let mut builder = GlobSetBuilder::new();
        let mut bad = Vec::new();
        for (index, pattern) in written.iter().enumerate() {
            for spelling in [generous(pattern), generous(&fold_address(pattern))] {
                match compile(&spelling) {
                    Ok(glob) => {
                        builder.add(glob);
                    }
                    Err(problem) => {
                        bad.push(BadPattern { index, problem });
                        break;
                    }
                }
            }
        }
        if !bad.is_empty() {
            return Err(bad);
        }
        // Each of them compiled alone; what is left are limits of the set as a whole.
        let patterns = builder
            .build()
            .map_err(|error| vec![BadPattern { index: 0, problem: error.kind().to_string() }])?;
        Ok(ProtectedLogins { written: written.to_vec(), patterns })
    }

    /// The list as written.
    pub fn written(&self) -> &[String] {
        &self.written
    }

    /// Whether a login is protected.
    pub fn contains(&self, login: &str) -> bool {
        spellings(login).any(|spelling| self.patterns.is_match(spelling))
    }
}

/// Two lists are one where they are written alike.
impl PartialEq for ProtectedLogins {
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written
    }
}

impl Eq for ProtectedLogins {}

fn compile(pattern: &str) -> Result<Glob, String> {
    GlobBuilder::new(pattern).build().map_err(|error| error.kind().to_string())
}

/// A login as it is, with the domain in A-labels, and with the domain in Unicode.
fn spellings(login: &str) -> impl Iterator<Item = String> {
    let in_unicode = login.trim().rsplit_once('@').map(|(local, domain)| {
        let (domain, _) = idna::domain_to_unicode(domain);
        generous(&format!("{local}@{domain}"))
    });
    iter::once(generous(login)).chain(iter::once(generous(&fold_address(login)))).chain(in_unicode)
}

/// One spelling for everything that looks or folds alike: compatibility forms, without case.
fn generous(text: &str) -> String {
    text.trim().nfkc().flat_map(char::to_uppercase).flat_map(char::to_lowercase).nfkc().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn protected(patterns: &[&str]) -> ProtectedLogins {
        let patterns: Vec<String> = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
        ProtectedLogins::new(&patterns).unwrap()
    }

    #[test]
    fn logins_and_patterns_protect_without_case_and_nobody_else() {
        let logins = protected(&["Owner@acme.com", "*@admins.acme.com"]);
        assert!(logins.contains("owner@ACME.com") && logins.contains(" x@admins.acme.com"));
        assert!(!logins.contains("ann@acme.com") && !logins.contains("owner@acme.com.evil"));
    }

    #[test]
    fn a_spelling_that_looks_or_folds_alike_does_not_get_round_it() {
        // What the pattern says, and the login.
        let table = [
            ("jos\u{e9}@acme.com", "jose\u{301}@acme.com"),
            ("jose\u{301}@acme.com", "JOS\u{c9}@acme.com"),
            ("mike@acme.com", "mi\u{212a}e@acme.com"),
            ("owner@acme.com", "\u{ff4f}wner@acme.com"),
            ("stra\u{df}e@acme.com", "STRASSE@acme.com"),
            ("*@b\u{fc}cher.example", "ann@xn--bcher-kva.example"),
            ("*@xn--bcher-kva.example", "ann@B\u{dc}CHER.example"),
            ("*@b\u{fc}cher.*", "ann@xn--bcher-kva.example"),
            ("\u{3c3}\u{3c2}@acme.com", "\u{3a3}\u{3a3}@acme.com"),
        ];
        for (pattern, login) in table {
            assert!(protected(&[pattern]).contains(login), "{pattern} {login}");
        }
    }

    #[test]
    fn one_pattern_that_does_not_compile_is_named_and_switches_nothing_off() {
        let list = ["owner@acme.com", "[a", "x{"].map(str::to_owned);
        let bad = ProtectedLogins::new(&list).unwrap_err();
        assert_eq!(bad.iter().map(|pattern| pattern.index).collect::<Vec<_>>(), [1, 2], "{bad:?}");
    }
}
