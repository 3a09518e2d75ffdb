//! `status` for people: what an administrator wants to know first in the morning.

use std::collections::BTreeMap;
use std::io;

use anstyle::{AnsiColor, Style};

use super::json::write_tame;
use super::visible;
use crate::model::drift::{DriftCounts, FindingKind};
use crate::model::owed::{OwedClass, WaitMeaning, WaitsFor};
use crate::model::status::{
    CredentialAges, DriftStatus, FailingPerson, HoldStatus, LeaverWithAccess, OwedCount, Status, SyncStatus,
};
use crate::model::time::Millis;

/// Leavers who are listed one by one.
const LEAVERS_SHOWN: usize = 20;
const DAY_MILLIS: i64 = 24 * 3600 * 1000;

const BOLD: Style = Style::new().bold();
const GREEN: Style = AnsiColor::Green.on_default().bold();
const RED: Style = AnsiColor::Red.on_default().bold();
const YELLOW: Style = AnsiColor::Yellow.on_default();

/// Writes the document as text. It may hold ANSI styles; the writer strips them where they are not wanted.
pub fn write_status(status: &Status, out: &mut dyn io::Write) -> io::Result<()> {
    for (index, sync) in status.syncs.iter().enumerate() {
        if index > 0 {
            writeln!(out)?;
        }
        write_sync(sync, status.generated_at, out)?;
    }
    for sync in &status.unconfigured {
        writeln!(out)?;
        writeln!(out, "{YELLOW}{}{YELLOW:#}", visible(&sync.describe()))?;
    }
    Ok(())
}

/// Writes the document as JSON and a final newline.
pub fn write_status_json(status: &Status, out: &mut dyn io::Write) -> io::Result<()> {
    write_tame(status, out)
}

fn write_sync(sync: &SyncStatus, now: Millis, out: &mut dyn io::Write) -> io::Result<()> {
    let (style, word) = if sync.healthy { (GREEN, "healthy") } else { (RED, "needs attention") };
    writeln!(out, "{BOLD}sync \"{}\"{BOLD:#}: {style}{word}{style:#}", visible(&sync.name))?;
    write_leavers(&sync.leavers_with_access, now, out)?;
    for problem in &sync.problems {
        writeln!(out, "  {RED}!{RED:#} {}", visible(problem))?;
    }
    for notice in &sync.notices {
        writeln!(out, "  {YELLOW}-{YELLOW:#} {}", visible(notice))?;
    }
    let (source, target) = (&sync.source, &sync.target);
    line(
        out,
        "between",
        &format!(
            "{} app {} at {} -> {} at {}",
            source.kind, source.app_id, source.url, target.dialect, target.url
        ),
    )?;
    line(out, "last success", &past(sync.last_success_at, now, "none yet"))?;
    line(out, "target", &format!("answered {}", past(sync.target_answered_at, now, "no run yet")))?;
    write_runs(sync, now, out)?;
    let people = sync.people.map_or("not read yet".to_owned(), |people| people.to_string());
    line(out, "people", &format!("{people} at the source"))?;
    let accounts: Vec<String> =
        sync.accounts.by_state().iter().map(|(state, number)| format!("{number} {state}")).collect();
    line(out, "accounts", &accounts.join(", "))?;
    let limit = sync.seats.limit.map(|limit| format!(", limit {limit}")).unwrap_or_default();
    line(out, "seats", &format!("{} billable{limit}", sync.seats.billable))?;
    line(out, "owed", &owed_text(&sync.owed))?;
    write_holds(&sync.holds, now, out)?;
    if sync.pins > 0 {
        let people = if sync.pins == 1 { "person" } else { "people" };
        let text = format!("{} {people} by decision; `rosterd forget --lift WHO` ends one", sync.pins);
        line(out, "pinned", &text)?;
    }
    if sync.kept_by_configuration > 0 {
        let accounts = if sync.kept_by_configuration == 1 { "account" } else { "accounts" };
        let text = format!(
            "{} {accounts} of people who left, by configuration ([sync.lifecycle])",
            sync.kept_by_configuration
        );
        line(out, "kept", &text)?;
    }
    write_failing(sync, out)?;
    write_attributes(
        out,
        "not kept",
        "the workspace takes these and does not keep them",
        &sync.ignored_attributes,
    )?;
    write_attributes(out, "refused", "the workspace refused these values", &sync.refused_attributes)?;
    write_credentials(sync, now, out)?;
    let Some(DriftStatus { verified_at, drift, counts }) = &sync.drift else { return Ok(()) };
    line(
        out,
        "drift",
        &format!("{}; verified {}", drift_text(*drift, counts), past(Some(*verified_at), now, "")),
    )
}

/// Who left and still has access, the longest first.
fn write_leavers(leavers: &[LeaverWithAccess], now: Millis, out: &mut dyn io::Write) -> io::Result<()> {
    if leavers.is_empty() {
        return line(out, "leavers", "nobody who left has access");
    }
    line(out, "leavers", &format!("{} with access, the longest first:", leavers.len()))?;
    for leaver in leavers.iter().take(LEAVERS_SHOWN) {
        let LeaverWithAccess { user, source_id: _, since, cause, waits_for, next_try, detail: words } =
            leaver;
        let style = if waits_for.needs_attention() { RED } else { YELLOW };
        let user = visible(user);
        writeln!(
            out,
            "                {style}{user}{style:#}  {cause}, owed since {} ({}); waits for {}{}",
            since.rfc3339(),
            span(now.since(*since)),
            waits_for.describe(),
            next_try_text(*waits_for, *next_try)
        )?;
        if !words.is_empty() {
            detail(out, &format!("  {words}"))?;
        }
    }
    let more = leavers.len().saturating_sub(LEAVERS_SHOWN);
    if more > 0 {
        detail(out, &format!("… and {more} more; `rosterd status --format json` lists all"))?;
    }
    Ok(())
}

/// When a removal is tried again, or what would end its wait.
pub(super) fn next_try_text(waits_for: WaitsFor, next_try: Option<Millis>) -> String {
    match (waits_for.meaning(), next_try) {
        (WaitMeaning::Undone, Some(at)) => {
            format!("; next try {}, in the daemon, and in each run", at.rfc3339())
        }
        (WaitMeaning::Undone, None) => "; next try in the next run".to_owned(),
        (WaitMeaning::Held, _) => "; `rosterd holds` shows it".to_owned(),
        (WaitMeaning::Wanted, Some(at)) => format!(" ({})", at.rfc3339()),
        (WaitMeaning::Wanted, None) => String::new(),
    }
}

/// `2 access: the next try, 1 attributes: an approval`; leavers have their own lines.
pub(super) fn owed_text(owed: &[OwedCount]) -> String {
    let counts: Vec<String> = owed
        .iter()
        .filter(|count| count.class != OwedClass::Removal)
        .map(|OwedCount { class, waits_for, people }| {
            let people = if *people == 1 { "1 person".to_owned() } else { format!("{people} people") };
            format!("{} of {people} (waits for {})", class.as_str(), waits_for.describe())
        })
        .collect();
    if counts.is_empty() { "nothing else".to_owned() } else { counts.join(", ") }
}

pub(super) fn drift_text(drift: u64, counts: &DriftCounts) -> String {
    if drift == 0 {
        return "none found".to_owned();
    }
    let found: Vec<String> = FindingKind::ALL
        .into_iter()
        .filter(|kind| kind.is_drift() && counts.of(*kind) > 0)
        .map(|kind| format!("{} {}", counts.of(kind), kind.as_str()))
        .collect();
    found.join(", ")
}

fn write_runs(sync: &SyncStatus, now: Millis, out: &mut dyn io::Write) -> io::Result<()> {
    let last = sync.last_run.as_ref().map_or("no run yet".to_owned(), |run| {
        let (result, trigger) = (run.result.as_str(), run.trigger.as_str());
        format!("run {} ({trigger}): {result}, ended {}", run.run, past(Some(run.finished_at), now, ""))
    });
    line(out, "last run", &last)?;
    if let Some(run) = &sync.open_run {
        let since = past(Some(run.started_at), now, "");
        line(out, "open run", &format!("run {} began {since}; it is going on, or was cut off", run.run))?;
    }
    let next = match sync.next_run_at {
        Some(at) => format!("{} (in {})", at.rfc3339(), span(at.since(now))),
        None => "never: the schedule has no further date".to_owned(),
    };
    line(out, "next run", &next)
}

fn write_holds(holds: &[HoldStatus], now: Millis, out: &mut dyn io::Write) -> io::Result<()> {
    if holds.is_empty() {
        return line(out, "held", "nothing");
    }
    for hold in holds {
        let people = if hold.count == 1 { "person" } else { "people" };
        let text = format!(
            "{} {}{} for {} {people} since {}, until {} (in {})",
            hold.id,
            hold.class.as_str(),
            hold.kind.map(|kind| format!(" ({})", kind.as_str())).unwrap_or_default(),
            hold.count,
            hold.opened_at.rfc3339(),
            hold.expires_at.rfc3339(),
            span(hold.expires_at.since(now))
        );
        line(out, "held", &text)?;
        detail(out, &hold.reason)?;
        writeln!(
            out,
            "                release: {YELLOW}{}{YELLOW:#}    drop: {}",
            hold.approve, hold.reject
        )?;
    }
    Ok(())
}

fn write_failing(sync: &SyncStatus, out: &mut dyn io::Write) -> io::Result<()> {
    let failing = &sync.failing;
    if failing.count == 0 {
        return line(out, "failing", "nobody");
    }
    line(out, "failing", &format!("{}, these the longest:", failing.count))?;
    for person in &failing.first {
        let FailingPerson { user, source_id: _, failures, since, wait_runs, detail: words } = person;
        let (times, next) = (times(*failures), next_try(*wait_runs));
        let user = visible(user);
        writeln!(out, "                {BOLD}{user}{BOLD:#}  {times} since {}; {next}", since.rfc3339())?;
        detail(out, &format!("  {words}"))?;
    }
    let more = failing.count.saturating_sub(failing.first.len() as u64);
    if more > 0 {
        detail(out, &format!("… and {more} more; `rosterd history --failed` lists the runs"))?;
    }
    Ok(())
}

pub(super) fn times(failures: u32) -> String {
    if failures == 1 { "once".to_owned() } else { format!("{failures} times") }
}

pub(super) fn next_try(wait_runs: u32) -> String {
    match wait_runs {
        0 => "the next run tries again".to_owned(),
        1 => "tried again after 1 more full run".to_owned(),
        runs => format!("tried again after {runs} more full runs"),
    }
}

/// Before the first run nothing is known of them.
fn write_credentials(sync: &SyncStatus, now: Millis, out: &mut dyn io::Write) -> io::Result<()> {
    let CredentialAges { source_since, target_since } = sync.credentials;
    let told: Vec<String> = [("source", source_since), ("workspace", target_since)]
        .into_iter()
        .filter_map(|(side, since)| since.map(|since| (side, since)))
        .map(|(side, since)| {
            let day = since.rfc3339().chars().take_while(|character| *character != 'T').collect::<String>();
            format!("{side} since {day} ({})", days(now.since(since)))
        })
        .collect();
    if told.is_empty() { Ok(()) } else { line(out, "tokens", &told.join(", ")) }
}

fn days(millis: i64) -> String {
    match millis / DAY_MILLIS {
        ..=0 => "today".to_owned(),
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    }
}

fn write_attributes(
    out: &mut dyn io::Write,
    label: &str,
    what: &str,
    attributes: &BTreeMap<String, u64>,
) -> io::Result<()> {
    if attributes.is_empty() {
        return Ok(());
    }
    line(out, label, &format!("{what}: {}", attributes_text(attributes)))
}

/// `title of 3 accounts, name.givenName of 1 account`.
pub(super) fn attributes_text(attributes: &BTreeMap<String, u64>) -> String {
    let each: Vec<String> = attributes
        .iter()
        .map(|(path, accounts)| {
            format!("{path} of {accounts} {}", if *accounts == 1 { "account" } else { "accounts" })
        })
        .collect();
    each.join(", ")
}

fn line(out: &mut dyn io::Write, label: &str, text: &str) -> io::Result<()> {
    writeln!(out, "  {label:<12}  {}", visible(text))
}

/// What belongs to the line above.
fn detail(out: &mut dyn io::Write, text: &str) -> io::Result<()> {
    writeln!(out, "                {}", visible(text))
}

pub(super) fn past(at: Option<Millis>, now: Millis, never: &str) -> String {
    match at {
        Some(at) => format!("{} ({} ago)", at.rfc3339(), span(now.since(at))),
        None => never.to_owned(),
    }
}

/// A length of time in its largest unit; nothing is less than nothing.
pub(super) fn span(millis: i64) -> String {
    let seconds = (millis / 1000).max(0);
    let (number, unit) = match seconds {
        0..120 => (seconds, "second"),
        120..7_200 => (seconds / 60, "minute"),
        7_200..172_800 => (seconds / 3600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_of_time_is_told_in_its_largest_unit() {
        let told = [0, 1, 119, 120, 7_199, 7_200, 172_799, 172_800].map(|seconds| span(seconds * 1000));
        assert_eq!(
            told,
            [
                "0 seconds",
                "1 second",
                "119 seconds",
                "2 minutes",
                "119 minutes",
                "2 hours",
                "47 hours",
                "2 days"
            ]
        );
        assert_eq!(span(-5000), "0 seconds", "the clock went back");
    }
}
