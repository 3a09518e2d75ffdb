//! Whatever is in a name, a title, a reason or an answer, each format keeps the shape that it has with harmless words
//! in their place, and gives the words back where a format can.

use crate::made::{Made, guard, hold, on_a_terminal, plain, written};
use crate::markup::{Document, Page};
use crate::parsed::{agrees_csv, agrees_html, agrees_json, agrees_markdown};
use proptest::prelude::*;
use proptest::sample::select;
use rosterd::model::attributes::{AttributePath, Scalar};
use rosterd::model::id::{SourceId, TargetId};
use rosterd::model::owed::WaitsFor;
use rosterd::model::plan::{Change, RemovalCause, Situation, Verb};
use rosterd::model::report::{ActionRecord, Mode, Outcome, RunResult};
use rosterd::model::time::Millis;
use rosterd::report::{Format, Length};

/// What means something in at least one format, or to a terminal, a spreadsheet, GitHub or a template.
const PIECES: &[&str] = &[
    "<script>alert(1)</script>",
    "</script>",
    "</title>",
    "</style>",
    "<!--",
    "-->",
    "]]>",
    "<br>",
    "<img src=x onerror=alert(1)>",
    "\" onmouseover=\"alert(1)",
    "' autofocus onfocus='x",
    "&lt;",
    "&amp;",
    "&#60;",
    "\u{1b}[31m",
    "\u{1b}]0;title\u{7}",
    "\u{9b}2J",
    "\u{0}",
    "\u{8}",
    "\u{7f}",
    "\u{85}",
    "\n",
    "\r\n",
    "\r",
    "\t",
    "\n\n## heading\n\n",
    "\n| a | b |\n| - | - |\n",
    "\n```\n",
    "\n    code",
    "\n<div>\n",
    "|",
    "\\|",
    "\\\\|",
    "\\",
    "`",
    "``",
    "```",
    "` | `",
    "[x](http://evil.example)",
    "[x]",
    "[^1]",
    "![x](http://evil.example/x.png)",
    "<http://evil.example>",
    "http://evil.example",
    "www.evil.example",
    "@octocat",
    "a@evil.example",
    "#1",
    "GH-1",
    "**b**",
    "_i_",
    "~~s~~",
    ":tada:",
    "$x$",
    "- item",
    "1. x",
    "1)",
    "> quote",
    "---",
    "===",
    "[ ] ",
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "=cmd|' /C calc'!A0",
    "\t=1",
    "＝1",
    ",",
    ";",
    "\"",
    "\"\"",
    "'",
    "\u{202e}gpj.exe",
    "\u{2066}",
    "\u{200f}",
    "\u{2028}",
    "\u{2029}",
    "\u{feff}",
    "{{ 7 * 7 }}",
    "{% raw %}",
    "{#",
    "${7}",
    "אנה כהן",
    "محمد",
    "李小龍",
    "Zoë 👩‍💻",
    "é",
    " ",
    "  ",
    "plain words",
    "Engineer",
    "0",
    "a",
    "x_y_z",
    "(see below)",
    "\u{fffd}",
    "\u{10ffff}",
    "\u{e0001}",
];

pub(crate) fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![8 => select(PIECES).prop_map(str::to_owned), 2 => any::<String>(), 1 => "[a-z|`\\\\]{0,300}"];
    prop::collection::vec(piece, 0..4).prop_map(|pieces| pieces.concat())
}

/// A problem or a note: a line of help is ours, and what comes from elsewhere never reaches one with its line breaks.
fn sentence() -> impl Strategy<Value = String> {
    text().prop_map(|text| text.replace("\nhelp: ", "\nhelp "))
}

/// A path as a configuration may have it: its extension's name holds anything.
fn path() -> impl Strategy<Value = AttributePath> {
    let plain = select(&["title", "userName", "emails[primary eq true].value", "active"][..]);
    prop_oneof![
        plain.prop_map(|path| AttributePath::parse(path).unwrap()),
        text().prop_filter_map("no path", |text| {
            let text = text.replace(['[', ':'], "");
            AttributePath::parse(&format!("urn:{text}:userType")).ok()
        }),
    ]
}

fn scalar() -> impl Strategy<Value = Option<Scalar>> {
    prop_oneof![
        5 => text().prop_map(|text| Some(Scalar::Text(text))),
        1 => any::<bool>().prop_map(|flag| Some(Scalar::Flag(flag))),
        1 => any::<i64>().prop_map(|number| Some(Scalar::Integer(number))),
        1 => Just(None),
    ]
}

const OUTCOMES: &[Outcome] = &[
    Outcome::Planned,
    Outcome::Applied,
    Outcome::Failed,
    Outcome::Held,
    Outcome::Deferred,
    Outcome::Disabled,
    Outcome::Skipped,
];

pub(crate) fn record() -> impl Strategy<Value = ActionRecord> {
    let changes = (path(), scalar(), scalar()).prop_map(|(path, from, to)| Change { path, from, to });
    let ids = (prop::option::of(text()), prop::option::of(text()));
    let words = (text(), text(), prop::option::of(text()));
    let rest = (select(&Verb::ALL[..]), select(OUTCOMES), prop::option::of(100u16..600));
    (ids, words, rest, prop::collection::vec(changes, 0..3)).prop_map(
        |((source, target), (user, reason, detail), (action, outcome, status), changes)| ActionRecord {
            action,
            user,
            source_id: source.map(SourceId::new),
            target_id: target.map(TargetId::new),
            situation: Situation::Confirmed,
            reason,
            changes,
            outcome,
            status,
            detail,
            attempts: 1,
            cause: (outcome == Outcome::Deferred).then_some(RemovalCause::Disabled),
            waits_for: (outcome == Outcome::Deferred).then_some(WaitsFor::Proof),
            owed_since: (outcome == Outcome::Deferred).then_some(Millis(1_795_341_600_000)),
        },
    )
}

const RESULTS: &[RunResult] = &[
    RunResult::Ok,
    RunResult::Partial,
    RunResult::Held,
    RunResult::SourceIncomplete,
    RunResult::TargetUnavailable,
    RunResult::Interrupted,
    RunResult::Error,
];

fn run() -> impl Strategy<Value = Made> {
    let records = prop::collection::vec(record(), 0..4);
    let words = (text(), sentence(), prop::collection::vec(sentence(), 0..3), text(), text());
    (records, words, select(RESULTS), any::<bool>(), any::<bool>()).prop_map(
        |(records, (sync, problem, notes, reason, name), result, dry, opened)| {
            let mut made = Made::run(&sync, records).ends(result);
            made.facts.mode = if dry { Mode::DryRun } else { Mode::Apply };
            made.facts.source.problem = (result == RunResult::SourceIncomplete).then(|| problem.clone());
            made.facts.target.problem = (result == RunResult::TargetUnavailable).then_some(problem);
            made.facts.notes = notes;
            made.facts.guards.push(guard(&name, Some(1.0), 2.0, true));
            made.facts.holds.push(hold(Verb::Deactivate, 3, &reason));
            if !opened {
                made.facts.holds[0].id.clear();
            }
            made
        },
    )
}

/// The same run with a harmless word in place of each foreign text.
fn harmless(made: &Made) -> Made {
    let tame =
        |text: &mut String| *text = if text.is_empty() { String::new() } else { "harmless".to_owned() };
    let word = |present: bool| if present { "harmless" } else { "" };
    let mut twin = made.clone();
    let facts = &mut twin.facts;
    [&mut facts.sync, &mut facts.guards[3].guard, &mut facts.holds[0].reason].into_iter().for_each(tame);
    facts.notes.iter_mut().for_each(tame);
    facts.source.problem.iter_mut().for_each(tame);
    facts.target.problem.iter_mut().for_each(tame);
    for record in &mut twin.records {
        // What is told in another place because it equals the hold's reason stays so.
        let told_below = record.outcome == Outcome::Held
            && record.action == Verb::Deactivate
            && record.detail.as_ref() == Some(&made.facts.holds[0].reason);
        tame(&mut record.user);
        tame(&mut record.reason);
        if !told_below {
            record.detail.iter_mut().for_each(tame);
        }
        record.source_id = record.source_id.take().map(|id| SourceId::new(word(!id.as_str().is_empty())));
        record.target_id = record.target_id.take().map(|id| TargetId::new(word(!id.as_str().is_empty())));
        for change in &mut record.changes {
            change.path = AttributePath::parse("title").unwrap();
            for scalar in change.from.iter_mut().chain(&mut change.to) {
                if let Scalar::Text(text) = scalar {
                    tame(text);
                }
            }
        }
    }
    twin
}

/// Whether a terminal would do anything else with this than show it.
fn steers(text: &str) -> Option<char> {
    text.chars().find(|character| {
        (character.is_control() && *character != '\n')
            || matches!(character, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
            || matches!(character, '\u{2028}' | '\u{2029}' | '\u{feff}')
    })
}

/// How far each line is indented.
fn indents(text: &str) -> Vec<usize> {
    text.lines()
        .map(|line| line.len() - line.trim_start_matches(' ').len())
        .map(|indent| indent.min(6))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn text_keeps_its_lines_and_steers_no_terminal(runs in prop::collection::vec(run(), 1..3)) {
        let text = plain(&runs);
        let twin = plain(&runs.iter().map(harmless).collect::<Vec<_>>());
        prop_assert_eq!(steers(&text), None);
        prop_assert_eq!(text.lines().count(), twin.lines().count());
        let (found, expected) = (indents(&text), indents(&twin));
        // A value of spaces looks like an indent; none is less indented than it should be.
        prop_assert!(found.iter().zip(&expected).all(|(found, expected)| found >= expected), "{}", text);
    }

    #[test]
    fn lines_broken_for_a_terminal_lose_no_word_and_none_passes_for_a_line_of_ours(
        runs in prop::collection::vec(run(), 1..3),
        columns in 40usize..220,
    ) {
        let (whole, shown) = (plain(&runs), on_a_terminal(&runs, columns));
        prop_assert_eq!(steers(&shown), None);
        let words = |text: &str| text.split(char::is_whitespace).filter(|word| !word.is_empty()).map(str::to_owned).collect::<Vec<_>>();
        prop_assert_eq!(words(&whole), words(&shown));
        // What is carried over is indented as no first line is.
        let ours = |text: &str| indents(text).into_iter().filter(|indent| [0, 2].contains(indent)).count();
        prop_assert_eq!(ours(&whole), ours(&shown), "{}", shown);
    }

    #[test]
    fn json_is_one_tame_document_that_gives_everything_back(runs in prop::collection::vec(run(), 1..3)) {
        let text = written(Format::Json, &runs);
        prop_assert_eq!(steers(&text), None);
        prop_assert_eq!(text.lines().count(), 1);
        agrees_json(&text, &runs);
    }

    #[test]
    fn csv_keeps_its_rows_and_has_no_formula(runs in prop::collection::vec(run(), 1..3)) {
        let text = written(Format::Csv, &runs);
        prop_assert_eq!(steers(&text.replace("\r\n", "\n")), None);
        agrees_csv(&text, &runs);
    }

    #[test]
    fn markdown_keeps_its_shape_and_links_to_nothing(runs in prop::collection::vec(run(), 1..3)) {
        for length in [Length::Full, Length::Cut] {
            let text = written(Format::Markdown(length), &runs);
            let twin = written(Format::Markdown(length), &runs.iter().map(harmless).collect::<Vec<_>>());
            prop_assert_eq!(steers(&text), None);
            let (found, expected) = (Document::parse(&text), Document::parse(&twin));
            prop_assert_eq!(&found.shape, &expected.shape, "{}", text);
            prop_assert_eq!(&found.rows, &expected.rows, "{}", text);
            agrees_markdown(&found, &runs);
        }
    }

    #[test]
    fn html_keeps_its_elements_and_attributes(runs in prop::collection::vec(run(), 1..3)) {
        let text = written(Format::Html, &runs);
        let twin = written(Format::Html, &runs.iter().map(harmless).collect::<Vec<_>>());
        prop_assert_eq!(steers(&text), None);
        let (found, expected) = (Page::parse(&text), Page::parse(&twin));
        prop_assert_eq!(found.errors(), Vec::<String>::new());
        let times = |shape: Vec<String>| shape.into_iter().filter(|line| !line.contains("<time")).collect::<Vec<_>>();
        prop_assert_eq!(times(found.shape()), times(expected.shape()));
        agrees_html(&found, &runs);
    }
}
