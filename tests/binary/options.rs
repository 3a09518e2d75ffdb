//! Options: `--output`, `--sync`, `--user`, logs, colours. What goes to which stream.

use crate::support::{Access, Ran, Stage, action_of, count};
use rosterd::sim::Peer;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

#[test]
fn a_report_goes_to_a_file_at_once_and_one_line_to_stderr() {
    let stage = Stage::new();
    stage.hire_all(&["Ann", "Ben"]);
    let directory = stage.home.path().join("reports");
    fs::create_dir(&directory).unwrap();
    let path = directory.join("report.json");
    fs::write(&path, "the report of yesterday, which is longer than a few bytes").unwrap();
    let before = fs::metadata(&path).unwrap().ino();
    let arguments = ["--reconcile-now", "-q", "--format", "json", "--output", path.to_str().unwrap()];
    let ran = stage.run(&arguments).exits(0);
    assert_eq!(ran.stdout, "");
    assert_eq!(ran.stderr, "default: ok: 2 created, 0 unchanged.\n");
    let report: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(report["syncs"][0]["summary"]["create"], 2);
    assert_ne!(fs::metadata(&path).unwrap().ino(), before, "a whole file takes the place of the old one");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o077, 0, "it holds names of people");
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 1, "no temporary file is left");
}

#[test]
fn a_file_that_cannot_be_written_leaves_the_old_one() {
    let stage = Stage::new();
    stage.hire("Ann", "Engineer");
    let place = stage.home.path().join("a-directory");
    fs::create_dir(&place).unwrap();
    stage
        .run(&["--dry-run", "--output", place.to_str().unwrap()])
        .exits(1)
        .complains(&["cannot write the report"]);
    assert!(place.is_dir());
    let names: Vec<_> =
        fs::read_dir(stage.home.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!names.iter().any(|name| name.to_string_lossy().starts_with(".tmp")), "{names:?}");
}

#[test]
fn a_text_report_in_a_file_has_no_colours() {
    let stage = Stage::new();
    stage.hire("Ann", "Engineer");
    let path = stage.home.path().join("report.txt");
    stage.run(&["--dry-run", "--color", "always", "--output", path.to_str().unwrap()]).exits(0);
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains("+ create") && !text.contains('\u{1b}'), "{text}");
}

/// Two syncs of one company into one workspace each would be the rule; here both write to the same fake under
/// names of their own, so that the accounts of the first are seen by the second.
fn two_syncs(stage: &Stage) {
    let sides = stage.sides();
    stage.home.configure(&format!(
        "[[sync]]\nname = \"first\"\n{sides}\n[[sync]]\nname = \"second\"\n{sides}\nlifecycle = {{ create = false }}\n"
    ));
}

#[test]
fn several_syncs_run_one_after_the_other_and_report_together() {
    let stage = Stage::new();
    stage.hire_all(&["Ann", "Ben"]);
    two_syncs(&stage);
    let ran = stage.run(&["--reconcile-now", "--format", "json"]).exits(0);
    let syncs = ran.json()["syncs"].clone();
    let syncs = syncs.as_array().unwrap();
    assert_eq!(syncs.len(), 2);
    assert_eq!((syncs[0]["sync"].as_str(), count(&syncs[0], "create")), (Some("first"), 2));
    // An account is linked once per target over all syncs.
    assert_eq!(
        (syncs[1]["sync"].as_str(), count(&syncs[1], "blocked")),
        (Some("second"), 2),
        "{:#}",
        syncs[1]
    );
    assert_ne!(syncs[0]["run"], syncs[1]["run"], "run numbers are unique over the state");
    stage.run(&["--dry-run"]).exits(0).says(&["dry run of sync \"first\"", "dry run of sync \"second\""]);
}

#[test]
fn only_the_chosen_sync_runs() {
    let stage = Stage::new();
    stage.hire("Ann", "Engineer");
    two_syncs(&stage);
    let ran = stage.run(&["--reconcile-now", "--sync", "second", "--format", "json"]).exits(0);
    assert_eq!(ran.json()["syncs"].as_array().unwrap().len(), 1);
    assert_eq!(ran.sync()["sync"], "second");
    assert!(stage.sim.world().accounts().is_empty());
    let ran = stage.run(&["--dry-run", "--sync", "second", "--sync", "first", "--format", "json"]).exits(0);
    assert_eq!(ran.json()["syncs"].as_array().unwrap().len(), 2);
    stage.sim.clear_requests();
    let ran = stage.run(&["--dry-run", "--sync", "third"]).exits(64);
    ran.complains(&["there is no sync \"third\"", "help:", "first, second"]);
    assert!(stage.sim.all_requests().is_empty());
}

#[test]
fn a_run_of_one_person_reads_no_list_and_touches_nobody_else() {
    for login in [Access::OktaToken, Access::OneLogin] {
        let stage = Stage::with(login, "");
        let people = stage.hire_all(&["Ann", "Ben", "Cleo"]);
        stage.reconcile();
        for person in &people {
            stage.sim.world().edit(*person, |person| person.title = Some("Manager".to_owned()));
        }
        stage.sim.clear_requests();
        let ran = stage.run(&["--reconcile-now", "--user", "ben@acme.example", "--format", "json"]).exits(0);
        assert_eq!(action_of(&ran.sync(), "ben@acme.example"), ("update".to_owned(), "applied".to_owned()));
        assert_eq!(ran.sync()["actions"].as_array().unwrap().len(), 1);
        assert_eq!(stage.sim.writes().len(), 1);
        let listed = stage
            .sim
            .all_requests()
            .into_iter()
            .filter(|request| request.path.contains("/apps/") && request.path.ends_with("/users"));
        assert_eq!(listed.count(), 0, "point reads only");
        let title = |name: &str| stage.sim.world().account(name).unwrap().at("/title");
        assert_eq!(
            (title("ben@acme.example"), title("ann@acme.example")),
            ("Manager".into(), "Engineer".into())
        );
    }
}

#[test]
fn a_person_is_found_by_login_address_source_id_and_account_id() {
    let stage = Stage::new();
    let people = stage.hire_all(&["Ann", "Ben"]);
    stage.reconcile();
    stage.sim.world().edit(people[0], |person| person.title = Some("Manager".to_owned()));
    let ann = stage.sim.world().person(people[0]);
    let account = stage.sim.world().account("ann@acme.example").unwrap().id;
    for who in ["ann@acme.example", "ANN@acme.example", ann.okta_id.as_str(), account.as_str()] {
        let ran = stage.run(&["--dry-run", "--user", who, "--format", "json"]).exits(0);
        assert_eq!(action_of(&ran.sync(), "ann@acme.example").0, "update", "{who}");
    }
    let both = ["--dry-run", "--user", "ann@acme.example", "--user", "ben@acme.example", "--format", "json"];
    assert_eq!(count(&stage.run(&both).exits(0).sync(), "unchanged"), 1);
    let ran = stage.run(&["--dry-run", "--user", "zoe@acme.example"]).exits(1);
    ran.says(&["knows nobody called zoe@acme.example"]);
}

#[test]
fn a_named_leaver_is_proven_and_removed() {
    let stage = Stage::new();
    let people = stage.hire_all(&["Ann", "Ben", "Cleo", "Dan"]);
    stage.reconcile();
    stage.sim.world().unassign(people[1]);
    let ran = stage.run(&["--reconcile-now", "--user", "ben@acme.example", "--format", "json"]).exits(0);
    assert_eq!(action_of(&ran.sync(), "ben@acme.example"), ("deactivate".to_owned(), "applied".to_owned()));
}

#[test]
fn logs_are_lines_on_stderr_and_one_json_object_each_where_asked() {
    let stage = Stage::new();
    stage.hire_all(&["Ann", "Ben"]);
    let ran = stage.run(&["--reconcile-now", "--log-format", "json"]).exits(0);
    let lines: Vec<Value> = ran.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let writes: Vec<_> = lines.iter().filter(|line| line["message"] == "write").collect();
    assert_eq!(writes.len(), 2, "{lines:#?}");
    for line in &writes {
        assert_eq!(
            (&line["action"], &line["outcome"], &line["status"]),
            (&"create".into(), &"applied".into(), &201.into())
        );
        assert!(line["user"].as_str().unwrap().ends_with("@acme.example") && line["sync"] == "default");
    }
    assert!(lines.iter().any(|line| line["message"] == "run finished" && line["result"] == "ok"));
    assert!(!ran.stdout.contains("\"message\""));
}

#[test]
fn quiet_is_quiet_and_verbose_tells_more() {
    let stage = Stage::new();
    stage.hire_all(&["Ann", "Ben"]);
    let usual = stage.run(&["--dry-run"]).exits(0);
    assert_eq!(stage.run(&["--dry-run", "-q"]).exits(0).stderr, "");
    let verbose = stage.run(&["--dry-run", "-v"]).exits(0);
    assert!(verbose.stderr.lines().count() > usual.stderr.lines().count(), "{}", verbose.stderr);
    verbose.complains(&["page read", "people=2"]);
    assert_eq!(verbose.stdout, usual.stdout, "logs change no report");
    let sent = || stage.sim.requests(Peer::Okta).len() + stage.sim.requests(Peer::Scim).len();
    let before = sent();
    let most = stage.run(&["--dry-run", "-vv"]).exits(0);
    let requests = most.stderr.lines().filter(|line| line.contains("request peer=")).count();
    assert_eq!(requests, sent() - before, "{}", most.stderr);
    most.complains(&["GET ", "/scim/v2/Users", "status=200", "duration_millis="]);
    assert!(!most.stderr.contains("filter="), "who is looked for is no business of a log");
    // An error is told even then.
    stage.run(&["--dry-run", "-q", "--sync", "nobody"]).exits(64).complains(&["error:"]);
}

fn with_environment(stage: &Stage, arguments: &[&str], variables: &[(&str, &str)]) -> Ran {
    let mut command = stage.home.command(arguments);
    Ran::of(command.envs(variables.iter().copied()).output().unwrap()).exits(0)
}

#[test]
fn colours_are_for_terminals_unless_asked_for() {
    let stage = Stage::new();
    stage.hire_all(&["Ann", "Ben"]);
    let coloured = |ran: &Ran| (ran.stdout.contains('\u{1b}'), ran.stderr.contains('\u{1b}'));
    for arguments in [
        &["--dry-run"][..],
        &["--dry-run", "--color", "never"],
        &["--dry-run", "--color", "auto"],
        &["check"],
    ] {
        assert_eq!(coloured(&stage.run(arguments)), (false, false), "{arguments:?}");
    }
    assert!(coloured(&stage.run(&["--dry-run", "--color", "always"])).0);
    assert!(coloured(&stage.run(&["check", "--color", "always"])).0);
    // NO_COLOR speaks where nobody said anything; a flag is a word of its own.
    assert_eq!(
        coloured(&with_environment(&stage, &["--dry-run"], &[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")])),
        (false, false)
    );
    assert!(coloured(&with_environment(&stage, &["--dry-run", "--color", "always"], &[("NO_COLOR", "1")])).0);
    // JSON is never coloured.
    assert!(!stage.run(&["--dry-run", "--format", "json", "--color", "always"]).stdout.contains('\u{1b}'));
}

#[test]
fn a_configuration_is_found_by_flag_before_variable() {
    let stage = Stage::new();
    stage.hire("Ann", "Engineer");
    let other = stage.home.path().join("other.toml");
    fs::rename(stage.home.path().join("config.toml"), &other).unwrap();
    stage.run(&["--dry-run"]).exits(78).complains(&["config.toml"]);
    stage.run(&["--dry-run", "-c", other.to_str().unwrap()]).exits(0);
    stage.run(&["check", "--offline", "--config", other.to_str().unwrap()]).exits(0);
    // $STATE_DIRECTORY, as systemd sets it, wins over the file.
    let state = stage.home.path().join("systemd-state");
    let arguments = ["--reconcile-now", "-c", other.to_str().unwrap()];
    with_environment(&stage, &arguments, &[("STATE_DIRECTORY", state.to_str().unwrap())]);
    assert!(state.join("rosterd.db").exists() && !stage.home.state().exists());
}

/// Where a journal is, its lines go there; elsewhere nothing is lost and the log says so.
#[test]
fn a_log_for_the_journal_is_text_where_there_is_no_journal() {
    use std::os::unix::fs::MetadataExt;
    let stage = Stage::new();
    stage.hire("Ann", "Engineer");
    let by_name = stage.run(&["--reconcile-now", "--log-format", "journald"]).exits(0).stderr;
    // As systemd starts a service: stderr is the journal's stream, and says which.
    let path = stage.home.path().join("stream");
    let file = std::fs::File::create(&path).unwrap();
    let facts = file.metadata().unwrap();
    let mut command = stage.home.command(&["--reconcile-now"]);
    command.env("JOURNAL_STREAM", format!("{}:{}", facts.dev(), facts.ino())).stderr(file);
    assert!(command.stdout(std::process::Stdio::null()).status().unwrap().success());
    let by_itself = std::fs::read_to_string(&path).unwrap();
    let journal = std::path::Path::new("/run/systemd/journal/socket").exists();
    for log in [by_name, by_itself] {
        assert_eq!(log.contains("the journal cannot be reached, so the log is text"), !journal, "{log}");
        assert_eq!(log.contains("run finished"), !journal, "{log}");
    }
}
