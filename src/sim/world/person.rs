//! A person as both identity providers know them, and a group.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// A person's key in the simulated world; not an id of any vendor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PersonId(pub(crate) u64);

/// A group's key in the simulated world: an Okta group and a OneLogin role at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(pub(crate) u64);

/// What the credentials may see of a person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Visibility {
    /// Everything.
    #[default]
    Shown,
    /// Left out of lists without an error, found by a point read: a narrowed admin role.
    LeftOutOfLists,
    /// Neither listed nor found: a point read says 404 although the person exists.
    Nowhere,
}

/// A person. Tests change fields through [`super::World::edit`].
#[derive(Clone, Debug)]
pub struct Person {
    /// The key.
    pub key: PersonId,
    /// Okta user id: `00u` and 17 characters.
    pub okta_id: String,
    /// OneLogin user id.
    pub onelogin_id: u64,
    /// Okta `profile.login`, OneLogin `username`.
    pub login: String,
    /// E-mail address.
    pub email: String,
    /// First name.
    pub first_name: Option<String>,
    /// Last name.
    pub last_name: Option<String>,
    /// Job title.
    pub title: Option<String>,
    /// Department.
    pub department: Option<String>,
    /// Okta `organization`, OneLogin `company`.
    pub organization: Option<String>,
    /// Okta `primaryPhone`, OneLogin `phone`.
    pub primary_phone: Option<String>,
    /// Okta `mobilePhone`.
    pub mobile_phone: Option<String>,
    /// Okta user status, such as `ACTIVE`; any text, so that unknown ones can be shown.
    pub okta_status: String,
    /// OneLogin status, 0 to 8.
    pub onelogin_status: i64,
    /// OneLogin state, 0 to 3.
    pub onelogin_state: i64,
    /// OneLogin shows no `username`.
    pub without_username: bool,
    /// Okta app profile: what the app user shows as `profile`, over the mapped names and address.
    pub app_profile: Map<String, Value>,
    /// Okta app username; `None` follows the login.
    pub app_username: Option<String>,
    /// Okta app-user status instead of the usual one.
    pub app_status: Option<String>,
    /// OneLogin custom attributes.
    pub custom_attributes: Map<String, Value>,
    /// Further raw fields of the Okta profile; they win over the fields above.
    pub extra_profile: Map<String, Value>,
    /// Further raw fields of the OneLogin user; they win over the fields above.
    pub extra_onelogin: Map<String, Value>,
    /// Assigned to the app directly (Okta scope `USER`, OneLogin a manual login).
    pub direct: bool,
    /// Groups the person belongs to.
    pub groups: BTreeSet<GroupId>,
    /// What the credentials see.
    pub visibility: Visibility,
    /// Okta leaves `_embedded.user` out for this person even where it was asked for.
    pub without_embedded: bool,
    /// When the person was hired.
    pub created: DateTime<Utc>,
    /// When the status last changed.
    pub status_changed: DateTime<Utc>,
    /// When anything last changed.
    pub updated: DateTime<Utc>,
    /// When the app was last assigned.
    pub assigned: DateTime<Utc>,
}

impl Person {
    /// First and last name, as far as they are there; else the login.
    pub fn display_name(&self) -> String {
        let names: Vec<&str> =
            [&self.first_name, &self.last_name].into_iter().filter_map(|name| name.as_deref()).collect();
        if names.is_empty() { self.login.clone() } else { names.join(" ") }
    }

    /// Deactivated in Okta: known to the directory, assigned to nothing.
    pub(crate) fn deprovisioned(&self) -> bool {
        self.okta_status == "DEPROVISIONED"
    }
}

/// A group (Okta) or role (OneLogin).
#[derive(Clone, Debug)]
pub struct Group {
    /// The key.
    pub key: GroupId,
    /// Okta group id: `00g` and 17 characters.
    pub okta_id: String,
    /// OneLogin role id.
    pub onelogin_id: u64,
    /// Display name.
    pub name: String,
    /// Who belongs to it.
    pub members: BTreeSet<PersonId>,
    /// Whether the app is assigned to it.
    pub has_app: bool,
    /// When it was made.
    pub created: DateTime<Utc>,
    /// When members last changed.
    pub members_changed: DateTime<Utc>,
}

/// The app whose members are provisioned, as both vendors show it.
#[derive(Clone, Debug)]
pub struct App {
    /// Okta app id: `0oa` and 17 characters.
    pub okta_id: String,
    /// OneLogin app id.
    pub onelogin_id: u64,
    /// What administrators call it.
    pub label: String,
    /// Okta status `ACTIVE` or `INACTIVE`.
    pub active: bool,
    /// Deleted: both vendors answer 404.
    pub removed: bool,
    /// Okta `features`, such as `PUSH_NEW_USERS` where Okta's own provisioning is on.
    pub features: Vec<String>,
    /// OneLogin's own provisioning is on.
    pub onelogin_provisioning: bool,
    /// OneLogin: shown in the users' portal. A hidden app is left out of a user's apps unless asked for.
    pub visible: bool,
    /// When it was made.
    pub created: DateTime<Utc>,
    /// When it last changed.
    pub updated: DateTime<Utc>,
}
