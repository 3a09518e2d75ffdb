//! `rosterd.report/1`: one JSON document, the lines streamed from their spool.

use std::cell::RefCell;
use std::io;

use serde::de::DeserializeOwned;
use serde::ser::{Error, SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};
use serde_json::ser::Formatter;

use super::SyncReport;
use super::safe::is_steering;
use crate::model::report::RunFacts;
use crate::model::time::Millis;
use crate::spool::Spool;

const SCHEMA: &str = "rosterd.report/1";

/// Writes the document and a final newline.
pub fn write_json(reports: &mut [SyncReport], out: &mut dyn io::Write) -> io::Result<()> {
    let syncs: Vec<OneSync<'_>> = reports.iter_mut().map(|report| OneSync(RefCell::new(report))).collect();
    write_document(SCHEMA, "syncs", &syncs, out)
}

/// Writes what every document of ours begins with, then `content` under this name.
pub(super) fn write_document(
    schema: &str,
    name: &str,
    content: &impl Serialize,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    let mut serializer = serde_json::Serializer::with_formatter(&mut *out, Tame);
    let mut map = serializer.serialize_map(None)?;
    map.serialize_entry("schema", schema)?;
    map.serialize_entry("rosterd", env!("CARGO_PKG_VERSION"))?;
    map.serialize_entry("generated_at", &Millis::now().rfc3339())?;
    map.serialize_entry(name, content)?;
    SerializeMap::end(map)?;
    out.write_all(b"\n")
}

/// Writes one JSON document and a final newline. What could steer a terminal is escaped, which means the same.
pub(super) fn write_tame(document: &impl Serialize, out: &mut dyn io::Write) -> io::Result<()> {
    document.serialize(&mut serde_json::Serializer::with_formatter(&mut *out, Tame))?;
    out.write_all(b"\n")
}

/// JSON itself asks for the escape of U+0000 to U+001F only.
struct Tame;

impl Formatter for Tame {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(place) = rest.find(is_steering) {
            let (before, from) = rest.split_at(place);
            writer.write_all(before.as_bytes())?;
            let mut characters = from.chars();
            if let Some(character) = characters.next() {
                // All of them are in the basic plane, so one escape is enough.
                write!(writer, "\\u{:04x}", u32::from(character))?;
            }
            rest = characters.as_str();
        }
        writer.write_all(rest.as_bytes())
    }
}

pub(super) struct OneSync<'a>(pub RefCell<&'a mut SyncReport>);

impl Serialize for OneSync<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut report = self.0.borrow_mut();
        let SyncReport { facts, records } = &mut **report;
        let RunFacts {
            sync,
            run,
            mode,
            trigger,
            result,
            started_at,
            finished_at,
            passes,
            first_contact,
            source,
            target,
            summary,
            seats,
            guards,
            holds,
            notes,
        } = facts;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("sync", sync)?;
        map.serialize_entry("run", run)?;
        map.serialize_entry("mode", mode)?;
        map.serialize_entry("trigger", trigger)?;
        map.serialize_entry("result", result)?;
        map.serialize_entry("started_at", &started_at.rfc3339())?;
        map.serialize_entry("finished_at", &finished_at.rfc3339())?;
        map.serialize_entry("passes", passes)?;
        map.serialize_entry("first_contact", first_contact)?;
        map.serialize_entry("source", source)?;
        map.serialize_entry("target", target)?;
        map.serialize_entry("summary", summary)?;
        map.serialize_entry("seats", seats)?;
        map.serialize_entry("guards", guards)?;
        map.serialize_entry("holds", holds)?;
        map.serialize_entry("notes", notes)?;
        map.serialize_entry("actions", &Lines(RefCell::new(records)))?;
        map.end()
    }
}

/// The records of a spool, one by one.
pub(super) struct Lines<'a, T>(pub RefCell<&'a mut Spool<T>>);

impl<T: Serialize + DeserializeOwned> Serialize for Lines<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut spool = self.0.borrow_mut();
        let mut sequence = serializer.serialize_seq(usize::try_from(spool.len()).ok())?;
        for record in spool.iter().map_err(S::Error::custom)? {
            sequence.serialize_element(&record.map_err(S::Error::custom)?)?;
        }
        sequence.end()
    }
}
