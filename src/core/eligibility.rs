//! Eligibility: where a person stands before anybody looks at links or accounts.
//!
//! The order is fixed: lifecycle and assignment, then scope, then mapping. So holding somebody back for a bad
//! address never delays that person's removal.

use serde::{Deserialize, Serialize};

use super::lifecycle::{Lifecycle, lifecycle};
use super::mapping::{InScope, Mapped, Mapping};
use crate::config::LifecyclePolicy;
use crate::model::digest::{Digest, DigestKey};
use crate::model::identity::{Identity, VendorStatus};
use crate::model::plan::RemovalCause;

/// Where a person stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Eligibility {
    /// Assigned, active, in scope, mappable.
    Qualifies(Box<Mapped>),
    /// Not yet activated.
    Pending,
    /// Suspended.
    Suspended,
    /// Not assigned, disabled, or not there.
    Leaver(RemovalCause),
    /// Assigned and left out by `scope.filter`.
    OutOfScope,
    /// May not be written; the text says why.
    Blocked(String),
    /// Nobody can tell where the person stands; the text says why. Never the same as absent: for somebody with an active
    /// account it may hide that they left.
    Unknown(String),
}

/// An eligibility without its details.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EligibilityKind {
    /// Assigned, active, in scope, mappable.
    Qualifies,
    /// Not yet activated.
    Pending,
    /// Suspended.
    Suspended,
    /// Not assigned, disabled or deleted.
    Leaver,
    /// Out by the filter.
    OutOfScope,
    /// Undecidable.
    Blocked,
}

impl From<&Eligibility> for EligibilityKind {
    fn from(eligibility: &Eligibility) -> EligibilityKind {
        match eligibility {
            Eligibility::Qualifies(_) => EligibilityKind::Qualifies,
            Eligibility::Pending => EligibilityKind::Pending,
            Eligibility::Suspended => EligibilityKind::Suspended,
            Eligibility::Leaver(_) => EligibilityKind::Leaver,
            Eligibility::OutOfScope => EligibilityKind::OutOfScope,
            Eligibility::Blocked(_) | Eligibility::Unknown(_) => EligibilityKind::Blocked,
        }
    }
}

/// Which names of `scope.filter` were present for at least one person of a read.
///
/// A renamed attribute makes a filter false for everybody, and must not empty the workspace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScopeNames {
    never_seen: Vec<String>,
}

impl ScopeNames {
    /// Nothing seen yet.
    pub fn new(mapping: &Mapping) -> ScopeNames {
        ScopeNames { never_seen: mapping.scope_names().to_vec() }
    }

    /// Names that nobody had. `user.groups` is a list everybody has.
    pub fn never_seen(&self) -> &[String] {
        &self.never_seen
    }
}

/// Where a person stands, as far as a decision about them goes: a pin lasts until this changes. `desired` counts for
/// those who qualify only.
pub fn eligibility_digest(key: &DigestKey, kind: EligibilityKind, desired: Option<Digest>) -> Digest {
    let desired = desired.filter(|_| kind == EligibilityKind::Qualifies);
    let desired: &[u8] = desired.as_ref().map_or(&[], |digest| digest.0.as_slice());
    key.digest([format!("{kind:?}").as_bytes(), desired])
}

/// What the source's state of a person means for this sync.
pub fn lifecycle_of(identity: &Identity, linked: bool, policy: &LifecyclePolicy) -> Lifecycle {
    lifecycle_of_status(&identity.status, linked, policy)
}

/// The same of a state alone. `linked` is whether this very person has a link, whoever has the account.
pub fn lifecycle_of_status(status: &VendorStatus, linked: bool, policy: &LifecyclePolicy) -> Lifecycle {
    // Where people get an account before they are activated, "not activated" cannot mean that they left.
    lifecycle(status, linked && !policy.create_pending)
}

/// Decides where a person stands. `linked` matters for OneLogin's unactivated people.
pub fn eligibility(
    identity: &Identity,
    linked: bool,
    mapping: &Mapping,
    policy: &LifecyclePolicy,
    seen: &mut ScopeNames,
) -> Eligibility {
    let lifecycle = lifecycle_of(identity, linked, policy);
    // The names are built first because every assigned person counts for "a name that nobody has".
    let names = match mapping.names(identity, lifecycle.as_str()) {
        Ok(names) => names,
        Err(problem) if lifecycle == Lifecycle::Active => return Eligibility::Blocked(problem),
        Err(_) => None,
    };
    if let Some(names) = &names {
        seen.never_seen.retain(|name| !names.is_present(name));
    }
    match lifecycle {
        Lifecycle::Unknown => return Eligibility::Unknown(unknown_reason(identity)),
        Lifecycle::Disabled => return Eligibility::Leaver(RemovalCause::Disabled),
        Lifecycle::Suspended if identity.assigned => return Eligibility::Suspended,
        Lifecycle::Suspended | Lifecycle::Pending | Lifecycle::Active if !identity.assigned => {
            return Eligibility::Leaver(RemovalCause::NotAssigned);
        }
        Lifecycle::Pending if !policy.create_pending || linked => return Eligibility::Pending,
        Lifecycle::Suspended | Lifecycle::Pending | Lifecycle::Active => {}
    }
    match mapping.in_scope(names.as_ref()) {
        InScope::No => return Eligibility::OutOfScope,
        InScope::Failed(problem) => return Eligibility::Blocked(problem),
        InScope::Yes => {}
    }
    match mapping.map(identity, names.as_ref()) {
        Ok(mapped) => match (&mapped.user_type_problem, linked) {
            (Some(problem), false) => Eligibility::Blocked(problem.clone()),
            (Some(_), true) | (None, _) => Eligibility::Qualifies(Box::new(mapped)),
        },
        Err(problem) => Eligibility::Blocked(problem),
    }
}

fn unknown_reason(identity: &Identity) -> String {
    match &identity.status {
        VendorStatus::Okta(Some(status)) => {
            format!("Okta says status {status}, which is not a documented one")
        }
        VendorStatus::Okta(None) => "Okta's answer left out the user's own record".to_owned(),
        VendorStatus::OneLogin(Some(status)) => {
            format!("OneLogin says status {}, state {}, which is not documented", status.status, status.state)
        }
        VendorStatus::OneLogin(None) => {
            "OneLogin lists the person in only one of the app's users and the user details".to_owned()
        }
    }
}

#[cfg(test)]
mod tests;
