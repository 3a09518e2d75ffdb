//! What becomes of each owned attribute. The planner's changes say what is sent; the rest is why not.

use crate::core::mapping::{Evaluated, Mapping};
use crate::model::account::Account;
use crate::model::attributes::{AttributePath, Scalar};
use crate::model::explain::{Fate, MappingStep};
use crate::model::folding::same_value;
use crate::model::link::{EchoKind, Link, Silence};
use crate::model::plan::Verb;
use crate::model::report::{ActionRecord, Outcome};
use crate::model::time::Millis;

/// What is known beside the values.
pub(super) struct Known<'a> {
    /// Whether the person may have an account at all.
    pub qualifies: bool,
    /// The line of a run.
    pub record: Option<&'a ActionRecord>,
    /// The link.
    pub link: Option<&'a Link>,
    /// The account as it is now.
    pub account: Option<&'a Account>,
    /// Now.
    pub now: Millis,
}

/// From what the source's record gives.
pub(super) fn fresh(mapping: &Mapping, trace: Vec<Evaluated>, known: &Known<'_>) -> Vec<MappingStep> {
    let mut steps: Vec<MappingStep> = trace.into_iter().map(|evaluated| step(evaluated, known)).collect();
    steps.extend(switched_off(mapping));
    steps
}

/// From what was last acknowledged; what the source has is not stored.
pub(super) fn offline(mapping: &Mapping, known: &Known<'_>) -> Vec<MappingStep> {
    if known.link.is_none() && known.record.is_none_or(|record| record.changes.is_empty()) {
        return Vec::new();
    }
    let rules = mapping.rules().into_iter();
    let mut steps: Vec<MappingStep> =
        rules.map(|(path, expression)| stored_step(path, expression, known)).collect();
    steps.extend(switched_off(mapping));
    steps
}

/// One attribute as far as it is stored: what waits to be sent, else what was sent last.
fn stored_step(path: AttributePath, expression: String, known: &Known<'_>) -> MappingStep {
    let change = known.record.and_then(|record| record.changes.iter().find(|change| change.path == path));
    if let Some(change) = change {
        return step(
            Evaluated { path, expression, value: Ok(change.to.clone()), clear_when_missing: false },
            known,
        );
    }
    let memory = known.link.map(|link| &link.memory);
    let refused = memory.and_then(|memory| memory.refusals.get(&path)).map(|refused| refused.sent.clone());
    let ignored = memory
        .and_then(|memory| memory.echoes.get(&path))
        .filter(|echo| echo.kind == EchoKind::Ignored)
        .map(|echo| echo.sent.clone());
    let acknowledged = known.link.and_then(|link| link.acknowledged.get(&path).cloned());
    let Some(value) = refused.or(ignored).or(acknowledged) else {
        return MappingStep {
            path,
            expression,
            value: None,
            at_target: None,
            fate: Fate::Omitted,
            why: "nothing was sent for it yet".to_owned(),
        };
    };
    step(Evaluated { path, expression, value: Ok(Some(value)), clear_when_missing: false }, known)
}

fn switched_off(mapping: &Mapping) -> impl Iterator<Item = MappingStep> {
    mapping.switched_off().into_iter().map(|(path, expression)| MappingStep {
        path,
        expression,
        value: None,
        at_target: None,
        fate: Fate::Dropped,
        why: "switched off in [sync.attributes]: rosterd does not own it".to_owned(),
    })
}

fn step(evaluated: Evaluated, known: &Known<'_>) -> MappingStep {
    let Evaluated { path, expression, value, clear_when_missing } = evaluated;
    let by_account = known.account.and_then(|account| account.value(&path));
    let at_target = by_account.or_else(|| known.link.and_then(|link| link.acknowledged.get(&path).cloned()));
    let (value, (fate, why)) = match value {
        Err(problem) => (None, (Fate::Failed, problem)),
        Ok(None) => (None, missing(&path, clear_when_missing, known)),
        Ok(Some(value)) => {
            let fate = present(&path, &value, at_target.as_ref(), known);
            (Some(value), fate)
        }
    };
    MappingStep { path, expression, value, at_target, fate, why }
}

fn missing(path: &AttributePath, clear_when_missing: bool, known: &Known<'_>) -> (Fate, String) {
    if path == &AttributePath::user_name() {
        return (Fate::Failed, "the source has no login or e-mail for this person".to_owned());
    }
    if let Some((fate, why)) = changed(path, known) {
        return (if fate == Fate::Sent { Fate::Cleared } else { fate }, why);
    }
    if clear_when_missing && known.qualifies {
        return (Fate::Kept, "the source has nothing, and neither has the account".to_owned());
    }
    (Fate::Omitted, "the source has nothing; what an account has there is left alone".to_owned())
}

fn present(
    path: &AttributePath,
    value: &Scalar,
    at_target: Option<&Scalar>,
    known: &Known<'_>,
) -> (Fate, String) {
    if let Some(planned) = changed(path, known) {
        return planned;
    }
    if !known.qualifies {
        return (Fate::NotSent, "nothing is sent for this person".to_owned());
    }
    if let Some(link) = known.link {
        match link.memory.silences(path, value, known.now) {
            Some(Silence::Refused(refused)) => {
                let text = format!("refused on {}: {}", refused.at.rfc3339(), refused.detail);
                return (Fate::Refused, format!("{text}; tried again when it changes, or after 7 days"));
            }
            Some(Silence::Ignored(echo)) => {
                let shows = echo.returned.as_ref().map_or("nothing".into(), Scalar::as_text);
                let text = format!("the target took it and shows {shows}; not sent again until it changes");
                return (Fate::Ignored, text);
            }
            None if link.memory.withheld.contains(path) => return (Fate::Withheld, withheld()),
            None => {}
        }
    }
    let has_it = at_target.is_some_and(|there| same_value(path, there, value))
        || known.link.is_some_and(|link| is_its_spelling(link, path, value));
    match known.record {
        _ if has_it => (Fate::Kept, "the account has it".to_owned()),
        Some(record) if record.action == Verb::Adopt && path.ignores_case() => (Fate::Withheld, withheld()),
        Some(record) => (Fate::NotSent, record.reason.clone()),
        None if known.link.is_some() => (Fate::Kept, "it is what was last acknowledged".to_owned()),
        None => (Fate::NotSent, "nothing is sent for this person".to_owned()),
    }
}

fn withheld() -> String {
    "the account was found by e-mail, so its login and address wait for approval".to_owned()
}

/// Whether the target keeps this value in a spelling of its own.
fn is_its_spelling(link: &Link, path: &AttributePath, value: &Scalar) -> bool {
    let echo = link.memory.echoes.get(path);
    echo.is_some_and(|echo| echo.kind == EchoKind::Normalised && echo.sent == *value)
}

/// What becomes of an attribute that the planned action changes.
fn changed(path: &AttributePath, known: &Known<'_>) -> Option<(Fate, String)> {
    let record = known.record?;
    let change = record.changes.iter().find(|change| change.path == *path)?;
    let detail = || record.detail.clone().unwrap_or_else(|| record.reason.clone());
    let differs = || match (&change.from, record.action) {
        (_, Verb::Create) => "part of the new account".to_owned(),
        (Some(from), _) => format!("the account has {}", from.as_text()),
        (None, _) => "the account has nothing there".to_owned(),
    };
    Some(match record.outcome {
        Outcome::Planned | Outcome::Applied => (Fate::Sent, differs()),
        Outcome::Held => (Fate::Waits, format!("waits for approval or a seat: {}", detail())),
        Outcome::Deferred => (Fate::Waits, format!("waits: {}", detail())),
        Outcome::Disabled => (Fate::Waits, format!("switched off: {}", detail())),
        Outcome::Failed => (Fate::Failed, detail()),
        Outcome::Skipped => (Fate::NotSent, detail()),
    })
}
