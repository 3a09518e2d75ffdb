//! A 404 is a question whoever asks first, and whatever was sent.

use super::*;

/// Deletes Ann's account, and makes it anew with everything it held.
fn make_anew(bench: &Bench) {
    let mut anew = bench.account("ann").resource;
    assert!(bench.world().delete_account(&bench.account("ann").id));
    anew.remove("id");
    bench.world().add_account(&serde_json::Value::Object(anew));
    assert!(bench.is_active("ann"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_made_anew_is_found_where_a_deletion_got_no_answer_too() {
    let bench = Bench::okta().await.tables("[sync.lifecycle]\non_unassigned = \"delete\"");
    let ann = bench.staff(["ann", "ben", "cleo"])[0];
    bench.begin().await;
    bench.world().unassign(ann);
    let given_up = Fault::on(Peer::Scim).method("DELETE").then(Effect::Cut(Cut::BeforeProcessing));
    bench.sim.faults().add(given_up);
    bench.run().await.assert_end(exit::PARTIAL, RunResult::Partial);
    bench.sim.faults().clear();
    make_anew(&bench);
    bench.run().await;
    assert!(bench.world().account("ann@acme.example").is_none());
    bench.assert_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_after_an_update_found_their_account_gone_is_removed_where_it_was_made_anew() {
    let bench = Bench::okta().await;
    let ann = bench.staff(["ann", "ben", "cleo", "dan"])[0];
    bench.begin().await;
    make_anew(&bench);
    bench.world().edit(ann, |person| person.title = Some("Lead".to_owned()));
    bench.run().await.assert_line("ann", Verb::Update, Outcome::Failed);
    bench.world().delete(ann);
    let ended = bench.run().await;
    ended.assert_end(exit::OK, RunResult::Ok);
    ended.assert_line("ann", Verb::Deactivate, Outcome::Applied);
    assert_gone_for_good(&bench, "ann").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_after_an_update_found_their_account_gone_is_looked_for_once() {
    let bench = Bench::okta().await;
    let ann = bench.staff(["ann", "ben", "cleo", "dan"])[0];
    bench.begin().await;
    assert!(bench.world().delete_account(&bench.account("ann").id));
    bench.world().edit(ann, |person| person.title = Some("Lead".to_owned()));
    bench.run().await.assert_line("ann", Verb::Update, Outcome::Failed);
    bench.world().unassign(ann);
    let ended = bench.run().await;
    ended.assert_end(exit::OK, RunResult::Ok);
    assert!(ended.words_of("ann").contains("gone already"), "{ended:#?}");
    assert!(owed(&bench).await.is_empty());
    bench.assert_quiet().await;
}
