//! The report of a verification: `rosterd.verify/1`, and the same for people.

use std::cell::RefCell;
use std::io;

use anstyle::{AnsiColor, Style};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::json::{Lines, OneSync, write_document};
use super::text::{Listed, count, failure_lines, value, vendor, write_sync};
use super::{Length, SyncReport, visible};
use crate::model::attributes::Scalar;
use crate::model::drift::{DriftCounts, DriftFinding, DriftedAttribute, FindingKind, VerifyFacts};
use crate::model::report::RunResult;
use crate::spool::Spool;

const SCHEMA: &str = "rosterd.verify/1";

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const GREEN: Style = AnsiColor::Green.on_default();
const YELLOW: Style = AnsiColor::Yellow.on_default();
const RED: Style = AnsiColor::Red.on_default();

/// One sync's verification.
#[derive(Debug)]
pub struct VerifyReport {
    /// Everything but the findings.
    pub facts: VerifyFacts,
    /// What was found.
    pub findings: Spool<DriftFinding>,
    /// The run that repaired, or would.
    pub repair: Option<SyncReport>,
}

/// Writes the document and a final newline.
pub fn write_verify_json(reports: &mut [VerifyReport], out: &mut dyn io::Write) -> io::Result<()> {
    let syncs: Vec<OneVerification<'_>> =
        reports.iter_mut().map(|report| OneVerification(RefCell::new(report))).collect();
    write_document(SCHEMA, "syncs", &syncs, out)
}

struct OneVerification<'a>(RefCell<&'a mut VerifyReport>);

impl Serialize for OneVerification<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut report = self.0.borrow_mut();
        let VerifyReport { facts, findings, repair } = &mut **report;
        let VerifyFacts {
            sync,
            trigger,
            result,
            started_at,
            finished_at,
            source,
            target,
            accounts,
            counts,
            unrepaired,
            notes,
        } = facts;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("sync", sync)?;
        map.serialize_entry("trigger", trigger)?;
        map.serialize_entry("result", result)?;
        map.serialize_entry("started_at", &started_at.rfc3339())?;
        map.serialize_entry("finished_at", &finished_at.rfc3339())?;
        map.serialize_entry("source", source)?;
        map.serialize_entry("target", target)?;
        map.serialize_entry("accounts", accounts)?;
        map.serialize_entry("counts", counts)?;
        map.serialize_entry("drift", &counts.drift())?;
        map.serialize_entry("unrepaired", unrepaired)?;
        map.serialize_entry("notes", notes)?;
        map.serialize_entry("findings", &Lines(RefCell::new(findings)))?;
        let repair = repair.as_mut().map(|report| OneSync(RefCell::new(report)));
        map.serialize_entry("repair", &repair)?;
        map.end()
    }
}

/// Writes the report as text. It may hold ANSI styles; the writer strips them where they are not wanted.
pub fn write_verify(reports: &mut [VerifyReport], length: Length, out: &mut dyn io::Write) -> io::Result<()> {
    for (index, report) in reports.iter_mut().enumerate() {
        if index > 0 {
            writeln!(out)?;
        }
        write_one(report, length, out)?;
    }
    Ok(())
}

/// One line for stderr where the report itself goes to a file.
pub fn verify_line(facts: &VerifyFacts) -> String {
    let sync = visible(&facts.sync);
    match facts.result {
        RunResult::Ok => format!("{sync}: {}", counts_text(&facts.counts)),
        RunResult::Partial
        | RunResult::Held
        | RunResult::SourceIncomplete
        | RunResult::SourceUnavailable
        | RunResult::TargetUnavailable
        | RunResult::Interrupted
        | RunResult::Error => format!("{sync}: {}: nothing was compared", facts.result.as_str()),
    }
}

fn write_one(report: &mut VerifyReport, length: Length, out: &mut dyn io::Write) -> io::Result<()> {
    let VerifyReport { facts, findings, repair } = report;
    write!(out, "{BOLD}verification of sync \"{}\"{BOLD:#}: ", visible(&facts.sync))?;
    let source = vendor(&facts.source.kind);
    if facts.result != RunResult::Ok {
        writeln!(out, "not complete, so nothing is said")?;
        writeln!(out)?;
        return write_failure(facts, out);
    }
    let accounts = &facts.accounts;
    writeln!(
        out,
        "{} at {source}, {} in the workspace",
        count(facts.source.users, "person", "people"),
        count(accounts.listed, "account", "accounts")
    )?;
    let other = match accounts.other_syncs {
        0 => String::new(),
        number => format!(", {number} linked by other syncs"),
    };
    writeln!(out, "  {} linked{other}, {} not linked", accounts.linked, accounts.unlinked)?;
    writeln!(out)?;
    write_end(facts, out)?;
    let mut listed = Listed::new(length);
    for kind in FindingKind::ALL {
        write_kind(kind, facts, findings, &mut listed, out)?;
    }
    listed.write_rest(out)?;
    if let Some(repair) = repair {
        writeln!(out)?;
        write_sync(repair, length, out)?;
    }
    Ok(())
}

fn write_failure(facts: &VerifyFacts, out: &mut dyn io::Write) -> io::Result<()> {
    let problem = facts.source.problem.as_ref().or(facts.target.problem.as_ref());
    let what = match facts.result {
        RunResult::SourceIncomplete | RunResult::SourceUnavailable => {
            "The source could not be read completely."
        }
        RunResult::TargetUnavailable => "The target could not be read completely.",
        RunResult::Interrupted => "Interrupted.",
        RunResult::Error | RunResult::Ok | RunResult::Partial | RunResult::Held => "The verification failed.",
    };
    writeln!(out, "{RED}{what}{RED:#}")?;
    failure_lines(problem.map_or("", String::as_str), out)?;
    facts.notes.iter().try_for_each(|note| failure_lines(note, out))
}

fn write_end(facts: &VerifyFacts, out: &mut dyn io::Write) -> io::Result<()> {
    let counts = &facts.counts;
    let style = if counts.drift() == 0 { GREEN } else { YELLOW };
    let word = if counts.drift() == 0 { "In order" } else { "Drift" };
    writeln!(out, "{style}{word}{style:#}: {}", counts_text(counts))?;
    for note in &facts.notes {
        writeln!(out, "Note: {}", visible(note))?;
    }
    Ok(())
}

/// `1 leaver active, 2 attributes changed there; 3 unmanaged`; what is zero is left out.
pub(super) fn counts_text(counts: &DriftCounts) -> String {
    let words = |drift: bool| -> Vec<String> {
        FindingKind::ALL
            .into_iter()
            .filter(|kind| kind.is_drift() == drift && counts.of(*kind) > 0)
            .map(|kind| format!("{} {}", counts.of(kind), label(kind)))
            .collect()
    };
    let drift = words(true);
    let rest: Vec<String> = words(false);
    let drift =
        if drift.is_empty() { "nothing that rosterd wrote was changed".to_owned() } else { drift.join(", ") };
    if rest.is_empty() { format!("{drift}.") } else { format!("{drift}; beside that {}.", rest.join(", ")) }
}

pub(super) fn label(kind: FindingKind) -> &'static str {
    match kind {
        FindingKind::LeaverActive => "left and active",
        FindingKind::SwitchedOff => "switched off there",
        FindingKind::Attributes => "with attributes changed there",
        FindingKind::Flapping => "with attributes that change again and again",
        FindingKind::AccountGone => "gone",
        FindingKind::Unlinked => "marked as ours and not linked",
        FindingKind::Duplicate => "twice there",
        FindingKind::SourceChanged => "for the next run",
        FindingKind::Unmanaged => "unmanaged",
    }
}

fn write_kind(
    kind: FindingKind,
    facts: &VerifyFacts,
    findings: &mut Spool<DriftFinding>,
    listed: &mut Listed,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    let mut shown = false;
    for found in findings.iter()? {
        let found = found?;
        if found.finding != kind {
            continue;
        }
        if !shown {
            shown = true;
            writeln!(out)?;
            writeln!(out, "{BOLD}{} {}{BOLD:#}", facts.counts.of(kind), label(kind))?;
            writeln!(out, "  {DIM}{}{DIM:#}", what_to_do(kind))?;
        }
        if listed.takes(label(kind), kind.is_drift()) {
            write_finding(&found, out)?;
        }
    }
    Ok(())
}

pub(super) fn what_to_do(kind: FindingKind) -> &'static str {
    match kind {
        FindingKind::LeaverActive => "`rosterd verify --repair` removes them; drift.access on the schedule",
        FindingKind::SwitchedOff => {
            "left as it is unless drift.reactivate = \"repair\"; unassign whoever is not to have access"
        }
        FindingKind::Attributes => {
            "`rosterd verify --repair` brings them back; drift.attributes on the schedule"
        }
        FindingKind::Flapping => "find out who else writes them, or stop owning them in [sync.attributes]",
        FindingKind::AccountGone => {
            "the next run after `verify --repair` deals with them; see lifecycle.recreate"
        }
        FindingKind::Unlinked => "the next run adopts who is assigned; the others need `rosterd rebuild`",
        FindingKind::Duplicate => "remove one of the two in the workspace",
        FindingKind::SourceChanged => "nothing is wrong: the next run writes it",
        FindingKind::Unmanaged => "never touched",
    }
}

fn write_finding(found: &DriftFinding, out: &mut dyn io::Write) -> io::Result<()> {
    let DriftFinding {
        finding,
        user,
        source_id: _,
        target_id,
        other_target_id: _,
        reason,
        attributes,
        repair,
    } = found;
    let style = if finding.is_drift() { YELLOW } else { DIM };
    let account = target_id.as_ref().map(|id| format!(" ({})", visible(id.as_str()))).unwrap_or_default();
    let repaired = if *repair { "; to be repaired" } else { "" };
    writeln!(
        out,
        "  {style}!{style:#} {BOLD}{}{BOLD:#}{account}  {}{repaired}",
        visible(user),
        visible(reason)
    )?;
    for DriftedAttribute { path, state: _, source, acknowledged, target } in attributes {
        writeln!(
            out,
            "      {}: {} there, {} written, {} wanted",
            visible(path.as_str()),
            shown(target.as_ref()),
            shown(acknowledged.as_ref()),
            shown(source.as_ref())
        )?;
    }
    Ok(())
}

pub(super) fn shown(scalar: Option<&Scalar>) -> String {
    scalar.map_or_else(|| "nothing".to_owned(), value)
}
