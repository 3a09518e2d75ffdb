//! Who was erased is nowhere in what serves history, nor in the bytes of the file; who has an account keeps the link.

use crate::core::guard::HoldClass;
use crate::model::attributes::{AttributePath, Scalar};
use crate::model::digest::Digest;
use crate::model::history::{AttemptOutcome, EventKind};
use crate::model::id::{SourceId, TargetId};
use crate::model::link::LinkState;
use crate::model::order::OrderNumber;
use crate::model::plan::{Change, Situation, Verb};
use crate::model::report::{ActionRecord, Outcome};
use crate::spool::Spool;
use crate::store::record::sample_tests::{Book, DAY, id, login};
use crate::store::{HeldPair, HoldScope, LineScope, Past, Store};

fn all() -> Past {
    Past { limit: 1000, ..Past::default() }
}

/// Files of the state in which one of these words is.
fn files_with(book: &Book, words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(book.directory.path()).unwrap() {
        let path = entry.unwrap().path();
        let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).to_lowercase();
        for word in words.iter().filter(|word| text.contains(&word.to_lowercase())) {
            found.push(format!("{} has {word}", path.file_name().unwrap().to_string_lossy()));
        }
    }
    found
}

/// Ann was here and left; Ben is still here.
async fn with_a_leaver() -> Book {
    let mut book = Book::new().await;
    book.run(&["ann", "ben"]).await;
    let run = book.begin().await;
    let intent = book.send(run, "ann").await;
    book.answer(intent, "ann", LinkState::Deactivated(book.at())).await;
    book.end(run, vec![format!("settled a write for {} by reading (00uannxyz)", login("Ann"))]).await;
    book
}

#[tokio::test]
async fn a_leaver_is_in_no_row_and_in_no_byte_afterwards() {
    let mut book = with_a_leaver().await;
    assert!(!files_with(&book, &["ann@acme.example"]).is_empty());
    let erased = book.erase("ann").await;
    assert_eq!((erased.entries, erased.runs), (4, 1));
    assert!(book.store.scrub().await.unwrap());
    assert_eq!(files_with(&book, &["ann@acme", "annxyz", "account-of-ann", "Master ann"]), [""; 0]);
    assert!(!files_with(&book, &["ben@acme.example"]).is_empty(), "others stay");
    let report = book.audit().await;
    assert!(report.intact, "{report:?}");
    assert_eq!((report.entries, report.erased), (7, 4));
    assert!(book.store.snapshot().link("default", &id("ann")).await.unwrap().is_none());
    // Closing writes nothing back that was erased.
    let Book { directory, store, tenure, now } = book;
    store.close().await.unwrap();
    let store = Store::open(directory.path(), false).await.unwrap();
    let book = Book { directory, store, tenure, now };
    assert_eq!(files_with(&book, &["ann@acme", "annxyz"]), [""; 0]);
}

#[tokio::test]
async fn who_has_an_active_account_keeps_the_link_and_loses_the_history() {
    let mut book = with_a_leaver().await;
    assert_eq!(book.erase("ben").await.entries, 2);
    let link = book.store.snapshot().link("default", &id("ben")).await.unwrap().unwrap();
    assert_eq!(link.user_name, login("ben"));
    assert_eq!(book.store.snapshot().attempts(&login("ben"), all()).await.unwrap(), []);
    let known = book.store.snapshot().known_as(&login("ben"), Vec::new()).await.unwrap();
    assert_eq!((known.len(), known[0].entries, known[0].is_provisioned()), (1, 0, true));
    // What follows is on record again.
    book.run(&["ben"]).await;
    assert_eq!(book.store.snapshot().attempts(&login("ben"), all()).await.unwrap().len(), 1);
    assert!(book.audit().await.intact);
}

#[tokio::test]
async fn a_run_again_shows_what_was_done_and_not_for_whom() {
    let mut book = with_a_leaver().await;
    book.erase("ann").await;
    let run = book.store.snapshot().run_again(1).await.unwrap().unwrap();
    let mut records = run.records;
    let records: Vec<_> = records.iter().unwrap().map(Result::unwrap).collect();
    assert_eq!(records.len(), 2);
    assert_eq!((records[0].user.as_str(), records[0].changes.len()), ("(erased)", 0));
    assert!(records[0].source_id.as_ref().unwrap().as_str().starts_with("erased-"));
    assert_eq!(records[1].user, login("ben"));
    let again = book.store.snapshot().run_again(2).await.unwrap().unwrap();
    assert_eq!(again.facts.unwrap().notes, ["settled a write for (erased) by reading ((erased))"]);
    // What the guards count stays: two people, one of whom was written to twice.
    let ledger = book.store.snapshot().ledger("default", book.at()).await.unwrap();
    assert_eq!(ledger.hour.updates, 2);
    // An undo has nothing to take back for somebody who is not known any more.
    assert_eq!(book.store.snapshot().written_by("default", 2).await.unwrap(), [] as [SourceId; 0]);
    assert_eq!(book.store.snapshot().run_to_undo(1).await.unwrap().unwrap().people, 1);
}

#[tokio::test]
async fn the_record_of_an_erasure_says_how_much_and_by_whom_and_not_whom() {
    let mut book = with_a_leaver().await;
    book.erase("ann").await;
    let events = book.store.snapshot().events(None, all()).await.unwrap();
    assert_eq!(events.len(), 1);
    let event = &events[0];
    assert_eq!((event.event, event.by.as_deref(), event.at), (EventKind::Erase, Some("uid 7"), book.at()));
    assert_eq!((event.counts["entries"], &event.user, &event.source_id), (4, &None, &None));
    assert_eq!(book.store.snapshot().events(Some(&login("ann")), all()).await.unwrap(), []);
}

#[tokio::test]
async fn who_was_forgotten_is_in_the_record_until_they_are_erased() {
    let mut book = with_a_leaver().await;
    let at = book.at();
    assert!(book.store.forget(&book.tenure, &id("ben"), "uid 7", at).await.unwrap());
    book.store.lift(&book.tenure, &id("ben"), "uid 8", at).await.unwrap();
    let told = |events: Vec<crate::model::history::EventLine>| {
        let told = events.into_iter().map(|event| (event.event, event.by.unwrap(), event.user));
        told.collect::<Vec<_>>()
    };
    let events = book.store.snapshot().events(Some(&login("ben")), all()).await.unwrap();
    let ben = Some(login("ben"));
    let expected =
        [(EventKind::Lift, "uid 8".to_owned(), ben.clone()), (EventKind::Forget, "uid 7".to_owned(), ben)];
    assert_eq!(told(events), expected);
    book.store.forget(&book.tenure, &id("ann"), "uid 7", at).await.unwrap();
    book.erase("ben").await;
    book.erase("ann").await;
    book.store.scrub().await.unwrap();
    assert_eq!(files_with(&book, &["ben@acme", "benxyz", "ann@acme"]), [""; 0]);
    // The pin still keeps rosterd from her: the id alone is left.
    let pins = book.store.snapshot().pins("default").await.unwrap();
    let pin = &pins[&id("ann")];
    assert_eq!((&pin.user_name, &pin.target_id), (&None, &None));
    assert!(book.audit().await.intact);
}

#[tokio::test]
async fn what_is_not_settled_refuses_and_changes_nothing() {
    let mut book = with_a_leaver().await;
    let run = book.begin().await;
    book.send(run, "ann").await;
    let at = book.at();
    let refused = book.store.erase(&id("ann"), vec!["default".to_owned()], "uid 7", at).await.unwrap();
    assert_eq!(refused, None);
    let attempts = book.store.snapshot().attempts(&login("ann"), all()).await.unwrap();
    assert_eq!(attempts.len(), 3);
    assert_eq!(attempts[0].outcome, AttemptOutcome::Unknown);
    assert_eq!(book.audit().await.erased, 0);
}

#[tokio::test]
async fn decided_holds_lose_the_person_and_open_ones_keep_whom_they_are_about() {
    let mut book = with_a_leaver().await;
    let pair = |name: &str, verb| HeldPair {
        class: HoldClass::plain(verb),
        cause: None,
        target_id: None,
        content: Digest([0; 16]),
        source_id: id(name),
        user: login(name),
        reason: format!("too many, {} among them", login(name)),
        source_digest: None,
    };
    let held = vec![pair("ann", Verb::Reactivate), pair("cleo", Verb::Create)];
    let wanted: std::collections::HashSet<_> =
        held.iter().map(|pair| (pair.source_id.clone(), pair.class)).collect();
    let at = book.at();
    let holds = book
        .store
        .sync_holds(&book.tenure, held, wanted, HoldScope::Everybody(OrderNumber::next()), at)
        .await
        .unwrap();
    let number = |verb| holds.iter().find(|hold| hold.verb == verb).unwrap().number;
    book.store.reject(number(Verb::Reactivate), "uid 7", at).await.unwrap();
    let known = book.store.snapshot().known_as(&login("cleo"), Vec::new()).await.unwrap();
    assert_eq!((known[0].entries, known[0].open_holds), (0, 1));
    book.erase("ann").await;
    book.erase("cleo").await;
    book.store.scrub().await.unwrap();
    assert_eq!(files_with(&book, &["ann@acme"]), [""; 0]);
    let waiting = book.store.snapshot().waiting(number(Verb::Create)).await.unwrap();
    assert_eq!(waiting[0].user, login("cleo"));
}

#[tokio::test]
async fn a_login_that_was_anothers_before_names_both() {
    let mut book = with_a_leaver().await;
    book.pass(DAY);
    // A new Ann with the login of the one who left.
    let run = book.begin().await;
    let intent = {
        let mut action = crate::model::plan::PlannedAction::blank(
            SourceId::new("00uanother"),
            login("ann"),
            crate::model::order::Observation::now(),
        );
        action.verb = Verb::Create;
        book.pass_door(run, action).await
    };
    book.answer_not_sent(intent).await;
    book.end(run, Vec::new()).await;
    let known = book.store.snapshot().known_as("ANN@acme.example", Vec::new()).await.unwrap();
    let ids: Vec<&str> = known.iter().map(|known| known.source_id.as_str()).collect();
    assert_eq!(ids, ["00uannxyz", "00uanother"]);
    for who in ["00uannxyz", "account-of-ann"] {
        let known = book.store.snapshot().known_as(who, Vec::new()).await.unwrap();
        assert_eq!(known.len(), 1, "{who}");
    }
    let elsewhere = book.store.snapshot().known_as(&login("ann"), vec!["other".to_owned()]).await.unwrap();
    assert_eq!(elsewhere, []);
}

#[tokio::test]
async fn what_a_crash_left_of_an_erasure_in_the_file_goes_after_the_next_run() {
    let mut book = with_a_leaver().await;
    book.erase("ann").await;
    // The process ends before the file is written anew.
    let Book { directory, store, tenure, now } = book;
    drop(store);
    let store = Store::open(directory.path(), false).await.unwrap();
    let book = Book { directory, store, tenure, now };
    assert!(book.store.scrub_if_due(book.at()).await.unwrap());
    assert_eq!(files_with(&book, &["ann@acme", "annxyz"]), [""; 0]);
    assert!(book.audit().await.intact);
    assert!(!book.store.scrub_if_due(book.at()).await.unwrap(), "it was done");
}

#[tokio::test]
async fn a_file_that_cannot_be_written_anew_is_opened_and_tried_again_once_a_day() {
    let mut book = with_a_leaver().await;
    book.erase("ann").await;
    // Somebody reads all the time, so that the write-ahead log cannot be emptied.
    let reader = rusqlite::Connection::open(book.directory.path().join("rosterd.db")).unwrap();
    reader.execute_batch("BEGIN; SELECT * FROM sync").unwrap();
    assert!(!book.store.scrub_if_due(book.at()).await.unwrap());
    reader.execute_batch("COMMIT").unwrap();
    drop(reader);
    let Book { directory, store, tenure, now } = book;
    drop(store);
    let store = Store::open(directory.path(), false).await.unwrap();
    let mut book = Book { directory, store, tenure, now };
    book.pass(DAY - 1);
    assert!(!book.store.scrub_if_due(book.at()).await.unwrap(), "not within a day");
    book.pass(1);
    assert!(book.store.scrub_if_due(book.at()).await.unwrap());
    assert_eq!(files_with(&book, &["ann@acme", "annxyz"]), [""; 0]);
    // Another erasure is not put off by what was tried for an earlier one.
    book.erase("ben").await;
    assert!(book.store.scrub_if_due(book.at()).await.unwrap());
}

/// A line about somebody for whom nothing is done.
fn line(name: &str, user: String, detail: &str) -> ActionRecord {
    ActionRecord {
        action: Verb::Update,
        user,
        source_id: Some(id(name)),
        target_id: Some(TargetId::new("account-of-generic")),
        situation: Situation::Gone,
        reason: "the update waits".to_owned(),
        changes: vec![Change {
            path: AttributePath::parse("title").unwrap(),
            from: Some(Scalar::Text("generic".to_owned())),
            to: None,
        }],
        outcome: Outcome::Deferred,
        status: None,
        detail: Some(detail.to_owned()),
        attempts: 0,
        cause: None,
        waits_for: None,
        owed_since: None,
    }
}

/// Notes lines of everybody for a run.
async fn tell(book: &Book, run: i64, lines: Vec<ActionRecord>) {
    let mut spool = Spool::default();
    for line in &lines {
        spool.push(line).unwrap();
    }
    book.store.record_lines(&book.tenure, run, LineScope::Everybody, &mut spool).await.unwrap();
}

async fn change(book: &Book, sql: &'static str) {
    book.store.snapshot().transact(|transaction| Ok(transaction.execute_batch(sql)?)).await.unwrap();
}

#[tokio::test]
async fn a_login_that_is_a_word_of_rosterd_leaves_every_document_readable() {
    for word in ["generic", "update", "default", "deferred", "schedule"] {
        let mut book = Book::new().await;
        let run = book.begin().await;
        let lines = vec![
            line("ann", word.to_owned(), "x"),
            line("ben", login("ben"), &format!("as {word} has")),
            line("cleo", word.to_uppercase(), "x"),
        ];
        tell(&book, run, lines).await;
        book.end(run, vec![format!("about {word}")]).await;
        book.erase("ann").await;
        let mut again = book.store.snapshot().run_again(run).await.unwrap().unwrap();
        let facts = again.facts.unwrap();
        assert_eq!(
            (facts.notes, facts.target.dialect.as_str()),
            (vec!["about (erased)".to_owned()], "generic")
        );
        let records: Vec<_> = again.records.iter().unwrap().map(Result::unwrap).collect();
        let told: Vec<_> = records.iter().map(|line| (line.user.as_str(), line.detail.as_deref())).collect();
        let ben = login("ben");
        assert_eq!(told, [(ben.as_str(), Some("as (erased) has")), ("(erased)", Some("x"))], "{word}");
        assert!(records.iter().all(|line| line.action == Verb::Update && line.outcome == Outcome::Deferred));
        let known = book.store.snapshot().known_as(word, Vec::new()).await.unwrap();
        assert_eq!(known, [], "nobody has the login any more");
    }
}

#[tokio::test]
async fn every_text_about_others_loses_every_name_of_the_person() {
    let mut book = with_a_leaver().await;
    let run = book.begin().await;
    // Known from the link and from a line alone.
    change(
        &book,
        r#"UPDATE link SET acknowledged = json('{"userName": "ann@acme.example", "emails[type eq \"work\"].value": "ä\\nn@acme.example"}')
           WHERE source_id = '00uannxyz';"#,
    )
    .await;
    let mut of_ann = line("ann", login("ann"), "x");
    of_ann.changes[0].path = AttributePath::parse("userName").unwrap();
    of_ann.changes[0].from = Some(Scalar::Text("old\"ann@acme.example".to_owned()));
    tell(
        &book,
        run,
        vec![of_ann, line("ben", login("ben"), "not OLD\"ann@acme.example, Ä\\NN@acme.example")],
    )
    .await;
    let at = book.at();
    book.end(run, Vec::new()).await;
    book.store.forget(&book.tenure, &id("ben"), "uid 7", at).await.unwrap();
    change(
        &book,
        "UPDATE pin SET reason = 'forgotten by ANN@acme.example' WHERE source_id = '00ubenxyz';
         INSERT INTO owed (sync, source_id, class, user_name, verb, since, attempts, waits_for, detail)
         VALUES ('default', '00ubenxyz', 'attributes', 'ben@acme.example', 'update', 0, 1, 'retry', 'as Ä\\nn@acme.example has')",
    )
    .await;
    book.erase("ann").await;
    assert!(book.store.scrub().await.unwrap());
    assert_eq!(files_with(&book, &["nn@acme.example"]), [""; 0]);
    let pins = book.store.snapshot().pins("default").await.unwrap();
    assert_eq!(pins[&id("ben")].reason, "forgotten by (erased)");
}
