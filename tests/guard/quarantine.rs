//! Quarantine: entered, told once, left by itself.

use rosterd::core::quarantine::quarantine;
use rosterd::engine::selection::Selection;
use rosterd::sim::{Effect, Fault, Peer, okta_error, scim_error};
use rosterd::store::Snapshot;
use rusqlite::Connection;
use std::time::Duration;

use crate::support::{Bench, Ended, mail};

async fn is_quarantined(bench: &Bench) -> bool {
    let snapshot = Snapshot::open(&bench.directory.path().join("state")).await.unwrap();
    let health = snapshot.health("default").await.unwrap();
    quarantine(&health, Duration::from_secs(900)).is_some()
}

/// The refusals on record are made to be so many minutes older.
fn age_refusals(bench: &Bench, minutes: i64) {
    let database = Connection::open(bench.directory.path().join("state/rosterd.db")).unwrap();
    let aged = "UPDATE refused_credentials SET since = since - ?1, refused_at = refused_at - ?1";
    assert_eq!(database.execute(aged, [minutes * 60_000]).unwrap(), 1);
}

fn begins(ended: &Ended) -> bool {
    ended.facts.notes.iter().any(|note| note.contains("in quarantine now"))
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_refused_in_two_runs_a_minute_apart_lead_into_quarantine_and_a_success_leads_out() {
    let bench = Bench::okta().await;
    bench.staff(["ann", "ben"]);
    bench.begin().await;
    bench.sim.faults().add(Fault::on(Peer::Okta).then(Effect::Answer(okta_error(
        401,
        "E0000011",
        "Invalid token provided",
    ))));
    for _ in 0..2 {
        let ended = bench.run().await;
        assert_eq!((ended.code, begins(&ended)), (rosterd::exit::SOURCE, false), "{ended:#?}");
        assert!(!is_quarantined(&bench).await, "within the same minute");
    }
    age_refusals(&bench, 2);
    // Whatever run is refused counts, also one of named people.
    let ended =
        bench.run_who(Selection::Ids(vec![bench.source_id(bench.world().find(&mail("ann")).unwrap())])).await;
    assert!(begins(&ended), "{ended:#?}");
    assert!(is_quarantined(&bench).await);
    let again = bench.run().await;
    assert!(!begins(&again), "told once: {again:#?}");
    bench.sim.faults().clear();
    let ended = bench.run().await;
    assert!(ended.facts.notes.iter().any(|note| note.contains("recovered")), "{ended:#?}");
    assert!(!is_quarantined(&bench).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_is_answered_with_401_is_refused_credentials() {
    let bench = Bench::okta().await;
    bench.staff(["ann", "ben"]);
    bench.begin().await;
    bench.hire("cleo");
    let refusal = Effect::Answer(scim_error(401, None, "no such token"));
    bench.sim.faults().add(Fault::on(Peer::Scim).method("POST").path("/Users").then(refusal));
    assert_eq!(bench.run().await.code, rosterd::exit::TARGET);
    assert!(!is_quarantined(&bench).await);
    age_refusals(&bench, 2);
    let ended = bench.run().await;
    assert!(begins(&ended), "{ended:#?}");
    bench.sim.faults().clear();
    assert_eq!(bench.run().await.code, rosterd::exit::OK);
    assert!(!is_quarantined(&bench).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn five_failed_runs_in_a_row_lead_into_quarantine() {
    let bench = Bench::okta().await;
    bench.staff(["ann", "ben"]);
    bench.begin().await;
    bench.sim.faults().add(Fault::on(Peer::Okta).then(Effect::Answer(okta_error(
        503,
        "E0000010",
        "read only",
    ))));
    for number in 1..=5 {
        // Runs of named people do not count.
        bench.run_for(&["ann@acme.example"]).await;
        bench.run().await;
        assert_eq!(is_quarantined(&bench).await, number == 5, "after {number} failures");
    }
}
