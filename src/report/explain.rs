//! `explain`: one page about one person, as people and scripts read it.

use std::io;

use anstyle::{AnsiColor, Style};

use super::history::write_attempt;
use super::json::write_tame;
use super::status::{next_try, span, times};
use super::text::{change_line, count, detail_label, value, vendor};
use super::visible;
use crate::model::attributes::{ENTERPRISE_USER, Scalar};
use crate::model::explain::{
    Basis, Explanation, Fate, Guards, Judged, LinkExplained, MappingStep, MatchCandidate, MatchKey, Nobody,
    OwedExplained, PersonExplained, Remembered, ScopeStep, SourceRecord, SyncExplained,
};
use crate::model::report::{ActionRecord, GuardFact};
use crate::model::status::FailingPerson;
use crate::model::time::Millis;

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const GREEN: Style = AnsiColor::Green.on_default();
const YELLOW: Style = AnsiColor::Yellow.on_default();
const RED: Style = AnsiColor::Red.on_default();

/// Writes the document `rosterd.explain/1` and a final newline.
pub fn write_explanation_json(explanation: &Explanation, out: &mut dyn io::Write) -> io::Result<()> {
    write_tame(explanation, out)
}

/// Writes the page. It may hold ANSI styles; the writer strips them where they are not wanted.
pub fn write_explanation(explanation: &Explanation, out: &mut dyn io::Write) -> io::Result<()> {
    for (index, sync) in explanation.syncs.iter().enumerate() {
        if index > 0 {
            writeln!(out)?;
        }
        write_sync(sync, explanation, out)?;
    }
    Ok(())
}

fn write_sync(sync: &SyncExplained, explanation: &Explanation, out: &mut dyn io::Write) -> io::Result<()> {
    let basis = match sync.basis {
        Basis::Fresh => "both sides asked now; nothing was written",
        Basis::Offline => "from stored data; nobody was asked",
    };
    writeln!(out, "{BOLD}sync \"{}\"{BOLD:#}: {basis}", visible(&sync.name))?;
    if let Some(read) = &sync.last_read {
        let ago = span(explanation.generated_at.since(read.started_at));
        let at = read.started_at.rfc3339();
        line(
            out,
            "last read",
            &format!(
                "run {} at {at} ({ago} ago), complete, {}",
                read.run,
                count(read.people, "person", "people")
            ),
        )?;
    } else {
        line(out, "last read", "no complete read is on record")?;
    }
    for trouble in &sync.troubles {
        writeln!(out, "  {RED}!{RED:#} {}", visible(trouble))?;
    }
    if let Some(nobody) = &sync.nobody {
        write_nobody(nobody, &explanation.who, out)?;
    }
    if sync.people.len() > 1 {
        line(out, "people", &format!("{} people are called that", sync.people.len()))?;
    }
    sync.people.iter().try_for_each(|person| write_person(person, sync, explanation.generated_at, out))
}

fn write_nobody(nobody: &Nobody, who: &str, out: &mut dyn io::Write) -> io::Result<()> {
    writeln!(out)?;
    writeln!(out, "{BOLD}{}{BOLD:#}: nobody of that name is known", visible(who))?;
    for why in &nobody.why {
        bullet(out, why)?;
    }
    if !nobody.similar.is_empty() {
        bullet(out, &format!("spelled nearly so: {}", nobody.similar.join(", ")))?;
    }
    for account in &nobody.accounts {
        let MatchCandidate { target_id, user_name, active, key: _, accepted: _, why } = account;
        let user_name = user_name.as_deref().unwrap_or("no userName");
        bullet(out, &format!("at the target: {target_id} ({user_name}), {}: {why}", activity(*active)))?;
    }
    write_next(&nobody.next, out)
}

fn activity(active: Option<bool>) -> &'static str {
    match active {
        Some(true) => "active",
        Some(false) => "inactive",
        None => "activity not told",
    }
}

fn write_person(
    person: &PersonExplained,
    sync: &SyncExplained,
    now: Millis,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    writeln!(out)?;
    let (user, id) = (visible(&person.user), visible(person.source_id.as_str()));
    writeln!(out, "{BOLD}{user}{BOLD:#} {DIM}({id}){DIM:#} {}", visible(&person.answer))?;
    write_next(&person.next, out)?;
    write_source(person, sync, out)?;
    write_scope(person.scope.as_ref(), out)?;
    write_link(person.link.as_ref(), out)?;
    write_matches(&person.matches, sync, out)?;
    write_mappings(&person.mappings, sync.basis, out)?;
    write_action(person, now, out)?;
    write_guards(&person.guards, out)?;
    write_owed(&person.owed, out)?;
    write_failing(person.failing.as_ref(), out)?;
    if !person.attempts.is_empty() {
        heading(out, "Tried last")?;
        for attempt in &person.attempts {
            let mut text = Vec::new();
            write_attempt(attempt, &mut text)?;
            String::from_utf8_lossy(&text).lines().try_for_each(|line| writeln!(out, "  {line}"))?;
        }
    }
    Ok(())
}

fn write_source(person: &PersonExplained, sync: &SyncExplained, out: &mut dyn io::Write) -> io::Result<()> {
    let vendor = vendor(sync.source.kind);
    heading(out, &format!("At the source ({vendor} app {})", sync.source.app_id))?;
    match &person.record {
        Some(record) => write_record(record, out)?,
        None if sync.basis == Basis::Offline => {
            line(out, "record", "not stored; without --offline it is read")?
        }
        None => line(out, "record", "there is none")?,
    }
    judged(out, "lifecycle", person.lifecycle.as_ref())?;
    judged(out, "assignment", person.assignment.as_ref())
}

fn write_record(record: &SourceRecord, out: &mut dyn io::Write) -> io::Result<()> {
    line(out, "status", &record.status)?;
    for (name, text) in &record.attributes {
        writeln!(out, "  {:<18}  {}", visible(name), value(&Scalar::from(text.as_str())))?;
    }
    if !record.groups.is_empty() {
        line(out, "groups", &record.groups.join(", "))?;
    }
    if let Some(at) = record.assigned_at {
        line(out, "assigned since", &at.rfc3339())?;
    }
    let Some(raw) = &record.raw else { return Ok(()) };
    line(out, "as received", "")?;
    let pretty = serde_json::to_string_pretty(raw).map_err(io::Error::other)?;
    pretty.lines().try_for_each(|text| writeln!(out, "    {}", visible(text)))
}

fn judged(out: &mut dyn io::Write, label: &str, judged: Option<&Judged>) -> io::Result<()> {
    let Some(Judged { value, why }) = judged else { return Ok(()) };
    line(out, label, &format!("{value}: {why}"))
}

fn write_scope(scope: Option<&ScopeStep>, out: &mut dyn io::Write) -> io::Result<()> {
    let Some(ScopeStep { filter, names, domains, value, why }) = scope else { return Ok(()) };
    line(out, "scope", &format!("{value}: {why}"))?;
    if let Some(filter) = filter {
        line(out, "  scope.filter", filter)?;
    }
    for (name, held) in names {
        let held = held.as_deref().map_or("missing".to_owned(), |held| format!("\"{held}\""));
        line(out, &format!("  {name}"), &held)?;
    }
    if !domains.is_empty() {
        line(out, "  scope.domains", &domains.join(", "))?;
    }
    Ok(())
}

fn write_link(link: Option<&LinkExplained>, out: &mut dyn io::Write) -> io::Result<()> {
    heading(out, "Link")?;
    let Some(link) = link else { return line(out, "account", "none is linked to this person") };
    let since = link.since.map(|since| format!(" since {}", since.rfc3339())).unwrap_or_default();
    let seat = if link.billable { "takes a seat" } else { "takes no seat" };
    line(out, "account", &format!("{} ({}), {}{since}, {seat}", link.target_id, link.user_name, link.state))?;
    if let Some(since) = link.absent_since {
        line(out, "not listed", &format!("by complete reads since {}", since.rfc3339()))?;
    }
    for Remembered { path, kind, sent, returned, detail, at } in &link.remembered {
        let sent = sent.as_ref().map(|sent| format!(": sent {}", value(sent))).unwrap_or_default();
        let returned = returned.as_ref().map(|shown| format!(", shows {}", value(shown))).unwrap_or_default();
        let at = at.map(|at| format!(" on {}", at.rfc3339())).unwrap_or_default();
        let detail = detail.as_ref().map(|detail| format!(" ({detail})")).unwrap_or_default();
        line(out, "remembered", &format!("{path} {kind}{at}{sent}{returned}{detail}"))?;
    }
    Ok(())
}

fn write_matches(
    matches: &[MatchCandidate],
    sync: &SyncExplained,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    heading(out, &format!("At the target ({})", sync.target.url))?;
    if matches.is_empty() {
        let none = match sync.basis {
            Basis::Fresh => "no account there could be this person's",
            Basis::Offline => "nobody looked; without --offline it is read",
        };
        return line(out, "accounts", none);
    }
    for MatchCandidate { target_id, user_name, active, key, accepted, why } in matches {
        let active = activity(*active);
        let user_name = user_name.as_deref().unwrap_or("no userName");
        let (style, word) = match (accepted, key) {
            (true, MatchKey::Link) => (GREEN, "linked"),
            (true, MatchKey::ExternalId | MatchKey::UserName | MatchKey::Email) => (GREEN, "taken"),
            (false, _) => (YELLOW, "not taken"),
        };
        let by = if *key == MatchKey::Link { String::new() } else { format!(", by {}", key.as_str()) };
        let text = format!("{target_id} ({user_name}), {active}{by}: {why}");
        writeln!(out, "  {style}{word:<9}{style:#}  {}", visible(&text))?;
    }
    Ok(())
}

fn write_mappings(mappings: &[MappingStep], basis: Basis, out: &mut dyn io::Write) -> io::Result<()> {
    if mappings.is_empty() {
        return Ok(());
    }
    heading(
        out,
        match basis {
            Basis::Fresh => "Attributes",
            Basis::Offline => "Attributes, as far as they were sent or wait to be",
        },
    )?;
    // What is the same for many is said once.
    let not_sent = mappings.iter().find(|step| step.fate == Fate::NotSent);
    if let Some(step) = not_sent {
        line(out, "not sent", &step.why)?;
    }
    for step in mappings.iter().filter(|step| !is_left_out(step.fate)) {
        write_mapping(step, out)?;
    }
    for fate in [Fate::Omitted, Fate::Dropped] {
        let mut of_it = mappings.iter().filter(|step| step.fate == fate).peekable();
        if let Some(why) = of_it.peek().map(|step| step.why.clone()) {
            let paths: Vec<&str> = of_it.map(short).collect();
            writeln!(
                out,
                "  {DIM}{:<9}{DIM:#}  {}: {}",
                fate.as_str(),
                visible(&paths.join(", ")),
                visible(&why)
            )?;
        }
    }
    Ok(())
}

/// Whether an attribute is only named, with all others of its kind.
fn is_left_out(fate: Fate) -> bool {
    matches!(fate, Fate::Omitted | Fate::Dropped)
}

fn short(step: &MappingStep) -> &str {
    let path = step.path.as_str();
    path.strip_prefix(ENTERPRISE_USER).map_or(path, |rest| rest.trim_start_matches(':'))
}

fn write_mapping(step: &MappingStep, out: &mut dyn io::Write) -> io::Result<()> {
    let MappingStep { path: _, expression, value: given, at_target: _, fate, why } = step;
    let style = match fate {
        Fate::Sent | Fate::Cleared => GREEN,
        Fate::Waits | Fate::Ignored | Fate::Withheld => YELLOW,
        Fate::Refused | Fate::Failed => RED,
        Fate::Kept | Fate::Omitted | Fate::Dropped | Fate::NotSent => DIM,
    };
    let given = given.as_ref().map_or("nothing".to_owned(), value);
    let (path, from) = (visible(short(step)), visible(expression));
    write!(out, "  {style}{:<9}{style:#}  {path} = {given}  <- {from}", fate.as_str())?;
    match fate {
        Fate::Kept | Fate::NotSent => writeln!(out),
        Fate::Sent
        | Fate::Cleared
        | Fate::Waits
        | Fate::Ignored
        | Fate::Withheld
        | Fate::Refused
        | Fate::Failed
        | Fate::Omitted
        | Fate::Dropped => writeln!(out, ": {}", visible(why)),
    }
}

fn write_action(person: &PersonExplained, now: Millis, out: &mut dyn io::Write) -> io::Result<()> {
    heading(out, "What a run does")?;
    if let (Some(run), Some(at)) = (person.told_by_run, person.as_of) {
        line(out, "told by", &format!("run {run}, still true {} ago", span(now.since(at))))?;
    }
    if let Some(at) = person.heard_at {
        line(
            out,
            "heard of",
            &format!("an event at the source on {}; nobody has looked since", at.rfc3339()),
        )?;
    }
    let Some(record) = &person.action else {
        return line(out, "action", if person.link.is_some() { "none: unchanged" } else { "none" });
    };
    let ActionRecord { action, situation, reason, changes, outcome, detail, .. } = record;
    line(out, "situation", situation.as_str())?;
    line(out, "action", &format!("{}: {reason}", action.as_str()))?;
    if action.is_write() {
        line(out, "outcome", outcome.as_str())?;
        changes.iter().try_for_each(|change| writeln!(out, "    {}", change_line(change)))?;
    }
    match detail {
        Some(detail) => line(out, detail_label(*outcome), detail),
        None => Ok(()),
    }
}

fn write_guards(guards: &Guards, out: &mut dyn io::Write) -> io::Result<()> {
    let Guards { protected, holds, pin, paused, paused_until, quarantine, seats, limits } = guards;
    heading(out, "Guards")?;
    if let Some(why) = protected {
        line(out, "protected", why)?;
    }
    if let Some(pin) = pin {
        let verb = pin.verb.map(|verb| format!(" ({})", verb.as_str())).unwrap_or_default();
        line(out, "pinned", &format!("{}{verb}", pin.reason))?;
    }
    for hold in holds {
        let state = if hold.approved { "approved, not sent yet" } else { "waits for approval" };
        let (class, since, until) = (hold.class.as_str(), hold.since.rfc3339(), hold.expires_at.rfc3339());
        line(
            out,
            &format!("held in {}", hold.id),
            &format!("{class}, {state} since {since}, until {until}"),
        )?;
        line(out, "", &hold.reason)?;
    }
    if *paused {
        let until =
            paused_until.map_or("until resumed".to_owned(), |until| format!("until {}", until.rfc3339()));
        line(out, "paused", &until)?;
    }
    if let Some(quarantine) = quarantine {
        line(out, "quarantine", &format!("until {}: {}", quarantine.until.rfc3339(), quarantine.reason))?;
    }
    let tripped = limits.iter().filter(|limit| limit.tripped);
    for GuardFact { guard, limit, value, tripped: _ } in tripped {
        let limit = limit.map(|limit| format!(", limit {limit}")).unwrap_or_default();
        line(out, "over a limit", &format!("{guard}: {value}{limit}"))?;
    }
    let limit = seats.limit.map(|limit| format!(", limit {limit}")).unwrap_or_default();
    line(out, "seats", &format!("{} billable{limit}", seats.billable))
}

/// What is wanted and not acknowledged.
fn write_owed(owed: &[OwedExplained], out: &mut dyn io::Write) -> io::Result<()> {
    if owed.is_empty() {
        return Ok(());
    }
    heading(out, "Owed")?;
    for change in owed {
        line(out, change.class.as_str(), &format!("{}: {}", change.describe(), change.detail))?;
        if let Some(command) = &change.command {
            line(out, "  changed by", command)?;
        }
    }
    Ok(())
}

fn write_failing(failing: Option<&FailingPerson>, out: &mut dyn io::Write) -> io::Result<()> {
    let Some(FailingPerson { failures, since, wait_runs, detail, .. }) = failing else { return Ok(()) };
    let (times, next) = (times(*failures), next_try(*wait_runs));
    heading(out, "Failing")?;
    line(out, "refused", &format!("{times} since {}; {next}", since.rfc3339()))?;
    line(out, "the target says", detail)
}

fn write_next(next: &[String], out: &mut dyn io::Write) -> io::Result<()> {
    heading(out, "What to do")?;
    next.iter().try_for_each(|sentence| bullet(out, sentence))
}

fn heading(out: &mut dyn io::Write, text: &str) -> io::Result<()> {
    writeln!(out, "{BOLD}{}{BOLD:#}", visible(text))
}

fn line(out: &mut dyn io::Write, label: &str, text: &str) -> io::Result<()> {
    let (label, text) = (visible(label), visible(text));
    if text.is_empty() { writeln!(out, "  {label}") } else { writeln!(out, "  {label:<18}  {text}") }
}

fn bullet(out: &mut dyn io::Write, text: &str) -> io::Result<()> {
    writeln!(out, "  - {}", visible(text))
}
