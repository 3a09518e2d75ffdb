//! The state directory as the program leaves it: a dry run changes no byte of it, whoever may not use it is refused.

use crate::support::{Prey, Ran, Stage, action_of, count};
use rosterd::sim::{Cut, Effect, Fault, Peer};
use rusqlite::Connection;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::mpsc;
use std::time::Duration;

/// A file, down to the last byte.
#[derive(Debug, PartialEq)]
pub(crate) struct Facts {
    hash: String,
    size: u64,
    mode: u32,
    owner: u32,
    inode: u64,
    /// Nanoseconds, as is the next.
    content_changed: i128,
    status_changed: i128,
}

/// What a directory holds, and the directory itself.
#[derive(Debug, PartialEq)]
pub(crate) struct Print(BTreeMap<PathBuf, Facts>);

pub(crate) fn print(directory: &Path) -> Print {
    let time = |seconds: i64, nanoseconds: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds);
    let facts = |path: PathBuf| {
        let meta = fs::symlink_metadata(&path).unwrap();
        let content = if meta.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
        let facts = Facts {
            hash: blake3::hash(&content).to_hex().to_string(),
            size: meta.size(),
            mode: meta.mode(),
            owner: meta.uid(),
            inode: meta.ino(),
            content_changed: time(meta.mtime(), meta.mtime_nsec()),
            status_changed: time(meta.ctime(), meta.ctime_nsec()),
        };
        (path, facts)
    };
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    Print(entries.chain([directory.to_owned()]).map(facts).collect())
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Everything that a dry run must leave alone: the state directory, and the temporary directory empty.
fn dry_run(stage: &Stage) -> Ran {
    let before = print(&stage.home.state());
    stage.sim.clear_requests();
    let ran = stage.run(&["--dry-run", "--format", "json"]).exits(0);
    assert_eq!(print(&stage.home.state()), before);
    assert_reads_only(stage);
    assert_eq!(names(&stage.home.path().join("tmp")), [""; 0], "nothing is left behind");
    ran
}

fn assert_reads_only(stage: &Stage) {
    let requests = stage.sim.requests(Peer::Scim);
    assert!(
        requests.iter().all(|request| request.method == "GET" && request.body.is_empty()),
        "{requests:#?}"
    );
}

/// A stage with links and every kind of change waiting.
fn with_changes() -> Stage {
    let stage = Stage::new();
    let people = stage.hire_all(&["Ann", "Ben", "Cleo", "Dan", "Eve"]);
    stage.reconcile();
    let world = stage.sim.world();
    world.unassign(people[3]);
    stage.reconcile();
    world.assign(people[3]);
    world.edit(people[0], |person| person.title = Some("Manager".to_owned()));
    world.unassign(people[1]);
    world.rename(people[2], "cleopatra@acme.example");
    stage.hire("Fay", "Engineer");
    stage
}

#[test]
fn a_dry_run_after_a_clean_stop_leaves_every_byte_and_asks_only_get() {
    let stage = with_changes();
    assert!(!stage.home.state().join("rosterd.db-wal").exists(), "a clean stop leaves no write-ahead log");
    let sync = dry_run(&stage).sync();
    for (user, action) in [
        ("ann@acme.example", "update"),
        ("ben@acme.example", "deactivate"),
        ("cleo@acme.example", "update"),
        ("dan@acme.example", "reactivate"),
        ("fay@acme.example", "create"),
    ] {
        assert_eq!(action_of(&sync, user), (action.to_owned(), "planned".to_owned()));
    }
    assert_eq!(sync["run"], serde_json::Value::Null);
}

#[test]
fn a_dry_run_without_any_state_creates_nothing() {
    let stage = Stage::new();
    stage.hire_all(&["Ann", "Ben"]);
    let ran = stage.run(&["--dry-run"]).exits(0);
    ran.says(&["2 to create", "there is no state yet"]);
    assert!(!stage.home.state().exists());
    assert_reads_only(&stage);
    // An empty directory stays empty.
    fs::create_dir(stage.home.state()).unwrap();
    assert_eq!(count(&dry_run(&stage).sync(), "create"), 2);
    assert_eq!(names(&stage.home.state()), [""; 0]);
}

const PEOPLE: [&str; 10] = ["Ann", "Ben", "Cleo", "Dan", "Eve", "Fay", "Gus", "Hal", "Ida", "Jon"];

/// Kills a run with SIGKILL after its `nth` request with this method was worked on, before the reply.
fn killed_after(stage: &Stage, method: &str, nth: u64) {
    let prey = Prey::default();
    let hunter = prey.clone();
    let rule = Fault::on(Peer::Scim).method(method).nth(nth);
    let number = stage
        .sim
        .faults()
        .add(rule.then(Effect::after(move |_| hunter.kill())).then(Effect::Cut(Cut::LostReply)));
    let mut child = stage.home.start(&["--reconcile-now"]);
    prey.is(&child);
    assert_eq!(child.wait().unwrap().code(), None, "killed");
    assert_eq!(stage.sim.faults().fired(number), 1);
    stage.sim.faults().clear();
}

#[test]
fn a_dry_run_after_kill_9_leaves_every_byte_and_sees_what_the_log_holds() {
    let stage = Stage::new();
    stage.hire_all(&PEOPLE);
    killed_after(&stage, "POST", 8);
    let wal = stage.home.state().join("rosterd.db-wal");
    assert!(fs::metadata(&wal).unwrap().len() > 0, "the crash leaves a write-ahead log");
    let sync = dry_run(&stage).sync();
    // What was acknowledged before the kill is in the write-ahead log alone: those people are linked and unchanged.
    let linked = count(&sync, "unchanged");
    assert!(linked > 0, "{sync:#}");
    assert_eq!(linked + count(&sync, "adopt") + count(&sync, "create"), 10, "{sync:#}");
    assert!(wal.exists());
    let logins = recovered(&stage, 10);
    assert!(logins.len() >= 8, "eight creations were worked on");
    // What nobody can tell yet is given up, and then everybody has one account.
    for name in PEOPLE.map(|name| format!("{}@acme.example", name.to_lowercase())) {
        if !logins.contains(&name) {
            stage.run(&["forget", &name, "--unsettled", "--yes"]).exits(0);
        }
    }
    let sync = stage.reconcile();
    assert_eq!(stage.sim.world().accounts().len(), 10, "{sync:#}");
}

/// The logins of the accounts after a run that follows a kill. A creation that was on its way at that moment has reached
/// the workspace or not; in the second case nobody can tell for ten minutes whether it made an account, and the run is
/// partial.
#[track_caller]
fn recovered(stage: &Stage, people: usize) -> BTreeSet<String> {
    let ran = stage.run(&["--reconcile-now"]);
    let accounts = stage.sim.world().accounts();
    let logins: BTreeSet<_> =
        accounts.iter().map(|account| account.at("/userName").as_str().unwrap().to_owned()).collect();
    assert_eq!(logins.len(), accounts.len(), "never two accounts for one identity");
    ran.exits(if logins.len() == people { 0 } else { 3 });
    logins
}

/// Starts a run that gets no answer to its first PATCH, and waits until it has sent it.
fn stuck(stage: &Stage) -> Child {
    let (arrived, arrival) = mpsc::channel::<()>();
    let tell = Effect::before(move |_| arrived.send(()).unwrap());
    let never = Effect::Delay(Duration::from_secs(3600));
    stage.sim.faults().add(Fault::on(Peer::Scim).method("PATCH").nth(1).then(tell).then(never));
    let child = stage.home.start(&["--reconcile-now"]);
    arrival.recv().unwrap();
    child
}

/// Ends a run that we started.
fn end(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_dry_run_beside_a_living_one_shot_changes_nothing_and_does_not_wait() {
    let stage = with_changes();
    let living = stuck(&stage);
    // SQLite's shared memory notes who reads, and as root it sets the owner of both files again; the data does not
    // change.
    let data = |stage: &Stage| {
        let mut all = print(&stage.home.state());
        all.0.retain(|path, _| !path.to_string_lossy().ends_with("-shm"));
        all.0.values_mut().for_each(|facts| facts.status_changed = 0);
        (all, names(&stage.home.state()))
    };
    let before = data(&stage);
    assert!(before.1.contains(&"rosterd.db-wal".to_owned()), "{before:?}");
    let writes = stage.sim.writes().len();
    let ran = stage.run(&["--dry-run", "--format", "json"]).exits(0);
    assert_eq!(action_of(&ran.sync(), "fay@acme.example").0, "create");
    assert_eq!(data(&stage), before);
    assert_eq!(stage.sim.writes().len(), writes);
    end(living);
}

#[test]
fn a_second_run_is_told_who_holds_the_state() {
    let stage = with_changes();
    let living = stuck(&stage);
    let ran = stage.run(&["--reconcile-now", "--format", "json"]).exits(75);
    ran.complains(&["another rosterd", &format!("pid {}", living.id()), "help:"]);
    assert_eq!(ran.stdout, "");
    end(living);
    // The kernel lets go of the lock with the process.
    stage.reconcile();
}

#[test]
fn nobody_else_may_read_the_state() {
    let stage = Stage::new();
    stage.hire_all(&["Ann", "Ben", "Cleo"]);
    let mode = |path: PathBuf| fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
    killed_after(&stage, "POST", 2);
    let state = stage.home.state();
    assert_eq!(mode(state.clone()), 0o700);
    let all = names(&state);
    assert_eq!(all, ["rosterd.db", "rosterd.db-shm", "rosterd.db-wal", "rosterd.lock"]);
    all.iter().for_each(|name| assert_eq!(mode(state.join(name)), 0o600, "{name}"));
    recovered(&stage, 3);
    assert_eq!(names(&state), ["rosterd.db", "rosterd.lock"]);
    names(&state).iter().for_each(|name| assert_eq!(mode(state.join(name)), 0o600, "{name}"));
}

/// A stage with a state of one person, which a test then spoils.
fn with_state() -> Stage {
    let stage = Stage::new();
    stage.hire("Ann", "Engineer");
    stage.reconcile();
    stage.sim.clear_requests();
    stage
}

/// Asserts that a run with these arguments is refused as a configuration error, asks nobody and changes nothing.
#[track_caller]
fn refused(stage: &Stage, arguments: &[&str], words: &[&str]) {
    let before = fs::read(stage.home.database()).unwrap();
    let ran = stage.run(arguments).exits(78);
    ran.complains(words).complains(&["help:"]);
    assert_eq!(ran.stdout, "");
    assert!(fs::read(stage.home.database()).unwrap() == before, "the database was changed");
    assert!(stage.sim.all_requests().is_empty());
}

#[test]
fn a_copy_on_another_machine_asks_to_be_taken_over() {
    if !Path::new("/etc/machine-id").exists() {
        eprintln!("NOT RUN: this machine has no /etc/machine-id");
        return;
    }
    let stage = with_state();
    let database = Connection::open(stage.home.database()).unwrap();
    let other = "UPDATE meta SET value = zeroblob(16) WHERE key = 'machine_id'";
    assert_eq!(database.execute(other, []).unwrap(), 1);
    drop(database);
    refused(&stage, &["--reconcile-now"], &["another machine", "--take-over"]);
    stage.run(&["--dry-run"]).exits(0).says(&["1 unchanged"]);
    stage.run(&["--reconcile-now", "--take-over"]).exits(0).says(&["1 unchanged"]);
    stage.run(&["--reconcile-now"]).exits(0);
}

#[test]
fn a_newer_schema_is_refused() {
    let stage = with_state();
    Connection::open(stage.home.database()).unwrap().pragma_update(None, "user_version", 99).unwrap();
    for command in ["--reconcile-now", "--dry-run"] {
        refused(&stage, &[command], &["schema version 99", "newer"]);
    }
}

#[test]
fn a_database_of_another_program_is_refused() {
    let stage = with_state();
    fs::remove_file(stage.home.database()).unwrap();
    Connection::open(stage.home.database())
        .unwrap()
        .execute_batch("CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1);")
        .unwrap();
    for command in ["--reconcile-now", "--dry-run"] {
        refused(&stage, &[command], &["database of another program", "state_dir"]);
    }
    fs::write(stage.home.database(), "a text that somebody put here\n".repeat(500)).unwrap();
    for command in ["--reconcile-now", "--dry-run"] {
        refused(&stage, &[command], &["rosterd.db", "not a database", "backup"]);
    }
}

#[test]
fn a_damaged_database_is_refused_and_the_way_out_is_told() {
    let stage = with_state();
    let mut bytes = fs::read(stage.home.database()).unwrap();
    // The first page, with the schema, stays readable: the damage is found by looking.
    bytes[4096..].fill(0x5A);
    fs::write(stage.home.database(), bytes).unwrap();
    for command in ["--reconcile-now", "--dry-run"] {
        refused(&stage, &[command], &["damaged", "backup"]);
    }
    // The way out: without the file, everybody is found again.
    fs::remove_file(stage.home.database()).unwrap();
    let sync = stage.reconcile();
    assert_eq!((count(&sync, "adopt"), count(&sync, "create")), (1, 0));
}

#[test]
fn root_does_not_write_into_another_users_state() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("NOT RUN: only root can be refused for being root");
        return;
    }
    let stage = with_state();
    let state = stage.home.state();
    let nobody = 65534;
    for path in names(&state).iter().map(|name| state.join(name)).chain([state.clone()]) {
        std::os::unix::fs::chown(path, Some(nobody), Some(nobody)).unwrap();
    }
    let before = print(&state);
    let ran = stage.run(&["--reconcile-now", "--unattended"]).exits(78);
    ran.complains(&["sudo -u ", " rosterd --reconcile-now --unattended", "belongs to"]);
    assert_eq!(print(&state), before);
    assert!(stage.sim.all_requests().is_empty());
    // A dry run writes nothing, so nothing speaks against it.
    dry_run(&stage);
}

#[test]
fn a_dry_run_sends_only_get_from_whatever_state_it_starts() {
    // Nobody linked, so that the workspace is listed or searched; with a target that needs learning.
    for habits in rosterd::sim::ScimQuirks::presets() {
        let stage = Stage::new();
        stage.hire_all(&["Ann", "Ben", "Cleo", "Dan"]);
        let token = stage.sim.scim_token();
        stage.sim.scim(|scim| *scim = rosterd::sim::ScimQuirks { token, ..habits.1.clone() });
        stage.sim.world().add_account(&serde_json::json!({"userName": "ben@acme.example", "active": true,
            "emails": [{"value": "ben@acme.example", "primary": true}]}));
        let ran = stage.run(&["--dry-run", "--format", "json"]).exits(0);
        assert_eq!(action_of(&ran.sync(), "ben@acme.example").0, "adopt", "{}", habits.0);
        assert_reads_only(&stage);
        assert!(!stage.home.state().exists());
    }
}
