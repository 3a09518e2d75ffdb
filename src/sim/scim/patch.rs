//! PATCH (RFC 7644 section 3.5.2): add, replace and remove, with and without a path, with value filters.

use super::habits::UnknownHabit;
use super::refuse::Refusal;
use super::schema::{self, Attribute, CORE, attribute_value, single};
use crate::sim::filter::{Filter, Path};
use serde_json::{Map, Value};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    Add,
    Replace,
    Remove,
}

/// One operation of a PatchOp body, with its path taken apart.
pub(super) struct Operation {
    verb: Verb,
    pub(super) target: Option<Target>,
    value: Value,
}

/// `schema:attribute[filter].sub`, or a schema alone.
pub(super) struct Target {
    schema: Option<String>,
    attribute: Option<String>,
    pub(super) filter: Option<Filter>,
    sub: Option<String>,
}

/// The operations of a request body.
pub(super) fn operations(body: &Value) -> Result<Vec<Operation>, Refusal> {
    let list = member(body, "Operations").and_then(Value::as_array);
    let list = list.ok_or_else(|| Refusal::bad("invalidSyntax", "Operations is missing"))?;
    list.iter().map(operation).collect()
}

fn member<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    value.as_object()?.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

fn operation(body: &Value) -> Result<Operation, Refusal> {
    let verb =
        match member(body, "op").and_then(Value::as_str).unwrap_or_default().to_ascii_lowercase().as_str() {
            "add" => Verb::Add,
            "replace" => Verb::Replace,
            "remove" => Verb::Remove,
            other => return Err(Refusal::bad("invalidSyntax", format!("unknown operation {other:?}"))),
        };
    let target = match member(body, "path") {
        None | Some(Value::Null) => None,
        Some(path) => Some(Target::parse(path.as_str().unwrap_or_default())?),
    };
    let value = member(body, "value").cloned().unwrap_or_default();
    match (&target, verb) {
        (None, Verb::Remove) => Err(Refusal::bad("noTarget", "remove needs a path")),
        (None, Verb::Add | Verb::Replace) if !value.is_object() => {
            Err(Refusal::bad("invalidValue", "without a path the value must be an object"))
        }
        _ => Ok(Operation { verb, target, value }),
    }
}

impl Target {
    fn parse(text: &str) -> Result<Self, Refusal> {
        let invalid = |why: String| Refusal::bad("invalidPath", why);
        if schema::extension(text).is_some() || text.eq_ignore_ascii_case(CORE) {
            return Ok(Self { schema: Some(text.to_owned()), attribute: None, filter: None, sub: None });
        }
        let (head, filter, tail) = match (text.find('['), text.rfind(']')) {
            (Some(open), Some(close)) if open < close => {
                let filter = Filter::parse(&text[open + 1..close]).map_err(invalid)?;
                (&text[..open], Some(filter), text[close + 1..].strip_prefix('.'))
            }
            (None, None) => (text, None, None),
            _ => return Err(invalid(format!("no path: {text}"))),
        };
        let Path { schema, names } = Path::parse(head).map_err(invalid)?;
        match names.as_slice() {
            [attribute] => {
                Ok(Self { schema, attribute: Some(attribute.clone()), filter, sub: tail.map(str::to_owned) })
            }
            [attribute, sub] if filter.is_none() => {
                Ok(Self { schema, attribute: Some(attribute.clone()), filter, sub: Some(sub.clone()) })
            }
            _ => Err(invalid(format!("no path: {text}"))),
        }
    }
}

/// Applies one operation to a stored resource.
pub(super) fn apply(
    stored: &mut Map<String, Value>,
    operation: &Operation,
    unknown: UnknownHabit,
) -> Result<(), Refusal> {
    let Operation { verb, target, value } = operation;
    let Some(target) = target else { return merge(stored, *verb, value, unknown) };
    let urn = target.schema.as_deref().filter(|urn| !urn.eq_ignore_ascii_case(CORE));
    let Some(name) = &target.attribute else {
        return match (urn, verb) {
            (Some(urn), Verb::Remove) => {
                stored.retain(|key, _| !key.eq_ignore_ascii_case(urn));
                Ok(())
            }
            (Some(urn), _) => merge(
                stored,
                *verb,
                &Value::Object([(urn.to_owned(), value.clone())].into_iter().collect()),
                unknown,
            ),
            (None, _) => merge(stored, *verb, value, unknown),
        };
    };
    if urn.is_none() && name.eq_ignore_ascii_case("externalId") {
        return set_external_id(stored, *verb, value);
    }
    let attribute = match urn {
        None => schema::core().attribute(name),
        Some(urn) => schema::extension(urn).and_then(|schema| schema.attribute(name)),
    };
    let Some(attribute) = attribute else {
        return match unknown {
            UnknownHabit::Dropped => Ok(()),
            UnknownHabit::Stored | UnknownHabit::Refused => {
                Err(Refusal::bad("invalidPath", format!("attribute {name} is not known")))
            }
        };
    };
    if attribute.read_only() {
        return Err(Refusal::bad("mutability", format!("{name} is read-only")));
    }
    match urn {
        None => change(stored, attribute, target, *verb, value, unknown),
        Some(urn) => {
            let key = schema::extension(urn).map_or_else(|| urn.to_owned(), |schema| schema.id.clone());
            let mut inner =
                stored.remove(&key).and_then(|value| value.as_object().cloned()).unwrap_or_default();
            let result = change(&mut inner, attribute, target, *verb, value, unknown);
            if !inner.is_empty() {
                stored.insert(key, Value::Object(inner));
            }
            result
        }
    }
}

fn set_external_id(stored: &mut Map<String, Value>, verb: Verb, value: &Value) -> Result<(), Refusal> {
    match (verb, value) {
        (Verb::Remove, _) | (_, Value::Null) => {
            stored.remove("externalId");
            Ok(())
        }
        (_, Value::String(_)) => {
            stored.insert("externalId".to_owned(), value.clone());
            Ok(())
        }
        _ => Err(Refusal::bad("invalidValue", "externalId must be a string")),
    }
}

/// Without a path: each member of the value is an attribute of its own.
fn merge(
    stored: &mut Map<String, Value>,
    verb: Verb,
    value: &Value,
    unknown: UnknownHabit,
) -> Result<(), Refusal> {
    let members =
        value.as_object().ok_or_else(|| Refusal::bad("invalidValue", "the value must be an object"))?;
    let attribute = |schema: Option<&str>, name: &str| Target {
        schema: schema.map(str::to_owned),
        attribute: Some(name.to_owned()),
        filter: None,
        sub: None,
    };
    for (key, value) in members {
        if ["schemas", "id", "meta"].iter().any(|own| key.eq_ignore_ascii_case(own)) {
            continue;
        }
        let mut one = |target: Target, value: &Value| {
            apply(stored, &Operation { verb, target: Some(target), value: value.clone() }, unknown)
        };
        if let Some(extension) = schema::extension(key) {
            for (name, value) in value.as_object().into_iter().flatten() {
                one(attribute(Some(&extension.id), name), value)?;
            }
        } else if key.contains(':') {
            // `urn:…:User:department` as a key is Entra's habit, not the RFC's; still, most servers take it.
            one(Target::parse(key)?, value)?;
        } else {
            one(attribute(None, key), value)?;
        }
    }
    Ok(())
}

fn change(
    stored: &mut Map<String, Value>,
    attribute: &Attribute,
    target: &Target,
    verb: Verb,
    value: &Value,
    unknown: UnknownHabit,
) -> Result<(), Refusal> {
    if attribute.multi_valued {
        return change_list(stored, attribute, target, verb, value, unknown);
    }
    let key = &attribute.name;
    if let Some(sub) = &target.sub {
        let sub = attribute.sub(sub).ok_or_else(|| Refusal::bad("invalidPath", format!("no {key}.{sub}")))?;
        if sub.read_only() {
            return Err(Refusal::bad("mutability", format!("{key}.{} is read-only", sub.name)));
        }
        let mut inner = stored.remove(key).and_then(|value| value.as_object().cloned()).unwrap_or_default();
        set_member(&mut inner, sub, verb, value, unknown)?;
        if !inner.is_empty() {
            stored.insert(key.clone(), Value::Object(inner));
        }
        return Ok(());
    }
    let new = if verb == Verb::Remove { None } else { attribute_value(attribute, value, unknown)? };
    match new {
        None if attribute.required => Err(Refusal::bad("mutability", format!("{key} is required"))),
        None => {
            stored.remove(key);
            Ok(())
        }
        // A complex value replaces or adds the sub-attributes that it has (section 3.5.2.3).
        Some(Value::Object(members)) => {
            let entry = stored.entry(key.clone()).or_insert_with(|| Value::Object(Map::new()));
            if let Some(entry) = entry.as_object_mut() {
                entry.extend(members);
            }
            Ok(())
        }
        Some(new) => {
            stored.insert(key.clone(), new);
            Ok(())
        }
    }
}

fn set_member(
    into: &mut Map<String, Value>,
    attribute: &Attribute,
    verb: Verb,
    value: &Value,
    unknown: UnknownHabit,
) -> Result<(), Refusal> {
    let new = if verb == Verb::Remove { None } else { attribute_value(attribute, value, unknown)? };
    match new {
        Some(new) => into.insert(attribute.name.clone(), new),
        None => into.remove(&attribute.name),
    };
    Ok(())
}

fn change_list(
    stored: &mut Map<String, Value>,
    attribute: &Attribute,
    target: &Target,
    verb: Verb,
    value: &Value,
    unknown: UnknownHabit,
) -> Result<(), Refusal> {
    let key = attribute.name.clone();
    let mut items = match stored.remove(&key) {
        Some(Value::Array(items)) => items,
        _ => Vec::new(),
    };
    let result = edit_items(&mut items, attribute, target, verb, value, unknown);
    if !items.is_empty() {
        stored.insert(key, Value::Array(items));
    }
    result
}

fn edit_items(
    items: &mut Vec<Value>,
    attribute: &Attribute,
    target: &Target,
    verb: Verb,
    value: &Value,
    unknown: UnknownHabit,
) -> Result<(), Refusal> {
    if target.filter.is_none() && target.sub.is_none() {
        return match verb {
            Verb::Remove => {
                items.clear();
                Ok(())
            }
            Verb::Replace => {
                let list = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
                let new = attribute_value(attribute, &Value::Array(list), unknown)?;
                *items = new.and_then(|new| new.as_array().cloned()).unwrap_or_default();
                Ok(())
            }
            Verb::Add => append(items, attribute, value, unknown),
        };
    }
    let chosen: Vec<bool> = items
        .iter()
        .map(|item| target.filter.as_ref().is_none_or(|filter| filter.matches(item, |_| false)))
        .collect();
    if !chosen.contains(&true) {
        return Err(Refusal::bad("noTarget", format!("no element of {} fits the path", attribute.name)));
    }
    if verb == Verb::Remove && target.sub.is_none() {
        let mut keep = chosen.iter().map(|chosen| !chosen);
        items.retain(|_| keep.next().unwrap_or(true));
        return Ok(());
    }
    for (item, _) in items.iter_mut().zip(chosen).filter(|(_, chosen)| *chosen) {
        let mut members = item.as_object().cloned().unwrap_or_default();
        match &target.sub {
            Some(sub) => {
                let sub = attribute
                    .sub(sub)
                    .ok_or_else(|| Refusal::bad("invalidPath", format!("no {}.{sub}", attribute.name)))?;
                set_member(&mut members, sub, verb, value, unknown)?;
            }
            None => {
                let new = single(attribute, value, unknown)?;
                members.extend(new.and_then(|new| new.as_object().cloned()).unwrap_or_default());
            }
        }
        *item = Value::Object(members);
    }
    Ok(())
}

/// Adds elements that are not there yet; a new primary ends the old one (section 3.5.2.1).
fn append(
    items: &mut Vec<Value>,
    attribute: &Attribute,
    value: &Value,
    unknown: UnknownHabit,
) -> Result<(), Refusal> {
    let list = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
    for item in list {
        let Some(item) = single(attribute, &item, unknown)? else { continue };
        if item["primary"] == true {
            for old in items.iter_mut().filter(|old| old["primary"] == true) {
                old["primary"] = Value::Bool(false);
            }
        }
        if !items.contains(&item) {
            items.push(item);
        }
    }
    Ok(())
}
