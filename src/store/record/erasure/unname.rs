//! Taking a person's names out of what is about others: free text, and the logins and ids that are theirs alone.
//!
//! *Invariant*: a stored document stays readable, whatever the person was called: what a member may hold is a word of
//! ours (an action, an outcome, a dialect), it is left alone.

use std::collections::BTreeSet;

use rusqlite::{Transaction, params};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::model::folding::fold_address;
use crate::model::report::{ActionRecord, RunFacts};
use crate::store::StoreError;
use crate::store::read::history::ERASED;

/// Shorter ids and logins are too likely to be a number or a word of something else, in a sentence.
const SHORTEST: usize = 6;

/// Members in whose sentences and values a name may stand.
const FREE_TEXT: &[&str] = &["reason", "detail", "problem", "notes", "from", "to"];
/// Members that are one name and nothing else.
const WHOLE: &[&str] = &["user", "source_id", "target_id"];

/// By what one person is named, folded.
pub(crate) struct Names {
    /// Every id, login and address.
    whole: BTreeSet<Vec<char>>,
    /// Those that are looked for within sentences; the longest first, because one may be a part of another.
    within: Vec<Vec<char>>,
}

impl Names {
    pub(crate) fn new(names: impl IntoIterator<Item = String>) -> Names {
        let whole: BTreeSet<Vec<char>> = names
            .into_iter()
            .map(|name| name.trim().chars().flat_map(fold).collect())
            .filter(|name: &Vec<char>| !name.is_empty())
            .collect();
        let is_plain = |name: &&Vec<char>| name.contains(&'@') || name.len() >= SHORTEST;
        let mut within: Vec<Vec<char>> = whole.iter().filter(is_plain).cloned().collect();
        within.sort_by_key(|name| std::cmp::Reverse(name.len()));
        Names { whole, within }
    }

    /// Whether a text is one of the names.
    fn has(&self, text: &str) -> bool {
        self.whole.contains(&text.trim().chars().flat_map(fold).collect::<Vec<_>>())
    }

    /// The text without each name that stands by itself; `None` where there is none.
    fn taken_out_of(&self, text: &str) -> Option<String> {
        // One letter may fold to several, and to a longer one: each knows the letter that it came from.
        let letters: Vec<(char, usize, usize)> = text
            .char_indices()
            .flat_map(|(start, letter)| {
                let end = start + letter.len_utf8();
                fold(letter).map(move |folded| (folded, start, end))
            })
            .collect();
        let (mut rest, mut copied, mut at) = (String::new(), 0, 0);
        while at < letters.len() {
            let (_, start, _) = letters[at];
            let found = self.within.iter().find_map(|name| end_of(name, text, &letters, at));
            match found {
                Some((next, end)) => {
                    rest.push_str(&text[copied..start]);
                    rest.push_str(ERASED);
                    (copied, at) = (end, next);
                }
                None => at += 1,
            }
        }
        (copied > 0).then(|| rest + &text[copied..])
    }
}

/// Where a name ends that begins with this letter and stands by itself: the letter after it, and its place in the text.
fn end_of(name: &[char], text: &str, letters: &[(char, usize, usize)], at: usize) -> Option<(usize, usize)> {
    let next = at + name.len();
    let part = letters.get(at..next)?;
    if !part.iter().zip(name).all(|((letter, _, _), wanted)| letter == wanted) {
        return None;
    }
    let (start, end) = (part.first()?.1, part.last()?.2);
    // Not from or to the middle of a letter that folds to several.
    let is_cut =
        at > 0 && letters[at - 1].1 == start || letters.get(next).is_some_and(|(_, begins, _)| *begins < end);
    let before = text[..start].chars().next_back();
    let after = text[end..].chars().next();
    let is_part = before.is_some_and(char::is_alphanumeric) || after.is_some_and(char::is_alphanumeric);
    (!is_cut && !is_part).then_some((next, end))
}

/// As lower case, with one form of the Greek letter that has two.
fn fold(letter: char) -> impl Iterator<Item = char> {
    letter.to_lowercase().map(|letter| if letter == 'ς' { 'σ' } else { letter })
}

/// Takes a person's names out of everything in a sync that is about others. Gives how many runs had one.
pub(crate) fn unname_everywhere(
    transaction: &Transaction<'_>,
    sync: &str,
    names: &Names,
) -> Result<u64, StoreError> {
    unname_documents::<ActionRecord>(transaction, "told", "record", sync, names)?;
    unname_lines(transaction, sync, names)?;
    unname_texts(transaction, sync, names)?;
    unname_documents::<RunFacts>(transaction, "run", "facts", sync, names)
}

/// Takes a person's names out of a column of JSON documents. Gives the rows that had one.
fn unname_documents<T: DeserializeOwned>(
    transaction: &Transaction<'_>,
    table: &str,
    column: &str,
    sync: &str,
    names: &Names,
) -> Result<u64, StoreError> {
    let mut changed: Vec<(i64, String)> = Vec::new();
    let sql = format!("SELECT id, {column} FROM {table} WHERE sync = ?1 AND {column} IS NOT NULL");
    let mut select = transaction.prepare(&sql)?;
    let mut rows = select.query([sync])?;
    while let Some(row) = rows.next()? {
        let text: String = row.get(1)?;
        let mut value: Value = serde_json::from_str(&text)?;
        if !unname_value(&mut value, "", names) {
            continue;
        }
        let without = serde_json::to_string(&value)?;
        // Nothing that can be read becomes something that cannot.
        if serde_json::from_str::<T>(&without).is_ok() || serde_json::from_str::<T>(&text).is_err() {
            changed.push((row.get(0)?, without));
        }
    }
    drop(rows);
    let sql = format!("UPDATE {table} SET {column} = ?2 WHERE id = ?1");
    for (row, text) in &changed {
        transaction.execute(&sql, params![row, text])?;
    }
    Ok(changed.len() as u64)
}

/// Lines about somebody else who has, or had, the same login.
fn unname_lines(transaction: &Transaction<'_>, sync: &str, names: &Names) -> Result<(), StoreError> {
    let mut select = transaction.prepare("SELECT id, user_name FROM told WHERE sync = ?1")?;
    let rows: Vec<(i64, String)> =
        select.query_map([sync], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
    for (row, _) in rows.iter().filter(|(_, login)| names.has(login)) {
        transaction.execute(
            "UPDATE told SET user_name = ?2, user_name_key = ?3 WHERE id = ?1",
            params![row, ERASED, fold_address(ERASED)],
        )?;
    }
    Ok(())
}

/// Takes a person's names out of why a sync or somebody else failed, and why something is held or left alone.
fn unname_texts(transaction: &Transaction<'_>, sync: &str, names: &Names) -> Result<(), StoreError> {
    for (table, column, condition) in [
        ("sync", "failed_reason", "name = ?1"),
        ("sync", "verify_failed_reason", "name = ?1"),
        ("hold", "reason", "sync = ?1"),
        ("owed", "detail", "sync = ?1"),
        ("in_flight", "reason", "sync = ?1"),
        ("pin", "reason", "sync = ?1"),
    ] {
        let sql = format!("SELECT rowid, {column} FROM {table} WHERE {condition} AND {column} IS NOT NULL");
        let mut select = transaction.prepare(&sql)?;
        let rows: Vec<(i64, String)> =
            select.query_map([sync], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
        for (row, text) in rows {
            if let Some(text) = names.taken_out_of(&text) {
                let sql = format!("UPDATE {table} SET {column} = ?2 WHERE rowid = ?1");
                transaction.execute(&sql, params![row, text])?;
            }
        }
    }
    Ok(())
}

/// The texts of a document in which a name may stand; says whether there was one in any.
fn unname_value(value: &mut Value, member: &str, names: &Names) -> bool {
    let mut changed = false;
    match value {
        Value::String(text) => {
            let without = if FREE_TEXT.contains(&member) {
                names.taken_out_of(text)
            } else if WHOLE.contains(&member) && names.has(text) {
                Some(ERASED.to_owned())
            } else {
                None
            };
            if let Some(without) = without {
                (*text, changed) = (without, true);
            }
        }
        Value::Array(items) => {
            items.iter_mut().for_each(|item| changed |= unname_value(item, member, names));
        }
        Value::Object(members) => {
            members.iter_mut().for_each(|(member, value)| changed |= unname_value(value, member, names));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_goes_where_it_stands_by_itself_whatever_its_case_and_its_letters() {
        let long = "İstanbul.Ann@acme.example";
        let names =
            [long, "generic", "ann", "ÉMILE@acme.example", r#"a\"b@acme.example"#, "ΝΊΚΟΣ@acme.example"];
        let names = Names::new(names.map(str::to_owned));
        for (text, expected) in [
            ("İİ for i̇stanbul.ann@ACME.example.", Some("İİ for (erased).")),
            ("émile@acme.example, Émile@acme.example", Some("(erased), (erased)")),
            (r#"<a\"B@acme.example>"#, Some("<(erased)>")),
            ("νίκος@acme.example", Some("(erased)")),
            ("GENERIC generics generic", Some("(erased) generics (erased)")),
            // Too short to be looked for in a sentence.
            ("ann", None),
            ("xémile@acme.example", None),
            ("", None),
        ] {
            assert_eq!(names.taken_out_of(text).as_deref(), expected, "{text}");
        }
        assert!(names.has("Ann") && !names.has("annex"));
    }
}
