//! Stored words read back as what they stand for, and people found by what is stored of them.

use std::collections::BTreeSet;

use rusqlite::{Row, Transaction, params};

use crate::model::aliases;
use crate::model::folding::fold_address;
use crate::model::plan::Verb;
use crate::model::report::{RunResult, Trigger};
use crate::store::StoreError;

/// The verb of a stored word; only words of [`Verb::as_str`] are ever stored.
pub(crate) fn verb_of(word: &str) -> Verb {
    let word = aliases::word(word);
    Verb::ALL.into_iter().find(|verb| verb.as_str() == word).unwrap_or(Verb::Skip)
}

/// Only words of [`RunResult::as_str`] are ever stored.
pub(crate) fn result_of(row: &Row<'_>, index: usize) -> rusqlite::Result<Option<RunResult>> {
    let word: Option<String> = row.get(index)?;
    Ok(word.and_then(|word| serde_json::from_value(aliases::word(&word).into()).ok()))
}

/// Only words of [`Trigger::as_str`] are ever stored.
pub(crate) fn trigger_of(row: &Row<'_>, index: usize) -> rusqlite::Result<Trigger> {
    let word: String = row.get(index)?;
    Ok(serde_json::from_value(aliases::word(&word).into()).unwrap_or(Trigger::Manual))
}

/// Sync and source id of everybody who is or was known by this name, as far as it is needed to find somebody.
pub(crate) fn people(
    transaction: &Transaction<'_>,
    who: &str,
) -> Result<BTreeSet<(String, String)>, StoreError> {
    let key = fold_address(who);
    let mut found = BTreeSet::new();
    let mut statement = transaction.prepare(
        "SELECT sync, source_id FROM link WHERE source_id = ?1 OR target_id = ?1 OR user_name_key = ?2
         UNION SELECT sync, source_id FROM journal WHERE source_id = ?1",
    )?;
    let rows = statement.query_map(params![who, key], |row| Ok((row.get(0)?, row.get(1)?)))?;
    for row in rows {
        found.insert(row?);
    }
    if !found.is_empty() {
        return Ok(found);
    }
    // An earlier login, or an account whose link is gone: only what was sent tells.
    let mut statement = transaction.prepare(
        "SELECT DISTINCT sync, source_id, payload ->> '$.user', payload ->> '$.target_id' FROM journal
         WHERE kind IN ('intent', 'event') AND payload IS NOT NULL AND source_id <> ''",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (user, account): (Option<String>, Option<String>) = (row.get(2)?, row.get(3)?);
        if account.is_some_and(|account| account == who)
            || user.is_some_and(|user| fold_address(&user) == key)
        {
            found.insert((row.get(0)?, row.get(1)?));
        }
    }
    Ok(found)
}
