//! What is taken back of a run, as far as pure functions go: adding up, comparing, and the proof of a deactivation.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::core::guard::GuardReport;
use crate::core::proof::{ProofKind, ProofOutcome, prove_return};
use crate::core::sample_tests::{NOW, action, policy};
use crate::core::undo::{JournaledWrite, Present, take_back, written_paths};
use crate::model::account::Account;
use crate::model::attributes::{AttributePath, Scalar};
use crate::model::id::TargetId;
use crate::model::link::{AttributeMemory, Echo, EchoKind, Link, LinkState};
use crate::model::order::Observation;
use crate::model::plan::{Change, Disposition, PlannedAction, RemovalCause, Situation, Verb};

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

#[test]
fn of_a_creation_and_of_a_removal_only_the_switch_is_taken_back() {
    for verb in [Verb::Create, Verb::Deactivate] {
        let with_values = JournaledWrite::of(2, &[did(verb, &[change(None, Some("a"))])]);
        assert_eq!(with_values, JournaledWrite::of(2, &[did(verb, &[])]), "{verb:?}");
    }
    let action = back(&[did(Verb::Create, &[change(None, Some("a"))])], &account("a", true));
    assert_eq!(
        (action.verb, action.changes.len()),
        (Verb::Deactivate, 1),
        "a created account stays as it is"
    );
}

#[test]
fn an_adoption_that_activated_is_taken_back_as_an_activation() {
    let adopted = PlannedAction { activate: true, ..did(Verb::Adopt, &[change(Some("a"), Some("b"))]) };
    let action = back(&[adopted], &account("b", true));
    assert_eq!((action.verb, action.cause), (Verb::Deactivate, Some(RemovalCause::Undone)));
    assert_eq!(action.changes.last(), Some(&change(Some("b"), Some("a"))), "and its values with it");
}

#[test]
fn an_action_writes_what_it_changes_and_active_where_it_switches_the_account() {
    let names =
        |action: &PlannedAction| written_paths(action).iter().map(ToString::to_string).collect::<Vec<_>>();
    let title = [change(None, Some("a"))];
    assert_eq!(names(&did(Verb::Update, &title)), ["title"]);
    assert_eq!(names(&did(Verb::Adopt, &title)), ["title"]);
    assert_eq!(names(&PlannedAction { activate: true, ..did(Verb::Adopt, &title) }), ["title", "active"]);
    for verb in [Verb::Create, Verb::Reactivate, Verb::Deactivate, Verb::Delete] {
        assert_eq!(names(&did(verb, &title)), ["title", "active"], "{verb:?}");
    }
}

#[test]
fn a_value_that_the_target_spells_in_its_own_way_is_still_what_the_run_wrote() {
    let nick_name = AttributePath::parse("nickName").unwrap();
    let write = |from: &str, to: &str| {
        let change =
            Change { path: nick_name.clone(), from: Some(Scalar::from(from)), to: Some(Scalar::from(to)) };
        JournaledWrite::of(2, &[did(Verb::Update, &[change])]).unwrap()
    };
    let shown = |nick: &str| {
        let resource = json!({"id": "7", "userName": "ann@acme.com", "nickName": nick, "active": true});
        Account::from_resource(resource.as_object().unwrap().clone()).unwrap()
    };
    let echoes = |sent: &str, returned: &str| {
        let echo = Echo {
            sent: Scalar::from(sent),
            returned: Some(Scalar::from(returned)),
            kind: EchoKind::Normalised,
        };
        AttributeMemory { echoes: [(nick_name.clone(), echo)].into(), ..AttributeMemory::default() }
    };
    let verb = |memory: AttributeMemory, nick: &str| {
        let (link, written_since) = (Link { memory, ..link() }, BTreeMap::new());
        let account = shown(nick);
        let present = Present {
            link: Some(&link),
            account: Some(&account),
            observation: Observation::before_numbers(NOW),
            written_since: &written_since,
            source_digest: None,
        };
        take_back(&write("Old", "N 12"), &present, &policy()).verb
    };
    let table = [
        (AttributeMemory::default(), "n 12", Verb::Update, "in another case"),
        (AttributeMemory::default(), "N-12", Verb::Block, "nobody knows this spelling"),
        (echoes("N 12", "N-12"), "N-12", Verb::Update, "the spelling that came back"),
        (echoes("N 12", "N-13"), "N-12", Verb::Block, "another spelling came back"),
        (echoes("N 13", "N-12"), "N-12", Verb::Block, "another value was spelled so"),
        (AttributeMemory::default(), "Old", Verb::Skip, "it is back already"),
    ];
    for (memory, nick, expected, why) in table {
        assert_eq!(verb(memory, nick), expected, "{why}");
    }
}

#[test]
fn a_return_says_what_it_takes_back_and_what_has_moved_on() {
    let updated = [did(Verb::Update, &[change(Some("a"), Some("b"))])];
    let moved = back(&updated, &account("c", true));
    assert_eq!((moved.verb, moved.situation), (Verb::Block, Situation::Blocked));
    assert_eq!(moved.reason, "moved on: title is \"c\" now, run 2 wrote \"b\"");
    let action = back(&updated, &account("b", true));
    assert_eq!((&*action.reason, action.situation), ("takes back what run 2 changed", Situation::Confirmed));
    assert_eq!((&*action.user, action.target_id), ("ann@acme.com", Some(TargetId::new("7"))));
    let action = back(&[did(Verb::Create, &[])], &account("a", true));
    assert_eq!(action.reason, "run 2 created the account; it is deactivated, not deleted");
    let action = back(&updated, &account("a", true));
    assert_eq!((action.verb, action.situation), (Verb::Skip, Situation::Confirmed));
    assert_eq!(action.reason, "is as it was before run 2 already");
    let gone = back(&[did(Verb::Delete, &[])], &account("a", true));
    assert_eq!(gone.reason, "run 2 deleted the account: it cannot come back");
    assert_eq!(JournaledWrite::of(2, &updated).unwrap().run(), 2);
}
