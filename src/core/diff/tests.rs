//! What differs, as a table.

use crate::core::diff::{Difference, activation, creation, difference};
use crate::core::sample_tests::{NOW, desired, path, text, values};
use crate::model::attributes::{AttributePath, Scalar};
use crate::model::link::{AttributeMemory, Echo, EchoKind, REFUSAL_REST_MILLIS, RefusedValue};
use crate::model::plan::Change;
use crate::model::time::Millis;

fn change(at: &str, from: Option<&str>, to: Option<&str>) -> Change {
    Change { path: path(at), from: from.map(Scalar::from), to: to.map(Scalar::from) }
}

#[test]
fn a_difference_is_a_difference_by_the_attributes_own_rules() {
    const EMAIL: &str = "emails[primary eq true].value";
    // Path, what is there, what should be, whether that is something to do.
    let table = [
        ("title", Some("Engineer"), "Engineer", false),
        ("title", Some("engineer"), "Engineer", true),
        ("title", Some("Engineer "), "Engineer", true),
        ("title", None, "Engineer", true),
        ("userName", Some("ANN@acme.example"), "ann@ACME.example", false),
        ("userName", Some("ann@bücher.example"), "ann@xn--bcher-kva.example", false),
        ("userName", Some("anna@acme.example"), "ann@acme.example", true),
        (EMAIL, Some("Ann@acme.example"), "ann@acme.example", false),
        ("externalId", Some("00UANN"), "00uann", true),
    ];
    for (at, from, to, differs) in table {
        let current = from.map(|from| values([(at, from)])).unwrap_or_default();
        let found = difference(&desired(values([(at, to)])), &current, &AttributeMemory::default(), NOW);
        let expected = if differs { vec![change(at, from, Some(to))] } else { Vec::new() };
        assert_eq!(
            found,
            Difference { changes: expected, ..Difference::default() },
            "{at}: {from:?} -> {to}"
        );
    }
}

#[test]
fn what_is_not_desired_stays_and_what_is_to_be_cleared_goes_once() {
    let current = values([("title", "Engineer"), ("nickName", "Boss")]);
    let mut wish = desired(values([("title", "Engineer")]));
    assert_eq!(difference(&wish, &current, &AttributeMemory::default(), NOW), Difference::default());
    wish.clear = vec![path("nickName"), path("locale")];
    let found = difference(&wish, &current, &AttributeMemory::default(), NOW);
    assert_eq!(found.changes, [change("nickName", Some("Boss"), None)]);
}

#[test]
fn an_echo_is_no_difference_while_it_is_the_echo_of_this_value() {
    let mut memory = AttributeMemory::default();
    let echo = |kind| Echo { sent: text("Lead"), returned: Some(text("LEAD")), kind };
    let of = |memory: &AttributeMemory, shown: &str, wish: &str| {
        difference(&desired(values([("title", wish)])), &values([("title", shown)]), memory, NOW)
            .changes
            .len()
    };
    memory.echoes.insert(path("title"), echo(EchoKind::Normalised));
    assert_eq!(of(&memory, "LEAD", "Lead"), 0, "the same in the target's spelling");
    assert_eq!(of(&memory, "Chef", "Lead"), 1, "somebody changed it there");
    assert_eq!(of(&memory, "LEAD", "Chief"), 1, "another value");
    memory.echoes.insert(path("title"), echo(EchoKind::Ignored));
    assert_eq!(of(&memory, "Engineer", "Lead"), 0, "ignored once, not sent again");
    assert_eq!(of(&memory, "Engineer", "Chief"), 1, "another value is tried");
}

#[test]
fn a_refused_value_rests_for_seven_days_and_so_does_a_refused_clearing() {
    let refusal = |sent: &str| RefusedValue { sent: text(sent), at: NOW, detail: "too long".to_owned() };
    let mut memory = AttributeMemory::default();
    memory.refusals.insert(path("title"), refusal("Lead"));
    memory.refusals.insert(path("nickName"), refusal(""));
    let current = values([("title", "Engineer"), ("nickName", "Boss")]);
    let mut wish = desired(values([("title", "Lead")]));
    wish.clear = vec![path("nickName")];
    let at = |time: i64| difference(&wish, &current, &memory, Millis(NOW.0 + time));
    for time in [0, REFUSAL_REST_MILLIS - 1] {
        let rest = Difference { refused: vec![path("title"), path("nickName")], ..Difference::default() };
        assert_eq!(at(time), rest);
    }
    assert_eq!(at(REFUSAL_REST_MILLIS).changes.len(), 2);
    assert_eq!(at(-1).changes.len(), 2, "a clock that went back does not prolong the rest");
    let other = difference(&desired(values([("title", "Chief")])), &current, &memory, NOW);
    assert_eq!(other.changes, [change("title", Some("Engineer"), Some("Chief"))]);
}

#[test]
fn what_an_adoption_by_address_must_not_change_is_withheld() {
    let memory = AttributeMemory { withheld: [path("userName")].into(), ..AttributeMemory::default() };
    let wish = desired(values([("userName", "ann@acme.example"), ("title", "Lead")]));
    let current = values([("userName", "a.archer@acme.example")]);
    let found = difference(&wish, &current, &memory, NOW);
    assert_eq!(found.changes, [change("title", None, Some("Lead"))]);
    assert_eq!(found.withheld, [change("userName", Some("a.archer@acme.example"), Some("ann@acme.example"))]);
}

#[test]
fn a_creation_shows_every_value_and_an_activation_both_sides() {
    let wish = desired(values([("userName", "ann"), ("title", "Lead")]));
    assert_eq!(creation(&wish), [change("title", None, Some("Lead")), change("userName", None, Some("ann"))]);
    let change = activation(Some(true), false);
    assert_eq!(change.path, AttributePath::active());
    assert_eq!((change.from, change.to), (Some(Scalar::Flag(true)), Some(Scalar::Flag(false))));
    assert_eq!(activation(None, true).from, None);
}
