//! A verification as Markdown, CSV and HTML. The rules of the formats (what is escaped, what a spreadsheet would compute)
//! are those of the reports of runs.

use std::io;

use csv::{Terminator, WriterBuilder};
use serde::Serialize;

use super::csv::defused;
use super::html::{open_page, render, templates};
use super::markdown::{Place, code, foreign};
use super::text::summary_line;
use super::verify::{VerifyReport, counts_text, label, shown, what_to_do};
use super::visible;
use crate::model::attributes::Scalar;
use crate::model::drift::{DriftFinding, DriftedAttribute, FindingKind, VerifyFacts};
use crate::model::report::RunResult;
use crate::model::time::Millis;

const COLUMNS: [&str; 12] = [
    "sync",
    "finding",
    "user",
    "source_id",
    "target_id",
    "other_target_id",
    "path",
    "target",
    "acknowledged",
    "source",
    "repair",
    "reason",
];

/// Writes the header once, then a row for each attribute of a finding; a finding without attributes is one row. A
/// verification that did not go through is one row with the problem as its `reason`.
pub fn write_verify_csv(reports: &mut [VerifyReport], out: &mut dyn io::Write) -> io::Result<()> {
    let mut rows = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(out);
    rows.write_record(COLUMNS)?;
    let mut write = |cells: [&str; 12]| {
        rows.write_record(cells.map(|cell| defused(cell).into_owned())).map_err(io::Error::from)
    };
    for VerifyReport { facts, findings, repair: _ } in reports {
        for found in findings.iter()? {
            let found = found?;
            let ids = [
                found.source_id.as_ref().map_or("", |id| id.as_str()),
                found.target_id.as_ref().map_or("", |id| id.as_str()),
                found.other_target_id.as_ref().map_or("", |id| id.as_str()),
            ];
            let mut row = |path: &str, values: [String; 3]| {
                let [target, written, wanted] = &values;
                let repair = if found.repair { "yes" } else { "no" };
                let [source_id, target_id, other] = ids;
                let (sync, kind, user) = (facts.sync.as_str(), found.finding.as_str(), found.user.as_str());
                write([
                    sync,
                    kind,
                    user,
                    source_id,
                    target_id,
                    other,
                    path,
                    target,
                    written,
                    wanted,
                    repair,
                    &found.reason,
                ])
            };
            if found.attributes.is_empty() {
                row("", Default::default())?;
            }
            for DriftedAttribute { path, state: _, source, acknowledged, target } in &found.attributes {
                row(path.as_str(), [target, acknowledged, source].map(plain))?;
            }
        }
        if let Some(problem) = problem(facts) {
            write([&facts.sync, facts.result.as_str(), "", "", "", "", "", "", "", "", "", &problem])?;
        }
    }
    rows.flush()
}

fn plain(value: &Option<Scalar>) -> String {
    value.as_ref().map(|value| value.as_text().into_owned()).unwrap_or_default()
}

/// Writes a section per sync, with a table per kind of finding.
pub fn write_verify_markdown(reports: &mut [VerifyReport], out: &mut dyn io::Write) -> io::Result<()> {
    for (index, VerifyReport { facts, findings, repair }) in reports.iter_mut().enumerate() {
        if index > 0 {
            writeln!(out)?;
        }
        writeln!(out, "## rosterd: verification of sync {}\n", code(&facts.sync, Place::Line))?;
        writeln!(out, "**{}**: {}", state(facts), counts_text(&facts.counts))?;
        if let Some(problem) = problem(facts) {
            writeln!(out, "\n> {}", foreign(&problem, Place::Line))?;
        }
        for note in &facts.notes {
            writeln!(out, "\nNote: {}", foreign(note, Place::Line))?;
        }
        if let Some(repair) = repair {
            writeln!(out, "\nRepair: {}", foreign(&summary_line(&repair.facts), Place::Line))?;
        }
        for kind in FindingKind::ALL {
            let mut begun = false;
            for found in findings.iter()? {
                let found = found?;
                if found.finding != kind {
                    continue;
                }
                if !begun {
                    begun = true;
                    writeln!(
                        out,
                        "\n### {} {}\n\n{}.\n",
                        facts.counts.of(kind),
                        label(kind),
                        what_to_do(kind)
                    )?;
                    writeln!(out, "| Account | Why | Attributes |\n| --- | --- | --- |")?;
                }
                writeln!(out, "{}", row(&found))?;
            }
        }
    }
    Ok(())
}

fn row(found: &DriftFinding) -> String {
    let attributes: Vec<String> = found
        .attributes
        .iter()
        .map(|DriftedAttribute { path, state: _, source, acknowledged, target }| {
            let [there, written, wanted] =
                [target, acknowledged, source].map(|value| code(&shown(value.as_ref()), Place::Cell));
            format!("{}: {there} there, {written} written, {wanted} wanted", code(path.as_str(), Place::Cell))
        })
        .collect();
    let repair = if found.repair { "; to be repaired" } else { "" };
    format!(
        "| {} | {}{repair} | {} |",
        code(&found.user, Place::Cell),
        foreign(&found.reason, Place::Cell),
        attributes.join("<br>")
    )
}

#[derive(Serialize)]
struct Section {
    index: usize,
    sync: String,
    state: &'static str,
    summary: String,
    started_at: String,
    finished_at: String,
    problem: Option<String>,
    notes: Vec<String>,
    repair: Option<String>,
}

#[derive(Serialize)]
struct Row {
    finding: &'static str,
    user: String,
    ids: String,
    reason: String,
    repair: bool,
    attributes: Vec<Values>,
}

#[derive(Serialize)]
struct Values {
    path: String,
    target: String,
    written: String,
    wanted: String,
}

/// Writes one page that needs nothing else, and no script.
pub fn write_verify_html(reports: &mut [VerifyReport], out: &mut dyn io::Write) -> io::Result<()> {
    let templates = templates().map_err(io::Error::other)?;
    open_page(&templates, "rosterd: verification", Millis::now(), out)?;
    for (index, VerifyReport { facts, findings, repair }) in reports.iter_mut().enumerate() {
        let section = Section {
            index,
            sync: visible(&facts.sync).into_owned(),
            state: state(facts),
            summary: counts_text(&facts.counts),
            started_at: facts.started_at.rfc3339(),
            finished_at: facts.finished_at.rfc3339(),
            problem: problem(facts).map(|problem| visible(&problem).into_owned()),
            notes: facts.notes.iter().map(|note| visible(note).into_owned()).collect(),
            repair: repair.as_ref().map(|repair| summary_line(&repair.facts)),
        };
        render(&templates, "verify", &section, out)?;
        for found in findings.iter()? {
            render(&templates, "finding", &html_row(&found?), out)?;
        }
        writeln!(out, "</tbody>\n</table>\n</section>")?;
    }
    write!(out, "</main>\n</body>\n</html>\n")
}

fn html_row(found: &DriftFinding) -> Row {
    let ids = [
        found.source_id.as_ref().map(|id| id.as_str()),
        found.target_id.as_ref().map(|id| id.as_str()),
        found.other_target_id.as_ref().map(|id| id.as_str()),
    ];
    let ids: Vec<String> = ids.into_iter().flatten().map(|id| visible(id).into_owned()).collect();
    let attributes = found.attributes.iter();
    Row {
        finding: label(found.finding),
        user: visible(&found.user).into_owned(),
        ids: ids.join(" "),
        reason: visible(&found.reason).into_owned(),
        repair: found.repair,
        attributes: attributes
            .map(|DriftedAttribute { path, state: _, source, acknowledged, target }| Values {
                path: visible(path.as_str()).into_owned(),
                target: shown(target.as_ref()),
                written: shown(acknowledged.as_ref()),
                wanted: shown(source.as_ref()),
            })
            .collect(),
    }
}

fn state(facts: &VerifyFacts) -> &'static str {
    match facts.result {
        RunResult::Ok if facts.counts.drift() == 0 => "In order",
        RunResult::Ok => "Drift",
        RunResult::Partial
        | RunResult::Held
        | RunResult::SourceIncomplete
        | RunResult::SourceUnavailable
        | RunResult::TargetUnavailable
        | RunResult::Interrupted
        | RunResult::Error => "Not complete, so nothing is said",
    }
}

fn problem(facts: &VerifyFacts) -> Option<String> {
    let told = facts.source.problem.as_ref().or(facts.target.problem.as_ref()).cloned();
    (facts.result != RunResult::Ok).then(|| told.unwrap_or_else(|| facts.notes.join("; ")))
}
