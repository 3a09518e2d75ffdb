//! OneLogin's JSON as it comes, and the person made of it.
//!
//! What lives here: borrowed shapes, the normalisation of attributes, the three error bodies. What must not: requests,
//! and what a status means.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::http::Answer;
use crate::model::folding::fold_address;
use crate::model::id::SourceId;
use crate::model::identity::{Identity, OneLoginStatus, Profile, RawProfiles, VendorStatus};
use crate::model::order::Observation;
use crate::source::fault::one_line;
use crate::source::lenient::Text;

/// Everything that a single user's object shows and that can matter to an expression. A list shows only what it is
/// asked for, and an expression must see the same in a list as in a point read.
pub(super) const FIELDS: &str = "id,username,email,firstname,lastname,title,department,company,comment,phone,\
    role_ids,group_id,custom_attributes,external_id,state,status,created_at,activated_at,directory_id,\
    trusted_idp_id,manager_user_id,manager_ad_id,samaccountname,userprincipalname,distinguished_name,member_of,\
    preferred_locale_code";

/// A user (`/api/2/users`, `/api/2/users/{id}`).
#[derive(Debug, Deserialize)]
pub(super) struct User<'a> {
    #[serde(borrow, default)]
    id: Text<'a>,
    #[serde(borrow, default)]
    username: Text<'a>,
    #[serde(borrow, default)]
    email: Text<'a>,
    #[serde(borrow, default)]
    firstname: Text<'a>,
    #[serde(borrow, default)]
    lastname: Text<'a>,
    #[serde(borrow, default)]
    title: Text<'a>,
    #[serde(borrow, default)]
    department: Text<'a>,
    #[serde(borrow, default)]
    company: Text<'a>,
    #[serde(borrow, default)]
    phone: Text<'a>,
    #[serde(borrow, default)]
    status: Text<'a>,
    #[serde(borrow, default)]
    state: Text<'a>,
    #[serde(default)]
    role_ids: Option<Vec<u64>>,
    #[serde(borrow, default)]
    custom_attributes: Option<&'a RawValue>,
}

impl<'a> User<'a> {
    /// The id: a number at OneLogin.
    pub(super) fn id(&self) -> Option<u64> {
        self.id.get()?.parse().ok()
    }

    /// Whether this is the login or the address of the person.
    pub(super) fn is_called(&self, who: &str) -> bool {
        let wanted = fold_address(who);
        [&self.username, &self.email]
            .iter()
            .any(|name| name.get().is_some_and(|name| fold_address(name) == wanted))
    }

    /// The ids of the person's roles, as far as the answer shows them.
    pub(super) fn role_ids(&self) -> &[u64] {
        self.role_ids.as_deref().unwrap_or_default()
    }

    /// The two numbers; `None` where one of them is missing or no number.
    pub(super) fn status(&self) -> Option<OneLoginStatus> {
        let number = |text: &Text<'_>| text.get()?.parse::<i64>().ok();
        Some(OneLoginStatus { status: number(&self.status)?, state: number(&self.state)? })
    }

    /// The login to give at the target: the user name where it is an e-mail address, else the address.
    fn user_name(&self) -> Option<String> {
        let username = self.username.get().filter(|name| is_email(name));
        username.or(self.email.get()).map(str::to_owned)
    }

    /// The person in the vendors' common terms; `None` where the object has no id.
    pub(super) fn identity(&self, raw: &'a RawValue, context: &Context<'_>) -> Option<Identity> {
        let id = self.id()?;
        let groups = match (&self.role_ids, context.roles.is_empty()) {
            (_, true) => Some(Vec::new()),
            (Some(own), false) => Some(context.roles.of(own)),
            (None, false) => None,
        };
        // Without their roles a person could fall out of a group-based scope by mistake.
        let status = self.status().filter(|_| context.listed_by_both && groups.is_some());
        Some(Identity {
            id: SourceId::new(id.to_string()),
            assigned: context.assigned,
            status: VendorStatus::OneLogin(status),
            profile: Profile {
                user_name: self.user_name(),
                email: self.email.owned(),
                given_name: self.firstname.owned(),
                family_name: self.lastname.owned(),
                display_name: None,
                title: self.title.owned(),
                phone: self.phone.owned(),
                organization: self.company.owned(),
                department: self.department.owned(),
                user_type: None,
            },
            raw: RawProfiles {
                app: None,
                profile: Some(raw.to_owned()),
                custom: self.custom_attributes.filter(|raw| raw.get() != "null").map(ToOwned::to_owned),
            },
            groups: groups.unwrap_or_default(),
            assigned_at: None,
            observation: context.observation,
        })
    }
}

/// What is known of a person beside their object.
pub(super) struct Context<'r> {
    pub(super) roles: &'r Roles,
    pub(super) assigned: bool,
    /// Whether the app's list and the users' list agree on this person (true for a point read).
    pub(super) listed_by_both: bool,
    pub(super) observation: Observation,
}

/// Somebody whom only the app lists: no status, no attributes.
pub(super) fn without_details(id: u64, observation: Observation) -> Identity {
    Identity {
        id: SourceId::new(id.to_string()),
        assigned: true,
        status: VendorStatus::OneLogin(None),
        profile: Profile::default(),
        raw: RawProfiles::default(),
        groups: Vec::new(),
        assigned_at: None,
        observation,
    }
}

/// The configured roles, in configured order.
#[derive(Debug, Default)]
pub(super) struct Roles {
    names: Vec<Arc<str>>,
    by_id: HashMap<u64, usize>,
    /// Every role that was there when the names were resolved, configured or not.
    existing: HashSet<u64>,
}

impl Roles {
    pub(super) fn add(&mut self, name: &str, id: u64) {
        self.by_id.insert(id, self.names.len());
        self.names.push(Arc::from(name));
    }

    /// Notes roles that are there.
    pub(super) fn exist(&mut self, ids: impl IntoIterator<Item = u64>) {
        self.existing.extend(ids);
    }

    /// Whether one of these roles was not there when the names were resolved. Never where no name is configured.
    pub(super) fn lacks_one(&self, own: &[u64]) -> bool {
        !self.is_empty() && own.iter().any(|id| !self.existing.contains(id))
    }

    fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    fn of(&self, own: &[u64]) -> Vec<Arc<str>> {
        let mut places: Vec<usize> = own.iter().filter_map(|id| self.by_id.get(id).copied()).collect();
        places.sort_unstable();
        places.dedup();
        places.into_iter().map(|place| Arc::clone(&self.names[place])).collect()
    }
}

/// One `@` with something on both sides and no white space: enough to tell an address from a login.
fn is_email(text: &str) -> bool {
    let parts = text.split_once('@');
    parts.is_some_and(|(local, domain)| {
        !local.is_empty()
            && !domain.is_empty()
            && !domain.contains('@')
            && !text.contains(char::is_whitespace)
    })
}

/// Any entry of which only the id counts.
#[derive(Debug, Deserialize)]
pub(super) struct WithId<'a> {
    #[serde(borrow, default)]
    id: Text<'a>,
}

impl WithId<'_> {
    pub(super) fn id(&self) -> Option<u64> {
        self.id.get()?.parse().ok()
    }
}

/// An app, a role, or an entry of a list of them.
#[derive(Debug, Deserialize)]
pub(super) struct Named<'a> {
    #[serde(borrow, default)]
    id: Text<'a>,
    #[serde(borrow, default)]
    pub(super) name: Text<'a>,
    #[serde(default)]
    pub(super) provisioning: Option<Provisioning>,
}

impl Named<'_> {
    pub(super) fn id(&self) -> Option<u64> {
        self.id.get()?.parse().ok()
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Provisioning {
    #[serde(default)]
    pub(super) enabled: Option<bool>,
}

/// `{"status": …, "pagination": …, "data": …}` of v1.
#[derive(Debug, Deserialize)]
pub(super) struct V1<'a> {
    #[serde(borrow)]
    pub(super) data: Vec<&'a RawValue>,
    #[serde(borrow, default)]
    pagination: Option<Pagination<'a>>,
}

#[derive(Debug, Deserialize)]
struct Pagination<'a> {
    #[serde(borrow, default)]
    after_cursor: Text<'a>,
}

impl V1<'_> {
    pub(super) fn next_cursor(&self) -> Option<&str> {
        self.pagination.as_ref().and_then(|pagination| cursor(pagination.after_cursor.get()))
    }
}

/// A kind of event (`/api/1/events/types`).
#[derive(Debug, Deserialize)]
pub(super) struct EventType<'a> {
    #[serde(borrow, default)]
    pub(super) id: Text<'a>,
    #[serde(borrow, default)]
    pub(super) name: Text<'a>,
}

/// An event (`/api/1/events`).
#[derive(Debug, Deserialize)]
pub(super) struct Event<'a> {
    #[serde(borrow, default)]
    pub(super) id: Text<'a>,
    #[serde(borrow, default)]
    pub(super) created_at: Text<'a>,
    #[serde(borrow, default)]
    pub(super) event_type_id: Text<'a>,
    #[serde(borrow, default)]
    pub(super) user_id: Text<'a>,
    #[serde(borrow, default)]
    pub(super) app_id: Text<'a>,
    #[serde(borrow, default)]
    pub(super) role_name: Text<'a>,
}

/// A cursor; an empty one and the text `null` (as the vendor's own example has it) are the end.
pub(super) fn cursor(text: Option<&str>) -> Option<&str> {
    text.map(str::trim).filter(|text| !text.is_empty() && *text != "null")
}

/// An error in any of OneLogin's three shapes.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ErrorBody<'a> {
    /// v2: a number, `name`, `message`.
    #[serde(rename = "statusCode", borrow, default)]
    status_code: Text<'a>,
    #[serde(borrow, default)]
    name: Text<'a>,
    #[serde(borrow, default)]
    message: Message<'a>,
    /// Flat: `code`, `type`, `message`.
    #[serde(borrow, default)]
    code: Text<'a>,
    #[serde(rename = "type", borrow, default)]
    kind: Text<'a>,
    /// v1: the flat one under `status`.
    #[serde(borrow, default)]
    status: Option<Inner<'a>>,
}

#[derive(Debug, Default, Deserialize)]
struct Inner<'a> {
    #[serde(borrow, default)]
    code: Text<'a>,
    #[serde(rename = "type", borrow, default)]
    kind: Text<'a>,
    #[serde(borrow, default)]
    message: Message<'a>,
}

/// A text, or an object with a `description` and an `attribute`.
#[derive(Debug, Default)]
struct Message<'a>(Option<&'a RawValue>);

impl<'de: 'a, 'a> Deserialize<'de> for Message<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&RawValue>::deserialize(deserializer).map(|raw| Message(Some(raw)))
    }
}

impl Message<'_> {
    fn text(&self) -> String {
        #[derive(Deserialize, Default)]
        struct Described<'a> {
            #[serde(borrow, default)]
            description: Text<'a>,
            #[serde(borrow, default)]
            attribute: Text<'a>,
        }
        let Some(raw) = self.0 else { return String::new() };
        if let Ok(Described { description, attribute }) = serde_json::from_str(raw.get()) {
            return [description.get(), attribute.get()].into_iter().flatten().collect::<Vec<_>>().join(" ");
        }
        let text: Text<'_> = serde_json::from_str(raw.get()).unwrap_or_default();
        text.owned().unwrap_or_default()
    }
}

impl ErrorBody<'_> {
    fn of(answer: &Answer) -> Option<ErrorBody<'_>> {
        serde_json::from_slice(&answer.body).ok()
    }

    fn parts(&self) -> (Option<u16>, String) {
        let inner = self.status.as_ref();
        let code = [Some(&self.status_code), Some(&self.code), inner.map(|inner| &inner.code)];
        let code = code.into_iter().flatten().find_map(|code| code.get()?.parse().ok());
        let mut words: Vec<String> = [Some(&self.name), Some(&self.kind), inner.map(|inner| &inner.kind)]
            .into_iter()
            .flatten()
            .filter_map(Text::owned)
            .collect();
        words.push(self.message.text());
        words.extend(inner.map(|inner| inner.message.text()));
        (code, one_line(&words.join(" ")))
    }

    /// The vendor's words for a message; empty where the body has none of its shapes.
    pub(super) fn words(answer: &Answer) -> String {
        ErrorBody::of(answer).map(|body| body.parts().1).unwrap_or_default()
    }

    /// Whether a 404 says, in one of the vendor's shapes, that the resource (and not merely the route) is not there.
    pub(super) fn says_not_found(answer: &Answer) -> bool {
        let Some(body) = ErrorBody::of(answer) else { return false };
        let (code, words) = body.parts();
        answer.status == 404 && code == Some(404) && !words.to_lowercase().contains("route")
    }
}

#[cfg(test)]
mod tests;
