//! A person at the identity provider, in the vendors' common terms.
//!
//! What lives here: the record a source adapter hands up. What must not: judgement about it; what a status
//! means is `core::lifecycle`'s.

use std::sync::Arc;

use serde_json::value::RawValue;

use super::id::SourceId;
use super::order::Observation;
use super::time::Millis;

/// A person as one request showed them.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The vendor's id.
    pub id: SourceId,
    /// Whether this answer showed the person as assigned to the app.
    pub assigned: bool,
    /// The vendor's own words for the person's state.
    pub status: VendorStatus,
    /// The attributes both vendors have.
    pub profile: Profile,
    /// What expressions may also use; kept as the bytes that came and only parsed when an expression asks.
    pub raw: RawProfiles,
    /// Declared groups the person is a member of.
    pub groups: Vec<Arc<str>>,
    /// When the person was assigned, where the vendor tells (seats are given in this order).
    pub assigned_at: Option<Millis>,
    /// When the request that showed this was sent.
    pub observation: Observation,
}

/// The vendor's own status, before anyone judged it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VendorStatus {
    /// Okta's user status, e.g. `ACTIVE`; `None` where the embedded user was missing.
    Okta(Option<Box<str>>),
    /// OneLogin's two numbers; `None` where the person was in only one of the two lists.
    OneLogin(Option<OneLoginStatus>),
}

/// OneLogin's `status` and `state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OneLoginStatus {
    /// 0 unactivated, 1 active, 2 suspended, 3 locked, 4 password expired, 5 awaiting reset, 7 pending, 8 questions.
    pub status: i64,
    /// 0 unapproved, 1 approved, 2 rejected, 3 unlicensed.
    pub state: i64,
}

impl std::fmt::Display for VendorStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            VendorStatus::Okta(Some(status)) => f.write_str(status),
            VendorStatus::Okta(None) => f.write_str("unknown (the answer had no embedded user)"),
            VendorStatus::OneLogin(Some(OneLoginStatus { status, state })) => {
                write!(f, "status {status}, state {state}")
            }
            VendorStatus::OneLogin(None) => {
                f.write_str("unknown (listed by the app or by users, not by both)")
            }
        }
    }
}

/// The normalised attributes (`user.*` in expressions). Empty and blank values are `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Profile {
    /// The login to give at the target.
    pub user_name: Option<String>,
    /// Primary e-mail.
    pub email: Option<String>,
    /// First name.
    pub given_name: Option<String>,
    /// Last name.
    pub family_name: Option<String>,
    /// Display name, where the vendor has one.
    pub display_name: Option<String>,
    /// Job title.
    pub title: Option<String>,
    /// Work phone.
    pub phone: Option<String>,
    /// Organization or company.
    pub organization: Option<String>,
    /// Department.
    pub department: Option<String>,
    /// Free-text user type.
    pub user_type: Option<String>,
}

/// The vendor's raw objects.
#[derive(Debug, Clone, Default)]
pub struct RawProfiles {
    /// `app.*`: Okta's app profile.
    pub app: Option<Box<RawValue>>,
    /// `profile.*`: Okta's user profile, OneLogin's user object.
    pub profile: Option<Box<RawValue>>,
    /// `custom.*`: OneLogin's custom attributes.
    pub custom: Option<Box<RawValue>>,
}

/// What one point read showed of a person.
#[derive(Debug, Clone)]
pub struct PointRead {
    /// When its first request was sent.
    pub observation: Observation,
    /// What it found.
    pub finding: Finding,
}

/// The outcome of looking one person up by id.
#[derive(Debug, Clone)]
pub enum Finding {
    /// Both the user object and the assignment to the app were read.
    Assigned(Box<Identity>),
    /// The user object was read and the vendor said, in its own error shape or by a complete list, that there
    /// is no assignment to this app. `Identity::assigned` is false.
    NotAssigned(Box<Identity>),
    /// The vendor said, in its own error shape, that there is no such user.
    UserGone,
    /// An answer that proves nothing; the text says what was wrong with it.
    Inconclusive(String),
}
