//! Commands that need no run: `init`, `completions`, `man`, `demo`, help and version.

use crate::support::{Home, Ran, bare, run_bare};
use std::process::Command;

/// The program in an empty directory, with no home, no network name and no configuration.
fn bare_in(home: &Home, arguments: &[&str]) -> Command {
    let mut command = bare(arguments);
    command.current_dir(home.path()).env("TMPDIR", home.path().join("tmp"));
    command
}

#[test]
fn what_init_prints_becomes_a_valid_configuration() {
    for (source, secrets) in
        [("okta", &["okta.token", "wrike.token"][..]), ("onelogin", &["onelogin.secret", "wrike.token"])]
    {
        let home = Home::new();
        let text = run_bare(&["init", "--source", source]).exits(0).stdout;
        assert!(text.starts_with('#') && text.contains("REPLACE"), "{text}");
        let mut text = text.replace("REPLACE-WITH-THE-SCIM-BASE-URL", "scim/1234");
        for name in secrets {
            home.secret(name, "a-secret-of-the-test");
            let place = home.path().join(name).display().to_string();
            assert!(text.contains(&format!("/etc/rosterd/{name}")), "{name} in {text}");
            text = text.replace(&format!("/etc/rosterd/{name}"), &place);
        }
        home.configure(&text);
        let ran = home.run(&["check", "--offline"]).exits(0);
        ran.says(&["ok", "configuration", "sync \"wrike\"", "source.", "target.token is readable"]);
        assert!(!ran.all().contains("a-secret-of-the-test"));
    }
}

#[test]
fn completions_are_made_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = run_bare(&["completions", shell]).exits(0);
        ran.says(&["rosterd", "reconcile-now", "dry-run", "check"]);
        assert_eq!(ran.stderr, "");
    }
}

#[test]
fn the_manual_names_every_option_and_the_exit_codes() {
    let ran = run_bare(&["man"]).exits(0);
    // roff writes a hyphen that must stay one as `\-`.
    let text = ran.stdout.replace("\\-", "-");
    for word in [
        ".TH rosterd",
        "--reconcile-now",
        "--dry-run",
        "--config",
        "--sync",
        "--user",
        "--format",
        "--output",
        "--unattended",
        "--detailed-exitcode",
        "--log-format",
        "--color",
        "Exit codes",
        "75 another",
        "78 configuration",
    ] {
        assert!(text.contains(word), "no {word:?} in {text}");
    }
}

#[test]
fn help_and_version_go_to_stdout() {
    for arguments in [&["--help"][..], &["-h"], &["check", "--help"], &["init", "--help"]] {
        let ran = run_bare(arguments).exits(0);
        assert!(ran.stdout.contains("Usage: rosterd") && ran.stderr.is_empty(), "{ran:?}");
    }
    run_bare(&["--help"]).says(&[
        "Exit codes: 0 done",
        "--reconcile-now",
        "ROSTERD_CONFIG",
        "/etc/rosterd/config.toml",
    ]);
    assert_eq!(run_bare(&["--version"]).exits(0).stdout, format!("rosterd {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn the_demonstration_needs_nothing_and_shows_its_five_acts() {
    let home = Home::new();
    let ran = Ran::of(bare_in(&home, &["demo"]).output().unwrap()).exits(0);
    let mut rest = ran.stdout.as_str();
    for act in [
        "A small company",
        "1. Before the first run",
        "5 to create, 1 to adopt",
        "2. The first run",
        "5 created, 1 adopted",
        "3. A quiet run",
        "nothing to do, 6 unchanged",
        "4. A joiner, a mover and a leaver",
        "1 to create, 1 to update, 1 to deactivate",
        "5. The same, for real",
        "1 created, 1 updated, 1 deactivated",
        "The workspace now:",
    ] {
        let Some(place) = rest.find(act) else { panic!("no {act:?} (in this order) in\n{}", ran.stdout) };
        rest = &rest[place + act.len()..];
    }
    assert!(!ran.stdout.contains('\u{1b}'), "no colours where it is piped");
    let left: Vec<_> = std::fs::read_dir(home.path().join("tmp")).unwrap().collect();
    assert!(left.is_empty(), "nothing is left behind: {left:?}");
}

#[test]
fn a_closed_pipe_is_no_failure() {
    use std::io::Read;
    use std::process::Stdio;
    let mut child = bare(&["man"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let mut complaint = String::new();
    child.stderr.take().unwrap().read_to_string(&mut complaint).unwrap();
    assert_eq!((child.wait().unwrap().code(), complaint.as_str()), (Some(0), ""));
}
