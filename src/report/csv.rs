//! CSV (RFC 4180): a row a change, for spreadsheets and scripts. No cell is a formula, and none has a line break.

use std::borrow::Cow;
use std::io;

use csv::{Terminator, Writer, WriterBuilder};

use super::text::{failure, owed_text};
use super::{SyncReport, visible};
use crate::model::attributes::Scalar;
use crate::model::report::{ActionRecord, RunFacts};

const COLUMNS: [&str; 12] = [
    "sync",
    "action",
    "outcome",
    "user",
    "source_id",
    "target_id",
    "path",
    "from",
    "to",
    "reason",
    "status",
    "detail",
];

type Rows<'a> = Writer<&'a mut dyn io::Write>;

/// Writes the header once, then the rows of every sync.
///
/// An action without changes is one row with an empty `path`. A run that did not go through is one row more, with an
/// empty `action`, how it ended as its `outcome` and what was wrong as its `detail`: a file without rows means that
/// there is nothing to do.
pub fn write_csv(reports: &mut [SyncReport], out: &mut dyn io::Write) -> io::Result<()> {
    let mut rows = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(out);
    rows.write_record(COLUMNS)?;
    for report in reports {
        let SyncReport { facts, records } = report;
        for record in records.iter()? {
            write_record(&mut rows, facts, &record?)?;
        }
        write_failure(&mut rows, facts)?;
    }
    rows.flush()
}

fn write_record(rows: &mut Rows<'_>, facts: &RunFacts, record: &ActionRecord) -> io::Result<()> {
    let status = record.status.map(|status| status.to_string()).unwrap_or_default();
    // The columns are public, so what is owed stands in words beside the detail; JSON has fields for it.
    let detail: Vec<String> = record.detail.clone().into_iter().chain(owed_text(record)).collect();
    let detail = detail.join("; ");
    let mut write = |path: &str, from: Option<&Scalar>, to: Option<&Scalar>| {
        let text =
            |scalar: Option<&Scalar>| scalar.map(|scalar| scalar.as_text().into_owned()).unwrap_or_default();
        let cells = [
            facts.sync.as_str(),
            record.action.as_str(),
            record.outcome.as_str(),
            &record.user,
            record.source_id.as_ref().map_or("", |id| id.as_str()),
            record.target_id.as_ref().map_or("", |id| id.as_str()),
            path,
            &text(from),
            &text(to),
            &record.reason,
            &status,
            &detail,
        ];
        rows.write_record(cells.map(|cell| defused(cell).into_owned())).map_err(io::Error::from)
    };
    if record.changes.is_empty() {
        return write("", None, None);
    }
    record
        .changes
        .iter()
        .try_for_each(|change| write(change.path.as_str(), change.from.as_ref(), change.to.as_ref()))
}

fn write_failure(rows: &mut Rows<'_>, facts: &RunFacts) -> io::Result<()> {
    let Some((what, problem)) = failure(facts) else { return Ok(()) };
    let problem = if problem.is_empty() { facts.notes.join("; ") } else { problem };
    let result = facts.result.as_str();
    let cells = [facts.sync.as_str(), "", result, "", "", "", "", "", "", what, "", &problem];
    rows.write_record(cells.map(|cell| defused(cell).into_owned())).map_err(io::Error::from)
}

/// A cell that a spreadsheet shows and never computes: control characters are visible, and an apostrophe stands in
/// front of what would begin a formula (OWASP, CSV injection; full-width forms are taken for the same in some locales).
pub(super) fn defused(cell: &str) -> Cow<'_, str> {
    let shown = visible(cell);
    let begins = shown.trim_start().chars().next();
    match begins {
        Some('=' | '+' | '-' | '@' | '＝' | '＋' | '－' | '＠') => Cow::Owned(format!("'{shown}")),
        Some(_) | None => shown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_begins_a_formula() {
        for (cell, shown) in [
            ("=1+1", "'=1+1"),
            ("+49 30 1", "'+49 30 1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            (" =1", "' =1"),
            ("＝1", "'＝1"),
            ("\t=1", "\\u{9}=1"),
            ("\r=1", "\\u{d}=1"),
            ("ann@acme.example", "ann@acme.example"),
            ("a=1", "a=1"),
            ("", ""),
        ] {
            assert_eq!(defused(cell), shown);
        }
    }
}
