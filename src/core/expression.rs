//! The Jinja expressions of the configuration: compiled once, evaluated per person, bounded by fuel.
//!
//! What lives here: names in, value out. What must not: what the value is used for.

use std::collections::HashSet;

use minijinja::value::{Serde, Value};
use minijinja::{Environment, UndefinedBehavior};
use serde_json::value::RawValue;

use crate::model::attributes::Scalar;
use crate::model::identity::Identity;

/// Instructions one evaluation may take: far beyond any honest expression, short enough to stop a runaway loop.
const FUEL: u64 = 50_000;
const RESULT: &str = "rosterd_result";

/// The expressions of one sync.
pub struct Expressions {
    environment: Environment<'static>,
    names: HashSet<String>,
    templates: Vec<HashSet<String>>,
}

/// A compiled expression of one [`Expressions`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExpressionId(usize);

/// The names an evaluation sees, built once per person.
pub struct Names(Value);

impl std::fmt::Debug for Expressions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Expressions").field("names", &self.names).finish_non_exhaustive()
    }
}

impl Default for Expressions {
    fn default() -> Self {
        let mut environment = Environment::new();
        // "A missing name yields missing, not an error", at any depth.
        environment.set_undefined_behavior(UndefinedBehavior::Chainable);
        environment.set_fuel(Some(FUEL));
        Expressions { environment, names: HashSet::new(), templates: Vec::new() }
    }
}

impl Expressions {
    /// Compiles one expression. The error is the parser's sentence.
    pub fn compile(&mut self, expression: &str) -> Result<ExpressionId, String> {
        // Checked as an expression first, so that statement syntax cannot slip into the template below.
        self.environment
            .compile_expression_owned(expression.to_owned())
            .map_err(|error| error.to_string())?;
        let id = ExpressionId(self.templates.len());
        let source = format!("{{% set {RESULT} = ({expression}) %}}");
        self.environment.add_template_owned(template_name(id), source).map_err(|error| error.to_string())?;
        let template =
            self.environment.get_template(&template_name(id)).map_err(|error| error.to_string())?;
        let used = template.undeclared_variables(true);
        self.names.extend(used.iter().cloned());
        self.templates.push(used);
        Ok(id)
    }

    /// The names (`user.department`, `app.x`) that an expression uses, sorted.
    pub fn names_of(&self, id: ExpressionId) -> Vec<String> {
        let mut names: Vec<String> = self.templates[id.0].iter().cloned().collect();
        names.sort();
        names
    }

    /// Whether there is nothing to evaluate, so that nobody needs [`Expressions::names`].
    pub fn is_empty(&self) -> bool {
        self.templates.is_empty()
    }

    /// Builds what expressions see of one person; raw objects are only parsed where an expression uses them.
    pub fn names(&self, identity: &Identity, lifecycle: &str) -> Result<Names, String> {
        // An absent attribute is undefined, not none: `~` would write none as the word "none".
        let text = |value: &Option<String>| value.as_deref().map_or(Value::UNDEFINED, Value::from);
        let profile = &identity.profile;
        let user = minijinja::context! {
            id => identity.id.as_str(),
            userName => text(&profile.user_name),
            email => text(&profile.email),
            givenName => text(&profile.given_name),
            familyName => text(&profile.family_name),
            displayName => text(&profile.display_name),
            title => text(&profile.title),
            phone => text(&profile.phone),
            organization => text(&profile.organization),
            department => text(&profile.department),
            userType => text(&profile.user_type),
            status => lifecycle,
            groups => identity.groups.iter().map(|group| group.to_string()).collect::<Vec<_>>(),
        };
        let raw = |name: &str, raw: &Option<Box<RawValue>>| -> Result<Value, String> {
            let prefix = format!("{name}.");
            let used = self.names.iter().any(|used| used == name || used.starts_with(&prefix));
            match raw {
                Some(raw) if used => serde_json::from_str::<serde_json::Value>(raw.get())
                    .map(|value| Value::from(Serde(without_nulls(value))))
                    .map_err(|error| format!("{name}.* is not readable: {error}")),
                Some(_) | None => Ok(Value::UNDEFINED),
            }
        };
        Ok(Names(minijinja::context! {
            user => user,
            app => raw("app", &identity.raw.app)?,
            profile => raw("profile", &identity.raw.profile)?,
            custom => raw("custom", &identity.raw.custom)?,
        }))
    }

    /// Evaluates to a scalar; `None` = missing (undefined, none, empty or blank text).
    pub fn scalar(&self, id: ExpressionId, names: &Names) -> Result<Option<Scalar>, String> {
        let value = self.evaluate(id, names)?;
        if value.is_undefined() || value.is_none() {
            return Ok(None);
        }
        let json = serde_json::to_value(&value).map_err(|error| error.to_string())?;
        if let Some(text) = json.as_str().map(str::trim) {
            return Ok((!text.is_empty()).then(|| Scalar::Text(text.to_owned())));
        }
        match Scalar::from_json(&json) {
            Some(scalar) => Ok(Some(scalar)),
            None => Err("the result is neither text, a whole number nor true/false".to_owned()),
        }
    }

    /// Evaluates to true or false, as Jinja's `if` would.
    pub fn truth(&self, id: ExpressionId, names: &Names) -> Result<bool, String> {
        Ok(self.evaluate(id, names)?.is_true())
    }

    fn evaluate(&self, id: ExpressionId, names: &Names) -> Result<Value, String> {
        let template =
            self.environment.get_template(&template_name(id)).map_err(|error| error.to_string())?;
        let captured = template.render_captured(names.0.clone()).map_err(|error| short(&error))?;
        Ok(captured.state().lookup(RESULT).unwrap_or(Value::UNDEFINED))
    }
}

impl Names {
    /// Whether a dotted name holds anything for this person.
    pub fn is_present(&self, dotted: &str) -> bool {
        self.value(dotted).is_some()
    }

    /// What a dotted name holds for this person, as text.
    pub fn text(&self, dotted: &str) -> Option<String> {
        self.value(dotted).map(|value| value.to_string())
    }

    fn value(&self, dotted: &str) -> Option<Value> {
        let mut value = self.0.clone();
        for part in dotted.split('.') {
            value = value.get_attr(part).ok()?;
        }
        (!value.is_undefined() && !value.is_none()).then_some(value)
    }
}

/// Null at the source is the same as missing.
fn without_nulls(value: serde_json::Value) -> serde_json::Value {
    let serde_json::Value::Object(object) = value else { return value };
    object
        .into_iter()
        .filter(|(_, member)| !member.is_null())
        .map(|(key, member)| (key, without_nulls(member)))
        .collect()
}

fn template_name(id: ExpressionId) -> String {
    format!("expression-{}", id.0)
}

/// The error without the template's name and line, which mean nothing to the reader of a report.
fn short(error: &minijinja::Error) -> String {
    error.detail().map_or_else(|| error.kind().to_string(), |detail| format!("{}: {detail}", error.kind()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::SourceId;
    use crate::model::identity::{Profile, RawProfiles, VendorStatus};
    use crate::model::order::Observation;
    use crate::model::time::Millis;

    fn person() -> Identity {
        Identity {
            id: SourceId::new("00u1"),
            assigned: true,
            status: VendorStatus::Okta(Some("ACTIVE".into())),
            profile: Profile { given_name: Some("Ann".into()), ..Profile::default() },
            raw: RawProfiles {
                app: Some(RawValue::from_string(r#"{"wrikeUserType":"External","level":3}"#.into()).unwrap()),
                ..RawProfiles::default()
            },
            groups: vec!["Bots".into()],
            assigned_at: None,
            observation: Observation::before_numbers(Millis(0)),
        }
    }

    fn scalar(expression: &str) -> Result<Option<Scalar>, String> {
        let mut expressions = Expressions::default();
        let id = expressions.compile(expression)?;
        expressions.scalar(id, &expressions.names(&person(), "active")?)
    }

    #[test]
    fn a_missing_name_is_missing_and_no_error() {
        assert_eq!(scalar("app.nowhere.at.all"), Ok(None));
        assert_eq!(scalar("profile.title"), Ok(None));
        assert_eq!(scalar("user.givenName ~ ' ' ~ user.familyName"), Ok(Some(Scalar::from("Ann"))));
    }

    #[test]
    fn raw_objects_and_groups_are_there_when_an_expression_uses_them() {
        assert_eq!(scalar("app.wrikeUserType"), Ok(Some(Scalar::from("External"))));
        assert_eq!(scalar("app.level"), Ok(Some(Scalar::Integer(3))));
        assert_eq!(scalar("'Bots' in user.groups"), Ok(Some(Scalar::Flag(true))));
    }

    #[test]
    fn an_expression_that_fails_is_that_persons_error_and_says_why() {
        assert!(scalar("user.givenName / 2").unwrap_err().contains("operation"));
        assert!(scalar("['a', 'b']").unwrap_err().contains("neither text"));
    }

    #[test]
    fn the_names_an_expression_uses_are_known() {
        let mut expressions = Expressions::default();
        let id = expressions.compile("user.department != 'X' and app.kind").unwrap();
        assert_eq!(expressions.names_of(id), ["app.kind", "user.department"]);
        let names = expressions.names(&person(), "active").unwrap();
        assert!(names.is_present("user.givenName") && !names.is_present("user.department"));
    }

    #[test]
    fn statements_are_not_expressions() {
        assert!(Expressions::default().compile("1) %}{% set x = (2").is_err());
    }
}
