//! Quarantine: entered, told once, left by itself.

use rosterd::core::quarantine::quarantine;
use rosterd::sim::{Effect, Fault, Peer, okta_error};
use rosterd::store::Snapshot;
use std::time::Duration;

use crate::support::Bench;

async fn is_quarantined(bench: &Bench) -> bool {
    let snapshot = Snapshot::open(&bench.directory.path().join("state")).await.unwrap();
    let health = snapshot.health("default").await.unwrap();
    quarantine(&health, Duration::from_secs(900)).is_some()
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_credentials_lead_into_quarantine_at_once_and_a_success_leads_out() {
    let bench = Bench::okta().await;
    bench.staff(["ann", "ben"]);
    bench.begin().await;
    let token = bench.sim.okta_token();
    bench.sim.okta(|options| options.api_token = "revoked".to_owned());
    let secrets_of_the_bench_still_say = token;
    // The bench reads the token from the double, so the double is told to refuse instead.
    bench.sim.okta(|options| options.api_token = secrets_of_the_bench_still_say);
    bench.sim.faults().add(Fault::on(Peer::Okta).then(Effect::Answer(okta_error(
        401,
        "E0000011",
        "Invalid token provided",
    ))));
    let ended = bench.run().await;
    assert_eq!(ended.code, rosterd::exit::SOURCE, "{ended:#?}");
    assert!(ended.facts.notes.iter().any(|note| note.contains("in quarantine now")), "{ended:#?}");
    assert!(is_quarantined(&bench).await);
    let again = bench.run().await;
    assert!(
        !again.facts.notes.iter().any(|note| note.contains("in quarantine now")),
        "told once: {again:#?}"
    );
    bench.sim.faults().clear();
    let ended = bench.run().await;
    assert!(ended.facts.notes.iter().any(|note| note.contains("recovered")), "{ended:#?}");
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
        bench.run().await;
        assert_eq!(is_quarantined(&bench).await, number == 5, "after {number} failures");
    }
}
