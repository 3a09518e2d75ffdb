//! Attribute paths as the configuration may name them (RFC 7644 section 3.5.2, figure 1), a subset.
//!
//! What lives here: reading a path, its canonical spelling, and which attributes may not be mapped. What must
//! not: values. One element of a multi-valued attribute is chosen with `eq`, because rosterd owns single
//! elements and must be able to find them again.

use std::fmt;

use super::schema::nearest;

/// The core schema's URN; written in front of a core attribute it is superfluous (RFC 7644 section 3.10).
const CORE: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
/// The enterprise extension's URN (RFC 7643 section 4.3).
pub(super) const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

const SIMPLE: &[&str] = &[
    "userName",
    "displayName",
    "nickName",
    "profileUrl",
    "title",
    "userType",
    "preferredLanguage",
    "locale",
    "timezone",
];
const NAME_PARTS: &[&str] =
    &["formatted", "familyName", "givenName", "middleName", "honorificPrefix", "honorificSuffix"];
const MULTI_VALUED: &[&str] =
    &["emails", "phoneNumbers", "ims", "photos", "addresses", "entitlements", "roles", "x509Certificates"];
const MULTI_VALUED_PARTS: &[&str] = &["value", "display", "type", "primary"];
const ADDRESS_PARTS: &[&str] =
    &["formatted", "streetAddress", "locality", "region", "postalCode", "country", "type", "primary"];
const ENTERPRISE_NAMES: &[&str] =
    &["employeeNumber", "costCenter", "organization", "division", "department", "manager"];
const MANAGER_PARTS: &[&str] = &["value", "displayName"];

/// Attributes that are not for mapping, and why.
const REFUSED: &[(&str, &str)] = &[
    ("id", "the target gives it"),
    ("meta", "the target gives it"),
    ("schemas", "rosterd sends the schemas of what it writes"),
    ("password", "rosterd never sends one: people log in through the identity provider"),
    ("groups", "it is read-only (RFC 7643 section 4.1.2); roles and groups are not provisioned"),
    ("active", "the lifecycle decides it: see [sync.lifecycle]"),
    ("externalId", "rosterd keeps the source's id in it, to find people again"),
];

/// A checked path; `Display` is its canonical spelling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AttributePath {
    /// Schema of an extension; `None` = core.
    urn: Option<String>,
    attribute: String,
    filter: Option<Filter>,
    sub_attribute: Option<String>,
}

/// `[type eq "work"]`
#[derive(Debug, Clone, PartialEq, Eq)]
struct Filter {
    attribute: String,
    /// As JSON.
    value: String,
}

/// Why a path cannot be mapped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PathError {
    pub problem: String,
    pub help: Option<String>,
}

impl PathError {
    fn new(problem: impl Into<String>) -> Self {
        Self { problem: problem.into(), help: None }
    }

    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl AttributePath {
    pub(super) fn parse(text: &str) -> Result<Self, PathError> {
        let path = Self::parse_syntax(text.trim())?;
        match path.urn.as_deref() {
            None => path.checked_core(),
            Some(ENTERPRISE) => path.checked_enterprise(),
            Some(_) => path.checked_multi_valued(),
        }
    }

    /// Whether this is an attribute that no account can do without.
    pub(super) fn is_user_name(&self) -> bool {
        self.urn.is_none() && self.attribute == "userName"
    }

    fn parse_syntax(text: &str) -> Result<Self, PathError> {
        let (before_filter, filter, after_filter) = split_filter(text)?;
        let (urn, names) = split_urn(before_filter)?;
        let (attribute, sub_attribute) = match (&filter, names.split_once('.')) {
            (Some(_), Some(_)) => {
                return Err(PathError::new("a filter follows the attribute, not a part of it"));
            }
            (Some(_), None) => (names, after_filter.strip_prefix('.')),
            (None, Some((attribute, part))) => (attribute, Some(part)),
            (None, None) => (names, None),
        };
        if filter.is_some() && sub_attribute.is_none() {
            return Err(PathError::new("a filter needs the part that is meant behind it")
                .help(format!("write \"{text}.value\"")));
        }
        for name in [Some(attribute), sub_attribute].into_iter().flatten() {
            check_name(name)?;
        }
        Ok(Self {
            urn,
            attribute: attribute.to_owned(),
            filter,
            sub_attribute: sub_attribute.map(ToOwned::to_owned),
        })
    }

    fn checked_core(mut self) -> Result<Self, PathError> {
        if let Some((name, why)) = REFUSED.iter().find(|(name, _)| name.eq_ignore_ascii_case(&self.attribute))
        {
            return Err(PathError::new(format!("`{name}` cannot be mapped: {why}")));
        }
        if let Some(name) = find(&["name"], &self.attribute) {
            self.attribute = name.to_owned();
            return self.with_part_of(NAME_PARTS, "name.givenName");
        }
        if let Some(name) = find(MULTI_VALUED, &self.attribute) {
            self.attribute = name.to_owned();
            return self.checked_multi_valued();
        }
        if let Some(name) = find(SIMPLE, &self.attribute) {
            self.attribute = name.to_owned();
            return self.without_parts();
        }
        let unknown = PathError::new(format!("`{}` is no attribute of a SCIM User", self.attribute));
        if let Some(name) = find(ENTERPRISE_NAMES, &self.attribute) {
            return Err(
                unknown.help(format!("it belongs to the enterprise extension: \"{ENTERPRISE}:{name}\""))
            );
        }
        let known = SIMPLE.iter().chain(MULTI_VALUED).chain(&["name"]).copied();
        Err(match nearest(&self.attribute, known) {
            Some(near) => unknown.help(format!("the nearest one is `{near}`")),
            None => {
                unknown.help("an attribute of an extension is written with its URN: \"urn:…:User:attribute\"")
            }
        })
    }

    fn checked_enterprise(mut self) -> Result<Self, PathError> {
        let Some(name) = find(ENTERPRISE_NAMES, &self.attribute) else {
            let unknown = PathError::new(format!("`{}` is not in the enterprise extension", self.attribute));
            return Err(unknown.help(format!("it has: {}", ENTERPRISE_NAMES.join(", "))));
        };
        self.attribute = name.to_owned();
        if name == "manager" {
            return self.with_part_of(MANAGER_PARTS, &format!("{ENTERPRISE}:manager.value"));
        }
        self.without_parts()
    }

    /// One element of a multi-valued attribute; of an extension anything goes, its schema is not known here.
    fn checked_multi_valued(mut self) -> Result<Self, PathError> {
        let core = self.urn.is_none();
        let parts = if self.attribute == "addresses" { ADDRESS_PARTS } else { MULTI_VALUED_PARTS };
        let example = format!("{}[primary eq true].{}", self.attribute, parts[0]);
        let Some(filter) = &mut self.filter else {
            if !core {
                return Ok(self);
            }
            return Err(PathError::new(format!("`{}` has several elements; say which one", self.attribute))
                .help(format!(
                    "write \"{example}\" or \"{}[type eq \\\"work\\\"].{}\"",
                    self.attribute, parts[0]
                )));
        };
        if !core {
            return Ok(self);
        }
        match find(MULTI_VALUED_PARTS, &filter.attribute) {
            Some(name) => filter.attribute = name.to_owned(),
            None => {
                return Err(PathError::new(format!(
                    "elements cannot be told apart by `{}`",
                    filter.attribute
                ))
                .help(format!("write \"{example}\"")));
            }
        }
        if (filter.attribute == "primary") == filter.value.starts_with('"') {
            return Err(PathError::new(
                "`primary` is compared with true or false, everything else with a string",
            )
            .help(format!("write \"{example}\"")));
        }
        self.with_part_of(parts, &example)
    }

    fn with_part_of(mut self, parts: &[&str], example: &str) -> Result<Self, PathError> {
        if self.filter.is_some() && !MULTI_VALUED.contains(&self.attribute.as_str()) {
            return Err(PathError::new(format!("`{}` has one value; it takes no filter", self.attribute)));
        }
        let Some(part) = &self.sub_attribute else {
            return Err(PathError::new(format!("`{}` has parts; say which one", self.attribute))
                .help(format!("write \"{example}\"")));
        };
        match find(parts, part) {
            Some(name) => self.sub_attribute = Some(name.to_owned()),
            None => {
                return Err(PathError::new(format!("`{}` has no part `{part}`", self.attribute))
                    .help(format!("it has: {}", parts.join(", "))));
            }
        }
        Ok(self)
    }

    fn without_parts(self) -> Result<Self, PathError> {
        if self.filter.is_some() || self.sub_attribute.is_some() {
            return Err(PathError::new(format!("`{}` is a plain value without parts", self.attribute))
                .help(format!("write \"{}\"", Self { filter: None, sub_attribute: None, ..self })));
        }
        Ok(self)
    }
}

impl fmt::Display for AttributePath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(urn) = &self.urn {
            write!(formatter, "{urn}:")?;
        }
        formatter.write_str(&self.attribute)?;
        if let Some(Filter { attribute, value }) = &self.filter {
            write!(formatter, "[{attribute} eq {value}]")?;
        }
        match &self.sub_attribute {
            Some(part) => write!(formatter, ".{part}"),
            None => Ok(()),
        }
    }
}

/// Names are case-insensitive (RFC 7643 section 2.1); the canonical spelling is the schema's.
fn find<'n>(names: &[&'n str], written: &str) -> Option<&'n str> {
    names.iter().copied().find(|name| name.eq_ignore_ascii_case(written))
}

/// `ATTRNAME = ALPHA *(nameChar)`
fn check_name(name: &str) -> Result<(), PathError> {
    let part = |character: char| character.is_ascii_alphanumeric() || "-_$".contains(character);
    let first = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '$');
    if first && name.chars().all(part) {
        return Ok(());
    }
    let problem =
        if name.is_empty() { "an attribute name is missing" } else { "this is not an attribute name" };
    Err(PathError::new(problem)
        .help("write a path such as \"title\", \"name.givenName\" or \"emails[primary eq true].value\""))
}

fn split_filter(text: &str) -> Result<(&str, Option<Filter>, &str), PathError> {
    let Some((before, rest)) = text.split_once('[') else { return Ok((text, None, "")) };
    let Some((inside, after)) = rest.rsplit_once(']') else {
        return Err(
            PathError::new("the bracket is not closed").help("write \"emails[primary eq true].value\"")
        );
    };
    if !after.is_empty() && !after.starts_with('.') {
        return Err(PathError::new("after `]` comes a dot and the part that is meant")
            .help("write \"emails[primary eq true].value\""));
    }
    let only_eq = || {
        PathError::new("elements are chosen by one comparison with `eq`")
            .help("write [primary eq true] or [type eq \"work\"]")
    };
    let Some((attribute, rest)) = inside.trim_start().split_once(char::is_whitespace) else {
        return Err(only_eq());
    };
    let Some((operator, value)) = rest.trim_start().split_once(char::is_whitespace) else {
        return Err(only_eq());
    };
    if !operator.eq_ignore_ascii_case("eq") {
        return Err(only_eq());
    }
    check_name(attribute)?;
    let value = match serde_json::from_str(value.trim()) {
        Ok(value @ (serde_json::Value::Bool(_) | serde_json::Value::String(_))) => value.to_string(),
        _ => return Err(only_eq()),
    };
    Ok((before, Some(Filter { attribute: attribute.to_owned(), value }), after))
}

fn split_urn(text: &str) -> Result<(Option<String>, &str), PathError> {
    let Some((urn, names)) = text.rsplit_once(':') else { return Ok((None, text)) };
    let prefixed = urn.get(..4).is_some_and(|prefix| prefix.eq_ignore_ascii_case("urn:"));
    let part = |character: char| character.is_ascii_alphanumeric() || "-._:()+,=@;$!*'%/".contains(character);
    if !prefixed || !urn.chars().all(part) || urn.split(':').count() < 3 || urn.split(':').any(str::is_empty)
    {
        return Err(PathError::new("what stands before the last colon is not a URN")
            .help(format!("write it in full, such as \"{ENTERPRISE}:department\"")));
    }
    if urn.eq_ignore_ascii_case(CORE) {
        return Ok((None, names));
    }
    let urn = if urn.eq_ignore_ascii_case(ENTERPRISE) { ENTERPRISE } else { urn };
    Ok((Some(urn.to_owned()), names))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_one_canonical_spelling() {
        let cases = [
            ("title", "title"),
            ("Title", "title"),
            ("urn:ietf:params:scim:schemas:core:2.0:User:title", "title"),
            ("name.givenname", "name.givenName"),
            ("emails[ primary  EQ true ].value", "emails[primary eq true].value"),
            ("phoneNumbers[type eq \"work\"].value", "phoneNumbers[type eq \"work\"].value"),
            ("addresses[type eq \"work\"].country", "addresses[type eq \"work\"].country"),
            (
                "urn:ietf:params:scim:schemas:extension:enterprise:2.0:user:department",
                "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
            ),
            ("urn:wrike:scim:1.0:User:userType", "urn:wrike:scim:1.0:User:userType"),
            ("urn:acme:2.0:User:badge.number", "urn:acme:2.0:User:badge.number"),
            (
                "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value",
                "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value",
            ),
        ];
        for (written, canonical) in cases {
            assert_eq!(AttributePath::parse(written).unwrap().to_string(), canonical);
            assert_eq!(AttributePath::parse(canonical).unwrap().to_string(), canonical);
        }
    }

    #[test]
    fn what_cannot_be_mapped_says_why() {
        let cases = [
            ("", "an attribute name is missing"),
            ("id", "`id` cannot be mapped: the target gives it"),
            ("META", "`meta` cannot be mapped: the target gives it"),
            ("password", "`password` cannot be mapped: rosterd never sends one"),
            ("groups", "`groups` cannot be mapped: it is read-only"),
            ("active", "`active` cannot be mapped: the lifecycle decides it"),
            ("externalId", "`externalId` cannot be mapped: rosterd keeps the source's id"),
            ("schemas", "`schemas` cannot be mapped"),
            ("titel", "`titel` is no attribute of a SCIM User"),
            ("department", "`department` is no attribute of a SCIM User"),
            ("name", "`name` has parts; say which one"),
            ("name.first", "`name` has no part `first`"),
            ("title.value", "`title` is a plain value without parts"),
            ("emails", "`emails` has several elements; say which one"),
            ("emails.value", "`emails` has several elements; say which one"),
            ("emails[primary eq true]", "a filter needs the part that is meant behind it"),
            ("emails[primary eq \"true\"].value", "`primary` is compared with true or false"),
            ("emails[type eq true].value", "`primary` is compared with true or false"),
            ("emails[type co \"w\"].value", "elements are chosen by one comparison with `eq`"),
            (
                "emails[type eq \"a\" or type eq \"b\"].value",
                "elements are chosen by one comparison with `eq`",
            ),
            ("emails[primary eq true.value", "the bracket is not closed"),
            ("emails[primary eq true]value", "after `]` comes a dot"),
            ("na me", "this is not an attribute name"),
            ("name.", "an attribute name is missing"),
            ("wrike:userType", "what stands before the last colon is not a URN"),
            ("urn:…:User:userType", "what stands before the last colon is not a URN"),
        ];
        for (written, problem) in cases {
            let error = AttributePath::parse(written).unwrap_err();
            assert!(error.problem.starts_with(problem), "{written}: {}", error.problem);
        }
        let help = |path| AttributePath::parse(path).unwrap_err().help.unwrap();
        assert_eq!(
            help("department"),
            "it belongs to the enterprise extension: \
             \"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department\""
        );
        assert_eq!(help("titel"), "the nearest one is `title`");
    }
}
