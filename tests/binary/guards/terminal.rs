//! What is asked on a terminal.

use super::{decided, five_held, gone};
use crate::support::typed;

#[test]
fn on_a_terminal_no_answer_but_yes_releases_anything() {
    let (stage, _) = five_held();
    stage.sim.clear_requests();
    for answer in ["n\n", "\n", "no\n", "yesterday\n", "\u{4}"] {
        let ran = typed(&stage, &["approve", "h1"], answer).exits(4);
        ran.complains(&["ann@acme.example", "Release these and run them now? [y/N]", "nothing was approved"]);
        assert_eq!(decided(&stage, 1), ("open".to_owned(), None), "{answer:?}");
    }
    assert!(stage.sim.all_requests().is_empty());
    assert_eq!(gone(&stage), 0);
}

#[test]
fn on_a_terminal_yes_releases_and_runs() {
    for answer in ["y\n", "Y\n", "yes\n"] {
        let (stage, _) = five_held();
        let ran = typed(&stage, &["approve", "h1@1"], answer).exits(0);
        ran.complains(&["Release these and run them now? [y/N]", "approved 5 people"])
            .says(&["Done: 5 deactivated"]);
        assert_eq!(gone(&stage), 5);
    }
}

#[test]
fn the_question_says_whether_anything_is_run() {
    let (stage, _) = five_held();
    let ran = typed(&stage, &["approve", "h1", "--no-run"], "y\n").exits(0);
    ran.complains(&["Release these? The next run sends them. [y/N]"]);
    assert_eq!(gone(&stage), 0);
}
