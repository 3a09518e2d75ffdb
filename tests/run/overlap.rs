//! Runs that overlap: whoever saw a person last is right, and nothing older is sent.

use std::time::Duration;

use rosterd::engine::selection::Selection;
use rosterd::exit;
use rosterd::model::id::Vendor;
use rosterd::model::report::Outcome;
use rosterd::sim::{Effect, Fault, Peer, PersonId};

use crate::support::{Bench, Ended, Shared, WIDE_LIMITS};

const BOTH: [Vendor; 2] = [Vendor::Okta, Vendor::OneLogin];

/// A full run that has read everybody and is held up at its first write, about somebody else; then `meanwhile`, then
/// a run about `person` alone; then the full run goes on.
async fn interleaved(
    bench: &Bench,
    shared: &Shared<'_>,
    person: PersonId,
    meanwhile: impl FnOnce(),
) -> (Ended, Ended) {
    let slow = Fault::on(Peer::Scim).method("PATCH").nth(1);
    let number = bench.sim.faults().add(slow.then(Effect::Delay(Duration::from_millis(1500))));
    let full = shared.run(Selection::Everybody);
    let later = async {
        while bench.sim.faults().fired(number) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        meanwhile();
        shared.run(Selection::Ids(vec![bench.source_id(person)])).await
    };
    let (full, later) = tokio::join!(full, later);
    bench.sim.faults().clear();
    (full, later)
}

fn one_by_one(bench: Bench) -> Bench {
    bench.tables(WIDE_LIMITS).target("concurrency = 1\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_rests_on_an_older_look_does_not_touch_a_leaver_who_was_removed_meanwhile() {
    for vendor in BOTH {
        let bench = one_by_one(Bench::new(vendor).await);
        let [ann, ben, _] = bench.staff(["ann", "ben", "cleo"]);
        bench.begin().await;
        // Both differ; the first write is about one of them, and ann is taken away while it is under way.
        bench.world().edit(ben, |person| person.title = Some("Lead".to_owned()));
        bench.hire("zoe");
        let shared = bench.open().await;
        let (full, later) = interleaved(&bench, &shared, ann, || bench.world().unassign(ann)).await;
        assert_eq!(later.facts.summary.deactivate, 1, "{vendor:?} {later:#?}");
        assert_eq!(full.code, exit::OK, "{vendor:?} {full:#?}");
        assert!(!bench.is_active("ann") && bench.is_active("zoe"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reactivation_that_was_planned_before_somebody_left_again_is_not_sent() {
    for vendor in BOTH {
        let bench = one_by_one(Bench::new(vendor).await);
        let [ann, ben, _] = bench.staff(["ann", "ben", "cleo"]);
        bench.begin().await;
        bench.world().unassign(ann);
        bench.run().await;
        assert!(!bench.is_active("ann"));
        // The update goes out first; ann's return is planned behind it.
        bench.world().assign(ann);
        bench.world().edit(ben, |person| person.title = Some("Lead".to_owned()));
        let shared = bench.open().await;
        let (full, _) = interleaved(&bench, &shared, ann, || bench.world().unassign(ann)).await;
        assert_eq!(full.of("ann").outcome, Outcome::Deferred, "{vendor:?} {full:#?}");
        assert_eq!(full.facts.summary.update, 1, "{vendor:?} {full:#?}");
        assert!(!bench.is_active("ann"), "{vendor:?}: the access was given back");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creation_that_was_planned_before_somebody_left_is_not_sent() {
    for vendor in BOTH {
        let bench = one_by_one(Bench::new(vendor).await);
        let [ben, _] = bench.staff(["ben", "cleo"]);
        bench.begin().await;
        bench.world().edit(ben, |person| person.title = Some("Lead".to_owned()));
        let ann = bench.hire("ann");
        let shared = bench.open().await;
        let (full, _) = interleaved(&bench, &shared, ann, || bench.world().unassign(ann)).await;
        assert_eq!(full.of("ann").outcome, Outcome::Deferred, "{vendor:?} {full:#?}");
        assert!(bench.world().account("ann@acme.example").is_none(), "{vendor:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_joins_while_a_full_run_applies_gets_one_account() {
    for vendor in BOTH {
        let bench = one_by_one(Bench::new(vendor).await);
        let [ben, _] = bench.staff(["ben", "cleo"]);
        bench.begin().await;
        bench.world().edit(ben, |person| person.title = Some("Lead".to_owned()));
        let ann = bench.hire("ann");
        let shared = bench.open().await;
        let (full, later) = interleaved(&bench, &shared, ann, || {}).await;
        assert_eq!(later.facts.summary.create, 1, "{vendor:?} {later:#?}");
        assert_eq!(
            (full.code, full.of("ann").outcome),
            (exit::OK, Outcome::Deferred),
            "{vendor:?} {full:#?}"
        );
        let accounts = bench.world().accounts();
        assert_eq!(accounts.iter().filter(|account| account.user_name() == "ann@acme.example").count(), 1);
        shared.close().await;
        bench.assert_quiet().await;
    }
}
