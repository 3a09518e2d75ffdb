//! The plan of one person, as tables: situation to verb, and what stops it.

use serde_json::json;

use crate::config::{Adopt, LifecyclePolicy, MatchBy, RemovalPolicy, UserType};
use crate::core::eligibility::Eligibility;
use crate::core::planner::{Decision, Match, Person, Policy, Tie, changes_login, plan};
use crate::core::removal_cause::removal_verb;
use crate::core::sample_tests::{
    NOW, account, adopt, ann, days, link, map, mapping, mapping_of, path, policy, scope, text, values,
};
use crate::model::account::Account;
use crate::model::attributes::AttributePath;
use crate::model::id::{SourceId, Vendor};
use crate::model::link::{AttributeMemory, Link, LinkState};
use crate::model::order::Observation;
use crate::model::plan::{Disposition, PlannedAction, RemovalCause, Situation, Verb};
use crate::model::time::Millis;

/// When Ann was assigned.
const ASSIGNED: Millis = Millis(NOW.0 - 60_000);

fn qualifies() -> Eligibility {
    Eligibility::Qualifies(Box::new(map(&mapping(), &ann()).unwrap()))
}

fn in_state(state: LinkState) -> Option<Link> {
    Some(Link { state, ..link() })
}

fn free(active: bool) -> Account {
    account(&json!({"id": "account-7", "userName": "Ann@ACME.example", "active": active, "nickName": "N"}))
}

fn one(by: MatchBy) -> Match {
    Match::One { account: free(true), by }
}

/// Plans Ann.
struct Case<'a> {
    eligibility: Eligibility,
    link: Option<Link>,
    hits: Match,
    lifecycle: LifecyclePolicy,
    adopt: Adopt,
    waits: Option<&'a str>,
    owed_deletion: Option<RemovalCause>,
}

impl Case<'_> {
    fn new(eligibility: Eligibility, link: Option<Link>, hits: Match) -> Case<'static> {
        Case {
            eligibility,
            link,
            hits,
            lifecycle: policy(),
            adopt: adopt(),
            waits: None,
            owed_deletion: None,
        }
    }

    fn plan(&self) -> Decision {
        let id = SourceId::new("00uann");
        let person = Person {
            id: &id,
            user: "ann@acme.example",
            eligibility: &self.eligibility,
            link: self.link.as_ref(),
            hits: &self.hits,
            waits: self.waits,
            owed_deletion: self.owed_deletion,
            observation: Observation::before_numbers(NOW),
            assigned_at: Some(ASSIGNED),
        };
        let mapping = mapping();
        plan(&person, &Policy { lifecycle: &self.lifecycle, adopt: &self.adopt, mapping: &mapping }, NOW)
    }

    fn action(&self) -> PlannedAction {
        match self.plan() {
            Decision::Act(action) => *action,
            Decision::Unchanged { .. } => panic!("nothing is planned"),
        }
    }
}

#[test]
fn each_situation_has_its_verb() {
    use Eligibility::{Leaver, OutOfScope, Pending, Suspended};
    use LinkState::{Active, Deactivated, Gone, Inactive};
    let several = || Match::Several("two of them".to_owned());
    let elsewhere = || Match::LinkedElsewhere("somebody's".to_owned());
    let successor = |tie| Match::LinkedToGone {
        account: free(true),
        by: MatchBy::UserName,
        predecessor: SourceId::new("00uold"),
        tie,
    };
    let unknown_mark =
        || Match::UnknownMark { account: free(true), by: MatchBy::UserName, mark: SourceId::new("00uwho") };
    let other = RemovalCause::NotListed;
    // `None` = unchanged, nothing is told.
    type Row = (Eligibility, Option<Link>, Match, Option<(Verb, Situation)>);
    let table: Vec<Row> = vec![
        (qualifies(), in_state(Active), Match::None, None),
        (
            qualifies(),
            in_state(Deactivated(NOW)),
            Match::None,
            Some((Verb::Reactivate, Situation::Returning)),
        ),
        (qualifies(), in_state(Inactive), Match::None, Some((Verb::Reactivate, Situation::Returning))),
        (qualifies(), None, one(MatchBy::UserName), Some((Verb::Adopt, Situation::Found))),
        (qualifies(), None, Match::None, Some((Verb::Create, Situation::Absent))),
        (qualifies(), in_state(Gone(NOW)), Match::None, Some((Verb::Block, Situation::Missing))),
        (qualifies(), in_state(Gone(NOW)), one(MatchBy::UserName), Some((Verb::Adopt, Situation::Relink))),
        (qualifies(), None, several(), Some((Verb::Block, Situation::Ambiguous))),
        (qualifies(), None, elsewhere(), Some((Verb::Block, Situation::TakenElsewhere))),
        (qualifies(), None, successor(Tie::Link), Some((Verb::Adopt, Situation::Successor))),
        (qualifies(), None, successor(Tie::Mark), Some((Verb::Adopt, Situation::Successor))),
        (qualifies(), None, unknown_mark(), Some((Verb::Adopt, Situation::Found))),
        (Pending, None, Match::None, Some((Verb::Skip, Situation::Waiting))),
        (Pending, in_state(Active), Match::None, None),
        (Suspended, in_state(Active), Match::None, Some((Verb::Deactivate, Situation::Suspended))),
        (Suspended, in_state(Deactivated(NOW)), Match::None, None),
        (Suspended, None, Match::None, Some((Verb::Skip, Situation::Gone))),
        (Leaver(other), in_state(Active), Match::None, Some((Verb::Deactivate, Situation::Leaver))),
        (Leaver(RemovalCause::Disabled), in_state(Gone(NOW)), Match::None, None),
        (Leaver(RemovalCause::NotAssigned), None, Match::None, Some((Verb::Skip, Situation::Gone))),
        (OutOfScope, in_state(Active), Match::None, Some((Verb::Deactivate, Situation::OutOfScope))),
        (OutOfScope, None, Match::None, Some((Verb::Skip, Situation::Gone))),
        (
            Eligibility::Blocked("odd".to_owned()),
            in_state(Active),
            Match::None,
            Some((Verb::Block, Situation::Blocked)),
        ),
    ];
    for (eligibility, link, hits, expected) in table {
        let place = format!("{eligibility:?} {:?} {hits:?}", link.as_ref().map(|link| link.state));
        let found = match Case::new(eligibility, link, hits).plan() {
            Decision::Act(action) => Some((action.verb, action.situation)),
            Decision::Unchanged { refresh } => {
                assert_eq!(refresh, None, "{place}");
                None
            }
        };
        assert_eq!(found, expected, "{place}");
    }
}

#[test]
fn the_cause_and_the_configuration_choose_how_somebody_goes() {
    use RemovalPolicy::{Deactivate, Delete, Keep};
    // Cause; on_unassigned, on_deleted, on_suspended; the verb.
    let table = [
        (RemovalCause::NotAssigned, [Delete, Keep, Keep], Some(Verb::Delete)),
        (RemovalCause::Disabled, [Deactivate, Keep, Keep], Some(Verb::Deactivate)),
        (RemovalCause::OutOfScope, [Keep, Delete, Deactivate], None),
        (RemovalCause::Suspended, [Delete, Delete, Deactivate], Some(Verb::Deactivate)),
        (RemovalCause::Suspended, [Delete, Delete, Keep], None),
        (RemovalCause::Deleted, [Keep, Delete, Keep], Some(Verb::Delete)),
        (RemovalCause::Deleted, [Delete, Keep, Keep], None),
        (RemovalCause::NotListed, [Deactivate, Delete, Keep], Some(Verb::Deactivate)),
        (RemovalCause::NotListed, [Keep, Delete, Keep], Some(Verb::Delete)),
        (RemovalCause::NotListed, [Keep, Keep, Keep], None),
        (RemovalCause::DeleteAfter, [Keep, Keep, Keep], Some(Verb::Delete)),
    ];
    for (cause, [on_unassigned, on_deleted, on_suspended], expected) in table {
        let lifecycle = LifecyclePolicy { on_unassigned, on_deleted, on_suspended, ..policy() };
        assert_eq!(removal_verb(cause, &lifecycle), expected, "{cause:?} {lifecycle:?}");
        if cause == RemovalCause::DeleteAfter {
            continue;
        }
        let eligibility = if cause == RemovalCause::Suspended {
            Eligibility::Suspended
        } else {
            Eligibility::Leaver(cause)
        };
        let case = Case { lifecycle, ..Case::new(eligibility, in_state(LinkState::Active), Match::None) };
        let action = case.action();
        assert_eq!(action.verb, expected.unwrap_or(Verb::Skip));
        assert_eq!(action.changes.is_empty(), expected != Some(Verb::Deactivate), "{cause:?}");
        assert_eq!(action.cause, expected.map(|_| cause));
    }
}

#[test]
fn who_stays_away_long_enough_is_deleted_where_the_configuration_says_so() {
    let gone = Eligibility::Leaver(RemovalCause::NotListed);
    let since = |count: u64| LinkState::Deactivated(Millis(NOW.0 - days(count).as_millis() as i64));
    // Since when and how the account is gone, delete_after in days, whether it is deleted.
    let table = [
        (since(29), Some(30), false),
        (since(30), Some(30), true),
        (since(400), None, false),
        (LinkState::Inactive, Some(30), false),
        (LinkState::Gone(Millis(0)), Some(30), false),
    ];
    for (state, after, deletes) in table {
        let lifecycle = LifecyclePolicy { delete_after: after.map(days), ..policy() };
        let case = Case { lifecycle, ..Case::new(gone.clone(), in_state(state), Match::None) };
        let decision = case.plan();
        let is_delete = matches!(&decision, Decision::Act(action)
            if action.verb == Verb::Delete && action.cause == Some(RemovalCause::DeleteAfter));
        assert_eq!(is_delete, deletes, "{state:?} {after:?}");
        assert!(deletes || decision == Decision::Unchanged { refresh: None });
    }
}

#[test]
fn an_owed_deletion_is_wanted_as_long_as_the_cause_deletes_and_the_account_is_deactivated() {
    use RemovalCause::{DeleteAfter, Deleted, Disabled, NotAssigned, NotListed};
    let deactivated = LinkState::Deactivated(Millis(0));
    let deleting = LifecyclePolicy { on_deleted: RemovalPolicy::Delete, ..policy() };
    // What is known now, what was known then, how the account is, and the cause of what is planned.
    let table = [
        (NotListed, Some(Deleted), deactivated, Some(Deleted)),
        (Deleted, Some(Deleted), deactivated, Some(Deleted)),
        (Deleted, Some(NotAssigned), deactivated, Some(Deleted)),
        // Deactivating is what the configuration says of these.
        (NotAssigned, Some(Deleted), deactivated, None),
        (Disabled, Some(Deleted), deactivated, None),
        (NotListed, Some(NotAssigned), deactivated, None),
        (NotListed, Some(DeleteAfter), deactivated, None),
        (Deleted, None, deactivated, None),
        (Deleted, Some(Deleted), LinkState::Inactive, None),
        (Deleted, Some(Deleted), LinkState::Gone(Millis(0)), None),
    ];
    for (now, then, state, planned) in table {
        let case = Case {
            lifecycle: deleting.clone(),
            owed_deletion: then,
            ..Case::new(Eligibility::Leaver(now), in_state(state), Match::None)
        };
        let found = match case.plan() {
            Decision::Act(action) if action.verb == Verb::Delete => action.cause,
            Decision::Act(action) => panic!("{now:?} {then:?} {state:?}: {action:?}"),
            Decision::Unchanged { .. } => None,
        };
        assert_eq!(found, planned, "{now:?} {then:?} {state:?}");
    }
}

#[test]
fn what_is_switched_off_is_planned_and_not_sent() {
    let off =
        LifecyclePolicy { create: false, update: false, deactivate: false, reactivate: false, ..policy() };
    let mut changed = link();
    changed.acknowledged.insert(path("title"), text("Chef"));
    changed.digest = None;
    let since = LinkState::Deactivated(Millis(0));
    let leaver = || Eligibility::Leaver(RemovalCause::NotListed);
    let delete_after = LifecyclePolicy { delete_after: Some(days(1)), ..off.clone() };
    let table = [
        (Case::new(qualifies(), None, Match::None), off.clone(), "lifecycle.create"),
        (Case::new(qualifies(), Some(changed), Match::None), off.clone(), "lifecycle.update"),
        (Case::new(leaver(), in_state(LinkState::Active), Match::None), off.clone(), "lifecycle.deactivate"),
        (Case::new(qualifies(), in_state(since), Match::None), off.clone(), "lifecycle.reactivate"),
        (Case::new(leaver(), in_state(since), Match::None), delete_after, "lifecycle.deactivate"),
    ];
    for (case, lifecycle, switch) in table {
        let action = Case { lifecycle, ..case }.action();
        match &action.disposition {
            Disposition::Disabled(why) => assert!(why.contains(switch), "{why}"),
            other => panic!("{switch}: {other:?}"),
        }
    }
}

#[test]
fn who_waits_for_a_retry_is_deferred_and_what_waits_for_approval_stays_held() {
    let waits = Some("failed 2 times");
    let leaver = Eligibility::Leaver(RemovalCause::NotListed);
    let table = [
        Case::new(qualifies(), None, Match::None),
        Case::new(qualifies(), None, one(MatchBy::UserName)),
        Case::new(qualifies(), in_state(LinkState::Deactivated(NOW)), Match::None),
    ];
    for case in table {
        let action = Case { waits, ..case }.action();
        assert_eq!(action.disposition, Disposition::Deferred("failed 2 times".to_owned()), "{action:?}");
    }
    // A removal is tried in every run: no wait of another try keeps a leaver in.
    let leaves = Case { waits, ..Case::new(leaver, in_state(LinkState::Active), Match::None) };
    assert_eq!(leaves.action().disposition, Disposition::Send);
    let relink = Case::new(qualifies(), in_state(LinkState::Gone(NOW)), one(MatchBy::UserName));
    assert!(matches!(Case { waits, ..relink }.action().disposition, Disposition::Held(_)));
}

#[test]
fn recreating_is_asked_for() {
    let lifecycle = LifecyclePolicy { recreate: true, ..policy() };
    let missing = Case::new(qualifies(), in_state(LinkState::Gone(NOW)), Match::None);
    let action = Case { lifecycle, ..missing }.action();
    assert_eq!((action.verb, action.situation, action.target_id), (Verb::Create, Situation::Missing, None));
}

#[test]
fn an_adoption_brings_what_differs_and_the_activation() {
    let hits = Match::One { account: free(false), by: MatchBy::UserName };
    let action = Case::new(qualifies(), None, hits.clone()).action();
    assert!(action.activate && action.changes[0].path == AttributePath::active());
    assert_eq!(action.user, "Ann@ACME.example", "the login that is there");
    assert!(
        action.changes.iter().all(|change| change.path != AttributePath::user_name()),
        "only another case"
    );
    let found = action.found.clone().unwrap();
    assert_eq!((found.active, found.values.get(&path("nickName"))), (false, None), "only what is ours");
    let lifecycle = LifecyclePolicy { update: false, reactivate: false, ..policy() };
    let action = Case { lifecycle, ..Case::new(qualifies(), None, hits) }.action();
    assert_eq!((action.activate, action.changes.len(), &action.disposition), (false, 0, &Disposition::Send));
}

#[test]
fn an_account_that_does_not_say_whether_it_is_active_is_not_activated() {
    let silent = account(&json!({"id": "account-7", "userName": "ann@acme.example"}));
    let hits = Match::One { account: silent, by: MatchBy::UserName };
    let action = Case::new(qualifies(), None, hits).action();
    assert!(!action.activate && action.found.unwrap().active);
}

#[test]
fn an_adoption_by_address_leaves_login_and_address_and_says_so() {
    let other = account(&json!({
        "id": "account-7", "userName": "a.archer@acme.example", "active": true,
        "emails": [{"value": "a.archer@acme.example", "primary": true}],
    }));
    let action = Case::new(qualifies(), None, Match::One { account: other, by: MatchBy::Email }).action();
    assert!(action.changes.iter().all(|change| !change.path.ignores_case()), "{action:?}");
    let withheld = action.found.unwrap().withheld;
    assert!(
        withheld.contains(&AttributePath::user_name()) && withheld.contains(&AttributePath::primary_email())
    );
    assert!(action.reason.contains("approval"), "{}", action.reason);
}

#[test]
fn what_is_withheld_waits_and_does_not_keep_other_changes_back() {
    let mut adopted = link();
    adopted.acknowledged = values([("userName", "a.archer@acme.example")]);
    adopted.memory = AttributeMemory { withheld: [AttributePath::user_name()].into(), ..adopted.memory };
    let action = Case::new(qualifies(), Some(adopted.clone()), Match::None).action();
    assert_eq!(action.disposition, Disposition::Send);
    assert!(action.changes.iter().all(|change| change.path != AttributePath::user_name()));
    adopted.acknowledged = link().acknowledged;
    adopted.acknowledged.insert(AttributePath::user_name(), text("a.archer@acme.example"));
    let action = Case::new(qualifies(), Some(adopted), Match::None).action();
    assert!(matches!(action.disposition, Disposition::Held(_)));
    assert_eq!(action.changes.len(), 1);
}

#[test]
fn every_adoption_waits_where_the_configuration_says_so() {
    let hold = Adopt { hold: true, ..adopt() };
    let case = Case { adopt: hold, ..Case::new(qualifies(), None, one(MatchBy::ExternalId)) };
    assert!(matches!(case.action().disposition, Disposition::Held(why) if why.contains("adopt.mode")));
}

#[test]
fn the_very_account_that_had_answered_404_needs_no_approval() {
    let back = Account { id: link().target_id, ..free(true) };
    let hits = Match::One { account: back, by: MatchBy::ExternalId };
    let action = Case::new(qualifies(), in_state(LinkState::Gone(NOW)), hits).action();
    assert_eq!((action.verb, &action.disposition), (Verb::Adopt, &Disposition::Send));
}

#[test]
fn a_digest_that_went_stale_is_refreshed_without_a_write() {
    let stale = Link { digest: None, ..link() };
    let decision = Case::new(qualifies(), Some(stale), Match::None).plan();
    assert_eq!(decision, Decision::Unchanged { refresh: link().digest });
    let decision = Case::new(qualifies(), Some(link()), Match::None).plan();
    assert_eq!(decision, Decision::Unchanged { refresh: None });
}

#[test]
fn a_bad_user_type_keeps_only_itself_back() {
    let config = UserType {
        path: "userType".to_owned(),
        from: Some("'Superuser'".to_owned()),
        default: "Regular".to_owned(),
        values: vec!["Regular".to_owned()],
        billable: vec!["Regular".to_owned()],
        groups: Vec::new(),
    };
    let typed = mapping_of(Vendor::Okta, &scope(&[], None), &[], Some(&config));
    let mapped = map(&typed, &ann()).unwrap();
    let eligibility = Eligibility::Qualifies(Box::new(mapped));
    assert_eq!(Case::new(eligibility.clone(), None, Match::None).action().verb, Verb::Block);
    let same = Case::new(eligibility.clone(), Some(link()), Match::None).action();
    assert_eq!((same.verb, same.situation), (Verb::Block, Situation::Confirmed));
    let mut changed = link();
    changed.acknowledged.insert(path("title"), text("Chef"));
    let action = Case::new(eligibility, Some(changed), Match::None).action();
    assert_eq!((action.verb, action.changes.len()), (Verb::Update, 1));
    assert!(action.reason.contains("Superuser"), "{}", action.reason);
}

#[test]
fn a_reason_names_what_differs() {
    let mut changed = link();
    changed.acknowledged.insert(path("title"), text("Chef"));
    assert_eq!(Case::new(qualifies(), Some(changed.clone()), Match::None).action().reason, "title differs");
    changed.acknowledged.insert(path("name.givenName"), text("Anne"));
    let reason = Case::new(qualifies(), Some(changed), Match::None).action().reason;
    assert_eq!(reason, "name.givenName, title differ");
}

#[test]
fn an_account_of_somebody_who_is_gone_or_unknown_waits_with_the_reason() {
    let successor = |tie| Match::LinkedToGone {
        account: free(true),
        by: MatchBy::UserName,
        predecessor: SourceId::new("00uold"),
        tie,
    };
    let unknown =
        Match::UnknownMark { account: free(true), by: MatchBy::Email, mark: SourceId::new("00uwho") };
    let table = [
        (
            successor(Tie::Link),
            "an account with this userName is linked to 00uold, who is gone from the source",
            "the account belonged to an identity that is gone: handing it on needs approval",
        ),
        (
            successor(Tie::Mark),
            "an account with this userName bears the mark of 00uold, who is gone from the source",
            "the account belonged to an identity that is gone: handing it on needs approval",
        ),
        (
            unknown,
            "an account with this e-mail bears the mark of 00uwho, whom the source does not know",
            "the account is marked for somebody whom the source does not know: taking it over needs approval",
        ),
    ];
    for (hits, reason, waits) in table {
        let action = Case::new(qualifies(), None, hits).action();
        let held = Disposition::Held(waits.to_owned());
        assert_eq!((action.verb, &action.disposition), (Verb::Adopt, &held), "{reason}");
        assert!(action.reason.starts_with(reason), "{}", action.reason);
    }
    for (by, rung) in
        [(MatchBy::ExternalId, "externalId"), (MatchBy::UserName, "userName"), (MatchBy::Email, "e-mail")]
    {
        let action = Case::new(qualifies(), None, one(by)).action();
        assert_eq!(action.disposition, Disposition::Send, "{rung}");
        assert!(action.reason.starts_with(&format!("an account with this {rung} exists already")));
    }
}

#[test]
fn who_cannot_be_decided_is_blocked_with_what_was_found() {
    let told = |hits| {
        let action = Case::new(qualifies(), None, hits).action();
        assert_eq!(action.verb, Verb::Block);
        action.reason
    };
    assert_eq!(told(Match::Several("two of them".to_owned())), "two of them");
    assert_eq!(told(Match::LinkedElsewhere("somebody's".to_owned())), "somebody's");
    let unread = Match::Unreadable("the workspace answered 500".to_owned());
    let action = Case::new(qualifies(), None, unread).action();
    assert_eq!(action.disposition, Disposition::Failed("the workspace answered 500".to_owned()));
    assert!(action.reason.contains("cannot be told: the workspace answered 500"), "{}", action.reason);
}

#[test]
fn a_removal_says_why_in_the_words_of_its_cause() {
    let table = [
        (Eligibility::Leaver(RemovalCause::NotListed), "no longer listed by the app"),
        (Eligibility::Leaver(RemovalCause::NotAssigned), "no longer assigned to the app"),
        (Eligibility::Leaver(RemovalCause::Disabled), "deactivated at the source"),
        (Eligibility::Leaver(RemovalCause::Deleted), "deleted at the source"),
        (Eligibility::Suspended, "suspended at the source"),
        (Eligibility::OutOfScope, "out of scope by scope.filter"),
    ];
    for (eligibility, reason) in table {
        let action = Case::new(eligibility, in_state(LinkState::Active), Match::None).action();
        assert_eq!((action.verb, &*action.reason), (Verb::Deactivate, reason));
    }
}

#[test]
fn an_action_knows_its_account_its_seat_and_since_when_the_person_is_assigned() {
    let case = Case::new(qualifies(), None, Match::None);
    let joins = case.action();
    assert_eq!((joins.verb, joins.billable, joins.target_id), (Verb::Create, true, None));
    assert_eq!(joins.assigned_at, Some(ASSIGNED), "seats are given in this order");
    assert_eq!(joins.desired.map(|desired| desired.digest), link().digest);
    for billable in [true, false] {
        let left = Some(Link { billable, ..link() });
        let leaves = Case::new(Eligibility::Leaver(RemovalCause::Disabled), left, Match::None).action();
        assert_eq!((leaves.billable, leaves.target_id), (billable, Some(link().target_id)));
    }
}

#[test]
fn only_a_change_of_the_login_can_take_somebody_elses() {
    let mut renamed = link();
    renamed.acknowledged.insert(AttributePath::user_name(), text("a.archer@acme.example"));
    assert!(changes_login(&Case::new(qualifies(), Some(renamed), Match::None).action().changes));
    let mut promoted = link();
    promoted.acknowledged.insert(path("title"), text("Chef"));
    assert!(!changes_login(&Case::new(qualifies(), Some(promoted), Match::None).action().changes));
}
