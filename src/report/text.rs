//! The text report: one block a person with `path: old -> new`, a summary line, the seats line.

use std::io;

use anstyle::{AnsiColor, Style};

use super::{Length, SyncReport, visible};
use crate::model::attributes::Scalar;
use crate::model::plan::{Change, Verb};
use crate::model::report::{
    ActionRecord, HoldFact, Mode, Outcome, RunFacts, RunResult, Seats, Summary, Trigger,
};
use crate::model::time::Millis;

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const GREEN: Style = AnsiColor::Green.on_default();
const YELLOW: Style = AnsiColor::Yellow.on_default();
const RED: Style = AnsiColor::Red.on_default();
const CYAN: Style = AnsiColor::Cyan.on_default();

/// Longest value shown in full.
const LONGEST_VALUE: usize = 120;
/// People who are listed of each kind where a list is cut.
const LISTED_WHEN_CUT: u64 = 40;
/// The same of removals, of those who failed and of those who wait: they are what a diff is read for.
const LISTED_WHEN_CUT_OF_WEIGHT: u64 = 400;

/// Writes the report.
pub fn write_text(reports: &mut [SyncReport], length: Length, out: &mut dyn io::Write) -> io::Result<()> {
    for (index, report) in reports.iter_mut().enumerate() {
        if index > 0 {
            writeln!(out)?;
        }
        write_sync(report, length, out)?;
    }
    Ok(())
}

pub(super) fn write_sync(report: &mut SyncReport, length: Length, out: &mut dyn io::Write) -> io::Result<()> {
    let SyncReport { facts, records } = report;
    let title = title(facts);
    writeln!(out, "{BOLD}{title} of sync \"{}\"{BOLD:#}: {}", visible(&facts.sync), source_line(facts))?;
    if !records.is_empty() {
        writeln!(out)?;
    }
    let mut listed = Listed::new(length);
    for record in records.iter()? {
        let record = record?;
        if listed.takes(word(&record, facts.mode), weighs(&record)) {
            write_record(&record, facts, out)?;
        }
    }
    listed.write_rest(out)?;
    writeln!(out)?;
    write_end(facts, out)
}

/// Whether a line is one of those that a diff is read for.
fn weighs(record: &ActionRecord) -> bool {
    let removes = match record.action {
        Verb::Deactivate | Verb::Delete | Verb::Block => true,
        Verb::Create | Verb::Adopt | Verb::Update | Verb::Reactivate | Verb::Skip => false,
    };
    removes || matches!(record.outcome, Outcome::Failed | Outcome::Held)
}

/// What a list has shown so far, kind by kind, and what it has left out.
#[derive(Debug)]
pub(super) struct Listed {
    length: Length,
    kinds: Vec<(&'static str, bool, u64)>,
}

impl Listed {
    pub(super) fn new(length: Length) -> Listed {
        Listed { length, kinds: Vec::new() }
    }

    /// Whether one more of a kind is shown.
    pub(super) fn takes(&mut self, kind: &'static str, weighs: bool) -> bool {
        let known = self.kinds.iter().position(|(known, heavy, _)| (*known, *heavy) == (kind, weighs));
        let index = known.unwrap_or_else(|| {
            self.kinds.push((kind, weighs, 0));
            self.kinds.len() - 1
        });
        self.kinds[index].2 += 1;
        match self.length {
            Length::Full => true,
            Length::Cut => self.kinds[index].2 <= Listed::most(weighs),
        }
    }

    fn most(weighs: bool) -> u64 {
        if weighs { LISTED_WHEN_CUT_OF_WEIGHT } else { LISTED_WHEN_CUT }
    }

    /// How many were left out, of which kind, and how to see them.
    pub(super) fn write_rest(&self, out: &mut dyn io::Write) -> io::Result<()> {
        let left_out: Vec<String> = match self.length {
            Length::Full => Vec::new(),
            Length::Cut => self
                .kinds
                .iter()
                .map(|(kind, weighs, number)| (kind, number.saturating_sub(Listed::most(*weighs))))
                .filter(|(_, rest)| *rest > 0)
                .map(|(kind, rest)| format!("{rest} {kind}"))
                .collect(),
        };
        if left_out.is_empty() {
            return Ok(());
        }
        writeln!(out)?;
        writeln!(out, "  {BOLD}… not shown here: {}.{BOLD:#}", left_out.join(", "))?;
        writeln!(
            out,
            "  To see all, write `| less` after the command, or `--format html --output report.html`."
        )
    }
}

/// `dry run`, or `run 17`.
pub(super) fn title(facts: &RunFacts) -> String {
    match (facts.mode, facts.run) {
        (Mode::DryRun, _) => "dry run".to_owned(),
        (Mode::Apply, Some(run)) => format!("run {run}"),
        (Mode::Apply, None) => "run".to_owned(),
    }
}

/// What was read, in one line.
pub(super) fn source_line(facts: &RunFacts) -> String {
    let source = &facts.source;
    let people = count(source.users, "person", "people");
    match &source.problem {
        None if facts.trigger == Trigger::Undo => format!("looked at the accounts of {people}"),
        Some(_) => format!("reading {} did not succeed", vendor(&source.kind)),
        None if source.complete => format!(
            "read {people} in {} from {}, complete",
            count(source.pages, "page", "pages"),
            vendor(&source.kind)
        ),
        None => format!("read {people} by name from {}", vendor(&source.kind)),
    }
}

fn write_record(record: &ActionRecord, facts: &RunFacts, out: &mut dyn io::Write) -> io::Result<()> {
    let sign = sign(record.action);
    let word = word(record, facts.mode);
    let style = match record.outcome {
        Outcome::Failed => RED,
        Outcome::Held | Outcome::Deferred => YELLOW,
        Outcome::Disabled | Outcome::Skipped if record.action == Verb::Block => YELLOW,
        Outcome::Disabled | Outcome::Skipped => DIM,
        Outcome::Planned | Outcome::Applied => style(record.action),
    };
    let user = visible(&record.user);
    writeln!(out, "  {style}{sign} {word:<11}{style:#} {BOLD}{user}{BOLD:#}  {}", visible(&record.reason))?;
    if tells_changes(record.outcome) {
        for change in &record.changes {
            writeln!(out, "      {}", change_line(change))?;
        }
    }
    if let Some(detail) = told_detail(record, facts, "waits for approval, see below") {
        let status = record.status.map(|status| format!("{status}: ")).unwrap_or_default();
        let label = detail_label(record.outcome);
        writeln!(out, "      {style}{label}: {status}{}{style:#}", visible(detail))?;
    }
    owed_text(record, facts).map_or(Ok(()), |owed| writeln!(out, "      {style}{owed}{style:#}"))
}

/// Since when something is owed, why access is to end, and what it waits for, where it was owed before this run: what is
/// new is what the line says anyway.
pub(super) fn owed_text(record: &ActionRecord, facts: &RunFacts) -> Option<String> {
    let waits_for = record.waits_for?;
    // Lines hold whole seconds.
    let second = |at: Millis| at.0.div_euclid(1000);
    let since = record.owed_since.filter(|since| second(*since) < second(facts.started_at))?;
    let cause = record.cause.map(|cause| format!(" ({})", cause.as_str())).unwrap_or_default();
    Some(format!("owed since {}{cause}: waits for {}", since.rfc3339(), waits_for.describe()))
}

/// The sign that stands for a verb wherever a colour does too.
pub(super) fn sign(verb: Verb) -> char {
    match verb {
        Verb::Create => '+',
        Verb::Adopt => '=',
        Verb::Update => '~',
        Verb::Reactivate => '^',
        Verb::Deactivate => '-',
        Verb::Delete => 'x',
        Verb::Block => '!',
        Verb::Skip => '.',
    }
}

fn style(verb: Verb) -> Style {
    match verb {
        Verb::Create | Verb::Reactivate => GREEN,
        Verb::Adopt => CYAN,
        Verb::Update | Verb::Block => YELLOW,
        Verb::Deactivate | Verb::Delete => RED,
        Verb::Skip => DIM,
    }
}

/// What the text before a record's detail says of it.
pub(super) fn detail_label(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Failed => "failed",
        Outcome::Held => "held",
        Outcome::Deferred => "not sent",
        Outcome::Disabled => "switched off",
        Outcome::Skipped | Outcome::Planned | Outcome::Applied => "note",
    }
}

/// The detail as a line tells it: the reason of a hold is told once, with the command that releases it; elsewhere
/// `instead` is.
pub(super) fn told_detail<'a>(
    record: &'a ActionRecord,
    facts: &RunFacts,
    instead: &'static str,
) -> Option<&'a str> {
    let detail = record.detail.as_deref()?;
    let told_once = record.outcome == Outcome::Held
        && facts.holds.iter().any(|hold| hold.class == record.action && hold.reason == detail);
    Some(if told_once { instead } else { detail })
}

/// Whether a line tells the values: where nothing was or is going to be sent they would only be noise.
pub(super) fn tells_changes(outcome: Outcome) -> bool {
    match outcome {
        Outcome::Planned | Outcome::Applied | Outcome::Held | Outcome::Failed => true,
        Outcome::Deferred | Outcome::Disabled | Outcome::Skipped => false,
    }
}

/// The word in front of a line: the verb, or what became of it.
pub(super) fn word(record: &ActionRecord, mode: Mode) -> &'static str {
    let done = mode == Mode::Apply && record.outcome == Outcome::Applied;
    match record.action {
        Verb::Create if done => "created",
        Verb::Adopt if done => "adopted",
        Verb::Update if done => "updated",
        Verb::Reactivate if done => "reactivated",
        Verb::Deactivate if done => "deactivated",
        Verb::Delete if done => "deleted",
        Verb::Block => "blocked",
        Verb::Skip => "skipped",
        Verb::Create | Verb::Adopt | Verb::Update | Verb::Reactivate | Verb::Deactivate | Verb::Delete => {
            record.action.as_str()
        }
    }
}

pub(super) fn change_line(change: &Change) -> String {
    let path = visible(change.path.as_str());
    match (&change.from, &change.to) {
        (None, Some(to)) => format!("{path}: {}", value(to)),
        (Some(from), Some(to)) => format!("{path}: {} -> {}", value(from), value(to)),
        (Some(from), None) => format!("{path}: {} -> (cleared)", value(from)),
        (None, None) => format!("{path}: (unchanged)"),
    }
}

/// A value in one line, cut where it is long.
pub(super) fn value(scalar: &Scalar) -> String {
    match scalar {
        Scalar::Text(text) => {
            let mut shown = String::from("\"");
            for (index, character) in text.chars().enumerate() {
                if index == LONGEST_VALUE {
                    shown.push('…');
                    break;
                }
                shown.push_str(&visible(character.encode_utf8(&mut [0; 4])));
            }
            shown.push('"');
            shown
        }
        Scalar::Flag(_) | Scalar::Integer(_) => scalar.as_text().into_owned(),
    }
}

fn write_end(facts: &RunFacts, out: &mut dyn io::Write) -> io::Result<()> {
    let label = match facts.mode {
        Mode::DryRun => "Plan",
        Mode::Apply => "Done",
    };
    let style = match facts.result {
        RunResult::Ok => GREEN,
        RunResult::Partial | RunResult::Held => YELLOW,
        RunResult::SourceIncomplete
        | RunResult::SourceUnavailable
        | RunResult::TargetUnavailable
        | RunResult::Interrupted
        | RunResult::Error => RED,
    };
    match failure(facts) {
        Some((what, problem)) => {
            writeln!(out, "{RED}{what}{RED:#}")?;
            failure_lines(&problem, out)?;
            if facts.summary.writes() > 0 {
                writeln!(
                    out,
                    "{style}{label}{style:#} before that: {}",
                    summary_text(&facts.summary, facts.mode)
                )?;
            }
        }
        None => writeln!(out, "{style}{label}{style:#}: {}", summary_text(&facts.summary, facts.mode))?,
    }
    writeln!(out, "{}", seats_line(&facts.seats))?;
    for hold in &facts.holds {
        write_hold(hold, out)?;
    }
    for note in &facts.notes {
        let (text, help) = with_help(note);
        writeln!(out, "Note: {}", visible(text))?;
        if let Some(help) = help {
            writeln!(out, "  help: {}", visible(help))?;
        }
    }
    if facts.mode == Mode::DryRun {
        writeln!(out, "Nothing was written.")?;
    }
    Ok(())
}

/// What was wrong, and the help with it.
pub(super) fn failure_lines(problem: &str, out: &mut dyn io::Write) -> io::Result<()> {
    let (text, help) = with_help(problem);
    if !text.is_empty() {
        writeln!(out, "  {}", visible(text))?;
    }
    help.map_or(Ok(()), |help| writeln!(out, "  help: {}", visible(help)))
}

/// The billable accounts, and what is not in the number.
pub(super) fn seats_line(seats: &Seats) -> String {
    let limit = seats.limit.map(|limit| format!(", limit {limit}")).unwrap_or_default();
    format!(
        "Seats: {} billable before, {} after{limit}. A deactivated account keeps its seat; accounts that rosterd does \
         not manage are not counted.",
        seats.before, seats.after
    )
}

/// A sentence and its help. A help line of ours is a line; a line break of anybody else is shown as one.
pub(super) fn with_help(note: &str) -> (&str, Option<&str>) {
    note.rsplit_once("\nhelp: ").map_or((note, None), |(text, help)| (text, Some(help)))
}

/// Understandable alone: what waits, why with numbers, until when, and which command releases it.
fn write_hold(hold: &HoldFact, out: &mut dyn io::Write) -> io::Result<()> {
    let people = count(hold.count, "person", "people");
    let verb = hold.class.as_str();
    let reason = visible(&hold.reason);
    if hold.id.is_empty() {
        writeln!(out, "{YELLOW}Would be held{YELLOW:#}: {verb} for {people}: {reason}.")?;
        return writeln!(out, "  A run that writes opens a hold, names it, and waits for `rosterd approve`.");
    }
    writeln!(out, "{YELLOW}Held {}{YELLOW:#}: {verb} for {people}: {reason}.", hold.id)?;
    if let Some(decided) = &hold.decided {
        return writeln!(out, "  It waits no more: {}.", visible(decided));
    }
    writeln!(
        out,
        "  Everything else went on. Release exactly these with `rosterd approve {}@{}` until {}; drop them with \
         `rosterd reject {}`.",
        hold.id, hold.revision, hold.expires_at, hold.id
    )
}

/// Where a run did not go through: what that means, and what was wrong.
pub(super) fn failure(facts: &RunFacts) -> Option<(&'static str, String)> {
    let source = || facts.source.problem.clone().unwrap_or_default();
    let target = || facts.target.problem.clone().unwrap_or_default();
    match facts.result {
        RunResult::SourceIncomplete => {
            Some(("The source could not be read completely, so nothing was planned.", source()))
        }
        RunResult::SourceUnavailable => {
            Some(("The source could not be read, so nothing was planned.", source()))
        }
        RunResult::TargetUnavailable => Some(("The target is not available; the rest waits.", target())),
        RunResult::Interrupted => Some(("Interrupted.", String::new())),
        RunResult::Error => Some(("The run failed.", String::new())),
        RunResult::Ok | RunResult::Partial | RunResult::Held => None,
    }
}

/// The words of each count but the unchanged, in the order in which they are told.
pub(super) fn counts(summary: &Summary, mode: Mode) -> [(u64, &'static str); 11] {
    let Summary {
        create,
        adopt,
        update,
        reactivate,
        deactivate,
        delete,
        unchanged: _,
        skipped,
        held,
        blocked,
        failed,
        deferred,
    } = *summary;
    let words = |planned: &'static str, done: &'static str| if mode == Mode::DryRun { planned } else { done };
    [
        (create, words("to create", "created")),
        (adopt, words("to adopt", "adopted")),
        (update, words("to update", "updated")),
        (reactivate, words("to reactivate", "reactivated")),
        (deactivate, words("to deactivate", "deactivated")),
        (delete, words("to delete", "deleted")),
        (held, "held for approval or a seat"),
        (blocked, "blocked"),
        (failed, "failed"),
        (deferred, "deferred"),
        (skipped, "skipped"),
    ]
}

/// `1 to create, 2 to update, 119 unchanged`, or `1 created, …`; what is zero is left out.
pub(super) fn summary_text(summary: &Summary, mode: Mode) -> String {
    let Summary { unchanged, held, blocked, failed, deferred, .. } = *summary;
    let told: Vec<String> = counts(summary, mode)
        .into_iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, words)| format!("{number} {words}"))
        .collect();
    let text = told.join(", ");
    if summary.writes() + held + blocked + failed + deferred == 0 {
        let rest = if text.is_empty() { String::new() } else { format!(", {text}") };
        return format!("nothing to do, {unchanged} unchanged{rest}.");
    }
    let separator = if text.is_empty() { "" } else { ", " };
    format!("{text}{separator}{unchanged} unchanged.")
}

/// One line for stderr where the report itself goes to a file.
pub fn summary_line(facts: &RunFacts) -> String {
    let result = facts.result.as_str();
    format!("{}: {result}: {}", visible(&facts.sync), summary_text(&facts.summary, facts.mode))
}

pub(super) fn vendor(kind: &str) -> &str {
    match kind {
        "okta" => "Okta",
        "onelogin" => "OneLogin",
        other => other,
    }
}

/// `1 person`, `2 people`.
pub(super) fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
