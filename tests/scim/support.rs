//! What the tests of the SCIM adapter share: a target on a fake or a real server, people, proofs, and the
//! oracle that reads every body that was sent.

#[path = "../support/door.rs"]
mod door;

use std::time::Duration;

pub use door::ThroughTheDoor;

use rosterd::config::secret::SecretRef;
use rosterd::config::{self, Dialect, Environment};
use rosterd::core::guard::{Intent, Ledger, judge};
use rosterd::core::mapping::Mapping;
use rosterd::core::proof::{DeletionWitness, ProofOutcome, Proven, prove};
use rosterd::http::pacer::{Pacers, RetryPolicy};
use rosterd::model::account::Account;
use rosterd::model::attributes::{AttributePath, Attributes, ENTERPRISE_USER, Scalar};
use rosterd::model::digest::{Digest, DigestKey};
use rosterd::model::id::{SourceId, TargetId, Vendor};
use rosterd::model::identity::{Finding, PointRead};
use rosterd::model::order::Observation;
use rosterd::model::plan::{
    Change, DesiredAccount, Disposition, PlannedAction, RemovalCause, Situation, Verb,
};
use rosterd::model::time::Millis;
use rosterd::scim::adapter::ScimTarget;
use rosterd::scim::dialect::Profile;
use rosterd::scim::target::{Acknowledgement, ListCursor, Observe, Refusal, WriteOutcome};
use scim_v2::models::others::PatchOp;
use scim_v2::models::user::User;
use scim_v2::{Context, Validate};
use secrecy::SecretString;
use serde_json::Value;

pub const EMAIL: &str = "emails[primary eq true].value";
pub const PHONE: &str = "phoneNumbers[primary eq true].value";

pub fn department() -> String {
    format!("{ENTERPRISE_USER}:department")
}

pub fn path(text: &str) -> AttributePath {
    AttributePath::parse(text).unwrap()
}

/// The adapter as the program makes it, with the patience of a test.
pub fn target_at(url: &str, token: &str, dialect: Dialect, profile: Profile) -> ScimTarget {
    let retry = RetryPolicy {
        attempts: 3,
        attempts_when_limited: 2,
        first_delay: Duration::from_millis(1),
        longest_delay: Duration::from_millis(2),
    };
    let config = config::Target {
        url: url.parse().unwrap(),
        token: SecretRef::Env("TARGET_TOKEN".to_owned()),
        dialect,
        requests_per_minute: 60_000,
        concurrency: 4,
        reserve_for_removals_percent: 20,
        timeout: Duration::from_secs(10),
        proxy: None,
        ca_file: None,
    };
    let token = token.to_owned();
    let secret = move |_: &SecretRef| Ok(SecretString::from(token.clone()));
    ScimTarget::new(&config, &Pacers::with_retry(retry), secret, profile).unwrap()
}

/// A person as the mapping hands her down: every default attribute.
pub fn desired(login: &str) -> DesiredAccount {
    let department = department();
    let set: Attributes = [
        ("userName", login),
        ("externalId", &format!("ext-{}", login.to_lowercase())),
        ("name.givenName", "Ann"),
        ("name.familyName", "Lee"),
        (EMAIL, login),
        (PHONE, "+15550100200"),
        ("title", "Engineer"),
        (department.as_str(), "Sales"),
    ]
    .map(|(at, value)| (path(at), Scalar::from(value)))
    .into();
    DesiredAccount { set, clear: Vec::new(), digest: Digest([0; 16]) }
}

/// Only what an account cannot do without.
pub fn bare(login: &str) -> DesiredAccount {
    let mut desired = desired(login);
    desired.set.retain(|at, _| at.is_essential());
    desired
}

pub fn change(at: &str, from: Option<&str>, to: Option<&str>) -> Change {
    Change { path: path(at), from: from.map(Scalar::from), to: to.map(Scalar::from) }
}

pub fn text(account: &Account, at: &str) -> Option<String> {
    account.value(&path(at)).map(|value| value.as_text().into_owned())
}

/// A removal that went through guard and proof, as every removal does.
pub fn proven(id: &TargetId, verb: Verb) -> Proven {
    proven_at(id, verb, Millis::now())
}

/// The same, whose proof was taken then.
pub fn proven_at(id: &TargetId, verb: Verb, at: Millis) -> Proven {
    let policy = if verb == Verb::Delete { "delete" } else { "deactivate" };
    let toml = format!(
        r#"[[sync]]
source = {{ kind = "okta", url = "https://acme.okta.com", app_id = "0oa1", api_token = {{ env = "A" }} }}
target = {{ url = "https://scim.example/v2", token = {{ env = "B" }} }}
lifecycle = {{ on_deleted = "{policy}" }}
"#
    );
    let environment = Environment::fixed([("A", "a"), ("B", "b")]);
    let config = config::parse(&toml, std::path::Path::new("test.toml"), &environment).unwrap();
    let sync = &config.syncs[0];
    let mapping = Mapping::compile(Vendor::Okta, &sync.scope, &[], None, DigestKey::new([0; 32])).unwrap();
    let action = PlannedAction {
        verb,
        situation: Situation::Leaver,
        reason: "left".to_owned(),
        user: "somebody".to_owned(),
        source_id: SourceId::new("00u1"),
        target_id: Some(id.clone()),
        found: None,
        changes: Vec::new(),
        desired: None,
        cause: Some(RemovalCause::Deleted),
        activate: false,
        disposition: Disposition::Send,
        observation: Observation::now(),
        assigned_at: None,
        billable: true,
        source_digest: None,
        kept_from: None,
        predecessor: None,
        deletion_owed: None,
    };
    let approved =
        judge(&Intent::default(), &Ledger::default(), &sync.guard).release(action, false).unwrap().approved;
    let observation = Observation { at, ..Observation::now() };
    let read = PointRead { observation, finding: Finding::UserGone };
    match prove(approved, &read, DeletionWitness::Event, &mapping, &sync.lifecycle) {
        ProofOutcome::Proven(proven) => *proven,
        other => panic!("no proof: {other:?}"),
    }
}

pub fn applied(outcome: WriteOutcome) -> Acknowledgement {
    match outcome {
        WriteOutcome::Applied(acknowledgement) => acknowledgement,
        other => panic!("not applied: {other:?}"),
    }
}

pub fn refused(outcome: WriteOutcome) -> Refusal {
    match outcome {
        WriteOutcome::Refused(refusal) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

/// The whole listing.
pub async fn everybody(target: &ScimTarget) -> Vec<Account> {
    let mut cursor = ListCursor::default();
    let mut accounts = Vec::new();
    while let Some(page) = target.list(&mut cursor).await.unwrap() {
        accounts.extend(page.accounts);
    }
    assert!(!cursor.is_short(), "the listing is short: {cursor:?}");
    accounts
}

/// Reads a body that was sent with an implementation of the standard that is not ours.
pub fn check_body(method: &str, body: &str) {
    assert!(!body.contains("password"), "a password was sent: {body}");
    let verdict = match method {
        "POST" => oracle::<User>(body, |user| user.validate_as(Context::CreateRequest)),
        "PUT" => oracle::<User>(body, |user| user.validate_as(Context::ReplaceRequest)),
        "PATCH" => oracle::<PatchOp>(body, Validate::validate),
        _ if body.is_empty() => Ok(()),
        _ => Err("a body where none belongs".to_owned()),
    };
    assert_eq!(verdict, Ok(()), "{method} {body}");
    let sent: Value = serde_json::from_str(body).unwrap_or_default();
    assert!(!has_null(&sent), "null was sent: {body}");
}

fn oracle<T: serde::de::DeserializeOwned>(
    body: &str,
    validate: impl Fn(&T) -> Result<(), scim_v2::ValidationError>,
) -> Result<(), String> {
    let parsed: T = serde_json::from_str(body).map_err(|why| why.to_string())?;
    validate(&parsed).map_err(|why| why.to_string())
}

fn has_null(value: &Value) -> bool {
    match value {
        // No body at all.
        Value::Null => false,
        Value::Object(object) => object.values().any(|value| value.is_null() || has_null(value)),
        Value::Array(list) => list.iter().any(|value| value.is_null() || has_null(value)),
        _ => false,
    }
}
