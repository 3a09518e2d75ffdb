//! Attribute paths as the habits and the `attributes` parameter write them: `title`, `name.familyName`,
//! `emails.type`, `urn:…:User:department`, or a whole extension by its URN.

use super::schema::{self, CORE};
use serde_json::{Map, Value};

/// A path, resolved against the schemas that the workspace knows.
#[derive(Clone, Debug)]
pub(super) struct AttributePath {
    /// URN of an extension; none for the core schema.
    extension: Option<String>,
    attribute: Option<String>,
    sub: Option<String>,
}

impl AttributePath {
    pub(super) fn parse(text: &str) -> Self {
        if let Some(schema) = schema::extension(text) {
            return Self { extension: Some(schema.id.clone()), attribute: None, sub: None };
        }
        let (urn, name) = text.rsplit_once(':').map_or((None, text), |(urn, name)| (Some(urn), name));
        let (attribute, sub) =
            name.split_once('.').map_or((name, None), |(name, sub)| (name, Some(sub.to_owned())));
        let extension = urn
            .filter(|urn| !urn.eq_ignore_ascii_case(CORE))
            .map(|urn| schema::extension(urn).map_or_else(|| urn.to_owned(), |schema| schema.id.clone()));
        Self { extension, attribute: Some(attribute.to_owned()), sub }
    }

    /// The value the path leads to; of a list's sub-attribute, the list of what its elements have.
    pub(super) fn get(&self, resource: &Map<String, Value>) -> Option<Value> {
        let holder = match &self.extension {
            Some(urn) => entry(resource, urn)?.1.as_object()?,
            None => resource,
        };
        let Some(attribute) = &self.attribute else { return Some(Value::Object(holder.clone())) };
        let value = entry(holder, attribute)?.1;
        match (&self.sub, value) {
            (None, value) => Some(value.clone()),
            (Some(sub), Value::Object(members)) => entry(members, sub).map(|(_, value)| value.clone()),
            (Some(sub), Value::Array(items)) => {
                let found: Vec<Value> = items
                    .iter()
                    .filter_map(Value::as_object)
                    .filter_map(|members| entry(members, sub).map(|(_, value)| value.clone()))
                    .collect();
                (!found.is_empty()).then_some(Value::Array(found))
            }
            _ => None,
        }
    }

    /// Removes what the path leads to.
    pub(super) fn remove(&self, resource: &mut Map<String, Value>) {
        let Some(attribute) = &self.attribute else {
            if let Some(urn) = &self.extension {
                remove(resource, urn);
            }
            return;
        };
        match &self.extension {
            None => remove_below(resource, attribute, self.sub.as_deref()),
            Some(urn) => {
                let Some(key) = entry(resource, urn).map(|(key, _)| key.clone()) else { return };
                if let Some(holder) = resource.get_mut(&key).and_then(Value::as_object_mut) {
                    remove_below(holder, attribute, self.sub.as_deref());
                    if holder.is_empty() {
                        resource.remove(&key);
                    }
                }
            }
        }
    }

    /// Copies what the path leads to from one resource into another that has nothing there.
    pub(super) fn copy(&self, from: &Map<String, Value>, into: &mut Map<String, Value>) {
        let (Some(value), Some(attribute)) = (self.get(from), &self.attribute) else { return };
        let holder = match &self.extension {
            None => into,
            Some(urn) => {
                let holder = into.entry(urn.clone()).or_insert_with(|| Value::Object(Map::new()));
                match holder.as_object_mut() {
                    Some(holder) => holder,
                    None => return,
                }
            }
        };
        match &self.sub {
            None => {
                holder.insert(attribute.clone(), value);
            }
            Some(sub) => {
                let complex = holder.entry(attribute.clone()).or_insert_with(|| Value::Object(Map::new()));
                if let Some(complex) = complex.as_object_mut() {
                    complex.insert(sub.clone(), value);
                }
            }
        }
    }

    /// Whether this key at the top of a resource leads towards the path.
    pub(super) fn starts_with(&self, key: &str) -> bool {
        let first = self.extension.as_ref().or(self.attribute.as_ref());
        first.is_some_and(|first| first.eq_ignore_ascii_case(key))
    }
}

fn entry<'a>(map: &'a Map<String, Value>, name: &str) -> Option<(&'a String, &'a Value)> {
    map.get_key_value(name).or_else(|| map.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)))
}

fn remove(map: &mut Map<String, Value>, name: &str) {
    map.retain(|key, _| !key.eq_ignore_ascii_case(name));
}

fn remove_below(holder: &mut Map<String, Value>, attribute: &str, sub: Option<&str>) {
    let Some(sub) = sub else { return remove(holder, attribute) };
    let Some(key) = entry(holder, attribute).map(|(key, _)| key.clone()) else { return };
    match holder.get_mut(&key) {
        Some(Value::Object(members)) => remove(members, sub),
        Some(Value::Array(items)) => {
            items.iter_mut().filter_map(Value::as_object_mut).for_each(|members| remove(members, sub));
        }
        _ => {}
    }
}

/// What `attributes` and `excludedAttributes` leave of a resource (RFC 7644 section 3.9). `id` and `schemas` are
/// always returned.
pub(super) fn project(resource: Value, attributes: &[String], excluded: &[String]) -> Value {
    let Value::Object(whole) = resource else { return resource };
    let mut kept = Map::new();
    if attributes.is_empty() {
        kept = whole.clone();
        for path in excluded.iter().map(|text| AttributePath::parse(text)) {
            path.remove(&mut kept);
        }
    } else {
        for path in attributes.iter().map(|text| AttributePath::parse(text)) {
            let Some(key) = whole.keys().find(|key| path.starts_with(key)) else { continue };
            take(&path, key, &whole, &mut kept);
        }
    }
    for always in ["id", "schemas"] {
        if let Some(value) = whole.get(always) {
            kept.insert(always.to_owned(), value.clone());
        }
    }
    Value::Object(kept)
}

/// Takes one requested path over into the projection.
fn take(path: &AttributePath, key: &str, whole: &Map<String, Value>, kept: &mut Map<String, Value>) {
    match (&path.extension, &path.attribute, &path.sub) {
        (Some(_), Some(_), _) => path.copy(whole, kept),
        (None, _, Some(sub)) if whole[key].is_array() => {
            let only = |item: &Value| {
                let members = item.as_object().and_then(|members| entry(members, sub));
                members
                    .map(|(name, value)| Value::Object([(name.clone(), value.clone())].into_iter().collect()))
            };
            let items: Vec<Value> = whole[key].as_array().into_iter().flatten().filter_map(only).collect();
            kept.insert(key.to_owned(), Value::Array(items));
        }
        (None, _, Some(sub)) => {
            let found = whole[key].as_object().and_then(|members| entry(members, sub));
            if let Some((name, value)) = found {
                let complex = kept.entry(key.to_owned()).or_insert_with(|| Value::Object(Map::new()));
                if let Some(complex) = complex.as_object_mut() {
                    complex.insert(name.clone(), value.clone());
                }
            }
        }
        _ => {
            kept.insert(key.to_owned(), whole[key].clone());
        }
    }
}
