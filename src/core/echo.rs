//! Echoes: what a target makes of a value that was sent, so that a spelling of its own is never taken for drift
//! and a value that it ignores or refuses is not sent again and again.
//!
//! What lives here: the comparison and the memory's rules. What must not: how a value travels, when a write is
//! due, or any knowledge of one server.

use unicode_normalization::UnicodeNormalization;

use crate::model::account::Account;
use crate::model::attributes::{AttributePath, Attributes, Scalar};
use crate::model::link::{AttributeMemory, Echo, EchoKind, REFUSAL_REST_MILLIS, RefusedValue};
use crate::model::time::Millis;

/// The fewest digits that make two texts the same telephone number: fewer are an extension or a mistake.
const PHONE_DIGITS_MINIMUM: usize = 5;

/// What came back at one path.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// Where.
    pub path: AttributePath,
    /// `None` = exactly what was sent.
    pub echo: Option<Echo>,
}

/// Why a value need not be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pointless {
    /// The target accepted the same value before and shows something else.
    Ignored,
    /// The target holds the same value in this spelling.
    KeptAs(Scalar),
    /// The target refused the same value then, and the rest of seven days is not over.
    RefusedAt(Millis),
}

/// How `returned` relates to `sent`; `None` = equal.
pub fn compare(path: &AttributePath, sent: &Scalar, returned: Option<&Scalar>) -> Option<EchoKind> {
    match returned {
        Some(returned) if returned == sent => None,
        Some(returned) if same_in_another_spelling(path, sent, returned) => Some(EchoKind::Normalised),
        Some(_) | None => Some(EchoKind::Ignored),
    }
}

/// What the target shows for each value that was sent. `active` is never judged here: whether somebody is in or
/// out is read, not remembered. An answer that is no whole User (it has no `userName`) tells nothing.
pub fn findings(sent: &Attributes, returned: &Account) -> Vec<Finding> {
    if returned.user_name().is_none() {
        return Vec::new();
    }
    let judged = sent.iter().filter(|(path, _)| **path != AttributePath::active());
    judged
        .map(|(path, sent)| {
            let shown = returned.value(path);
            let echo = compare(path, sent, shown.as_ref()).map(|kind| Echo {
                sent: sent.clone(),
                returned: shown,
                kind,
            });
            Finding { path: path.clone(), echo }
        })
        .collect()
}

/// Takes findings into the memory: an exact value forgets what was known of its path.
pub fn learn(memory: &mut AttributeMemory, findings: Vec<Finding>) {
    for Finding { path, echo } in findings {
        memory.refusals.remove(&path);
        match echo {
            None => {
                memory.echoes.remove(&path);
            }
            Some(echo) => {
                memory.echoes.insert(path, echo);
            }
        }
    }
}

/// Remembers values that the target refused at `now`. A path without a value in `sent` (it was to be cleared) is
/// not remembered: there is nothing that could rest.
pub fn learn_refusals(
    memory: &mut AttributeMemory,
    sent: &Attributes,
    refused: &[(AttributePath, String)],
    now: Millis,
) {
    for (path, detail) in refused {
        if let Some(value) = sent.get(path) {
            memory.echoes.remove(path);
            let refusal = RefusedValue { sent: value.clone(), at: now, detail: detail.clone() };
            memory.refusals.insert(path.clone(), refusal);
        }
    }
}

/// Whether sending `value` would change nothing, as far as is known. `shown` is what the target holds there as
/// last read; `None` where that is not known.
pub fn pointless(
    memory: &AttributeMemory,
    path: &AttributePath,
    value: &Scalar,
    shown: Option<&Scalar>,
    now: Millis,
) -> Option<Pointless> {
    if let Some(refusal) = memory.refusals.get(path).filter(|refusal| refusal.sent == *value) {
        // A clock that was set back must not make a refusal rest for longer than its seven days.
        let age = now.since(refusal.at);
        if (0..REFUSAL_REST_MILLIS).contains(&age) {
            return Some(Pointless::RefusedAt(refusal.at));
        }
    }
    let echo = memory.echoes.get(path).filter(|echo| echo.sent == *value)?;
    match echo.kind {
        EchoKind::Ignored => Some(Pointless::Ignored),
        EchoKind::Normalised => {
            let returned = echo.returned.as_ref()?;
            shown.is_none_or(|shown| shown == returned).then(|| Pointless::KeptAs(returned.clone()))
        }
    }
}

/// Whether a value that is shown is the desired one, in the spelling that the target is known to give it.
pub fn holds(
    memory: &AttributeMemory,
    path: &AttributePath,
    desired: &Scalar,
    shown: Option<&Scalar>,
) -> bool {
    shown == Some(desired)
        || memory
            .echoes
            .get(path)
            .is_some_and(|echo| echo.sent == *desired && echo.returned.as_ref() == shown)
}

fn same_in_another_spelling(path: &AttributePath, sent: &Scalar, returned: &Scalar) -> bool {
    let (sent, returned) = (sent.as_text(), returned.as_text());
    folded(&sent) == folded(&returned)
        || (is_phone(path) && same_phone(&sent, &returned))
        || (path.ignores_case() && same_domain(&sent, &returned))
}

fn folded(text: &str) -> String {
    // Folding may produce characters that compose anew, so the normal form is taken again.
    text.trim().nfkc().collect::<String>().to_lowercase().nfkc().collect()
}

fn is_phone(path: &AttributePath) -> bool {
    path.schema().is_none() && path.attribute().eq_ignore_ascii_case("phoneNumbers")
}

fn same_phone(sent: &str, returned: &str) -> bool {
    let (sent, returned) = (phone_digits(sent), phone_digits(returned));
    sent.len() >= PHONE_DIGITS_MINIMUM && sent == returned
}

fn phone_digits(text: &str) -> String {
    // RFC 3966: a "tel:" URI may carry parameters behind a semicolon; "00" is the international prefix that
    // "+" stands for.
    let number = text.split(';').next().unwrap_or_default();
    let digits: String = number.nfkc().filter(char::is_ascii_digit).collect();
    digits.strip_prefix("00").map(str::to_owned).unwrap_or(digits)
}

fn same_domain(sent: &str, returned: &str) -> bool {
    let (Some((sent_local, sent_domain)), Some((local, domain))) =
        (sent.rsplit_once('@'), returned.rsplit_once('@'))
    else {
        return false;
    };
    folded(sent_local) == folded(local)
        && match (idna::domain_to_ascii(sent_domain.trim()), idna::domain_to_ascii(domain.trim())) {
            (Ok(sent), Ok(returned)) => sent == returned,
            (Ok(_) | Err(_), Ok(_) | Err(_)) => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn path(text: &str) -> AttributePath {
        AttributePath::parse(text).unwrap()
    }

    fn account(resource: Value) -> Account {
        Account::from_resource(resource.as_object().unwrap().clone()).unwrap()
    }

    #[test]
    fn another_spelling_of_the_same_value_is_no_difference() {
        let phone = "phoneNumbers[primary eq true].value";
        let cases = [
            ("title", "Engineer", "Engineer", None),
            ("title", " Engineer ", "Engineer", Some(EchoKind::Normalised)),
            ("title", "Engineer", "ENGINEER", Some(EchoKind::Normalised)),
            ("title", "Cafe\u{301}", "Café", Some(EchoKind::Normalised)),
            ("title", "Engineer", "Manager", Some(EchoKind::Ignored)),
            ("title", "Level 12345", "Grade 12345", Some(EchoKind::Ignored)),
            (phone, "+1 (555) 010-99", "155501099", Some(EchoKind::Normalised)),
            (phone, "0049 30 1234", "tel:+49-30-1234;ext=7", Some(EchoKind::Normalised)),
            (phone, "+1 555 0100", "+1 555 0101", Some(EchoKind::Ignored)),
            (phone, "x1", "y1", Some(EchoKind::Ignored)),
            ("userName", "Ann@Bücher.example", "ann@xn--bcher-kva.example", Some(EchoKind::Normalised)),
            ("userName", "ann@a.example", "ann@b.example", Some(EchoKind::Ignored)),
        ];
        for (at, sent, returned, expected) in cases {
            let found = compare(&path(at), &Scalar::from(sent), Some(&Scalar::from(returned)));
            assert_eq!(found, expected, "{at}: {sent:?} came back as {returned:?}");
        }
    }

    #[test]
    fn a_flag_that_comes_back_as_text_is_the_same_flag() {
        let found = compare(&path("x"), &Scalar::Flag(true), Some(&Scalar::from("True")));
        assert_eq!(found, Some(EchoKind::Normalised));
    }

    #[test]
    fn active_is_never_learned() {
        let sent = Attributes::from([
            (AttributePath::active(), Scalar::Flag(false)),
            (path("title"), Scalar::from("Lead")),
        ]);
        let shown = account(json!({"id": "1", "userName": "a", "active": true, "title": "Lead"}));
        assert_eq!(findings(&sent, &shown), vec![Finding { path: path("title"), echo: None }]);
    }

    #[test]
    fn an_answer_that_is_no_whole_user_tells_nothing() {
        let sent = Attributes::from([(path("title"), Scalar::from("Lead"))]);
        assert_eq!(findings(&sent, &account(json!({"id": "1"}))), vec![]);
    }

    #[test]
    fn what_the_target_ignores_is_pointless_until_the_value_changes() {
        let mut memory = AttributeMemory::default();
        let sent = Attributes::from([(path("title"), Scalar::from("Lead"))]);
        learn(&mut memory, findings(&sent, &account(json!({"id": "1", "userName": "a"}))));
        let asked = |memory: &AttributeMemory, value: &str| {
            pointless(memory, &path("title"), &Scalar::from(value), None, Millis(0))
        };
        assert_eq!(asked(&memory, "Lead"), Some(Pointless::Ignored));
        assert_eq!(asked(&memory, "Manager"), None);
        let shown = account(json!({"id": "1", "userName": "a", "title": "Lead"}));
        learn(&mut memory, findings(&sent, &shown));
        assert_eq!(asked(&memory, "Lead"), None, "an exact answer forgets the echo");
    }

    #[test]
    fn a_spelling_is_pointless_only_while_the_target_still_shows_it() {
        let mut memory = AttributeMemory::default();
        let (title, sent) = (path("title"), Scalar::from("Lead"));
        let shown = account(json!({"id": "1", "userName": "a", "title": "LEAD"}));
        learn(&mut memory, findings(&Attributes::from([(title.clone(), sent.clone())]), &shown));
        let kept = Scalar::from("LEAD");
        let asked =
            |now_shown: &str| pointless(&memory, &title, &sent, Some(&Scalar::from(now_shown)), Millis(0));
        assert_eq!(asked("LEAD"), Some(Pointless::KeptAs(kept.clone())));
        assert_eq!(asked("Chef"), None);
        assert!(holds(&memory, &title, &sent, Some(&kept)));
        assert!(!holds(&memory, &title, &sent, Some(&Scalar::from("Chef"))));
        assert!(!holds(&memory, &title, &Scalar::from("Chef"), Some(&kept)));
    }

    #[test]
    fn a_refused_value_rests_for_seven_days() {
        let mut memory = AttributeMemory::default();
        let (at, sent) = (path("title"), Scalar::from("Lead"));
        let attributes = Attributes::from([(at.clone(), sent.clone())]);
        let refused = [(at.clone(), "too long".to_owned()), (path("nickName"), "unknown".to_owned())];
        learn_refusals(&mut memory, &attributes, &refused, Millis(1_000));
        assert_eq!(memory.refusals.len(), 1, "a path that was not sent is not remembered");
        let asked = |now: i64| pointless(&memory, &at, &sent, None, Millis(now));
        assert_eq!(asked(1_000), Some(Pointless::RefusedAt(Millis(1_000))));
        assert_eq!(asked(999 + REFUSAL_REST_MILLIS), Some(Pointless::RefusedAt(Millis(1_000))));
        assert_eq!(asked(1_000 + REFUSAL_REST_MILLIS), None);
        assert_eq!(asked(-REFUSAL_REST_MILLIS), None, "a clock that went back does not prolong the rest");
        assert_eq!(pointless(&memory, &at, &Scalar::from("Chef"), None, Millis(1_001)), None);
    }
}
