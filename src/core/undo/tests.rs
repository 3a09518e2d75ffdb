//! What is taken back of a run, as far as pure functions go: adding up, comparing, and the proof of a deactivation.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::core::guard::GuardReport;
use crate::core::proof::{ProofKind, ProofOutcome, prove_return};
use crate::core::sample_tests::{NOW, action, policy};
use crate::core::undo::{JournaledWrite, Present, take_back};
use crate::model::account::Account;
use crate::model::attributes::{AttributePath, Scalar};
use crate::model::id::TargetId;
use crate::model::link::{AttributeMemory, Link, LinkState};
use crate::model::order::Observation;
use crate::model::plan::{Change, Disposition, PlannedAction, RemovalCause, Verb};

fn title() -> AttributePath {
    AttributePath::parse("title").unwrap()
}

fn change(from: Option<&str>, to: Option<&str>) -> Change {
    Change { path: title(), from: from.map(Scalar::from), to: to.map(Scalar::from) }
}

fn did(verb: Verb, changes: &[Change]) -> PlannedAction {
    let target_id = (verb != Verb::Create).then(|| TargetId::new("7"));
    PlannedAction {
        target_id,
        activate: verb == Verb::Reactivate,
        changes: changes.to_vec(),
        ..action(verb, &[])
    }
}

fn account(title: &str, active: bool) -> Account {
    let Value::Object(resource) =
        json!({"id": "7", "userName": "ann@acme.com", "title": title, "active": active})
    else {
        unreachable!("it is an object")
    };
    Account::from_resource(resource).unwrap()
}

fn link() -> Link {
    Link {
        source_id: action(Verb::Update, &[]).source_id,
        target_id: TargetId::new("7"),
        user_name: "ann@acme.com".to_owned(),
        acknowledged: BTreeMap::new(),
        state: LinkState::Active,
        digest: None,
        memory: AttributeMemory::default(),
        absent_since: None,
        last_listed_at: None,
        removal_seen: true,
        cause: None,
        billable: true,
        observation: Observation::before_numbers(NOW),
    }
}

fn back(did: &[PlannedAction], shown: &Account) -> PlannedAction {
    let (write, link, written_since) = (JournaledWrite::of(2, did).unwrap(), link(), BTreeMap::new());
    let present = Present {
        link: Some(&link),
        account: Some(shown),
        observation: Observation::before_numbers(NOW),
        written_since: &written_since,
        source_digest: None,
    };
    take_back(&write, &present, &policy())
}

#[test]
fn several_writes_of_one_run_go_back_as_one() {
    let run = [
        did(Verb::Update, &[change(Some("a"), Some("b"))]),
        did(Verb::Update, &[change(Some("b"), Some("c"))]),
    ];
    let action = back(&run, &account("c", true));
    assert_eq!((action.verb, action.changes), (Verb::Update, vec![change(Some("c"), Some("a"))]));
    assert_eq!(JournaledWrite::of(2, &[]), None);
    // There and back again is nothing.
    let run = [
        did(Verb::Update, &[change(Some("a"), Some("b"))]),
        did(Verb::Update, &[change(Some("b"), Some("a"))]),
    ];
    assert_eq!(back(&run, &account("a", true)).verb, Verb::Skip);
}

#[test]
fn only_a_run_that_made_an_account_active_leads_to_a_deactivation() {
    for (verb, active, expected) in [
        (Verb::Create, true, Verb::Deactivate),
        (Verb::Reactivate, true, Verb::Deactivate),
        (Verb::Deactivate, false, Verb::Reactivate),
        (Verb::Deactivate, true, Verb::Skip),
        (Verb::Create, false, Verb::Skip),
        (Verb::Update, true, Verb::Skip),
        (Verb::Adopt, true, Verb::Skip),
        (Verb::Delete, true, Verb::Block),
    ] {
        let action = back(&[did(verb, &[])], &account("a", active));
        assert_eq!(action.verb, expected, "{verb:?} {active}");
        let cause = (expected == Verb::Deactivate).then_some(RemovalCause::Undone);
        assert_eq!(action.cause, cause, "{verb:?}");
    }
}

#[test]
fn what_is_switched_off_is_planned_and_not_sent() {
    let mut policy = policy();
    policy.deactivate = false;
    let (write, link, written_since) =
        (JournaledWrite::of(2, &[did(Verb::Create, &[])]).unwrap(), link(), BTreeMap::new());
    let shown = account("a", true);
    let present = Present {
        link: Some(&link),
        account: Some(&shown),
        observation: Observation::before_numbers(NOW),
        written_since: &written_since,
        source_digest: None,
    };
    let action = take_back(&write, &present, &policy);
    assert_eq!(action.disposition, Disposition::Disabled("lifecycle.deactivate = false".to_owned()));
}

fn proven(
    action: PlannedAction,
    write: Option<&JournaledWrite>,
    shown: Option<&Account>,
) -> Option<(ProofKind, Verb)> {
    let approved = GuardReport::default().release(action, true).unwrap().approved;
    match prove_return(approved, write, shown, Observation::before_numbers(NOW)) {
        ProofOutcome::Proven(proven) => Some((proven.kind(), proven.verb())),
        ProofOutcome::Kept(..)
        | ProofOutcome::Stronger(..)
        | ProofOutcome::StillAssigned(..)
        | ProofOutcome::Unproven(..) => None,
    }
}

#[test]
fn a_return_proves_a_deactivation_and_nothing_else() {
    let created = JournaledWrite::of(2, &[did(Verb::Create, &[])]).unwrap();
    let updated = JournaledWrite::of(2, &[did(Verb::Update, &[change(None, Some("a"))])]).unwrap();
    let (active, inactive) = (account("a", true), account("a", false));
    let asked = back(&[did(Verb::Create, &[])], &active);
    let yes = Some((ProofKind::Undone, Verb::Deactivate));
    assert_eq!(proven(asked.clone(), Some(&created), Some(&active)), yes);
    assert_eq!(proven(asked.clone(), Some(&created), Some(&inactive)), None);
    assert_eq!(proven(asked.clone(), Some(&created), None), None);
    assert_eq!(proven(asked.clone(), Some(&updated), Some(&active)), None, "the run did not make it active");
    assert_eq!(proven(asked.clone(), None, Some(&active)), None);
    let elsewhere = PlannedAction { target_id: Some(TargetId::new("8")), ..asked.clone() };
    assert_eq!(proven(elsewhere, Some(&created), Some(&active)), None);
    let deletion = PlannedAction { verb: Verb::Delete, ..asked.clone() };
    assert_eq!(proven(deletion, Some(&created), Some(&active)), None, "nothing is ever deleted by a return");
    // What an ordinary run plans cannot be proven this way, whatever the journal holds.
    for cause in
        [None, Some(RemovalCause::NotListed), Some(RemovalCause::NotAssigned), Some(RemovalCause::Disabled)]
    {
        let ordinary = PlannedAction { cause, ..asked.clone() };
        assert_eq!(proven(ordinary, Some(&created), Some(&active)), None, "{cause:?}");
    }
}
