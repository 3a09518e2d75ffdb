//! Looking whether the journal still fits its chain, entry by entry, in one moment of the state and in little memory.

use std::collections::HashMap;

use rusqlite::{OptionalExtension, Row, Rows, Transaction};

use crate::model::aliases;
use crate::model::digest::DigestKey;
use crate::model::history::{BrokenChain, ChainReport, PrunedUpTo};
use crate::model::time::Millis;
use crate::store::record::chain::{Head, Sealed, hex, inner_digest, outer_digest};
use crate::store::record::events::{Cut, EventPayload};
use crate::store::{Snapshot, StoreError};

const ENTRIES: &str = "SELECT seq, run, sync, epoch, at, kind, intent, verb, source_id, outcome, approved,
            approved_by, rewrites, activates, payload, salt, digest, chain,
            run IS NULL OR EXISTS (SELECT 1 FROM run WHERE run.id = journal.run)
     FROM journal ORDER BY seq";

const HEADS: &str = "SELECT id, chain_seq, coalesce(chain_head, x''), last_intent, finished_at FROM run
     WHERE finished_at IS NOT NULL OR chain_head IS NOT NULL ORDER BY chain_seq, id";

/// One entry as it lies there.
struct Lying {
    seq: i64,
    run: Option<i64>,
    sync: Option<String>,
    epoch: i64,
    at: i64,
    kind: String,
    intent: Option<i64>,
    verb: String,
    source_id: String,
    outcome: Option<String>,
    approved: i64,
    approved_by: Option<String>,
    rewrites: i64,
    activates: i64,
    payload: Option<String>,
    salt: Vec<u8>,
    digest: Vec<u8>,
    chain: Vec<u8>,
    run_is_there: bool,
}

/// How a run says that it ended.
struct RunEnd {
    run: i64,
    seq: Option<i64>,
    head: Vec<u8>,
    last_intent: Option<i64>,
    at: Option<i64>,
}

/// Pseudonyms by entry.
type Erased = HashMap<i64, String>;

impl Snapshot {
    /// Looks at the whole journal: every entry's content, its place in the chain, and the heads that runs recorded.
    pub async fn audit(&self) -> Result<ChainReport, StoreError> {
        let key = self.digest_key();
        self.transact(move |transaction| audit(transaction, &key)).await
    }
}

fn audit(transaction: &Transaction<'_>, key: &DigestKey) -> Result<ChainReport, StoreError> {
    let mut report = ChainReport::default();
    let broken = walk(transaction, key, &mut report)?;
    report.intact = broken.is_none();
    report.broken = broken;
    Ok(report)
}

/// The first thing that does not fit, if anything.
fn walk(
    transaction: &Transaction<'_>,
    key: &DigestKey,
    report: &mut ChainReport,
) -> Result<Option<BrokenChain>, StoreError> {
    let (cut, erased) = match on_record(transaction, key)? {
        Ok(found) => found,
        Err(broken) => return Ok(Some(broken)),
    };
    let mut head = Head::default();
    if let Some((at, cut)) = cut {
        report.pruned = (cut.seq > 0).then_some(PrunedUpTo { entry: cut.seq, at });
        head = Head { seq: cut.seq, chain: cut.chain };
    }
    let mut entries = transaction.prepare(ENTRIES)?;
    let mut entries = entries.query([])?;
    let mut ends = transaction.prepare(HEADS)?;
    let mut ends = Ends::new(ends.query([])?)?;
    if let Some(broken) = ends.up_to(&head, report)? {
        return Ok(Some(broken));
    }
    while let Some(row) = entries.next()? {
        let entry = lying(row)?;
        if let Some(what) = misfit(key, &head, &entry, &erased, report.pruned.is_some()) {
            return Ok(Some(broken_at(&entry, what)));
        }
        report.entries += 1;
        report.first_at = report.first_at.or(Some(Millis(entry.at)));
        report.erased += u64::from(entry.payload.is_none());
        head = Head { seq: entry.seq, chain: entry.chain };
        if let Some(broken) = ends.up_to(&head, report)? {
            return Ok(Some(broken));
        }
    }
    report.last = head.seq;
    report.head = hex(&head.chain);
    if let Some(broken) = cut_off(transaction, head.seq)? {
        return Ok(Some(broken));
    }
    Ok(ends.left_over(head.seq))
}

/// Where the chain goes on from, and what was erased, as the events say it; else the event that was changed.
#[allow(clippy::type_complexity)]
fn on_record(
    transaction: &Transaction<'_>,
    key: &DigestKey,
) -> Result<Result<(Option<(Millis, Cut)>, Erased), BrokenChain>, StoreError> {
    let mut statement = transaction.prepare(&format!(
        "SELECT * FROM ({}) WHERE kind = 'event' AND verb = ?1 ORDER BY seq DESC",
        ENTRIES.trim_end_matches("ORDER BY seq")
    ))?;
    let mut rows = statement.query(["prune"])?;
    let mut cut = None;
    if let Some(row) = rows.next()? {
        let entry = lying(row)?;
        match payload_of(key, &entry) {
            Some(payload) => cut = payload.pruned.map(|cut| (Millis(entry.at), cut)),
            None => return Ok(Err(broken_at(&entry, RECORD_CHANGED.to_owned()))),
        }
    }
    drop(rows);
    let mut erased = Erased::new();
    let mut rows = statement.query(["erase"])?;
    while let Some(row) = rows.next()? {
        let entry = lying(row)?;
        let Some(payload) = payload_of(key, &entry) else {
            return Ok(Err(broken_at(&entry, RECORD_CHANGED.to_owned())));
        };
        for of_one in payload.erased {
            // An erasure can only have emptied what was there before it.
            let before = of_one.entries.into_iter().filter(|seq| *seq < entry.seq);
            erased.extend(before.map(|seq| (seq, of_one.pseudonym.clone())));
        }
    }
    Ok(Ok((cut, erased)))
}

const RECORD_CHANGED: &str = "it records what was pruned or erased, and its content was changed";

fn payload_of(key: &DigestKey, entry: &Lying) -> Option<EventPayload> {
    let payload = entry.payload.as_deref()?;
    let fits = inner_digest(key, &entry.salt, &entry.source_id, payload).as_slice() == entry.digest;
    if fits { aliases::read(payload).ok() } else { None }
}

/// What does not fit about an entry, given the end of the chain before it.
fn misfit(
    key: &DigestKey,
    before: &Head,
    entry: &Lying,
    erased: &Erased,
    was_pruned: bool,
) -> Option<String> {
    let next = before.seq + 1;
    if entry.seq != next {
        let missing = match (entry.seq > next, entry.seq - 1 == next) {
            (false, _) => {
                return Some("it was pruned according to the record, and is there again".to_owned());
            }
            (true, true) => format!("entry {next}, right before it, is missing"),
            (true, false) => format!("the entries {next} to {} before it are missing", entry.seq - 1),
        };
        let unexplained = before.seq == 0 && !was_pruned;
        return Some(if unexplained { format!("{missing}, and no pruning is on record") } else { missing });
    }
    if outer_digest(key, &before.chain, &sealed(entry)).as_slice() != entry.chain {
        return Some(
            "it does not follow from the entry before it: one of its fields was changed, or another entry was put \
             in its place"
                .to_owned(),
        );
    }
    match (&entry.payload, erased.get(&entry.seq)) {
        (Some(_), Some(_)) => Some("it was erased according to the record, and has content again".to_owned()),
        (Some(payload), None) => {
            let digest = inner_digest(key, &entry.salt, &entry.source_id, payload);
            (digest.as_slice() != entry.digest)
                .then(|| "its content was changed: who it is about, or what was sent or answered".to_owned())
        }
        (None, Some(pseudonym)) if *pseudonym == entry.source_id && entry.salt.is_empty() => None,
        (None, Some(_)) => Some("it was erased, and what stands in its place was changed since".to_owned()),
        (None, None) => Some("its content is missing, and no erasure of it is on record".to_owned()),
    }
    .or_else(|| {
        (!entry.run_is_there).then(|| "the run that it belongs to is not on record any more".to_owned())
    })
}

fn sealed(entry: &Lying) -> Sealed<'_> {
    Sealed {
        seq: entry.seq,
        run: entry.run,
        epoch: entry.epoch,
        at: entry.at,
        intent: entry.intent,
        approved: entry.approved,
        rewrites: entry.rewrites,
        activates: entry.activates,
        sync: entry.sync.as_deref(),
        kind: &entry.kind,
        verb: &entry.verb,
        outcome: entry.outcome.as_deref(),
        approved_by: entry.approved_by.as_deref(),
        digest: &entry.digest,
    }
}

fn broken_at(entry: &Lying, what: String) -> BrokenChain {
    BrokenChain { entry: Some(entry.seq), run: entry.run, at: Some(Millis(entry.at)), what }
}

/// Numbers that were given out and whose entries are not there.
fn cut_off(transaction: &Transaction<'_>, last: i64) -> Result<Option<BrokenChain>, StoreError> {
    let given: Option<i64> = transaction
        .query_row("SELECT seq FROM sqlite_sequence WHERE name = 'journal'", [], |row| row.get(0))
        .optional()?;
    let given = given.unwrap_or_default();
    let what = match given - last {
        0 => return Ok(None),
        1 => format!("entry {given}, the last one, is missing"),
        2.. => format!("the last entries, {} to {given}, are missing", last + 1),
        _ => format!("there are {last} entries, and numbers were given out up to {given} only"),
    };
    Ok(Some(BrokenChain { entry: Some(last + 1), run: None, at: None, what }))
}

/// The ends of runs, in the order of the entries at which they were.
struct Ends<'a> {
    rows: Rows<'a>,
    next: Option<RunEnd>,
}

impl<'a> Ends<'a> {
    fn new(rows: Rows<'a>) -> Result<Ends<'a>, StoreError> {
        let mut ends = Ends { rows, next: None };
        ends.advance()?;
        Ok(ends)
    }

    fn advance(&mut self) -> Result<(), StoreError> {
        self.next = match self.rows.next()? {
            None => None,
            Some(row) => Some(RunEnd {
                run: row.get(0)?,
                seq: row.get(1)?,
                head: row.get(2)?,
                last_intent: row.get(3)?,
                at: row.get(4)?,
            }),
        };
        Ok(())
    }

    /// Compares the ends up to this point with the chain there. What lies before it was pruned.
    fn up_to(&mut self, head: &Head, report: &mut ChainReport) -> Result<Option<BrokenChain>, StoreError> {
        while let Some(end) = &self.next {
            let Some(seq) = end.seq else {
                return Ok(Some(end.broken("the run recorded no entry for the end of its chain".to_owned())));
            };
            if seq > head.seq {
                return Ok(None);
            }
            if seq == head.seq {
                if end.head != head.chain {
                    let what = format!(
                        "the run recorded the head {} at its end, and the chain has {} there",
                        hex(&end.head),
                        hex(&head.chain)
                    );
                    return Ok(Some(end.broken(what)));
                }
                report.runs += 1;
            }
            if end.last_intent.is_some_and(|intent| intent > seq) {
                let what = "the run recorded an end that lies before what it sent last".to_owned();
                return Ok(Some(end.broken(what)));
            }
            self.advance()?;
        }
        Ok(None)
    }

    /// A run that saw more entries than there are.
    fn left_over(&self, last: i64) -> Option<BrokenChain> {
        let end = self.next.as_ref()?;
        let seen = end.seq.unwrap_or_default();
        Some(
            end.broken(format!("the run ended when there were {seen} entries, and now they end with {last}")),
        )
    }
}

impl RunEnd {
    fn broken(&self, what: String) -> BrokenChain {
        BrokenChain { entry: self.seq, run: Some(self.run), at: self.at.map(Millis), what }
    }
}

fn lying(row: &Row<'_>) -> Result<Lying, StoreError> {
    Ok(Lying {
        seq: row.get(0)?,
        run: row.get(1)?,
        sync: row.get(2)?,
        epoch: row.get(3)?,
        at: row.get(4)?,
        kind: row.get(5)?,
        intent: row.get(6)?,
        verb: row.get(7)?,
        source_id: row.get(8)?,
        outcome: row.get(9)?,
        approved: row.get(10)?,
        approved_by: row.get(11)?,
        rewrites: row.get(12)?,
        activates: row.get(13)?,
        payload: row.get(14)?,
        salt: row.get(15)?,
        digest: row.get(16)?,
        chain: row.get(17)?,
        run_is_there: row.get(18)?,
    })
}

#[cfg(test)]
mod tests;
