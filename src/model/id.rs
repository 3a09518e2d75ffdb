//! Identifiers. Each side's ids are types of their own, so that they cannot be mixed up.

use serde::{Deserialize, Serialize};

macro_rules! text_id {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Box<str>);

        impl $name {
            /// Wraps the vendor's text, unchanged.
            pub fn new(text: impl Into<Box<str>>) -> Self {
                Self(text.into())
            }

            /// The vendor's text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id!(
    /// A person's id at the identity provider: `00u…` at Okta, a number at OneLogin. Stable over renames.
    SourceId
);
text_id!(
    /// An account's `id` at the service provider (RFC 7643 section 3.1). Opaque; may hold any character.
    TargetId
);

/// Which identity provider an id comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Vendor {
    /// Okta.
    Okta,
    /// OneLogin.
    OneLogin,
}

impl Vendor {
    /// The name used in configuration, reports and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Vendor::Okta => "okta",
            Vendor::OneLogin => "onelogin",
        }
    }

    /// The name as the vendor writes it, for sentences.
    pub fn display_name(self) -> &'static str {
        match self {
            Vendor::Okta => "Okta",
            Vendor::OneLogin => "OneLogin",
        }
    }

    /// The `externalId` that marks an account as this person's.
    ///
    /// OneLogin's ids are bare numbers and a bare number has been taken for an internal id by a service
    /// provider (CVE-2025-41115), so they carry a prefix.
    pub fn external_id(self, id: &SourceId) -> String {
        match self {
            Vendor::Okta => id.as_str().to_owned(),
            Vendor::OneLogin => format!("onelogin:{id}"),
        }
    }

    /// The person whom an `externalId` marks an account for, where it has the form that [`Vendor::external_id`]
    /// gives. That somebody else wrote it cannot be excluded: Okta's own provisioning writes the same.
    pub fn marked(self, external_id: &str) -> Option<SourceId> {
        let id = match self {
            Vendor::Okta => external_id.starts_with("00u").then_some(external_id)?,
            Vendor::OneLogin => external_id.strip_prefix("onelogin:")?,
        };
        let is_id = match self {
            Vendor::Okta => id.bytes().all(|byte| byte.is_ascii_alphanumeric()),
            Vendor::OneLogin => !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit()),
        };
        is_id.then(|| SourceId::new(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_external_id_is_never_a_bare_number() {
        assert_eq!(Vendor::OneLogin.external_id(&SourceId::new("42")), "onelogin:42");
        assert_eq!(Vendor::Okta.external_id(&SourceId::new("00u1")), "00u1");
    }

    #[test]
    fn a_mark_is_read_back_and_nothing_else_is_taken_for_one() {
        for (vendor, id) in [(Vendor::Okta, "00uFE1cckBM28oDKkXTL"), (Vendor::OneLogin, "42")] {
            let id = SourceId::new(id);
            assert_eq!(vendor.marked(&vendor.external_id(&id)), Some(id));
        }
        for foreign in ["", "42", "onelogin:", "onelogin:4 2", "onelogin:x", "00g1", "00u/../x", "E-1007"] {
            assert_eq!(
                (Vendor::Okta.marked(foreign), Vendor::OneLogin.marked(foreign)),
                (None, None),
                "{foreign}"
            );
        }
    }
}
