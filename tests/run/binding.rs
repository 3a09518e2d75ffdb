//! What a sync's links belong to, and several syncs in one state.

use rosterd::engine::selection::Selection;
use rosterd::exit;
use rosterd::model::id::Vendor;
use rosterd::model::plan::{Situation, Verb};
use rosterd::model::report::{Outcome, RunResult};
use rosterd::sim::{Sim, SimOptions};
use serde_json::json;

use crate::support::{Bench, Mode};

const BOTH: [Vendor; 2] = [Vendor::Okta, Vendor::OneLogin];

#[tokio::test]
async fn links_of_another_app_or_workspace_are_refused_and_nothing_is_read_or_written() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        bench.staff(["ann", "ben"]);
        bench.begin().await;
        let other = Sim::start(SimOptions { seed: 9, ..SimOptions::default() }).await.unwrap();
        let text = bench.text();
        let another = if vendor == Vendor::Okta { "0oaAnother123" } else { "777777" };
        let (app, origin) = match vendor {
            Vendor::Okta => (bench.sim.okta_app_id(), (bench.sim.okta_url(), other.okta_url())),
            Vendor::OneLogin => {
                (bench.sim.onelogin_app_id(), (bench.sim.onelogin_url(), other.onelogin_url()))
            }
        };
        let moved = [
            text.replace(&app, another),
            text.replace(origin.0, origin.1),
            text.replace(bench.sim.scim_url(), other.scim_url()),
        ];
        for text in moved {
            assert_ne!(text, bench.text());
            for mode in [Mode::Dry, Mode::Real] {
                let ended = bench.all(&text, Selection::Everybody, mode).await;
                ended[0].assert_end(exit::CONFIG, RunResult::Error);
                let told = ended[0].problems();
                assert!(told.contains("rosterd transfer") && told.contains("rosterd rebuild"), "{told}");
            }
        }
        assert!(bench.sim.all_requests().is_empty() && other.all_requests().is_empty());
        bench.assert_quiet().await;
    }
}

#[tokio::test]
async fn a_sync_without_links_may_be_pointed_elsewhere() {
    let bench = Bench::okta().await;
    bench.begin().await;
    let bench = Bench { vendor: Vendor::OneLogin, ..bench };
    bench.hire("ann");
    bench.run().await.assert_line("ann", Verb::Create, Outcome::Applied);
}

#[tokio::test]
async fn a_slash_at_the_end_of_the_address_is_the_same_workspace() {
    let bench = Bench::okta().await;
    bench.hire("ann");
    bench.begin().await;
    let url = bench.sim.scim_url().to_owned();
    let text = bench.text().replace(&format!("\"{url}\""), &format!("\"{url}/\""));
    let ended = bench.all(&text, Selection::Everybody, Mode::Real).await;
    ended[0].assert_end(exit::OK, RunResult::Ok);
    assert_eq!(bench.writes(), Vec::<String>::new());
}

/// One state, one workspace, and the same people in both identity providers.
fn two_syncs(bench: &Bench, other: &Bench) -> String {
    format!("{}\n{}", bench.text().replace("\"default\"", "\"first\""), other.sync_text("second"))
}

#[tokio::test]
async fn an_account_is_linked_once_over_all_syncs_of_a_workspace() {
    let bench = Bench::okta().await;
    let [ann, _] = bench.staff(["ann", "ben"]);
    let text = {
        let first = bench.text().replace("name = \"default\"", "name = \"first\"");
        let other = Bench { vendor: Vendor::OneLogin, ..Bench::okta().await };
        // The second sync reads the same world as OneLogin shows it.
        let second = other
            .sync_text("second")
            .replace(other.sim.onelogin_url(), bench.sim.onelogin_url())
            .replace(other.sim.scim_url(), bench.sim.scim_url());
        format!("{first}\n{second}")
    };
    let ended = bench.all(&text, Selection::Everybody, Mode::Real).await;
    ended[0].assert_end(exit::OK, RunResult::Ok);
    assert_eq!(ended[0].facts.summary.create, 2);
    ended[1].assert_end(exit::OK, RunResult::Ok);
    for name in ["ann", "ben"] {
        ended[1].assert_line(name, Verb::Block, Outcome::Skipped);
        assert_eq!(ended[1].of(name).situation, Situation::TakenElsewhere);
        assert!(ended[1].words_of(name).contains("\"first\""), "{:?}", ended[1]);
    }
    assert_eq!(bench.account("ann").at("/externalId"), json!(bench.source_id(ann).as_str()));
    // Who leaves the first is removed by the first and by nobody else.
    bench.world().unassign(ann);
    bench.sim.clear_requests();
    let ended = bench.all(&text, Selection::Everybody, Mode::Real).await;
    ended[0].assert_line("ann", Verb::Deactivate, Outcome::Applied);
    assert!(!ended[1].tells_of("ann"), "{:?}", ended[1]);
    assert_eq!(bench.writes(), ["PATCH ann@acme.example"]);
}

#[tokio::test]
async fn a_sync_whose_source_fails_does_not_stop_the_next_one() {
    let bench = Bench::okta().await;
    bench.hire("ann");
    let other = Bench::onelogin().await;
    other.hire("ben");
    let text = two_syncs(&bench, &other).replace(&bench.sim.okta_app_id(), "0oaAnother123");
    let ended = bench.all(&text, Selection::Everybody, Mode::Real).await;
    ended[0].assert_end(exit::SOURCE, RunResult::SourceIncomplete);
    ended[1].assert_end(exit::OK, RunResult::Ok);
    assert_eq!((bench.accounts().len(), other.accounts().len()), (0, 1));
}
