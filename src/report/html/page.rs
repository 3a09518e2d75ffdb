//! What the templates of the page are given: texts that are already visible, numbers, and the widths of the bar. No
//! markup lives here.

use serde::Serialize;

use crate::model::attributes::Scalar;
use crate::model::plan::{Change, Verb};
use crate::model::report::{ActionRecord, Mode, Outcome, RunFacts, RunResult, Summary};
use crate::model::time::Millis;
use crate::report::markdown::number;
use crate::report::text::{
    count, counts, detail_label, failure, owed_text, seats_line, sign, source_line, summary_text, title,
    told_detail, with_help, word,
};
use crate::report::visible;

/// Width of the bar, in its own units.
const BAR_WIDTH: f64 = 1000.0;
/// The least width of a part of the bar that is not empty: one leaver among ten thousand is still seen.
const LEAST_WIDTH: f64 = 14.0;
/// From this width on there is room for the sign.
const WIDE: f64 = 28.0;

/// The page as a whole.
#[derive(Serialize)]
pub(super) struct Head {
    policy: String,
    rosterd: &'static str,
    title: String,
    generated_at: String,
}

impl Head {
    pub(super) fn new(syncs: &[&RunFacts], policy: String, now: Millis) -> Head {
        let names: Vec<String> =
            syncs.iter().map(|facts| format!("{} of {}", title(facts), visible(&facts.sync))).collect();
        Head::titled(&format!("rosterd: {}", names.join(", ")), policy, now)
    }

    /// Of a page of another kind.
    pub(super) fn titled(title: &str, policy: String, now: Millis) -> Head {
        let rosterd = env!("CARGO_PKG_VERSION");
        Head { policy, rosterd, title: title.to_owned(), generated_at: now.rfc3339() }
    }
}

/// Everything about one sync but its people.
#[derive(Serialize)]
pub(super) struct Section {
    index: usize,
    /// Of the section's heading; its parts' are one lower.
    level: u8,
    title: String,
    sync: String,
    result: &'static str,
    result_class: &'static str,
    read: String,
    trigger: &'static str,
    started_at: String,
    finished_at: String,
    failure: Option<Failure>,
    notes: Vec<Note>,
    holds: Vec<Hold>,
    summary: String,
    bars: Vec<Bar>,
    legend: Vec<Bar>,
    seats: String,
    dry: bool,
    guards: Vec<Guard>,
    people: u64,
    listed: u64,
}

#[derive(Serialize)]
struct Failure {
    what: &'static str,
    problem: String,
    help: Option<String>,
}

#[derive(Serialize)]
struct Note {
    text: String,
    help: Option<String>,
}

#[derive(Serialize)]
struct Hold {
    id: String,
    revision: u32,
    verb: &'static str,
    people: String,
    reason: String,
    expires_at: String,
    decided: Option<String>,
}

#[derive(Serialize)]
struct Guard {
    guard: String,
    value: String,
    limit: String,
    tripped: bool,
}

/// A part of the bar, and its entry in the legend.
#[derive(Serialize, Clone)]
struct Bar {
    class: &'static str,
    sign: char,
    number: u64,
    words: &'static str,
    x: String,
    width: String,
    middle: String,
    wide: bool,
}

impl Section {
    pub(super) fn new(
        facts: &RunFacts,
        index: usize,
        level: u8,
        (people, most_listed): (u64, u64),
    ) -> Section {
        let (bars, legend) = bars(&facts.summary, facts.mode);
        Section {
            index,
            level,
            title: capitalised(&title(facts)),
            sync: visible(&facts.sync).into_owned(),
            result: facts.result.as_str(),
            result_class: result_class(facts.result),
            read: capitalised(&visible(&source_line(facts))),
            trigger: facts.trigger.as_str(),
            started_at: facts.started_at.rfc3339(),
            finished_at: facts.finished_at.rfc3339(),
            failure: failure(facts).map(|(what, problem)| {
                let (text, help) = with_help(&problem);
                Failure { what, problem: visible(text).into_owned(), help: owned(help) }
            }),
            notes: facts.notes.iter().map(|note| Note::of(note)).collect(),
            holds: holds(facts),
            summary: summary_text(&facts.summary, facts.mode),
            bars,
            legend,
            seats: seats_line(&facts.seats),
            dry: facts.mode == Mode::DryRun,
            guards: guards(facts),
            people,
            listed: people.min(most_listed),
        }
    }
}

/// Whether a result is as wanted, wants somebody's decision, or is a failure.
pub(in crate::report) fn result_class(result: RunResult) -> &'static str {
    match result {
        RunResult::Ok => "good",
        RunResult::Partial | RunResult::Held => "middling",
        RunResult::SourceIncomplete
        | RunResult::SourceUnavailable
        | RunResult::TargetUnavailable
        | RunResult::Interrupted
        | RunResult::Error => "bad",
    }
}

impl Note {
    fn of(note: &str) -> Note {
        let (text, help) = with_help(note);
        Note { text: visible(text).into_owned(), help: owned(help) }
    }
}

fn owned(text: Option<&str>) -> Option<String> {
    text.map(|text| visible(text).into_owned())
}

fn holds(facts: &RunFacts) -> Vec<Hold> {
    let hold = |hold: &crate::model::report::HoldFact| Hold {
        id: visible(&hold.id).into_owned(),
        revision: hold.revision,
        verb: hold.class.as_str(),
        people: count(hold.count, "person", "people"),
        reason: visible(&hold.reason).into_owned(),
        expires_at: visible(&hold.expires_at).into_owned(),
        decided: owned(hold.decided.as_deref()),
    };
    facts.holds.iter().map(hold).collect()
}

fn guards(facts: &RunFacts) -> Vec<Guard> {
    let guard = |guard: &crate::model::report::GuardFact| Guard {
        guard: visible(&guard.guard).into_owned(),
        value: number(guard.value),
        limit: guard.limit.map_or_else(|| "none".to_owned(), number),
        tripped: guard.tripped,
    };
    facts.guards.iter().map(guard).collect()
}

/// The parts of the bar that are not empty, and the same as a legend; with nobody there is no bar.
fn bars(summary: &Summary, mode: Mode) -> (Vec<Bar>, Vec<Bar>) {
    const LOOKS: [(&str, char); 11] = [
        ("create", '+'),
        ("adopt", '='),
        ("update", '~'),
        ("reactivate", '^'),
        ("deactivate", '-'),
        ("delete", 'x'),
        ("held", 'H'),
        ("block", '!'),
        ("failed", 'F'),
        ("deferred", 'D'),
        ("skip", '.'),
    ];
    let told = counts(summary, mode).into_iter().zip(LOOKS);
    let unchanged = ((summary.unchanged, "unchanged"), ("unchanged", ' '));
    let parts: Vec<_> = told.chain([unchanged]).filter(|((number, _), _)| *number > 0).collect();
    let total: u64 = parts.iter().map(|((number, _), _)| number).sum();
    let spread = BAR_WIDTH - LEAST_WIDTH * parts.len() as f64;
    let mut x = 0.0;
    let mut bars = Vec::new();
    for ((number, words), (class, sign)) in parts {
        let width = LEAST_WIDTH + spread * number as f64 / total as f64;
        bars.push(Bar {
            class,
            sign,
            number,
            words,
            x: format!("{x:.1}"),
            width: format!("{width:.1}"),
            middle: format!("{:.1}", x + width / 2.0),
            wide: width >= WIDE,
        });
        x += width;
    }
    let mut legend = bars.clone();
    if legend.is_empty() {
        let none = String::new();
        let (class, sign, words) = ("unchanged", ' ', "unchanged");
        let (x, width, middle) = (none.clone(), none.clone(), none);
        legend.push(Bar { class, sign, number: 0, words, x, width, middle, wide: false });
    }
    (bars, legend)
}

/// One person.
#[derive(Serialize)]
pub(super) struct Row {
    verb: &'static str,
    class: &'static str,
    word: String,
    outcome: &'static str,
    user: String,
    ids: String,
    reason: String,
    detail: String,
    changes: Vec<Difference>,
}

#[derive(Serialize)]
struct Difference {
    path: String,
    from: Option<String>,
    to: Option<String>,
}

/// One person as the script takes it: `[verb, word, outcome, user, ids, reason, detail, [[path, from, to]], class]`.
#[derive(Serialize)]
pub(super) struct Data<'a>(
    &'a str,
    &'a str,
    &'a str,
    &'a str,
    &'a str,
    &'a str,
    &'a str,
    Vec<(&'a str, Option<&'a str>, Option<&'a str>)>,
    &'a str,
);

impl Row {
    pub(super) fn new(record: &ActionRecord, facts: &RunFacts) -> Row {
        let source = record.source_id.as_ref().map(|id| id.as_str());
        let target = record.target_id.as_ref().map(|id| id.as_str());
        let ids: Vec<&str> = source.into_iter().chain(target).collect();
        let detail = told_detail(record, facts, "waits for approval, see above").map(|detail| {
            let status = record.status.map(|status| format!("{status}: ")).unwrap_or_default();
            format!("{}: {status}{}", detail_label(record.outcome), visible(detail))
        });
        let detail: Vec<String> = detail.into_iter().chain(owed_text(record, facts)).collect();
        Row {
            verb: record.action.as_str(),
            class: class(record),
            word: format!("{} {}", sign(record.action), word(record, facts.mode)),
            outcome: record.outcome.as_str(),
            user: visible(&record.user).into_owned(),
            ids: visible(&ids.join(" → ")).into_owned(),
            reason: visible(&record.reason).into_owned(),
            detail: detail.join("; "),
            changes: record.changes.iter().map(Difference::of).collect(),
        }
    }

    pub(super) fn data(&self) -> Data<'_> {
        let changes = self
            .changes
            .iter()
            .map(|change| (change.path.as_str(), change.from.as_deref(), change.to.as_deref()))
            .collect();
        Data(
            self.verb,
            &self.word,
            self.outcome,
            &self.user,
            &self.ids,
            &self.reason,
            &self.detail,
            changes,
            self.class,
        )
    }
}

impl Difference {
    fn of(change: &Change) -> Difference {
        let text = |scalar: &Scalar| match scalar {
            Scalar::Text(text) => format!("\"{}\"", visible(text)),
            Scalar::Flag(_) | Scalar::Integer(_) => scalar.as_text().into_owned(),
        };
        Difference {
            path: visible(change.path.as_str()).into_owned(),
            from: change.from.as_ref().map(text),
            to: change.to.as_ref().map(text),
        }
    }
}

/// The colour's name: what became of it where that is not what was wanted, else the verb.
fn class(record: &ActionRecord) -> &'static str {
    match record.outcome {
        Outcome::Failed => "failed",
        Outcome::Held => "held",
        Outcome::Deferred => "deferred",
        Outcome::Disabled => "skip",
        Outcome::Skipped if record.action == Verb::Block => "block",
        Outcome::Skipped => "skip",
        Outcome::Planned | Outcome::Applied => record.action.as_str(),
    }
}

fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    match characters.next() {
        Some(first) => first.to_uppercase().chain(characters).collect(),
        None => String::new(),
    }
}
