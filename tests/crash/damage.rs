//! A database that is damaged, no database, or written by a newer program: refused by every run, real or dry, with what
//! to do, and left to the last byte as it is.

use crate::support::Stage;
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

const PAGE: usize = 4096;
const ROUNDS: u64 = 12;
const COMMANDS: [&[&str]; 3] = [&["--reconcile-now"], &["--dry-run"], &["plan", "--out", "/dev/null"]];

/// A stage with a state that has some history.
fn with_state() -> Stage {
    let stage = Stage::new();
    let names: Vec<String> = (0..40).map(|number| format!("Person{number}")).collect();
    stage.hire_all(&names.iter().map(String::as_str).collect::<Vec<_>>());
    stage.reconcile();
    stage.sim.clear_requests();
    stage
}

/// Every file of the state directory. The lock names whoever tried last.
fn files(stage: &Stage) -> BTreeMap<PathBuf, Vec<u8>> {
    let paths = fs::read_dir(stage.home.state()).unwrap().map(|entry| entry.unwrap().path());
    let data = paths.filter(|path| !path.ends_with("rosterd.lock"));
    data.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

/// Every run is refused, says these words and what to do, asks nobody, and changes nothing.
#[track_caller]
fn refused(stage: &Stage, words: &[&str], case: &str) {
    let before = files(stage);
    for command in COMMANDS {
        let ran = stage.run(command);
        assert_eq!(ran.code, Some(78), "{case}, {command:?}: {}\n{}", ran.stdout, ran.stderr);
        ran.complains(words).complains(&["help:"]);
        assert_eq!(ran.stdout, "", "{case}, {command:?}");
        let after = files(stage);
        let changed: Vec<_> =
            before.keys().chain(after.keys()).filter(|name| before.get(*name) != after.get(*name)).collect();
        assert!(changed.is_empty(), "{case}, {command:?} changed {changed:?}");
        assert!(stage.sim.all_requests().is_empty(), "{case}, {command:?} asked somebody");
    }
}

#[test]
fn a_database_with_a_page_of_noise_is_refused_wherever_the_page_is() {
    let seed = std::env::var("CRASH_SEED").map_or(4, |text| text.parse().unwrap());
    let mut dice = fastrand::Rng::with_seed(seed);
    let stage = with_state();
    let whole = fs::read(stage.home.database()).unwrap();
    let pages = whole.len() / PAGE;
    for round in 0..ROUNDS {
        // The first page says whether it is a database at all; it has its turn first.
        let page = if round == 0 { 0 } else { dice.usize(1..pages) };
        let mut spoiled = whole.clone();
        dice.fill(&mut spoiled[page * PAGE..(page + 1) * PAGE]);
        fs::write(stage.home.database(), &spoiled).unwrap();
        let case = format!("CRASH_SEED={seed}, page {page} of {pages}");
        refused(&stage, &["the state database", "is damaged", "rosterd rebuild", "restore a backup"], &case);
    }
    fs::write(stage.home.database(), &whole).unwrap();
    stage.run(&["--reconcile-now"]).exits(0).says(&["40 unchanged"]);
}

#[test]
fn a_database_that_was_cut_off_is_refused_wherever_the_cut_is() {
    let stage = with_state();
    let whole = fs::read(stage.home.database()).unwrap();
    let pages = whole.len() / PAGE;
    for length in
        [1, 15, 16, 100, PAGE - 1, PAGE, PAGE + 1, pages / 2 * PAGE, whole.len() - PAGE, whole.len() - 1]
    {
        fs::write(stage.home.database(), &whole[..length]).unwrap();
        refused(&stage, &["rosterd.db is damaged"], &format!("{length} of {} bytes", whole.len()));
    }
}

#[test]
fn an_empty_database_is_refused_and_not_taken_for_a_new_one() {
    let stage = with_state();
    fs::write(stage.home.database(), "").unwrap();
    refused(&stage, &["rosterd.db is damaged: the file is empty"], "empty");
    // With a write-ahead log, which SQLite would remove.
    fs::write(stage.home.state().join("rosterd.db-wal"), vec![0x37; 9000]).unwrap();
    refused(&stage, &["rosterd.db is damaged: the file is empty"], "empty, with a log");
    fs::remove_file(stage.home.database()).unwrap();
    refused(&stage, &["rosterd.db is damaged: it is missing, and its write-ahead log is there"], "missing");
    // The way out that the message names.
    stage.run(&["rebuild", "--yes"]).exits(0);
    stage.run(&["--reconcile-now"]).exits(0).says(&["40 unchanged"]);
}

#[test]
fn a_file_that_is_no_database_is_refused() {
    let stage = with_state();
    fs::write(stage.home.database(), "a text that somebody put here\n".repeat(500)).unwrap();
    refused(&stage, &["rosterd.db is damaged: file is not a database"], "a text");
    fs::remove_file(stage.home.database()).unwrap();
    let theirs = Connection::open(stage.home.database()).unwrap();
    theirs.execute_batch("CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1);").unwrap();
    drop(theirs);
    refused(&stage, &["it is a database of another program"], "another program's");
}

#[test]
fn a_database_of_a_newer_program_is_refused_whatever_it_holds() {
    let stage = with_state();
    let newer = Connection::open(stage.home.database()).unwrap();
    newer.execute_batch("DROP TABLE claim; CREATE TABLE tomorrow (x); PRAGMA user_version = 4711;").unwrap();
    drop(newer);
    refused(&stage, &["schema version 4711", "newer"], "newer");
}

#[test]
fn a_state_is_whole_from_the_moment_it_has_its_name() {
    // Killed while the first database is made, at instants all over that time: the next run begins as if never before.
    let mut ended = false;
    for step in (1..).step_by(60).map(|step| format!("migration:{step}")) {
        let stage = Stage::new();
        stage.hire_all(&["Ann", "Ben"]);
        let mut command = stage.home.command(&["--reconcile-now"]);
        let output = command.env("ROSTERD_SIM_KILL", &step).output().unwrap();
        ended = output.status.success();
        assert!(ended || !stage.home.database().exists(), "{step}: half a database has its name");
        stage.run(&["--dry-run"]).exits(0);
        stage.reconcile();
        assert!(!stage.home.state().join("rosterd.db.new").exists(), "{step}");
        if ended {
            break;
        }
    }
    assert!(ended);
}
