//! Sample people, mappings and links for the tables of this layer.

use std::time::Duration;

use crate::config::{
    Adopt, AttributeMapping, AttributeRule, LifecyclePolicy, MatchBy, RemovalPolicy, Scope, UserType,
};
use crate::core::mapping::{Mapped, Mapping};
use crate::model::account::Account;
use crate::model::attributes::{AttributePath, Attributes, Scalar};
use crate::model::digest::DigestKey;
use crate::model::id::{SourceId, TargetId, Vendor};
use crate::model::identity::{Identity, OneLoginStatus, Profile, RawProfiles, VendorStatus};
use crate::model::link::{AttributeMemory, Link, LinkState};
use crate::model::order::Observation;
use crate::model::owed::{OwedChange, OwedClass, WaitsFor};
use crate::model::plan::{
    Change, DesiredAccount, Disposition, FoundAccount, PlannedAction, RemovalCause, Situation, Verb,
};
use crate::model::time::Millis;

/// A time to count from.
pub(super) const NOW: Millis = Millis(1_700_000_000_000);

/// What is owed about Ann since `NOW`: her access is to end.
pub(super) fn owed_removal(waits_for: WaitsFor) -> OwedChange {
    OwedChange {
        source_id: SourceId::new("00uann"),
        user: "ann@acme.example".to_owned(),
        target_id: None,
        class: OwedClass::Removal,
        verb: Some(Verb::Deactivate),
        cause: Some(RemovalCause::Disabled),
        since: NOW,
        attempts: 1,
        refusals: 0,
        next_try_at: None,
        wait_runs: 0,
        waits_for,
        detail: "503".to_owned(),
        desired: None,
        is_deactivated: false,
    }
}

pub(super) fn path(text: &str) -> AttributePath {
    AttributePath::parse(text).unwrap()
}

pub(super) fn text(value: &str) -> Scalar {
    Scalar::from(value)
}

/// Values by path.
pub(super) fn values<const N: usize>(pairs: [(&str, &str); N]) -> Attributes {
    pairs.into_iter().map(|(at, value)| (path(at), text(value))).collect()
}

/// Ann: active at Okta, assigned, with every attribute.
pub(super) fn ann() -> Identity {
    let some = |value: &str| Some(value.to_owned());
    Identity {
        id: SourceId::new("00uann"),
        assigned: true,
        status: okta("ACTIVE"),
        profile: Profile {
            user_name: some("ann@acme.example"),
            email: some("ann@acme.example"),
            given_name: some("Ann"),
            family_name: some("Archer"),
            display_name: None,
            title: some("Engineer"),
            phone: some("+15550100"),
            organization: some("Acme"),
            department: some("Research"),
            user_type: None,
        },
        raw: RawProfiles::default(),
        groups: Vec::new(),
        assigned_at: None,
        observation: Observation::before_numbers(NOW),
    }
}

pub(super) fn okta(status: &str) -> VendorStatus {
    VendorStatus::Okta(Some(status.into()))
}

pub(super) fn onelogin(status: i64, state: i64) -> VendorStatus {
    VendorStatus::OneLogin(Some(OneLoginStatus { status, state }))
}

pub(super) fn scope(domains: &[&str], filter: Option<&str>) -> Scope {
    let domains = domains.iter().map(|domain| (*domain).to_owned()).collect();
    Scope { domains, filter: filter.map(str::to_owned) }
}

pub(super) fn rule(at: &str, expression: &str, clear_when_missing: bool) -> AttributeRule {
    let rule = AttributeMapping::From { expression: expression.to_owned(), clear_when_missing };
    AttributeRule { path: at.to_owned(), rule }
}

pub(super) fn mapping_of(
    vendor: Vendor,
    scope: &Scope,
    attributes: &[AttributeRule],
    user_type: Option<&UserType>,
) -> Mapping {
    Mapping::compile(vendor, scope, attributes, user_type, DigestKey::new([7; 32])).unwrap()
}

/// The built-in mapping of Okta.
pub(super) fn mapping() -> Mapping {
    mapping_of(Vendor::Okta, &scope(&[], None), &[], None)
}

/// Maps somebody, names and all.
pub(super) fn map(mapping: &Mapping, identity: &Identity) -> Result<Mapped, String> {
    let names = mapping.names(identity, "active").unwrap();
    mapping.map(identity, names.as_ref())
}

/// Everything as it is without a configuration.
pub(super) fn policy() -> LifecyclePolicy {
    LifecyclePolicy {
        create: true,
        update: true,
        deactivate: true,
        reactivate: true,
        on_unassigned: RemovalPolicy::Deactivate,
        on_deleted: RemovalPolicy::Deactivate,
        on_suspended: RemovalPolicy::Deactivate,
        create_pending: false,
        delete_after: None,
        recreate: false,
    }
}

pub(super) fn adopt() -> Adopt {
    Adopt { ladder: vec![MatchBy::ExternalId, MatchBy::UserName], hold: false }
}

pub(super) fn days(count: u64) -> Duration {
    Duration::from_secs(count * 24 * 3600)
}

/// Ann's link, as it is after she was created and everything was acknowledged.
pub(super) fn link() -> Link {
    let mapped = map(&mapping(), &ann()).unwrap();
    Link {
        source_id: SourceId::new("00uann"),
        target_id: TargetId::new("account-1"),
        user_name: "ann@acme.example".to_owned(),
        acknowledged: mapped.desired.set.clone(),
        state: LinkState::Active,
        digest: Some(mapped.desired.digest),
        memory: AttributeMemory::default(),
        absent_since: None,
        last_listed_at: None,
        removal_seen: true,
        cause: None,
        billable: true,
        observation: Observation::before_numbers(NOW),
    }
}

/// What an account holds.
pub(super) fn account(resource: &serde_json::Value) -> Account {
    Account::from_resource(resource.as_object().unwrap().clone()).unwrap()
}

pub(super) fn desired(set: Attributes) -> DesiredAccount {
    DesiredAccount { set, clear: Vec::new(), digest: crate::model::digest::Digest([1; 16]) }
}

/// An action with these changes.
pub(super) fn action(verb: Verb, changes: &[(&str, Option<&str>, Option<&str>)]) -> PlannedAction {
    let changes = changes.iter().map(|(at, from, to)| Change {
        path: path(at),
        from: from.map(Scalar::from),
        to: to.map(Scalar::from),
    });
    PlannedAction {
        verb,
        situation: Situation::Confirmed,
        reason: "a reason".to_owned(),
        user: "ann@acme.example".to_owned(),
        source_id: SourceId::new("00uann"),
        target_id: Some(TargetId::new("account-1")),
        changes: changes.collect(),
        desired: None,
        found: None,
        cause: None,
        activate: false,
        disposition: Disposition::Send,
        source_digest: None,
        kept_from: None,
        predecessor: None,
        deletion_owed: None,
        observation: Observation::before_numbers(NOW),
        assigned_at: None,
        billable: true,
    }
}

pub(super) fn found(values: Attributes, active: bool) -> FoundAccount {
    FoundAccount { values, active, withheld: Vec::new() }
}
