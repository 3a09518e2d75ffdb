//! The journal's chain: how an entry is sealed into it. Whoever looks whether it still fits uses the same rules (`audit`).
//!
//! Two digests an entry. The inner one covers what is about a person: who, and what was sent. The outer one covers the
//! entry before it, the inner one, and everything else. So an erasure empties what the inner one covers and leaves it.

use rusqlite::{OptionalExtension, Transaction, params};

use crate::model::digest::DigestKey;
use crate::model::time::Millis;
use crate::store::StoreError;

/// An entry that is to be appended.
pub(crate) struct Entry<'a> {
    /// The run; an event has none.
    pub run: Option<i64>,
    /// The sync; an event may be about all of them.
    pub sync: Option<&'a str>,
    pub epoch: i64,
    pub at: Millis,
    pub kind: &'static str,
    pub intent: Option<i64>,
    pub verb: &'a str,
    pub source_id: &'a str,
    pub outcome: Option<&'static str>,
    pub approved: bool,
    /// Who approved it, or did it.
    pub by: Option<&'a str>,
    pub rewrites: bool,
    pub activates: bool,
    pub payload: &'a str,
}

/// The end of the chain.
#[derive(Clone, Default)]
pub(crate) struct Head {
    /// Number of the last entry.
    pub seq: i64,
    /// The chain there.
    pub chain: Vec<u8>,
}

/// What the outer digest covers of one entry.
pub(crate) struct Sealed<'a> {
    pub seq: i64,
    pub run: Option<i64>,
    pub epoch: i64,
    pub at: i64,
    pub intent: Option<i64>,
    pub approved: i64,
    pub rewrites: i64,
    pub activates: i64,
    pub sync: Option<&'a str>,
    pub kind: &'a str,
    pub verb: &'a str,
    pub outcome: Option<&'a str>,
    pub approved_by: Option<&'a str>,
    pub digest: &'a [u8],
}

/// The digest over what an erasure empties.
pub(crate) fn inner_digest(key: &DigestKey, salt: &[u8], source_id: &str, payload: &str) -> [u8; 16] {
    key.digest([salt, source_id.as_bytes(), payload.as_bytes()]).0
}

/// The chain at an entry, from the chain at the one before.
pub(crate) fn outer_digest(key: &DigestKey, before: &[u8], entry: &Sealed<'_>) -> [u8; 16] {
    let Sealed {
        seq,
        run,
        epoch,
        at,
        intent,
        approved,
        rewrites,
        activates,
        sync,
        kind,
        verb,
        outcome,
        approved_by,
        digest,
    } = entry;
    let numbers = [*seq, *epoch, *at, *approved, *rewrites, *activates].map(i64::to_le_bytes).concat();
    let (run, intent) = (number(*run), number(*intent));
    let (sync, outcome, by) = (text(*sync), text(*outcome), text(*approved_by));
    key.digest([
        before,
        &numbers,
        &run,
        &intent,
        &sync,
        kind.as_bytes(),
        verb.as_bytes(),
        &outcome,
        &by,
        *digest,
    ])
    .0
}

/// Nothing is another thing than 0.
fn number(value: Option<i64>) -> Vec<u8> {
    value.map(|value| value.to_le_bytes().to_vec()).unwrap_or_default()
}

/// Nothing is another thing than an empty text.
fn text(value: Option<&str>) -> Vec<u8> {
    value.map(|value| [b"=", value.as_bytes()].concat()).unwrap_or_default()
}

/// Where the chain ends now.
pub(crate) fn head(transaction: &Transaction<'_>) -> Result<Head, StoreError> {
    let head = transaction
        .prepare_cached("SELECT seq, chain FROM journal ORDER BY seq DESC LIMIT 1")?
        .query_row([], |row| Ok(Head { seq: row.get(0)?, chain: row.get(1)? }))
        .optional()?;
    Ok(head.unwrap_or_default())
}

/// Appends an entry at the end of the chain and gives its number.
pub(crate) fn append(
    transaction: &Transaction<'_>,
    key: &DigestKey,
    entry: &Entry<'_>,
) -> Result<i64, StoreError> {
    let last = head(transaction)?;
    append_after(transaction, key, &last, entry)
}

/// Appends an entry after one that need not be there any more.
pub(crate) fn append_after(
    transaction: &Transaction<'_>,
    key: &DigestKey,
    last: &Head,
    entry: &Entry<'_>,
) -> Result<i64, StoreError> {
    // Where the last entries were cut off, their numbers stay missing.
    let given: Option<i64> = transaction
        .prepare_cached("SELECT seq FROM sqlite_sequence WHERE name = 'journal'")?
        .query_row([], |row| row.get(0))
        .optional()?;
    let seq = given.unwrap_or_default().max(last.seq) + 1;
    let salt = *uuid::Uuid::new_v4().as_bytes();
    let digest = inner_digest(key, &salt, entry.source_id, entry.payload);
    let sealed = Sealed {
        seq,
        run: entry.run,
        epoch: entry.epoch,
        at: entry.at.0,
        intent: entry.intent,
        approved: i64::from(entry.approved),
        rewrites: i64::from(entry.rewrites),
        activates: i64::from(entry.activates),
        sync: entry.sync,
        kind: entry.kind,
        verb: entry.verb,
        outcome: entry.outcome,
        approved_by: entry.by,
        digest: &digest,
    };
    let chain = outer_digest(key, &last.chain, &sealed);
    transaction
        .prepare_cached(
            "INSERT INTO journal (seq, run, sync, epoch, at, kind, intent, verb, source_id, outcome, payload, salt,
                                  digest, chain, approved, rewrites, activates, approved_by)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)",
        )?
        .execute(params![
            seq,
            entry.run,
            entry.sync,
            entry.epoch,
            entry.at.0,
            entry.kind,
            entry.intent,
            entry.verb,
            entry.source_id,
            entry.outcome,
            entry.payload,
            salt.as_slice(),
            digest.as_slice(),
            chain.as_slice(),
            entry.approved,
            entry.rewrites,
            entry.activates,
            entry.by,
        ])?;
    Ok(seq)
}

/// Bytes as the log and reports show them.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
