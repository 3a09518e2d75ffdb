//! Killed in a migration, at instants all over it: the state is of the old schema or of the new one, never between, the
//! backup from before is there, and what the journal's chain covers is as it was. And what an upgrade does: it removes
//! nobody, makes saved plans stale, and reads old words for ever.

use crate::small_disk::SmallDisk;
use crate::support::{Stage, line_of};
use rosterd::store::Store;
use rusqlite::Connection;
use rusqlite::types::Value;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};

/// Instants at which the migration is killed, where `KILLS` asks for no other number.
const INSTANTS: u64 = 40;

/// Every column of an entry. The chain covers all of them.
const COVERED: &str =
    "SELECT seq, run, sync, epoch, at, kind, intent, verb, source_id, outcome, approved, approved_by,
                              rewrites, activates, payload, salt, digest, chain FROM journal ORDER BY seq";
/// Where the chain stood when each run ended.
const ENDS: &str = "SELECT id, chain_seq, chain_head FROM run ORDER BY id";

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/schema-1.db")
}

/// Everything that a query gives, as it is stored.
fn rows(database: &Path, query: &str) -> Vec<Vec<Value>> {
    let database = Connection::open(database).unwrap();
    let mut statement = database.prepare(query).unwrap();
    let columns = statement.column_count();
    let row = |row: &rusqlite::Row<'_>| (0..columns).map(|column| row.get::<_, Value>(column)).collect();
    statement.query_map([], row).unwrap().collect::<Result<_, _>>().unwrap()
}

fn chained(database: &Path) -> (Vec<Vec<Value>>, Vec<Vec<Value>>) {
    (rows(database, COVERED), rows(database, ENDS))
}

fn names(database: &Path, column: &str, table: &str) -> BTreeSet<String> {
    let named = |row: Vec<Value>| match &row[0] {
        Value::Text(text) => text.clone(),
        Value::Null | Value::Integer(_) | Value::Real(_) | Value::Blob(_) => panic!("{column} is no text"),
    };
    rows(database, &format!("SELECT DISTINCT {column} FROM {table}")).into_iter().map(named).collect()
}

/// A stage with the state of schema 1, and the world that it was written in: thirty people, sixteen of them unassigned
/// since, the accounts as they were made. What names the ports of that day is brought up to date.
fn before_the_upgrade() -> Stage {
    let stage = Stage::new();
    fs::create_dir(stage.home.state()).unwrap();
    fs::copy(fixture(), stage.home.database()).unwrap();
    let database = Connection::open(stage.home.database()).unwrap();
    let world = stage.sim.world();
    let leavers: BTreeSet<String> = names(&fixture(), "source_id", "hold_pair");
    for number in 0..30 {
        let login = format!("person{number}@acme.example");
        let person = world.hire_assigned(&login, |person| {
            person.first_name = Some(format!("Person{number}"));
            person.last_name = Some("Archer".to_owned());
            person.title = Some("Engineer".to_owned());
            person.department = Some("Research".to_owned());
            person.organization = Some("Acme".to_owned());
            person.primary_phone = Some("+15550100".to_owned());
        });
        let source_id = world.person(person).okta_id;
        let account = world.add_account(&serde_json::json!({
            "userName": login, "externalId": source_id, "active": true, "title": "Engineer",
            "name": {"givenName": format!("Person{number}"), "familyName": "Archer"},
            "emails": [{"value": login, "type": "work", "primary": true}],
        }));
        let moved = "UPDATE link SET target_id = ?2, target_url = ?3 WHERE source_id = ?1";
        let url = stage.sim.scim_url();
        assert_eq!(database.execute(moved, [source_id.as_str(), &account, url]).unwrap(), 1, "{login}");
        if leavers.contains(&source_id) {
            world.unassign(person);
        }
    }
    let bound = "UPDATE sync SET source_origin = ?1, source_app = ?2, target_url = ?3";
    let (origin, app) = (stage.sim.okta_url(), stage.sim.okta_app_id());
    database.execute(bound, [origin, &app, stage.sim.scim_url()]).unwrap();
    stage
}

/// Runs an upgraded program and kills it this far into the migration. True where it came to that.
fn killed(stage: &Stage, step: u64) -> bool {
    let mut command = stage.home.command(&["--reconcile-now", "--take-over"]);
    let output = command.env("ROSTERD_SIM_KILL", format!("migration:{step}")).output().unwrap();
    output.status.signal() == Some(9)
}

/// A state directory with the fixture, which only the migration is of interest in.
fn only_the_state() -> Stage {
    let stage = Stage::new();
    fs::create_dir(stage.home.state()).unwrap();
    fs::copy(fixture(), stage.home.database()).unwrap();
    stage
}

/// Opens the state as the next run does, and holds that all of it went over.
#[track_caller]
fn opens_whole(state: &Path, case: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let store = Store::open(state, true).await.unwrap_or_else(|error| panic!("{case}: {error}"));
        let snapshot = store.snapshot();
        assert_eq!(snapshot.links("default").await.unwrap().len(), 30, "{case}");
        assert_eq!(snapshot.pins("default").await.unwrap().len(), 8, "{case}");
        let audit = snapshot.audit().await.unwrap();
        assert!(audit.intact, "{case}: {audit:?}");
        store.close().await.unwrap();
    });
    assert_eq!(chained(&state.join("rosterd.db")), chained(&fixture()), "{case}: what the chain covers");
    let backup = state.join("rosterd.v1.backup");
    assert_eq!(rows(&backup, "PRAGMA integrity_check"), [[Value::Text("ok".to_owned())]], "{case}");
    assert_eq!(rows(&backup, "PRAGMA user_version"), [[Value::Integer(1)]], "{case}");
    assert_eq!(chained(&backup), chained(&fixture()), "{case}: the backup");
    assert_eq!(fs::metadata(&backup).unwrap().permissions().mode() & 0o777, 0o600, "{case}");
    assert!(!state.join("rosterd.v1.backup.part").exists(), "{case}");
}

#[test]
fn a_kill_at_any_instant_of_a_migration_leaves_the_old_state_or_the_new_one() {
    let wanted = std::env::var("KILLS").map_or(INSTANTS, |text| text.parse().unwrap());
    // How far a migration goes: found by trying.
    let (mut least, mut most) = (0, 1);
    while killed(&only_the_state(), most) {
        (least, most) = (most, most * 2);
    }
    while most - least > 1 {
        let middle = least.midpoint(most);
        if killed(&only_the_state(), middle) { least = middle } else { most = middle }
    }
    assert!(least > 20, "a migration has {least} instants");
    for number in 0..=wanted {
        let step = 1 + (least - 1) * number / wanted.max(1);
        let case = format!("killed at instant {step} of {least}");
        let stage = only_the_state();
        assert!(killed(&stage, step), "{case}");
        // Whatever bears the backup's name is whole, at once and not only after the next run.
        let backup = stage.home.state().join("rosterd.v1.backup");
        if backup.exists() {
            assert_eq!(chained(&backup), chained(&fixture()), "{case}");
        }
        opens_whole(&stage.home.state(), &case);
    }
    eprintln!("killed at {} of {least} instants", wanted + 1);
}

#[test]
fn a_migration_whose_commit_was_cut_off_anywhere_is_done_again_or_complete() {
    // A kill within a commit leaves a beginning of what the commit appends to the write-ahead log.
    let whole = only_the_state();
    let state = whole.home.state();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let store = runtime.block_on(Store::open(&state, true)).unwrap();
    let database = fs::read(state.join("rosterd.db")).unwrap();
    let log = fs::read(state.join("rosterd.db-wal")).unwrap();
    let backup = fs::read(state.join("rosterd.v1.backup")).unwrap();
    drop(store);
    let (head, frame) = (32, 24 + 4096);
    let frames = (log.len() - head) / frame;
    assert!(frames > 10, "{frames} frames");
    let directory = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let cuts = (0..=frames).flat_map(|number| [head + number * frame, head + number * frame + frame / 2]);
    for (number, cut) in cuts.filter(|cut| *cut <= log.len()).enumerate() {
        let state = directory.path().join(number.to_string());
        fs::create_dir(&state).unwrap();
        fs::write(state.join("rosterd.db"), &database).unwrap();
        fs::write(state.join("rosterd.db-wal"), &log[..cut]).unwrap();
        let mut file = fs::File::create(state.join("rosterd.v1.backup")).unwrap();
        file.set_permissions(fs::Permissions::from_mode(0o600)).unwrap();
        std::io::Write::write_all(&mut file, &backup).unwrap();
        opens_whole(&state, &format!("{cut} of {} bytes of the log", log.len()));
        fs::remove_dir_all(&state).unwrap();
    }
}

#[test]
fn a_migration_without_room_for_its_backup_does_not_begin() {
    let stage = Stage::new();
    let Some(disk) = SmallDisk::of(&stage) else { return };
    let database = disk.directory().join("rosterd.db");
    fs::copy(fixture(), &database).unwrap();
    disk.fill();
    // Room for the lock and for a part of the backup.
    let filler = fs::File::options().write(true).open(disk.filler()).unwrap();
    filler.set_len(filler.metadata().unwrap().len() - 100_000).unwrap();
    drop(filler);
    let ran = disk.run(&stage, &["--reconcile-now", "--take-over"]).exits(1);
    ran.complains(&["cannot back up the state before migrating", "help: check disk space"]);
    let home = tempfile::tempdir().unwrap();
    let copy = home.path().join("before.db");
    fs::copy(&database, &copy).unwrap();
    assert_eq!(rows(&copy, "PRAGMA user_version"), [[Value::Integer(1)]], "it was migrated without a backup");
    assert_eq!(chained(&copy), chained(&fixture()));
    assert!(!disk.directory().join("rosterd.v1.backup").exists(), "half a backup bears its name");
    assert!(stage.sim.all_requests().is_empty());
    disk.free();
    // The configuration is not that of the fixture, which is said once the state is open.
    disk.run(&stage, &["--reconcile-now", "--take-over"]).exits(78);
    for entry in fs::read_dir(disk.directory()).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), home.path().join(entry.file_name())).unwrap();
    }
    opens_whole(home.path(), "with room again");
}

#[test]
fn an_upgrade_removes_nobody() {
    let stage = before_the_upgrade();
    let ran = stage.run(&["--reconcile-now", "--take-over", "--format", "json"]).exits(4);
    let writes: Vec<String> = stage.sim.writes().iter().map(rosterd::sim::Request::line).collect();
    let sync = ran.sync();
    for verb in ["deactivate", "delete", "create", "adopt"] {
        assert_eq!(sync["summary"][verb], 0, "{sync:#}");
    }
    assert!(writes.iter().all(|line| line.starts_with("PATCH")), "{writes:#?}");
    assert!(stage.sim.world().accounts().iter().all(rosterd::sim::Account::active));
    // Eight were rejected, which stands; eight are held, and wait as before.
    let kept: Vec<String> =
        names(&fixture(), "user_name", "hold_pair WHERE state = 'dropped'").into_iter().collect();
    let held: Vec<String> =
        names(&fixture(), "user_name", "hold_pair WHERE state = 'waiting'").into_iter().collect();
    assert_eq!((kept.len(), held.len()), (8, 8));
    for (people, outcome) in [(kept, "skipped"), (held, "held")] {
        for user in people {
            assert_eq!(line_of(&sync, &user)["outcome"], outcome, "{user}: {sync:#}");
        }
    }
    stage.run(&["history", "--verify"]).exits(0);
}

#[test]
fn every_stored_document_of_the_first_schema_is_read() {
    let stage = before_the_upgrade();
    stage.run(&["--reconcile-now", "--take-over"]).exits(4);
    for run in rows(&fixture(), "SELECT id FROM run") {
        let Value::Integer(run) = run[0] else { panic!("a run has a number") };
        let told = stage.run(&["history", "--run", &run.to_string(), "--format", "json"]).exits(0);
        assert_eq!(told.sync()["run"], run);
    }
    // A return reads the intents of the run, whole.
    let ran = stage.run(&["undo", "--run", "1", "--dry-run", "--format", "json"]);
    assert!([Some(0), Some(4)].contains(&ran.code), "{}", ran.all());
    assert!(!ran.all().contains("damaged"), "{}", ran.all());
    stage.run(&["explain", "person1@acme.example", "--offline"]).exits(0);
    stage.run(&["status"]);
}

#[test]
fn a_write_that_the_older_program_left_open_is_settled_by_the_newer_one() {
    let stage = before_the_upgrade();
    let database = Connection::open(stage.home.database()).unwrap();
    // As a crash of the older program leaves it: the intent is on record and its outcome is not.
    let open = "INSERT INTO in_flight (intent, sync, source_id)
                SELECT seq, sync, source_id FROM journal WHERE kind = 'intent' AND verb = 'create' LIMIT 1";
    assert_eq!(database.execute(open, []).unwrap(), 1);
    drop(database);
    let ran = stage.run(&["--reconcile-now", "--take-over"]).exits(4);
    ran.says(&["settled 1 writes that an earlier run had left open"]);
    assert_eq!(rows(&stage.home.database(), "SELECT count(*) FROM in_flight"), [[Value::Integer(0)]]);
    stage.run(&["history", "--verify"]).exits(0);
}

#[test]
fn a_plan_that_was_saved_before_the_upgrade_is_stale() {
    let stage = Stage::new();
    stage.hire_all(&["Ann", "Ben"]);
    let file = stage.home.path().join("plan.json");
    let name = file.to_str().unwrap();
    stage.run(&["plan", "--out", name]).exits(0);
    let mut plan: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    plan["rosterd"] = "0.0.1".into();
    fs::write(&file, plan.to_string()).unwrap();
    stage.run(&["apply", name]).exits(4).complains(&["rosterd 0.0.1 made it", "help:"]);
    // What the first schema's program wrote knew neither causes nor what an action waits for.
    plan["rosterd"] = env!("CARGO_PKG_VERSION").into();
    for action in plan["syncs"][0]["actions"].as_array_mut().unwrap() {
        for key in ["cause", "waits_for", "owed_since"] {
            action.as_object_mut().unwrap().remove(key);
        }
    }
    plan["digest"] = "".into();
    plan["digest"] = blake3::hash(plan.to_string().as_bytes()).to_hex().to_string().into();
    fs::write(&file, plan.to_string()).unwrap();
    stage.run(&["apply", name]).exits(4).complains(&["cannot apply", "help:"]);
    assert!(stage.sim.writes().is_empty());
}
