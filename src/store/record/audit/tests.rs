//! Whatever is done to the journal behind rosterd's back is found and named; what rosterd does to it is not.

use std::time::Duration;

use proptest::prelude::*;

use crate::model::history::ChainReport;
use crate::store::record::retention::SHORTEST_KEEP;
use crate::store::record::sample_tests::{BEGINNING, Book, Copy, DAY, id};

/// Three runs of three people, an erasure, a forgotten link, and a run after that.
async fn eventful() -> Book {
    let mut book = Book::new().await;
    book.run(&["ann", "ben"]).await;
    book.run(&["ann", "cleo"]).await;
    book.erase("ann").await;
    let at = book.at();
    assert!(book.store.forget(&book.tenure, &id("ben"), "uid 7", at).await.unwrap());
    book.run(&["cleo"]).await;
    book
}

/// The same with the beginning pruned.
async fn pruned() -> Book {
    let mut book = Book::new().await;
    book.run(&["dan", "eve"]).await;
    book.pass(60 * DAY);
    book.run(&["ann", "ben"]).await;
    book.erase("ann").await;
    book.store.prune(SHORTEST_KEEP, book.at()).await.unwrap().unwrap();
    book.run(&["cleo"]).await;
    book
}

#[track_caller]
fn assert_broken(report: &ChainReport, entry: Option<i64>, what: &str) {
    assert!(!report.intact, "{what}: nothing was found");
    if entry.is_some() {
        let broken = report.broken.as_ref().unwrap();
        assert_eq!(broken.entry, entry, "{what}: {}", broken.what);
    }
}

#[tokio::test]
async fn what_rosterd_wrote_fits_and_ends_with_the_head_in_the_log() {
    let mut book = Book::new().await;
    assert!(book.audit().await.intact, "an empty one fits too");
    book.run(&["ann", "ben"]).await;
    let run = book.begin().await;
    let intent = book.send(run, "cleo").await;
    book.answer(intent, "cleo", crate::model::link::LinkState::Active).await;
    let head = book.end(run, Vec::new()).await;
    let report = book.audit().await;
    assert!(report.intact, "{report:?}");
    assert_eq!((report.entries, report.erased, report.runs, report.last), (6, 0, 2, 6));
    assert_eq!((report.head, report.pruned), (head, None));
    assert_eq!(report.first_at.unwrap().0, BEGINNING + 2000);
}

#[tokio::test]
async fn erasures_events_and_prunings_fit() {
    let report = eventful().await.audit().await;
    assert!(report.intact, "{report:?}");
    // Two people twice each, intent and outcome; one of them erased.
    assert_eq!((report.entries, report.erased, report.last), (12, 4, 12));
    let book = pruned().await;
    let report = book.audit().await;
    assert!(report.intact, "{report:?}");
    assert_eq!((report.entries, report.erased, report.last), (8, 2, 12));
    assert_eq!(report.pruned.unwrap().entry, 4);
}

/// Every column of the journal with ways to alter it: whatever is added to the table is looked at, too.
fn alterations(copy: &Copy) -> Vec<(i64, String, String)> {
    let database = copy.open();
    let mut columns =
        database.prepare("SELECT name, type, \"notnull\" FROM pragma_table_info('journal')").unwrap();
    let columns: Vec<(String, String, bool)> = columns
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let mut entries = database.prepare("SELECT seq FROM journal ORDER BY seq").unwrap();
    let entries: Vec<i64> = entries.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let mut all = Vec::new();
    for seq in &entries {
        for (name, kind, not_null) in columns.iter().filter(|(name, _, _)| name != "seq") {
            let other = match kind.as_str() {
                "INTEGER" => format!("coalesce({name}, 0) + 1"),
                "TEXT" => format!("coalesce({name}, '') || ' '"),
                "BLOB" => {
                    format!("CASE WHEN length({name}) = 0 THEN x'00' ELSE zeroblob(length({name})) END")
                }
                kind => panic!("{name} is a {kind}"),
            };
            all.push((*seq, name.clone(), format!("UPDATE journal SET {name} = {other} WHERE seq = {seq}")));
            if !not_null {
                let sql =
                    format!("UPDATE journal SET {name} = NULL WHERE seq = {seq} AND {name} IS NOT NULL");
                all.push((*seq, name.clone(), sql));
            }
        }
    }
    all
}

#[tokio::test]
async fn any_column_of_any_entry_that_is_altered_is_found_and_the_entry_named() {
    for book in [eventful().await, pruned().await] {
        let copy = book.copy().await;
        let mut tried = 0;
        for (seq, column, sql) in alterations(&copy) {
            let nothing_to_alter: bool = {
                let condition = format!(
                    "SELECT NOT EXISTS (SELECT 1 FROM journal WHERE seq = {seq} AND {column} IS NOT NULL)"
                );
                sql.contains("= NULL") && copy.open().query_row(&condition, [], |row| row.get(0)).unwrap()
            };
            if nothing_to_alter {
                continue;
            }
            tried += 1;
            let report = copy.after(&sql).await;
            // Where the record of a pruning or an erasure is altered, that may show at what it is about.
            let is_record: bool = copy
                .open()
                .query_row(
                    &format!(
                        "SELECT kind = 'event' AND verb IN ('prune', 'erase') FROM journal WHERE seq = {seq}"
                    ),
                    [],
                    |row| row.get(0),
                )
                .unwrap();
            assert_broken(&report, (!is_record).then_some(seq), &sql);
        }
        assert!(tried > 150, "{tried} alterations");
    }
}

#[tokio::test]
async fn entries_that_are_removed_moved_or_put_in_are_found() {
    let copy = eventful().await.copy().await;
    for (sql, entry) in [
        ("DELETE FROM journal WHERE seq = 1", Some(2)),
        ("DELETE FROM journal WHERE seq IN (5, 6)", Some(7)),
        ("DELETE FROM journal WHERE seq = 12", Some(12)),
        ("DELETE FROM journal WHERE seq > 9", Some(10)),
        ("DELETE FROM journal", Some(1)),
        ("DELETE FROM journal WHERE seq > 9; UPDATE sqlite_sequence SET seq = 9 WHERE name = 'journal'", Some(12)),
        ("DELETE FROM sqlite_sequence WHERE name = 'journal'", Some(13)),
        ("UPDATE journal SET seq = 99 WHERE seq = 12", Some(99)),
        (
            "UPDATE journal SET seq = 99 WHERE seq = 3; UPDATE journal SET seq = 3 WHERE seq = 4;
             UPDATE journal SET seq = 4 WHERE seq = 99",
            Some(3),
        ),
        (
            "UPDATE journal SET payload = (SELECT payload FROM journal AS other WHERE other.seq = 4) WHERE seq = 3",
            Some(3),
        ),
        (
            "INSERT INTO journal (run, sync, epoch, at, kind, verb, source_id, payload, salt, digest, chain)
             SELECT run, sync, epoch, at, kind, verb, source_id, payload, salt, digest, chain FROM journal WHERE seq = 12",
            Some(13),
        ),
        // Two erased entries of one person look alike but for their digests.
        (
            "UPDATE journal SET digest = (SELECT digest FROM journal AS other WHERE other.seq = 2) WHERE seq = 1",
            Some(1),
        ),
    ] {
        assert_broken(&copy.after(sql).await, entry, sql);
    }
}

#[tokio::test]
async fn what_runs_say_of_the_chain_at_their_end_is_compared() {
    let copy = eventful().await.copy().await;
    for sql in [
        "UPDATE run SET chain_head = zeroblob(16) WHERE id = 2",
        "UPDATE run SET chain_head = NULL WHERE id = 2",
        "UPDATE run SET chain_seq = chain_seq - 1 WHERE id = 2",
        "UPDATE run SET chain_seq = chain_seq + 1 WHERE id = 2",
        "UPDATE run SET chain_seq = NULL WHERE id = 2",
        "UPDATE run SET chain_head = (SELECT chain_head FROM run AS other WHERE other.id = 1),
                        chain_seq = (SELECT chain_seq FROM run AS other WHERE other.id = 1) WHERE id = 2",
    ] {
        let report = copy.after(sql).await;
        assert_broken(&report, None, sql);
        assert_eq!(report.broken.unwrap().run, Some(2), "{sql}");
    }
    let report = copy.after("DELETE FROM run WHERE id = 2").await;
    assert_broken(&report, Some(5), "a run that is gone");
    assert!(report.broken.unwrap().what.contains("the run that it belongs to"));
}

#[tokio::test]
async fn what_was_emptied_without_an_erasure_is_told_from_what_was_erased() {
    let copy = eventful().await.copy().await;
    let report = copy
        .after("UPDATE journal SET payload = NULL, salt = x'', source_id = 'erased-1' WHERE seq = 3")
        .await;
    assert!(report.broken.unwrap().what.contains("no erasure of it is on record"));
    let report = copy.after("UPDATE journal SET payload = '{}' WHERE seq = 1").await;
    assert!(report.broken.unwrap().what.contains("has content again"));
    let report = copy.after("UPDATE journal SET source_id = 'erased-2' WHERE seq = 1").await;
    assert!(report.broken.unwrap().what.contains("what stands in its place was changed"));
}

#[tokio::test]
async fn after_a_cut_new_entries_do_not_close_the_gap() {
    let mut book = eventful().await;
    rusqlite::Connection::open(book.directory.path().join("rosterd.db"))
        .unwrap()
        .execute("DELETE FROM journal WHERE seq > 10", [])
        .unwrap();
    book.run(&["eve"]).await;
    let broken = book.audit().await.broken.unwrap();
    assert_eq!(broken.entry, Some(13));
    assert!(broken.what.contains("11 to 12 before it are missing"), "{}", broken.what);
}

/// What can happen to a state.
#[derive(Debug, Clone)]
enum Happening {
    Run(Vec<usize>),
    Erase(usize),
    Forget(usize),
    Pass(i64),
    Prune(u64),
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let one = prop_oneof![
        4 => prop::collection::vec(0..4usize, 0..4).prop_map(Happening::Run),
        1 => (0..4usize).prop_map(Happening::Erase),
        1 => (0..4usize).prop_map(Happening::Forget),
        2 => (1..40i64).prop_map(Happening::Pass),
        2 => (31..60u64).prop_map(Happening::Prune),
    ];
    prop::collection::vec(one, 1..14)
}

const NAMES: [&str; 4] = ["ann", "ben", "cleo", "dan"];

async fn happen(book: &mut Book, happening: &Happening) {
    match happening {
        Happening::Run(people) => {
            let names: Vec<&str> = people.iter().map(|person| NAMES[*person]).collect();
            book.run(&names).await;
        }
        Happening::Erase(person) => {
            book.erase(NAMES[*person]).await;
        }
        Happening::Forget(person) => {
            let at = book.at();
            assert!(book.store.forget(&book.tenure, &id(NAMES[*person]), "uid 7", at).await.unwrap());
        }
        Happening::Pass(days) => book.pass(days * DAY),
        Happening::Prune(days) => {
            book.store.prune(Duration::from_secs(days * 86_400), book.at()).await.unwrap();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_fits_and_any_single_alteration_does_not(
        happenings in happenings(), which in any::<prop::sample::Index>()
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut book = Book::new().await;
            for happening in &happenings {
                happen(&mut book, happening).await;
                let report = book.audit().await;
                assert!(report.intact, "{report:?} after {happening:?} of {happenings:?}");
            }
            let copy = book.copy().await;
            let mut all: Vec<String> = alterations(&copy)
                .into_iter()
                .map(|(_, _, sql)| sql)
                .filter(|sql| !sql.contains("= NULL"))
                .collect();
            let last = book.audit().await.last;
            all.extend((1..=last).map(|seq| format!("DELETE FROM journal WHERE seq = {seq}")));
            let first = last - i64::try_from(book.audit().await.entries).unwrap() + 1;
            all.retain(|sql| !(1..first).any(|seq| sql.ends_with(&format!("DELETE FROM journal WHERE seq = {seq}"))));
            if !all.is_empty() {
                let sql = &all[which.index(all.len())];
                assert!(!copy.after(sql).await.intact, "{sql} after {happenings:?}");
            }
        });
    }
}
