//! What an account is looked up by, and the comparison that decides.
//!
//! *Invariant*: a filter only narrows what is read. Whether an account matches is decided by [`Criterion::matches`] alone:
//! canaille answers everybody to any filter, others to some.

use crate::model::account::Account;
use crate::model::folding::same_login;

/// What to look an account up by. Every hit is verified by comparing it; the filter is never trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Criterion {
    /// `externalId eq`, exact.
    ExternalId(String),
    /// `userName eq`, compared without case.
    UserName(String),
    /// Any e-mail address, compared without case.
    Email(String),
}

impl Criterion {
    /// Whether an account is what is looked for: `externalId` exactly, logins and mail addresses without case
    /// and with the domain by IDNA. Compatibility forms (a Kelvin sign for a K) are different people.
    pub fn matches(&self, account: &Account) -> bool {
        match self {
            Criterion::ExternalId(value) => !value.is_empty() && account.external_id() == Some(value),
            Criterion::UserName(value) => account.user_name().is_some_and(|found| same_login(value, found)),
            Criterion::Email(value) => account.emails().iter().any(|found| same_login(value, found)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn account(resource: Value) -> Account {
        Account::from_resource(resource.as_object().unwrap().clone()).unwrap()
    }

    #[test]
    fn servers_1_a_hit_counts_only_after_a_comparison() {
        let found = account(json!({"id": "1", "userName": "Ann@ACME.com", "externalId": "00u1",
            "emails": [{"value": "ann@other.example"}]}));
        let cases = [
            (Criterion::UserName("ann@acme.com".to_owned()), true),
            (Criterion::UserName("ann@acme.co".to_owned()), false),
            (Criterion::UserName(String::new()), false),
            (Criterion::ExternalId("00u1".to_owned()), true),
            (Criterion::ExternalId("00U1".to_owned()), false),
            (Criterion::ExternalId(String::new()), false),
            (Criterion::Email("ANN@other.example".to_owned()), true),
            (Criterion::Email("ann@acme.com".to_owned()), false),
        ];
        for (criterion, expected) in cases {
            assert_eq!(criterion.matches(&found), expected, "{criterion:?}");
        }
    }
}
