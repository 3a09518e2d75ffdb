//! Okta's JSON as it comes, and the person made of it.
//!
//! What lives here: borrowed shapes (OpenAPI schemas AppUser, User, Application, Group, LogEvent, Error), the
//! normalisation of attributes, and `Link` headers. What must not: requests, and what a status means.

use std::sync::Arc;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::http::Answer;
use crate::model::folding::fold_address;
use crate::model::id::SourceId;
use crate::model::identity::{Identity, Profile, RawProfiles, VendorStatus};
use crate::model::order::Observation;
use crate::model::time::Millis;
use crate::source::fault::one_line;
use crate::source::lenient::{Text, first};

/// "Not found" in Okta's own words; any other 404 may come from a proxy.
pub(super) const NOT_FOUND: &str = "E0000007";

/// What an app user's `status` may say without saying whether the person is assigned. Every other value is assigned.
const DOUBTFUL: [&str; 4] = ["UNASSIGNED", "REVOKED", "DEPROVISIONED", "INACTIVE"];

/// An app user (`/api/v1/apps/{appId}/users`).
#[derive(Debug, Deserialize)]
pub(super) struct AppUser<'a> {
    #[serde(borrow, default)]
    pub(super) id: Text<'a>,
    #[serde(borrow, default)]
    created: Text<'a>,
    #[serde(borrow, default)]
    status: Text<'a>,
    #[serde(borrow, default)]
    credentials: Option<AppCredentials<'a>>,
    #[serde(borrow, default)]
    profile: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "_embedded")]
    embedded: Option<Embedded<'a>>,
}

impl AppUser<'_> {
    /// The login at the app.
    pub(super) fn user_name(&self) -> Option<&str> {
        self.credentials.as_ref().and_then(|credentials| credentials.user_name.get())
    }

    /// Whether the user was embedded with a status.
    pub(super) fn has_status(&self) -> bool {
        let user = self.embedded.as_ref().and_then(|embedded| embedded.user.as_ref());
        user.is_some_and(User::has_status)
    }

    /// What makes it doubtful that this person is assigned: never a removal by itself, and never an assignment.
    /// Somebody who is disabled or suspended has left by their own status, whatever the assignment says.
    pub(super) fn doubt_about(&self, user: &User<'_>) -> Option<&str> {
        let has_left = matches!(user.status.get(), Some("DEPROVISIONED" | "SUSPENDED"));
        self.status
            .get()
            .filter(|status| !has_left && DOUBTFUL.iter().any(|word| status.eq_ignore_ascii_case(word)))
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AppCredentials<'a> {
    #[serde(borrow, default)]
    user_name: Text<'a>,
}

#[derive(Debug, Deserialize)]
struct Embedded<'a> {
    #[serde(borrow, default)]
    user: Option<User<'a>>,
}

/// A user (`/api/v1/users/{id}`, or embedded in an app user).
#[derive(Debug, Deserialize)]
pub(super) struct User<'a> {
    #[serde(borrow, default)]
    pub(super) id: Text<'a>,
    #[serde(borrow, default)]
    status: Text<'a>,
    #[serde(borrow, default)]
    profile: Option<&'a RawValue>,
}

impl User<'_> {
    /// The id, where there is one.
    pub(super) fn source_id(&self) -> Option<SourceId> {
        self.id.get().map(SourceId::new)
    }

    /// Whether this is the id, the login or the address of the person.
    pub(super) fn is_called(&self, who: &str) -> bool {
        let wanted = fold_address(who);
        let is_named = |profile: Attributes<'_>| {
            [&profile.login, &profile.email]
                .iter()
                .any(|name| name.get().is_some_and(|name| fold_address(name) == wanted))
        };
        self.id.get() == Some(who) || Attributes::read(self.profile).is_ok_and(is_named)
    }

    /// Whether the answer told the status.
    pub(super) fn has_status(&self) -> bool {
        self.status.get().is_some()
    }

    /// The status in the vendor's own words.
    pub(super) fn vendor_status(&self) -> VendorStatus {
        VendorStatus::Okta(self.status.get().map(Box::from))
    }
}

/// The attributes of both profiles that are mapped without being asked.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Attributes<'a> {
    #[serde(borrow, default)]
    login: Text<'a>,
    #[serde(borrow, default)]
    email: Text<'a>,
    #[serde(borrow, default)]
    first_name: Text<'a>,
    #[serde(borrow, default)]
    last_name: Text<'a>,
    #[serde(borrow, default)]
    display_name: Text<'a>,
    #[serde(borrow, default)]
    title: Text<'a>,
    #[serde(borrow, default)]
    primary_phone: Text<'a>,
    #[serde(borrow, default)]
    mobile_phone: Text<'a>,
    #[serde(borrow, default)]
    organization: Text<'a>,
    #[serde(borrow, default)]
    department: Text<'a>,
    #[serde(borrow, default)]
    user_type: Text<'a>,
}

impl<'a> Attributes<'a> {
    fn read(profile: Option<&'a RawValue>) -> Result<Attributes<'a>, serde_json::Error> {
        match profile {
            Some(raw) if raw.get() != "null" => serde_json::from_str(raw.get()),
            Some(_) | None => Ok(Attributes::default()),
        }
    }
}

/// What a person is made of.
pub(super) struct Sighting<'a, 'b> {
    /// The assignment, where there is one.
    pub(super) app_user: Option<&'b AppUser<'a>>,
    /// The user object, where it was read on its own.
    pub(super) user: Option<&'b User<'a>>,
    /// Groups that the person is a member of.
    pub(super) groups: Vec<Arc<str>>,
    /// When the request was sent.
    pub(super) observation: Observation,
}

impl Sighting<'_, '_> {
    /// The person in the vendors' common terms. The id must have been checked before.
    pub(super) fn identity(self, id: &str) -> Result<Identity, serde_json::Error> {
        let embedded = self.app_user.and_then(|app_user| app_user.embedded.as_ref()?.user.as_ref());
        // An embedded user of another id would be somebody else's status.
        let user = self.user.or(embedded).filter(|user| user.id.get() == Some(id));
        let app_profile = self.app_user.and_then(|app_user| app_user.profile);
        let user_profile = user.and_then(|user| user.profile);
        let app = Attributes::read(app_profile)?;
        let own = Attributes::read(user_profile)?;
        let app_user_name = self.app_user.and_then(|app_user| app_user.user_name().map(str::to_owned));
        let profile = Profile {
            user_name: app_user_name.or_else(|| first(&[&app.email, &own.login])),
            email: first(&[&app.email, &own.email]),
            given_name: first(&[&app.first_name, &own.first_name]),
            family_name: first(&[&app.last_name, &own.last_name]),
            display_name: first(&[&app.display_name, &own.display_name]),
            title: first(&[&app.title, &own.title]),
            phone: first(&[&app.primary_phone, &own.primary_phone, &app.mobile_phone, &own.mobile_phone]),
            organization: first(&[&app.organization, &own.organization]),
            department: first(&[&app.department, &own.department]),
            user_type: first(&[&app.user_type, &own.user_type]),
        };
        let created = self.app_user.and_then(|app_user| app_user.created.get());
        let doubt = self.app_user.zip(user).and_then(|(app_user, user)| app_user.doubt_about(user));
        let status = match (user.map(User::vendor_status), doubt) {
            (Some(VendorStatus::Okta(Some(status))), Some(word)) => {
                VendorStatus::Okta(Some(format!("{status} with an assignment that is {word}").into()))
            }
            (status, _) => status.unwrap_or(VendorStatus::Okta(None)),
        };
        Ok(Identity {
            id: SourceId::new(id),
            assigned: self.app_user.is_some(),
            status,
            profile,
            raw: RawProfiles {
                app: app_profile.map(ToOwned::to_owned),
                profile: user_profile.map(ToOwned::to_owned),
                custom: None,
            },
            groups: self.groups,
            assigned_at: created.and_then(Millis::parse),
            observation: self.observation,
        })
    }
}

/// Somebody whom the app lists with a record that cannot be decoded: no attributes and no status.
pub(super) fn undecodable(id: &str, groups: Vec<Arc<str>>, observation: Observation) -> Identity {
    Identity {
        id: SourceId::new(id),
        assigned: true,
        status: VendorStatus::Okta(None),
        profile: Profile::default(),
        raw: RawProfiles::default(),
        groups,
        assigned_at: None,
        observation,
    }
}

/// An app (`/api/v1/apps/{appId}`).
#[derive(Debug, Deserialize)]
pub(super) struct App {
    #[serde(default)]
    pub(super) id: String,
    #[serde(default)]
    pub(super) status: String,
    #[serde(default)]
    pub(super) label: String,
    #[serde(default)]
    pub(super) features: Vec<String>,
}

/// A group, or an entry of a list of which only the id counts.
#[derive(Debug, Deserialize)]
pub(super) struct Group<'a> {
    #[serde(borrow, default)]
    pub(super) id: Text<'a>,
    #[serde(borrow, default)]
    pub(super) profile: Option<GroupProfile<'a>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct GroupProfile<'a> {
    #[serde(borrow, default)]
    pub(super) name: Text<'a>,
}

/// An event of the System Log (`/api/v1/logs`).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LogEvent<'a> {
    #[serde(borrow, default)]
    pub(super) uuid: Text<'a>,
    #[serde(borrow, default)]
    pub(super) event_type: Text<'a>,
    #[serde(borrow, default)]
    pub(super) published: Text<'a>,
    #[serde(borrow, default)]
    outcome: Option<EventOutcome<'a>>,
    #[serde(borrow, default)]
    target: Option<Vec<EventTarget<'a>>>,
}

#[derive(Debug, Deserialize)]
struct EventOutcome<'a> {
    #[serde(borrow, default)]
    result: Text<'a>,
}

#[derive(Debug, Deserialize)]
struct EventTarget<'a> {
    #[serde(borrow, default)]
    id: Text<'a>,
    #[serde(borrow, default, rename = "type")]
    kind: Text<'a>,
}

impl LogEvent<'_> {
    /// How it ended: `SUCCESS`, `FAILURE` and others; not every event tells.
    pub(super) fn result(&self) -> Option<&str> {
        self.outcome.as_ref().and_then(|outcome| outcome.result.get())
    }

    /// The ids of the targets of this type (`User`, `AppInstance`, `UserGroup`): targets are told apart by their
    /// type, never by their place.
    pub(super) fn targets<'e>(&'e self, kind: &'e str) -> impl Iterator<Item = &'e str> {
        let targets = self.target.as_deref().unwrap_or_default();
        targets
            .iter()
            .filter(move |target| target.kind.get() == Some(kind))
            .filter_map(|target| target.id.get())
    }
}

/// Any entry with an id.
#[derive(Debug, Deserialize)]
pub(super) struct WithId<'a> {
    #[serde(borrow, default)]
    pub(super) id: Text<'a>,
}

/// Okta's error body, or an OAuth one.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ErrorBody {
    #[serde(default)]
    pub(super) error_code: String,
    #[serde(default)]
    pub(super) error_summary: String,
    #[serde(default)]
    error: String,
    #[serde(default, rename = "error_description")]
    error_description: String,
}

impl ErrorBody {
    /// The body of a refusal; empty where it has neither shape.
    pub(super) fn of(answer: &Answer) -> ErrorBody {
        serde_json::from_slice(&answer.body).unwrap_or_default()
    }

    /// The vendor's words for a message.
    pub(super) fn words(answer: &Answer) -> String {
        let body = ErrorBody::of(answer);
        let parts = [body.error_code, body.error_summary, body.error, body.error_description];
        let words = one_line(&parts.join(" "));
        match answer.header("www-authenticate") {
            Some(challenge) if words.is_empty() => one_line(challenge),
            Some(_) | None => words,
        }
    }
}

/// Reads a whole body as JSON.
pub(super) fn json<T: DeserializeOwned>(answer: &Answer) -> Result<T, serde_json::Error> {
    serde_json::from_slice(&answer.body)
}

/// The address of `rel="next"` in the `Link` headers (RFC 8288), of which Okta sends one per link.
pub(super) fn next_link(answer: &Answer) -> Option<String> {
    answer
        .headers
        .get_all(reqwest::header::LINK)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(split_links)
        .find_map(|(url, parameters)| is_next(parameters).then(|| url.to_owned()))
}

/// `<url>; a="b", <url>; …`: commas and semicolons may be part of a URL, never `>`.
fn split_links(mut text: &str) -> impl Iterator<Item = (&str, &str)> {
    std::iter::from_fn(move || {
        let open = text.find('<')?;
        let close = open + text[open..].find('>')?;
        let after = &text[close + 1..];
        let end = after.find('<').unwrap_or(after.len());
        let link = (&text[open + 1..close], &after[..end]);
        text = &after[end..];
        Some(link)
    })
}

fn is_next(parameters: &str) -> bool {
    parameters.split([';', ',']).any(|parameter| {
        parameter.trim().split_once('=').is_some_and(|(name, value)| {
            name.trim().eq_ignore_ascii_case("rel")
                && value
                    .trim()
                    .trim_matches('"')
                    .split_whitespace()
                    .any(|relation| relation.eq_ignore_ascii_case("next"))
        })
    })
}

#[cfg(test)]
mod tests;
