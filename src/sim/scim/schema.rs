//! The schemas the workspace serves (`schemas.json`: RFC 7643 core and enterprise User, and one of the workspace's
//! own), and a resource's way through them: names in their spelling, read-only attributes out, types checked.

use super::habits::UnknownHabit;
use super::refuse::Refusal;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::sync::OnceLock;

pub(super) const CORE: &str = "urn:ietf:params:scim:schemas:core:2.0:User";

/// An attribute's definition (RFC 7643 section 7).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Attribute {
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) multi_valued: bool,
    #[serde(default)]
    pub(super) required: bool,
    pub(super) mutability: String,
    pub(super) returned: String,
    #[serde(default)]
    pub(super) sub_attributes: Vec<Attribute>,
}

impl Attribute {
    pub(super) fn sub(&self, name: &str) -> Option<&Self> {
        self.sub_attributes.iter().find(|sub| sub.name.eq_ignore_ascii_case(name))
    }

    pub(super) fn read_only(&self) -> bool {
        self.mutability == "readOnly"
    }
}

/// A schema: its URN and attributes.
#[derive(Debug, Deserialize)]
pub(super) struct Schema {
    pub(super) id: String,
    pub(super) attributes: Vec<Attribute>,
}

impl Schema {
    pub(super) fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|attribute| attribute.name.eq_ignore_ascii_case(name))
    }
}

/// The schema documents as they are served.
pub(super) fn documents() -> &'static [Value] {
    static DOCUMENTS: OnceLock<Vec<Value>> = OnceLock::new();
    DOCUMENTS.get_or_init(|| {
        serde_json::from_str(include_str!("schemas.json")).expect("the file is part of the program")
    })
}

fn schemas() -> &'static [Schema] {
    static SCHEMAS: OnceLock<Vec<Schema>> = OnceLock::new();
    SCHEMAS.get_or_init(|| {
        serde_json::from_str(include_str!("schemas.json")).expect("the file is part of the program")
    })
}

/// The core schema and the extensions.
pub(super) fn core() -> &'static Schema {
    &schemas()[0]
}

pub(super) fn extensions() -> &'static [Schema] {
    &schemas()[1..]
}

pub(super) fn extension(urn: &str) -> Option<&'static Schema> {
    extensions().iter().find(|schema| schema.id.eq_ignore_ascii_case(urn))
}

fn is_urn(key: &str) -> bool {
    key.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("urn:"))
}

/// Brings a whole resource into the form in which it is stored.
pub(super) fn resource(
    body: &Map<String, Value>,
    unknown: UnknownHabit,
) -> Result<Map<String, Value>, Refusal> {
    let mut stored = Map::new();
    for (key, value) in body {
        if ["schemas", "id", "meta"].iter().any(|own| key.eq_ignore_ascii_case(own)) {
            continue;
        }
        if let Some(schema) = extension(key) {
            let Some(members) = value.as_object() else {
                if value.is_null() {
                    continue;
                }
                return Err(Refusal::bad("invalidValue", format!("{key} must be an object")));
            };
            let mut inner = Map::new();
            for (name, value) in members {
                store(&mut inner, schema.attribute(name), name, value, unknown)?;
            }
            if !inner.is_empty() {
                stored.insert(schema.id.clone(), Value::Object(inner));
            }
        } else if is_urn(key) {
            store(&mut stored, None, key, value, unknown)?;
        } else if key.eq_ignore_ascii_case("externalId") {
            if !value.is_null() {
                stored.insert("externalId".to_owned(), typed("externalId", "string", value)?);
            }
        } else {
            store(&mut stored, core().attribute(key), key, value, unknown)?;
        }
    }
    Ok(stored)
}

fn store(
    into: &mut Map<String, Value>,
    attribute: Option<&Attribute>,
    key: &str,
    value: &Value,
    unknown: UnknownHabit,
) -> Result<(), Refusal> {
    let Some(attribute) = attribute else {
        return match unknown {
            UnknownHabit::Dropped => Ok(()),
            UnknownHabit::Stored => {
                into.insert(key.to_owned(), value.clone());
                Ok(())
            }
            UnknownHabit::Refused => {
                Err(Refusal::bad("invalidSyntax", format!("attribute {key} is not known")))
            }
        };
    };
    if !attribute.read_only()
        && let Some(value) = attribute_value(attribute, value, unknown)?
    {
        into.insert(attribute.name.clone(), value);
    }
    Ok(())
}

/// An attribute's value as it is stored; `None` for one that leaves the attribute unassigned.
pub(super) fn attribute_value(
    attribute: &Attribute,
    value: &Value,
    unknown: UnknownHabit,
) -> Result<Option<Value>, Refusal> {
    match value {
        Value::Null => Ok(None),
        Value::Array(items) if attribute.multi_valued => {
            let mut stored = Vec::with_capacity(items.len());
            for item in items {
                stored.extend(single(attribute, item, unknown)?);
            }
            if stored.iter().filter(|item| item["primary"] == true).count() > 1 {
                return Err(Refusal::bad(
                    "invalidValue",
                    format!("{} has more than one primary", attribute.name),
                ));
            }
            Ok((!stored.is_empty()).then_some(Value::Array(stored)))
        }
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_)
            if attribute.multi_valued =>
        {
            Err(Refusal::bad("invalidValue", format!("{} must be a list", attribute.name)))
        }
        value @ (Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_)
        | Value::Object(_)) => single(attribute, value, unknown),
    }
}

/// One value, or one element of a list.
pub(super) fn single(
    attribute: &Attribute,
    value: &Value,
    unknown: UnknownHabit,
) -> Result<Option<Value>, Refusal> {
    if attribute.kind != "complex" {
        return typed(&attribute.name, &attribute.kind, value).map(Some);
    }
    let Some(members) = value.as_object() else {
        return Err(Refusal::bad("invalidValue", format!("{} must be an object", attribute.name)));
    };
    let mut stored = Map::new();
    for (name, value) in members {
        store(&mut stored, attribute.sub(name), name, value, unknown)?;
    }
    Ok((!stored.is_empty()).then_some(Value::Object(stored)))
}

fn typed(name: &str, kind: &str, value: &Value) -> Result<Value, Refusal> {
    let fits = match kind {
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "decimal" => value.is_number(),
        _ => value.is_string(),
    };
    if fits {
        Ok(value.clone())
    } else {
        Err(Refusal::bad("invalidValue", format!("{name} must be a {kind}")))
    }
}
