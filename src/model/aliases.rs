//! Old words, read for ever: what earlier versions stored under a name that is another one today.
//!
//! What lives here: each of these words, once. What must not: anything that writes an old word.
//!
//! What the journal's chain covers is never rewritten, so an entry keeps the words of the version that wrote it. Whoever
//! renames something that is stored adds a row here instead of a migration.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// One old word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alias {
    /// A key of a stored document, or of the summary in it.
    Key {
        /// As it was stored.
        old: &'static str,
        /// What it is called today.
        today: &'static str,
    },
    /// A value, stored under one of these keys or in a column of its own.
    Word {
        /// The keys.
        keys: &'static [&'static str],
        /// As it was stored.
        old: &'static str,
        /// What it is called today.
        today: &'static str,
    },
}

/// Every old word.
pub const ALIASES: &[Alias] = &[
    // Schema 1: when the request was sent that an action rests on, before observations had numbers.
    Alias::Key { old: "observed_at", today: "observation" },
    // What could not be decided was called held back.
    Alias::Key { old: "held_back", today: "blocked" },
    Alias::Word { keys: &["situation"], old: "held_back", today: "blocked" },
    Alias::Word { keys: &["verb", "action", "kept_from"], old: "hold-back", today: "block" },
];

/// A stored document as one of today's values.
///
/// # Errors
/// Where the text is no such document, in old words or in today's.
pub fn read<T: DeserializeOwned>(text: &str) -> Result<T, serde_json::Error> {
    let is_old = ALIASES.iter().any(|alias| match alias {
        Alias::Key { old, .. } | Alias::Word { old, .. } => text.contains(&format!("\"{old}\"")),
    });
    if !is_old {
        return serde_json::from_str(text);
    }
    let mut document: Value = serde_json::from_str(text)?;
    if let Some(fields) = document.as_object_mut() {
        put_into_words_of_today(fields);
        if let Some(Value::Object(summary)) = fields.get_mut("summary") {
            put_into_words_of_today(summary);
        }
    }
    serde_json::from_value(document)
}

/// The word of today for a word from a column.
pub fn word(stored: &str) -> &str {
    let today = ALIASES.iter().find_map(|alias| match alias {
        Alias::Word { old, today, .. } if *old == stored => Some(*today),
        Alias::Word { .. } | Alias::Key { .. } => None,
    });
    today.unwrap_or(stored)
}

fn put_into_words_of_today(fields: &mut Map<String, Value>) {
    for alias in ALIASES {
        match alias {
            Alias::Key { old, today } => {
                // What bears today's name is newer than what an old program would have written.
                if let Some(value) = fields.remove(*old)
                    && !fields.contains_key(*today)
                {
                    fields.insert((*today).to_owned(), value);
                }
            }
            Alias::Word { keys, old, today } => {
                for key in *keys {
                    if let Some(value) = fields.get_mut(*key).filter(|value| **value == **old) {
                        *value = Value::from(*today);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::order::Observation;
    use crate::model::plan::{PlannedAction, Situation, Verb};
    use crate::model::report::Summary;
    use crate::model::time::Millis;

    /// What the program of schema 1 stored as an intent, without the attributes.
    const INTENT: &str = r#"{"verb":"create","situation":"absent","reason":"assigned and has no account",
        "user":"ann@acme.example","source_id":"00uAnn","target_id":null,"changes":[],"desired":null,"found":null,
        "cause":null,"activate":false,"disposition":"send","observed_at":1796067885878,"assigned_at":1796067885856,
        "billable":true,"source_digest":null}"#;

    /// A run's counts as they are stored, but for what was blocked.
    const SUMMARY: &str = r#"{"create":0,"adopt":0,"update":0,"reactivate":0,"deactivate":0,"delete":0,"unchanged":0,
        "skipped":0,"held":0,"failed":0,"deferred":0}"#;

    #[test]
    fn each_old_word_is_read_as_todays() {
        for alias in ALIASES {
            match alias {
                Alias::Key { old: "observed_at", today } => {
                    assert_eq!(*today, "observation");
                    let action: PlannedAction = read(INTENT).unwrap();
                    assert_eq!(action.observation, Observation::before_numbers(Millis(1_796_067_885_878)));
                }
                Alias::Key { old: "held_back", today } => {
                    assert_eq!(*today, "blocked");
                    let summary: Summary = read(&format!("{{\"held_back\":3,{}", &SUMMARY[1..])).unwrap();
                    assert_eq!(summary.blocked, 3);
                }
                Alias::Word { old: "held_back", today, .. } => {
                    assert_eq!((*today, word("held_back")), ("blocked", "blocked"));
                    let old = INTENT.replace("\"situation\":\"absent\"", "\"situation\":\"held_back\"");
                    assert_eq!(read::<PlannedAction>(&old).unwrap().situation, Situation::Blocked);
                }
                Alias::Word { old: "hold-back", today, .. } => {
                    assert_eq!((*today, word("hold-back")), ("block", "block"));
                    let old = INTENT.replace("\"verb\":\"create\"", "\"verb\":\"hold-back\"");
                    assert_eq!(read::<PlannedAction>(&old).unwrap().verb, Verb::Block);
                }
                Alias::Key { old, .. } | Alias::Word { old, .. } => {
                    panic!("no document here shows that {old:?} is read")
                }
            }
        }
    }

    #[test]
    fn no_word_of_today_is_an_old_one() {
        let olds: Vec<&str> = ALIASES
            .iter()
            .map(|alias| match alias {
                Alias::Key { old, .. } | Alias::Word { old, .. } => *old,
            })
            .collect();
        for alias in ALIASES {
            let (Alias::Key { today, .. } | Alias::Word { today, .. }) = alias;
            assert!(!olds.contains(today), "{today} would have to be read twice");
        }
        let action: PlannedAction = read(INTENT).unwrap();
        let written = serde_json::to_string(&action).unwrap();
        assert!(olds.iter().all(|old| !written.contains(&format!("\"{old}\""))), "{written}");
        assert_eq!(read::<PlannedAction>(&written).unwrap(), action);
    }

    #[test]
    fn an_attribute_that_bears_an_old_word_as_its_name_keeps_it() {
        let text = INTENT.replace(
            "\"desired\":null",
            "\"desired\":{\"set\":{\"observed_at\":\"x\"},\"digest\":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]}",
        );
        let action: PlannedAction = read(&text).unwrap();
        let set = serde_json::to_value(&action.desired.unwrap().set).unwrap();
        assert_eq!(set["observed_at"], "x");
    }
}
