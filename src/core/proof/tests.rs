//! Proofs, as a table: what a fresh point read shows, and what may then be done.

use crate::config::{LifecyclePolicy, RemovalPolicy};
use crate::core::guard::GuardReport;
use crate::core::proof::{DeletionWitness, ProofKind, ProofOutcome, prove};
use crate::core::sample_tests::{NOW, action, ann, mapping, mapping_of, okta, policy, scope};
use crate::model::id::Vendor;
use crate::model::identity::{Finding, Identity, PointRead, VendorStatus};
use crate::model::order::Observation;
use crate::model::plan::{PlannedAction, RemovalCause, Verb};
use crate::model::time::Millis;

fn removal(verb: Verb, cause: RemovalCause) -> PlannedAction {
    PlannedAction { cause: Some(cause), ..action(verb, &[]) }
}

fn judged(
    action: PlannedAction,
    finding: Finding,
    witness: DeletionWitness,
    policy: &LifecyclePolicy,
) -> ProofOutcome {
    let approved = GuardReport::default().release(action, false).unwrap().approved;
    prove(
        approved,
        &PointRead { observation: Observation::before_numbers(NOW), finding },
        witness,
        &mapping(),
        policy,
    )
}

fn assigned(status: &str) -> Finding {
    Finding::Assigned(Box::new(Identity { status: okta(status), ..ann() }))
}

fn not_assigned(status: &str) -> Finding {
    Finding::NotAssigned(Box::new(Identity { status: okta(status), assigned: false, ..ann() }))
}

/// The verdict in short.
#[derive(Debug, PartialEq)]
enum Short {
    Proven(ProofKind, Verb),
    Kept,
    Stronger,
    StillAssigned,
    Unproven,
}

fn short(verdict: &ProofOutcome) -> Short {
    match verdict {
        ProofOutcome::Proven(proven) => Short::Proven(proven.kind(), proven.verb()),
        ProofOutcome::Kept(..) => Short::Kept,
        ProofOutcome::Stronger(..) => Short::Stronger,
        ProofOutcome::StillAssigned(..) => Short::StillAssigned,
        ProofOutcome::Unproven(..) => Short::Unproven,
    }
}

#[test]
fn only_what_the_source_says_itself_proves_anything() {
    use DeletionWitness::{Event, None as Nobody, TwoReads};
    let inconclusive = || Finding::Inconclusive("a proxy's page".to_owned());
    let nameless = || Finding::Assigned(Box::new(Identity { status: VendorStatus::Okta(None), ..ann() }));
    let table = [
        (not_assigned("ACTIVE"), Nobody, Short::Proven(ProofKind::NotAssigned, Verb::Deactivate)),
        (not_assigned("SUSPENDED"), Nobody, Short::Proven(ProofKind::NotAssigned, Verb::Deactivate)),
        (not_assigned("DEPROVISIONED"), Nobody, Short::Proven(ProofKind::Disabled, Verb::Deactivate)),
        (assigned("DEPROVISIONED"), Nobody, Short::Proven(ProofKind::Disabled, Verb::Deactivate)),
        (assigned("SUSPENDED"), Nobody, Short::Proven(ProofKind::Suspended, Verb::Deactivate)),
        (assigned("ACTIVE"), Nobody, Short::StillAssigned),
        (assigned("LOCKED_OUT"), Event, Short::StillAssigned),
        (assigned("STAGED"), Nobody, Short::StillAssigned),
        (assigned("NEW_WORD"), Nobody, Short::Unproven),
        (nameless(), Nobody, Short::Unproven),
        (inconclusive(), Nobody, Short::Unproven),
        (inconclusive(), Event, Short::Unproven),
        (Finding::UserGone, Nobody, Short::Unproven),
        (Finding::UserGone, Event, Short::Proven(ProofKind::Deleted, Verb::Deactivate)),
        (Finding::UserGone, TwoReads, Short::Proven(ProofKind::Deleted, Verb::Deactivate)),
    ];
    for (finding, witness, expected) in table {
        let place = format!("{finding:?} {witness:?}");
        let verdict = judged(removal(Verb::Deactivate, RemovalCause::NotListed), finding, witness, &policy());
        assert_eq!(short(&verdict), expected, "{place}");
    }
}

#[test]
fn the_proof_and_not_the_absence_chooses_the_policy() {
    use RemovalPolicy::{Deactivate, Delete, Keep};
    // on_unassigned, on_deleted, on_suspended; the planned verb; what is found; the verdict.
    let gone = || (Finding::UserGone, DeletionWitness::Event);
    let off = || (not_assigned("ACTIVE"), DeletionWitness::None);
    let disabled = || (not_assigned("DEPROVISIONED"), DeletionWitness::None);
    let suspended = || (assigned("SUSPENDED"), DeletionWitness::None);
    let table = [
        (Deactivate, Delete, Deactivate, Verb::Deactivate, gone(), Short::Stronger),
        (Deactivate, Keep, Deactivate, Verb::Deactivate, gone(), Short::Kept),
        (
            Delete,
            Deactivate,
            Deactivate,
            Verb::Delete,
            gone(),
            Short::Proven(ProofKind::Deleted, Verb::Deactivate),
        ),
        (
            Delete,
            Delete,
            Deactivate,
            Verb::Delete,
            off(),
            Short::Proven(ProofKind::NotAssigned, Verb::Delete),
        ),
        (Keep, Delete, Deactivate, Verb::Delete, off(), Short::Kept),
        (Keep, Delete, Deactivate, Verb::Delete, disabled(), Short::Kept),
        (Keep, Delete, Deactivate, Verb::Delete, gone(), Short::Proven(ProofKind::Deleted, Verb::Delete)),
        (Delete, Delete, Keep, Verb::Delete, suspended(), Short::Kept),
        (
            Delete,
            Delete,
            Deactivate,
            Verb::Delete,
            suspended(),
            Short::Proven(ProofKind::Suspended, Verb::Deactivate),
        ),
        (Delete, Delete, Deactivate, Verb::Deactivate, off(), Short::Stronger),
    ];
    for (on_unassigned, on_deleted, on_suspended, verb, (finding, witness), expected) in table {
        let policy = LifecyclePolicy { on_unassigned, on_deleted, on_suspended, ..policy() };
        let place = format!("{policy:?} {verb:?} {finding:?}");
        let verdict = judged(removal(verb, RemovalCause::NotListed), finding, witness, &policy);
        assert_eq!(short(&verdict), expected, "{place}");
    }
}

#[test]
fn a_milder_verb_shows_its_change_and_a_stronger_one_does_not() {
    let milder = LifecyclePolicy { on_unassigned: RemovalPolicy::Delete, ..policy() };
    let read = (assigned("SUSPENDED"), DeletionWitness::None);
    match judged(removal(Verb::Delete, RemovalCause::NotListed), read.0, read.1, &milder) {
        ProofOutcome::Proven(proven) => {
            assert_eq!((proven.verb(), proven.action().changes.len()), (Verb::Deactivate, 1));
            assert_eq!(proven.action().cause, Some(RemovalCause::Suspended));
        }
        other => panic!("{other:?}"),
    }
    let stronger = LifecyclePolicy { on_deleted: RemovalPolicy::Delete, ..policy() };
    let mut planned = removal(Verb::Deactivate, RemovalCause::NotListed);
    planned.changes = vec![crate::core::diff::activation(Some(true), false)];
    match judged(planned, Finding::UserGone, DeletionWitness::Event, &stronger) {
        ProofOutcome::Stronger(action, _) => {
            assert_eq!((action.verb, action.changes.len()), (Verb::Delete, 0))
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_second_step_of_a_leave_stays_a_deletion_whatever_is_proven() {
    for finding in [not_assigned("ACTIVE"), not_assigned("DEPROVISIONED"), assigned("SUSPENDED")] {
        let planned = removal(Verb::Delete, RemovalCause::DeleteAfter);
        match judged(planned, finding, DeletionWitness::None, &policy()) {
            ProofOutcome::Proven(proven) => {
                assert_eq!(proven.verb(), Verb::Delete);
                assert_eq!(proven.action().cause, Some(RemovalCause::DeleteAfter));
            }
            other => panic!("{other:?}"),
        }
    }
    let planned = removal(Verb::Delete, RemovalCause::DeleteAfter);
    let verdict = judged(planned, assigned("ACTIVE"), DeletionWitness::None, &policy());
    assert_eq!(short(&verdict), Short::StillAssigned, "who is back is not deleted");
}

#[test]
fn the_scope_is_evaluated_again_on_the_fresh_record() {
    for (filter, expected) in [
        ("user.department == 'Sales'", Short::Proven(ProofKind::OutOfScope, Verb::Deactivate)),
        ("user.department == 'Research'", Short::StillAssigned),
        ("1 // 0 == 1", Short::Unproven),
    ] {
        let mapping = mapping_of(Vendor::Okta, &scope(&[], Some(filter)), &[], None);
        let planned = removal(Verb::Deactivate, RemovalCause::OutOfScope);
        let approved = GuardReport::default().release(planned, false).unwrap().approved;
        let read = PointRead { observation: Observation::before_numbers(NOW), finding: assigned("ACTIVE") };
        let verdict = prove(approved, &read, DeletionWitness::None, &mapping, &policy());
        assert_eq!(short(&verdict), expected, "{filter}");
    }
}

#[test]
fn without_an_account_there_is_nothing_to_prove() {
    let planned = PlannedAction { target_id: None, ..removal(Verb::Deactivate, RemovalCause::NotAssigned) };
    let verdict = judged(planned, not_assigned("ACTIVE"), DeletionWitness::None, &policy());
    assert_eq!(short(&verdict), Short::Unproven);
}

#[test]
fn a_proof_is_good_for_two_minutes() {
    let planned = removal(Verb::Deactivate, RemovalCause::NotListed);
    let ProofOutcome::Proven(proven) =
        judged(planned, not_assigned("ACTIVE"), DeletionWitness::None, &policy())
    else {
        panic!("it is proven");
    };
    assert_eq!(proven.observation().at, NOW);
    for (later, fresh) in [(0, true), (2 * 60_000 - 1, true), (2 * 60_000, false), (-1, false)] {
        assert_eq!(proven.is_fresh(Millis(NOW.0 + later)), fresh, "{later} ms later");
    }
}

#[test]
fn a_deletion_that_only_two_reads_before_the_log_show_is_for_a_person_to_decide() {
    use DeletionWitness::{Event, TwoReads, TwoReadsBeforeLog};
    let waits = |finding, witness| match judged(
        removal(Verb::Deactivate, RemovalCause::NotListed),
        finding,
        witness,
        &policy(),
    ) {
        ProofOutcome::Proven(proven) => proven.needs_approval().map(str::to_owned),
        other => panic!("{other:?}"),
    };
    for witness in [Event, TwoReads] {
        assert_eq!(waits(Finding::UserGone, witness), None, "{witness:?}");
    }
    let why = waits(Finding::UserGone, TwoReadsBeforeLog).unwrap();
    assert!(why.contains("a person has to decide"), "{why}");
    assert_eq!(
        waits(not_assigned("ACTIVE"), TwoReadsBeforeLog),
        None,
        "the source says itself that they left"
    );
}

#[test]
fn values_that_go_back_are_a_write_of_their_own_and_the_removal_has_none_of_them() {
    let mut planned = action(Verb::Deactivate, &[("title", Some("Chef"), Some("Engineer"))]);
    planned.cause = Some(RemovalCause::NotListed);
    let title = planned.changes.clone();
    let active = vec![crate::core::diff::activation(Some(true), false)];
    planned.changes.extend(active.clone());
    let proven = |planned: &PlannedAction| match judged(
        planned.clone(),
        not_assigned("ACTIVE"),
        DeletionWitness::None,
        &policy(),
    ) {
        ProofOutcome::Proven(proven) => proven,
        other => panic!("{other:?}"),
    };
    let values = proven(&planned).values().unwrap().into_action();
    assert_eq!((values.verb, values.cause, values.changes), (Verb::Update, None, title));
    let removal = proven(&planned).without_values();
    assert_eq!((removal.verb(), &removal.action().changes), (Verb::Deactivate, &active));
    planned.changes = active;
    assert!(proven(&planned).values().is_none(), "nothing goes back");
}
