//! Mapping: from a person to the account that person should have.
//!
//! What lives here: which attributes are owned, their values, scope and approved domains. What must not: links,
//! what the target has, what follows from it.

use serde::{Deserialize, Serialize};

use std::collections::BTreeSet;

mod trace;

pub use trace::Evaluated;

use super::expression::{ExpressionId, Expressions, Names};
use crate::config::{AttributeMapping, AttributeRule, Scope, UserType};
use crate::model::attributes::{AttributePath, Attributes, ENTERPRISE_USER, Scalar};
use crate::model::digest::DigestKey;
use crate::model::folding;
use crate::model::id::Vendor;
use crate::model::identity::{Identity, Profile};
use crate::model::plan::DesiredAccount;

/// Raised whenever the same configuration would map to something else, so that stored digests stop matching.
const MAPPING_VERSION: &str = "1";

/// The compiled mapping of one sync.
#[derive(Debug)]
pub struct Mapping {
    vendor: Vendor,
    rules: Vec<Rule>,
    user_type: Option<UserTypeRule>,
    domains: BTreeSet<String>,
    scope: Option<ExpressionId>,
    scope_names: Vec<String>,
    expressions: Expressions,
    key: DigestKey,
}

#[derive(Debug)]
struct Rule {
    path: AttributePath,
    from: From,
    /// The expression as written, or the built-in attribute as an expression would name it.
    text: String,
    clear_when_missing: bool,
}

/// Reads one normalised attribute.
type Read = fn(&Profile) -> Option<&str>;

#[derive(Debug, Clone, Copy)]
enum From {
    Profile(Read),
    Expression(ExpressionId),
}

#[derive(Debug)]
struct UserTypeRule {
    path: AttributePath,
    from: Option<ExpressionId>,
    config: UserType,
}

/// A person who can have an account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mapped {
    /// The account to be.
    pub desired: DesiredAccount,
    /// The user type, where one is managed and allowed.
    pub user_type: Option<String>,
    /// Why the user type is not part of `desired`: it stops a creation, and on a linked account it stops only
    /// that attribute.
    pub user_type_problem: Option<String>,
}

/// The outcome of the scope rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InScope {
    /// In.
    Yes,
    /// Out.
    No,
    /// The expression failed for this person.
    Failed(String),
}

/// What is written in the configuration and cannot be compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct MappingError {
    place: String,
    problem: String,
}

/// Path at the target, name in expressions, and how it is read.
const BUILT_IN: [(&str, &str, Read); 6] = [
    ("userName", "user.userName", |profile| profile.user_name.as_deref()),
    ("name.givenName", "user.givenName", |profile| profile.given_name.as_deref()),
    ("name.familyName", "user.familyName", |profile| profile.family_name.as_deref()),
    ("emails[primary eq true].value", "user.email", |profile| profile.email.as_deref()),
    ("title", "user.title", |profile| profile.title.as_deref()),
    ("phoneNumbers[primary eq true].value", "user.phone", |profile| profile.phone.as_deref()),
];
const BUILT_IN_ENTERPRISE: [(&str, &str, Read); 2] = [
    ("organization", "user.organization", |profile| profile.organization.as_deref()),
    ("department", "user.department", |profile| profile.department.as_deref()),
];

/// What is said of an address outside the approved domains.
pub const OUTSIDE_DOMAINS: &str = "is outside scope.domains";
/// What is said of somebody without a login.
pub const NO_USER_NAME: &str = "no userName";

impl Mapping {
    /// Compiles the configuration's mapping.
    pub fn compile(
        vendor: Vendor,
        scope: &Scope,
        attributes: &[AttributeRule],
        user_type: Option<&UserType>,
        key: DigestKey,
    ) -> Result<Mapping, MappingError> {
        let mut expressions = Expressions::default();
        let mut rules = built_in_rules();
        for attribute in attributes {
            let path = parse_path(&attribute.path)?;
            rules.retain(|rule| !rule.path.as_str().eq_ignore_ascii_case(path.as_str()));
            match &attribute.rule {
                AttributeMapping::Off => {}
                AttributeMapping::From { expression, clear_when_missing } => {
                    let id = compile(&mut expressions, path.as_str(), expression)?;
                    let clear_when_missing = *clear_when_missing && !path.is_essential();
                    let text = expression.clone();
                    rules.push(Rule { path, from: From::Expression(id), text, clear_when_missing });
                }
            }
        }
        let user_type = match user_type {
            None => None,
            Some(config) => {
                let path = parse_path(&config.path)?;
                let from = match &config.from {
                    None => None,
                    Some(text) => Some(compile(&mut expressions, "user_type.from", text)?),
                };
                rules.retain(|rule| rule.path != path);
                Some(UserTypeRule { path, from, config: config.clone() })
            }
        };
        let scope_id = match &scope.filter {
            None => None,
            Some(filter) => Some(compile(&mut expressions, "scope.filter", filter)?),
        };
        let scope_names = scope_id.map(|id| expressions.names_of(id)).unwrap_or_default();
        let domains = scope.domains.iter().map(|domain| folding::fold_domain(domain)).collect();
        Ok(Mapping { vendor, rules, user_type, domains, scope: scope_id, scope_names, expressions, key })
    }

    /// The owned paths: the mapped ones, the user type, and `externalId`.
    pub fn owned_paths(&self) -> Vec<AttributePath> {
        let mut paths: Vec<AttributePath> = self.rules.iter().map(|rule| rule.path.clone()).collect();
        paths.extend(self.user_type.iter().map(|rule| rule.path.clone()));
        paths.push(AttributePath::external_id());
        paths
    }

    /// The names that `scope.filter` uses.
    pub fn scope_names(&self) -> &[String] {
        &self.scope_names
    }

    /// Builds what expressions see of this person.
    pub fn names(&self, identity: &Identity, lifecycle: &str) -> Result<Option<Names>, String> {
        if self.expressions.is_empty() {
            Ok(None)
        } else {
            self.expressions.names(identity, lifecycle).map(Some)
        }
    }

    /// Whether the person is in scope.
    pub fn in_scope(&self, names: Option<&Names>) -> InScope {
        match (self.scope, names) {
            (Some(id), Some(names)) => match self.expressions.truth(id, names) {
                Ok(true) => InScope::Yes,
                Ok(false) => InScope::No,
                Err(problem) => InScope::Failed(format!("scope.filter failed: {problem}")),
            },
            (Some(_), None) | (None, _) => InScope::Yes,
        }
    }

    /// Maps a person; the error says why there can be no account.
    pub fn map(&self, identity: &Identity, names: Option<&Names>) -> Result<Mapped, String> {
        let mut set = Attributes::new();
        let mut clear = Vec::new();
        for rule in &self.rules {
            match self.value(rule, identity, names)? {
                Some(value) => {
                    set.insert(rule.path.clone(), value);
                }
                None if rule.clear_when_missing => clear.push(rule.path.clone()),
                None => {}
            }
        }
        self.check_login(&set)?;
        set.insert(AttributePath::external_id(), Scalar::Text(self.vendor.external_id(&identity.id)));
        let (user_type, user_type_problem) = match &self.user_type {
            None => (None, None),
            Some(rule) => match self.user_type(rule, identity, names) {
                Ok(value) => {
                    set.insert(rule.path.clone(), Scalar::Text(value.clone()));
                    (Some(value), None)
                }
                Err(problem) => (None, Some(problem)),
            },
        };
        let digest = self.digest(&set, &clear);
        Ok(Mapped { desired: DesiredAccount { set, clear, digest }, user_type, user_type_problem })
    }

    /// Whether an account of this user type takes a paid seat.
    pub fn is_billable(&self, user_type: Option<&str>) -> bool {
        match (&self.user_type, user_type) {
            (Some(rule), Some(value)) => rule.config.billable.iter().any(|billable| billable == value),
            (Some(_), None) | (None, _) => true,
        }
    }

    /// The path of the user type, where one is managed.
    pub fn user_type_path(&self) -> Option<&AttributePath> {
        self.user_type.as_ref().map(|rule| &rule.path)
    }

    fn value(
        &self,
        rule: &Rule,
        identity: &Identity,
        names: Option<&Names>,
    ) -> Result<Option<Scalar>, String> {
        match (rule.from, names) {
            (From::Profile(get), _) => Ok(get(&identity.profile).map(Scalar::from)),
            (From::Expression(id), Some(names)) => self
                .expressions
                .scalar(id, names)
                .map_err(|problem| format!("the expression for {} failed: {problem}", rule.path)),
            (From::Expression(_), None) => Ok(None),
        }
    }

    fn check_login(&self, set: &Attributes) -> Result<(), String> {
        let Some(Scalar::Text(user_name)) = set.get(&AttributePath::user_name()) else {
            return Err(format!("{NO_USER_NAME}: the source has no login or e-mail for this person"));
        };
        let email = set.get(&AttributePath::primary_email()).map(|value| value.as_text().into_owned());
        for address in [Some(user_name.clone()), email].into_iter().flatten() {
            let Some(domain) = folding::domain_of(&address) else { continue };
            if !self.domains.is_empty() && !self.domains.contains(&domain) {
                return Err(format!("{address} {OUTSIDE_DOMAINS}"));
            }
        }
        Ok(())
    }

    /// From the attribute, else the first matching group rule, else the default.
    fn user_type(
        &self,
        rule: &UserTypeRule,
        identity: &Identity,
        names: Option<&Names>,
    ) -> Result<String, String> {
        let from_attribute = match (rule.from, names) {
            (Some(id), Some(names)) => self
                .expressions
                .scalar(id, names)
                .map_err(|problem| format!("user_type.from failed: {problem}"))?
                .map(|value| value.as_text().into_owned()),
            (Some(_), None) | (None, _) => None,
        };
        let from_group = || {
            let member = |group: &str| identity.groups.iter().any(|name| &**name == group);
            rule.config.groups.iter().find(|candidate| member(&candidate.group)).map(|hit| hit.value.clone())
        };
        let value = from_attribute.or_else(from_group).unwrap_or_else(|| rule.config.default.clone());
        match rule.config.values.iter().find(|allowed| allowed.eq_ignore_ascii_case(&value)) {
            Some(allowed) => Ok(allowed.clone()),
            None => Err(format!("user type \"{value}\" is not one of {}", rule.config.values.join(", "))),
        }
    }

    fn digest(&self, set: &Attributes, clear: &[AttributePath]) -> crate::model::digest::Digest {
        let mut parts: Vec<std::borrow::Cow<'_, str>> = vec![MAPPING_VERSION.into()];
        for (path, value) in set {
            parts.push(path.as_str().into());
            parts.push(value.as_text());
        }
        parts.push("clear".into());
        parts.extend(clear.iter().map(|path| path.as_str().into()));
        self.key.digest(parts.iter().map(|part| part.as_bytes()))
    }
}

fn built_in_rules() -> Vec<Rule> {
    let core = BUILT_IN.iter().map(|(path, text, get)| (AttributePath::known(path), *text, *get));
    let enterprise = BUILT_IN_ENTERPRISE
        .iter()
        .map(|(path, text, get)| (AttributePath::known(&format!("{ENTERPRISE_USER}:{path}")), *text, *get));
    core.chain(enterprise)
        .map(|(path, text, get)| Rule {
            path,
            from: From::Profile(get),
            text: text.to_owned(),
            clear_when_missing: false,
        })
        .collect()
}

fn parse_path(text: &str) -> Result<AttributePath, MappingError> {
    AttributePath::parse(text)
        .map_err(|error| MappingError { place: text.to_owned(), problem: error.to_string() })
}

fn compile(expressions: &mut Expressions, place: &str, text: &str) -> Result<ExpressionId, MappingError> {
    expressions.compile(text).map_err(|problem| MappingError { place: place.to_owned(), problem })
}

#[cfg(test)]
mod tests;
