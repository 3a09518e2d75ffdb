//! Recovery: the link that an account as it is now stands for, where the state was lost.

use super::diff::difference;
use super::echo;
use super::mapping::{Mapped, Mapping};
use crate::model::account::Account;
use crate::model::id::SourceId;
use crate::model::link::{AttributeMemory, EchoKind, Link, LinkState};
use crate::model::order::Observation;
use crate::model::time::Millis;

/// An account and the person it was found for.
#[derive(Debug)]
pub struct Found<'a> {
    /// The person.
    pub id: &'a SourceId,
    /// The account, as it is.
    pub account: &'a Account,
    /// The account to be, where the person qualifies.
    pub mapped: Option<&'a Mapped>,
    /// It was found by e-mail: login and address wait for approval, as in an adoption.
    pub by_email: bool,
    /// When the older of the requests was sent that showed person and account.
    pub observation: Observation,
}

/// The link: what the target shows is taken for acknowledged, so that the next run plans only what truly differs.
/// Nobody knows any more since when an inactive account is inactive, and whether that was ours.
pub fn recovered_link(found: &Found<'_>, mapping: &Mapping, now: Millis) -> Link {
    let Found { id, account, mapped, by_email, observation } = *found;
    let acknowledged = account.values(&mapping.owned_paths());
    let mut memory = AttributeMemory::default();
    let mut digest = None;
    if let Some(Mapped { desired, .. }) = mapped {
        // A spelling of the target's own is what had been sent once, and no difference.
        for finding in echo::findings(&desired.set, account) {
            if let Some(echo) = finding.echo.filter(|echo| echo.kind == EchoKind::Normalised) {
                memory.echoes.insert(finding.path, echo);
            }
        }
        if by_email {
            memory.withheld = desired.set.keys().filter(|path| path.ignores_case()).cloned().collect();
        }
        let rest = difference(desired, &acknowledged, &memory, now);
        memory.withheld = rest.withheld.iter().map(|change| change.path.clone()).collect();
        digest = (rest.changes.is_empty() && rest.withheld.is_empty()).then_some(desired.digest);
    }
    let shown_type = mapping.user_type_path().and_then(|path| account.value(path));
    let wanted_type = mapped.and_then(|mapped| mapped.user_type.clone());
    let user_type = shown_type.map(|value| value.as_text().into_owned()).or(wanted_type);
    Link {
        source_id: id.clone(),
        target_id: account.id.clone(),
        user_name: account.user_name().unwrap_or(id.as_str()).to_owned(),
        acknowledged,
        state: if account.active() == Some(false) { LinkState::Inactive } else { LinkState::Active },
        digest,
        memory,
        billable: mapping.is_billable(user_type.as_deref()),
        absent_since: None,
        last_listed_at: None,
        removal_seen: true,
        cause: None,
        observation,
    }
}
