//! Saved plans: exactly those actions, or none.

use rosterd::exit;
use rosterd::model::report::ActionRecord;
use rosterd::sim::PersonId;

use crate::support::Bench;

async fn story() -> (Bench, [PersonId; 4]) {
    let bench = Bench::okta().await;
    let people = bench.staff(["ann", "ben", "cleo", "dora"]);
    bench.begin().await;
    bench.world().unassign(people[0]);
    bench.world().edit(people[1], |person| person.title = Some("Manager".to_owned()));
    bench.hire("joiner");
    (bench, people)
}

fn planned(records: &[ActionRecord]) -> Vec<ActionRecord> {
    records
        .iter()
        .filter(|record| record.outcome == rosterd::model::report::Outcome::Planned)
        .cloned()
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_saved_plan_is_carried_out_exactly() {
    let (bench, _) = story().await;
    let plan = planned(&bench.dry().await.records);
    assert_eq!(plan.len(), 3);
    bench.hire("later");
    let ended = bench.run_only(&plan).await;
    assert_eq!((ended.code, ended.facts.summary.writes()), (exit::OK, 3), "{ended:#?}");
    assert!(
        bench.world().account("later@acme.example").is_none(),
        "somebody who joined later is not in the plan"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_whose_ground_has_moved_is_refused_without_a_write() {
    let (bench, people) = story().await;
    let plan = planned(&bench.dry().await.records);
    bench.sim.clear_requests();
    bench.world().assign(people[0]);
    let ended = bench.run_only(&plan).await;
    assert_eq!(ended.code, exit::HELD, "{ended:#?}");
    assert!(
        ended.facts.notes.iter().any(|note| note.contains("ann@acme.example: no longer planned")),
        "{ended:#?}"
    );
    assert!(bench.writes().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_whose_values_have_moved_is_refused_without_a_write() {
    let (bench, people) = story().await;
    let plan = planned(&bench.dry().await.records);
    bench.sim.clear_requests();
    bench.world().edit(people[1], |person| person.title = Some("Director".to_owned()));
    let ended = bench.run_only(&plan).await;
    assert_eq!(ended.code, exit::HELD, "{ended:#?}");
    assert!(ended.facts.notes.iter().any(|note| note.contains("values it rests on")), "{ended:#?}");
    assert!(bench.writes().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_saved_plan_passes_the_guards_like_any_run() {
    let bench = Bench::okta().await;
    let crowd = bench.crowd(20);
    bench.begin().await;
    crowd[..5].iter().for_each(|person| bench.world().unassign(*person));
    // A plan made while the limits were wider.
    let wide = bench.tables("[sync.guard]\nmax_removals_percent = 100\nmax_removals_percent_per_day = 100\n");
    let plan = planned(&wide.dry().await.records);
    assert_eq!(plan.len(), 5);
    let narrow = wide.tables("");
    let ended = narrow.run_only(&plan).await;
    assert_eq!((ended.code, ended.facts.summary.held), (exit::HELD, 5), "{ended:#?}");
}
