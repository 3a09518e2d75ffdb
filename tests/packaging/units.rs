//! systemd's own tools read the units. Without them these tests say `NOT RUN`, and fail where
//! `ROSTERD_REQUIRE_SYSTEMD=1` or `CI` is set.

use crate::{files_in, is_there, root, run, text_of};
use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

const DAEMON: &str = "systemd/rosterd.service";
const ONE_SHOT: &str = "systemd/rosterd-reconcile@.service";
const INSTALLED: &str = "/usr/bin/rosterd";

/// Whether systemd's tool can be asked; a machine that has to have it and has not fails.
fn systemd(tool: &str) -> bool {
    let there = is_there(tool);
    let required =
        env::var_os("CI").is_some() || env::var("ROSTERD_REQUIRE_SYSTEMD").is_ok_and(|value| value == "1");
    assert!(there || !required, "{tool} is missing; help: install the package systemd");
    if !there {
        println!("NOT RUN: {tool} is missing");
    }
    there
}

/// The units with this binary in place of the installed one, which is not there yet.
fn units() -> (TempDir, Vec<PathBuf>) {
    let directory = tempfile::tempdir().unwrap();
    let mut units = Vec::new();
    for path in files_in("systemd") {
        let is_unit =
            path.extension().is_some_and(|extension| extension == "service" || extension == "timer");
        if is_unit {
            let unit = directory.path().join(path.file_name().unwrap());
            fs::write(&unit, text_of(&path).replace(INSTALLED, env!("CARGO_BIN_EXE_rosterd"))).unwrap();
            units.push(unit);
        }
    }
    assert_eq!(units.len(), 3);
    (directory, units)
}

/// `--man=no`: the manual page is installed with the package, not here.
fn verify(units: &[PathBuf]) -> (bool, String) {
    run(Command::new("systemd-analyze").args(["verify", "--man=no"]).args(units))
}

fn exposure(unit: &Path) -> (bool, String) {
    run(Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--threshold=12", "--no-pager"])
        .arg(unit))
}

/// `(section, key, value)` of every setting, in order.
fn settings(unit: &str) -> Vec<(String, String, String)> {
    let mut section = String::new();
    let mut found = Vec::new();
    for line in text_of(unit).lines().map(str::trim).filter(|line| !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']').to_owned();
        } else if let Some((key, value)) = line.split_once('=') {
            found.push((section.clone(), key.to_owned(), value.to_owned()));
        }
    }
    found
}

fn setting(unit: &str, key: &str) -> Option<String> {
    settings(unit).into_iter().find(|(_, name, _)| name == key).map(|(_, _, value)| value)
}

#[test]
fn systemd_has_nothing_to_say_about_the_units() {
    if !systemd("systemd-analyze") {
        return;
    }
    let (_directory, units) = units();
    let (succeeded, words) = verify(&units);
    // The exit status proves nothing: warnings leave it at 0.
    assert_eq!(words, "");
    assert!(succeeded);
}

#[test]
fn systemd_would_say_so_if_a_setting_were_misspelt() {
    if !systemd("systemd-analyze") {
        return;
    }
    let (_directory, units) = units();
    let daemon = units.iter().find(|unit| unit.ends_with("rosterd.service")).unwrap();
    let misspelt = fs::read_to_string(daemon).unwrap().replace("ProtectClock=", "ProtectClocks=");
    fs::write(daemon, misspelt).unwrap();
    let (_, words) = verify(&units);
    assert!(words.contains("ProtectClocks"), "{words}");
}

#[test]
fn both_services_are_exposed_by_no_more_than_one_point_two() {
    if !systemd("systemd-analyze") {
        return;
    }
    let (_directory, units) = units();
    for unit in units.iter().filter(|unit| unit.extension().unwrap() == "service") {
        let (succeeded, words) = exposure(unit);
        println!("{}", words.lines().last().unwrap_or_default());
        assert!(succeeded, "{words}");
    }
    // Without its last lines of defence the same service does not pass: the threshold is a real one.
    let bare = units[0].with_file_name("bare.service");
    fs::write(&bare, format!("[Service]\nExecStart={}\n", env!("CARGO_BIN_EXE_rosterd"))).unwrap();
    assert!(!exposure(&bare).0);
}

#[test]
fn both_services_are_hardened_alike() {
    let from_here_on = |unit: &str| -> BTreeSet<(String, String)> {
        let mut settings: Vec<_> =
            settings(unit).into_iter().filter(|(section, _, _)| section == "Service").collect();
        let start = settings.iter().position(|(_, key, _)| key == "NoNewPrivileges").unwrap();
        settings.drain(start..).map(|(_, key, value)| (key, value)).collect()
    };
    let hardening = from_here_on(DAEMON);
    assert!(hardening.len() > 25, "{hardening:?}");
    assert_eq!(hardening, from_here_on(ONE_SHOT));
}

#[test]
fn the_daemon_tells_systemd_when_it_is_ready_and_is_reloaded_by_a_signal() {
    let expected = BTreeMap::from([
        ("Type", "notify"),
        ("ExecStart", "/usr/bin/rosterd daemon"),
        ("ExecReload", "/bin/kill -HUP $MAINPID"),
        ("User", "rosterd"),
        ("StateDirectory", "rosterd"),
        ("StateDirectoryMode", "0700"),
        ("RuntimeDirectory", "rosterd"),
        ("RuntimeDirectoryMode", "0700"),
        ("RestartPreventExitStatus", "64 78"),
    ]);
    for (key, value) in expected {
        assert_eq!(setting(DAEMON, key).as_deref(), Some(value), "{key}");
    }
    assert!(setting(DAEMON, "WatchdogSec").is_some());
    // SIGTERM is given its 10 seconds before anything is killed.
    let patience = setting(DAEMON, "TimeoutStopSec").unwrap();
    assert!(patience.trim_end_matches('s').parse::<u32>().unwrap() > 10, "{patience}");
}

#[test]
fn a_single_run_leaves_the_daemons_socket_alone() {
    // systemd removes a runtime directory when the unit that asked for it stops, whoever else uses it.
    assert_eq!(setting(ONE_SHOT, "RuntimeDirectory"), None);
    assert_eq!(setting(ONE_SHOT, "Conflicts"), None, "starting one run must not stop the daemon");
    assert_eq!(setting(ONE_SHOT, "StateDirectory"), setting(DAEMON, "StateDirectory"));
    assert_eq!(setting(ONE_SHOT, "User"), setting(DAEMON, "User"));
}

#[test]
fn the_timers_command_is_one_that_the_program_knows() {
    let command = setting(ONE_SHOT, "ExecStart").unwrap().replace("%i", "wrike");
    let arguments = command.strip_prefix(INSTALLED).unwrap().split_whitespace();
    let nowhere = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_rosterd"))
        .args(arguments)
        .env("ROSTERD_CONFIG", nowhere.path().join("config.toml"))
        .output()
        .unwrap();
    let words = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(78), "understood, and without a configuration: {words}");
}

#[test]
fn every_exit_code_has_its_place_in_the_units() {
    // 75 is the one that passes by itself: another rosterd holds the state.
    let prevented: BTreeSet<String> = setting(ONE_SHOT, "RestartPreventExitStatus")
        .unwrap()
        .split_whitespace()
        .map(str::to_owned)
        .collect();
    let documented = ["1", "2", "3", "4", "5", "6", "64", "78"].map(str::to_owned);
    assert_eq!(prevented, BTreeSet::from(documented));
    for unit in [DAEMON, ONE_SHOT] {
        assert_eq!(setting(unit, "SuccessExitStatus").as_deref(), Some("130 143"), "{unit}");
        assert_eq!(setting(unit, "Restart").as_deref(), Some("on-failure"), "{unit}");
    }
}

#[test]
fn the_user_is_made_by_systemd_sysusers() {
    if !systemd("systemd-sysusers") {
        return;
    }
    let machine = tempfile::tempdir().unwrap();
    fs::create_dir(machine.path().join("etc")).unwrap();
    let mut root_option = std::ffi::OsString::from("--root=");
    root_option.push(machine.path());
    let (succeeded, words) =
        run(Command::new("systemd-sysusers").arg(root_option).arg(root().join("systemd/rosterd.sysusers")));
    assert!(succeeded, "{words}");
    let users = fs::read_to_string(machine.path().join("etc/passwd")).unwrap();
    let user = users.lines().find(|line| line.starts_with("rosterd:")).unwrap();
    assert!(user.ends_with(":/var/lib/rosterd:/usr/sbin/nologin"), "{user}");
    let groups = fs::read_to_string(machine.path().join("etc/group")).unwrap();
    assert!(groups.lines().any(|line| line.starts_with("rosterd:")), "{groups}");
}
