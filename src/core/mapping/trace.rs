//! The mapping of one person step by step, for whoever wants to know why: the same evaluations, none of them skipped.

use std::collections::BTreeMap;

use super::{Mapping, Names, UserTypeRule};
use crate::model::attributes::{AttributePath, Scalar};
use crate::model::identity::Identity;

/// One owned attribute and what its expression gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluated {
    /// Where at the target.
    pub path: AttributePath,
    /// The expression as written, or the built-in attribute as an expression would name it.
    pub expression: String,
    /// What it gives for the person; the error is why that is nothing that can be sent.
    pub value: Result<Option<Scalar>, String>,
    /// Whether the attribute is cleared where the source has nothing.
    pub clear_when_missing: bool,
}

impl Mapping {
    /// Every owned attribute and where it comes from, in the order of the configuration.
    pub fn rules(&self) -> Vec<(AttributePath, String)> {
        let rules = self.rules.iter().map(|rule| (rule.path.clone(), rule.text.clone()));
        let user_type = self.user_type.iter().map(|rule| (rule.path.clone(), rule.text()));
        let mark = (AttributePath::external_id(), "user.id".to_owned());
        rules.chain(user_type).chain([mark]).collect()
    }

    /// Built-in attributes that the configuration switched off.
    pub fn switched_off(&self) -> Vec<(AttributePath, String)> {
        let owned = self.owned_paths();
        let built_in = super::built_in_rules();
        let off = built_in.into_iter().filter(|rule| !owned.contains(&rule.path));
        off.map(|rule| (rule.path, rule.text)).collect()
    }

    /// Every owned attribute with what it gives for one person.
    pub fn trace(&self, identity: &Identity, names: Option<&Names>) -> Vec<Evaluated> {
        let rules = self.rules.iter().map(|rule| Evaluated {
            path: rule.path.clone(),
            expression: rule.text.clone(),
            value: self.value(rule, identity, names),
            clear_when_missing: rule.clear_when_missing,
        });
        let user_type = self.user_type.iter().map(|rule| Evaluated {
            path: rule.path.clone(),
            expression: rule.text(),
            value: self.user_type(rule, identity, names).map(|value| Some(Scalar::Text(value))),
            clear_when_missing: false,
        });
        let mark = Evaluated {
            path: AttributePath::external_id(),
            expression: "user.id".to_owned(),
            value: Ok(Some(Scalar::Text(self.vendor.external_id(&identity.id)))),
            clear_when_missing: false,
        };
        rules.chain(user_type).chain([mark]).collect()
    }

    /// The names that `scope.filter` uses, and what they hold for one person.
    pub fn scope_values(&self, names: &Names) -> BTreeMap<String, Option<String>> {
        self.scope_names.iter().map(|name| (name.clone(), names.text(name))).collect()
    }
}

impl UserTypeRule {
    /// Where the user type comes from, in the order in which that is asked.
    fn text(&self) -> String {
        let mut parts: Vec<String> = self.config.from.iter().cloned().collect();
        if !self.config.groups.is_empty() {
            parts.push("the first matching group of user_type.groups".to_owned());
        }
        parts.push(format!("\"{}\"", self.config.default));
        parts.join(", else ")
    }
}
