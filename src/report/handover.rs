//! `rebuild` and `transfer` for people and scripts: which links are stored or change hands, what is left and why.

use std::cell::RefCell;
use std::io::{self, Write};

use serde::ser::{Error, SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};

use super::json::write_document;
use super::visible;
use crate::model::handover::{Handover, Left, Proposal, RebuildFacts, TransferFacts};
use crate::model::link::LinkState;
use crate::model::report::Mode;
use crate::spool::Spool;

/// Lines of one kind that a text shows before it is cut; JSON has them all.
const SHOWN: usize = 200;

/// One sync's rebuild.
#[derive(Debug)]
pub struct RebuildReport {
    /// Everything but the lists.
    pub facts: RebuildFacts,
    /// The links.
    pub links: Spool<Proposal>,
    /// What is left as it is.
    pub left: Spool<Left>,
}

/// One transfer.
#[derive(Debug)]
pub struct TransferReport {
    /// Everything but the lists.
    pub facts: TransferFacts,
    /// The links that go over.
    pub links: Spool<Handover>,
    /// The links that stay.
    pub left: Spool<Left>,
}

/// Writes rebuilds as text.
pub fn write_rebuilds(reports: &mut [RebuildReport], out: &mut dyn Write) -> io::Result<()> {
    for (index, report) in reports.iter_mut().enumerate() {
        if index > 0 {
            writeln!(out)?;
        }
        write_rebuild(report, out)?;
    }
    Ok(())
}

fn write_rebuild(report: &mut RebuildReport, out: &mut dyn Write) -> io::Result<()> {
    let RebuildReport { facts, links, left } = report;
    let RebuildFacts { sync, mode, people, accounts, linked, kept, without_account, unmanaged, notes } =
        facts;
    writeln!(
        out,
        "rebuild of sync \"{}\": read {} at the source and {} in the workspace, complete",
        visible(sync),
        number(*people, "person", "people"),
        number(*accounts, "account", "accounts")
    )?;
    writeln!(out)?;
    let shown = links.iter()?.map(|proposal| {
        let Proposal { link, by, note, instead_of: _ } = proposal?;
        let note = note.map(|note| format!("; {}", visible(&note))).unwrap_or_default();
        Ok(format!("  = link  {}  by {}{note}", visible(&link.user_name), by.as_str()))
    });
    write_some(shown, out)?;
    write_left(left, links.is_empty(), out)?;
    let (verb, end) = match mode {
        Mode::DryRun => ("to be stored", "\nNothing was written."),
        Mode::Apply => {
            ("stored", "\nNothing was written in the workspace; the next run writes what differs.")
        }
    };
    let others = left.len() - *unmanaged;
    writeln!(
        out,
        "Rebuild: {} {verb}, {kept} kept; {} without an account; {} left to you, {} of nobody here.{end}",
        number(*linked, "link", "links"),
        number(*without_account, "person", "people"),
        number(others, "case", "cases"),
        number(*unmanaged, "account", "accounts")
    )?;
    write_notes(notes, out)
}

/// Writes a transfer as text.
pub fn write_transfer(report: &mut TransferReport, out: &mut dyn Write) -> io::Result<()> {
    let TransferReport { facts, links, left } = report;
    let TransferFacts { from, to, mode, people, handed_over, stays, notes } = facts;
    writeln!(
        out,
        "transfer from sync \"{}\" to sync \"{}\": read {} at the new source, complete\n",
        visible(from),
        visible(to),
        number(*people, "person", "people")
    )?;
    let shown = links.iter()?.map(|handover| {
        let Handover { link, new_id, by, note, eligibility: _ } = handover?;
        let note = note.map(|note| format!("; {}", visible(&note))).unwrap_or_default();
        let (old, new) =
            (visible(link.source_id.as_str()).into_owned(), visible(new_id.as_str()).into_owned());
        let ids = if old == new { old } else { format!("{old} -> {new}") };
        Ok(format!("  > goes over  {}  {ids}, by {}{note}", visible(&link.user_name), by.as_str()))
    });
    write_some(shown, out)?;
    write_left(left, links.is_empty(), out)?;
    let (verb, end) = match mode {
        Mode::DryRun => ("to be handed over", "\nNothing was written."),
        Mode::Apply => ("handed over", "\nNothing was written in the workspace."),
    };
    writeln!(out, "Transfer: {} {verb}, {stays} stay.{end}", number(*handed_over, "link", "links"))?;
    write_notes(notes, out)
}

fn write_left(left: &mut Spool<Left>, nothing_above: bool, out: &mut dyn Write) -> io::Result<()> {
    let none = left.is_empty();
    let shown = left.iter()?.map(|left| {
        let Left { user, source_id, target_id, reason } = left?;
        let person = source_id.map(|id| visible(id.as_str()).into_owned());
        let account = target_id.map(|id| format!("account {}", visible(id.as_str())));
        let about: Vec<String> = person.into_iter().chain(account).collect();
        Ok(format!("  ! left  {} ({})  {}", visible(&user), about.join(", "), visible(&reason)))
    });
    write_some(shown, out)?;
    if none && nothing_above { Ok(()) } else { writeln!(out) }
}

fn write_some(lines: impl Iterator<Item = io::Result<String>>, out: &mut dyn Write) -> io::Result<()> {
    let mut more = 0u64;
    for (index, line) in lines.enumerate() {
        let line = line?;
        if index < SHOWN { writeln!(out, "{line}")? } else { more += 1 }
    }
    if more > 0 {
        writeln!(out, "  … and {more} more; `--format json` has them all")?;
    }
    Ok(())
}

fn write_notes(notes: &[String], out: &mut dyn Write) -> io::Result<()> {
    notes.iter().try_for_each(|note| writeln!(out, "Note: {}.", visible(note)))
}

fn number(count: u64, one: &str, more: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { more })
}

/// Writes rebuilds as one JSON document (`rosterd.rebuild/1`) and a final newline.
pub fn write_rebuilds_json(reports: &mut [RebuildReport], out: &mut dyn Write) -> io::Result<()> {
    let syncs: Vec<OneRebuild<'_>> =
        reports.iter_mut().map(|report| OneRebuild(RefCell::new(report))).collect();
    write_document("rosterd.rebuild/1", "syncs", &syncs, out)
}

/// Writes a transfer as one JSON document (`rosterd.transfer/1`) and a final newline.
pub fn write_transfer_json(report: &mut TransferReport, out: &mut dyn Write) -> io::Result<()> {
    write_document("rosterd.transfer/1", "transfer", &OneTransfer(RefCell::new(report)), out)
}

struct OneRebuild<'a>(RefCell<&'a mut RebuildReport>);

impl Serialize for OneRebuild<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut report = self.0.borrow_mut();
        let RebuildReport { facts, links, left } = &mut **report;
        let RebuildFacts { sync, mode, people, accounts, linked, kept, without_account, unmanaged, notes } =
            &*facts;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("sync", sync)?;
        map.serialize_entry("mode", mode)?;
        map.serialize_entry("people", people)?;
        map.serialize_entry("accounts", accounts)?;
        map.serialize_entry("linked", linked)?;
        map.serialize_entry("kept", kept)?;
        map.serialize_entry("without_account", without_account)?;
        map.serialize_entry("unmanaged", unmanaged)?;
        map.serialize_entry("notes", notes)?;
        let line = |proposal: Proposal| LinkLine {
            user: proposal.link.user_name,
            source_id: proposal.link.source_id.as_str().to_owned(),
            new_source_id: None,
            target_id: proposal.link.target_id.as_str().to_owned(),
            state: state(proposal.link.state),
            by: proposal.by.as_str(),
            note: proposal.note,
        };
        map.serialize_entry("links", &Lines(RefCell::new(links), line))?;
        map.serialize_entry("left", &Lines(RefCell::new(left), |left: Left| left))?;
        map.end()
    }
}

struct OneTransfer<'a>(RefCell<&'a mut TransferReport>);

impl Serialize for OneTransfer<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut report = self.0.borrow_mut();
        let TransferReport { facts, links, left } = &mut **report;
        let TransferFacts { from, to, mode, people, handed_over, stays, notes } = &*facts;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("from", from)?;
        map.serialize_entry("to", to)?;
        map.serialize_entry("mode", mode)?;
        map.serialize_entry("people", people)?;
        map.serialize_entry("handed_over", handed_over)?;
        map.serialize_entry("stays", stays)?;
        map.serialize_entry("notes", notes)?;
        let line = |handover: Handover| LinkLine {
            user: handover.link.user_name,
            source_id: handover.link.source_id.as_str().to_owned(),
            new_source_id: Some(handover.new_id.as_str().to_owned()),
            target_id: handover.link.target_id.as_str().to_owned(),
            state: state(handover.link.state),
            by: handover.by.as_str(),
            note: handover.note,
        };
        map.serialize_entry("links", &Lines(RefCell::new(links), line))?;
        map.serialize_entry("left", &Lines(RefCell::new(left), |left: Left| left))?;
        map.end()
    }
}

#[derive(Serialize)]
struct LinkLine {
    user: String,
    source_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    new_source_id: Option<String>,
    target_id: String,
    state: &'static str,
    by: &'static str,
    note: Option<String>,
}

fn state(state: LinkState) -> &'static str {
    state.as_str()
}

/// A spool as a JSON list, line by line.
struct Lines<'a, T, F>(RefCell<&'a mut Spool<T>>, F);

impl<T, U, F> Serialize for Lines<'_, T, F>
where
    T: Serialize + serde::de::DeserializeOwned,
    U: Serialize,
    F: Fn(T) -> U,
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut spool = self.0.borrow_mut();
        let mut list = serializer.serialize_seq(None)?;
        for record in spool.iter().map_err(S::Error::custom)? {
            list.serialize_element(&(self.1)(record.map_err(S::Error::custom)?))?;
        }
        list.end()
    }
}
