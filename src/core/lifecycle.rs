//! Lifecycle: the vendors' states in one vocabulary.

use crate::model::identity::{OneLoginStatus, VendorStatus};

/// Where a person stands at the source, whether assigned or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lifecycle {
    /// Employed; a locked account or an expired password does not change that.
    Active,
    /// Not yet activated.
    Pending,
    /// Suspended: reversible, assignments stay.
    Suspended,
    /// Deactivated, rejected or unlicensed.
    Disabled,
    /// A state we do not know, or an answer that did not show it. Never the same as absent.
    Unknown,
}

impl Lifecycle {
    /// The word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Lifecycle::Active => "active",
            Lifecycle::Pending => "pending",
            Lifecycle::Suspended => "suspended",
            Lifecycle::Disabled => "disabled",
            Lifecycle::Unknown => "unknown",
        }
    }
}

/// Normalises the vendor's state; the first match of the documented table wins. OneLogin's "not activated" means
/// pending for somebody without an account and disabled for somebody with one, hence `linked`.
pub fn lifecycle(status: &VendorStatus, linked: bool) -> Lifecycle {
    match status {
        VendorStatus::Okta(None) | VendorStatus::OneLogin(None) => Lifecycle::Unknown,
        VendorStatus::Okta(Some(status)) => match &**status {
            "DEPROVISIONED" => Lifecycle::Disabled,
            "SUSPENDED" => Lifecycle::Suspended,
            "STAGED" => Lifecycle::Pending,
            "ACTIVE" | "PASSWORD_EXPIRED" | "LOCKED_OUT" | "RECOVERY" | "PROVISIONED" => Lifecycle::Active,
            _ => Lifecycle::Unknown,
        },
        VendorStatus::OneLogin(Some(OneLoginStatus { status, state })) => match (*status, *state) {
            (_, 2 | 3) => Lifecycle::Disabled,
            (0, _) | (_, 0) if linked => Lifecycle::Disabled,
            (2, _) => Lifecycle::Suspended,
            (0, _) | (_, 0) => Lifecycle::Pending,
            (1 | 3 | 4 | 5 | 7 | 8, 1) => Lifecycle::Active,
            _ => Lifecycle::Unknown,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_okta_status_has_its_lifecycle() {
        let table = [
            ("DEPROVISIONED", Lifecycle::Disabled),
            ("SUSPENDED", Lifecycle::Suspended),
            ("STAGED", Lifecycle::Pending),
            ("ACTIVE", Lifecycle::Active),
            ("PASSWORD_EXPIRED", Lifecycle::Active),
            ("LOCKED_OUT", Lifecycle::Active),
            ("RECOVERY", Lifecycle::Active),
            ("PROVISIONED", Lifecycle::Active),
            ("ACTIVATING", Lifecycle::Unknown),
            ("active", Lifecycle::Unknown),
        ];
        for (status, expected) in table {
            assert_eq!(lifecycle(&VendorStatus::Okta(Some(status.into())), false), expected, "{status}");
        }
        assert_eq!(lifecycle(&VendorStatus::Okta(None), true), Lifecycle::Unknown);
    }

    #[test]
    fn every_onelogin_status_and_state_has_its_lifecycle() {
        for linked in [false, true] {
            for status in 0..10 {
                for state in 0..5 {
                    let expected = match (status, state, linked) {
                        (_, 2 | 3, _) => Lifecycle::Disabled,
                        (0, _, true) | (_, 0, true) => Lifecycle::Disabled,
                        (2, _, _) => Lifecycle::Suspended,
                        (0, _, false) | (_, 0, false) => Lifecycle::Pending,
                        (6 | 9, _, _) | (_, 4, _) => Lifecycle::Unknown,
                        _ => Lifecycle::Active,
                    };
                    let vendor = VendorStatus::OneLogin(Some(OneLoginStatus { status, state }));
                    assert_eq!(lifecycle(&vendor, linked), expected, "{status} {state} {linked}");
                }
            }
        }
        assert_eq!(lifecycle(&VendorStatus::OneLogin(None), true), Lifecycle::Unknown);
    }
}
