//! `rebuild`, `transfer` and `backup` at the real binary: what they say, what they ask, how they end.

use crate::support::{Ran, Stage, action_of, count, typed};
use insta::assert_snapshot;
use rusqlite::Connection;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Child;

/// Three people with accounts, one who left meanwhile and one account of somebody else's; the state is lost.
fn lost() -> Stage {
    let stage = Stage::new();
    let people = stage.hire_all(&["Ann", "Ben", "Cleo"]);
    stage.reconcile();
    fs::remove_dir_all(stage.home.state()).unwrap();
    stage.sim.world().unassign(people[1]);
    stage.sim.world().add_account(&serde_json::json!({"userName": "guest@acme.example", "active": true}));
    stage.sim.clear_requests();
    stage
}

/// Output without ids and times, and without spaces at line ends.
fn shown(stage: &Stage, text: &str) -> String {
    let mut text = stage.redact(text);
    for account in stage.sim.world().accounts() {
        text = text.replace(&account.id, &format!("[{}]", account.user_name()));
    }
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_dry_run_tells_what_would_be_linked_and_leaves_no_trace() {
    let stage = lost();
    let ran = stage.run(&["rebuild", "--dry-run"]).exits(0);
    assert_snapshot!(shown(&stage, &ran.stdout), @r#"
    rebuild of sync "default": read 2 people at the source and 4 accounts in the workspace, complete

      = link  ann@acme.example  by externalId
      = link  cleo@acme.example  by externalId
      = link  ben@acme.example  by externalId; left meanwhile
      ! left  guest@acme.example (account [guest@acme.example])  nobody whom the source lists matches

    Rebuild: 3 links to be stored, 0 kept; 0 people without an account; 0 cases left to you, 1 account of nobody here.
    Nothing was written.
    "#);
    assert!(!stage.home.state().exists());
    assert!(stage.sim.writes().is_empty());
    stage.run(&["rebuild", "--dry-run", "--detailed-exitcode"]).exits(2);
}

#[test]
fn with_yes_the_links_are_stored_and_the_next_run_finds_the_leaver() {
    let stage = lost();
    let ran = stage.run(&["rebuild", "--yes"]).exits(0);
    ran.says(&["Rebuild: 3 links stored, 0 kept", "the next run writes what differs"]);
    assert!(stage.sim.writes().is_empty());
    let sync = stage.reconcile();
    assert_eq!(action_of(&sync, "ben@acme.example").0, "deactivate");
    assert_eq!((count(&sync, "unchanged"), stage.sim.writes().len()), (2, 1), "{sync:#}");
    let again = stage.run(&["rebuild", "--format", "json"]).exits(0).json();
    assert_eq!((&again["syncs"][0]["linked"], &again["syncs"][0]["kept"]), (&0.into(), &3.into()));
}

#[test]
fn json_has_every_line_and_names_its_schema() {
    let stage = lost();
    let document = stage.run(&["rebuild", "--yes", "--format", "json"]).exits(0).json();
    assert_eq!(document["schema"], "rosterd.rebuild/1");
    let sync = &document["syncs"][0];
    assert_eq!((&sync["mode"], &sync["linked"], &sync["unmanaged"]), (&"apply".into(), &3.into(), &1.into()));
    let links = sync["links"].as_array().unwrap();
    assert_eq!(links.len(), 3);
    assert!(links.iter().all(|link| link["by"] == "externalId" && link["state"] == "active"), "{links:#?}");
    assert_eq!(sync["left"][0]["user"], "guest@acme.example");
}

#[test]
fn nobody_there_to_confirm_is_a_mistake_of_usage_and_stores_nothing() {
    let stage = lost();
    let ran = stage.run(&["rebuild"]).exits(64);
    ran.complains(&["= link  ann@acme.example", "--yes"]);
    stage.run(&["rebuild", "--dry-run"]).exits(0).says(&["Rebuild: 3 links to be stored"]);
}

#[test]
fn on_a_terminal_only_yes_stores_the_links() {
    let stage = lost();
    let ran = typed(&stage, &["rebuild"], "n\n").exits(4);
    ran.complains(&["Store these links? [y/N]", "no link was stored"]);
    let ran = typed(&stage, &["rebuild"], "y\n").exits(0);
    ran.says(&["3 links stored"]);
}

#[test]
fn a_workspace_that_cannot_be_reached_or_a_source_that_refuses_has_its_code() {
    let stage = lost();
    stage.home.secret("workspace.token", "wrong");
    stage.run(&["rebuild", "--yes"]).exits(6);
    stage.configure("");
    stage.home.secret("okta.token", "wrong");
    stage.run(&["rebuild", "--yes"]).exits(5);
    stage.run(&["rebuild", "--sync", "nobody"]).exits(64);
}

/// What lies in the state directory beside the lock.
fn names(stage: &Stage) -> Vec<String> {
    let entries = fs::read_dir(stage.home.state()).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name != "rosterd.lock");
    names.sort();
    names
}

fn aside(stage: &Stage) -> Vec<PathBuf> {
    let found = names(stage).into_iter().filter(|name| name.starts_with("rosterd.db.damaged-"));
    found.map(|name| stage.home.state().join(name)).collect()
}

type Damage = (&'static str, fn(&Stage));

/// Ways in which a database can be damaged.
fn damages() -> [Damage; 3] {
    [
        ("damaged", |stage| {
            let mut bytes = fs::read(stage.home.database()).unwrap();
            bytes[4096..].fill(0x5A);
            fs::write(stage.home.database(), bytes).unwrap();
        }),
        ("not a database", |stage| fs::write(stage.home.database(), b"nothing that SQLite knows").unwrap()),
        ("another program", |stage| {
            let database = Connection::open(stage.home.database()).unwrap();
            database.pragma_update(None, "application_id", 7).unwrap();
        }),
    ]
}

#[test]
fn a_damaged_database_is_moved_aside_by_rebuild_alone_and_never_deleted() {
    for (words, damage) in damages() {
        let stage = Stage::new();
        stage.hire_all(&["Ann", "Ben", "Cleo"]);
        stage.reconcile();
        damage(&stage);
        let bytes = fs::read(stage.home.database()).unwrap();
        stage.sim.clear_requests();
        let ran = stage.run(&["--reconcile-now"]).exits(78);
        ran.complains(&[words, "rosterd rebuild"]);
        let ran = stage.run(&["rebuild", "--dry-run"]).exits(0);
        ran.says(&["3 links to be stored"]).complains(&["damaged", "without --dry-run it is moved aside"]);
        stage.run(&["rebuild"]).exits(64).complains(&["--yes"]);
        typed(&stage, &["rebuild"], "n\n").exits(4).complains(&["Move it aside", "nothing was moved"]);
        assert_eq!((aside(&stage).len(), fs::read(stage.home.database()).unwrap()), (0, bytes.clone()));
        let ran = stage.run(&["rebuild", "--yes"]).exits(0);
        ran.says(&["3 links stored"]).complains(&["moved aside, not deleted", "rosterd.db.damaged-"]);
        let mut moved = aside(&stage);
        moved.retain(|file| {
            !file.to_string_lossy().ends_with("-wal") && !file.to_string_lossy().ends_with("-shm")
        });
        assert_eq!(moved.len(), 1, "{moved:?}");
        assert_eq!(fs::read(&moved[0]).unwrap(), bytes);
        assert_eq!(fs::metadata(&moved[0]).unwrap().permissions().mode() & 0o777, 0o600);
        let sync = stage.reconcile();
        assert_eq!((count(&sync, "unchanged"), stage.sim.writes().len()), (3, 0), "{sync:#}");
        assert_eq!(stage.sim.world().accounts().len(), 3);
    }
}

#[test]
fn what_lies_beside_a_damaged_database_goes_with_it() {
    let stage = Stage::new();
    stage.hire("Ann", "Engineer");
    stage.reconcile();
    fs::write(stage.home.database(), b"nothing that SQLite knows").unwrap();
    for end in ["-wal", "-shm"] {
        fs::write(stage.home.state().join(format!("rosterd.db{end}")), end).unwrap();
    }
    stage.run(&["rebuild", "--yes"]).exits(0);
    let moved = aside(&stage);
    assert_eq!(moved.len(), 3, "{moved:?}");
    for end in ["-wal", "-shm"] {
        let file = moved.iter().find(|file| file.to_string_lossy().ends_with(end)).unwrap();
        assert_eq!(fs::read(file).unwrap(), end.as_bytes());
    }
    let sync = stage.reconcile();
    assert_eq!(count(&sync, "unchanged"), 1, "{sync:#}");
}

#[test]
fn a_backup_is_private_whole_and_never_in_the_place_of_another_file() {
    let stage = Stage::new();
    let file = stage.home.path().join("copy.db");
    let path = file.to_str().unwrap();
    stage.run(&["backup", path]).exits(1).complains(&["no state"]);
    stage.hire_all(&["Ann", "Ben"]);
    stage.reconcile();
    stage.sim.clear_requests();
    stage.run(&["backup", path]).exits(0).complains(&["backed up to", "rosterd.db"]);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(stage.sim.all_requests().is_empty());
    let first = fs::read(&file).unwrap();
    stage.hire("Cleo", "Engineer");
    stage.reconcile();
    stage.run(&["backup", path]).exits(64).complains(&["is there already", "--force"]);
    assert!(fs::read(&file).unwrap() == first, "it was replaced");
    stage.run(&["backup", path, "--force"]).exits(0);
    let links = |file: &PathBuf| -> i64 {
        let database = Connection::open(file).unwrap();
        database.query_row("SELECT count(*) FROM link", [], |row| row.get(0)).unwrap()
    };
    assert_eq!(links(&file), 3);
    stage.run(&["backup", path, "--dry-run"]).exits(64);
    stage.run(&["backup", "/no/such/place/copy.db"]).exits(1).complains(&["/no/such/place"]);
    let left: Vec<_> =
        fs::read_dir(stage.home.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with(".tmp")), "{left:?}");
    // Restored elsewhere, it has to be taken over; here it is the state.
    fs::remove_dir_all(stage.home.state()).unwrap();
    fs::create_dir(stage.home.state()).unwrap();
    fs::copy(&file, stage.home.database()).unwrap();
    let database = Connection::open(stage.home.database()).unwrap();
    let changed =
        database.execute("UPDATE meta SET value = zeroblob(16) WHERE key = 'machine_id'", []).unwrap();
    drop(database);
    if changed == 1 {
        stage.run(&["--reconcile-now"]).exits(78).complains(&["another machine", "--take-over"]);
    }
    stage.run(&["--reconcile-now", "--take-over"]).exits(0).says(&["3 unchanged"]);
}

/// A stage whose sync was called "before" and is called "after" now.
fn renamed() -> Stage {
    let stage = Stage::new();
    stage.hire_all(&["Ann", "Ben"]);
    stage.configure("name = \"before\"");
    stage.reconcile();
    stage.configure("name = \"after\"");
    stage.sim.clear_requests();
    stage
}

#[test]
fn a_renamed_sync_gets_its_links_by_transfer() {
    let stage = renamed();
    let arguments = ["transfer", "--from", "before", "--to", "after"];
    let dry = stage.run(&[arguments.as_slice(), &["--dry-run"]].concat()).exits(0);
    assert_snapshot!(shown(&stage, &dry.stdout), @r#"
    transfer from sync "before" to sync "after": read 2 people at the new source, complete

      > goes over  ann@acme.example  00uPyp3m6VZytJwZ2gOG, by sourceId
      > goes over  ben@acme.example  00u0m0ARBu0fpmiVkopY, by sourceId

    Transfer: 2 links to be handed over, 0 stay.
    Nothing was written.
    Note: nothing is left with "before": take it out of the configuration.
    "#);
    stage.run(&[arguments.as_slice(), &["--dry-run", "--detailed-exitcode"]].concat()).exits(2);
    stage.run(&arguments).exits(64).complains(&["> goes over  ann@acme.example", "--yes"]);
    typed(&stage, &arguments, "\n")
        .exits(4)
        .complains(&["Hand these links over? [y/N]", "nothing was handed over"]);
    let document =
        stage.run(&[arguments.as_slice(), &["--yes", "--format", "json"]].concat()).exits(0).json();
    assert_eq!(document["schema"], "rosterd.transfer/1");
    assert_eq!(document["transfer"]["handed_over"], 2, "{document:#}");
    assert_eq!(document["transfer"]["links"][0]["by"], "sourceId");
    let sync = stage.reconcile();
    assert_eq!((count(&sync, "unchanged"), stage.sim.writes().len()), (2, 0), "{sync:#}");
    stage.run(&[arguments.as_slice(), &["--yes"]].concat()).exits(0).says(&["0 links handed over"]);
}

#[test]
fn a_transfer_that_does_not_fit_says_why() {
    let stage = renamed();
    stage
        .run(&["transfer", "--from", "before", "--to", "nowhere"])
        .exits(64)
        .complains(&["no sync \"nowhere\"", "after"]);
    stage.run(&["transfer", "--from", "never", "--to", "after"]).exits(64).complains(&["has no links"]);
    let who = ["transfer", "--from", "before", "--to", "after", "zoe@acme.example"];
    stage.run(&who).exits(64).complains(&["no link of zoe@acme.example"]);
    stage.home.secret("okta.token", "wrong");
    stage.run(&["transfer", "--from", "before", "--to", "after", "--yes"]).exits(5);
    assert!(stage.sim.writes().is_empty());
}

/// A daemon on a stage; ended when dropped.
struct Service<'a>(&'a Stage, Child);

impl<'a> Service<'a> {
    fn start(stage: &'a Stage) -> Self {
        let mut command = stage.home.command(&["daemon"]);
        let log = fs::File::create(stage.home.path().join("log")).unwrap();
        command.env("RUNTIME_DIRECTORY", stage.home.path()).stdout(log.try_clone().unwrap()).stderr(log);
        let mut child = command.spawn().unwrap();
        let socket = stage.home.path().join("rosterd.sock");
        while std::os::unix::net::UnixStream::connect(&socket).is_err() {
            assert!(child.try_wait().unwrap().is_none(), "the daemon ended before it listened");
            std::thread::park_timeout(std::time::Duration::from_millis(10));
        }
        Service(stage, child)
    }

    /// A command that finds the daemon's socket.
    #[track_caller]
    fn run(&self, arguments: &[&str]) -> Ran {
        let mut command = self.0.home.command(arguments);
        Ran::of(command.env("RUNTIME_DIRECTORY", self.0.home.path()).output().unwrap())
    }
}

impl Drop for Service<'_> {
    fn drop(&mut self) {
        if let Some(pid) = rustix::process::Pid::from_raw(self.1.id().cast_signed()) {
            // One that has ended already needs no signal.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let _ = self.1.wait();
    }
}

#[test]
fn a_running_daemon_rebuilds_transfers_and_is_backed_up() {
    let stage = Stage::new();
    let quietly = "schedule = \"0 0 1 1 *\"\nwatch = \"off\"\n";
    stage.configure(&format!("name = \"before\"\n{quietly}"));
    stage.hire_all(&["Ann", "Ben", "Cleo"]);
    stage.reconcile();
    stage.configure(&format!("name = \"after\"\n{quietly}"));
    Connection::open(stage.home.database())
        .unwrap()
        .execute("DELETE FROM link WHERE user_name LIKE 'ann%'", [])
        .unwrap();
    let service = Service::start(&stage);
    // The overdue run of the new name: nobody is its own but the one without a link.
    let settled = || {
        let ran = service.run(&["--reconcile-now", "--format", "json"]).exits(0).sync();
        assert_eq!(count(&ran, "failed"), 0, "{ran:#}");
        ran
    };
    settled();
    stage.sim.clear_requests();
    let transfer = ["transfer", "--from", "before", "--to", "after", "--yes"];
    service.run(&transfer).exits(0).says(&["Transfer: 2 links handed over, 0 stay."]);
    let sync = settled();
    assert_eq!(count(&sync, "unchanged"), 3, "{sync:#}");
    service.run(&["rebuild", "--yes"]).exits(0).says(&["Rebuild: 0 links stored, 3 kept"]);
    let file = stage.home.path().join("copy.db");
    service.run(&["backup", file.to_str().unwrap()]).exits(0);
    drop(service);
    let links: i64 = Connection::open(&file)
        .unwrap()
        .query_row("SELECT count(*) FROM link WHERE sync = 'after'", [], |row| row.get(0))
        .unwrap();
    assert_eq!(links, 3);
    assert!(stage.sim.writes().is_empty(), "nothing differs but who it belongs to");
}

/// A kill may leave everything in the write-ahead log: it is not lost with a database that is refused.
#[test]
fn a_write_ahead_log_survives_commands_that_refuse_its_database() {
    for length in [0u64, 100] {
        let stage = Stage::new();
        stage.hire("Ann", "Engineer");
        stage.reconcile();
        fs::File::options().write(true).open(stage.home.database()).unwrap().set_len(length).unwrap();
        let wal = stage.home.state().join("rosterd.db-wal");
        fs::write(&wal, b"the last hours").unwrap();
        for command in ["--reconcile-now", "holds"] {
            stage.run(&[command]);
            assert_eq!(fs::read(&wal).unwrap(), b"the last hours", "{command}");
        }
        stage.run(&["--reconcile-now"]).exits(78).complains(&["rosterd rebuild"]);
        stage.run(&["rebuild", "--yes"]).exits(0);
        let moved = aside(&stage);
        assert!(moved.iter().any(|file| fs::read(file).unwrap() == b"the last hours"), "{moved:?}");
    }
}
