//! `[sync.user_type]` and `[sync.attributes]`: what is written about a person.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::DeValue;

use super::expression;
use crate::config::attribute_path::AttributePath;
use crate::config::raw::{self, At, Finding, Section};
use crate::config::{AttributeMapping, AttributeRule, GroupRule, UserType, mask, schema};

const DEFAULT_TYPE: &str = "Regular";
const DEFAULT_VALUES: &[&str] = &["Regular", "External", "Collaborator"];
const DEFAULT_BILLABLE: &[&str] = &["Regular", "External"];

/// Reads both tables. `groups` = the declared ones; `None` where they could not be read.
pub(super) fn check(sync: &Section<'_>, groups: Option<&[String]>) -> (Option<UserType>, Vec<AttributeRule>) {
    let user_type = sync.optional_section("user_type", schema::USER_TYPE);
    let user_type = user_type.and_then(|section| check_user_type(&section, groups));
    let attributes = check_attributes(sync, user_type.as_ref());
    (user_type, attributes)
}

fn check_user_type(section: &Section<'_>, groups: Option<&[String]>) -> Option<UserType> {
    if section.entry("path").is_none() {
        section.missing(
            "path",
            "write path = \"urn:…:User:userType\", as the workspace's SCIM documentation has it",
        );
    }
    let path = section.text("path", "urn:…:User:userType").and_then(|written| check_path(section, &written));
    let from = expression::check_key(section, "from");
    let values =
        section.names("values").unwrap_or_else(|| DEFAULT_VALUES.iter().map(ToString::to_string).collect());
    check_not_empty(section, "values");
    let default = section.text("default", DEFAULT_TYPE);
    check_default(section, default.as_ref(), &values);
    let billable = check_billable(section, &values);
    let groups = section
        .sections("groups", schema::GROUP_RULE)
        .iter()
        .filter_map(|rule| check_group_rule(rule, &values, groups))
        .collect();
    let default = default.map_or(DEFAULT_TYPE, |default| default.value).to_owned();
    Some(UserType { path: path?.to_string(), from, default, values, billable, groups })
}

fn check_not_empty(section: &Section<'_>, key: &str) {
    if let Some(list) = section.list(key).filter(|list| list.value.is_empty()) {
        let finding = Finding::new(list.span, format!("`{key}` is empty"));
        section.report(
            finding.help("list the user types of the workspace, such as [\"Regular\", \"External\"]"),
        );
    }
}

fn check_default(section: &Section<'_>, written: Option<&At<&str>>, values: &[String]) {
    let default = written.map_or(DEFAULT_TYPE, |default| default.value);
    let wrong_type = written.is_none() && section.entry("default").is_some();
    if wrong_type || values.iter().any(|value| value == default) {
        return;
    }
    let help = match values.first().filter(|first| !mask::is_revealing(first)) {
        Some(first) => format!("write one of the values, such as default = \"{first}\""),
        None => "list it in values".to_owned(),
    };
    let finding = match written {
        Some(at) => {
            let problem = format!("`default` cannot be {}: it is not in `values`", mask::echo(at.value));
            Finding::new(at.span.clone(), problem)
        }
        None => {
            let span = section.entry("values").map_or(section.span.clone(), |(_, value)| value.span());
            let problem =
                format!("`values` lacks \"{DEFAULT_TYPE}\", which is the default where none is written");
            Finding::new(span, problem)
        }
    };
    section.report(finding.help(help));
}

fn check_billable(section: &Section<'_>, values: &[String]) -> Vec<String> {
    let known = |billable: &str| values.iter().any(|value| value == billable);
    let Some(written) = section.list("billable") else {
        if !DEFAULT_BILLABLE.iter().all(|billable| known(billable)) {
            // Guessing which of somebody's own types cost money would make the seat count a lie.
            let span = section.entry("values").map_or(section.span.clone(), |(_, value)| value.span());
            let problem =
                "`values` are not the usual ones, so `billable` must say which of them take a paid seat";
            section.report(Finding::new(span, problem).help("write billable = [\"…\"]"));
        }
        return DEFAULT_BILLABLE.iter().map(ToString::to_string).collect();
    };
    for item in &written.value {
        if !known(item.value) {
            report_not_a_value(section, "billable", item, values);
        }
    }
    section.names("billable").unwrap_or_default()
}

fn report_not_a_value(section: &Section<'_>, key: &str, written: &At<&str>, values: &[String]) {
    let problem = format!("`{key}` cannot be {}: it is not in `values`", mask::echo(written.value));
    let mut finding = Finding::new(written.span.clone(), problem);
    if let Some(near) = schema::nearest(written.value, values.iter().map(String::as_str)) {
        finding = finding.label(format!("did you mean \"{near}\"?"));
    }
    section.report(finding.help("write one of the values, or add it to them"));
}

fn check_group_rule(rule: &Section<'_>, values: &[String], groups: Option<&[String]>) -> Option<GroupRule> {
    for key in rule.schema.keys {
        if rule.entry(key).is_none() {
            rule.missing(key, "write { group = \"Wrike Externals\", value = \"External\" }");
        }
    }
    let value = rule.text("value", "External");
    if let Some(value) = value.as_ref().filter(|value| !values.iter().any(|known| known == value.value)) {
        report_not_a_value(rule, "value", value, values);
    }
    let group = rule.text("group", "Wrike Externals")?;
    if let Some(declared) = groups
        && !declared.iter().any(|name| name == group.value)
    {
        let problem = format!("the group {} is not declared", mask::echo(group.value));
        let finding = Finding::new(group.span, problem).label("not in source.groups");
        rule.report(finding.help("add it to the list `groups` in [sync.source], spelled the same"));
    }
    Some(GroupRule { group: group.value.to_owned(), value: value?.value.to_owned() })
}

fn check_path(section: &Section<'_>, written: &At<&str>) -> Option<AttributePath> {
    let finding = match AttributePath::parse(written.value) {
        Ok(path) => return Some(path),
        Err(_) if mask::is_revealing(written.value) => {
            Finding::new(written.span.clone(), "this is not an attribute path")
        }
        Err(error) => {
            let finding = Finding::new(written.span.clone(), error.problem);
            match error.help {
                Some(help) => finding.help(help),
                None => finding,
            }
        }
    };
    section.report(finding);
    None
}

fn check_attributes(sync: &Section<'_>, user_type: Option<&UserType>) -> Vec<AttributeRule> {
    let Some((_, value)) = sync.entry("attributes") else { return Vec::new() };
    // Its keys are paths, so it has no schema; everything else about it is a table like any other.
    let Some(section) = sync.free_section("attributes") else {
        let problem = format!("`attributes` must be a table, not {}", raw::type_name(value.get_ref()));
        sync.report(
            Finding::new(value.span(), problem)
                .help("write [sync.attributes] and \"title\" = \"user.title\""),
        );
        return Vec::new();
    };
    let mut seen = BTreeMap::new();
    if let Some(user_type) = user_type {
        seen.insert(user_type.path.clone(), "[sync.user_type]");
    }
    let mut rules = Vec::new();
    for (key, value) in section.entries() {
        if let Some(rule) = check_attribute(&section, &key, value) {
            if let Some(place) = seen.insert(rule.path.clone(), "another line") {
                let finding = Finding::new(key.span, format!("`{}` is mapped twice", rule.path));
                section.report(finding.label(format!("{place} maps it already")).help("keep one"));
            }
            rules.push(rule);
        }
    }
    rules
}

fn check_attribute(
    section: &Section<'_>,
    key: &At<&str>,
    value: &Spanned<DeValue<'_>>,
) -> Option<AttributeRule> {
    if let Some(unquoted) = unquoted_path(key.value, value.get_ref()) {
        let finding = Finding::new(key.span.clone(), "a path with a dot must be quoted");
        section.report(finding.label("TOML reads this as a table").help(format!("write \"{unquoted}\" = …")));
        return None;
    }
    let path = check_path(section, key);
    let rule = check_mapping(section, key, value);
    let (path, rule) = (path?, rule?);
    if path.is_user_name() {
        let needless = match &rule {
            AttributeMapping::Off => true,
            AttributeMapping::From { clear_when_missing, .. } => *clear_when_missing,
        };
        if needless {
            let finding =
                Finding::new(value.span(), "`userName` cannot be left out: no account is without one");
            section.report(finding.help("write the expression that gives it, such as \"user.email\""));
            return None;
        }
    }
    Some(AttributeRule { path: path.to_string(), rule })
}

/// `name.givenName = …` without quotes arrives as a table `name`.
fn unquoted_path(key: &str, value: &DeValue<'_>) -> Option<String> {
    let table = value.as_table()?;
    let foreign = |name: &&str| !schema::ATTRIBUTE.keys.contains(name);
    let first = table.keys().map(|name| name.get_ref().as_ref()).find(foreign)?;
    let dotted = format!("{key}.{first}");
    AttributePath::parse(&dotted).is_ok().then_some(dotted)
}

fn check_mapping(
    section: &Section<'_>,
    key: &At<&str>,
    value: &Spanned<DeValue<'_>>,
) -> Option<AttributeMapping> {
    match value.get_ref() {
        DeValue::String(text) if text == "off" => Some(AttributeMapping::Off),
        DeValue::String(text) => {
            let written = At { value: text.as_ref(), span: value.span() };
            let expression = expression::check(section, &written)?;
            Some(AttributeMapping::From { expression, clear_when_missing: false })
        }
        DeValue::Table(table) => {
            let place = raw::place_of_table(key.span.clone(), value);
            let rule = Section::open(section.reading, schema::ATTRIBUTE, table, place);
            if rule.entry("from").is_none() {
                rule.missing("from", "write { from = \"user.phone\", on_missing = \"keep\" }");
            }
            let clear_when_missing = rule.choice("on_missing", &[("keep", false), ("clear", true)], false);
            let expression = expression::check_key(&rule, "from")?;
            Some(AttributeMapping::From { expression, clear_when_missing })
        }
        other @ (DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Array(_)) => {
            let problem = format!("a mapping is an expression in quotes, not {}", raw::type_name(other));
            let help =
                "write \"user.title\"; a fixed text has its own quotes inside: \"'Member'\"; or \"off\"";
            section.report(Finding::new(value.span(), problem).help(help));
            None
        }
    }
}
