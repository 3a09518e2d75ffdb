//! A disk without room: nothing is sent whose intent is not on it, nothing is lost, and once there is room again the
//! next run finishes. A directory that nobody may write to is a matter of the configuration.
//!
//! The disk is a file system in memory where a mount namespace can be had. A limit on the size of files, which the
//! program meets in the same places, is tried everywhere.

use crate::aftermath::{assert_journal_settled, ten_minutes_pass};
use crate::small_disk::{SmallDisk, fill};
use crate::support::{Access, Prey, Ran, Stage};
use crate::worlds::active;
use rosterd::sim::{Effect, Fault, Peer};
use rusqlite::Connection;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

const CROWD: [&str; 12] =
    ["Ann", "Ben", "Cleo", "Dan", "Eve", "Fay", "Gus", "Hal", "Ida", "Jon", "Kim", "Lea"];
const REAL: [&str; 3] = ["--reconcile-now", "--format", "json"];

/// It failed for a reason that has nothing to do with the configuration, and says what to do.
#[track_caller]
fn failed_for_want_of_room(ran: &Ran, case: &str) {
    assert_eq!(ran.code, Some(1), "{case}: {}\n{}", ran.stdout, ran.stderr);
    // Before a run began there is only the message; of a run that broke off there is its report as well.
    for text in ["state database failed", "help: check disk space and permissions"] {
        assert!(ran.all().contains(text), "{case}: no {text:?} in\n{}\n{}", ran.stdout, ran.stderr);
    }
    if !ran.stdout.is_empty() {
        assert_eq!(ran.sync()["result"], "error", "{case}");
    }
}

/// Every write that reached the workspace has its intent in this database.
#[track_caller]
fn every_write_was_recorded_first(stage: &Stage, database: &Path, case: &str) {
    let database = Connection::open(database).unwrap();
    let mut statement =
        database.prepare("SELECT payload ->> '$.user', payload ->> '$.target_id' FROM journal").unwrap();
    let mut recorded = BTreeSet::new();
    let mut rows = statement.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        recorded.extend((0..2).filter_map(|column| row.get::<_, Option<String>>(column).unwrap()));
    }
    for write in stage.sim.writes() {
        let login = write.json()["userName"].as_str().map(str::to_owned);
        let whom = login.unwrap_or_else(|| write.path.rsplit('/').next().unwrap().to_owned());
        assert!(recorded.contains(&whom), "{case}: {} {whom} has no intent in {recorded:?}", write.line());
    }
}

/// With room again everybody gets an account, once.
#[track_caller]
fn finishes(stage: &Stage, disk: Option<&SmallDisk>, case: &str) {
    let run = || disk.map_or_else(|| stage.run(&REAL), |disk| disk.run(stage, &REAL));
    let ran = run();
    assert!([Some(0), Some(3)].contains(&ran.code), "{case}: {}\n{}", ran.stdout, ran.stderr);
    if let Some(disk) = disk {
        // The rest is as after any crash; a state of its own file system is brought home for it.
        for entry in fs::read_dir(disk.directory()).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), stage.home.state().join(entry.file_name())).unwrap();
        }
    }
    ten_minutes_pass(stage);
    stage.run(&REAL).exits(0);
    let logins: Vec<String> =
        stage.sim.world().accounts().iter().map(|account| account.user_name().to_owned()).collect();
    assert_eq!(logins.len(), CROWD.len(), "{case}: {logins:?}");
    assert!(
        active(&CROWD.map(str::to_lowercase).each_ref().map(String::as_str), "Engineer")
            .keys()
            .all(|login| logins.contains(login))
    );
    assert_journal_settled(stage, case);
    stage.run(&["history", "--verify"]).exits(0);
}

#[test]
fn a_disk_that_is_full_before_the_first_run_stops_it_before_anything_is_sent() {
    let stage = Stage::new();
    stage.hire_all(&CROWD);
    let Some(disk) = SmallDisk::of(&stage) else { return };
    disk.fill();
    let ran = disk.run(&stage, &REAL);
    failed_for_want_of_room(&ran, "no state yet");
    assert!(stage.sim.all_requests().is_empty());
    disk.free();
    finishes(&stage, Some(&disk), "no state yet");
}

#[test]
fn a_disk_that_is_full_before_a_later_run_stops_it_before_anything_is_sent() {
    let stage = Stage::new();
    stage.hire_all(&CROWD[..3]);
    let Some(disk) = SmallDisk::of(&stage) else { return };
    disk.run(&stage, &REAL).exits(0);
    stage.hire_all(&CROWD[3..]);
    stage.sim.clear_requests();
    disk.fill();
    let ran = disk.run(&stage, &REAL);
    failed_for_want_of_room(&ran, "with a state");
    assert!(stage.sim.writes().is_empty());
    // Who only looks needs no room there.
    disk.run(&stage, &["--dry-run"]).exits(0).says(&["9 to create"]);
    disk.free();
    finishes(&stage, Some(&disk), "with a state");
}

#[test]
fn a_disk_that_fills_in_the_middle_of_a_run_lets_nothing_out_that_is_not_recorded() {
    for nth in [1, 2, 5, 9] {
        let case = format!("full at creation {nth}");
        let stage = Stage::new();
        stage.hire_all(&CROWD);
        let Some(disk) = SmallDisk::of(&stage) else { return };
        let filler = disk.filler();
        let full = Effect::before(move |_| fill(&filler));
        let number = stage.sim.faults().add(Fault::on(Peer::Scim).method("POST").nth(nth).then(full));
        let ran = disk.run(&stage, &REAL);
        assert_eq!(stage.sim.faults().fired(number), 1, "{case}");
        failed_for_want_of_room(&ran, &case);
        assert!(stage.sim.writes().len() < CROWD.len(), "{case}: it went on");
        let copy = copy_of(&disk.directory());
        every_write_was_recorded_first(&stage, &copy.path().join("rosterd.db"), &case);
        disk.free();
        finishes(&stage, Some(&disk), &case);
    }
}

#[test]
fn a_removal_on_a_disk_that_just_got_full_is_not_lost() {
    for nth in [1, 2] {
        let case = format!("full at removal {nth}");
        let stage = Stage::new();
        let people = stage.hire_all(&CROWD);
        let Some(disk) = SmallDisk::of(&stage) else { return };
        disk.run(&stage, &REAL).exits(0);
        people[..2].iter().for_each(|person| stage.sim.world().unassign(*person));
        stage.sim.clear_requests();
        let filler = disk.filler();
        let full = Effect::before(move |_| fill(&filler));
        stage.sim.faults().add(Fault::on(Peer::Scim).method("PATCH").nth(nth).then(full));
        let ran = disk.run(&stage, &REAL);
        failed_for_want_of_room(&ran, &case);
        let copy = copy_of(&disk.directory());
        every_write_was_recorded_first(&stage, &copy.path().join("rosterd.db"), &case);
        disk.free();
        finishes(&stage, Some(&disk), &case);
        let active = stage.sim.world().accounts().iter().filter(|account| account.active()).count();
        assert_eq!(active, CROWD.len() - 2, "{case}");
    }
}

/// A copy of a state, with what is in the write-ahead log alone: looking at it does not touch the original.
fn copy_of(state: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for name in ["rosterd.db", "rosterd.db-wal"] {
        let from = state.join(name);
        if from.exists() {
            fs::copy(from, copy.path().join(name)).unwrap();
        }
    }
    copy
}

/// The program under a limit on the size of each file, with the signal that comes with it ignored, so that writing
/// fails as on a full disk.
fn limited(stage: &Stage, bytes: u64) -> Command {
    let ours = stage.home.command(&REAL);
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; exec prlimit --fsize=\"$@\"", "sh", &bytes.to_string()]);
    command.arg(ours.get_program()).args(ours.get_args()).env_clear().env("PATH", "/usr/bin:/bin");
    for (name, value) in ours.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    command
}

#[test]
fn a_file_that_may_not_grow_any_more_lets_nothing_out_that_is_not_recorded() {
    let stage = Stage::new();
    stage.hire_all(&CROWD[..1]);
    stage.reconcile();
    stage.hire_all(&CROWD[1..]);
    for size in [20_000, 60_000, 120_000] {
        let case = format!("{size} bytes a file");
        stage.sim.clear_requests();
        let ran = Ran::of(limited(&stage, size).output().unwrap());
        failed_for_want_of_room(&ran, &case);
        assert!(stage.sim.writes().len() < CROWD.len(), "{case}");
        let copy = copy_of(&stage.home.state());
        every_write_was_recorded_first(&stage, &copy.path().join("rosterd.db"), &case);
    }
    finishes(&stage, None, "with room again");
}

#[test]
fn a_directory_on_a_read_only_disk_is_refused_as_configuration_and_can_be_looked_at() {
    let stage = Stage::new();
    stage.hire_all(&CROWD[..3]);
    let Some(disk) = SmallDisk::of(&stage) else { return };
    disk.run(&stage, &REAL).exits(0);
    disk.forbid_writing();
    stage.hire_all(&CROWD[3..]);
    stage.sim.clear_requests();
    let ran = disk.run(&stage, &REAL).exits(78);
    ran.complains(&["rosterd.lock", "Read-only file system", "help: check that the directory exists"]);
    assert_eq!(ran.stdout, "");
    assert!(stage.sim.all_requests().is_empty());
    disk.run(&stage, &["--dry-run"]).exits(0).says(&["9 to create"]);
}

#[test]
fn a_directory_that_this_user_may_not_write_to_is_refused_as_configuration() {
    let stage = Stage::with(Access::OktaToken, "");
    stage.hire_all(&CROWD[..3]);
    let closed = stage.home.path().join("closed");
    fs::create_dir(&closed).unwrap();
    let text = fs::read_to_string(stage.home.path().join("config.toml")).unwrap();
    let inside = closed.join("state");
    let text = text.replace(&format!("{:?}", stage.home.state()), &format!("{inside:?}"));
    fs::write(stage.home.path().join("config.toml"), text).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o555)).unwrap();
    let mut command = stage.home.command(&REAL);
    if rustix::process::geteuid().is_root() {
        // Modes do not bind root: somebody else runs it, who may read what is there.
        hand_over(stage.home.path());
        std::os::unix::process::CommandExt::uid(&mut command, NOBODY);
    }
    let ran = Ran::of(command.output().unwrap()).exits(78);
    ran.complains(&["cannot create", "Permission denied", "help: check that the directory exists"]);
    assert!(stage.sim.all_requests().is_empty());
    assert!(!inside.exists());
}

const NOBODY: u32 = 65534;

/// Gives a home to another user, but for what is closed.
fn hand_over(path: &Path) {
    std::os::unix::fs::chown(path, Some(NOBODY), None).unwrap();
    for entry in fs::read_dir(path).into_iter().flatten() {
        let entry = entry.unwrap().path();
        if entry.ends_with("closed") {
            continue;
        }
        std::os::unix::fs::chown(&entry, Some(NOBODY), None).unwrap();
    }
}

#[test]
fn a_kill_while_the_disk_is_full_loses_nothing_either() {
    let stage = Stage::new();
    stage.hire_all(&CROWD);
    let Some(disk) = SmallDisk::of(&stage) else { return };
    let (filler, prey) = (disk.filler(), Prey::default());
    let hunter = prey.clone();
    let full = Effect::before(move |_| fill(&filler));
    let kill = Effect::after(move |_| hunter.kill());
    stage.sim.faults().add(Fault::on(Peer::Scim).method("POST").nth(4).then(full).then(kill));
    let mut command = disk.command(&stage, &REAL);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    prey.is(&child);
    child.wait().unwrap();
    stage.sim.faults().clear();
    disk.free();
    finishes(&stage, Some(&disk), "killed on a full disk");
}
