//! Backups: consistent while the state is in use; an old one leads to a plan that is right.

use std::path::{Path, PathBuf};

use rosterd::exit;
use rosterd::model::plan::Verb;
use rosterd::model::report::{Outcome, RunResult};
use rosterd::store::{Snapshot, Store};
use serde_json::json;

use crate::hands::{BOTH, lose};
use crate::support::Bench;

fn state(bench: &Bench) -> PathBuf {
    bench.directory.path().join("state")
}

async fn back_up(bench: &Bench, file: &Path) {
    std::fs::write(file, b"").unwrap();
    Snapshot::open(&state(bench)).await.unwrap().copy_to(file).await.unwrap();
}

fn restore(bench: &Bench, file: &Path) {
    lose(bench);
    std::fs::create_dir(state(bench)).unwrap();
    std::fs::copy(file, state(bench).join("rosterd.db")).unwrap();
}

#[tokio::test]
async fn a_restored_backup_is_the_state_as_it_was() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        let people = bench.staff(["ann", "ben", "cleo"]);
        bench.begin().await;
        let link = bench.link(people[0]).await;
        let file = bench.directory.path().join("copy.db");
        back_up(&bench, &file).await;
        restore(&bench, &file);
        assert_eq!(bench.link(people[0]).await, link);
        bench.assert_quiet().await;
    }
}

#[tokio::test]
async fn an_old_backup_leads_to_a_plan_that_is_right_and_not_to_a_replay() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await.tables(crate::support::NO_LIMITS);
        bench.crowd(10);
        let [ann, ben, cleo, dan, eve] = bench.staff(["ann", "ben", "cleo", "dan", "eve"]);
        bench.world().unassign(eve);
        bench.begin().await;
        let file = bench.directory.path().join("copy.db");
        back_up(&bench, &file).await;
        // The world goes on, and rosterd with it.
        bench.world().unassign(ann);
        bench.world().edit(ben, |person| person.title = Some("Lead".to_owned()));
        bench.world().rename(cleo, "clio@acme.example");
        bench.hire("gus");
        bench.world().assign(eve);
        bench.run().await.assert_end(exit::OK, RunResult::Ok);
        bench.world().edit(ben, |person| person.title = Some("Head".to_owned()));
        bench.run().await.assert_end(exit::OK, RunResult::Ok);
        let before = bench.accounts();
        restore(&bench, &file);
        // What changed while nobody looked.
        bench.world().edit(dan, |person| person.department = Some("Sales".to_owned()));
        let ended = bench.run().await;
        ended.assert_end(exit::OK, RunResult::Ok);
        ended.assert_line("gus", Verb::Adopt, Outcome::Applied);
        assert_eq!(ended.facts.summary.create, 0, "{ended:#?}");
        assert_eq!(bench.account("ben").at("/title"), json!("Head"), "what is sent is what holds now");
        let accounts = bench.accounts();
        assert_eq!(accounts.len(), before.len());
        let of_dan = bench.account("dan").id;
        for ((id, account), (_, old)) in accounts.iter().zip(&before).filter(|((id, _), _)| *id != of_dan) {
            for path in ["/userName", "/title", "/active", "/externalId", "/name", "/emails"] {
                assert_eq!(account.pointer(path), old.pointer(path), "{vendor:?} {id} {path}");
            }
        }
        assert!(!bench.is_active("ann") && bench.is_active("eve") && bench.is_active("clio"));
        bench.assert_quiet().await;
    }
}

#[tokio::test]
async fn values_that_were_changed_by_hand_since_the_backup_are_corrected_where_the_source_changed_them() {
    for vendor in BOTH {
        let bench = Bench::new(vendor).await;
        let [ann, _] = bench.staff(["ann", "ben"]);
        bench.begin().await;
        let file = bench.directory.path().join("copy.db");
        back_up(&bench, &file).await;
        bench.world().edit(ann, |person| person.title = Some("Lead".to_owned()));
        bench.run().await.assert_line("ann", Verb::Update, Outcome::Applied);
        let id = bench.account("ann").id;
        bench.world().edit_account(&id, |account| {
            account.resource.insert("title".to_owned(), json!("Queen"));
        });
        restore(&bench, &file);
        bench.run().await.assert_line("ann", Verb::Update, Outcome::Applied);
        assert_eq!(bench.account("ann").at("/title"), json!("Lead"));
        bench.assert_quiet().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_taken_while_somebody_writes_is_whole() {
    let bench = Bench::okta().await;
    let people = bench.crowd(40);
    let shared = bench.open().await;
    let file = bench.directory.path().join("copy.db");
    let run = shared.run(rosterd::engine::selection::Selection::Everybody);
    let copy = async {
        // Until the first accounts are there, and beyond.
        let mut copies = 0;
        while copies < 5 {
            if bench.accounts().len() > copies * 5 {
                back_up(&bench, &file).await;
                copies += 1;
            }
            tokio::task::yield_now().await;
        }
    };
    let (ended, ()) = tokio::join!(run, copy);
    ended.assert_end(exit::OK, RunResult::Ok);
    shared.close().await;
    let journal: i64 = rusqlite::Connection::open(&file)
        .unwrap()
        .query_row("SELECT count(*) FROM journal", [], |row| row.get(0))
        .unwrap();
    assert!(journal > 0, "it was taken in the middle");
    restore(&bench, &file);
    // What was in flight when the copy was made is settled by reading; nobody is created twice.
    let ended = bench.run().await;
    ended.assert_end(exit::OK, RunResult::Ok);
    assert_eq!((ended.facts.summary.create, bench.accounts().len()), (0, people.len()));
    bench.assert_quiet().await;
}

#[tokio::test]
async fn a_backup_restored_on_another_machine_asks_to_be_taken_over() {
    let bench = Bench::okta().await;
    bench.staff(["ann", "ben"]);
    bench.begin().await;
    let file = bench.directory.path().join("copy.db");
    back_up(&bench, &file).await;
    let database = rusqlite::Connection::open(&file).unwrap();
    let changed =
        database.execute("UPDATE meta SET value = zeroblob(16) WHERE key = 'machine_id'", []).unwrap();
    drop(database);
    restore(&bench, &file);
    if changed == 1 {
        let error = Store::open(&state(&bench), false).await.unwrap_err().to_string();
        assert!(error.contains("another machine") && error.contains("--take-over"), "{error}");
    }
    Store::open(&state(&bench), true).await.unwrap().close().await.unwrap();
    bench.assert_quiet().await;
}
