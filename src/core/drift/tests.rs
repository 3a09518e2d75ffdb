//! The comparison of source, link and target as tables.

use serde_json::json;

use crate::config::{LifecyclePolicy, RemovalPolicy};
use crate::core::drift::{
    AccessDrift, Values, compare, compare_access, compare_attribute, corrected, marked,
};
use crate::core::eligibility::Eligibility;
use crate::core::planner::{Decision, Match, Person, Policy, plan};
use crate::core::sample_tests::{NOW, account, adopt, ann, link, map, mapping, path, policy, text};
use crate::model::attributes::AttributePath;
use crate::model::drift::AttributeDrift::{self, Both, Echo, SourceChanged, TargetDrifted, Unchanged};
use crate::model::id::{SourceId, Vendor};
use crate::model::link::{self, AttributeMemory, EchoKind, LinkState, RefusedValue};
use crate::model::order::Observation;
use crate::model::plan::{RemovalCause, Verb};
use crate::model::time::Millis;

const PHONE: &str = "phoneNumbers[primary eq true].value";

fn compared(
    at: &str,
    [source, acknowledged, target]: [Option<&str>; 3],
    memory: &AttributeMemory,
) -> AttributeDrift {
    let [source, acknowledged, target] = [source, acknowledged, target].map(|value| value.map(text));
    let values =
        Values { source: source.as_ref(), acknowledged: acknowledged.as_ref(), target: target.as_ref() };
    compare_attribute(&path(at), values, memory, NOW)
}

#[test]
fn three_values_of_an_attribute_tell_who_moved() {
    let cases = [
        ("title", [Some("Lead"), Some("Lead"), Some("Lead")], Unchanged),
        ("title", [Some("Chef"), Some("Lead"), Some("Lead")], SourceChanged),
        ("title", [Some("Lead"), Some("Lead"), Some("Boss")], TargetDrifted),
        ("title", [Some("Lead"), Some("Lead"), None], TargetDrifted),
        ("title", [Some("Chef"), Some("Lead"), Some("Boss")], Both),
        ("title", [Some("Chef"), Some("Lead"), None], Both),
        // The target has it already: the next run writes it down.
        ("title", [Some("Chef"), Some("Lead"), Some("Chef")], SourceChanged),
        // Never written: whatever stands there is nobody's change of ours.
        ("title", [Some("Chef"), None, Some("Boss")], SourceChanged),
        ("title", [Some("Chef"), None, None], SourceChanged),
        // Another spelling of the same.
        ("title", [Some("Lead"), Some("Lead"), Some(" LEAD")], Echo),
        ("userName", [Some("Ann@acme.example"), Some("Ann@acme.example"), Some("ann@ACME.example")], Echo),
        (PHONE, [Some("+1 555 0100"), Some("+1 555 0100"), Some("tel:+1-555-0100")], Echo),
        (PHONE, [Some("+1 555 0100"), Some("+1 555 0100"), Some("+1 555 0199")], TargetDrifted),
        // Nothing may be there.
        ("title", [None, None, None], Unchanged),
        ("title", [None, None, Some("Boss")], TargetDrifted),
        ("title", [None, Some("Lead"), Some("Lead")], SourceChanged),
    ];
    for (at, values, expected) in cases {
        assert_eq!(compared(at, values, &AttributeMemory::default()), expected, "{at} {values:?}");
    }
}

#[test]
fn what_the_target_is_known_to_make_of_a_value_is_no_drift() {
    let echo = |kind, returned: &str| AttributeMemory {
        echoes: [(path("title"), link::Echo { sent: text("Lead"), returned: Some(text(returned)), kind })]
            .into(),
        ..AttributeMemory::default()
    };
    let refused = AttributeMemory {
        refusals: [(path("title"), RefusedValue { sent: text("Lead"), at: NOW, detail: String::new() })]
            .into(),
        ..AttributeMemory::default()
    };
    let withheld = AttributeMemory { withheld: [path("title")].into(), ..AttributeMemory::default() };
    let cases = [
        (echo(EchoKind::Normalised, "L."), [Some("Lead"), Some("Lead"), Some("L.")], Echo),
        (echo(EchoKind::Normalised, "L."), [Some("Lead"), Some("Lead"), Some("Boss")], TargetDrifted),
        (echo(EchoKind::Normalised, "L."), [Some("Chef"), Some("Lead"), Some("L.")], SourceChanged),
        (echo(EchoKind::Ignored, "None"), [Some("Lead"), Some("None"), Some("None")], Echo),
        (echo(EchoKind::Ignored, "None"), [Some("Lead"), Some("None"), Some("Boss")], Echo),
        (refused, [Some("Lead"), Some("None"), Some("None")], Echo),
        (withheld, [Some("Lead"), Some("None"), Some("None")], Echo),
    ];
    for (memory, values, expected) in cases {
        assert_eq!(compared("title", values, &memory), expected, "{memory:?} {values:?}");
    }
}

#[test]
fn only_what_the_source_has_a_say_in_is_compared() {
    let mut link = link();
    let mut desired = map(&mapping(), &ann()).unwrap().desired;
    desired.set.remove(&path("title"));
    let shown = account(&json!({"id": "account-1", "userName": "ann@acme.example", "active": true,
        "externalId": "00uann", "title": "Boss", "nickName": "Annie", "name": {"givenName": "Ann"},
        "emails": [{"value": "ann@acme.example", "type": "work", "primary": true}]}));
    desired.set.retain(|path, _| {
        ["userName", "externalId", "name.givenName", "name.familyName"].contains(&path.as_str())
    });
    let found = compare(&desired, &link, &shown, NOW);
    assert_eq!(found.iter().map(|one| one.path.as_str()).collect::<Vec<_>>(), ["name.familyName"]);
    assert_eq!((found[0].state, &found[0].target), (TargetDrifted, &None));
    link.acknowledged.remove(&path("name.familyName"));
    assert_eq!(compare(&desired, &link, &shown, NOW)[0].state, SourceChanged);
}

fn qualifies() -> Eligibility {
    Eligibility::Qualifies(Box::new(map(&mapping(), &ann()).unwrap()))
}

#[test]
fn access_is_judged_by_standing_link_and_account() {
    use AccessDrift::{LeaverActive, SourceChanged, SwitchedOff, Unchanged};
    let away = LinkState::Deactivated(NOW);
    let gone = LinkState::Gone(NOW);
    let left = || Eligibility::Leaver(RemovalCause::NotListed);
    let cases = [
        (qualifies(), LinkState::Active, Some(true), Unchanged),
        (qualifies(), LinkState::Active, Some(false), SwitchedOff),
        (qualifies(), LinkState::Active, None, Unchanged),
        (qualifies(), away, Some(false), SourceChanged),
        (qualifies(), away, Some(true), SourceChanged),
        (qualifies(), LinkState::Inactive, Some(false), SourceChanged),
        (qualifies(), gone, Some(true), SourceChanged),
        (left(), LinkState::Active, Some(true), SourceChanged),
        (left(), LinkState::Active, Some(false), SourceChanged),
        (left(), away, Some(true), LeaverActive),
        (left(), away, Some(false), Unchanged),
        (left(), away, None, Unchanged),
        (left(), LinkState::Inactive, Some(true), LeaverActive),
        (left(), gone, Some(true), LeaverActive),
        (Eligibility::Suspended, away, Some(true), LeaverActive),
        (Eligibility::OutOfScope, away, Some(true), LeaverActive),
        (Eligibility::Pending, away, Some(true), Unchanged),
        (Eligibility::Blocked("?".to_owned()), away, Some(true), Unchanged),
        (Eligibility::Blocked("?".to_owned()), LinkState::Active, Some(false), Unchanged),
    ];
    for (eligibility, state, active, expected) in cases {
        let found = compare_access(&eligibility, state, active, &policy());
        assert_eq!(found, expected, "{eligibility:?} {state:?} {active:?}");
    }
    let keeps =
        LifecyclePolicy { on_unassigned: RemovalPolicy::Keep, on_deleted: RemovalPolicy::Keep, ..policy() };
    assert_eq!(compare_access(&left(), away, Some(true), &keeps), Unchanged, "who is kept may be active");
}

#[test]
fn the_plan_from_what_was_seen_brings_the_target_back_with_its_own_value_as_the_old_one() {
    let eligibility = qualifies();
    let Eligibility::Qualifies(mapped) = &eligibility else { unreachable!() };
    let mut resource = json!({"id": "account-1", "userName": "annie@acme.example", "active": true,
        "externalId": "00uann", "title": "Boss", "name": {"givenName": "Ann", "familyName": "Archer"},
        "emails": [{"value": "ann@acme.example", "type": "work", "primary": true}],
        "phoneNumbers": [{"value": "+15550100", "type": "work", "primary": true}]});
    resource["urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"] =
        json!({"organization": "Acme", "department": "Research"});
    let drifted = compare(&mapped.desired, &link(), &account(&resource), NOW);
    let seen = corrected(&link(), &drifted, LinkState::Active);
    assert_eq!((seen.user_name.as_str(), seen.digest), ("annie@acme.example", None));
    let mapping = mapping();
    let (lifecycle, adopt) = (policy(), adopt());
    let policy = Policy { lifecycle: &lifecycle, adopt: &adopt, mapping: &mapping };
    let id = SourceId::new("00uann");
    let person = Person {
        id: &id,
        user: "annie@acme.example",
        eligibility: &eligibility,
        link: Some(&seen),
        hits: &Match::None,
        waits: None,
        owed_deletion: None,
        observation: Observation::before_numbers(NOW),
        assigned_at: None,
    };
    let Decision::Act(action) = plan(&person, &policy, NOW) else { panic!("there is something to do") };
    let mut changes: Vec<_> =
        action.changes.iter().map(|change| (change.path.as_str(), change.from.clone())).collect();
    changes.sort_by_key(|(path, _)| *path);
    assert_eq!(action.verb, Verb::Update);
    assert_eq!(changes, [("title", Some(text("Boss"))), ("userName", Some(text("annie@acme.example")))]);
    let left = Eligibility::Leaver(RemovalCause::NotListed);
    let person = Person { eligibility: &left, ..person };
    let Decision::Act(action) = plan(&person, &policy, Millis(NOW.0 + 1)) else { panic!("somebody left") };
    assert_eq!(action.verb, Verb::Deactivate);
    assert!(action.changes.iter().any(|change| change.path == AttributePath::active()));
}

#[test]
fn only_marks_of_our_own_form_name_a_person() {
    let okta = "00uAbCdEf0123456789Z";
    let cases = [
        (Vendor::Okta, okta, Some(okta)),
        (Vendor::Okta, "00u1", None),
        (Vendor::Okta, "onelogin:42", None),
        (Vendor::Okta, "00uAbCdEf012345678 Z", None),
        (Vendor::OneLogin, "onelogin:42", Some("42")),
        (Vendor::OneLogin, "onelogin:", None),
        (Vendor::OneLogin, "42", None),
        (Vendor::OneLogin, okta, None),
    ];
    for (vendor, text, expected) in cases {
        assert_eq!(marked(vendor, text), expected.map(SourceId::new), "{vendor:?} {text}");
    }
}
