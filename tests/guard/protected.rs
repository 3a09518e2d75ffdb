//! Protected accounts: no verb touches them, whatever the source says.

use rosterd::exit;
use rosterd::model::plan::Verb;

use crate::support::{Bench, WIDE_LIMITS};

async fn guarded() -> Bench {
    Bench::okta().await.tables("[sync.guard]\nprotected = [\"owner@acme.example\", \"*@admins.example\"]\n")
}

fn assert_untouched(bench: &Bench, ended: &crate::support::Ended, login: &str) {
    assert_eq!(ended.code, exit::OK, "{ended:#?}");
    let record = ended.records.iter().find(|record| record.user.contains(login)).unwrap();
    assert_eq!(record.action, Verb::Skip, "{ended:#?}");
    assert!(record.reason.contains("protected by guard.protected"), "{ended:#?}");
    assert!(bench.writes().iter().all(|line| !line.contains(login)), "{:?}", bench.writes());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_protected_login_is_never_created() {
    let bench = guarded().await;
    bench.hire("root@admins.example");
    let ended = bench.run().await;
    assert_untouched(&bench, &ended, "root@admins.example");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_protected_account_is_never_adopted() {
    let bench = guarded().await;
    bench.add_account("owner", true);
    bench.hire("owner");
    let ended = bench.run().await;
    assert_untouched(&bench, &ended, "owner@acme.example");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_protected_account_is_never_updated_deactivated_or_reactivated() {
    let mut bench = Bench::okta().await;
    let owner = bench.hire("owner");
    bench.crowd(5);
    bench.begin().await;
    bench = bench.tables("[sync.guard]\nprotected = [\"owner@acme.example\"]\n");
    bench.world().edit(owner, |person| person.title = Some("Boss".to_owned()));
    assert_untouched(&bench, &bench.run().await, "owner@acme.example");
    bench.world().unassign(owner);
    assert_untouched(&bench, &bench.run().await, "owner@acme.example");
    assert!(bench.is_active("owner"));
    bench = bench.tables("");
    bench.run().await;
    assert!(!bench.is_active("owner"));
    bench.sim.clear_requests();
    bench = bench.tables("[sync.guard]\nprotected = [\"OWNER@acme.example\"]\n");
    bench.world().assign(owner);
    assert_untouched(&bench, &bench.run().await, "owner@acme.example");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_protected_account_is_never_deleted_neither_at_once_nor_after_the_second_step() {
    for lifecycle in ["on_unassigned = \"delete\"", "delete_after = \"30d\""] {
        let mut bench = Bench::okta().await.tables(&format!("[sync.lifecycle]\n{lifecycle}\n"));
        let owner = bench.hire("owner");
        bench.crowd(5);
        bench.begin().await;
        bench.world().unassign(owner);
        if lifecycle.starts_with("delete_after") {
            bench.run().await;
            bench.pass(std::time::Duration::from_secs(31 * 24 * 3600));
        }
        bench.sim.clear_requests();
        let tables = format!("{}\n[sync.guard]\nprotected = [\"owner@*\"]\n", bench.tables);
        bench = bench.tables(&tables);
        assert_untouched(&bench, &bench.run().await, "owner@acme.example");
        assert!(bench.world().account("owner@acme.example").is_some(), "{lifecycle}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_does_not_reach_a_protected_account() {
    let bench = Bench::okta().await;
    let crowd = bench.crowd(20);
    bench.begin().await;
    crowd[..5].iter().for_each(|person| bench.world().unassign(*person));
    bench.run().await;
    let state = bench.directory.path().join("state");
    let store = rosterd::store::Store::open(&state, false).await.unwrap();
    let now = rosterd::model::time::Millis::now();
    let hold = store.snapshot().open_holds(None, now).await.unwrap().remove(0);
    store.approve(hold.number, hold.revision, "uid 0", now).await.unwrap();
    store.close().await.unwrap();
    let bench = bench.tables("[sync.guard]\nprotected = [\"person3@acme.example\"]\n");
    let ended = bench.run().await;
    assert_eq!(ended.facts.summary.deactivate, 4, "{ended:#?}");
    assert!(bench.is_active("person3@acme.example"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rename_onto_a_protected_login_is_not_sent() {
    let bench = Bench::okta().await.tables(&format!("{WIDE_LIMITS}protected = [\"owner@acme.example\"]\n"));
    let ann = bench.hire("ann");
    bench.begin().await;
    bench.world().rename(ann, "owner@acme.example");
    let ended = bench.run().await;
    assert_eq!(ended.facts.summary.skipped, 1, "{ended:#?}");
    assert!(bench.is_active("ann") && bench.writes().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_account_that_owns_the_token_is_protected_where_the_workspace_tells_whose_it_is() {
    let bench = Bench::okta().await;
    let owner = bench.hire("owner");
    bench.crowd(5);
    bench.begin().await;
    // Told from now on; that it was not told before is forgotten with the profile.
    let id = bench.account("owner").id;
    bench.sim.scim(|habits| habits.token_owner = Some(id));
    let database = rusqlite::Connection::open(bench.directory.path().join("state/rosterd.db")).unwrap();
    database.execute("UPDATE sync SET profile = NULL", []).unwrap();
    drop(database);
    bench.world().unassign(owner);
    let ended = bench.run().await;
    assert_eq!((ended.code, ended.facts.summary.skipped), (exit::OK, 1), "{ended:#?}");
    assert!(ended.words_of("owner").contains("token"), "{ended:#?}");
    assert!(bench.is_active("owner") && bench.writes().is_empty());
}
