//! The link after a write, as tables.

use serde_json::json;

use crate::core::sample_tests::{NOW, account, action, desired, found, link, path, text, values};
use crate::core::settlement::{AcknowledgedWrite, SettledLink, settle_state, settle_write};
use crate::model::account::Account;
use crate::model::id::TargetId;
use crate::model::link::{EchoKind, Link, LinkState};
use crate::model::order::Observation;
use crate::model::plan::{PlannedAction, Verb};
use crate::model::time::Millis;

fn settle(
    action: &PlannedAction,
    link: Option<&Link>,
    account: Option<&Account>,
    refused: &[(&str, &str)],
) -> SettledLink {
    let refused: Vec<_> = refused.iter().map(|(at, why)| (path(at), (*why).to_owned())).collect();
    let target_id = TargetId::new("account-9");
    settle_write(&AcknowledgedWrite {
        action,
        link,
        target_id: &target_id,
        account,
        refused: &refused,
        now: NOW,
    })
}

#[test]
fn each_verb_leaves_the_account_in_its_state() {
    let inactive = |active| Some(found(values([("userName", "ann")]), active));
    // Verb, what was found, whether it activates, the state before, the state after.
    let table = [
        (Verb::Create, None, false, None, LinkState::Active),
        (Verb::Adopt, inactive(true), false, None, LinkState::Active),
        (Verb::Adopt, inactive(false), true, None, LinkState::Active),
        (Verb::Adopt, inactive(false), false, None, LinkState::Inactive),
        (Verb::Reactivate, None, true, Some(LinkState::Deactivated(NOW)), LinkState::Active),
        (Verb::Reactivate, None, true, Some(LinkState::Inactive), LinkState::Active),
        (Verb::Update, None, false, Some(LinkState::Active), LinkState::Active),
        (Verb::Update, None, false, Some(LinkState::Inactive), LinkState::Inactive),
    ];
    for (verb, found, activate, before, after) in table {
        let before = before.map(|state| Link { state, ..link() });
        let action = PlannedAction { found: found.clone(), activate, ..action(verb, &[]) };
        let settled = settle(&action, before.as_ref(), None, &[]);
        assert_eq!(settled.link.state, after, "{verb:?} {found:?} {activate}");
        assert_eq!(settled.link.target_id.as_str(), "account-9");
        assert_eq!(settled.link.observation, action.observation);
    }
}

#[test]
fn what_was_acknowledged_is_what_was_sent_and_the_rest_stays() {
    let mut update =
        action(Verb::Update, &[("title", Some("Engineer"), Some("Lead")), ("nickName", Some("N"), None)]);
    update.desired = Some(desired(values([("title", "Lead")])));
    let mut before = link();
    before.acknowledged.insert(path("nickName"), text("N"));
    let after = settle(&update, Some(&before), None, &[]).link;
    assert_eq!(after.acknowledged.get(&path("title")), Some(&text("Lead")));
    assert_eq!(after.acknowledged.get(&path("nickName")), None);
    assert_eq!(after.acknowledged.get(&path("name.givenName")), Some(&text("Ann")));
    assert_eq!(after.user_name, "ann@acme.example");
    assert_eq!(after.digest, Some(update.desired.as_ref().unwrap().digest), "nothing is owed");
}

#[test]
fn a_rename_is_the_name_from_now_on() {
    let rename = action(Verb::Update, &[("userName", Some("ann@acme.example"), Some("anna@acme.example"))]);
    assert_eq!(settle(&rename, Some(&link()), None, &[]).link.user_name, "anna@acme.example");
}

#[test]
fn a_refused_value_is_remembered_and_not_acknowledged() {
    let mut update =
        action(Verb::Update, &[("title", Some("Engineer"), Some("Lead")), ("nickName", None, Some("N"))]);
    update.desired = Some(desired(values([("title", "Lead"), ("nickName", "N")])));
    let after = settle(&update, Some(&link()), None, &[("title", "too long")]).link;
    assert_eq!(after.acknowledged.get(&path("title")), Some(&text("Engineer")));
    assert_eq!(after.acknowledged.get(&path("nickName")), Some(&text("N")));
    let refusal = &after.memory.refusals[&path("title")];
    assert_eq!((&refusal.sent, refusal.at, refusal.detail.as_str()), (&text("Lead"), NOW, "too long"));
    assert_eq!(after.digest, None, "it is still owed");
}

#[test]
fn a_refused_clearing_is_remembered_and_the_value_stays() {
    let mut clear = action(Verb::Update, &[("title", Some("Engineer"), None)]);
    let mut wish = desired(values([]));
    wish.clear = vec![path("title")];
    clear.desired = Some(wish);
    let after = settle(&clear, Some(&link()), None, &[("title", "is required")]).link;
    assert_eq!(after.acknowledged.get(&path("title")), Some(&text("Engineer")));
    assert_eq!(after.memory.refusals[&path("title")].sent, text(""));
    assert_eq!(after.digest, None);
}

#[test]
fn the_answer_shows_what_was_ignored_and_what_has_another_spelling() {
    let mut create =
        action(Verb::Create, &[("userName", None, Some("Ann@acme.example")), ("title", None, Some("Lead"))]);
    create.desired = Some(desired(values([("userName", "Ann@acme.example"), ("title", "Lead")])));
    let shown = account(&json!({"id": "account-9", "userName": "ann@acme.example"}));
    let settled = settle(&create, None, Some(&shown), &[]);
    assert_eq!(settled.ignored, [path("title")]);
    assert_eq!(settled.link.acknowledged.get(&path("title")), None, "it never got there");
    assert_eq!(settled.link.acknowledged.get(&path("userName")), Some(&text("Ann@acme.example")));
    assert_eq!(settled.link.memory.echoes[&path("userName")].kind, EchoKind::Normalised);
    assert_eq!(settled.link.memory.echoes[&path("title")].kind, EchoKind::Ignored);
    assert!(settled.link.digest.is_some(), "what is ignored is not owed: {settled:?}");
}

#[test]
fn an_ignored_change_leaves_the_old_value_acknowledged() {
    let update = action(Verb::Update, &[("title", Some("Engineer"), Some("Lead"))]);
    let shown = account(&json!({"id": "account-9", "userName": "ann@acme.example", "title": "Engineer"}));
    let settled = settle(&update, Some(&link()), Some(&shown), &[]);
    assert_eq!(settled.ignored, [path("title")]);
    assert_eq!(settled.link.acknowledged.get(&path("title")), Some(&text("Engineer")));
}

#[test]
fn a_value_that_arrived_ends_what_was_remembered_of_it() {
    let mut before = link();
    let refused = action(Verb::Update, &[("title", Some("Engineer"), Some("Lead"))]);
    before = settle(&refused, Some(&before), None, &[("title", "no")]).link;
    let shown = account(&json!({"id": "account-9", "userName": "ann@acme.example", "title": "Lead"}));
    let after = settle(&refused, Some(&before), Some(&shown), &[]).link;
    assert!(after.memory.refusals.is_empty() && after.memory.echoes.is_empty(), "{:?}", after.memory);
    assert_eq!(after.acknowledged.get(&path("title")), Some(&text("Lead")));
}

#[test]
fn an_adoption_starts_from_what_was_found_and_remembers_what_is_withheld() {
    let mut adopt = action(Verb::Adopt, &[("title", None, Some("Lead"))]);
    adopt.desired = Some(desired(values([("title", "Lead"), ("userName", "ann@acme.example")])));
    let mut account = found(values([("userName", "a.archer@acme.example"), ("nickName", "N")]), true);
    account.withheld = vec![path("userName")];
    adopt.found = Some(account);
    let after = settle(&adopt, Some(&link()), None, &[]).link;
    let expected = values([("userName", "a.archer@acme.example"), ("nickName", "N"), ("title", "Lead")]);
    assert_eq!(after.acknowledged, expected, "nothing of an earlier link");
    assert_eq!(after.user_name, "a.archer@acme.example");
    assert!(after.memory.withheld.contains(&path("userName")));
    assert_eq!(after.digest, None, "a part is still owed");
}

#[test]
fn a_state_is_settled_without_touching_the_values() {
    for state in [LinkState::Deactivated(NOW), LinkState::Gone(NOW)] {
        let after = settle_state(&link(), state, Observation::before_numbers(Millis(NOW.0 + 5)));
        assert_eq!(
            after,
            Link { state, observation: Observation::before_numbers(Millis(NOW.0 + 5)), ..link() }
        );
    }
}
