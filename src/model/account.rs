//! An account: a SCIM User resource (RFC 7643 section 4.1) as the service provider showed it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::attributes::{AttributePath, Attributes, Scalar};
use super::id::TargetId;

/// A User resource that was read or returned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Account {
    /// `id`.
    pub id: TargetId,
    /// The whole resource: what is not ours must go back untouched where a server only knows PUT.
    pub resource: Map<String, Value>,
}

impl Account {
    /// Wraps a resource that has a usable `id`; `None` where it has none (seen: 201 without any `id`).
    pub fn from_resource(resource: Map<String, Value>) -> Option<Account> {
        let id = match resource.get("id") {
            Some(Value::String(id)) if !id.is_empty() => id.clone(),
            Some(Value::Number(id)) => id.to_string(),
            _ => return None,
        };
        Some(Account { id: TargetId::new(id), resource })
    }

    /// `userName`.
    pub fn user_name(&self) -> Option<&str> {
        super::attributes::member(&self.resource, "userName").and_then(Value::as_str)
    }

    /// `externalId`.
    pub fn external_id(&self) -> Option<&str> {
        super::attributes::member(&self.resource, "externalId").and_then(Value::as_str)
    }

    /// `active`; `None` where the resource does not say. Reads `0`, `"false"` and `"False"` alike, as some servers answer.
    pub fn active(&self) -> Option<bool> {
        match super::attributes::member(&self.resource, "active")? {
            Value::Bool(active) => Some(*active),
            Value::Number(number) => match number.as_f64() {
                Some(0.0) => Some(false),
                Some(1.0) => Some(true),
                Some(_) | None => None,
            },
            Value::String(text) => match text.trim() {
                "1" => Some(true),
                "0" => Some(false),
                text if text.eq_ignore_ascii_case("true") => Some(true),
                text if text.eq_ignore_ascii_case("false") => Some(false),
                _ => None,
            },
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// Every e-mail address of the resource.
    pub fn emails(&self) -> Vec<&str> {
        match super::attributes::member(&self.resource, "emails") {
            Some(Value::Array(list)) => list
                .iter()
                .filter_map(|element| match element {
                    Value::Object(object) => {
                        super::attributes::member(object, "value").and_then(Value::as_str)
                    }
                    Value::String(text) => Some(text.as_str()),
                    Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => None,
                })
                .collect(),
            _ => Vec::new(),
        }
    }

    /// The value at `path`, if the resource has one.
    pub fn value(&self, path: &AttributePath) -> Option<Scalar> {
        path.read(&self.resource)
    }

    /// The values of the given paths.
    pub fn values<'a>(&self, paths: impl IntoIterator<Item = &'a AttributePath>) -> Attributes {
        paths.into_iter().filter_map(|path| Some((path.clone(), self.value(path)?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn active_is_read_alike_however_it_is_written() {
        let cases = [
            (json!(false), Some(false)),
            (json!(0), Some(false)),
            (json!(0.0), Some(false)),
            (json!("false"), Some(false)),
            (json!("False"), Some(false)),
            (json!("FALSE "), Some(false)),
            (json!("0"), Some(false)),
            (json!(true), Some(true)),
            (json!(1), Some(true)),
            (json!("True"), Some(true)),
            (json!("1"), Some(true)),
            (json!(2), None),
            (json!("no"), None),
            (json!(null), None),
            (json!([]), None),
        ];
        for (value, expected) in cases {
            let Value::Object(resource) = json!({"id": "1", "Active": value.clone()}) else { unreachable!() };
            assert_eq!(Account::from_resource(resource).unwrap().active(), expected, "{value}");
        }
    }
}
