//! What a terminal shows: lines that fit, lists that end, progress that tells how long it still takes.

use crate::support::{Stage, seen};
use std::process::Command;

fn stage_of(people: u32, lines: &str) -> Stage {
    let stage = Stage::new();
    stage.configure(lines);
    for number in 0..people {
        stage.hire(&format!("P{number}"), "Engineer");
    }
    stage
}

fn text(command: Command, columns: u16) -> String {
    let bytes = seen(command, columns);
    anstream::adapter::strip_str(&bytes).to_string()
}

#[test]
fn lines_fit_a_terminal_of_80_columns_and_commands_stay_whole() {
    let stage = stage_of(12, "guard = { max_creates = 3 }");
    let narrow = text(stage.home.command(&["--reconcile-now", "--unattended", "--quiet"]), 80);
    let long: Vec<&str> = narrow.lines().filter(|line| line.chars().count() > 80).collect();
    assert_eq!(long, Vec::<&str>::new(), "{narrow}");
    assert!(narrow.contains("`rosterd approve h1@1`"), "{narrow}");
    let (narrow, wide) =
        (text(stage.home.command(&["status"]), 80), text(stage.home.command(&["status"]), 200));
    assert!(narrow.lines().count() > wide.lines().count(), "{narrow}{wide}");
    assert!(narrow.lines().all(|line| line.chars().count() <= 80), "{narrow}");
    let words = |text: &str| text.split_whitespace().filter(|word| !word.contains("second")).count();
    assert_eq!(words(&narrow), words(&wide));
}

#[test]
fn an_error_is_broken_where_the_terminal_ends() {
    let stage = Stage::new();
    let shown =
        text(stage.home.command(&["--dry-run", "--sync", "nobody-has-a-sync-of-such-a-long-name"]), 60);
    assert!(shown.lines().count() > 2 && shown.lines().all(|line| line.chars().count() <= 60), "{shown}");
    assert!(shown.contains("nobody-has-a-sync-of-such-a-long-name"), "{shown}");
}

#[test]
fn a_long_list_ends_on_a_terminal_and_is_whole_in_a_pipe_and_in_a_file() {
    let stage = stage_of(60, "guard = { max_creates = 100 }");
    let shown = text(stage.home.command(&["--dry-run", "--quiet"]), 120);
    assert_eq!(shown.matches("+ create ").count(), 40, "{shown}");
    assert!(shown.contains("… not shown here: 20 create."), "{shown}");
    assert_eq!(stage.run(&["--dry-run"]).exits(0).stdout.matches("+ create ").count(), 60);
    let file = stage.home.path().join("report.txt");
    text(stage.home.command(&["--dry-run", "--quiet", "--output", file.to_str().unwrap()]), 120);
    assert_eq!(std::fs::read_to_string(file).unwrap().matches("+ create ").count(), 60);
}

#[test]
fn json_is_never_broken() {
    let stage = stage_of(3, "");
    let shown = seen(stage.home.command(&["--dry-run", "--quiet", "--format", "json"]), 80);
    assert_eq!(shown.trim_end().lines().count(), 1, "{shown}");
    serde_json::from_str::<serde_json::Value>(&shown).unwrap();
}

#[test]
fn a_terminal_has_colours_and_no_color_takes_them_away() {
    let stage = stage_of(3, "");
    let command = || stage.home.command(&["--dry-run", "--quiet"]);
    assert!(seen(command(), 80).contains('\u{1b}'));
    let mut plain = command();
    plain.env("NO_COLOR", "1");
    assert!(!seen(plain, 80).contains('\u{1b}'));
    assert!(!seen(stage.home.command(&["--dry-run", "--quiet", "--color", "never"]), 80).contains('\u{1b}'));
}

#[test]
fn progress_tells_the_time_that_is_left() {
    let stage = stage_of(30, "");
    let target = stage.target("").replace("60000", "1200");
    let source = stage.source();
    stage.home.configure(&format!(
        "[[sync]]\nsource = {{ {source} }}\n{target}\nguard = {{ max_creates = 100 }}\n"
    ));
    let shown = text(stage.home.command(&["--reconcile-now"]), 120);
    assert!(shown.contains("going through the plan") && shown.contains(" left"), "{shown}");
    // The last read tells how many there will be.
    let again = text(stage.home.command(&["--reconcile-now"]), 120);
    assert!(again.contains("reading people, about") && again.contains("/30"), "{again}");
    assert!(!text(stage.home.command(&["--reconcile-now", "--quiet"]), 120).contains("left"));
}
