//! What is said of somebody after both sides were asked.

use super::{linked, nobody_stored, record, sync_with};
use crate::core::eligibility::{ScopeNames, eligibility};
use crate::core::explain::{Explainer, Seen, Stored, StoredSync};
use crate::core::mapping::Mapping;
use crate::core::sample_tests::{NOW, ann, link, okta, path};
use crate::model::digest::DigestKey;
use crate::model::explain::{Fate, MatchCandidate, MatchKey, PersonExplained, PersonPin};
use crate::model::id::Vendor;
use crate::model::identity::{Finding, Identity, PointRead};
use crate::model::link::{Echo, EchoKind};
use crate::model::order::Observation;
use crate::model::plan::{Situation, Verb};
use crate::model::report::{ActionRecord, Outcome};

/// What is said of Ann after both sides were asked.
fn seen(lines: &str, person: Stored, finding: Finding, record: Option<ActionRecord>) -> PersonExplained {
    let config = sync_with(lines);
    let key = DigestKey::new([7; 32]);
    let mapping =
        Mapping::compile(Vendor::Okta, &config.scope, &config.attributes, config.user_type.as_ref(), key)
            .unwrap();
    let eligibility = match &finding {
        Finding::Assigned(identity) | Finding::NotAssigned(identity) => Some(eligibility(
            identity,
            person.link.is_some(),
            &mapping,
            &config.lifecycle,
            &mut ScopeNames::new(&mapping),
        )),
        Finding::UserGone | Finding::Inconclusive(_) => None,
    };
    let read = PointRead { observation: Observation::before_numbers(NOW), finding };
    let candidate = MatchCandidate {
        target_id: link().target_id,
        user_name: None,
        active: Some(true),
        key: MatchKey::UserName,
        accepted: true,
        why: "the only one".to_owned(),
    };
    let seen = Seen {
        read: &read,
        eligibility: eligibility.as_ref(),
        record,
        matches: vec![candidate],
        account: None,
        token_owner: None,
        limits: Vec::new(),
        raw: false,
    };
    Explainer { config: &config, mapping: &mapping, now: NOW }.seen_person(
        person,
        &StoredSync::default(),
        seen,
    )
}

fn found(status: &str, is_assigned: bool) -> Finding {
    let identity = Box::new(Identity { status: okta(status), assigned: is_assigned, ..ann() });
    if is_assigned { Finding::Assigned(identity) } else { Finding::NotAssigned(identity) }
}

#[test]
fn what_the_source_shows_now_is_told_with_assignment_scope_and_accounts() {
    let person = seen("", nobody_stored(), found("ACTIVE", true), None);
    assert_eq!((&*person.user, person.as_of, person.told_by_run), ("ann@acme.example", Some(NOW), None));
    assert_eq!((&*person.assignment.unwrap().value, person.matches.len()), ("assigned", 1));
    assert_eq!(
        (person.lifecycle.unwrap().value, person.record.unwrap().status),
        ("active".into(), "ACTIVE".into())
    );
    let scope = person.scope.unwrap();
    assert_eq!((scope.value, &*scope.why), ("in", "there is no scope.filter, so everybody is in"));
    let title = person.mappings.iter().find(|step| step.path == path("title")).unwrap();
    assert_eq!((title.value.clone(), title.fate), (Some("Engineer".into()), Fate::NotSent));
    for (finding, assignment) in [
        (found("ACTIVE", false), "not assigned"),
        (Finding::UserGone, "gone"),
        (Finding::Inconclusive("a proxy's page".to_owned()), "unknown"),
    ] {
        let person = seen("", nobody_stored(), finding, None);
        assert_eq!(person.assignment.unwrap().value, assignment);
    }
}

#[test]
fn who_is_blocked_for_another_reason_is_not_said_to_be_out_of_scope() {
    let filter = "scope.filter = \"user.department == 'Research'\"";
    let scope = |lines: &str| seen(lines, nobody_stored(), found("ACTIVE", true), None).scope.unwrap();
    assert_eq!((scope(filter).value, &*scope(filter).why), ("in", "scope.filter gives true"));
    let held = scope(filter).names;
    assert_eq!(held.get("user.department"), Some(&Some("Research".to_owned())));
    let other = "scope = { filter = \"user.department == 'Sales'\" }";
    assert_eq!((scope(other).value, &*scope(other).why), ("out", "scope.filter gives false"));
    assert_eq!(scope("scope.domains = [\"other.example\"]").value, "out");
    let failing = format!("{filter}\nattributes.nickName = {{ from = \"1 // 0\" }}");
    assert_eq!(scope(&failing).value, "in", "an expression that fails is no question of the scope");
}

#[test]
fn why_access_ends_is_told_in_the_sources_words_where_nothing_of_ours_decides() {
    let left = || record(Situation::Gone, Verb::Skip, Outcome::Skipped, "left, and has no account of ours");
    let pinned = || {
        let pin = PersonPin { reason: "forgotten by root".to_owned(), verb: None, lift: "lift".to_owned() };
        Stored { pin: Some(pin), ..nobody_stored() }
    };
    let dated = || record(Situation::Gone, Verb::Delete, Outcome::Planned, "stayed away longer");
    let leaver =
        || record(Situation::Leaver, Verb::Deactivate, Outcome::Planned, "no longer listed by the app");
    let table = [
        (nobody_stored(), found("ACTIVE", false), left(), "not assigned to the app in Okta"),
        (nobody_stored(), found("DEPROVISIONED", false), left(), "deactivated in Okta"),
        (nobody_stored(), found("DEPROVISIONED", true), left(), "deactivated in Okta"),
        (nobody_stored(), Finding::UserGone, left(), "deleted in Okta"),
        (nobody_stored(), Finding::Inconclusive(String::new()), left(), "left"),
        (
            linked(|_| {}),
            found("ACTIVE", false),
            leaver(),
            "not assigned to the app in Okta; the next run sends",
        ),
        (pinned(), found("ACTIVE", false), left(), "left"),
        (
            nobody_stored(),
            found("ACTIVE", false),
            dated(),
            "stayed away longer; the next run sends the delete",
        ),
    ];
    for (stored, finding, record, answer) in table {
        let place = format!("{finding:?} {record:?}");
        let person = seen("", stored, finding, Some(record));
        let (_, why) = person.answer.split_once(": ").unwrap();
        assert!(why.starts_with(answer), "{why:?} for {place}");
    }
}

#[test]
fn what_becomes_of_a_value_after_both_sides_were_asked() {
    let fate = |lines: &str, person: Stored, record: Option<ActionRecord>, at: &str| {
        let person = seen(lines, person, found("ACTIVE", true), record);
        let step = person.mappings.into_iter().find(|step| step.path == path(at)).unwrap();
        (step.fate, step.why)
    };
    let adoption = || Some(record(Situation::Found, Verb::Adopt, Outcome::Planned, "exists already"));
    assert_eq!(fate("", nobody_stored(), adoption(), "userName").0, Fate::Withheld);
    assert_eq!(fate("", nobody_stored(), adoption(), "title"), (Fate::NotSent, "exists already".to_owned()));
    let update = || Some(record(Situation::Confirmed, Verb::Update, Outcome::Planned, "name differs"));
    assert_eq!(fate("", nobody_stored(), update(), "userName").0, Fate::NotSent);
    assert_eq!(fate("", linked(|_| {}), None, "title"), (Fate::Kept, "the account has it".to_owned()));
    let spelled = linked(|link| {
        link.acknowledged.insert(path("title"), "ENG.".into());
        let echo =
            Echo { sent: "Engineer".into(), returned: Some("ENG.".into()), kind: EchoKind::Normalised };
        link.memory.echoes.insert(path("title"), echo);
    });
    assert_eq!(fate("", spelled, None, "title"), (Fate::Kept, "the account has it".to_owned()));
    let other = linked(|link| {
        link.acknowledged.insert(path("title"), "BOSS.".into());
        let echo = Echo { sent: "Boss".into(), returned: Some("BOSS.".into()), kind: EchoKind::Normalised };
        link.memory.echoes.insert(path("title"), echo);
    });
    assert_ne!(
        fate("", other, None, "title").1,
        "the account has it",
        "that is the spelling of another value"
    );
    let (withheld, why) = fate("", nobody_stored(), adoption(), "userName");
    assert!(withheld == Fate::Withheld && why.contains("wait for approval"), "{why}");
    let clears = "attributes.nickName = { from = \"user.displayName\", on_missing = \"clear\" }";
    assert_eq!(fate(clears, nobody_stored(), None, "nickName").0, Fate::Kept);
    let keeps = "attributes.nickName = { from = \"user.displayName\" }";
    assert_eq!(fate(keeps, nobody_stored(), None, "nickName").0, Fate::Omitted);
    assert_eq!(fate("attributes.title = \"off\"", nobody_stored(), None, "title").0, Fate::Dropped);
}
