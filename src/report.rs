//! Reports: a finished run as people and scripts read it.
//!
//! What lives here: renderers over the same facts and the same spool of lines, and the texts' safety (nothing that
//! a name holds may reach a terminal raw). What must not: counting, deciding, requests.

use std::io;

use crate::model::report::{ActionRecord, RunFacts};
use crate::spool::Spool;

mod csv;
mod explain;
mod findings;
mod handover;
mod history;
mod html;
mod json;
mod markdown;
mod progress;
mod safe;
mod screen;
pub mod site;
mod status;
mod text;
mod verify;

pub use csv::write_csv;
pub use explain::{write_explanation, write_explanation_json};
pub use findings::{write_verify_csv, write_verify_html, write_verify_markdown};
pub use handover::{
    RebuildReport, TransferReport, write_rebuilds, write_rebuilds_json, write_transfer, write_transfer_json,
};
pub use history::{History, again, write_history, write_history_json};
pub use html::write_html;
pub use json::write_json;
pub use markdown::write_markdown;
pub use progress::Progress;
pub use safe::visible;
pub use screen::{Screen, Wrapped};
pub use status::{write_status, write_status_json};
pub use text::{summary_line, write_text};
pub use verify::{VerifyReport, verify_line, write_verify, write_verify_json};

/// One sync's part of a report.
#[derive(Debug)]
pub struct SyncReport {
    /// Everything but the list.
    pub facts: RunFacts,
    /// Everybody but the unchanged.
    pub records: Spool<ActionRecord>,
}

/// Formats of `--format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text(Length),
    /// `rosterd.report/1`.
    Json,
    /// For a ticket or a pull request.
    Markdown(Length),
    /// For a spreadsheet: a row a change.
    Csv,
    /// One page that needs nothing else.
    Html,
}

impl Format {
    /// The same format with everybody in it: a file need not fit into a ticket.
    pub fn in_full(self) -> Format {
        match self {
            Format::Markdown(_) => Format::Markdown(Length::Full),
            Format::Text(_) => Format::Text(Length::Full),
            Format::Json | Format::Csv | Format::Html => self,
        }
    }

    /// The same format for somebody who reads it on a terminal, where a list of thousands would push what matters
    /// away.
    pub fn on_screen(self) -> Format {
        match self {
            Format::Text(_) => Format::Text(Length::Cut),
            Format::Markdown(_) | Format::Json | Format::Csv | Format::Html => self,
        }
    }
}

/// Whether a list may be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// So that it fits into a comment, or onto a screen; what is left out is counted.
    Cut,
    /// Everybody.
    Full,
}

/// Writes a report in a format. Text may hold ANSI styles; the writer strips them where they are not wanted.
pub fn write(format: Format, reports: &mut [SyncReport], out: &mut dyn io::Write) -> io::Result<()> {
    match format {
        Format::Text(length) => write_text(reports, length, out),
        Format::Json => write_json(reports, out),
        Format::Markdown(length) => write_markdown(reports, length, out),
        Format::Csv => write_csv(reports, out),
        Format::Html => write_html(reports, out),
    }
}
