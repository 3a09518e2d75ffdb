//! Owned attributes: SCIM attribute paths (RFC 7644 section 3.10) and the scalar values found at them.
//!
//! What lives here: parsing a path, reading and writing the value it names in a resource. What must not:
//! how a change travels (PATCH and PUT are `target`'s) and which attributes are owned (`core::mapping`'s).

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use serde::de::{Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

/// The URN of the enterprise extension (RFC 7643 section 4.3).
pub const ENTERPRISE_USER: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
/// The URN of the core User schema (RFC 7643 section 4.1).
pub const CORE_USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";

/// The values at a set of paths.
pub type Attributes = BTreeMap<AttributePath, Scalar>;

/// A single value. Multi-valued attributes are owned element by element, so every owned value is a scalar.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(untagged)]
pub enum Scalar {
    /// `true` or `false`.
    Flag(bool),
    /// A whole number.
    Integer(i64),
    /// Text.
    Text(String),
}

impl Scalar {
    /// The value as text, the way reports show it and comparisons fold it.
    pub fn as_text(&self) -> std::borrow::Cow<'_, str> {
        match self {
            Scalar::Flag(flag) => if *flag { "true" } else { "false" }.into(),
            Scalar::Integer(number) => number.to_string().into(),
            Scalar::Text(text) => text.as_str().into(),
        }
    }

    /// The JSON value that is sent.
    pub fn to_json(&self) -> Value {
        match self {
            Scalar::Flag(flag) => Value::Bool(*flag),
            Scalar::Integer(number) => Value::from(*number),
            Scalar::Text(text) => Value::String(text.clone()),
        }
    }

    /// Reads a JSON scalar; objects, lists, null and fractions are not owned values.
    pub fn from_json(value: &Value) -> Option<Scalar> {
        match value {
            Value::Bool(flag) => Some(Scalar::Flag(*flag)),
            Value::Number(number) => number.as_i64().map(Scalar::Integer),
            Value::String(text) => Some(Scalar::Text(text.clone())),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }
}

/// Written out: a derived `untagged` tries one variant after the other and formats an error for each that is not it,
/// for every value of every record that a run keeps aside.
impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl Visitor<'_> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("true, false, a whole number or text")
    }

    fn visit_bool<E: serde::de::Error>(self, flag: bool) -> Result<Scalar, E> {
        Ok(Scalar::Flag(flag))
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Scalar, E> {
        Ok(Scalar::Integer(number))
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Scalar, E> {
        let too_large = |_| E::invalid_value(Unexpected::Unsigned(number), &self);
        i64::try_from(number).map(Scalar::Integer).map_err(too_large)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Scalar, E> {
        Ok(Scalar::Text(text.to_owned()))
    }

    fn visit_string<E: serde::de::Error>(self, text: String) -> Result<Scalar, E> {
        Ok(Scalar::Text(text))
    }
}

impl From<&str> for Scalar {
    fn from(text: &str) -> Scalar {
        Scalar::Text(text.to_owned())
    }
}

/// Which element of a multi-valued attribute is owned: `[primary eq true]`, `[type eq "work"]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    /// The sub-attribute compared.
    pub attribute: String,
    /// The value it must have.
    pub value: Scalar,
}

#[derive(Debug, PartialEq, Eq)]
struct Parts {
    text: String,
    schema: Option<String>,
    attribute: String,
    selector: Option<Selector>,
    sub_attribute: Option<String>,
}

/// A parsed attribute path; cheap to clone. Ordered and compared by its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributePath(Arc<Parts>);

/// Why a text is no attribute path that can be owned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PathError(String);

impl AttributePath {
    /// Parses `title`, `name.givenName`, `emails[primary eq true].value` and the same behind a schema URN.
    pub fn parse(text: &str) -> Result<AttributePath, PathError> {
        let text = text.trim();
        let (schema, rest) = split_schema(text)?;
        let (head, selector, tail) = match rest.split_once('[') {
            None => match rest.split_once('.') {
                None => (rest, None, None),
                Some((head, sub)) => (head, None, Some(sub)),
            },
            Some((head, after)) => {
                let (filter, tail) =
                    after.split_once(']').ok_or_else(|| PathError(format!("`{text}`: `[` without `]`")))?;
                let sub = tail.strip_prefix('.').ok_or_else(|| {
                    PathError(format!(
                        "`{text}`: name the value of the element, as in `{head}[{filter}].value`"
                    ))
                })?;
                (head, Some(parse_selector(text, filter)?), Some(sub))
            }
        };
        check_name(text, head)?;
        if let Some(sub) = tail {
            check_name(text, sub)?;
        }
        Ok(AttributePath(Arc::new(Parts {
            text: text.to_owned(),
            schema: schema.map(str::to_owned),
            attribute: head.to_owned(),
            selector,
            sub_attribute: tail.map(str::to_owned),
        })))
    }

    /// A path that is known to be well formed.
    pub fn known(text: &str) -> AttributePath {
        AttributePath::parse(text).expect("a path written in the program is well formed")
    }

    /// `userName`
    pub fn user_name() -> AttributePath {
        static PATH: LazyLock<AttributePath> = LazyLock::new(|| AttributePath::known("userName"));
        PATH.clone()
    }

    /// `externalId`
    pub fn external_id() -> AttributePath {
        static PATH: LazyLock<AttributePath> = LazyLock::new(|| AttributePath::known("externalId"));
        PATH.clone()
    }

    /// `active`
    pub fn active() -> AttributePath {
        static PATH: LazyLock<AttributePath> = LazyLock::new(|| AttributePath::known("active"));
        PATH.clone()
    }

    /// `emails[primary eq true].value`
    pub fn primary_email() -> AttributePath {
        static PATH: LazyLock<AttributePath> =
            LazyLock::new(|| AttributePath::known("emails[primary eq true].value"));
        PATH.clone()
    }

    /// The path as written.
    pub fn as_str(&self) -> &str {
        &self.0.text
    }

    /// The extension's URN; `None` for the core schema.
    pub fn schema(&self) -> Option<&str> {
        self.0.schema.as_deref()
    }

    /// The attribute's name.
    pub fn attribute(&self) -> &str {
        &self.0.attribute
    }

    /// The element of a multi-valued attribute.
    pub fn selector(&self) -> Option<&Selector> {
        self.0.selector.as_ref()
    }

    /// The sub-attribute's name.
    pub fn sub_attribute(&self) -> Option<&str> {
        self.0.sub_attribute.as_deref()
    }

    /// Whether login and mail comparisons apply: `userName` and e-mail values are not case exact (RFC 7643).
    pub fn ignores_case(&self) -> bool {
        self.schema().is_none()
            && (self.attribute().eq_ignore_ascii_case("userName")
                || self.attribute().eq_ignore_ascii_case("emails"))
    }

    /// Whether an account cannot exist without it, so that a refusal is the person's, not the attribute's.
    pub fn is_essential(&self) -> bool {
        self.ignores_case()
            || (self.schema().is_none() && matches!(self.attribute(), "externalId" | "active"))
    }

    /// The value that `resource` has here.
    pub fn read(&self, resource: &Map<String, Value>) -> Option<Scalar> {
        let container = match self.schema() {
            None => resource,
            Some(urn) => member(resource, urn)?.as_object()?,
        };
        let value = member(container, self.attribute())?;
        match (self.selector(), self.sub_attribute()) {
            (None, None) => Scalar::from_json(value),
            (None, Some(sub)) => Scalar::from_json(member(value.as_object()?, sub)?),
            (Some(selector), sub) => {
                let element = owned_element(value.as_array()?, selector)?;
                Scalar::from_json(member(element, sub.unwrap_or("value"))?)
            }
        }
    }
}

/// The element of `list` that `selector` owns: the one that matches; for `primary eq true`, where no element
/// is marked primary, the one of type work, or the only one that bears neither mark (servers drop both).
pub fn owned_element<'a>(list: &'a [Value], selector: &Selector) -> Option<&'a Map<String, Value>> {
    owned_index(list, selector).and_then(|index| list[index].as_object())
}

/// The index of the element that [`owned_element`] finds.
pub fn owned_index(list: &[Value], selector: &Selector) -> Option<usize> {
    let objects = || list.iter().enumerate().filter_map(|(index, item)| Some((index, item.as_object()?)));
    let matches = |object: &Map<String, Value>, attribute: &str, value: &Scalar| {
        member(object, attribute)
            .and_then(Scalar::from_json)
            .is_some_and(|found| found == *value || found.as_text().eq_ignore_ascii_case(&value.as_text()))
    };
    let exact = objects().find(|(_, object)| matches(object, &selector.attribute, &selector.value));
    if exact.is_some() || !selector.attribute.eq_ignore_ascii_case("primary") {
        return exact.map(|(index, _)| index);
    }
    let any_primary = objects().any(|(_, object)| matches(object, "primary", &Scalar::Flag(true)));
    if any_primary {
        return None;
    }
    let work = objects().find(|(_, object)| matches(object, "type", &Scalar::from("work")));
    let unmarked = || {
        (list.len() == 1).then(|| objects().find(|(_, object)| member(object, "type").is_none())).flatten()
    };
    work.or_else(unmarked).map(|(index, _)| index)
}

/// A member of an object by its name; SCIM attribute names and schema URNs ignore case (RFC 7643 section 2.1).
pub fn member<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    object
        .get(name)
        .or_else(|| object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value))
}

fn split_schema(text: &str) -> Result<(Option<&str>, &str), PathError> {
    if !text.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("urn:")) {
        return Ok((None, text));
    }
    // The URN itself holds dots ("2.0"), so the attribute begins behind its last colon before any filter.
    let end = text.find('[').unwrap_or(text.len());
    let colon =
        text[..end].rfind(':').ok_or_else(|| PathError(format!("`{text}`: no attribute behind the URN")))?;
    let (urn, rest) = (&text[..colon], &text[colon + 1..]);
    if urn.eq_ignore_ascii_case(CORE_USER) { Ok((None, rest)) } else { Ok((Some(urn), rest)) }
}

fn parse_selector(text: &str, filter: &str) -> Result<Selector, PathError> {
    let bad = || PathError(format!("`{text}`: only `[attribute eq value]` can choose an element"));
    let (attribute, rest) = filter.trim().split_once(char::is_whitespace).ok_or_else(bad)?;
    let (operator, value) = rest.trim_start().split_once(char::is_whitespace).ok_or_else(bad)?;
    if !operator.eq_ignore_ascii_case("eq") {
        return Err(bad());
    }
    check_name(text, attribute)?;
    let json: Value = serde_json::from_str(value.trim()).map_err(|_| {
        PathError(format!("`{text}`: write the value as JSON: true, 1 or \"text\" in double quotes"))
    })?;
    let value = Scalar::from_json(&json).ok_or_else(bad)?;
    Ok(Selector { attribute: attribute.to_owned(), value })
}

fn check_name(text: &str, name: &str) -> Result<(), PathError> {
    // RFC 7643 section 2.1: ATTRNAME = ALPHA *(nameChar); "$" leads `$ref`.
    let mut characters = name.chars();
    let starts_well = characters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '$');
    if starts_well && characters.all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_') {
        Ok(())
    } else {
        Err(PathError(format!("`{text}`: `{name}` is no attribute name")))
    }
}

impl std::fmt::Display for AttributePath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl PartialOrd for AttributePath {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for AttributePath {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl Serialize for AttributePath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for AttributePath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        AttributePath::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_scalar_comes_back_as_it_was_written_and_nothing_else_is_one() {
        for scalar in
            [Scalar::Flag(true), Scalar::Integer(-7), Scalar::Integer(i64::MAX), Scalar::from("é \"\\\"")]
        {
            let text = serde_json::to_string(&scalar).unwrap();
            assert_eq!(serde_json::from_str::<Scalar>(&text).unwrap(), scalar);
            assert_eq!(serde_json::from_value::<Scalar>(scalar.to_json()).unwrap(), scalar);
        }
        for other in ["null", "1.5", "[]", "{}", "18446744073709551615"] {
            assert!(serde_json::from_str::<Scalar>(other).is_err(), "{other}");
        }
    }

    fn read(path: &str, resource: Value) -> Option<Scalar> {
        AttributePath::parse(path).unwrap().read(resource.as_object().unwrap())
    }

    #[test]
    fn every_documented_form_of_path_parses() {
        let path = AttributePath::parse("emails[type eq \"work\"].value").unwrap();
        assert_eq!((path.attribute(), path.sub_attribute()), ("emails", Some("value")));
        let path = AttributePath::parse(&format!("{ENTERPRISE_USER}:department")).unwrap();
        assert_eq!((path.schema(), path.attribute()), (Some(ENTERPRISE_USER), "department"));
        let path = AttributePath::parse(&format!("{CORE_USER}:name.givenName")).unwrap();
        assert_eq!(
            (path.schema(), path.attribute(), path.sub_attribute()),
            (None, "name", Some("givenName"))
        );
    }

    #[test]
    fn what_is_no_path_is_refused_with_the_reason() {
        for text in [
            "",
            "emails[primary eq true]",
            "emails[primary eq true",
            "a b",
            "emails[x co 1].value",
            ".x",
            "1a",
        ] {
            assert!(AttributePath::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_primary_element_is_found_also_where_the_server_dropped_its_marks() {
        let path = "emails[primary eq true].value";
        let cases = [
            (json!([{"value": "h", "type": "home"}, {"value": "w", "primary": true}]), Some("w")),
            (json!([{"value": "h", "type": "home"}, {"value": "w", "type": "work"}]), Some("w")),
            (json!([{"value": "only"}]), Some("only")),
            (json!([{"value": "h", "type": "home"}]), None),
            (json!([{"value": "w", "type": "work"}, {"value": "p", "primary": "True"}]), Some("p")),
        ];
        for (emails, expected) in cases {
            let found = read(path, json!({"Emails": emails.clone()}));
            assert_eq!(found, expected.map(Scalar::from), "{emails}");
        }
    }

    #[test]
    fn attribute_names_and_urns_ignore_case() {
        let resource = json!({ENTERPRISE_USER.to_uppercase(): {"DEPARTMENT": "Sales"}});
        assert_eq!(read(&format!("{ENTERPRISE_USER}:department"), resource), Some(Scalar::from("Sales")));
    }
}
