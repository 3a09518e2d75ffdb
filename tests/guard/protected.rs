//! Protected accounts: no verb touches them, whatever the source says.

use rosterd::exit;
use rosterd::model::plan::Verb;

use crate::support::Bench;

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
