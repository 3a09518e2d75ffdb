//! Reports: a finished run as people and scripts read it.
//!
//! What lives here: renderers over the same facts and the same spool of lines, and the texts' safety (nothing that
//! a name holds may reach a terminal raw). What must not: counting, deciding, requests.

use std::io;

use crate::model::report::{ActionRecord, RunFacts};
use crate::store::Spool;

mod handover;
mod history;
mod json;
mod progress;
mod safe;
mod status;
mod text;
mod verify;

pub use handover::{
    RebuildReport, TransferReport, write_rebuilds, write_rebuilds_json, write_transfer, write_transfer_json,
};
pub use history::{History, again, write_history, write_history_json};
pub use json::write_json;
pub use progress::Progress;
pub use safe::visible;
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
    Text,
    /// `rosterd.report/1`.
    Json,
}

/// Writes a report in a format. Text may hold ANSI styles; the writer strips them where they are not wanted.
pub fn write(format: Format, reports: &mut [SyncReport], out: &mut dyn io::Write) -> io::Result<()> {
    match format {
        Format::Text => write_text(reports, out),
        Format::Json => write_json(reports, out),
    }
}
