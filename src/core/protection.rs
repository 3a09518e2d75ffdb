//! Protection: accounts that no verb may touch.
//!
//! What lives here: why an account must not be touched. What must not: how a list is compiled and compared
//! (`model::protected_logins`).

use crate::model::id::TargetId;
use crate::model::protected_logins::ProtectedLogins;

/// The logins of `guard.protected`, and the account that the target token belongs to.
#[derive(Debug, Clone, Default)]
pub struct Protection {
    logins: ProtectedLogins,
    token_owner: Option<TargetId>,
}

impl Protection {
    /// Protection of these logins, and of the token's account where it is known.
    pub fn new(logins: ProtectedLogins, token_owner: Option<TargetId>) -> Protection {
        Protection { logins, token_owner }
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
        let listed = logins.into_iter().any(|login| self.logins.contains(login));
        listed.then_some("protected by guard.protected")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_of_the_token_is_protected_by_itself() {
        let protection = Protection::new(ProtectedLogins::default(), Some(TargetId::new("7")));
        assert!(protection.reason(["ann@acme.com"], Some(&TargetId::new("7"))).is_some());
        assert!(protection.reason(["ann@acme.com"], Some(&TargetId::new("8"))).is_none());
    }
}
