//! A read that makes no progress ends; one that goes on may take as long as it needs.

use rosterd::sim::{Effect, Fault, Peer};
use std::time::Duration;

use crate::support::Bench;

#[tokio::test(flavor = "multi_thread")]
async fn a_read_without_a_new_page_for_max_read_ends_as_incomplete() {
    let mut bench = Bench::okta().await;
    bench.max_read = Some(Duration::from_secs(2));
    bench.staff(["ann", "ben"]);
    bench.begin().await;
    let stuck = Effect::Delay(Duration::from_secs(20));
    bench.sim.faults().add(Fault::on(Peer::Okta).path("/apps/").then(stuck));
    let ended = bench.run().await;
    assert_eq!(ended.code, rosterd::exit::SOURCE, "{ended:#?}");
    let problem = ended.facts.source.problem.unwrap();
    assert!(problem.contains("no new page for 2 s, which is max_read"), "{problem}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_whose_pages_come_slowly_takes_as_long_as_it_needs() {
    let mut bench = Bench::okta().await;
    bench.max_read = Some(Duration::from_secs(2));
    bench.crowd(6);
    bench.sim.okta(|okta| okta.page_cap = Some(1));
    let slow = Effect::Delay(Duration::from_millis(600));
    bench.sim.faults().add(Fault::on(Peer::Okta).path("/users").then(slow));
    let ended = bench.run().await;
    assert_eq!(ended.code, rosterd::exit::OK, "{ended:#?}");
}
