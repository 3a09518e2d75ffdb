//! What the door asks of the state that the plan could not know.

use std::sync::Arc;

use crate::core::guard::{Budget, GuardReport};
use crate::model::id::TargetId;
use crate::model::order::{Observation, OrderNumber};
use crate::model::plan::{Disposition, PlannedAction, Situation, Verb};
use crate::store::record::sample_tests::{Book, id, login};
use crate::store::state::door::DoorTerms;
use crate::store::state::door_refusal::DoorRefusal;

fn action(verb: Verb, name: &str, account: &str) -> PlannedAction {
    PlannedAction {
        verb,
        disposition: Disposition::Send,
        target_id: Some(TargetId::new(format!("account-of-{account}"))),
        ..PlannedAction::blank(id(name), login(name), Observation::now())
    }
}

/// Asks the door, for a plan that counted the journal up to here.
async fn ask(book: &Book, run: i64, as_of: i64, action: PlannedAction) -> Option<DoorRefusal> {
    let terms = DoorTerms {
        run,
        at: book.at(),
        budget: Budget {
            limits: Default::default(),
            unattended: true,
            as_of,
            as_of_number: OrderNumber::next(),
        },
        protection: Arc::default(),
        needs_approval: false,
    };
    let permit = GuardReport::default().release(action, false).unwrap().approved;
    book.store.pass_door(&book.tenure, permit, terms).await.unwrap().err()
}

#[tokio::test]
async fn what_another_run_has_sent_since_the_plan_is_counted_at_the_door_and_what_the_plan_knew_is_not() {
    for (as_of, is_held) in [(0, true), (i64::MAX, false)] {
        let mut book = Book::new().await;
        book.run(&["ann", "ben", "cleo", "dan"]).await;
        let other = book.begin().await;
        for name in ["ann", "ben"] {
            book.pass_door(other, action(Verb::Deactivate, name, name)).await;
        }
        book.end(other, Vec::new()).await;
        let run = book.begin().await;
        let refusal = ask(&book, run, as_of, action(Verb::Deactivate, "cleo", "cleo")).await;
        assert_eq!(matches!(refusal, Some(DoorRefusal::Held(_))), is_held, "{as_of}: {refusal:?}");
    }
}

#[tokio::test]
async fn an_account_that_is_linked_to_somebody_else_is_theirs_unless_the_succession_is_approved() {
    let mut book = Book::new().await;
    book.run(&["ann"]).await;
    let run = book.begin().await;
    let succession = |situation, predecessor: Option<&str>| PlannedAction {
        situation,
        predecessor: predecessor.map(id),
        ..action(Verb::Adopt, "ben", "ann")
    };
    for wanted in [
        succession(Situation::Found, None),
        succession(Situation::Successor, None),
        succession(Situation::Successor, Some("ann")),
        succession(Situation::Found, Some("ann")),
    ] {
        let place = format!("{:?} {:?} {:?}", wanted.verb, wanted.situation, wanted.predecessor);
        let refusal = ask(&book, run, i64::MAX, wanted).await;
        assert!(matches!(refusal, Some(DoorRefusal::TakenElsewhere(_))), "{place}: {refusal:?}");
    }
    assert_eq!(ask(&book, run, i64::MAX, action(Verb::Update, "ann", "ann")).await, None, "it is her own");
}
