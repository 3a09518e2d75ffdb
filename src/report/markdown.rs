//! Markdown as GitHub reads it, to be pasted into a ticket or a pull request.
//!
//! Whatever comes from elsewhere stands in a code span unless it is plainly harmless: there nothing is a link, an
//! image, a mention, a reference to an issue, HTML or a table's edge.

use std::io;

use super::text::{
    count, counts, detail_label, failure, owed_text, seats_line, sign, source_line, tells_changes, title,
    told_detail, value, with_help, word,
};
use super::{Length, SyncReport, visible};
use crate::model::plan::Change;
use crate::model::report::{ActionRecord, GuardFact, HoldFact, Mode, RunFacts, Summary};

/// Bytes of all tables of people together: a comment on GitHub takes 65,536 characters.
const LONGEST_TABLES_BYTES: usize = 48_000;

/// Writes a section per sync.
pub fn write_markdown(reports: &mut [SyncReport], length: Length, out: &mut dyn io::Write) -> io::Result<()> {
    let mut room = match length {
        Length::Cut => Some(LONGEST_TABLES_BYTES),
        Length::Full => None,
    };
    for (index, report) in reports.iter_mut().enumerate() {
        if index > 0 {
            writeln!(out)?;
        }
        write_sync(report, &mut room, out)?;
    }
    Ok(())
}

fn write_sync(report: &mut SyncReport, room: &mut Option<usize>, out: &mut dyn io::Write) -> io::Result<()> {
    let SyncReport { facts, records } = report;
    writeln!(out, "## rosterd: {} of sync {}", title(facts), code(&facts.sync, Place::Line))?;
    writeln!(out)?;
    writeln!(out, "**{}**: {}.", result_words(facts), foreign(&source_line(facts), Place::Line))?;
    writeln!(out)?;
    if let Some((what, problem)) = failure(facts) {
        writeln!(out, "> **{what}**")?;
        let (text, help) = with_help(&problem);
        for line in std::iter::once(text).chain(help).filter(|line| !line.is_empty()) {
            writeln!(out, ">\n> {}", foreign(line, Place::Line))?;
        }
        writeln!(out)?;
    }
    write_summary(&facts.summary, facts.mode, out)?;
    writeln!(out, "{}", seats_line(&facts.seats))?;
    write_holds(&facts.holds, out)?;
    write_guards(&facts.guards, out)?;
    write_notes(&facts.notes, out)?;
    if facts.mode == Mode::DryRun {
        writeln!(out, "\nNothing was written.")?;
    }
    if records.is_empty() {
        return Ok(());
    }
    let people = usize::try_from(records.len()).unwrap_or(usize::MAX);
    writeln!(out, "\n### {}\n", count(records.len(), "person", "people"))?;
    writeln!(out, "| | Action | Person | Why | Changes |")?;
    writeln!(out, "| :-: | --- | --- | --- | --- |")?;
    let mut shown = 0;
    for record in records.iter()? {
        let row = row(&record?, facts);
        if let Some(left) = room {
            match left.checked_sub(row.len()) {
                Some(rest) => *left = rest,
                None => {
                    *left = 0;
                    break;
                }
            }
        }
        writeln!(out, "{row}")?;
        shown += 1;
    }
    if shown < people {
        writeln!(
            out,
            "\n… and {} more, so that this fits into a comment. `--output FILE` writes everybody, so does \
             `--format html` or `--format csv`.",
            people - shown
        )?;
    }
    Ok(())
}

fn result_words(facts: &RunFacts) -> &'static str {
    use crate::model::report::RunResult;
    match (facts.result, facts.mode) {
        (RunResult::Ok, Mode::DryRun) => "Plan",
        (RunResult::Ok, Mode::Apply) => "Done",
        (RunResult::Partial, _) => "Done in part",
        (RunResult::Held, Mode::DryRun) => "Plan, with something that would be held",
        (RunResult::Held, Mode::Apply) => "Done, and something is held",
        (RunResult::SourceIncomplete | RunResult::SourceUnavailable, _) => "Source not read",
        (RunResult::TargetUnavailable, _) => "Target not available",
        (RunResult::Interrupted, _) => "Interrupted",
        (RunResult::Error, _) => "Failed",
    }
}

fn write_summary(summary: &Summary, mode: Mode, out: &mut dyn io::Write) -> io::Result<()> {
    writeln!(out, "| People | |\n| --- | ---: |")?;
    let unchanged = (summary.unchanged, "unchanged");
    let counts = counts(summary, mode).into_iter().filter(|(number, _)| *number > 0);
    for (number, words) in counts.chain([unchanged]) {
        writeln!(out, "| {words} | {number} |")?;
    }
    writeln!(out)
}

fn write_holds(holds: &[HoldFact], out: &mut dyn io::Write) -> io::Result<()> {
    for hold in holds {
        let HoldFact { id, revision, class, reason, count: people, digest: _, expires_at, decided } = hold;
        let (verb, people) = (class.as_str(), count(*people, "person", "people"));
        let reason = foreign(reason, Place::Line);
        if id.is_empty() {
            writeln!(
                out,
                "\n**Would be held**: {verb} for {people}: {reason}. A run that writes opens a hold."
            )?;
            continue;
        }
        let (id, until) = (visible(id), visible(expires_at));
        if let Some(decided) = decided {
            let decided = foreign(decided, Place::Line);
            writeln!(out, "\n**Held {id}**: {verb} for {people}: {reason}. It waits no more: {decided}.")?;
            continue;
        }
        writeln!(
            out,
            "\n**Held {id}**: {verb} for {people}: {reason}.\n\n```sh\nrosterd approve {id}@{revision}  # releases \
             exactly these, until {until}\nrosterd reject {id}     # drops them\n```"
        )?;
    }
    Ok(())
}

fn write_guards(guards: &[GuardFact], out: &mut dyn io::Write) -> io::Result<()> {
    let tripped: Vec<_> = guards.iter().filter(|guard| guard.tripped).collect();
    if tripped.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n| Guard that tripped | Value | Limit |\n| --- | ---: | ---: |")?;
    for GuardFact { guard, limit, value, tripped: _ } in tripped {
        let limit = limit.map(number).unwrap_or_default();
        writeln!(out, "| {} | {} | {limit} |", code(guard, Place::Cell), number(*value))?;
    }
    Ok(())
}

/// A number of a guard, with at most one decimal.
pub(super) fn number(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

fn write_notes(notes: &[String], out: &mut dyn io::Write) -> io::Result<()> {
    if !notes.is_empty() {
        writeln!(out)?;
    }
    for note in notes {
        let (text, help) = with_help(note);
        write!(out, "- Note: {}", foreign(text, Place::Line))?;
        match help {
            Some(help) => writeln!(out, " (help: {})", foreign(help, Place::Line))?,
            None => writeln!(out)?,
        }
    }
    Ok(())
}

/// A person's row.
fn row(record: &ActionRecord, facts: &RunFacts) -> String {
    let mut why = foreign(&record.reason, Place::Cell);
    if let Some(detail) = told_detail(record, facts, "waits for approval, see above") {
        let status = record.status.map(|status| format!("{status}: ")).unwrap_or_default();
        let detail = foreign(detail, Place::Cell);
        why = format!("{why}<br>{}: {status}{detail}", detail_label(record.outcome));
    }
    if let Some(owed) = owed_text(record) {
        why = format!("{why}<br>{}", foreign(&owed, Place::Cell));
    }
    let changes: Vec<String> = match tells_changes(record.outcome) {
        true => record.changes.iter().map(change).collect(),
        false => Vec::new(),
    };
    format!(
        "| {} | {} | {} | {why} | {} |",
        code(&sign(record.action).to_string(), Place::Cell),
        word(record, facts.mode),
        code(&record.user, Place::Cell),
        changes.join("<br>")
    )
}

fn change(change: &Change) -> String {
    let span = |text: &str| code(text, Place::Cell);
    let path = span(change.path.as_str());
    match (&change.from, &change.to) {
        (None, Some(to)) => format!("{path}: {}", span(&value(to))),
        (Some(from), Some(to)) => {
            let (from, to) = (value(from), value(to));
            // Between two names that are written from right to left an arrow would be read the other way round.
            let arrow = if reads_leftwards(&from) || reads_leftwards(&to) { "&lrm;→&lrm;" } else { "→" };
            format!("{path}: {} {arrow} {}", span(&from), span(&to))
        }
        (Some(from), None) => format!("{path}: {} → (cleared)", span(&value(from))),
        (None, None) => format!("{path}: (unchanged)"),
    }
}

/// Whether there are letters in it that are written from right to left: Hebrew, Arabic and their neighbours.
fn reads_leftwards(text: &str) -> bool {
    let leftwards = |character: char| {
        matches!(
            character,
            '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}' | '\u{10800}'..='\u{10fff}'
                | '\u{1e800}'..='\u{1efff}'
        )
    };
    text.chars().any(leftwards)
}

/// Where a text stands.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Place {
    /// In a table, where a bar ends a cell.
    Cell,
    /// Elsewhere.
    Line,
}

/// A sentence of ours that may name something of theirs: as it is where it is harmless, else as a code span.
pub(super) fn foreign(text: &str, place: Place) -> String {
    if is_harmless(text) { escaped(text) } else { code(text, place) }
}

/// Whether nothing in it could become a link, a mention, a reference, an emoji, mathematics or HTML once it is escaped.
fn is_harmless(text: &str) -> bool {
    let mut characters = text.chars().peekable();
    let mut harmless = !text.is_empty() && !text.starts_with(' ') && !text.ends_with(' ');
    while let (true, Some(character)) = (harmless, characters.next()) {
        harmless = match character {
            ':' => characters.peek().is_none_or(|next| *next == ' '),
            ' ' | ',' | '.' | ';' | '%' | '=' | '(' | ')' | '\'' | '"' | '_' | '-' | '…' => true,
            other => other.is_alphanumeric(),
        };
    }
    let lower = text.to_ascii_lowercase();
    harmless && !["www.", "gh-", "---", "==="].iter().any(|word| lower.contains(word))
}

/// Only for what [`is_harmless`] lets through.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len() + 8);
    for (index, character) in text.char_indices() {
        // At the start of a line a number with a dot or a bracket, or a dash, would begin a list.
        let begins = index == 0 || text[..index].chars().all(|before| before.is_ascii_digit());
        if character == '_' || (begins && matches!(character, '.' | ')' | '-' | '=')) {
            safe.push('\\');
        }
        safe.push(character);
    }
    safe
}

/// A code span: nothing in it means anything, as long as its fence is longer than every run of backticks in it.
pub(super) fn code(text: &str, place: Place) -> String {
    let shown = visible(text);
    if shown.trim().is_empty() {
        return "(empty)".to_owned();
    }
    let mut inner = String::with_capacity(shown.len());
    let (mut run, mut longest, mut previous) = (0usize, 0usize, ' ');
    for character in shown.chars() {
        run = if character == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
        match character {
            // A bar is escaped by a backslash; whether a backslash before that is itself an escape depends on the reader.
            '|' if place == Place::Cell && previous == '\\' => inner.push_str("\\u{7c}"),
            '|' if place == Place::Cell => inner.push_str("\\|"),
            other => inner.push(other),
        }
        previous = character;
    }
    let fence = "`".repeat(longest + 1);
    let padding = if inner.starts_with(['`', ' ']) || inner.ends_with(['`', ' ']) { " " } else { "" };
    format!("{fence}{padding}{inner}{padding}{fence}")
}
