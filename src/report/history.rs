//! `history`: runs, what was done beside them, and every attempt for one person, as people and scripts read them.

use std::io;

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use super::json::write_tame;
use super::text::{change_line, summary_text};
use super::{SyncReport, visible};
use crate::model::history::{
    Attempt, AttemptOutcome, BrokenChain, ChainReport, EventKind, EventLine, HISTORY_SCHEMA, RunLine,
};
use crate::model::report::{Mode, RunFacts, RunResult, Seats, SourceFacts, Summary, TargetFacts};
use crate::model::time::Millis;
use crate::store::RunAgain;

const BOLD: Style = Style::new().bold();
const GREEN: Style = AnsiColor::Green.on_default();
const YELLOW: Style = AnsiColor::Yellow.on_default();
const RED: Style = AnsiColor::Red.on_default();

/// What a report of an old run says of itself.
const FROM_THE_RECORD: &str = "put together again from what is on record";
/// And where only the journal has something of it: it was cut off, or failed before it had a plan.
const FROM_THE_JOURNAL: &str = "put together from the journal: the people to whom something was sent are listed; who \
                                was held, blocked, deferred or skipped is counted only";

/// A list of runs, or of attempts.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum History {
    /// Runs, the newest first.
    Runs {
        /// The runs.
        runs: Vec<RunLine>,
        /// What was done beside them, the newest first.
        events: Vec<EventLine>,
    },
    /// Attempts, the newest first.
    Attempts {
        /// The login or id that was asked for.
        user: String,
        /// The attempts.
        attempts: Vec<Attempt>,
        /// What else was done about this person.
        events: Vec<EventLine>,
    },
    /// A look at the whole journal.
    Chain {
        /// What it found.
        chain: ChainReport,
    },
}

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    rosterd: &'static str,
    generated_at: String,
    #[serde(flatten)]
    history: &'a History,
}

/// Writes the document `rosterd.history/1` and a final newline.
pub fn write_history_json(history: &History, now: Millis, out: &mut dyn io::Write) -> io::Result<()> {
    let document = Document {
        schema: HISTORY_SCHEMA,
        rosterd: env!("CARGO_PKG_VERSION"),
        generated_at: now.rfc3339(),
        history,
    };
    write_tame(&document, out)
}

/// Writes the list as text. It may hold ANSI styles; the writer strips them where they are not wanted.
pub fn write_history(history: &History, out: &mut dyn io::Write) -> io::Result<()> {
    match history {
        History::Runs { runs, events } if runs.is_empty() && events.is_empty() => {
            writeln!(out, "no such run is on record")
        }
        History::Runs { runs, events } => {
            let mut events = events.iter().peekable();
            for run in runs {
                while let Some(event) = events.next_if(|event| event.at > run.started_at) {
                    write_event(event, out)?;
                }
                write_run(run, out)?;
            }
            events.try_for_each(|event| write_event(event, out))
        }
        History::Attempts { user, attempts, events } if attempts.is_empty() && events.is_empty() => {
            writeln!(out, "nothing that was sent for {} is on record", visible(user))
        }
        History::Attempts { user: _, attempts, events } => {
            let mut events = events.iter().peekable();
            for attempt in attempts {
                while let Some(event) = events.next_if(|event| event.at > attempt.at) {
                    write_event(event, out)?;
                }
                write_attempt(attempt, out)?;
            }
            events.try_for_each(|event| write_event(event, out))
        }
        History::Chain { chain } => write_chain(chain, out),
    }
}

fn write_event(line: &EventLine, out: &mut dyn io::Write) -> io::Result<()> {
    let what = match line.event {
        EventKind::Forget if line.source_id.is_none() => "what was left of a sync was dropped",
        EventKind::Forget => "a link was dropped",
        EventKind::Lift => "a pin was lifted",
        EventKind::Rebuild => "links were found again in the workspace",
        EventKind::Transfer => "links were handed over",
        EventKind::Erase => "somebody was erased from the history",
        EventKind::Prune => "history that was too old was removed",
        EventKind::Approve => "a hold was released",
        EventKind::Reject => "a hold was dropped",
        EventKind::Pause => "writes were stopped",
        EventKind::Resume => "writes were started again",
        EventKind::Keep => "an account was kept although its owner had left",
        EventKind::GiveUp => "a write of unknown outcome was given up",
    };
    let sync = line.sync.as_ref().map(|sync| format!("  sync \"{}\"", visible(sync))).unwrap_or_default();
    let by = line.by.as_ref().map(|by| format!(" by {}", visible(by))).unwrap_or_default();
    writeln!(out, "{}  {BOLD}{}{BOLD:#}{sync}  {what}{by}", line.at.rfc3339(), line.event.as_str())?;
    let who = match (&line.user, &line.source_id) {
        (Some(user), Some(id)) => Some(format!("{user}; person {id}")),
        (None, Some(id)) => Some(format!("person {id}")),
        (user, None) => user.clone(),
    };
    let counts: Vec<String> = line.counts.iter().map(|(what, count)| format!("{what}: {count}")).collect();
    let counts = (!counts.is_empty()).then(|| counts.join(", "));
    let parts: Vec<String> = [who, counts, line.detail.clone()].into_iter().flatten().collect();
    if parts.is_empty() { Ok(()) } else { writeln!(out, "    {}", visible(&parts.join("; "))) }
}

fn write_chain(chain: &ChainReport, out: &mut dyn io::Write) -> io::Result<()> {
    let ChainReport { intact: _, entries, first_at, erased, pruned, runs, last, head, broken } = chain;
    if let Some(BrokenChain { entry, run, at, what }) = broken {
        let entry = entry.map_or("at the end of a run".to_owned(), |entry| format!("at entry {entry}"));
        let run = run.map(|run| format!(", run {run}")).unwrap_or_default();
        let at = at.map(|at| format!(", {}", at.rfc3339())).unwrap_or_default();
        writeln!(out, "{RED}the history does not verify{RED:#}: {entry}{run}{at}: {}", visible(what))?;
        return writeln!(
            out,
            "    {entries} entries before it are as they were written. Compare with a backup, and with the heads of the \
             chain in the log (chain_head at the end of each run)."
        );
    }
    let since = first_at.map(|at| format!(" since {}", at.rfc3339())).unwrap_or_default();
    let number = if *entries == 1 { "1 entry".to_owned() } else { format!("{entries} entries") };
    writeln!(
        out,
        "{GREEN}the history verifies{GREEN:#}: {number}{since}, {erased} of them erased; {runs} run ends fit"
    )?;
    match pruned {
        Some(pruned) => {
            writeln!(out, "    pruned up to entry {} on {}", pruned.entry, pruned.at.rfc3339())?;
        }
        None => writeln!(out, "    nothing was pruned")?,
    }
    match head.as_str() {
        "" => Ok(()),
        head => writeln!(
            out,
            "    head {head} at entry {last}: the log has it as chain_head of the last run that ended here or earlier"
        ),
    }
}

fn write_run(line: &RunLine, out: &mut dyn io::Write) -> io::Result<()> {
    let (style, result) = match line.result {
        None => (YELLOW, "not ended: it is going on, or was cut off"),
        Some(result) => (result_style(result), result.as_str()),
    };
    let at = line.started_at.rfc3339();
    let (sync, trigger) = (visible(&line.sync), line.trigger.as_str());
    let by = line.by.as_ref().map(|by| format!(" by {}", visible(by))).unwrap_or_default();
    writeln!(
        out,
        "{at}  {BOLD}run {}{BOLD:#}  sync \"{sync}\"  {trigger}{by}  {style}{result}{style:#}",
        line.run
    )?;
    if let Some(summary) = &line.summary {
        let who = match (line.people, line.complete) {
            (Some(1), true) => "everybody (1 person): ".to_owned(),
            (Some(people), true) => format!("everybody ({people} people): "),
            (Some(1), false) => "1 person: ".to_owned(),
            (Some(people), false) if people > 0 => format!("{people} people: "),
            (Some(_) | None, _) => String::new(),
        };
        writeln!(out, "    {who}{}", summary_text(summary, Mode::Apply))?;
    }
    if let Some(problem) = &line.problem {
        let first = problem.lines().next().unwrap_or_default();
        writeln!(out, "    {RED}{}{RED:#}", visible(first))?;
    }
    Ok(())
}

fn result_style(result: RunResult) -> Style {
    match result {
        RunResult::Ok => GREEN,
        RunResult::Partial | RunResult::Held => YELLOW,
        RunResult::SourceIncomplete
        | RunResult::SourceUnavailable
        | RunResult::TargetUnavailable
        | RunResult::Interrupted
        | RunResult::Error => RED,
    }
}

/// One attempt, in a line or a few.
pub(super) fn write_attempt(attempt: &Attempt, out: &mut dyn io::Write) -> io::Result<()> {
    let style = match attempt.outcome {
        AttemptOutcome::Applied => GREEN,
        AttemptOutcome::Refused => RED,
        AttemptOutcome::NotSent | AttemptOutcome::Unknown => YELLOW,
    };
    let outcome = outcome_words(attempt.outcome);
    let (at, verb, user) = (attempt.at.rfc3339(), attempt.action.as_str(), visible(&attempt.user));
    let status = attempt.status.map(|status| format!(" ({status})")).unwrap_or_default();
    writeln!(
        out,
        "{at}  {verb:<11} {BOLD}{user}{BOLD:#}  {style}{outcome}{style:#}{status}  run {} of sync \"{}\"",
        attempt.run,
        visible(&attempt.sync)
    )?;
    let approved = match &attempt.approved_by {
        Some(by) => format!(", approved by {}", visible(by)),
        None => String::new(),
    };
    let account = attempt.target_id.as_ref().map(|id| format!(", account {id}")).unwrap_or_default();
    let why = format!("{}; person {}{account}{approved}", attempt.reason, attempt.source_id);
    writeln!(out, "    {}", visible(&why))?;
    for change in &attempt.changes {
        writeln!(out, "      {}", change_line(change))?;
    }
    if let Some(detail) = &attempt.detail {
        writeln!(out, "    {style}{}{style:#}", visible(detail))?;
    }
    Ok(())
}

/// What became of an attempt, as people say it.
pub(super) fn outcome_words(outcome: AttemptOutcome) -> &'static str {
    match outcome {
        AttemptOutcome::Applied => "applied",
        AttemptOutcome::Refused => "refused",
        AttemptOutcome::NotSent => "did not happen",
        AttemptOutcome::Unknown => "outcome not known: the run is going on, or was cut off",
    }
}

/// A run again, as the report that it gave, as far as it is kept.
pub fn again(run: RunAgain) -> SyncReport {
    let RunAgain { facts, line, mut records, whole } = run;
    let mut facts = facts.unwrap_or_else(|| {
        let mut summary = Summary::default();
        for record in records.iter().into_iter().flatten().flatten() {
            summary.count(record.action, record.outcome);
        }
        without_end(&line, summary)
    });
    let note = if whole { FROM_THE_RECORD } else { FROM_THE_JOURNAL };
    facts.notes.push(note.to_owned());
    SyncReport { facts, records }
}

/// The facts of a run that has no end on record.
fn without_end(line: &RunLine, summary: Summary) -> RunFacts {
    RunFacts {
        sync: line.sync.clone(),
        run: Some(line.run),
        mode: Mode::Apply,
        trigger: line.trigger,
        result: line.result.unwrap_or(RunResult::Interrupted),
        started_at: line.started_at,
        finished_at: line.finished_at.unwrap_or(line.started_at),
        passes: 0,
        first_contact: false,
        source: SourceFacts {
            kind: String::new(),
            users: 0,
            pages: 0,
            requests: 0,
            complete: false,
            problem: None,
        },
        target: TargetFacts { dialect: String::new(), requests: 0, rate_limited: 0, problem: None },
        summary,
        seats: Seats { before: 0, after: 0, limit: None },
        guards: Vec::new(),
        holds: Vec::new(),
        notes: vec!["this run has no end on record: it is going on, or was cut off".to_owned()],
    }
}
