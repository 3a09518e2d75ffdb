//! The source's objects as received, without what could be a secret.

use serde_json::{Map, Value};

use crate::model::identity::RawProfiles;

/// Parts of names whose values nobody needs to see.
const SECRETS: [&str; 7] = ["password", "secret", "token", "credential", "salt", "hash", "recovery"];

/// The objects by the names that expressions use.
pub(super) fn as_received(raw: &RawProfiles) -> Value {
    let RawProfiles { app, profile, custom } = raw;
    let parts = [("app", app), ("profile", profile), ("custom", custom)];
    let shown = parts.into_iter().filter_map(|(name, part)| {
        let value = serde_json::from_str(part.as_ref()?.get()).unwrap_or(Value::Null);
        Some((name.to_owned(), without_secrets(value)))
    });
    Value::Object(shown.collect::<Map<String, Value>>())
}

fn without_secrets(value: Value) -> Value {
    match value {
        Value::Object(object) => object
            .into_iter()
            .map(|(name, member)| {
                let lower = name.to_lowercase();
                let secret = SECRETS.iter().any(|part| lower.contains(part)) && !member.is_null();
                let member = if secret { Value::from("(not shown)") } else { without_secrets(member) };
                (name, member)
            })
            .collect(),
        Value::Array(list) => list.into_iter().map(without_secrets).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}
