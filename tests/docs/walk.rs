//! The command lines of the pages, run: one after the other, against a simulation, with the names of its people.

use std::collections::BTreeSet;

use crate::commands::{arguments, lines};
use crate::pages::pages;
use crate::program::{Access, Ran, Stage};

/// Sixteen of twenty people with accounts in two runs; five have left and wait in a hold.
fn stage() -> Stage {
    let stage = Stage::with(Access::OktaToken, "");
    let names: Vec<String> = (b'a'..=b't').map(|letter| format!("P{}", char::from(letter))).collect();
    let people = stage.hire_all(&names.iter().map(String::as_str).collect::<Vec<_>>());
    stage.reconcile();
    people[..5].iter().for_each(|person| stage.sim.world().unassign(*person));
    stage.run(&["--reconcile-now"]).exits(4);
    stage
}

/// What is a name in a text becomes the name that it has here.
fn here(stage: &Stage, words: &[String]) -> Vec<String> {
    let file = |name: &str| stage.home.path().join(name).display().to_string();
    let mut previous = "";
    let mut words_here = Vec::new();
    for word in words {
        let word_here = match (previous, word.as_str()) {
            ("--run", _) => "1".to_owned(),
            ("--sync" | "--from" | "--to", _) => "default".to_owned(),
            ("-c", _) => file("config.toml"),
            // Somebody who has left and waits in the hold.
            ("keep", _) => "pa@acme.example".to_owned(),
            (_, "ann@acme.com" | "WHO") => "pt@acme.example".to_owned(),
            ("approve" | "reject", _) => "h1".to_owned(),
            ("--into", _) => stage.home.path().display().to_string(),
            (_, "FILE") => file("written"),
            (_, path) if path.starts_with('/') || path.contains('.') => {
                file(path.rsplit('/').next().unwrap_or(path))
            }
            (_, other) => other.to_owned(),
        };
        words_here.push(word_here);
        previous = word;
    }
    words_here
}

/// Whether a line can be run here: not the service itself, and not what needs a machine of its own.
fn is_run(words: &[String]) -> bool {
    let not_here = ["daemon", "demo", "ID", "ID[@REV]", "NUMBER", "NAME"];
    !words.iter().any(|word| not_here.contains(&word.as_str()))
}

/// The exit codes that a line may end with; anything else is a text that leads nowhere.
fn may_end_with(words: &[String]) -> &'static [i32] {
    let has = |word: &str| words.iter().any(|other| other == word);
    match words.first().map(String::as_str) {
        Some("status") => &[0, 1],
        // Nobody is there to answer, and the list is shown first.
        Some("undo" | "approve" | "rebuild" | "forget" | "transfer") if !has("--dry-run") => &[0, 3, 4, 64],
        // Nobody is there to answer; on a dry run nobody is asked.
        Some("history") if has("--erase") && !has("--dry-run") => &[64],
        // A sync that was not renamed has nothing to hand over.
        Some("transfer") => &[0, 64],
        _ if has("--detailed-exitcode") => &[0, 2],
        _ => &[0, 3, 4],
    }
}

/// Every line of its own: what one leaves is not there for the next.
#[test]
fn every_command_line_can_be_carried_out() {
    let mut lines_of_ours = BTreeSet::new();
    for page in pages() {
        lines_of_ours.extend(lines(&page).iter().filter_map(|line| arguments(line)));
        let prose = page.code_in_prose().into_iter().filter(|code| !code.contains('…'));
        lines_of_ours.extend(prose.filter_map(|code| arguments(&code)));
    }
    let mut ran = 0;
    let mut stage = stage();
    for words in lines_of_ours.iter().filter(|words| is_run(words)) {
        let line = here(&stage, words);
        prepare(&stage, words);
        let arguments: Vec<&str> = line.iter().map(String::as_str).collect();
        let Ran { code, stdout, stderr } = stage.run(&arguments);
        let code = code.unwrap();
        assert!(
            may_end_with(words).contains(&code),
            "rosterd {} ended with {code}:\n{stdout}\n{stderr}",
            line.join(" ")
        );
        ran += 1;
        if changes_the_stage(words) {
            stage = self::stage();
        }
    }
    assert!(ran > 50, "only {ran} lines were run");
}

/// What a line takes for granted: a plan that was saved, and files that are to be written not there yet.
fn prepare(stage: &Stage, words: &[String]) {
    let file = |name: &str| stage.home.path().join(name);
    if words[0] == "apply" {
        let plan = file("plan.rosterd");
        stage.run(&["plan", "--out", plan.to_str().unwrap()]).exits(0);
    }
    if words[0] == "backup" {
        let _ = std::fs::remove_file(file("rosterd.db"));
    }
}

fn changes_the_stage(words: &[String]) -> bool {
    ["approve", "reject", "pause", "keep"].contains(&words[0].as_str())
}
