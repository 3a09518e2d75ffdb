//! Protection: accounts that no verb may touch.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use super::normalize::fold_address;
use crate::model::id::TargetId;

/// Logins and glob patterns, and the account that the target token belongs to.
#[derive(Debug, Clone, Default)]
pub struct Protection {
    patterns: GlobSet,
    token_owner: Option<TargetId>,
}

impl Protection {
    /// Compiles `guard.protected`. Patterns that do not parse were refused with the configuration.
    pub fn new(patterns: &[String], token_owner: Option<TargetId>) -> Protection {
        let mut builder = GlobSetBuilder::new();
        for pattern in patterns.iter().filter_map(|pattern| compile(pattern).ok()) {
            builder.add(pattern);
        }
        Protection { patterns: builder.build().unwrap_or_default(), token_owner }
    }

    /// Why an account must not be touched, if so. `logins` are the login it has and the one it would get.
    pub fn reason<'a>(
        &self,
        logins: impl IntoIterator<Item = &'a str>,
        target_id: Option<&TargetId>,
    ) -> Option<&'static str> {
        if self.token_owner.is_some() && self.token_owner.as_ref() == target_id {
            return Some("protected: the target token belongs to this account");
        }
        let listed = logins.into_iter().any(|login| self.patterns.is_match(fold_address(login)));
        listed.then_some("protected by guard.protected")
    }
}

/// Compiles one pattern: `*` and `?` as in a shell, without case.
pub fn compile(pattern: &str) -> Result<globset::Glob, String> {
    GlobBuilder::new(&fold_address(pattern)).build().map_err(|error| error.kind().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_and_patterns_protect_without_case_and_nobody_else() {
        let protection = Protection::new(&["Owner@acme.com".into(), "*@admins.acme.com".into()], None);
        let reason = |login: &str| protection.reason([login], None);
        assert!(reason("owner@ACME.com").is_some() && reason("x@admins.acme.com").is_some());
        assert!(reason("ann@acme.com").is_none() && reason("owner@acme.com.evil").is_none());
    }

    #[test]
    fn the_account_of_the_token_is_protected_by_itself() {
        let protection = Protection::new(&[], Some(TargetId::new("7")));
        assert!(protection.reason(["ann@acme.com"], Some(&TargetId::new("7"))).is_some());
        assert!(protection.reason(["ann@acme.com"], Some(&TargetId::new("8"))).is_none());
    }
}
