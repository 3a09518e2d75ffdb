//! The two vendors' event logs: what a change in the world leaves behind there. Types and target shapes follow
//! Okta's event-types catalogue and OneLogin's event types.

use super::ids::okta_id;
use super::{Group, Person, State, World};
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

/// An event in the order in which it happened.
#[derive(Clone, Debug)]
pub(crate) struct Logged {
    /// Order in which the log came to show it, from 1; 0 while it does not show it yet.
    pub(crate) sequence: u64,
    pub(crate) published: DateTime<Utc>,
    /// When the log starts to show it.
    pub(crate) visible_at: DateTime<Utc>,
    pub(crate) body: Value,
}

/// What happened, told to both logs. The numbers are OneLogin's event type ids.
pub(crate) enum Happening<'a> {
    Person { okta: &'static str, onelogin: Option<i64>, person: &'a Person },
    Assignment { okta: &'static str, onelogin: Option<i64>, person: &'a Person, by_group: bool },
    Membership { okta: &'static str, onelogin: i64, person: &'a Person, group: &'a Group },
    GroupApp { okta: &'static str, onelogin: i64, group: &'a Group },
    App { okta: &'static str },
}

pub(crate) fn iso(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

impl World {
    /// Appends an event of one's own making to Okta's log; `body` is laid over the usual frame.
    pub fn log_okta_event(&self, event_type: &str, body: &Value) {
        self.with(|state| {
            let mut event = state.okta_frame(event_type, false, Vec::new());
            if let (Some(event), Some(body)) = (event.as_object_mut(), body.as_object()) {
                event.extend(body.clone());
            }
            state.persist_okta(event);
        });
    }

    /// Appends an event of one's own making to OneLogin's log; `body` is laid over the usual frame of a kind.
    pub fn log_onelogin_event(&self, kind: i64, body: &Value) {
        self.with(|state| {
            state.log_onelogin(kind, None, None, false);
            let event = state.onelogin_log.last_mut().and_then(|event| event.body.as_object_mut());
            if let (Some(event), Some(body)) = (event, body.as_object()) {
                event.extend(body.clone());
            }
        });
    }

    /// Empties both logs, as retention would.
    pub fn forget_events(&self) {
        self.with(|state| {
            state.okta_log.clear();
            state.onelogin_log.clear();
        });
    }

    /// Okta's event types so far, oldest first.
    pub fn okta_event_types(&self) -> Vec<String> {
        self.with(|state| {
            state
                .okta_log
                .iter()
                .filter_map(|event| event.body["eventType"].as_str().map(str::to_owned))
                .collect()
        })
    }
}

impl State {
    pub(crate) fn happened(&mut self, what: &Happening<'_>) {
        match what {
            Happening::Person { okta, onelogin, person } => {
                let targets = vec![user_target(person)];
                self.log_okta(okta, false, targets);
                if let Some(kind) = onelogin {
                    self.log_onelogin(*kind, Some(person), None, false);
                }
            }
            Happening::Assignment { okta, onelogin, person, by_group } => {
                let targets = vec![self.app_user_target(person), self.app_target(), user_target(person)];
                self.log_okta(okta, *by_group, targets);
                if let Some(kind) = onelogin {
                    self.log_onelogin(*kind, Some(person), None, true);
                }
            }
            Happening::Membership { okta, onelogin, person, group } => {
                self.log_okta(okta, false, vec![user_target(person), group_target(group)]);
                self.log_onelogin(*onelogin, Some(person), Some(group), false);
            }
            Happening::GroupApp { okta, onelogin, group } => {
                let targets = vec![self.app_target(), group_target(group)];
                self.log_okta(okta, false, targets);
                self.log_onelogin(*onelogin, None, Some(group), true);
            }
            Happening::App { okta } => {
                let targets = vec![self.app_target()];
                self.log_okta(okta, false, targets);
            }
        }
    }

    fn app_target(&self) -> Value {
        json!({"id": self.app.okta_id, "type": "AppInstance", "alternateId": self.app.label,
               "displayName": self.app.label, "detailEntry": {}})
    }

    fn app_user_target(&self, person: &Person) -> Value {
        json!({"id": okta_id("0ua", self.seed, person.key.0), "type": "AppUser", "alternateId": person.login,
               "displayName": person.display_name(), "detailEntry": {}})
    }

    fn okta_frame(&self, event_type: &str, job: bool, targets: Vec<Value>) -> Value {
        let number = self.okta_events;
        let client = if job {
            json!({"zone": null, "device": null, "id": null, "ipAddress": null})
        } else {
            json!({"zone": "null", "device": "Computer", "id": null, "ipAddress": "203.0.113.7",
                   "userAgent": {"rawUserAgent": "Mozilla/5.0", "os": "Linux", "browser": "FIREFOX"}})
        };
        json!({
            "actor": {"id": okta_id("00u", self.seed, 0), "type": "User", "alternateId": "admin@acme.example",
                      "displayName": "Admin", "detailEntry": null},
            "client": client,
            "displayMessage": event_type.replace(['.', '_'], " "),
            "eventType": event_type,
            "outcome": {"result": "SUCCESS", "reason": null},
            "published": iso(self.okta_time()),
            "severity": "INFO",
            "target": targets,
            "transaction": {"type": if job { "JOB" } else { "WEB" }, "id": okta_id("gam", self.seed, number), "detail": {}},
            "uuid": super::ids::account_id(self.seed ^ 0xe0e0, number),
            "version": "0",
        })
    }

    fn log_okta(&mut self, event_type: &str, job: bool, targets: Vec<Value>) {
        let event = self.okta_frame(event_type, job, targets);
        self.persist_okta(event);
    }

    fn persist_okta(&mut self, body: Value) {
        let published = body["published"]
            .as_str()
            .and_then(|text| DateTime::parse_from_rfc3339(text).ok())
            .map_or_else(|| self.okta_time(), |at| at.to_utc());
        let visible_at = self.now() + self.event_delay;
        self.okta_events += 1;
        self.okta_log.push(Logged { sequence: 0, published, visible_at, body });
    }

    /// Numbers the events that the log has come to show: a late one comes behind those that it shows already.
    pub(crate) fn show_okta_events(&mut self) {
        let now = self.now();
        let mut new: Vec<&mut Logged> =
            self.okta_log.iter_mut().filter(|event| event.sequence == 0 && event.visible_at <= now).collect();
        new.sort_by_key(|event| event.visible_at);
        for event in new {
            self.okta_shown += 1;
            event.sequence = self.okta_shown;
        }
    }

    fn log_onelogin(&mut self, kind: i64, person: Option<&Person>, group: Option<&Group>, app: bool) {
        self.onelogin_events += 1;
        let sequence = self.onelogin_events;
        let published = self.now();
        let body = json!({
            "id": 7_000_000_000_u64 + sequence,
            "created_at": iso(published),
            "account_id": super::super::onelogin::ACCOUNT_ID,
            "event_type_id": kind,
            "user_id": person.map(|person| person.onelogin_id),
            "user_name": person.map(Person::display_name),
            "app_id": app.then_some(self.app.onelogin_id),
            "app-name": app.then(|| self.app.label.clone()),
            "role_id": group.map(|group| group.onelogin_id),
            "role_name": group.map(|group| group.name.clone()),
            "actor_user_id": 1,
            "actor_user_name": "Admin",
            "actor_system": "",
            "ipaddr": "203.0.113.7",
            "notes": null, "error_description": null, "custom_message": null,
        });
        self.onelogin_log.push(Logged {
            sequence,
            published,
            visible_at: published + self.event_delay,
            body,
        });
    }
}

fn user_target(person: &Person) -> Value {
    json!({"id": person.okta_id, "type": "User", "alternateId": person.login,
           "displayName": person.display_name(), "detailEntry": null})
}

fn group_target(group: &Group) -> Value {
    json!({"id": group.okta_id, "type": "UserGroup", "alternateId": "unknown", "displayName": group.name,
           "detailEntry": null})
}
