//! What happens to people, groups and the app: the verbs of a personnel department and of administrators. Each
//! leaves the events that the vendors would log.

use super::events::Happening;
use super::ids::okta_id;
use super::{App, Group, GroupId, Person, PersonId, State, Visibility, World};
use serde_json::Map;
use std::collections::BTreeSet;

impl World {
    /// Adds a person who is active at both vendors and not assigned. The closure fills in the rest.
    pub fn hire(&self, email: &str, fill: impl FnOnce(&mut Person)) -> PersonId {
        self.with(|state| {
            let id = state.add_person(email, fill);
            state.tell(id, "user.lifecycle.create", Some(13));
            state.tell(id, "user.lifecycle.activate", Some(16));
            id
        })
    }

    /// [`World::hire`] and [`World::assign`] in one.
    pub fn hire_assigned(&self, email: &str, fill: impl FnOnce(&mut Person)) -> PersonId {
        let id = self.hire(email, fill);
        self.assign(id);
        id
    }

    /// Assigns the app to a person directly.
    pub fn assign(&self, id: PersonId) {
        self.with(|state| state.set_direct(id, true));
    }

    /// Takes the direct assignment back; an assignment by a group stays.
    pub fn unassign(&self, id: PersonId) {
        self.with(|state| state.set_direct(id, false));
    }

    /// Changes a person's profile and logs the update. Lifecycle goes through its own verbs.
    pub fn edit(&self, id: PersonId, edit: impl FnOnce(&mut Person)) {
        self.with(|state| {
            state.change(id, edit);
            state.tell(id, "user.account.update_profile", Some(14));
            let assigned = state.people.get(&id).filter(|person| state.okta_scope(person).is_some()).cloned();
            if let Some(person) = assigned {
                let okta = "application.user_membership.update";
                state.happened(&Happening::Assignment {
                    okta,
                    onelogin: None,
                    person: &person,
                    by_group: false,
                });
            }
        });
    }

    /// Changes login and e-mail together.
    pub fn rename(&self, id: PersonId, email: &str) {
        self.edit(id, |person| {
            person.login = email.to_owned();
            person.email = email.to_owned();
        });
    }

    /// Okta `SUSPENDED`, OneLogin status 2. Assignments stay.
    pub fn suspend(&self, id: PersonId) {
        self.lifecycle(id, "SUSPENDED", (2, 1), "user.lifecycle.suspend", Some(21));
    }

    /// Ends a suspension.
    pub fn unsuspend(&self, id: PersonId) {
        self.lifecycle(id, "ACTIVE", (1, 1), "user.lifecycle.unsuspend", Some(32));
    }

    /// Okta `LOCKED_OUT`, OneLogin status 3: too many wrong passwords, still employed.
    pub fn lock(&self, id: PersonId) {
        self.lifecycle(id, "LOCKED_OUT", (3, 1), "user.account.lock", Some(19));
    }

    /// Ends a lock.
    pub fn unlock(&self, id: PersonId) {
        self.lifecycle(id, "ACTIVE", (1, 1), "user.account.unlock", Some(12));
    }

    /// Not yet activated: Okta `STAGED`, OneLogin status 0 and state 0.
    pub fn stage(&self, id: PersonId) {
        self.lifecycle(id, "STAGED", (0, 0), "user.lifecycle.create", None);
    }

    /// Deactivates: Okta `DEPROVISIONED`, which takes all app assignments away; OneLogin state 3 (unlicensed).
    pub fn deactivate(&self, id: PersonId) {
        self.with(|state| {
            let before = state.assigned_now(id);
            state.change_status(id, "DEPROVISIONED", (1, 3));
            state.change(id, |person| person.direct = false);
            state.tell(id, "user.lifecycle.deactivate", Some(15));
            state.tell_assignment(id, before, true);
        });
    }

    /// Activates again. A direct assignment does not come back by itself; one by a group does.
    pub fn reactivate(&self, id: PersonId) {
        self.with(|state| {
            let before = state.assigned_now(id);
            state.change_status(id, "ACTIVE", (1, 1));
            state.tell(id, "user.lifecycle.reactivate", Some(32));
            state.tell_assignment(id, before, true);
        });
    }

    /// Deletes a person for good. Okta logs the deactivation and both deletion events.
    pub fn delete(&self, id: PersonId) {
        self.with(|state| {
            let before = state.assigned_now(id);
            state.change(id, |person| {
                "DEPROVISIONED".clone_into(&mut person.okta_status);
                person.direct = false;
            });
            state.tell_assignment(id, before, true);
            state.tell(id, "user.lifecycle.deactivate", None);
            state.tell(id, "user.lifecycle.delete.initiated", None);
            state.tell(id, "user.lifecycle.delete.completed", Some(17));
            state.remove_person(id);
        });
    }

    /// Deletes a person and leaves no event, as retention or another admin scope would.
    pub fn delete_silently(&self, id: PersonId) {
        self.with(|state| state.remove_person(id));
    }

    /// Sets what the credentials see of a person.
    pub fn show(&self, id: PersonId, visibility: Visibility) {
        self.with(|state| state.change(id, |person| person.visibility = visibility));
    }

    /// Leaves a person out of lists without an error, although assigned: a narrowed admin role.
    pub fn hide(&self, id: PersonId) {
        self.show(id, Visibility::LeftOutOfLists);
    }

    /// Sets Okta status and OneLogin status and state to any values, without an event.
    pub fn set_status(&self, id: PersonId, okta: &str, onelogin_status: i64, onelogin_state: i64) {
        self.with(|state| state.change_status(id, okta, (onelogin_status, onelogin_state)));
    }

    fn lifecycle(
        &self,
        id: PersonId,
        okta: &str,
        onelogin: (i64, i64),
        event: &'static str,
        kind: Option<i64>,
    ) {
        self.with(|state| {
            state.change_status(id, okta, onelogin);
            state.tell(id, event, kind);
        });
    }

    /// Adds a group without members.
    pub fn add_group(&self, name: &str) -> GroupId {
        self.with(|state| {
            let key = GroupId(state.next_key());
            let now = state.now();
            let group = Group {
                key,
                okta_id: okta_id("00g", state.seed, key.0),
                onelogin_id: 300_000 + key.0,
                name: name.to_owned(),
                members: BTreeSet::new(),
                has_app: false,
                created: now,
                members_changed: now,
            };
            state.groups.insert(key, group);
            key
        })
    }

    /// Puts a person into a group; with the app assigned to the group, that assigns the app.
    pub fn add_member(&self, group: GroupId, id: PersonId) {
        self.with(|state| state.set_member(group, id, true));
    }

    /// Takes a person out of a group.
    pub fn remove_member(&self, group: GroupId, id: PersonId) {
        self.with(|state| state.set_member(group, id, false));
    }

    /// Assigns the app to a group.
    pub fn assign_group(&self, group: GroupId) {
        self.with(|state| state.set_group_app(group, true));
    }

    /// Takes the app from a group.
    pub fn unassign_group(&self, group: GroupId) {
        self.with(|state| state.set_group_app(group, false));
    }

    /// Renames a group.
    pub fn rename_group(&self, group: GroupId, name: &str) {
        self.with(|state| {
            if let Some(group) = state.groups.get_mut(&group) {
                name.clone_into(&mut group.name);
            }
        });
    }

    /// Deletes a group; who had the app only by it loses it.
    pub fn delete_group(&self, group: GroupId) {
        self.unassign_group(group);
        self.with(|state| {
            if let Some(group) = state.groups.remove(&group) {
                for member in group.members {
                    state.change(member, |person| {
                        person.groups.remove(&group.key);
                    });
                }
            }
        });
    }

    /// Changes the app and logs it.
    pub fn edit_app(&self, edit: impl FnOnce(&mut App)) {
        self.with(|state| {
            let (was_active, was_removed) = (state.app.active, state.app.removed);
            edit(&mut state.app);
            state.app.updated = state.now();
            let okta = match (was_active && !state.app.active, !was_removed && state.app.removed) {
                (_, true) => "application.lifecycle.delete",
                (true, false) => "application.lifecycle.deactivate",
                (false, false) => "application.lifecycle.update",
            };
            state.happened(&Happening::App { okta });
        });
    }

    /// Deactivates the app.
    pub fn deactivate_app(&self) {
        self.edit_app(|app| app.active = false);
    }

    /// Deletes the app.
    pub fn remove_app(&self) {
        self.edit_app(|app| app.removed = true);
    }
}

impl State {
    pub(super) fn add_person(&mut self, email: &str, fill: impl FnOnce(&mut Person)) -> PersonId {
        let key = PersonId(self.next_key());
        let now = self.now();
        let mut person = Person {
            key,
            okta_id: okta_id("00u", self.seed, key.0),
            onelogin_id: 40_000_000 + key.0 * 17,
            login: email.to_owned(),
            email: email.to_owned(),
            first_name: None,
            last_name: None,
            title: None,
            department: None,
            organization: None,
            primary_phone: None,
            mobile_phone: None,
            okta_status: "ACTIVE".to_owned(),
            onelogin_status: 1,
            onelogin_state: 1,
            without_username: false,
            app_profile: Map::new(),
            app_username: None,
            app_status: None,
            custom_attributes: Map::new(),
            extra_profile: Map::new(),
            extra_onelogin: Map::new(),
            direct: false,
            groups: BTreeSet::new(),
            visibility: Visibility::Shown,
            without_embedded: false,
            created: now,
            status_changed: now,
            updated: now,
            assigned: now,
        };
        fill(&mut person);
        person.key = key;
        self.index(&person);
        self.people.insert(key, person);
        key
    }

    fn change(&mut self, id: PersonId, edit: impl FnOnce(&mut Person)) {
        let Some(mut person) = self.people.remove(&id) else { return };
        self.unindex(&person);
        edit(&mut person);
        person.key = id;
        person.updated = self.now();
        self.index(&person);
        self.people.insert(id, person);
    }

    fn change_status(&mut self, id: PersonId, okta: &str, (status, state): (i64, i64)) {
        let now = self.now();
        self.change(id, |person| {
            okta.clone_into(&mut person.okta_status);
            person.onelogin_status = status;
            person.onelogin_state = state;
            person.status_changed = now;
        });
    }

    fn remove_person(&mut self, id: PersonId) {
        if let Some(person) = self.people.remove(&id) {
            self.unindex(&person);
            for group in self.groups.values_mut() {
                group.members.remove(&id);
            }
        }
    }

    fn tell(&mut self, id: PersonId, okta: &'static str, onelogin: Option<i64>) {
        if let Some(person) = self.people.get(&id).cloned() {
            self.happened(&Happening::Person { okta, onelogin, person: &person });
        }
    }

    fn assigned_now(&self, id: PersonId) -> bool {
        self.people.get(&id).is_some_and(|person| self.okta_scope(person).is_some())
    }

    /// Logs that an assignment came or went, if it did.
    fn tell_assignment(&mut self, id: PersonId, before: bool, by_group: bool) {
        let after = self.assigned_now(id);
        let Some(person) = self.people.get(&id).cloned() else { return };
        let (okta, onelogin) = match (before, after) {
            (false, true) => ("application.user_membership.add", 206),
            (true, false) => ("application.user_membership.remove", 207),
            (false, false) | (true, true) => return,
        };
        if after {
            let now = self.now();
            self.change(id, |person| person.assigned = now);
        }
        // OneLogin tells of logins that were given by hand; those by a role follow from the role's events.
        let onelogin = Some(onelogin).filter(|_| !by_group);
        self.happened(&Happening::Assignment { okta, onelogin, person: &person, by_group });
    }

    fn set_direct(&mut self, id: PersonId, direct: bool) {
        let before = self.assigned_now(id);
        self.change(id, |person| person.direct = direct);
        self.tell_assignment(id, before, false);
    }

    pub(super) fn set_member(&mut self, group: GroupId, id: PersonId, member: bool) {
        let before = self.assigned_now(id);
        let now = self.now();
        let Some(entry) = self.groups.get_mut(&group) else { return };
        let changed = if member { entry.members.insert(id) } else { entry.members.remove(&id) };
        if !changed {
            return;
        }
        entry.members_changed = now;
        let entry = entry.clone();
        self.change(id, |person| {
            if member {
                person.groups.insert(group)
            } else {
                person.groups.remove(&group)
            };
        });
        if let Some(person) = self.people.get(&id).cloned() {
            let (okta, onelogin) = if member {
                ("group.user_membership.add", 147)
            } else {
                ("group.user_membership.remove", 148)
            };
            self.happened(&Happening::Membership { okta, onelogin, person: &person, group: &entry });
        }
        self.tell_assignment(id, before, true);
    }

    fn set_group_app(&mut self, id: GroupId, has_app: bool) {
        let Some(group) = self.groups.get(&id).filter(|group| group.has_app != has_app).cloned() else {
            return;
        };
        let before: Vec<_> =
            group.members.iter().map(|member| (*member, self.assigned_now(*member))).collect();
        if let Some(group) = self.groups.get_mut(&id) {
            group.has_app = has_app;
        }
        let (okta, onelogin) = if has_app {
            ("group.application_assignment.add", 1)
        } else {
            ("group.application_assignment.remove", 2)
        };
        self.happened(&Happening::GroupApp { okta, onelogin, group: &group });
        for (member, was_assigned) in before {
            self.tell_assignment(member, was_assigned, true);
        }
    }
}
