//! The world behind the servers: seeds, verbs, events.

use crate::start;
use rosterd::sim::{Sim, SimOptions};

#[tokio::test]
async fn the_same_seed_gives_the_same_people() {
    let people = async |seed: u64| {
        let sim = Sim::start(SimOptions { seed, ..SimOptions::default() }).await.unwrap();
        sim.world().populate(200);
        let people = sim.world().people();
        people.into_iter().map(|person| (person.okta_id, person.login, person.title)).collect::<Vec<_>>()
    };
    let first = people(3).await;
    assert_eq!(first, people(3).await);
    assert_ne!(first, people(4).await);
    let mut logins: Vec<_> = first.iter().map(|(_, login, _)| login.to_lowercase()).collect();
    logins.sort();
    logins.dedup();
    assert_eq!(logins.len(), 200, "logins are unique");
    assert!(first.iter().any(|(_, _, title)| title.is_none()));
}

#[tokio::test]
async fn every_verb_leaves_the_events_of_both_vendors() {
    let sim = start().await;
    let world = sim.world();
    let ann = world.hire("ann@acme.example", |_| {});
    let step = |what: &dyn Fn()| {
        let before = world.okta_event_types().len();
        what();
        world.okta_event_types().split_off(before)
    };
    assert_eq!(step(&|| world.assign(ann)), ["application.user_membership.add"]);
    assert_eq!(step(&|| world.assign(ann)), [""; 0], "nothing changed");
    assert_eq!(step(&|| world.suspend(ann)), ["user.lifecycle.suspend"]);
    assert_eq!(step(&|| world.unsuspend(ann)), ["user.lifecycle.unsuspend"]);
    assert_eq!(
        step(&|| world.rename(ann, "anna@acme.example")),
        ["user.account.update_profile", "application.user_membership.update"]
    );
    assert_eq!(world.find("ANNA@acme.example"), Some(ann));
    assert_eq!(world.find("ann@acme.example"), None);
    let group = world.add_group("G");
    assert_eq!(step(&|| world.add_member(group, ann)), ["group.user_membership.add"]);
    assert_eq!(step(&|| world.assign_group(group)), ["group.application_assignment.add"], "assigned already");
    assert_eq!(
        step(&|| world.deactivate(ann)),
        ["user.lifecycle.deactivate", "application.user_membership.remove"]
    );
    assert_eq!(
        step(&|| world.reactivate(ann)),
        ["user.lifecycle.reactivate", "application.user_membership.add"]
    );
    assert_eq!(
        step(&|| world.unassign_group(group)),
        ["group.application_assignment.remove", "application.user_membership.remove"]
    );
    assert_eq!(step(&|| world.deactivate_app()), ["application.lifecycle.deactivate"]);
    assert_eq!(
        step(&|| world.delete(ann)),
        ["user.lifecycle.deactivate", "user.lifecycle.delete.initiated", "user.lifecycle.delete.completed"]
    );
    assert!(world.people().is_empty() && world.group(group).members.is_empty());
}

#[tokio::test]
async fn accounts_are_changed_added_and_deleted_by_hand() {
    let sim = start().await;
    let world = sim.world();
    let id = world.add_account(&serde_json::json!({"userName": "Owner@acme.example", "title": "Boss"}));
    world.edit_account(&id, |account| {
        account.owner = true;
        account.resource.insert("userName".to_owned(), "chief@acme.example".into());
    });
    assert!(world.account("owner@acme.example").is_none());
    let account = world.account("CHIEF@acme.example").unwrap();
    assert_eq!((account.version, account.owner, account.active()), (2, true, true));
    assert!(world.delete_account(&id) && !world.delete_account(&id));
}
