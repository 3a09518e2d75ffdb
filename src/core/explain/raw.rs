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
                let secret = is_secret(&name) && !member.is_null();
                let member = if secret { Value::from("(not shown)") } else { without_secrets(member) };
                (name, member)
            })
            .collect(),
        Value::Array(list) => list.into_iter().map(without_secrets).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}

/// Whether what has such a name could be a secret. When something was changed is none.
fn is_secret(name: &str) -> bool {
    let lower = name.to_lowercase();
    SECRETS.iter().any(|part| lower.contains(part)) && !lower.ends_with("_at") && !lower.ends_with("changed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_be_a_secret_is_not_shown_however_deep() {
        let raw = |text: &str| Some(serde_json::value::RawValue::from_string(text.to_owned()).unwrap());
        let shown = as_received(&RawProfiles {
            app: None,
            profile: raw(
                r#"{"title":"x","password_changed_at":"2026","salt":"s","a":[{"apiToken":"t","n":1}]}"#,
            ),
            custom: raw(r#"{"PasswordHash":"h","recoveryQuestion":null}"#),
        });
        let expected = serde_json::json!({
            "profile": {"title": "x", "password_changed_at": "2026", "salt": "(not shown)",
                        "a": [{"apiToken": "(not shown)", "n": 1}]},
            "custom": {"PasswordHash": "(not shown)", "recoveryQuestion": null}
        });
        assert_eq!(shown, expected);
    }
}
