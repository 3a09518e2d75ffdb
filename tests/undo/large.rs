//! A run of five hundred mixed changes, taken back.

use rosterd::exit;
use rosterd::model::id::Vendor;
use rosterd::model::report::RunResult;
use rosterd::sim::PersonId;

use crate::engine::{number, owned, undo};
use crate::support::{Bench, NO_LIMITS, account_by_hand};

const EACH: usize = 100;

/// A hundred people each who move, leave, come back, are found, and join.
async fn busy_day(bench: &Bench) {
    let crowd = bench.crowd(3 * EACH);
    // Somebody has to stay: otherwise everybody would go.
    bench.staff(["ann", "bob"]);
    let returning: Vec<PersonId> = crowd[2 * EACH..].to_vec();
    bench.begin().await;
    returning.iter().for_each(|person| bench.world().unassign(*person));
    assert_eq!(bench.run().await.facts.summary.deactivate, EACH as u64);
    // "Everybody would go" cannot be switched off, and counts what was sent before.
    bench.pass(std::time::Duration::from_secs(25 * 3600));
    for number in 0..EACH {
        bench.world().add_account(&account_by_hand(&format!("found{number}@acme.example"), number % 2 == 0));
    }
    for (number, person) in crowd.iter().enumerate().take(EACH) {
        bench.world().edit(*person, |person| match number % 4 {
            0 => person.title = Some("Manager".to_owned()),
            1 => person.department = Some(format!("Department {number}")),
            2 => person.primary_phone = Some(format!("+1555020{number}")),
            _ => person.last_name = Some("Smith".to_owned()),
        });
    }
    crowd[EACH..2 * EACH].iter().for_each(|person| bench.world().unassign(*person));
    for (number, person) in returning.iter().enumerate() {
        bench.world().assign(*person);
        if number % 2 == 0 {
            bench.world().edit(*person, |person| person.title = Some("Returned".to_owned()));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_five_hundred_mixed_changes_goes_back_byte_for_byte() {
    for vendor in [Vendor::Okta, Vendor::OneLogin] {
        let bench = Bench::new(vendor).await.tables(NO_LIMITS);
        busy_day(&bench).await;
        let before = owned(&bench);
        for number in 0..EACH {
            bench.hire(&format!("found{number}@acme.example"));
            bench.hire(&format!("joiner{number}@acme.example"));
        }
        let changed = bench.run().await;
        changed.assert_end(exit::OK, RunResult::Ok);
        let summary = changed.facts.summary;
        let each = EACH as u64;
        assert_eq!(
            (summary.update, summary.deactivate, summary.reactivate, summary.adopt, summary.create),
            (each, each, each, each, each),
            "{summary:?}"
        );
        let ended = undo(&bench, number(&changed)).await;
        ended.assert_end(exit::OK, RunResult::Ok);
        assert_eq!(ended.facts.summary.writes(), 5 * each, "{:?}", ended.facts.summary);
        let after = owned(&bench);
        let known: Vec<_> = after.iter().filter(|(id, _)| before.iter().any(|(old, _)| old == id)).collect();
        assert!(known.iter().zip(&before).all(|(now, then)| **now == *then), "{vendor:?}");
        let created: Vec<_> =
            after.iter().filter(|(id, _)| !before.iter().any(|(old, _)| old == id)).collect();
        assert_eq!((known.len(), created.len()), (before.len(), EACH));
        assert!(created.iter().all(|(_, values)| values[2] == false), "{created:?}");
        bench.assert_quiet().await;
        assert_eq!(owned(&bench), after);
    }
}
