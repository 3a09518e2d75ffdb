//! Ten telling runs in every format, as people get to see them. The snapshots are beside this file.

use crate::made::{
    Made, change, ended, guard, hold, joiner, leaver, mover, on_a_terminal, person, plain, written,
};
use insta::{assert_snapshot, with_settings};
use rosterd::model::plan::Verb;
use rosterd::model::report::{Outcome, RunResult};
use rosterd::report::{Format, Length};

/// What is the same in every page, or another each time, by its name.
fn redacted(format: &str, text: &str) -> String {
    let cut = |text: &str, start: &str, end: &str, name: &str| match text.split_once(start) {
        Some((before, rest)) => {
            let (_, after) = rest.split_once(end).unwrap();
            format!("{before}{start}{name}{end}{after}")
        }
        None => text.to_owned(),
    };
    let places: &[[&str; 3]] = match format {
        "json" => &[["\"generated_at\":\"", "\"", "[time]"]],
        "html" => &[
            ["<style>", "</style>", "[style]"],
            ["\n<script>", "</script>", "[script]"],
            ["Content-Security-Policy\" content=\"", "\"", "[policy]"],
            [", <time datetime=\"", "</time>", "[time]\">[time]"],
        ],
        _ => &[],
    };
    places.iter().fold(text.to_owned(), |text, [start, end, name]| cut(&text, start, end, name))
}

fn hold_still(name: &str, runs: &[Made]) {
    for (format, text) in [
        ("txt", plain(runs)),
        ("80.txt", on_a_terminal(runs, 80)),
        ("200.txt", on_a_terminal(runs, 200)),
        ("json", written(Format::Json, runs)),
        ("md", written(Format::Markdown(Length::Cut), runs)),
        ("csv", written(Format::Csv, runs).replace("\r\n", "␍\n")),
        ("html", written(Format::Html, runs)),
    ] {
        with_settings!({omit_expression => true, prepend_module_to_snapshot => false}, {
            assert_snapshot!(format!("{name}.{format}"), redacted(format, &text));
        });
    }
}

fn mixed() -> Made {
    let records = vec![
        leaver("chloe@acme.example"),
        mover("ben@acme.example", "Engineer", "Engineering Manager"),
        person(
            "dan@acme.example",
            Verb::Reactivate,
            "assigned again; rosterd deactivated the account on 2026-11-01",
            vec![change("active", Some("false"), Some("true"))],
        ),
        person(
            "Eve@ACME.example",
            Verb::Adopt,
            "an account with this userName exists already",
            vec![
                change("nickName", Some("Evie"), None),
                change("title", Some("Apprentice"), Some("Engineer")),
            ],
        ),
        joiner("fatima@acme.example", "Fatima", "Zahra", "Recruiter"),
        person(
            "gus@elsewhere.example",
            Verb::Block,
            "gus@elsewhere.example is outside scope.domains",
            vec![],
        ),
        person("hal@acme.example", Verb::Skip, "not activated at the source yet", vec![]),
    ];
    Made::run("wrike", records)
}

#[test]
fn nobody_at_all() {
    let mut run = Made::run("default", vec![]);
    run.facts.source.users = 0;
    run.facts.summary.unchanged = 0;
    run.facts.guards.clear();
    hold_still("empty", &[run]);
}

#[test]
fn nothing_to_do() {
    hold_still("quiet", &[Made::run("default", vec![])]);
}

#[test]
fn a_first_dry_run() {
    let mut run = Made::run("default", vec![joiner("ann@acme.example", "Ann", "Example", "Engineer")]).dry();
    run.records[0].outcome = Outcome::Planned;
    (run.records[0].target_id, run.records[0].status, run.records[0].attempts) = (None, None, 0);
    run.facts.first_contact = true;
    run.facts.summary.unchanged = 0;
    run.facts.notes =
        vec!["there is no state yet: everybody is compared with the workspace as it is".to_owned()];
    hold_still("first", &[run]);
}

#[test]
fn everything_that_can_happen_to_a_person() {
    hold_still("mixed", &[mixed()]);
}

#[test]
fn removals_that_wait_for_an_approval() {
    let reason = "2 removals planned and 0 sent in the last hour are more than guard.max_removals_percent = 10 % of 18 \
                  active accounts";
    let held = |user| ended(leaver(user), Outcome::Held, None, reason);
    let records = vec![held("ann@acme.example"), held("ben@acme.example")];
    let mut run = Made::run("default", records).ends(RunResult::Held);
    run.facts.guards = vec![
        guard("max_removals", Some(50.0), 2.0, false),
        guard("max_removals_percent", Some(10.0), 11.111, true),
    ];
    run.facts.holds = vec![hold(Verb::Deactivate, 2, reason)];
    hold_still("held", &[run]);
}

#[test]
fn a_dry_run_that_would_be_held() {
    let reason = "everybody would go: 2 planned and 0 sent in the last hour, of 2 active accounts";
    let records = vec![ended(leaver("ann@acme.example"), Outcome::Held, None, reason)];
    let mut run = Made::run("default", records).ends(RunResult::Held).dry();
    run.facts.holds = vec![hold(Verb::Deactivate, 1, reason)];
    run.facts.holds[0].id.clear();
    hold_still("would-be-held", &[run]);
}

#[test]
fn somebody_whom_the_workspace_refused() {
    let refused = joiner("ben@acme.example", "Ben", "Example", "Engineer");
    let waits = mover("cleo@acme.example", "Engineer", "Manager");
    let records = vec![
        ended(refused, Outcome::Failed, Some(400), "invalidValue: this address is on a list of ours"),
        ended(waits, Outcome::Deferred, None, "failed twice; tried again after 2 more full runs"),
    ];
    hold_still("partial", &[Made::run("default", records).ends(RunResult::Partial)]);
}

#[test]
fn a_source_that_was_not_whole() {
    let mut run = Made::run("default", vec![]).ends(RunResult::SourceIncomplete);
    run.facts.summary.unchanged = 0;
    run.facts.source.complete = false;
    run.facts.source.problem = Some(
        "onelogin: page 1 of the app's users (GET /api/2/apps/500007/users): Total-Count says 5 and 2 came; help: run \
         again"
            .to_owned(),
    );
    hold_still("source-incomplete", &[run, mixed()]);
}

#[test]
fn names_of_every_script() {
    let records = vec![
        joiner("hanna@acme.example", "אנה", "כהן", "מהנדסת"),
        joiner("muhammad@acme.example", "محمد", "العربي", "مهندس"),
        joiner("li@acme.example", "小龍", "李", "工程師"),
        mover("zoe@acme.example", "Zoë", "Zoë 👩‍💻 ﬁ"),
        mover("noa@acme.example", "מהנדסת", "מנהלת"),
    ];
    hold_still("unicode", &[Made::run("默认", records)]);
}

#[test]
fn names_that_mean_harm() {
    let script = "<script>alert(1)</script><!-- \" onload='x'";
    let terminal = "\u{1b}[31mred\u{7}\r\nDone: 0 created\u{202e}gpj.exe";
    let markdown = "a | b `c` ![x](http://evil.example/x.png) @octocat #1 \\|";
    let records = vec![
        joiner("=cmd|' /C calc'!A0", script, terminal, markdown),
        mover("@SUM(A1)", "\t=1+1", "+49 30 1"),
        ended(leaver("</td></table>\n| x |"), Outcome::Failed, Some(400), &format!("{script} {markdown}")),
    ];
    let mut run = Made::run("</title>`|`", records).ends(RunResult::Partial);
    run.facts.notes = vec![format!("{markdown} {terminal}"), "two lines\nhelp: a <b>command</b>".to_owned()];
    hold_still("hostile", &[run]);
}

#[test]
fn a_list_too_long_for_a_comment_is_cut_with_a_count_and_is_whole_in_a_file() {
    let records: Vec<_> =
        (0..2000).map(|number| mover(&format!("user{number}@acme.example"), "Engineer", "Manager")).collect();
    let run = Made::run("default", records);
    let cut = written(Format::Markdown(Length::Cut), std::slice::from_ref(&run));
    // What a comment on GitHub may have.
    assert!(cut.len() < 65_536, "{}", cut.len());
    let shown = cut.matches("@acme.example").count();
    assert!(shown > 300 && cut.contains(&format!("… and {} more", 2000 - shown)), "{shown}");
    let full = written(Format::Markdown(Length::Cut).in_full(), &[run]);
    assert_eq!(full.matches("@acme.example").count(), 2000);
    assert!(!full.contains("more, so that"));
}

#[test]
fn a_list_too_long_for_a_terminal_is_cut_with_counts_and_says_how_to_see_all() {
    let mut records: Vec<_> =
        (0..60).map(|number| joiner(&format!("new{number}@acme.example"), "A", "B", "C")).collect();
    records.extend((0..50).map(|number| mover(&format!("user{number}@acme.example"), "Engineer", "Manager")));
    records.extend((0..100).map(|number| leaver(&format!("gone{number}@acme.example"))));
    let run = Made::run("default", records);
    let shown = on_a_terminal(std::slice::from_ref(&run), 100);
    assert_eq!(shown.matches("+ created").count(), 40);
    assert_eq!(shown.matches("- deactivated").count(), 100, "a removal is what a diff is read for");
    assert!(shown.contains("… not shown here: 20 created, 10 updated."), "{shown}");
    assert!(shown.contains("`| less`") && shown.contains("`--format html --output report.html`"));
    let whole = plain(&[run]);
    assert_eq!((whole.matches("+ created").count(), whole.matches("~ updated").count()), (60, 50));
    assert!(!whole.contains("not shown"));
}
