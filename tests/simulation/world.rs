//! The world of one seed: people at the identity provider, accounts at the workspace, the weather between both and the
//! program. What is true is known here and nowhere else.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::judge::Judge;
use super::rules::Rules;
use super::weather::Weather;
use crate::target::Write;

/// Milliseconds of the true time.
pub type Ms = i64;
pub const SECOND: Ms = 1000;
pub const MINUTE: Ms = 60 * SECOND;
pub const HOUR: Ms = 60 * MINUTE;
pub const DAY: Ms = 24 * HOUR;
/// 2026-03-02T08:00:00Z, a Monday.
pub const START: Ms = 1_772_438_400_000;

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Active,
    /// Active in another of the vendor's words.
    LockedOut,
    Pending,
    Suspended,
    Disabled,
}

/// Where a person stands, as the documentation says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Eligibility {
    Entitled,
    Waiting,
    Suspended,
    OutOfScope,
    Unassigned,
    Disabled,
    Deleted,
}

impl Eligibility {
    /// What a decision about somebody is bound to: disabled and deleted are one, because vendors delete only who is
    /// disabled.
    pub fn cause(self) -> Eligibility {
        match self {
            Eligibility::Deleted => Eligibility::Disabled,
            Eligibility::Entitled
            | Eligibility::Waiting
            | Eligibility::Suspended
            | Eligibility::OutOfScope
            | Eligibility::Unassigned
            | Eligibility::Disabled => self,
        }
    }
}

#[derive(Debug, Clone)]
pub struct Person {
    pub id: String,
    pub login: String,
    pub email: String,
    pub given: String,
    pub family: String,
    pub title: Option<String>,
    pub phone: Option<String>,
    pub department: Option<String>,
    pub status: Status,
    pub assigned: bool,
    pub exists: bool,
    /// The event log has the deletion.
    pub deletion_logged: bool,
    pub assigned_at: Ms,
    /// Since when they stand where, oldest first.
    pub standings: Vec<(Ms, Eligibility)>,
}

impl Person {
    /// The mark that an account of theirs bears.
    pub fn mark(&self, okta: bool) -> String {
        if okta { self.id.clone() } else { format!("onelogin:{}", self.id) }
    }

    fn stands(&self, rules: &Rules, linked: bool) -> Eligibility {
        if !self.exists {
            return Eligibility::Deleted;
        }
        match self.status {
            Status::Disabled => Eligibility::Disabled,
            // At OneLogin "not activated" of somebody with an account means that they left.
            Status::Pending if linked && !rules.okta => Eligibility::Disabled,
            _ if !self.assigned => Eligibility::Unassigned,
            Status::Suspended => Eligibility::Suspended,
            Status::Pending => Eligibility::Waiting,
            Status::Active | Status::LockedOut => {
                if rules.scope_filter && self.department.as_deref() == Some("Contractors") {
                    Eligibility::OutOfScope
                } else {
                    Eligibility::Entitled
                }
            }
        }
    }

    pub fn eligibility(&self) -> Eligibility {
        self.standings.last().map_or(Eligibility::Unassigned, |(_, eligibility)| *eligibility)
    }

    /// Every standing between `from` and now.
    pub fn standings_since(&self, from: Ms) -> BTreeSet<Eligibility> {
        let mut seen = BTreeSet::new();
        for (at, eligibility) in self.standings.iter().rev() {
            seen.insert(*eligibility);
            if *at <= from {
                break;
            }
        }
        seen
    }

    /// What the account should hold.
    pub fn wanted(&self, okta: bool) -> BTreeMap<String, String> {
        let some = |path: &str, value: &Option<String>| Some((path.to_owned(), value.clone()?));
        [
            Some(("userName".to_owned(), self.login.clone())),
            Some(("externalId".to_owned(), self.mark(okta))),
            Some(("name.givenName".to_owned(), self.given.clone())),
            Some(("name.familyName".to_owned(), self.family.clone())),
            Some(("emails[primary eq true].value".to_owned(), self.email.clone())),
            some("title", &self.title),
            some("phoneNumbers[primary eq true].value", &self.phone),
            some(&format!("{ENTERPRISE}:department"), &self.department),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

#[derive(Debug, Clone)]
pub struct Account {
    pub id: String,
    /// By attribute path.
    pub values: BTreeMap<String, String>,
    pub active: bool,
    /// Whom a write of ours made it the account of.
    pub owner: Option<String>,
    /// Which sync's account it is.
    pub sync: Option<usize>,
    pub made_at: Ms,
    /// When lookups and listings show it. What was shown once stays shown.
    pub indexed_at: Ms,
    /// Somebody at the workspace touched its access after us.
    pub by_hand: Option<Ms>,
    /// Its link was dropped by a decision.
    pub forgotten: bool,
    /// Somebody made it in the place of one of ours, and nothing of ours has reached it.
    pub made_anew: bool,
}

impl Account {
    pub fn login(&self) -> &str {
        self.values.get("userName").map_or("", String::as_str)
    }

    /// Whether the program must count a seat for it. One that somebody made anew has none until it is linked: nobody has told
    /// the program of it, and that the other one is gone it may have heard.
    pub fn takes_a_seat(&self) -> bool {
        self.owner.is_some() && !self.made_anew
    }

    pub fn has_login(&self, login: &str) -> bool {
        self.login().to_lowercase() == login.to_lowercase()
    }

    pub fn resource(&self, shows_active: bool) -> Map<String, Value> {
        let text = |path: &str| self.values.get(path).cloned();
        let mut resource = json!({
            "id": self.id, "userName": self.login(),
            "name": { "givenName": text("name.givenName"), "familyName": text("name.familyName") },
        });
        let mut put = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                resource[name] = value;
            }
        };
        put("active", shows_active.then_some(Value::Bool(self.active)));
        put("externalId", text("externalId").map(Value::from));
        put("title", text("title").map(Value::from));
        let element = |value: String| json!([{ "value": value, "type": "work", "primary": true }]);
        put("emails", text("emails[primary eq true].value").map(element));
        put("phoneNumbers", text("phoneNumbers[primary eq true].value").map(element));
        let department = text(&format!("{ENTERPRISE}:department"));
        put(ENTERPRISE, department.map(|department| json!({ "department": department })));
        match resource {
            Value::Object(resource) => resource,
            _ => Map::new(),
        }
    }
}

pub struct World {
    pub seed: u64,
    pub rules: Rules,
    pub start: tokio::time::Instant,
    pub people: Vec<Person>,
    /// By id; what was deleted is not here.
    pub accounts: BTreeMap<String, Account>,
    pub weather: Weather,
    /// What is wrong whatever else is.
    pub lasting: Weather,
    pub judge: Judge,
    pub trace: Vec<String>,
    /// Whose account somebody deleted by hand.
    pub vanished: BTreeSet<String>,
    /// When the last full run that went through began.
    pub last_full_run: Ms,
    pub reads: Vec<Vec<String>>,
    pub next_person: u64,
    pub next_account: u64,
    pub calls: u64,
    pub runs: u64,
    /// Requests that were given up, and when they are acted on after all.
    pub on_their_way: Vec<(Ms, Write)>,
}

impl World {
    /// The true time.
    pub fn now(&self) -> Ms {
        START + self.start.elapsed().as_millis() as Ms
    }

    pub fn note(&mut self, line: impl std::fmt::Display) {
        let at = self.now() - START;
        self.trace.push(format!(
            "{:>4}:{:02}:{:02}.{:03}  {line}",
            at / HOUR,
            at / MINUTE % 60,
            at / SECOND % 60,
            at % SECOND
        ));
    }

    pub fn person(&self, id: &str) -> Option<&Person> {
        self.people.iter().find(|person| person.id == id)
    }

    /// Whom a mark means.
    pub fn marked(&self, mark: &str) -> Option<&Person> {
        self.people.iter().find(|person| person.mark(self.rules.okta) == mark)
    }

    /// Whose an account is: by our own write, else by the mark it bears.
    pub fn owner_of(&self, account: &Account) -> Option<String> {
        let by_mark =
            || account.values.get("externalId").and_then(|mark| self.marked(mark)).map(|p| p.id.clone());
        account.owner.clone().or_else(by_mark)
    }

    /// Accounts of ours: each keeps its seat, active or not. One that somebody made anew stands for the one whose seat the
    /// program believes taken until it hears of that.
    pub fn seats_taken(&self) -> u64 {
        self.accounts.values().filter(|account| account.owner.is_some()).count() as u64
    }

    pub fn accounts_of(&self, person: &str) -> Vec<&Account> {
        self.accounts.values().filter(|account| account.owner.as_deref() == Some(person)).collect()
    }

    /// Changes a person and notes where they stand from now on.
    pub fn change(&mut self, index: usize, act: impl FnOnce(&mut Person)) {
        if let Some(person) = self.people.get_mut(index) {
            act(person);
        }
        self.restand();
    }

    /// Notes where everybody stands.
    pub fn restand(&mut self) {
        let now = self.now();
        for person in &mut self.people {
            let has_one = self.accounts.values().any(|account| account.owner.as_deref() == Some(&person.id));
            let linked = has_one || self.vanished.contains(&person.id);
            let eligibility = person.stands(&self.rules, linked);
            if person.standings.last().map(|(_, last)| *last) != Some(eligibility) {
                person.standings.push((now, eligibility));
            }
        }
    }
}
