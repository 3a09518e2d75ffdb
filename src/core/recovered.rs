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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::core::sample_tests::{NOW, account, ann, map, mapping, path, text};
    use crate::model::attributes::AttributePath;

    fn link_of(resource: &serde_json::Value, by_email: bool) -> Link {
        let (mapping, account) = (mapping(), account(resource));
        let mapped = map(&mapping, &ann()).unwrap();
        let found = Found {
            id: &ann().id,
            account: &account,
            mapped: Some(&mapped),
            by_email,
            observation: Observation::before_numbers(NOW),
        };
        recovered_link(&found, &mapping, NOW)
    }

    /// Ann's account with every value, some of them otherwise.
    fn anns(change: &[(&str, serde_json::Value)]) -> serde_json::Value {
        let enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
        let mut resource = json!({
            "id": "account-1", "userName": "ann@acme.example", "active": true, "externalId": "00uann",
            "name": {"givenName": "Ann", "familyName": "Archer"}, "title": "Engineer",
            "emails": [{"value": "ann@acme.example", "primary": true}],
            "phoneNumbers": [{"value": "+15550100", "primary": true}],
        });
        resource[enterprise] = json!({"organization": "Acme", "department": "Research"});
        for (name, value) in change {
            resource[*name] = value.clone();
        }
        resource
    }

    #[test]
    fn an_account_that_holds_everything_is_a_link_that_plans_nothing() {
        let link = link_of(&anns(&[]), false);
        let digest = map(&mapping(), &ann()).unwrap().desired.digest;
        assert_eq!((link.state, link.digest), (LinkState::Active, Some(digest)));
        assert_eq!((link.user_name.as_str(), link.target_id.as_str()), ("ann@acme.example", "account-1"));
        assert!(link.memory.echoes.is_empty() && link.memory.withheld.is_empty());
        assert_eq!(link_of(&anns(&[("active", json!(false))]), false).state, LinkState::Inactive);
    }

    #[test]
    fn what_truly_differs_is_left_for_the_next_run_and_a_spelling_is_remembered() {
        let other = link_of(&anns(&[("title", json!("Chef"))]), false);
        assert_eq!((other.digest, other.acknowledged.get(&path("title"))), (None, Some(&text("Chef"))));
        let primary = AttributePath::parse("phoneNumbers[primary eq true].value").unwrap();
        let spelled = anns(&[("phoneNumbers", json!([{"value": "+1 (555) 0100", "primary": true}]))]);
        let link = link_of(&spelled, false);
        assert!(link.digest.is_some(), "a spelling of the target's own is no difference");
        assert_eq!(link.memory.echoes[&primary].returned, Some(text("+1 (555) 0100")));
        assert!(!other.memory.echoes.contains_key(&path("title")), "another value is no spelling");
    }

    #[test]
    fn login_and_address_of_an_account_that_was_found_by_address_wait_for_approval() {
        let other = anns(&[("userName", json!("a.archer@acme.example"))]);
        let login = AttributePath::user_name();
        let by_email = link_of(&other, true);
        assert!(by_email.memory.withheld.contains(&login) && by_email.digest.is_none());
        let by_mark = link_of(&other, false);
        assert!(by_mark.memory.withheld.is_empty() && by_mark.digest.is_none());
    }
}
